"""Whether taps become leads: taps as events, beside the leads that taps made. They differ when something is broken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from opsmantik.clock import Period, month_bounds
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.figures import ratio
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

SQL = queries(Path(__file__).with_suffix(".sql"))


class Watchdog(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot, from the rows themselves."""

    range: Over
    ads_only: bool
    as_of: datetime
    sequence: int
    tap_events: int
    tap_intents: int
    waiting_intents: int
    ratio: Decimal | None


async def watchdog(connection: Any, site: AskedSite, asked: Period, *, ads_only: bool = False) -> Watchdog:
    """Taps and their leads. Costs what taps there are, by an index of their own.

    Raises :class:`~opsmantik.errors.NotFound` for a site that the connection's asker may not see.
    """
    row = await connection.fetchrow(SQL.watchdog, site.id, *asked.over, *month_bounds(asked.over), ads_only)
    if row is None:
        raise NotFound(what="site")
    return Watchdog(
        range=over(site, asked),
        ads_only=ads_only,
        ratio=ratio(row["tap_intents"], row["tap_events"]),
        **row,
    )


DEFINITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tap_events": "Events of the range whose action says that a number or a chat was tapped, of visits that began"
        " in it.",
        "tap_intents": "Leads that taps of the range made, decided about or not, repeated taps included; with ads_only of"
        " paid visits that began in it.",
        "waiting_intents": "Those of the leads, without repeated taps, that nobody has decided about.",
        "ratio": "tap_intents divided by tap_events, four decimals; null without an event. Taps on links that are no lead"
        " (a share button, a service number) keep it below one.",
    }
)
