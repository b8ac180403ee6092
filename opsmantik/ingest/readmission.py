"""Letting refused events in, one or many: through the pipeline and the writer as at first, at the time at which they came.

Exactly the step that refused an event is left out, since a person has decided what it would: its sender's program, its
origin, or the site's quota. All others look at it once more, by what was kept with it; so it may be refused again, for
another reason. What is in is stored once, however often it is tried: its identity is that of its body. It is written, and
the books are moved, in one transaction with the note of who did it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.errors import Conflict, Malformed, NotFound, Unavailable
from opsmantik.event import Arrival, Drop, Event, Reason, Site, new_id
from opsmantik.ingest.dead_letters import SQL, DeadLetter, find_letter
from opsmantik.ingest.first_generation import read_first_generation
from opsmantik.ingest.payload import clean, read_body
from opsmantik.ingest.pipeline import PIPELINE, Step, World, drop_bot, drop_over_quota, drop_refused_origin
from opsmantik.ingest.present import read_item
from opsmantik.ingest.writer import BUSY, TRIES, Writer

FLAG: Final = "readmitted"
ALREADY: Final = "already"
"""The outcome of one that somebody has let in before."""
AT_ONCE: Final = 100
"""Events in one transaction."""
MOST: Final = 1000
"""Events that are let in by one request."""

_SKIPPED: Final[dict[str, Step]] = {
    Reason.BOT: drop_bot,
    Reason.ORIGIN_REFUSED: drop_refused_origin,
    Reason.OVER_QUOTA: drop_over_quota,
}
_UNFIT: Final = (asyncpg.PostgresError, ValueError, OverflowError)


class Doors(msgspec.Struct, frozen=True):
    """What the doors know and have that letting in needs."""

    writer: Writer
    world: World
    site_of: Callable[[UUID], Site | None]


class Tried(msgspec.Struct, frozen=True):
    """How a try ended: stored, pulse, duplicate, a reason (then with the error in words), or already; and how many tries
    there were with it."""

    rejected_id: UUID
    outcome: str
    error: str | None
    replay_count: int
    last_replay_at: datetime | None


class Summary(msgspec.Struct, frozen=True):
    """How many were let in, how many of them were there already, and which were refused again for what."""

    tried: int
    stored: int
    duplicate: int
    refused: dict[str, int]
    left: int


async def replay(database: Database, who: Asker | UUID, rejected_id: UUID, doors: Doors) -> Tried:
    """Let one refused event in, on whichever of the asker's sites it is.

    Raises :class:`~opsmantik.errors.NotFound`, :class:`~opsmantik.errors.Forbidden` for whoever does not run the site,
    :class:`~opsmantik.errors.Conflict` where the event is in already, and :class:`~opsmantik.errors.Unavailable` where
    nothing was done. An event that is refused again is no error: the outcome says so.
    """
    letter = await find_letter(database, who, rejected_id)
    found = await let_in(database, who, letter.site_id, [rejected_id], doors)
    if not found:
        raise NotFound(what="refused event")
    tried = found[0]
    if tried.outcome == ALREADY:
        assert tried.last_replay_at is not None
        raise Conflict(reason=f"it was let in at {tried.last_replay_at:%Y-%m-%d %H:%M:%S} UTC")
    return tried


async def let_in_all(
    database: Database, who: Asker | UUID, site_id: UUID, reason: str, name: str | None, doors: Doors
) -> Summary:
    """Let in what was refused for this reason, of one bot or origin where ``name`` says which; at most 1,000 at once, the
    least tried first, a hundred to a transaction."""
    tried: list[Tried] = []
    now: datetime | None = None
    while len(tried) < MOST:
        async with database.as_person(who) as (connection, _):
            now = now or await connection.fetchval("SELECT now()")
            rows = await connection.fetch(SQL.to_let_in, site_id, reason, name, AT_ONCE, now)
        if not rows:
            break
        tried += await let_in(database, who, site_id, [row["id"] for row in rows], doors)
    async with database.as_person(who) as (connection, _):
        left: int = await connection.fetchval(SQL.left_to_let_in, site_id, reason, name, now)
    refused: dict[str, int] = {}
    for one in tried:
        if one.error is not None:
            refused[one.outcome] = refused.get(one.outcome, 0) + 1
    outcomes = [one.outcome for one in tried if one.error is None]
    known = outcomes.count("duplicate") + outcomes.count(ALREADY)
    return Summary(len(tried), len(outcomes) - known, known, refused, left)


async def let_in(
    database: Database, who: Asker | UUID, site_id: UUID, ids: Sequence[UUID], doors: Doors
) -> list[Tried]:
    """Let in these of one site, in one transaction; ids that are none of its refused events are passed over.

    Raises :class:`~opsmantik.errors.NotFound` where the site is none that the asker may tend.
    """
    for attempt in range(1, TRIES + 1):
        try:
            async with database.as_person(who, write=True) as (connection, person):
                if site_id not in person.sites:
                    raise NotFound(what="site")
                tried, told = await _let_in(connection, site_id, ids, doors)
        except BUSY:
            await asyncio.sleep(0.01 * attempt)
            continue
        for tell in told:
            tell()
        return tried
    raise Unavailable


async def _let_in(
    connection: Any, site_id: UUID, ids: Sequence[UUID], doors: Doors
) -> tuple[list[Tried], list[Callable[[], None]]]:
    """What became of each, and what to call after the commit."""
    letters = [DeadLetter(*row) for row in await connection.fetch(SQL.lock_rejected, site_id, list(ids))]
    already = [
        Tried(letter.id, ALREADY, None, letter.replay_count, letter.replayed_at)
        for letter in letters
        if letter.replayed_at is not None
    ]
    ended: dict[UUID, tuple[str, str | None]] = {}
    events: list[tuple[UUID, Event]] = []
    site = doors.site_of(site_id)
    for letter in letters:
        if letter.replayed_at is None:
            found = _again(letter, site, doors.world)
            if isinstance(found, Event):
                events.append((letter.id, found))
            else:
                ended[letter.id] = found
    told = await _write(connection, events, ended, doors.writer)
    if not ended:
        return already, told
    rows = await connection.fetch(
        SQL.record_replays, site_id, list(ended), [new_id() for _ in ended],
        [outcome for outcome, _ in ended.values()], [error for _, error in ended.values()],
    )  # fmt: skip
    counts = {row["rejected_id"]: (row["replay_count"], row["last_replay_at"]) for row in rows}
    return [*already, *(Tried(one, *ended[one], *counts[one]) for one in ended)], told


async def _write(
    connection: Any,
    events: list[tuple[UUID, Event]],
    ended: dict[UUID, tuple[str, str | None]],
    writer: Writer,
) -> list[Callable[[], None]]:
    """Store the events, all at once; where the database refuses that, one by one. Puts down how each ended."""
    if not events:
        return []
    try:
        async with connection.transaction():
            outcomes, tell = await writer.write_within(connection, [event for _, event in events])
    except BUSY:
        raise
    except _UNFIT as refused:
        if len(events) == 1:
            ended[events[0][0]] = Reason.UNSTORABLE, str(refused)[:500]
            return []
        return [tell for one in events for tell in await _write(connection, [one], ended, writer)]
    for (rejected_id, _), outcome in zip(events, outcomes, strict=True):
        ended[rejected_id] = outcome, None
    return [tell]


def _again(letter: DeadLetter, site: Site | None, world: World) -> Event | tuple[str, str]:
    """The event, ready to be written; or for which reason it is refused again, and why in words."""
    try:
        result = read_letter(letter, site)
    except Malformed as wrong:
        return Reason.MALFORMED, wrong.message
    skipped = {_SKIPPED.get(letter.reason)}
    if letter.user_agent is None:  # not kept: nobody can say what program it was
        skipped.add(drop_bot)
    for step in PIPELINE:
        if isinstance(result, Drop):
            return result.reason, result.detail or result.reason
        if step not in skipped:
            result = step(result, world)
    return result if isinstance(result, Event) else (result.reason, result.detail or result.reason)


def read_letter(letter: DeadLetter, site: Site | None) -> Event | Drop:
    """The event of a kept payload, as it was when it came. Raises Malformed for what cannot be read at all."""
    if not letter.payload:
        raise Malformed(reason="nothing of it was kept")
    text, flags = clean(letter.payload)
    body = read_body(text)
    arrival = Arrival(
        door=letter.door, site=site, origin=letter.origin, ip=letter.ip or "", user_agent=letter.user_agent or "",
        received_ms=int(letter.received_at.timestamp() * 1000), received_at=letter.received_at, sent_ms=letter.sent_ms,
        tracker=letter.tracker,
    )  # fmt: skip
    arrival.first_generation = body.s is not None or body.ec is not None or body.ea is not None
    reader = read_first_generation if arrival.first_generation else read_item
    return reader(text, arrival, (*flags, FLAG))
