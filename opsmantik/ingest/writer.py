"""Writes events: those of a few milliseconds, across requests, in one transaction. Commit, then answer.

Enters: items (an event, a count, or a refused payload), a request's worth at a time. Leaves: one outcome an item,
after the commit. Sites take turns: whoever floods waits behind himself. A batch that the database refuses is halved
until the one event that it cannot hold stands alone; that one is kept among the rejected events and its neighbours are
stored. A database that cannot be reached means :class:`~opsmantik.errors.Unavailable` for everybody who waits, and
nothing stored that was answered.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable, Unavailable
from opsmantik.event import Arrival, Drop, Event, Reason, new_id
from opsmantik.ingest.drafts import event_row, intent_row, session_draft
from opsmantik.ingest.drops import KEPT, KEPT_BYTES
from opsmantik.ingest.review import Review, write_scores
from opsmantik.ingest.spread import Spread
from opsmantik.sessions.draft import SessionDraft, merge

log = structlog.get_logger()

INGEST = "SELECT duplicates, leads, called FROM ingest_batch_v2($1, $2, $3, $4, '{}')"
KEEP = "SELECT keep_rejected($1)"
# Of two batches in one transaction the first has had this checked at once, and the setting stays.
DEFER = "SET CONSTRAINTS session_keys_session_fkey DEFERRED"
BUSY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)
TRIES = 3
# A try that took longer than this waited in vain for a database that is away: whoever waits behind it is told sooner, and
# comes back, if this one waits no second time.
VAIN_SECONDS = 1.0
# More waiting than this and the newcomer is told to come back: memory stays bounded, and so does the wait. One site may
# hold as many as there are places free: a flood fills half of them, and there is always room for the next site.
MOST_WAITING = 20_000
# What is only counted goes with the next batch; where there is none, nobody waits for it to be written at once.
NOTE_SECONDS = 0.05
# With more than one transaction under way a slow commit holds up nobody, and reading goes on beside writing.
CONNECTIONS = 3
LEAST_SHARE = 16

# A tap so soon after another of its visit is the same lead once more; ``ingest_batch_v2`` has the same for what is
# stored already.
REPEATS_MS = 30 * 60 * 1000

# Bounds of what is told about batches: items, and seconds from the first try to the commit.
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

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
    arrival: Arrival | None = None  # how it came, as far as that may be kept with it
    keep: bool = True


class _Queue:
    """The requests of one site that wait, the oldest first."""

    __slots__ = ("items", "requests")

    def __init__(self) -> None:
        self.items = 0
        self.requests: deque[Waiting] = deque()

    def take(self, most: int, into: list[Waiting]) -> int:
        """Move requests of at most so many items, or one that is larger; how many items that were."""
        requests = self.requests
        size = 0
        while requests and (not size or size + len(requests[0][0]) <= most):
            taken = requests.popleft()
            size += len(taken[0])
            into.append(taken)
        self.items -= size
        return size


Item = Event | Refusal
# A request's items, and who waits for their outcomes.
Waiting = tuple[Sequence[Item], "asyncio.Future[list[str]] | None"]
Notice = Callable[[UUID, bool], None]
# Items of a batch, its seconds, and whether it was written.
Watch = Callable[[int, float, bool], None]


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
        self._queues: dict[int | None, _Queue] = {}  # by the site's id, as a number: it is hashed faster
        self._waiting_items = 0
        self._noted: dict[tuple[UUID | None, str, Reason], int] = {}
        self._notes_due = False
        self._note_timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        # What metrics read: events by outcome, batches, and those that could not be written.
        self.outcomes: dict[str, int] = {}
        self.sizes, self.seconds, self.failed = Spread(SIZES), Spread(SECONDS), 0
        self.watch: Watch | None = None

    @property
    def waiting(self) -> int:
        """Items that wait for a transaction at this moment."""
        return self._waiting_items

    def healthy(self) -> bool:
        """Whether whatever is written now will be stored: it has not ended, and its tasks live."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

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
        first = items[0]
        if type(first) is Refusal:
            name = first.site_id.int if first.site_id is not None else None
        else:
            name = first.arrival.site.id.int  # type: ignore[union-attr]
        queue = self._queues.get(name)
        free = MOST_WAITING - self._waiting_items
        if self._closing or free <= 0 or (queue is not None and queue.items > free):
            raise Unavailable
        if queue is None:
            queue = self._queues[name] = _Queue()
        future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        queue.requests.append((items, future))
        queue.items += len(items)
        self._waiting_items += len(items)
        self._wake.set()
        return await future

    async def write_within(
        self, connection: Any, events: Sequence[Event]
    ) -> tuple[list[str], Callable[[], None]]:
        """Store events in the caller's own transaction: their outcomes, and what to call once it is committed.

        What the database cannot hold raises the database's own error, and is not kept among the rejected again.
        """
        batch = Batch(list(events))
        await connection.execute(DEFER)
        leads = await batch.write(connection)
        return batch.outcomes, partial(self._committed, batch, leads)

    def note(self, refusal: Refusal) -> None:
        """Count a refusal with the next transaction; nobody waits for it, and nothing of it is kept."""
        name = (refusal.site_id, refusal.door, refusal.drop.reason)
        self._noted[name] = self._noted.get(name, 0) + refusal.events
        if self._note_timer is None:
            self._note_timer = asyncio.get_running_loop().call_later(NOTE_SECONDS, self._call_notes)

    def _call_notes(self) -> None:
        self._note_timer = None
        self._notes_due = True
        self._wake.set()

    async def _work(self) -> None:
        while True:
            if not self._queues and not (self._noted and (self._notes_due or self._closing)):
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
            began = time.perf_counter()
            together = [item for items, _ in taken for item in items]
            try:
                outcomes = await self._store(together)
            except Unavailable as lost:
                self._note_batch(len(together), began, written=False)
                self._fail(taken, lost.retry_after)
                continue
            except Exception:
                self._note_batch(len(together), began, written=False)
                log.exception("ingest.write_failed", items=len(together))
                self._fail(taken, None)
                continue
            self._note_batch(len(together), began, written=True)
            start = 0
            for items, future in taken:
                if future is not None and not future.done():
                    future.set_result(outcomes[start : start + len(items)])
                start += len(items)

    def _note_batch(self, items: int, began: float, *, written: bool) -> None:
        seconds = time.perf_counter() - began
        if written:
            self.sizes.add(items)
            self.seconds.add(seconds)
        else:
            self.failed += 1
        if self.watch is not None:
            self.watch(items, seconds, written)

    def _fail(self, taken: list[Waiting], retry_after: int | None) -> None:
        """Nothing of it is stored. Who waits is told so; what was only to be counted is tried again."""
        for items, future in taken:
            if future is None:
                for item in items:
                    if type(item) is Refusal and not self._closing:
                        self.note(item)
            elif not future.done():
                future.set_exception(Unavailable(retry_after=retry_after))

    def _take(self) -> list[Waiting]:
        """This connection's share of the requests that wait. A request is never torn apart.

        Taking all would set the pace for everybody: every client waits for one transaction, then all send at once
        and the database waits for them. With shares, one half is written while the other half is read.

        Where several sites wait each gets as many places as the others, the one that was served longest ago first;
        what they leave is for whoever has more. So a site that floods makes nobody wait but itself.
        """
        most = min(self._batch_max, max(LEAST_SHARE, -(-self._waiting_items // CONNECTIONS)))
        taken: list[Waiting] = []
        size = 0
        queues = self._queues
        share = most if len(queues) < 2 else max(1, most // len(queues))
        while queues and size < most:
            for name in list(queues):
                queue = queues[name]
                size += queue.take(min(share, most - size), taken)
                del queues[name]
                if queue.requests:
                    queues[name] = queue  # behind the others
                if size >= most:
                    break
            share = most
        self._waiting_items -= size
        if self._noted:
            taken += [
                ((Refusal(site_id, door, Drop(reason), b"", events=n, keep=False),), None)
                for (site_id, door, reason), n in self._noted.items()
            ]
            self._noted.clear()
            self._notes_due = False
        return taken

    async def _store(self, items: list[Item]) -> list[str]:
        """The outcome of each item. Halves on an error that is the data's own."""
        for attempt in range(1, TRIES + 1):
            began = time.perf_counter()
            try:
                return await self._commit(items)
            except BUSY as busy:
                log.warning("ingest.retry", error=type(busy).__name__, attempt=attempt)
                await asyncio.sleep(0.01 * attempt)
            except DatabaseUnavailable:
                # A lost connection does not tell whether the commit went through. Writing again is safe: what is
                # there already is found to be a duplicate.
                if attempt == TRIES or time.perf_counter() - began > VAIN_SECONDS:
                    raise
                await asyncio.sleep(0.05 * attempt)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OverflowError) as refused:
                # A visit that was erased between our look at it and our writing: next time it is seen to be new.
                if isinstance(refused, asyncpg.ForeignKeyViolationError) and attempt < TRIES:
                    continue
                return await self._halve(items, refused)
        raise Unavailable

    async def _halve(self, items: list[Item], refused: Exception) -> list[str]:
        if len(items) > 1:
            middle = len(items) // 2
            return await self._store(items[:middle]) + await self._store(items[middle:])
        item = items[0]
        detail = f"{getattr(refused, 'sqlstate', None) or type(refused).__name__}: {refused}"[:500]
        # Not the error's own words: they quote the row, which is a visitor's data. It is kept with the refused event.
        log.error("ingest.unstorable", error=detail.partition(":")[0])
        if isinstance(item, Refusal):
            return [item.drop.reason.value]
        site = item.arrival.site
        drop = Drop(Reason.UNSTORABLE, detail)
        refusal = Refusal(
            site.id if site is not None else None, item.arrival.door, drop, item.raw, item.arrival.received_at,
            arrival=item.arrival,
        )  # fmt: skip
        await self._commit([refusal])
        return [Reason.UNSTORABLE.value]

    async def _commit(self, items: list[Item]) -> list[str]:
        batch = Batch(items)
        async with self._database.connection() as connection, connection.transaction():
            leads = await batch.write(connection)
        self._committed(batch, leads)
        return batch.outcomes

    def _committed(self, batch: Batch, leads: Sequence[Any]) -> None:
        """Count it, and tell of it whoever wants to know."""
        for outcome, n in batch.tally():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + n
        self.review.visits(name for lead in leads if (name := _visit(lead)) not in batch.called)
        for event in batch.taps:
            self.review.lead(*event)
        for site_id in batch.sites:
            self._on_commit(site_id, site_id in batch.sites_called)


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
        self.sites_called: Sequence[UUID] = ()
        self._known = 0  # events that were found to be stored already

    def tally(self) -> Iterator[tuple[str, int]]:
        """How many events ended how, once it is written; an outcome may come more than once."""
        for (_, outcome, _at), n in self._tally.items():
            yield outcome, n
        if self._known:
            yield STORED, -self._known
            yield DUPLICATE, self._known

    async def write(self, connection: Any) -> Sequence[Any]:
        """Write it in the connection's transaction; the facts of the visits whose leads are to be looked at again."""
        row = await connection.fetchrow(INGEST, self.sessions, self.events, self.intents, self.tallies)
        leads: Sequence[Any] = row["leads"] or ()
        if self.called:
            # Whoever looks at a new lead sees its score; those that are there already can wait a second.
            await write_scores(connection, [lead for lead in leads if _visit(lead) in self.called])
        if self.rejected:
            await connection.execute(KEEP, self.rejected)
        self._known = len(row["duplicates"] or ())
        for place in row["duplicates"] or ():
            self.outcomes[self.event_places[place - 1]] = DUPLICATE
        self.sites_called = row["called"] or ()
        return leads

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
        if item.site_id is not None and item.keep and reason in KEPT:
            self.rejected.append(_kept_row(item.site_id, item))

    def _count(self, site_id: UUID | None, outcome: str, received_at: Any, events: int = 1) -> None:
        name = (
            site_id,
            outcome,
            received_at.replace(minute=0, second=0, microsecond=0) if received_at else None,
        )
        self._tally[name] = self._tally.get(name, 0) + events


def _kept_row(site_id: UUID, item: Refusal) -> tuple[Any, ...]:
    """A value of the database type ``rejected_row_v2``."""
    drop, arrival = item.drop, item.arrival
    known: tuple[Any, ...] = (None,) * 5
    if arrival is not None:
        origin = arrival.origin[:300].replace("\x00", "") if arrival.origin is not None else None
        agent = arrival.user_agent[:400].replace("\x00", "")
        known = (origin, agent, arrival.ip or None, arrival.sent_ms, arrival.tracker)
    return (
        site_id, new_id(), item.received_at, item.door, drop.reason.value, drop.detail, item.payload[:KEPT_BYTES], *known,
    )  # fmt: skip


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
