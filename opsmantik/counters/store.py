"""The counters' own statements: the fold, the comparison with the rows, the rebuild.

What is counted, and how, is said once, in ``db/functions/counters.sql``. A write puts what it changes into the
journal, in its own transaction; the fold moves the journal into one row a site and day. Figures add up both, so
folding changes no figure, ever: late folds only make reading dearer.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_name("queries.sql"))


class Difference(msgspec.Struct, frozen=True):
    """One figure of one day that is not what the rows say."""

    day: date
    dimension: str
    key: str
    is_paid: bool
    measure: str
    counted: Decimal
    recounted: Decimal


async def sites_to_fold(connection: Any) -> list[UUID]:
    """Sites whose journal holds something."""
    return [row["site_id"] for row in await connection.fetch(SQL.sites_to_fold)]


async def fold(connection: Any, site_id: UUID) -> int:
    """Move a site's journal into its days; how many transactions it held, -1 if another is at it."""
    moved: int = await connection.fetchval(SQL.fold, site_id)
    return moved


async def sites(connection: Any, site_id: UUID | None = None) -> list[tuple[UUID, str]]:
    """Id and name of every site, or of this one. As the owner."""
    return [(row["id"], row["name"]) for row in await connection.fetch(SQL.sites, site_id)]


async def differences(
    connection: Any, site_id: UUID, first: date | None = None, last: date | None = None
) -> list[Difference]:
    """Where the counters of these site days (none: of all) and a recount of the rows differ: nowhere, or something
    is broken. Reads every row of the range."""
    return [Difference(**row) for row in await connection.fetch(SQL.differences, site_id, first, last)]


async def lead_differences(connection: Any, site_id: UUID) -> list[UUID]:
    """Leads that the search knows otherwise than their rows are (``db/functions/lead_search.sql``): none, or something is
    broken. A rebuild of all days puts them right too."""
    return [row["call_id"] for row in await connection.fetch(SQL.lead_differences, site_id)]


async def rebuild(connection: Any, site_id: UUID, first: date | None = None, last: date | None = None) -> int:
    """Make these days anew from the rows, beside whatever comes in; how many days have something on them."""
    days: int = await connection.fetchval(SQL.rebuild, site_id, first, last)
    return days


async def build_missing(connection: Any) -> list[UUID]:
    """Counters for sites that have rows from before there were any; which ones. As the owner."""
    found = [row["site_id"] for row in await connection.fetch(SQL.sites_to_build)]
    for site_id in found:
        await rebuild(connection, site_id)
    return found
