"""``GET /api/v1/sites/{site}/stream``: server-sent events that say when a site has changed. Its contract:

- ``change``: the site is at the state whose number is the event's ``id``; ``data`` is ``{"sequence", "kind"}``, kind
  ``i`` where a lead is new, else ``e``. Sequence 0, without an id: notices were missed, look for yourself.
- Whoever says which state they know (``Last-Event-ID``, or ``since`` in the query) hears at once if there is a newer
  one, and nothing if there is not. Only the newest state is ever told.
- ``heartbeat`` at once and every fifteen seconds: the way from the database to here works. None comes while it
  does not, only a comment that keeps the connection open.
- It ends within ten minutes. The client then connects anew, as it should after every end, and access is checked anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import structlog
from litestar import get
from litestar.types import ASGIApp

from opsmantik.dashboard.asked import asked_site
from opsmantik.errors import NotFound
from opsmantik.sites import store as sites
from opsmantik.web.api import READS
from opsmantik.web.guard import asker
from opsmantik.web.live import Live, Page
from opsmantik.web.rendering import PageRequest

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
LIFE_SECONDS = 600.0
RETRY_MS = 1000
SEND_SECONDS = 10.0  # a page that takes nothing for so long has gone

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Stream:
    """The answer to one page: an ASGI application that ends when the page goes, or after ten minutes."""

    def __init__(
        self, live: Live, site_id: UUID, known: int | None, current: Callable[[], Awaitable[int]]
    ) -> None:
        self._live = live
        self._site_id = site_id
        self._known = known
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._live.page(self._site_id) as page:
            # Only after taking part: what happens between the two must not be missed.
            current = await self._current()
            if self._known == current:
                page.sequence = max(page.sequence, current)
            else:
                page.tell(current, True)
            gone = asyncio.create_task(_until_gone(receive))
            try:
                await self._run(page, send, gone)
            except (OSError, TimeoutError):
                log.info("live.slow_page", site=str(self._site_id))
            finally:
                gone.cancel()

    async def _run(self, page: Page, send: Send, gone: asyncio.Task[None]) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with contextlib.aclosing(self._events(page, gone)) as events:
            async for event in events:
                message = {"type": "http.response.body", "body": event, "more_body": True}
                await asyncio.wait_for(send(message), SEND_SECONDS)
        if not gone.done():
            end = {"type": "http.response.body", "body": b"", "more_body": False}
            await asyncio.wait_for(send(end), SEND_SECONDS)

    async def _events(self, page: Page, gone: asyncio.Task[None]) -> AsyncGenerator[bytes, None]:
        yield b"retry: %d\n\n" % RETRY_MS
        loop = asyncio.get_running_loop()
        ends, beat = loop.time() + LIFE_SECONDS * random.uniform(0.9, 1), loop.time()
        while loop.time() < ends and not gone.done() and not self._live.closing.is_set():
            if page.wake.is_set():
                yield change(*page.take())
            if loop.time() >= beat:
                beat = loop.time() + HEARTBEAT_SECONDS
                yield heartbeat() if self._live.listening else b": waiting for the database\n\n"
            woken = asyncio.create_task(page.wake.wait())
            await asyncio.wait({woken, gone}, timeout=beat - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()


def change(sequence: int, intents: bool) -> bytes:
    """The site is at this number; without an ``id`` where nobody knows it, so that the browser keeps its own."""
    identity = b"id: %d\n" % sequence if sequence else b""
    data = b'{"sequence":%d,"kind":"%s"}' % (sequence, b"i" if intents else b"e")
    return b"event: change\n%sdata: %s\n\n" % (identity, data)


def heartbeat() -> bytes:
    """Proof of life, with the server's time."""
    return b"event: heartbeat\ndata: %s\n\n" % datetime.now(UTC).isoformat(timespec="seconds").encode()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@get("/api/v1/sites/{site_name:str}/stream", opt=READS)
async def stream(request: PageRequest) -> ASGIApp:
    """The stream of a site, named by its id or public id.

    Access is checked here, once a connection. Raises :class:`~opsmantik.errors.NotFound` for a site that is not there
    or not the asker's: no word which.
    """
    state, who = request.app.state, asker(request)
    async with state.database.as_person(who) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
    if site is None:
        raise NotFound(what="site")
    site_id = site.id

    async def current() -> int:
        async with state.database.as_person(who) as (connection, _):
            return await sites.sequence(connection, site_id)

    known = str(request.headers.get("last-event-id") or request.query_params.get("since", ""))[:18]
    return cast("ASGIApp", Stream(state.live, site_id, int(known) if known.isdecimal() else None, current))


HANDLERS = [stream]
