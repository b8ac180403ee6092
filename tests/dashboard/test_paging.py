"""Cursors: what is written is what is read, and nothing else is taken."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest

from opsmantik.dashboard.paging import FIRST_PAGE, Cursor, read, written
from opsmantik.errors import Malformed

CURSORS = {
    "an ordinary row": Cursor(datetime(2026, 11, 22, 10, 30, 15, 123456, UTC), UUID(int=7)),
    "before the epoch": Cursor(datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), UUID(int=2**127)),
    "the first page": FIRST_PAGE,
}


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS.keys())
def test_a_cursor_comes_back_to_the_microsecond(cursor: Cursor) -> None:
    text = written(cursor)
    assert read(text) == cursor
    assert len(text) == 32 and text.replace("-", "").replace("_", "").isalnum()


NONE = {
    "nothing": "",
    "too short": written(FIRST_PAGE)[:-4],
    "too long": written(FIRST_PAGE) + "AAAA",
    "signs of another alphabet": "+" + written(FIRST_PAGE)[1:],
    "letters of another script": "é" * 32,
    "a time beyond all": base64.urlsafe_b64encode(b"\x7f" + b"\xff" * 23).decode(),
    "padding": "=" * 32,
}


@pytest.mark.parametrize("text", NONE.values(), ids=NONE.keys())
def test_what_nobody_gave_out_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="none that was given out"):
        read(text)
