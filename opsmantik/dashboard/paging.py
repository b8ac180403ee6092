"""Lists by the page: newest first, a page ends at a row, and the next one begins after it.

A cursor names the last row that was seen, by the columns that the list is ordered by. So a page stays what it is,
however many rows come in before it, and the tenth costs what the first did.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from opsmantik.errors import Malformed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SIZE: Final = 24


class Cursor(NamedTuple):
    """The last row of a page: its time (aware) and id."""

    at: datetime
    id: UUID


FIRST_PAGE: Final = Cursor(datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))
"""Later than any row."""


def written(cursor: Cursor) -> str:
    """The cursor as it stands in a query: letters, digits, hyphen and underscore."""
    micros = (cursor.at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big", signed=True) + cursor.id.bytes).decode()


def read(text: str) -> Cursor:
    """The cursor that :func:`written` wrote. Raises :class:`~opsmantik.errors.Malformed` for anything else."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        if len(raw) != _SIZE:
            raise ValueError
        at = _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big", signed=True))
        return Cursor(at, UUID(bytes=raw[8:]))
    except (ValueError, OverflowError, binascii.Error, UnicodeEncodeError):
        raise Malformed(reason="the cursor is none that was given out here") from None
