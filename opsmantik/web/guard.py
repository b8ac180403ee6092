"""Who asks, whether they may, and whether the request is really theirs.

Every handler says ``public=True``, or what it ``needs`` (people/capabilities.py); :func:`refuse_unguarded` stops a
server that has one which says neither. What is needed on a site is asked there: the transaction that :func:`asker`
opens sees only the sites on which the asker may do it. Every request that changes something must carry a token that
only a page of ours could have written, and must not come from elsewhere. A handler that says ``program=True`` takes
JSON instead of forms: no form can send that, and no script of another site may.

A program asks with a key instead (``Authorization: Bearer om_…`` or ``X-Api-Key``). Then the key alone says who asks,
whatever cookie comes with it; it needs no token of a page, and it opens what is for programs only: no page, nothing
outside its scopes, nothing outside its site.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from litestar.types import Message, Scope

from opsmantik.db.connect import Asker
from opsmantik.db.replica import ZERO
from opsmantik.errors import (
    ConfirmFirst,
    DatabaseUnavailable,
    Forbidden,
    KeyRefused,
    NotJson,
    NotSignedIn,
    OutOfScope,
    TooManyRequests,
)
from opsmantik.people import keys
from opsmantik.people import store as people
from opsmantik.people.capabilities import Capability, has_platform, roles_with
from opsmantik.people.key_tokens import Key, read_key
from opsmantik.sessions.place import client_ip
from opsmantik.settings import Settings, secret
from opsmantik.web import oci_session

Connection = ASGIConnection[Any, Any, Any, Any]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SALT_BYTES = 8
RECENT = timedelta(minutes=15)
# Longer than a standby is ever behind, unless it is broken.
AFTER_SECONDS = 600
# No standby has come so far: only the primary answers.
UNKNOWN_PLACE = "FFFFFFFF/FFFFFFFF"
NOT_PLATFORM = "it is for whoever runs this installation"


class FormKeys:
    """The installation's key for form tokens."""

    def __init__(self, settings: Settings) -> None:
        self._key = hmac.new(secret(settings).encode(), b"form-token", hashlib.sha256).digest()

    def form_token(self, proof: str) -> str:
        """A token for this browser's forms. Different each time, so that compression gives nothing away."""
        salt = secrets.token_bytes(SALT_BYTES)
        return (salt + self._mac(salt, proof)).hex()

    def is_form_token(self, token: str, proof: str) -> bool:
        """Whether we wrote this token for the holder of this cookie."""
        try:
            given = bytes.fromhex(token)
        except ValueError:
            return False
        return bool(proof) and hmac.compare_digest(given[SALT_BYTES:], self._mac(given[:SALT_BYTES], proof))

    def _mac(self, salt: bytes, proof: str) -> bytes:
        return hmac.new(self._key, salt + proof.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def peer_address(connection: Connection, settings: Settings) -> str:
    """The browser's address; what a proxy says about it counts only from a proxy that we trust."""
    peer = connection.client.host if connection.client else ""
    return client_ip(peer, connection.headers.get("x-forwarded-for"), settings.trusted_proxies)


def is_https(connection: Connection, settings: Settings) -> bool:
    """Whether the browser's side of the connection is encrypted."""
    if settings.base_url.startswith("https:") or connection.scope["scheme"] == "https":
        return True
    peer = connection.client.host if connection.client else ""
    proxied = (
        client_ip(peer, "192.0.2.1", settings.trusted_proxies) != peer
    )  # then the peer is a trusted proxy
    return proxied and connection.headers.get("x-forwarded-proto", "") == "https"


def cookie_name(purpose: str, secure: bool) -> str:
    """``__Host-`` binds a cookie to this host and to TLS; plain HTTP (loopback) cannot have it."""
    name = "opsmantik" if purpose == "session" else f"opsmantik-{purpose}"
    return f"__Host-{name}" if secure else name


def cookie(
    connection: Connection, settings: Settings, purpose: str, value: str, seconds: int | None
) -> Cookie:
    """The cookie to set; ``seconds`` 0 takes it away, ``None`` keeps it until the browser closes."""
    secure = is_https(connection, settings)
    return Cookie(
        key=cookie_name(purpose, secure), value=value, path="/", max_age=seconds, httponly=True,
        samesite="lax", secure=secure,
    )  # fmt: skip


def cookie_value(connection: Connection, settings: Settings, purpose: str) -> str:
    """What the browser sent back, or nothing."""
    return connection.cookies.get(cookie_name(purpose, is_https(connection, settings)), "")


def form_proof(connection: Connection, settings: Settings) -> str:
    """What form tokens are bound to: the sign-in, or before it a cookie of the form's own."""
    person: people.SignedIn | None = connection.state.get("person")
    return person.token if person else cookie_value(connection, settings, "form")


async def find_person(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: who asks. Raises :class:`~opsmantik.errors.NotSignedIn` unless the handler is public."""
    if handler.opt.get("probe"):  # health must not depend on what it reports about
        return
    if connection.scope.get("method") == "OPTIONS":  # the framework's own answer: which methods there are
        connection.state.person = None
        return
    person = await _asker(connection)
    connection.state.person = person
    if person is not None and person.key is not None and not _is_for_programs(connection, handler):
        raise Forbidden(reason="keys are for programs, at addresses under /api/")
    if handler.opt.get("public"):
        return
    if person is None:
        raise NotSignedIn
    connection.state.needs = handler.opt["needs"]
    asker(connection)  # refuses whom no site could help


def needs(capability: Capability, **more: Any) -> dict[str, Any]:
    """The ``opt`` of a handler that is for those who have this."""
    return {"needs": capability, **more}


def asker(connection: Connection, needed: Capability | None = None) -> Asker:
    """Whose transaction it shall be, for what this route needs, or for ``needed``; for ``Database.as_person``.

    Raises :class:`~opsmantik.errors.Forbidden` where whoever asks cannot have it on any site, or not by this key.
    """
    state = connection.state
    person: people.SignedIn = state.person
    capability: Capability = needed or state.needs
    key = person.key
    if key is not None and capability not in key.scopes:
        raise OutOfScope(scope=str(capability))
    if not has_platform(capability, is_admin=person.is_admin):
        raise Forbidden(reason=NOT_PLATFORM)
    address = peer_address(connection, connection.app.state.settings)
    if key is None:
        return Asker(person.user_id, roles_with(capability), address=address, after=read_after(connection))
    holder = None if key.of_site else person.user_id
    return Asker(holder, roles_with(capability), only=key.only, address=address, key=key.id)


def read_after(connection: Connection) -> str | None:
    """How far a standby must have come to answer this: to where this browser last changed something, on whichever node.
    None where only the primary will do: a request that may change something decides by what is true now."""
    if connection.scope.get("method", "GET") not in SAFE:
        return None
    return cookie_value(connection, connection.app.state.settings, "after") or ZERO


async def remember_place(message: Message, scope: Scope) -> None:
    """Before an answer is sent: what this browser has just changed, it shall see, also where a standby is read."""
    if message["type"] != "http.response.start" or scope.get("method", "GET") in SAFE:
        return
    connection: Connection = ASGIConnection(scope)
    state = connection.app.state
    if state.get("replica") is None or not connection.headers.get("cookie"):
        return
    try:
        place = await state.replica.place()
    except DatabaseUnavailable:
        place = UNKNOWN_PLACE
    made = cookie(connection, state.settings, "after", place, AFTER_SECONDS)
    message["headers"] = [
        *message.get("headers", ()),
        (b"set-cookie", made.to_header(header="").strip().encode()),
    ]


def recently(connection: Connection, back: str | None = None) -> None:
    """Something dangerous is about to be done: whoever asks signed in, or confirmed it, within :data:`RECENT`.

    Call it first in the handler that shows the form, and again in the one that takes it. Otherwise a browser is led to
    ``/confirm``, which asks for the password (and for a code, where there is a second factor) and leads to ``back``: a
    page of ours; if none is given, the page that was asked for. A key never has just confirmed anything.
    Raises :class:`~opsmantik.errors.ConfirmFirst`.
    """
    person: people.SignedIn | None = connection.state.get("person")
    if person is None or person.confirmed_at is None or datetime.now(UTC) - person.confirmed_at > RECENT:
        here = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
        asked = here if connection.scope.get("method") == "GET" else "/"
        raise ConfirmFirst(minutes=int(RECENT.total_seconds() // 60), back=back or asked)


def refuse_unguarded(handlers: Iterable[BaseRouteHandler]) -> None:
    """Stop before the first request if a route says neither that it is public nor what it needs."""
    for handler in handlers:
        if not handler.opt.get("public") and not isinstance(handler.opt.get("needs"), Capability):
            raise RuntimeError(f"{', '.join(sorted(handler.paths))} does not say who may come in")


async def _asker(connection: Connection) -> people.SignedIn | None:
    """Who this request comes from: the holder of its key, or else whoever signed in in this browser."""
    state = connection.app.state
    given = presented_key(connection.headers)
    if given is not None:
        connection.state.by_key = True
        return await _key_holder(connection, given)
    token = cookie_value(connection, state.settings, "session")
    return await people.signed_in(state.database, token) if token else None


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings, good or not. Another scheme than Bearer is a proxy's business, not ours."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


async def _key_holder(connection: Connection, given: str) -> people.SignedIn:
    state = connection.app.state
    address, kept = peer_address(connection, state.settings), people.token_hash(given)
    wait = state.key_tries.wait(address, kept)
    if wait:
        raise TooManyRequests(retry_after=math.ceil(wait))
    key = _key_of(connection, given)
    found = await keys.key_holder(state.database, key) if key is not None else None
    if found is None:
        state.key_tries.refused(address, kept)
        raise KeyRefused
    state.key_tries.accepted(kept)
    return found


def _key_of(connection: Connection, given: str) -> Key | None:
    """The key, also behind a script's token for an hour, which is good at the addresses for scripts alone."""
    if given.startswith(oci_session.PREFIX):
        if not connection.url.path.startswith(oci_session.PATHS):
            return None
        given = oci_session.opened(connection.app.state.keyring, given) or ""
    return read_key(given)


def _is_for_programs(connection: Connection, handler: BaseRouteHandler) -> bool:
    """Whether a key may come here at all: to read JSON, or to send it."""
    if connection.scope.get("method", "GET") in SAFE:
        return connection.url.path.startswith("/api/")
    return bool(handler.opt.get("program"))


async def refuse_forgery(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: a request that changes something comes from a page of ours, in this browser."""
    if connection.scope.get("method", "GET") in SAFE:
        return
    if handler.opt.get("signed_link"):  # the address itself is what nobody else could have written
        return
    state = connection.app.state
    person: people.SignedIn | None = connection.state.get("person")
    if person is not None and person.key is not None:  # no browser sends a key by itself
        _refuse_form(connection)
        return
    if not is_own_origin(connection.headers, connection.scope["scheme"], state.settings):
        raise Forbidden(reason="it comes from another site")
    if handler.opt.get("program"):
        _refuse_form(connection)
        return
    token = connection.headers.get("x-csrf-token", "")
    if not token and isinstance(connection, Request):
        token = str((await connection.form()).get("form_token", ""))
    if not state.form_keys.is_form_token(token, form_proof(connection, state.settings)):
        raise Forbidden(reason="its form token is missing or out of date")


def _refuse_form(connection: Connection) -> None:
    """Only JSON, or nothing at all. What a form or a beacon of any site can send without asking is neither: browsers
    put a content type of their own on it, and ask us before they send JSON for another site."""
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = (
        connection.headers.get("content-length", "0") == "0" and "transfer-encoding" not in connection.headers
    )
    if kind != "application/json" and (kind or not empty):
        raise NotJson(given=repr(kind[:100]) if kind else "no content type")


def is_own_origin(headers: Mapping[str, str], scheme: str, settings: Settings) -> bool:
    """Whether what the browser says about where the request comes from, if it says it, is this server."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    own = urlsplit(settings.base_url)
    return origin in (f"{own.scheme}://{own.netloc}", f"{scheme}://{headers.get('host', '')}")


def safe_next(path: str | None) -> str:
    """Where to go after signing in: a path of ours, never another host, never back to the form."""
    if (
        not path
        or not path.startswith("/")
        or path[1:2] in ("/", "\\")
        or not path.isprintable()
        or " " in path
    ):
        return "/"
    if path.startswith(("/sign-", "/set-up", "/confirm", "/forgot", "/reset")) or len(path) > 1000:
        return "/"
    return path
