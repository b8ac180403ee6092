"""What a site may send: events a month, events a minute for one client; and how long its refused events are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_suffix(".sql"))

QUARANTINE_DAYS: Final = (1, 90)
RATES: Final = (1, 100_000)
QUOTAS: Final = (1, 1_000_000_000_000)
BOTS: Final = 100
LONGEST_BOT: Final = 48
# Percent of the quota at which a site's people are told. At the last one events are refused, but for leads.
WARNS_AT: Final = (80, 100, 200)


class Limits(msgspec.Struct, frozen=True):
    """The limits of a site as its people set them; ``None``: no quota, and the installation's rate."""

    monthly_quota: int | None
    rate_per_minute: int | None
    quarantine_days: int
    allowed_bots: list[str]


class Quota(msgspec.Struct, frozen=True):
    """How much of its month a site has used: stored events, by whole UTC hours since its month began."""

    quota: int
    used: int

    @property
    def percent(self) -> int:
        return self.used * 100 // self.quota

    @property
    def warning(self) -> int | None:
        """The highest mark that is reached."""
        return max((mark for mark in WARNS_AT if self.used * 100 >= self.quota * mark), default=None)


async def limits(connection: Any, site_id: UUID) -> Limits:
    """The limits of a site that the transaction sees."""
    return Limits(*await connection.fetchrow(SQL.limits, site_id))


async def quota(connection: Any, site_id: UUID) -> Quota | None:
    """What the site has used of its quota; ``None``: it has none."""
    row = await connection.fetchrow(SQL.quota, site_id)
    return Quota(*row) if row is not None else None


async def set_limits(database: Database, who: Asker | UUID, site_id: UUID, wanted: Limits) -> None:
    """Change them; the doors know it within a second.

    Raises :class:`~opsmantik.errors.Unprocessable` for what is out of bounds.
    """
    for value, (least, most) in (
        (wanted.monthly_quota, QUOTAS),
        (wanted.rate_per_minute, RATES),
        (wanted.quarantine_days, QUARANTINE_DAYS),
    ):
        if value is not None and not least <= value <= most:
            raise Unprocessable(reason=f"it is a number from {least} to {most}")
    async with database.as_person(who, write=True) as (connection, person):
        _refuse_stranger(person.sites, site_id)
        await connection.execute(
            SQL.set_limits,
            site_id,
            new_id(),
            wanted.monthly_quota,
            wanted.rate_per_minute,
            wanted.quarantine_days,
        )


async def allow_bot(
    database: Database, who: Asker | UUID, site_id: UUID, name: str, *, allowed: bool
) -> None:
    """Take an automatic visitor's events from now on, or no longer; ``name`` as ingest calls it."""
    name = name.replace("\x00", "").strip()
    if not name or len(name) > LONGEST_BOT:
        raise Unprocessable(reason="that is no name of an automatic visitor")
    async with database.as_person(who, write=True) as (connection, person):
        _refuse_stranger(person.sites, site_id)
        try:
            await connection.execute(SQL.allow_bot, site_id, new_id(), name, allowed)
        except asyncpg.CheckViolationError:
            raise Unprocessable(reason=f"a site lets in at most {BOTS} automatic visitors") from None


def _refuse_stranger(sites: tuple[UUID, ...], site_id: UUID) -> None:
    if site_id not in sites:
        raise NotFound(what="site")
