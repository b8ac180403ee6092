"""Writes events: those of a few milliseconds, across requests, in one transaction. Commit, then answer.

Enters: items (an event, a count, or a refused payload), a request's worth at a time. Leaves: one outcome an item,
after the commit. A batch that the database refuses is halved until the one event that it cannot hold stands alone;
that one is kept among the rejected events and its neighbours are stored. A database that cannot be reached means
:class:`~opsmantik.errors.Unavailable` for everybody who waits, and nothing stored that was answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable, Unavailable
from opsmantik.event import Drop, Event, Reason, new_id
from opsmantik.ingest.drafts import event_row, intent_row, session_draft
from opsmantik.ingest.drops import KEPT
from opsmantik.ingest.review import Review, write_scores
from opsmantik.sessions.draft import SessionDraft, merge

log = structlog.get_logger()

INGEST = "SELECT duplicates, leads, called FROM ingest_batch_v2($1, $2, $3, $4, $5)"
BUSY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)
TRIES = 3
# More waiting than this and the newcomer is told to come back: memory stays bounded, and so does the wait.
MOST_WAITING = 20_000
# With more than one transaction under way a slow commit holds up nobody, and reading goes on beside writing.
CONNECTIONS = 3
LEAST_SHARE = 16

# A tap so soon after another of its visit is the same lead once more; ``ingest_batch_v2`` has the same for what is
# stored already.
REPEATS_MS = 30 * 60 * 1000

STORED = "stored"
PULSE = "pulse"
DUPLICATE = "duplicate"


class Refusal(msgspec.Struct, gc=False):
    """An event that was dropped on the way: counted, and kept if its reason says so."""

    site_id: UUID | None
    door: str
    drop: Drop
    payload: bytes
    received_at: Any = None
    events: int = 1  # how many it stands for


Item = Event | Refusal
Notice = Callable[[UUID, bool], None]


class Writer:
    """Gathers items while the transactions before them are under way."""

    def __init__(
        self, database: Database, on_commit: Notice, *, window_ms: float = 2, batch_max: int = 500
    ) -> None:
        self._database = database
        self._on_commit = on_commit
        self.review = Review(database, on_commit)
        self._window = window_ms / 1000
        self._batch_max = batch_max
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[list[str]]]] = []
        self._waiting_items = 0
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work()) for _ in range(CONNECTIONS)]
        await self.review.start()

    async def stop(self) -> None:
        """Write what waits, then end."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)
        await self.review.stop()

    async def write(self, items: Sequence[Item]) -> list[str]:
        """Store the items; one word an item: stored, pulse, duplicate, or the reason for which it is not.

        Raises :class:`~opsmantik.errors.Unavailable` when nothing could be stored and a retry is welcome.
        """
        if self._closing or self._waiting_items > MOST_WAITING:
            raise Unavailable
        future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, future))
        self._waiting_items += len(items)
        self._wake.set()
        return await future

    async def write_alone(self, event: Event) -> str:
        """Store one event in a transaction of its own; returns its outcome.

        What the database cannot hold raises the database's own error, and is not kept among the rejected again.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return (await self._commit([event]))[0]
            except BUSY:
                await asyncio.sleep(0.01 * attempt)
        raise Unavailable

    def note(self, refusal: Refusal) -> None:
        """Count a refusal with the next transaction; nobody waits for it."""
        if not self._closing and self._waiting_items < MOST_WAITING:
            future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._waiting.append(([refusal], future))
            self._waiting_items += 1
            self._wake.set()

    async def _work(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            if self._window and self._waiting_items < LEAST_SHARE and not self._closing:
                await asyncio.sleep(
                    self._window
                )  # a transaction costs as much as a dozen events: gather some
            taken = self._take()
            if not taken:
                continue
            try:
                outcomes = await self._store([item for items, _ in taken for item in items])
            except Unavailable as lost:
                for _, future in taken:
                    if not future.done():
                        future.set_exception(Unavailable(retry_after=lost.retry_after))
                continue
            except Exception:
                log.exception("ingest.write_failed", items=sum(len(items) for items, _ in taken))
                for _, future in taken:
                    if not future.done():
                        future.set_exception(Unavailable())
                continue
            start = 0
            for items, future in taken:
                if not future.done():
                    future.set_result(outcomes[start : start + len(items)])
                start += len(items)

    def _take(self) -> list[tuple[Sequence[Item], asyncio.Future[list[str]]]]:
        """The oldest requests: this connection's share of those that wait. A request is never torn apart.

        Taking all would set the pace for everybody: every client waits for one transaction, then all send at once
        and the database waits for them. With shares, one half is written while the other half is read.
        """
        most = min(self._batch_max, max(LEAST_SHARE, -(-self._waiting_items // CONNECTIONS)))
        size = count = 0
        for items, _ in self._waiting:
            if count and size + len(items) > most:
                break
            size += len(items)
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_items -= size
        return taken

    async def _store(self, items: list[Item]) -> list[str]:
        """The outcome of each item. Halves on an error that is the data's own."""
        for attempt in range(1, TRIES + 1):
            try:
                return await self._commit(items)
            except BUSY as busy:
                log.warning("ingest.retry", error=type(busy).__name__, attempt=attempt)
                await asyncio.sleep(0.01 * attempt)
            except DatabaseUnavailable:
                # A lost connection does not tell whether the commit went through. Writing again is safe: what is
                # there already is found to be a duplicate.
                if attempt == TRIES:
                    raise
                await asyncio.sleep(0.05 * attempt)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OverflowError) as refused:
                return await self._halve(items, refused)
        raise Unavailable

    async def _halve(self, items: list[Item], refused: Exception) -> list[str]:
        if len(items) > 1:
            middle = len(items) // 2
            return await self._store(items[:middle]) + await self._store(items[middle:])
        item = items[0]
        detail = f"{getattr(refused, 'sqlstate', None) or type(refused).__name__}: {refused}"[:500]
        log.error("ingest.unstorable", detail=detail)
        if isinstance(item, Refusal):
            return [item.drop.reason.value]
        site = item.arrival.site
        drop = Drop(Reason.UNSTORABLE, detail)
        refusal = Refusal(
            site.id if site is not None else None, item.arrival.door, drop, item.raw, item.arrival.received_at
        )
        await self._commit([refusal])
        return [Reason.UNSTORABLE.value]

    async def _commit(self, items: list[Item]) -> list[str]:
        batch = Batch(items)
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(
                INGEST,
                batch.sessions,
                batch.events,
                batch.intents,
                batch.tallies,
                batch.rejected,
            )
            leads = row["leads"] or ()
            if called := batch.called:
                # Whoever looks at a new lead sees its score; those that are there already can wait a second.
                await write_scores(connection, [lead for lead in leads if _visit(lead) in called])
        for place in row["duplicates"] or ():
            batch.outcomes[batch.event_places[place - 1]] = DUPLICATE
        self.review.visits(name for lead in leads if (name := _visit(lead)) not in batch.called)
        for event in batch.taps:
            self.review.lead(*event)
        sites_called = row["called"] or ()
        for site_id in batch.sites:
            self._on_commit(site_id, site_id in sites_called)
        return batch.outcomes


class Batch:
    """Items as the arguments of ``ingest_batch_v2``: at most one draft a session, no event twice, all sorted."""

    def __init__(self, items: list[Item]) -> None:
        self.outcomes: list[str] = [STORED] * len(items)
        self.rejected: list[tuple[Any, ...]] = []
        self._drafts: dict[tuple[UUID, UUID], SessionDraft] = {}
        self._events: dict[tuple[UUID, UUID], tuple[int, Event]] = {}
        self._tally: dict[tuple[UUID | None, str, Any], int] = {}
        for place, item in enumerate(items):
            if type(item) is Refusal:
                self._refuse(place, item)
            else:
                self._add(place, item)  # type: ignore[arg-type]
        # One order for every writer, so that two of them never wait for each other in a circle.
        names = sorted(self._drafts)
        self.sites = {site_id for site_id, _ in names}
        self.sessions = [self._drafts[name].row() for name in names]
        places = {name: place for place, name in enumerate(names, 1)}
        chosen = [self._events[name] for name in sorted(self._events)]
        self.event_places = [place for place, _ in chosen]
        self.events: list[tuple[Any, ...]] = []
        self.intents: list[tuple[Any, ...]] = []
        # by site and id, with the clock's correction
        self.taps: list[tuple[tuple[UUID, UUID], timedelta]] = []
        self.called: set[tuple[UUID, UUID]] = set()  # visits with a tap among these
        taps = _repeats([event for _, event in chosen if event.intent is not None])
        for _, event in chosen:
            visit = (event.arrival.site.id, event.session_id)  # type: ignore[union-attr]
            self.events.append(event_row(event, places[visit]))  # type: ignore[index]
            if event.intent is not None:
                identity, repeats = taps[id(event)]
                self.intents.append(intent_row(event, event.intent, places[visit], identity, repeats))  # type: ignore[index]
                self.taps.append(((visit[0], identity), _clock_shift(event)))
                self.called.add(visit)  # type: ignore[arg-type]
        self.tallies = [(site, outcome, n, at) for (site, outcome, at), n in self._tally.items()]

    def _add(self, place: int, event: Event) -> None:
        site = event.arrival.site
        assert site is not None and event.session_id is not None
        draft = session_draft(event)
        outcome = PULSE if event.is_pulse else STORED
        if not event.is_pulse:
            name = (site.id, event.id)
            if name in self._events or any((site.id, near) in self._events for near in event.near_ids or ()):
                outcome = DUPLICATE
            else:
                self._events[name] = (place, event)
                is_conversion = event.category == "conversion"
                draft.counts = (
                    1,
                    1 if event.action == "view" else 0,
                    1 if is_conversion else 0,
                    1 if event.intent is not None else 0,
                    1 if is_conversion and event.action == "form_submit" else 0,
                )
        session = (site.id, event.session_id)
        known = self._drafts.get(session)
        self._drafts[session] = draft if known is None else merge(known, draft)
        self.outcomes[place] = outcome
        self._count(site.id, outcome, event.arrival.received_at)

    def _refuse(self, place: int, item: Refusal) -> None:
        reason = item.drop.reason
        self.outcomes[place] = reason.value
        self._count(item.site_id, reason.value, item.received_at, item.events)
        if item.site_id is not None and reason in KEPT:
            payload = item.payload[:262_144]
            self.rejected.append(
                (item.site_id, new_id(), item.door, reason.value, item.drop.detail, payload, item.received_at)
            )

    def _count(self, site_id: UUID | None, outcome: str, received_at: Any, events: int = 1) -> None:
        name = (
            site_id,
            outcome,
            received_at.replace(minute=0, second=0, microsecond=0) if received_at else None,
        )
        self._tally[name] = self._tally.get(name, 0) + events


def _repeats(taps: list[Event]) -> dict[int, tuple[UUID, UUID | None]]:
    """An id for each tap, and that of the tap of the same visit, half an hour before at most, that it repeats."""
    found: dict[int, tuple[UUID, UUID | None]] = {}
    leads: dict[Any, tuple[int, UUID]] = {}
    for tap in sorted(taps, key=lambda event: (event.occurred_ms, event.id)):
        identity, repeats = new_id(), None
        if tap.intent.source == "click":  # type: ignore[union-attr]
            visit = (tap.arrival.site.id, tap.session_id)  # type: ignore[union-attr]
            lead = leads.get(visit)
            if lead is not None and tap.occurred_ms - lead[0] <= REPEATS_MS:
                repeats = lead[1]
            else:
                leads[visit] = (tap.occurred_ms, identity)
        found[id(tap)] = identity, repeats
    return found


def _visit(lead: Any) -> tuple[UUID, UUID]:
    return lead["site_id"], lead["session_id"]


def _clock_shift(event: Event) -> timedelta:
    """By how much the device's clock was off, as far as the sender said what time it had."""
    arrival = event.arrival
    return timedelta(milliseconds=arrival.sent_ms - arrival.received_ms if arrival.sent_ms is not None else 0)


def milliseconds() -> int:
    return time.time_ns() // 1_000_000
