"""Each request's name: the one that it brings, if it looks like one, else one of ours.

It is sent back with the answer and stands in every line that is logged while the request is answered, so that what a
visitor's browser, a proxy and this server say about it can be laid side by side.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

HEADER: Final = b"x-request-id"
# What others use (UUIDs, ULIDs, hex, W3C trace ids) fits; nothing that could break a line or grow it without end does.
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{5,63}")
_START: Final = secrets.token_hex(6).encode() + b"-%x"
_numbers = itertools.count(1)

_current: ContextVar[bytes] = ContextVar("request_id", default=b"")


def current() -> str:
    """The id of the request that is being answered; empty outside of one."""
    return _current.get().decode("ascii")


def begin(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The id of a request with these headers, from now on that of its task."""
    for name, value in headers:
        if name == HEADER and _WELL_FORMED.fullmatch(value):
            break
    else:
        value = _START % next(_numbers)
    _current.set(value)
    return value


def name_request(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog: puts the request's id into the line."""
    if request_id := current():
        line["request_id"] = request_id
    return line
