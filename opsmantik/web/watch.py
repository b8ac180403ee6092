"""The security log: who came in and how, who was refused what, and who guesses.

One line each, by the programs' own log. An account is named by its id, or before it is known by a keyed hash of what was
typed; a network by its truncated address; a place by its route, never by its path, which may hold a link's token.
"""

from __future__ import annotations

import hashlib
import hmac

import structlog

from opsmantik.errors import Forbidden, KeyRefused, OpsMantikError, TooManyRequests
from opsmantik.sessions.place import truncate_ip
from opsmantik.settings import secret
from opsmantik.web.guard import Connection, peer_address

log = structlog.get_logger()
WATCHED = (Forbidden, KeyRefused, TooManyRequests)


def came_in(connection: Connection, method: str) -> None:
    """Somebody proved who they are, or half of it."""
    _tell(connection, "auth.came_in", method=method)


def kept_out(connection: Connection, method: str, *, account: str = "", reason: str = "wrong") -> None:
    """Somebody did not. ``account``: what was typed, which is not logged itself."""
    _tell(connection, "auth.kept_out", method=method, reason=reason, account=_name(connection, account))


def left(connection: Connection) -> None:
    """Somebody signed out."""
    _tell(connection, "auth.left")


def refused(connection: Connection, error: OpsMantikError) -> None:
    """A request was refused for who asks, for where it comes from, or for being one of too many."""
    if isinstance(error, WATCHED):
        _tell(connection, "access.refused", code=error.code, status=error.status)


def _tell(connection: Connection, event: str, **words: object) -> None:
    settings = connection.app.state.settings
    person = connection.state.get("person")
    key = getattr(person, "key", None)
    log.info(
        event,
        **{name: value for name, value in words.items() if value != ""},
        who=str(person.user_id) if person is not None and person.user_id is not None else None,
        key=str(key.id) if key is not None else None,
        network=truncate_ip(peer_address(connection, settings)),
        route=connection.scope.get("path_template") or "none",
        verb=connection.scope.get("method"),
    )


def _name(connection: Connection, account: str) -> str:
    if not account:
        return ""
    key = hmac.new(secret(connection.app.state.settings).encode(), b"security-log", hashlib.sha256).digest()
    typed = account.strip().lower().encode("utf-8", "surrogatepass")
    return hmac.new(key, typed, hashlib.sha256).hexdigest()[:12]
