"""The ingest doors: plain ASGI in front of the framework, which would cost three times the rest of the request.

``POST /v1/events`` answers as HTTP means it. ``POST /api/sync`` takes the same bodies and the first generation's,
and answers every final refusal with 200 and ``ok: false``: an error would jam that tracker's queue for a day.
``POST /api/call-event`` is for telephone systems, ``POST /api/call-event/v2`` for those that sign.
``GET /assets/core.js`` is the tracker.

A 2xx means: committed. 429 and 503 mean: nothing was stored, please try again after Retry-After seconds.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import structlog

from opsmantik.db.connect import Database
from opsmantik.db.valkey import Valkey
from opsmantik.errors import (
    BadSignature,
    Forbidden,
    Malformed,
    OpsMantikError,
    TooLarge,
    TooManyRequests,
    Unavailable,
    UnknownSite,
    UnsignedCallsOff,
)
from opsmantik.event import Arrival, Drop, Event, Reason, Site
from opsmantik.ingest.call_event import CallEvent, record_call
from opsmantik.ingest.drops import ANSWERED_AS_ACCEPTED, MESSAGES, STATUS, Quarantine
from opsmantik.ingest.limits import RateLimit, SharedLimit, SiteLimit
from opsmantik.ingest.notices import Notices
from opsmantik.ingest.origins_seen import OriginsSeen
from opsmantik.ingest.payload import BYTES_AN_EVENT, Body, clean, read_body, read_events, site_id
from opsmantik.ingest.pipeline import Pipeline, World, has_consent
from opsmantik.ingest.readmission import Doors
from opsmantik.ingest.registry import Registry
from opsmantik.ingest.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify
from opsmantik.ingest.signed_call import LONGEST_BODY, read_signed_call, record_signed_call
from opsmantik.ingest.writer import DUPLICATE, PULSE, STORED, Item, Refusal, Writer, milliseconds
from opsmantik.keyring import Keyring
from opsmantik.sessions.place import PlaceDatabase, client_ip, place_from_headers, truncate_ip
from opsmantik.settings import Settings

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 1_048_576
# Of a site that has a rate of its own, a client may send a quarter of a minute's worth at once.
OWN_BURST = 4
_WRITTEN = frozenset({STORED, PULSE, DUPLICATE})
_encode = msgspec.json.Encoder().encode
_JSON = (b"content-type", b"application/json")
_EXPOSED = b"Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
# No answer of these doors is a page: a browser that opens one by itself shows text, and keeps nothing.
_PLAIN = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
_STRICT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
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
    is_script: bool = False


class Collect:
    """The doors and what they need. Started and stopped with the application."""

    paths = frozenset(
        {"/v1/events", "/api/sync", "/api/call-event", "/api/call-event/v2", "/assets/core.js", "/ux-core.js"}
    )

    def __init__(self, database: Database, settings: Settings, keyring: Keyring | None = None) -> None:
        """``keyring`` opens the secrets that calls are signed with; without it signed calls have to wait."""
        self._database = database
        self.registry = Registry(database, keyring)
        self._valkey = Valkey(settings.valkey_url) if settings.valkey_url else None
        self.notices = Notices(database, self._valkey)
        self.writer = Writer(
            database, self.notices.changed, window_ms=settings.batch_window_ms, batch_max=settings.batch_max
        )
        self._places = PlaceDatabase(settings.geoip_database)
        self.pipeline = Pipeline(World(self._places.look_up))
        shared = SharedLimit(self._valkey) if self._valkey is not None else None
        self._limit = RateLimit(settings.rate_limit_per_minute, settings.rate_limit_burst, shared)
        self._own_limits: dict[int, RateLimit] = {}  # of sites that have a rate of their own, by that rate
        self._shared = shared
        most = settings.site_rate_limit_per_minute
        self._site_limit = SiteLimit(most) if most else None
        self._call_limit = RateLimit(
            min(settings.rate_limit_per_minute, 600), settings.rate_limit_burst, shared
        )
        self._trusted = settings.trusted_proxies
        self._edge = settings.geo_headers
        self._tracker = Tracker()
        self._plain = _PLAIN + ([_STRICT] if settings.base_url.startswith("https:") else [])
        self._quarantine = Quarantine()
        self._origins = OriginsSeen(database)
        self._open = False

    async def start(self) -> None:
        if self._valkey is not None:
            await self._valkey.start()
        await self.registry.start()
        await self.notices.start()
        await self.writer.start()
        await self._origins.start()
        self._open = True

    async def stop(self) -> None:
        """Take nothing new, write what waits."""
        self._open = False
        await self.writer.stop()
        await self._origins.stop()
        await self.notices.stop()
        await self.registry.stop()
        if self._valkey is not None:
            await self._valkey.stop()

    def doors(self) -> Doors:
        """What letting in what was refused needs."""
        return Doors(self.writer, self.pipeline.world, self.registry.by_id)

    def healthy(self) -> bool:
        return self._open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin")
        if path == "/assets/core.js" or path == "/ux-core.js":
            await _reply(send, self._tracker.answer(method, headers), None, self._plain)
            return
        if method == "OPTIONS":
            await _reply(send, Answer(204 if path == "/v1/events" else 200, b"", _ALLOW), origin, self._plain)
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
                elif path == "/api/call-event/v2":
                    answer = await self._signed_call(raw, headers, scope, origin)
                else:
                    answer = await self._events(raw, headers, scope, origin, legacy)
        except OpsMantikError as error:
            answer = _error(error, legacy)
        except Exception:
            log.exception("collect.failed", path=path)
            answer = _error(Unavailable(), legacy)
        await _reply(send, answer, origin, self._plain)

    async def _events(
        self, raw: bytes, headers: Mapping[bytes, bytes], scope: Scope, origin: bytes | None, legacy: bool
    ) -> Answer:
        door = "sync" if legacy else "v1"
        try:
            text, flags = clean(raw)
            body = read_body(text)
        except Malformed:
            await self._charge_stranger(door, headers, scope, len(raw))
            raise
        name = site_id(body)
        site = self.registry.find(name)
        arrival = self._arrival(door, site, headers, scope, origin, body)
        if site is None:
            if name is None and not legacy:
                raise Malformed(reason="it names no site")
            await self._charge_stranger(door, headers, scope, len(raw))
            await self.writer.write([Refusal(None, door, Drop(Reason.UNKNOWN_SITE), b"")])
            if legacy:
                return Answer(
                    200, _encode({"ok": False, "score": 0, "status": "skipped", "reason": "unknown_site"})
                )
            raise UnknownSite
        items = len(body.events or body.batch or ()) or 1
        cost = max(items, 1 + len(raw) // BYTES_AN_EVENT)
        limit = self._limit if site.rate_per_minute is None else self._own_limit(site.rate_per_minute)
        wait = await limit.wait(door, site.public_id, arrival.ip, cost=cost)
        if wait:
            raise self._too_many(site.id, door, wait, limit.per_minute, items)
        most = self._site_limit
        if most is not None and (wait := most.wait(site.public_id, cost)):
            raise self._too_many(site.id, door, wait, most.per_minute, items)
        outcomes = await self._store(site, arrival, read_events(body, text, arrival, flags), body, text)
        if arrival.origin is not None and outcomes[0][0] in _WRITTEN:
            self._origins.saw(site, arrival.origin, arrival.received_ms)
        return _sync_answer(outcomes, body) if legacy else _v1_answer(outcomes)

    async def _charge_stranger(
        self, door: str, headers: Mapping[bytes, bytes], scope: Scope, length: int
    ) -> None:
        """A body for no site of ours counts too: reading it costs the same. Raises TooManyRequests."""
        cost = 1 + length // BYTES_AN_EVENT
        wait = await self._limit.wait(door, "", truncate_ip(self._client(headers, scope)) or "", cost=cost)
        if wait:
            raise self._too_many(None, door, wait, self._limit.per_minute, 1)

    def _client(self, headers: Mapping[bytes, bytes], scope: Scope) -> str:
        """The visitor's address; what a proxy says counts only from one that is trusted."""
        forwarded = headers.get(b"x-forwarded-for")
        peer = scope["client"][0] if scope.get("client") else ""
        return client_ip(peer, forwarded.decode("latin-1") if forwarded else None, self._trusted)

    def _too_many(
        self, site_id: UUID | None, door: str, wait: float, per_minute: int, events: int
    ) -> TooManyRequests:
        """Counts them; what to raise."""
        self.writer.note(Refusal(site_id, door, Drop(Reason.RATE_LIMITED), b"", events=events))
        return TooManyRequests(retry_after=math.ceil(wait), limit=per_minute)

    def _own_limit(self, per_minute: int) -> RateLimit:
        """The limit of a site that has a rate of its own."""
        found = self._own_limits.get(per_minute)
        if found is None:
            burst = max(1, per_minute // OWN_BURST)
            found = self._own_limits[per_minute] = RateLimit(per_minute, burst, self._shared)
        return found

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

    def _refusal(self, site: Site, arrival: Arrival, drop: Drop, raw: bytes, event: Event | None) -> Refusal:
        """What is counted of it, and kept where there is room and the visitor's consent allows it. Of what cannot be read
        nobody knows the consent: where the site asks for it, its device and address are not kept with it.
        """
        known = arrival if event is not None or site.consent_mode != "required" else None
        keep = (event is None or has_consent(event)) and self._quarantine.has_room(
            site.id, drop.reason, arrival.received_ms
        )
        return Refusal(site.id, arrival.door, drop, raw, arrival=known, keep=keep)

    async def _store(
        self, site: Site, arrival: Arrival, events: list[Event | Drop], body: Body, text: bytes
    ) -> list[tuple[str, str | None, str | None]]:
        """One (outcome, event id, detail) an event, after the commit."""
        items: list[Item] = []
        told: list[tuple[str | None, str | None]] = []
        run = self.pipeline.run
        for place, event in enumerate(events):
            if type(event) is Drop:
                # As it came, so that it can be looked at, and let in again once the reason is gone.
                sent = body.events if body.events is not None else body.batch
                raw = bytes(sent[place]) if sent is not None else text
                items.append(self._refusal(site, arrival, event, raw, None))
                told.append((None, event.detail))
                continue
            result = run(event)  # type: ignore[arg-type]
            identity = str(event.id)  # type: ignore[union-attr]
            if type(result) is Drop:
                items.append(self._refusal(site, arrival, result, event.raw, event))  # type: ignore[union-attr,arg-type]
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
        await self._admit_call("call", site, self._arrival("call", site, headers, scope, origin, Body()))
        if not self.registry.call_rules.of(site.id).takes_unsigned:
            raise UnsignedCallsOff
        recorded = await record_call(self._database, site, call)
        if recorded.is_new:
            self.notices.changed(site.id, True)
        return Answer(200, _encode(recorded.answer))

    async def _signed_call(
        self, raw: bytes, headers: Mapping[bytes, bytes], scope: Scope, origin: bytes | None
    ) -> Answer:
        """The signature is verified over the body as it came; only then is the body believed, and the database asked."""
        if len(raw) > LONGEST_BODY:
            raise TooLarge(limit=LONGEST_BODY)
        text, _ = clean(raw)
        call = read_signed_call(text)
        site = self.registry.find(call.site_id.replace("-", "").lower())
        if site is None:
            raise UnknownSite
        await self._admit_call("call2", site, self._arrival("call", site, headers, scope, origin, Body()))
        rule = self.registry.call_rules.of(site.id)
        stamp, given = headers.get(TIMESTAMP_HEADER), headers.get(SIGNATURE_HEADER)
        try:
            signature = verify(rule.secrets, stamp, given, raw, time.time())
        except BadSignature:
            if rule.sealed and given is not None:  # it may be right; nobody here can tell
                raise Unavailable from None
            raise
        recorded = await record_signed_call(self._database, site, call, signature)
        if recorded.is_new:
            self.notices.changed(site.id, True)
        return Answer(200, _encode(recorded.body))

    async def _admit_call(self, door: str, site: Site, arrival: Arrival) -> None:
        if site.disabled or (arrival.origin is not None and not site.admits(arrival.origin)):
            raise Forbidden(reason=MESSAGES[Reason.SITE_DISABLED if site.disabled else Reason.ORIGIN_REFUSED])
        wait = await self._call_limit.wait(door, site.public_id, arrival.ip)
        if wait:
            raise TooManyRequests(retry_after=math.ceil(wait), limit=self._call_limit.per_minute)


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
            return Answer(304, b"", common, is_script=True)
        return Answer(200, self._body, common, is_script=True)


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


async def _reply(send: Send, answer: Answer, origin: bytes | None, plain: list[tuple[bytes, bytes]]) -> None:
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    if not answer.is_script:
        headers += plain
        if answer.body:
            headers.append(_JSON)
    if origin is not None:
        # Every answer can be read by the page that asked, refusals too: who may post is not CORS's to say, and
        # an answer that a page cannot read looks like a broken network, which trackers retry for ever.
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", _EXPOSED),
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
        after = error.retry_after or 1
        answer.headers = [(b"retry-after", b"%d" % after)]
        limit = error.details.get("limit")
        if isinstance(limit, int):
            answer.headers += [
                (b"x-ratelimit-limit", b"%d" % limit),  # events a minute
                (b"x-ratelimit-remaining", b"0"),
                (b"x-ratelimit-reset", b"%d" % (math.ceil(time.time()) + after)),  # seconds since 1970
            ]
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
