"""Every request has a name: brought or made, sent back, and in every line that is logged on its behalf."""

from __future__ import annotations

import io
import logging
import re
from contextvars import copy_context
from typing import Any

import pytest
import structlog

from opsmantik.cli import logs
from opsmantik.web import request_ids

GOOD = ["0af7651916cd43dd8448eb211c80319c", "a1b2c3", "01J9Z8-abc_DEF.1:2", "x" * 64]
BAD = ["", "short", "x" * 65, "a b c d e f", 'abcdef"quoted', "abcdef\tx", "-abcdef", "abcdefü", "abcdef=1"]
PATHS = ["/healthz", "/sign-in", "/v1/events", "/static/style.css", "/nowhere/at/all", "/assets/core.js"]


@pytest.mark.parametrize("path", PATHS)
async def test_the_one_that_is_brought_comes_back(web: Any, path: str) -> None:
    answer = await web.browser().get(path, x_request_id=GOOD[0])
    assert answer.headers["x-request-id"] == GOOD[0]


def begin(*headers: tuple[bytes, bytes]) -> bytes:
    """In a context of its own, as each request's task has one."""
    return copy_context().run(request_ids.begin, headers)


@pytest.mark.parametrize("brought", GOOD)
def test_what_looks_like_one_is_taken(brought: str) -> None:
    assert begin((b"accept", b"*/*"), (b"x-request-id", brought.encode())) == brought.encode()


@pytest.mark.parametrize("brought", BAD)
def test_what_does_not_is_not(brought: str) -> None:
    made = begin((b"x-request-id", brought.encode()))
    assert made != brought.encode() and request_ids._WELL_FORMED.fullmatch(made)


async def test_each_request_without_one_gets_its_own(web: Any) -> None:
    browser = web.browser()
    made = {(await browser.get(path)).headers["x-request-id"] for path in PATHS}
    assert len(made) == len(PATHS) and all(re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", one) for one in made)


async def test_it_stands_in_every_line_of_its_request_and_in_no_other(
    web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        root.handlers.clear()
        monkeypatch.setattr("sys.stderr", said)
        logs.configure("info")

        def broken(*_: Any, **__: Any) -> Any:
            logging.getLogger("another.library").warning("in its own words")
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr("opsmantik.web.login.page", broken, raising=True)
        answer = await web.browser().get("/sign-in", x_request_id="the-one-that-broke")
        assert answer.status_code == 500
        structlog.get_logger().info("upkeep.ran")
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
    lines = said.getvalue().splitlines()
    (ours,) = [line for line in lines if "web.broken" in line]
    (theirs,) = [line for line in lines if "in its own words" in line]
    (other,) = [line for line in lines if "upkeep.ran" in line]
    assert "request_id=the-one-that-broke" in ours and "request_id=the-one-that-broke" in theirs
    assert "request_id" not in other
