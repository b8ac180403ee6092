"""What a site is called, whose clock and money it goes by, and how far back an ad click counts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_suffix(".sql"))

Outcome = Literal["changed", "unchanged", "stale"]
"""``stale``: somebody changed the site since the form was shown; nothing is written."""

LARGEST_CPC: Final = Decimal(1_000_000)
CPC_PLACES: Final = 4
WINDOW: Final = (1, 184)
"""Days; no question goes back further than half a year."""


class General(msgspec.Struct, frozen=True, kw_only=True):
    """The settings as they are; ``updated_at`` is what a change of them must name."""

    name: str
    domain: str
    time_zone: str
    region: str
    currency: str
    assumed_cpc: Decimal
    attribution_window_days: int
    consent_mode: str
    public_id: str
    created_at: datetime
    updated_at: datetime


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The settings as somebody wants them: checked, except for time zone, country and currency, which the form offers."""

    name: str
    domain: str
    time_zone: str
    region: str
    currency: str
    assumed_cpc: Decimal
    attribution_window_days: int


class SealedMoney(msgspec.Struct, frozen=True):
    """What sealed leads hold in one currency."""

    currency: str
    leads: int
    amount: Decimal


class Reach(msgspec.Struct, frozen=True):
    """How much another clock or currency touches."""

    days: int
    """Days that have figures."""
    facts_since: date | None
    """Before this day the rows have gone, so the figures stay as they are."""
    money: list[SealedMoney]


async def general(connection: Any, site_id: UUID) -> General:
    """The settings of a site that the transaction sees."""
    return General(**await connection.fetchrow(SQL.general, site_id))


async def reach(connection: Any, site_id: UUID) -> Reach:
    """What a change of clock or currency would touch. Reads the site's sealed leads."""
    row = await connection.fetchrow(SQL.reach, site_id)
    money = [SealedMoney(*each) for each in await connection.fetch(SQL.sealed_money, site_id)]
    return Reach(row["days"], row["facts_since"], money)


async def change_general(connection: Any, site_id: UUID, seen: datetime, wanted: Wanted) -> Outcome:
    """Change them; the doors know it within a second. Another clock or currency makes all figures anew before this
    returns: a large site takes minutes, in which events and pages go on."""
    await connection.execute(SQL.patience)
    outcome: Outcome = await connection.fetchval(
        SQL.change_general, site_id, new_id(), seen, wanted.name, wanted.domain, wanted.time_zone, wanted.region,
        wanted.currency, wanted.assumed_cpc, wanted.attribution_window_days,
    )  # fmt: skip
    return outcome
