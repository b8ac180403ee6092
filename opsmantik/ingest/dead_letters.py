"""Events that were refused and kept: to be looked at. Letting them in is readmission.py's."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker, Database, Person
from opsmantik.db.sql import queries
from opsmantik.errors import Forbidden, NotFound
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_suffix(".sql"))

MOST: Final = 200
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
    origin: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    sent_ms: int | None = None
    tracker: str | None = None


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
    """Remember a try that was made elsewhere.

    Raises :class:`~opsmantik.errors.NotFound`, and :class:`~opsmantik.errors.Forbidden` for whoever runs no site.
    """
    async with database.as_person(who, write=True) as (connection, person):
        letter = await _letter(connection, person, rejected_id)
        row = await connection.fetchrow(
            SQL.record_replay, letter.site_id, letter.id, new_id(), NOTED, error, False
        )
    return {"id": letter.id, **row}


async def find_letter(database: Database, who: Asker | UUID, rejected_id: UUID) -> DeadLetter:
    """The refused event of this id, on whichever of the asker's sites it is."""
    async with database.as_person(who) as (connection, person):
        return await _letter(connection, person, rejected_id)


async def _letter(connection: Any, person: Person, rejected_id: UUID) -> DeadLetter:
    sites = await sites_to_tend(connection, person)
    row = await connection.fetchrow(SQL.dead_letter, sites, rejected_id)
    if row is None:
        raise NotFound(what="refused event")
    return DeadLetter(*row)
