"""What a browser keeps for us between leaving for another site and coming back: a cookie that only this installation can
read or write. That the answer belongs to it is what keeps an attacker from having his own answer taken for somebody's."""

from __future__ import annotations

import base64
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import msgspec
from litestar import Request
from litestar.datastructures import Cookie

from opsmantik.errors import SealBroken
from opsmantik.keyring import Sealed
from opsmantik.web import guard

LONGEST: Final = 4000
T = TypeVar("T")
PageRequest = Request[Any, Any, Any]


def sealed(request: PageRequest, purpose: str, value: object, seconds: int) -> Cookie:
    """The cookie to set."""
    row = uuid4()
    found = request.app.state.keyring.seal(msgspec.json.encode(value), f"cookie.{purpose}", row)
    text = base64.urlsafe_b64encode(row.bytes + found.data).decode()
    return guard.cookie(request, request.app.state.settings, purpose, f"{found.key_id}.{text}", seconds)


def opened(request: PageRequest, purpose: str, kind: type[T]) -> T | None:
    """What was kept; None where nothing was, or nothing of ours."""
    text = guard.cookie_value(request, request.app.state.settings, purpose)
    key_id, _, rest = text.partition(".")
    if not rest or len(text) > LONGEST:
        return None
    try:
        data = base64.urlsafe_b64decode(rest)
        row = UUID(bytes=data[:16])
        value = request.app.state.keyring.open(Sealed(key_id, data[16:]), f"cookie.{purpose}", row)
        return msgspec.json.decode(value, type=kind)
    except (ValueError, SealBroken, msgspec.MsgspecError):
        return None


def gone(request: PageRequest, purpose: str) -> Cookie:
    """The cookie that takes it away."""
    return guard.cookie(request, request.app.state.settings, purpose, "", 0)
