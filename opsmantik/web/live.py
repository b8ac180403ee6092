"""Tells open pages that their site has changed, within milliseconds, and never what has changed.

Enters: notices ``<site uuid>:<sequence>:<i|e>`` (i: with a new intent) from one LISTEN connection on :data:`CHANNEL`,
and where nodes share a Valkey from one subscription there as well: a notice comes one way or the other. Leaves: a
nudge for each open page of that site. The page then asks for the cards that changed: the database is the only source
of a number on any screen, so a notice that comes twice, late or out of order does no harm.

What a page is owed is at most one event, the newest, however slow it reads: that is the whole buffer.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID

import structlog

from opsmantik.db.listen import Listener
from opsmantik.db.valkey import Subscription
from opsmantik.errors import DatabaseUnavailable, Unavailable

log = structlog.get_logger()

CHANNEL = "opsmantik"
LOOK_SECONDS = 1.0
MOST_PAGES = 2000
MOST_PAGES_A_SITE = 200  # so that one site's pages leave room for the others'

Look = Callable[[Sequence[UUID]], Awaitable[dict[UUID, int]]]


class Page:
    """One open page: the newest thing that it does not know yet."""

    def __init__(self) -> None:
        self.sequence = 0
        self.intents = False
        self.wake = asyncio.Event()

    def tell(self, sequence: int, intents: bool) -> None:
        """The site is at this number. What the page was told already is no news, unless it is of a lead."""
        if sequence > self.sequence or intents:
            self.sequence = max(self.sequence, sequence)
            self.intents = self.intents or intents
            self.wake.set()

    def tell_to_look(self) -> None:
        """Nobody knows what was missed, nor whether the numbers still go on from where they were."""
        self.sequence = 0
        self.intents = True
        self.wake.set()

    def take(self) -> tuple[int, bool]:
        """What to tell the page now. Sequence 0: look for yourself."""
        news = self.sequence, self.intents
        self.intents = False
        self.wake.clear()
        return news


class Live:
    """The listeners and the pages that wait on them.

    ``look`` gives the present sequence of sites; it is asked while Valkey, if there is one, is not heard. ``heard`` is
    called before any page is told of anything.
    """

    def __init__(
        self, app_dsn: str, valkey_url: str | None = None, look: Look | None = None,
        heard: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._heard = heard
        self._listener = Listener(app_dsn, CHANNEL, self._noticed, self._look_again, name="live")
        self._turned = asyncio.Event()
        self._subscription = (
            Subscription(valkey_url, CHANNEL, self._noticed, self._turned.set, name="live")
            if valkey_url and look
            else None
        )
        self._look = look
        self._looking: asyncio.Task[None] | None = None
        self._seen = True  # the last look succeeded
        self._pages: dict[UUID, set[Page]] = defaultdict(set)
        self._count = 0
        self.closing = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; returns at once, and goes on trying while database or Valkey are away."""
        self.closing.clear()
        await self._listener.start()
        if self._subscription is not None:
            await self._subscription.start()
            self._looking = asyncio.create_task(self._keep_looking(self._subscription))

    @property
    def listening(self) -> bool:
        """Whether changes are told at this moment, whichever way they come."""
        deaf = self._subscription is not None and not self._subscription.listening
        return self._listener.listening and (self._seen or not deaf)

    @property
    def open_pages(self) -> int:
        """Streams that are open at this moment."""
        return self._count

    def close_pages(self) -> None:
        """End all streams, so that the server can stop; the pages connect again by themselves."""
        self.closing.set()
        for pages in self._pages.values():
            for page in pages:
                page.wake.set()

    async def stop(self) -> None:
        """End all streams and stop to listen."""
        self.close_pages()
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        if self._subscription is not None:
            await self._subscription.stop()
        await self._listener.stop()

    def _look_again(self) -> None:
        """After a loss every page looks for itself: notices were missed."""
        self._heard()
        for pages in self._pages.values():
            for page in pages:
                page.tell_to_look()

    async def _keep_looking(self, subscription: Subscription) -> None:
        """Where another node's notices went to a Valkey that this one did not hear, the database knows.

        Once at each turn, when the subscription is lost and when it stands again, and every second in between; one
        question for all sites that somebody looks at, and only pages that are behind hear of it.
        """
        while True:
            # Not wait_for: before Python 3.12 it may swallow a cancellation that comes with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(None if subscription.listening else LOOK_SECONDS):
                    await self._turned.wait()
            self._turned.clear()
            await self._catch_up()

    async def _catch_up(self) -> None:
        if self._look is None or not self._pages:
            return
        try:
            now = await self._look(list(self._pages))
            self._seen = True
        except DatabaseUnavailable:
            self._seen = False
            return
        except Exception:
            self._seen = False
            log.exception("live.look_failed")
            return
        self._heard()
        for site_id, sequence in now.items():
            for page in self._pages.get(site_id, ()):
                if sequence > page.sequence:
                    page.tell(sequence, True)

    def _noticed(self, payload: str) -> None:
        try:
            self._heard()
            site, sequence, kind = payload.split(":")
            self.changed(UUID(site), int(sequence), kind == "i")
        except ValueError:
            log.warning("live.unreadable", payload=payload[:100])

    def changed(self, site_id: UUID, sequence: int, intents: bool) -> None:
        """Tell the site's pages; costs nothing where nobody looks."""
        for page in self._pages.get(site_id, ()):
            page.tell(sequence, intents)

    @contextmanager
    def page(self, site_id: UUID) -> Iterator[Page]:
        """Take part from here on. Raises :class:`~opsmantik.errors.Unavailable` when too many do."""
        full = self._count >= MOST_PAGES or len(self._pages.get(site_id, ())) >= MOST_PAGES_A_SITE
        if full or self.closing.is_set():
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
