"""The ingest doors: plain ASGI in front of the framework, which would cost three times the rest of the request.

``POST /v1/events`` answers as HTTP means it. ``POST /api/sync`` takes the same bodies and the first generation's,
and answers every final refusal with 200 and ``ok: false``: an error would jam that tracker's queue for a day.
``POST /api/call-event`` is for telephone systems. ``GET /assets/core.js`` is the tracker.

A 2xx means: committed. 429 and 503 mean: nothing was stored, please try again after Retry-After seconds.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import structlog

from opsmantik.db.connect import Database
from opsmantik.db.valkey import Valkey
from opsmantik.errors import (
    Forbidden,
    Malformed,
    OpsMantikError,
    TooLarge,
    TooManyRequests,
    Unavailable,
    UnknownSite,
)
from opsmantik.event import Arrival, Drop, Event, Reason, Site
from opsmantik.ingest.call_event import CallEvent, record_call
from opsmantik.ingest.drops import ANSWERED_AS_ACCEPTED, MESSAGES, STATUS
from opsmantik.ingest.limits import RateLimit, SharedLimit
from opsmantik.ingest.notices import Notices
from opsmantik.ingest.payload import Body, clean, read_body, read_events, site_id
from opsmantik.ingest.pipeline import Pipeline, World
from opsmantik.ingest.registry import Registry
from opsmantik.ingest.writer import DUPLICATE, PULSE, STORED, Item, Refusal, Writer, milliseconds
from opsmantik.sessions.place import PlaceDatabase, client_ip, place_from_headers, truncate_ip
from opsmantik.settings import Settings

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 1_048_576
_WRITTEN = frozenset({STORED, PULSE, DUPLICATE})
_encode = msgspec.json.Encoder().encode
_JSON = (b"content-type", b"application/json")
_ALLOW = [
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"Content-Type, Authorization, X-OpsMantik-Version"),
    (b"access-control-max-age", b"86400"),
]


class Answer(msgspec.Struct, gc=False):
    """What goes back: status, body, and headers beyond the usual."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = []


class Collect:
    """The doors and what they need. Started and stopped with the application."""

    paths = frozenset({"/v1/events", "/api/sync", "/api/call-event", "/assets/core.js", "/ux-core.js"})

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self.registry = Registry(database)
        self._valkey = Valkey(settings.valkey_url) if settings.valkey_url else None
        self.notices = Notices(database, self._valkey)
        self.writer = Writer(
            database, self.notices.changed, window_ms=settings.batch_window_ms, batch_max=settings.batch_max
        )
        self._places = PlaceDatabase(settings.geoip_database)
        self.pipeline = Pipeline(World(self._places.look_up))
        shared = SharedLimit(self._valkey) if self._valkey is not None else None
        self._limit = RateLimit(settings.rate_limit_per_minute, settings.rate_limit_burst, shared)
        self._call_limit = RateLimit(
            min(settings.rate_limit_per_minute, 600), settings.rate_limit_burst, shared
        )
        self._trusted = settings.trusted_proxies
        self._edge = settings.geo_headers
        self._tracker = Tracker()
        self._open = False

    async def start(self) -> None:
        if self._valkey is not None:
            await self._valkey.start()
        await self.registry.start()
        await self.notices.start()
        await self.writer.start()
        self._open = True

    async def stop(self) -> None:
        """Take nothing new, write what waits."""
        self._open = False
        await self.writer.stop()
        await self.notices.stop()
        await self.registry.stop()
        if self._valkey is not None:
            await self._valkey.stop()

    def healthy(self) -> bool:
        return self._open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin")
        if path == "/assets/core.js" or path == "/ux-core.js":
            await _reply(send, self._tracker.answer(method, headers), None)
            return
        if method == "OPTIONS":
            await _reply(send, Answer(204 if path == "/v1/events" else 200, b"", _ALLOW), origin)
            return
        legacy = path == "/api/sync"
        try:
            if method != "POST":
                answer = _refused(405, "method_not_allowed", "Only POST is answered here.")
                answer.headers = [(b"allow", b"POST, OPTIONS")]
            else:
                raw = await read_all(headers, receive)
                if path == "/api/call-event":
                    answer = await self._call_event(raw, headers, scope, origin)
                else:
                    answer = await self._events(raw, headers, scope, origin, legacy)
        except OpsMantikError as error:
            answer = _error(error, legacy)
        except Exception:
            log.exception("collect.failed", path=path)
            answer = _error(Unavailable(), legacy)
        await _reply(send, answer, origin)

    async def _events(
        self, raw: bytes, headers: Mapping[bytes, bytes], scope: Scope, origin: bytes | None, legacy: bool
    ) -> Answer:
        text, flags = clean(raw)
        body = read_body(text)
        name = site_id(body)
        site = self.registry.find(name)
        door = "sync" if legacy else "v1"
        arrival = self._arrival(door, site, headers, scope, origin, body)
        if site is None:
            if name is None and not legacy:
                raise Malformed(reason="it names no site")
            await self.writer.write([Refusal(None, door, Drop(Reason.UNKNOWN_SITE), b"")])
            if legacy:
                return Answer(
                    200, _encode({"ok": False, "score": 0, "status": "skipped", "reason": "unknown_site"})
                )
            raise UnknownSite
        items = len(body.events or body.batch or ()) or 1
        wait = await self._limit.wait(door, site.public_id, arrival.ip, cost=items)
        if wait:
            self.writer.note(Refusal(site.id, door, Drop(Reason.RATE_LIMITED), b"", events=items))
            raise TooManyRequests(retry_after=math.ceil(wait))
        outcomes = await self._store(site, door, read_events(body, text, arrival, flags), body, text)
        return _sync_answer(outcomes, body) if legacy else _v1_answer(outcomes)

    def _arrival(
        self,
        door: str,
        site: Site | None,
        headers: Mapping[bytes, bytes],
        scope: Scope,
        origin: bytes | None,
        body: Body,
    ) -> Arrival:
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = headers.get(b"x-forwarded-for")
        ip = client_ip(peer, forwarded.decode("latin-1") if forwarded else None, self._trusted)
        arrival = Arrival(
            door=door,
            site=site,
            origin=origin.decode("latin-1") if origin is not None else None,
            ip=truncate_ip(ip) or "",
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            received_ms=milliseconds(),
            sent_ms=int(body.sent) if type(body.sent) in (int, float) and 0 < body.sent < 1e14 else None,
            tracker=body.v[:32] if type(body.v) is str else None,
        )
        if self._edge != "none" and ip != peer:  # only from behind a proxy that we trust
            arrival.place = place_from_headers(headers, self._edge)
        return arrival

    async def _store(
        self, site: Site, door: str, events: list[Event | Drop], body: Body, text: bytes
    ) -> list[tuple[str, str | None, str | None]]:
        """One (outcome, event id, detail) an event, after the commit."""
        items: list[Item] = []
        told: list[tuple[str | None, str | None]] = []
        run = self.pipeline.run
        for place, event in enumerate(events):
            if type(event) is Drop:
                # As it came, so that it can be looked at, and let in again once the reason is gone.
                sent = body.events if body.events is not None else body.batch
                items.append(Refusal(site.id, door, event, bytes(sent[place]) if sent is not None else text))
                told.append((None, event.detail))
                continue
            result = run(event)  # type: ignore[arg-type]
            identity = str(event.id)  # type: ignore[union-attr]
            if type(result) is Drop:
                items.append(Refusal(site.id, door, result, event.raw))  # type: ignore[union-attr]
                told.append((identity, result.detail))
            else:
                items.append(result)  # type: ignore[arg-type]
                told.append((identity, None))
        outcomes = await self.writer.write(items)
        return [(outcome, *rest) for outcome, rest in zip(outcomes, told, strict=True)]

    async def _call_event(
        self, raw: bytes, headers: Mapping[bytes, bytes], scope: Scope, origin: bytes | None
    ) -> Answer:
        text, _ = clean(raw)
        try:
            call = msgspec.json.decode(text, type=CallEvent)
        except (msgspec.MsgspecError, RecursionError) as wrong:
            raise Malformed(reason=str(wrong)) from None
        if not (call.site_id and call.phone_number.strip() and call.fingerprint.strip()):
            raise Malformed(reason="site_id, phone_number and fingerprint are required")
        site = self.registry.find(call.site_id.replace("-", "").lower()[:64])
        if site is None:
            raise UnknownSite
        arrival = self._arrival("call", site, headers, scope, origin, Body())
        if site.disabled or (arrival.origin is not None and arrival.origin not in site.origins):
            raise Forbidden(reason=MESSAGES[Reason.SITE_DISABLED if site.disabled else Reason.ORIGIN_REFUSED])
        wait = await self._call_limit.wait("call", site.public_id, arrival.ip)
        if wait:
            raise TooManyRequests(retry_after=math.ceil(wait))
        recorded = await record_call(self._database, site, call)
        if recorded.is_new:
            self.notices.changed(site.id, True)
        return Answer(200, _encode(recorded.answer))


class Tracker:
    """The script, with a validator so that a browser asks again at most once an hour and gets 304."""

    def __init__(self) -> None:
        path = Path(__file__).parent / "static" / "core.js"
        self._body = path.read_bytes() if path.exists() else b""
        self._etag = b'"' + sha256(self._body).hexdigest()[:20].encode() + b'"'

    def answer(self, method: str, headers: Mapping[bytes, bytes]) -> Answer:
        if method not in ("GET", "HEAD"):
            return _refused(405, "method_not_allowed", "Only GET is answered here.")
        common = [
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"cache-control", b"public, max-age=3600, stale-while-revalidate=86400"),
            (b"etag", self._etag),
            (b"access-control-allow-origin", b"*"),
            (b"cross-origin-resource-policy", b"cross-origin"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if headers.get(b"if-none-match") == self._etag:
            return Answer(304, b"", common)
        return Answer(200, self._body, common)


async def read_all(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The body, inflated if need be, at most MAX_BODY bytes of it; more raises TooLarge before it is read."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > MAX_BODY:
        raise TooLarge(limit=MAX_BODY)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        size = len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Malformed(reason="it ended before it was whole")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MAX_BODY:
                raise TooLarge(limit=MAX_BODY)
        body = b"".join(parts)
    if len(body) > MAX_BODY:
        raise TooLarge(limit=MAX_BODY)
    encoding = headers.get(b"content-encoding")
    if encoding is None or encoding == b"identity":
        return body
    if encoding not in (b"gzip", b"deflate"):
        raise Malformed(reason="its content encoding is neither gzip nor deflate")
    return inflate(body)


def inflate(body: bytes) -> bytes:
    """A gzip or zlib body; stops at MAX_BODY whatever is left, so a bomb costs no more than that."""
    decoder = zlib.decompressobj(wbits=47)
    try:
        plain = decoder.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise Malformed(reason="it cannot be inflated") from None
    if len(plain) > MAX_BODY:
        raise TooLarge(limit=MAX_BODY)
    if not decoder.eof:
        raise Malformed(reason="its compressed form is cut short")
    return plain


async def _reply(send: Send, answer: Answer, origin: bytes | None) -> None:
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    if answer.body and not any(name == b"content-type" for name, _ in answer.headers):
        headers.append(_JSON)
    if origin is not None:
        # Every answer can be read by the page that asked, refusals too: who may post is not CORS's to say, and
        # an answer that a page cannot read looks like a broken network, which trackers retry for ever.
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", b"Retry-After"),
            (b"vary", b"Origin"),
        ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _refused(status: int, code: str, message: str) -> Answer:
    return Answer(status, _encode({"ok": False, "code": code, "error": message}))


def _error(error: OpsMantikError, legacy: bool) -> Answer:
    retry = error.status in (429, 503)
    if legacy and not retry:
        return Answer(
            200,
            _encode(
                {"ok": False, "score": 0, "status": "rejected", "reason": error.code, "error": error.message}
            ),
        )
    answer = _refused(error.status, error.code, error.message)
    if retry:
        answer.headers = [(b"retry-after", b"%d" % (error.retry_after or 1))]
    if error.status == 413:
        answer.headers = [(b"connection", b"close")]
    return answer


def _v1_answer(outcomes: list[tuple[str, str | None, str | None]]) -> Answer:
    if len(outcomes) == 1 and outcomes[0][0] in (STORED, PULSE):
        return Answer(
            200, b'{"ok":true,"results":[{"index":0,"id":"%b","status":"accepted"}]}' % _id(outcomes[0][1])
        )
    results: list[dict[str, Any]] = []
    worst = 200
    refused = 0
    for index, (outcome, identity, detail) in enumerate(outcomes):
        entry: dict[str, Any] = {"index": index, "id": identity}
        if outcome in (STORED, PULSE) or outcome in ANSWERED_AS_ACCEPTED:
            entry["status"] = "accepted"
        elif outcome == DUPLICATE:
            entry["status"] = "duplicate"
        else:
            refused += 1
            worst = max(worst, STATUS[Reason(outcome)])
            entry.update(status="rejected", reason=outcome, message=detail or MESSAGES[Reason(outcome)])
        results.append(entry)
    if refused < len(outcomes):
        worst = 200
    return Answer(worst, _encode({"ok": worst == 200, "results": results}))


def _id(identity: str | None) -> bytes:
    return (identity or "").encode()


def _sync_answer(outcomes: list[tuple[str, str | None, str | None]], body: Body) -> Answer:
    ok = any(outcome in _WRITTEN or outcome in ANSWERED_AS_ACCEPTED for outcome, _, _ in outcomes)
    outcome, identity, detail = outcomes[0]
    answer: dict[str, Any] = {"ok": ok, "score": 0, "status": outcome, "ingest_id": identity}
    if outcome in ANSWERED_AS_ACCEPTED:
        answer["status"] = STORED
    elif outcome not in _WRITTEN:
        answer.update(status="rejected", reason=outcome, error=detail or MESSAGES[Reason(outcome)])
    if len(outcomes) > 1 or body.events is not None or body.batch is not None:
        answer["results"] = _results(outcomes)
    return Answer(200, _encode(answer))


def _results(outcomes: list[tuple[str, str | None, str | None]]) -> list[Any]:
    decoded: dict[str, Any] = msgspec.json.decode(_v1_answer(outcomes).body)
    results: list[Any] = decoded["results"]
    return results
