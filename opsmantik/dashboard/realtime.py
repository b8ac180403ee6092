"""The three figures of a site's day as the first generation's dashboards ask for them, and whether they are true.

There they were a cache's own numbers, which counted every event and were merged into the page by max(). Here they
are read from the counters like every other figure, and can be compared with the rows at any time.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))
MOST_DIFFERENCES = 200  # shown; all are counted


class Realtime(msgspec.Struct, frozen=True):
    """Leads captured on the day, those of them with an ad click's id, those of them that are junk by now."""

    captured: int
    gclid: int
    junk: int


class Difference(msgspec.Struct, frozen=True):
    """One cell of the counters that is not what its rows add up to."""

    dimension: str
    key: str
    is_paid: bool
    measure: str
    counted: Decimal
    recounted: Decimal


class Reconciled(msgspec.Struct, frozen=True):
    """A day's counters against its rows, in one snapshot: ``differences`` is how many cells differ."""

    day: date
    ok: bool
    differences: int
    cells: list[Difference]


async def realtime(connection: Any, site_id: UUID, day: date) -> Realtime:
    """The figures of one of the site's own days."""
    return Realtime(**await connection.fetchrow(SQL.leads_of_day, site_id, day))


async def reconcile(connection: Any, site_id: UUID, day: date) -> Reconciled:
    """Count the day's rows again and compare. Reads all of them: seconds for a day of a million events."""
    cells = [Difference(*row) for row in await connection.fetch(SQL.differences, site_id, day)]
    return Reconciled(day=day, ok=not cells, differences=len(cells), cells=cells[:MOST_DIFFERENCES])
