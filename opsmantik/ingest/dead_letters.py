"""Events that were refused and kept: to be looked at, and to be let in again when the reason is gone.

Let in, an event goes through the pipeline and the writer as it did at first, at the time at which it came. It is
stored once, however often it is tried: its identity is that of its body, and whoever finds it there already is told so.
Two steps are left out, since a person has decided what they would: whether its sender is a program, and whether its
origin is the site's; what they look at is not kept either.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.db.connect import Asker, Database, Person
from opsmantik.db.sql import queries
from opsmantik.errors import Conflict, Forbidden, Malformed, NotFound
from opsmantik.event import Arrival, Drop, Event, Reason, Site, new_id
from opsmantik.ingest.first_generation import read_first_generation
from opsmantik.ingest.payload import clean, read_body
from opsmantik.ingest.pipeline import PIPELINE, World, drop_bot, drop_refused_origin
from opsmantik.ingest.present import read_item
from opsmantik.ingest.writer import Writer

SQL = queries(Path(__file__).with_suffix(".sql"))

MOST: Final = 200
STEPS: Final = tuple(step for step in PIPELINE if step not in (drop_bot, drop_refused_origin))
# The sender's address is not kept, so there is no place to look up.
_WORLD: Final = World(lambda address: None)
NOTED: Final = "noted"
"""The outcome of a try that was made elsewhere and only told."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused event: by which door it came, why it was refused, and what came of trying again."""

    site_id: UUID
    id: UUID
    received_at: datetime
    door: str
    reason: str
    detail: str | None
    payload: bytes
    replay_count: int
    last_replay_at: datetime | None
    last_replay_error: str | None
    replayed_at: datetime | None


class Replay(msgspec.Struct, frozen=True):
    """One try, and who made it."""

    site_id: UUID
    id: UUID
    rejected_id: UUID
    at: datetime
    actor: UUID | None
    actor_email: str
    replay_count: int
    outcome: str
    error: str | None


class Tried(msgspec.Struct, frozen=True):
    """How a try ended: stored, pulse, duplicate, or a reason; and the tally of tries after it."""

    letter: DeadLetter
    outcome: str
    error: str | None
    replay_count: int
    last_replay_at: datetime


async def sites_to_tend(connection: Any, person: Person) -> list[UUID]:
    """The sites whose refused events this person may see. Raises :class:`~opsmantik.errors.Forbidden` for none."""
    sites: list[UUID] = await connection.fetchval(SQL.sites_to_tend, list(person.sites))
    if not sites:
        raise Forbidden(reason="refused events are for a site's owner and administrators")
    return sites


async def dead_letters(
    connection: Any, sites: list[UUID], *, limit: int = 50, offset: int = 0
) -> list[DeadLetter]:
    """The refused events of these sites, newest first; at most 200."""
    found = await connection.fetch(SQL.dead_letters, sites, min(limit, MOST), offset)
    return [DeadLetter(*row) for row in found]


async def replays(connection: Any, sites: list[UUID], rejected_id: UUID | None = None) -> list[Replay]:
    """The newest 200 tries, or those of one event."""
    return [Replay(*row) for row in await connection.fetch(SQL.replays, sites, rejected_id, MOST)]


async def note_replay(
    database: Database, who: Asker | UUID, rejected_id: UUID, error: str | None
) -> dict[str, Any]:
    """Remember a try that was made elsewhere. Raises as :func:`replay` does."""
    async with database.as_person(who, write=True) as (connection, person):
        letter = await _letter(connection, person, rejected_id)
        row = await connection.fetchrow(
            SQL.record_replay, letter.site_id, letter.id, new_id(), NOTED, error, False
        )
    return {"id": letter.id, **row}


async def replay(
    database: Database,
    who: Asker | UUID,
    rejected_id: UUID,
    site_of: Callable[[UUID], Site | None],
    writer: Writer,
) -> Tried:
    """Let a refused event in, and remember who did.

    ``site_of`` is the doors' knowledge of a site. Raises :class:`~opsmantik.errors.NotFound`,
    :class:`~opsmantik.errors.Forbidden` for whoever does not run the site, :class:`~opsmantik.errors.Conflict` where the
    event is stored already, and :class:`~opsmantik.errors.Unavailable` where nobody knows yet. An event that is refused
    again is no error: the outcome says so.
    """
    async with database.as_person(who) as (connection, person):
        letter = await _letter(connection, person, rejected_id)
    if letter.replayed_at is not None:
        raise Conflict(reason=f"it was let in at {letter.replayed_at:%Y-%m-%d %H:%M:%S} UTC")
    outcome, error = await _try(letter, site_of(letter.site_id), writer)
    async with database.as_person(who, write=True) as (connection, _):
        row = await connection.fetchrow(
            SQL.record_replay, letter.site_id, letter.id, new_id(), outcome, error, error is None
        )
    return Tried(letter, outcome, error, row["replay_count"], row["last_replay_at"])


async def _letter(connection: Any, person: Person, rejected_id: UUID) -> DeadLetter:
    sites = await sites_to_tend(connection, person)
    row = await connection.fetchrow(SQL.dead_letter, sites, rejected_id)
    if row is None:
        raise NotFound(what="refused event")
    return DeadLetter(*row)


async def _try(letter: DeadLetter, site: Site | None, writer: Writer) -> tuple[str, str | None]:
    """The outcome, and the error where it was refused again."""
    try:
        result = _through(read_letter(letter, site))
    except Malformed as wrong:
        return Reason.MALFORMED, wrong.message
    if isinstance(result, Drop):
        return result.reason, result.detail or result.reason
    try:
        return await writer.write_alone(result), None
    except (asyncpg.PostgresError, ValueError, OverflowError) as refused:
        return Reason.UNSTORABLE, str(refused)[:500]


def _through(event: Event | Drop) -> Event | Drop:
    for step in STEPS:
        if isinstance(event, Drop):
            break
        event = step(event, _WORLD)
    return event


def read_letter(letter: DeadLetter, site: Site | None) -> Event | Drop:
    """The event of a kept payload, as it was when it came."""
    if not letter.payload:
        raise Malformed(reason="nothing of it was kept")
    text, flags = clean(letter.payload)
    body = read_body(text)
    received_ms = int(letter.received_at.timestamp() * 1000)
    arrival = Arrival(
        door=letter.door, site=site, origin=None, ip="", user_agent="", received_ms=received_ms,
        received_at=letter.received_at,
    )  # fmt: skip
    arrival.first_generation = body.s is not None or body.ec is not None or body.ea is not None
    reader = read_first_generation if arrival.first_generation else read_item
    return reader(text, arrival, (*flags, "replayed"))
