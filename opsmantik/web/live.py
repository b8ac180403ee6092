"""Tells open pages that their site has changed, within milliseconds, and never what has changed.

Enters: one LISTEN connection on :data:`CHANNEL`, payloads ``<site uuid>:<sequence>:<i|e>`` (i: with a new
intent). Leaves: server-sent events, to any number of pages. A page then asks for the cards that changed: the
database is the only source of a number on any screen.

What a page is owed is at most one event, the newest, however slow it reads: that is the whole buffer. A
heartbeat means that the way from the database to the page works; while LISTEN is lost there is none, so the
page's badge says so and the page asks by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from opsmantik.db.listen import Listener
from opsmantik.errors import Unavailable

log = structlog.get_logger()

CHANNEL = "opsmantik"
HEARTBEAT_SECONDS = 5.0
LIFE_SECONDS = 600.0  # then the page connects anew, which checks again that it may
RETRY_MS = 1000
SEND_SECONDS = 10.0  # a page that takes nothing for so long has gone
MOST_PAGES = 2000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Page:
    """One open page: the newest thing that it does not know yet."""

    def __init__(self) -> None:
        self.sequence = 0
        self.intents = False
        self.wake = asyncio.Event()

    def tell(self, sequence: int, intents: bool) -> None:
        self.sequence = max(self.sequence, sequence)
        self.intents = self.intents or intents
        self.wake.set()

    def take(self) -> tuple[int, bool]:
        news = self.sequence, self.intents
        self.intents = False
        self.wake.clear()
        return news


class Live:
    """The listener and the pages that wait on it."""

    def __init__(self, app_dsn: str) -> None:
        self._listener = Listener(app_dsn, CHANNEL, self._noticed, self._look_again, name="live")
        self._pages: dict[UUID, set[Page]] = defaultdict(set)
        self._count = 0
        self.closing = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; returns at once, and goes on trying while the database is away."""
        self.closing.clear()
        await self._listener.start()

    @property
    def listening(self) -> bool:
        """Whether notices come through at this moment."""
        return self._listener.listening

    def close_pages(self) -> None:
        """End all streams, so that the server can stop; the pages connect again by themselves."""
        self.closing.set()
        for pages in self._pages.values():
            for page in pages:
                page.wake.set()

    async def stop(self) -> None:
        """End all streams and stop to listen."""
        self.close_pages()
        await self._listener.stop()

    def _look_again(self) -> None:
        """After a loss every page looks for itself: notices were missed."""
        for pages in self._pages.values():
            for page in pages:
                page.tell(0, True)

    def _noticed(self, payload: str) -> None:
        try:
            site, sequence, kind = payload.split(":")
            self.changed(UUID(site), int(sequence), kind == "i")
        except ValueError:
            log.warning("live.unreadable", payload=payload[:100])

    def changed(self, site_id: UUID, sequence: int, intents: bool) -> None:
        """Tell the site's pages; costs nothing where nobody looks."""
        for page in self._pages.get(site_id, ()):
            page.tell(sequence, intents)

    @contextmanager
    def page(self, site_id: UUID) -> Any:
        """Take part from here on. Raises :class:`~opsmantik.errors.Unavailable` when too many do."""
        if self.closing.is_set() or self._count >= MOST_PAGES:
            raise Unavailable(retry_after=5)
        page = Page()
        self._pages[site_id].add(page)
        self._count += 1
        try:
            yield page
        finally:
            self._count -= 1
            self._pages[site_id].discard(page)
            if not self._pages[site_id]:
                del self._pages[site_id]


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
            if self._known != current:
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
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, page: Page, gone: asyncio.Task[None]) -> AsyncGenerator[bytes, None]:
        yield b"retry: %d\n\n" % RETRY_MS
        loop = asyncio.get_running_loop()
        ends, beat = loop.time() + LIFE_SECONDS * random.uniform(0.9, 1), loop.time()
        while loop.time() < ends and not gone.done() and not self._live.closing.is_set():
            if page.wake.is_set():
                sequence, intents = page.take()
                yield b'event: change\nid: %d\ndata: {"sequence":%d,"kind":"%s"}\n\n' % (
                    sequence, sequence, b"i" if intents else b"e",
                )  # fmt: skip
            if loop.time() >= beat:
                beat = loop.time() + HEARTBEAT_SECONDS
                yield heartbeat() if self._live.listening else b": waiting for the database\n\n"
            woken = asyncio.create_task(page.wake.wait())
            await asyncio.wait({woken, gone}, timeout=beat - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()


def heartbeat() -> bytes:
    """Proof of life, with the server's time."""
    return b"event: heartbeat\ndata: %s\n\n" % datetime.now(UTC).isoformat(timespec="seconds").encode()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
