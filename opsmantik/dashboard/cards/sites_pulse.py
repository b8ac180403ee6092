"""How each site is doing today, on one line: its leads, who is on it, and whether its tracker still sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.clock import ONE_DAY, Range, month_bounds
from opsmantik.dashboard.cards.live_visits import HERE, LOOKED_AT
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))

Health = Literal["receiving", "calm", "silent", "never"]
FRESH: Final = timedelta(minutes=10)
"""Something came in so lately: nobody has to ask whether the tracker sends."""
MISSED: Final = 5
"""So many visits that used to begin in such a time and did not: where visits come by chance, one silence in 150 is so
long without a reason."""

BLOCKED: Final = 20
"""Refused events of unknown origins in a day from which on somebody may have forgotten to name one: a few are what any
site gets from copies and proxies."""


class SitePulse(msgspec.Struct, frozen=True):
    """Counts of the site's own today; the times are of any day."""

    leads: int
    waiting: int
    last_event_at: datetime | None
    last_intent_at: datetime | None
    sealed: int = 0
    amount: Decimal = Decimal(0)
    """What is sealed is worth, in the site's currency."""
    waiting_week: int = 0
    """Leads of today and the six days before that nobody has decided."""
    leads_by_day: tuple[tuple[date, int], ...] = ()
    """Of the same seven days, oldest first."""
    visitors: int = 0
    refused: int = 0
    """Events that came from origins which are not the site's, in the last 24 hours."""
    usual: float | None = None
    """How many visits used to begin in a time like the present silence; None where there is none, or nothing before."""

    @property
    def is_blocked(self) -> bool:
        """Whether an origin is refused so often that it may be one of the site's own."""
        return self.refused >= BLOCKED

    def health(self, now: datetime) -> Health:
        """Whether the tracker seems to be well: a silence is judged by what is usual for this site at such hours."""
        if self.last_event_at is None:
            return "never"
        if now - self.last_event_at <= FRESH:
            return "receiving"
        return "silent" if (self.usual or 0) >= MISSED else "calm"


async def sites_pulse(
    connection: Any, days: Mapping[UUID, Range], now: datetime | None = None
) -> dict[UUID, SitePulse]:
    """The pulse of each site over its own day. Zeros for one that the asker may not see."""
    now = now or datetime.now(UTC)
    found = await connection.fetch(
        SQL.sites_pulse, list(days), [day.start for day in days.values()], now - LOOKED_AT,
        *month_bounds(Range(now - LOOKED_AT, now + ONE_DAY)), HERE, now + ONE_DAY,
    )  # fmt: skip
    return {row["site_id"]: _pulse(row) for row in found}


def _pulse(row: Any) -> SitePulse:
    counted = dict(zip(row["days"] or (), row["leads_by_day"] or (), strict=True))
    week = [row["today"] - n * ONE_DAY for n in reversed(range(7))] if row["today"] else []
    return SitePulse(
        leads=row["leads"], waiting=row["waiting"], last_event_at=row["last_event_at"],
        last_intent_at=row["last_intent_at"], sealed=row["sealed"], amount=row["amount"],
        waiting_week=row["waiting_week"], leads_by_day=tuple((day, counted.get(day, 0)) for day in week),
        visitors=row["visitors"], refused=row["refused"],
        usual=None if row["usual"] is None else float(row["usual"]),
    )  # fmt: skip
