"""The newest visits: who came in, from where, and how far they have got."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from opsmantik.clock import Period, month_bounds
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.dashboard.rows import Session, session_of
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class Visit(msgspec.Struct, frozen=True):
    """A visit, and the score of its best lead; None where it has none."""

    session: Session
    lead_score: int | None


class Visits(msgspec.Struct, frozen=True):
    """One page, newest first. ``next_cursor`` is None on the last one."""

    items: list[Visit]
    next_cursor: str | None
    range: Over
    as_of: datetime
    sequence: int


async def newest_sessions(
    connection: Any,
    site: AskedSite,
    asked: Period,
    *,
    ads_only: bool = False,
    limit: int = 50,
    cursor: Cursor | None = None,
) -> Visits:
    """The visits that began in the range, by the time at which their first event came in."""
    found = await connection.fetch(
        SQL.newest_sessions, site.id, *asked.over, *(cursor or FIRST_PAGE), limit + 1, ads_only,
        *month_bounds(asked.over),
    )  # fmt: skip
    items = [Visit(session_of(row), row["lead_score"]) for row in found[:limit] if row["id"] is not None]
    last = Cursor(items[-1].session.created_at, items[-1].session.id) if len(found) > limit else None
    return Visits(
        items=items,
        next_cursor=paging.written(last) if last else None,
        range=over(site, asked),
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
    )
