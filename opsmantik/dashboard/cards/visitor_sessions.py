"""One visitor's visits: whoever taps today may have come by an ad three weeks ago."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.dashboard.rows import Session, VisitLead, session_of, visit_leads
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class VisitorVisit(msgspec.Struct, frozen=True):
    """One of a visitor's visits, its leads, and the score of the best of them; None where it has none."""

    session: Session
    lead_score: int | None
    leads: list[VisitLead]


class VisitorSessions(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a visitor's visits, newest first; the other fields are of all that is remembered of them."""

    visitor: str
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    visits: int
    last_ad_click_at: datetime | None
    items: list[VisitorVisit]
    next_cursor: str | None
    as_of: datetime
    sequence: int


async def visitor_sessions(
    connection: Any,
    site: AskedSite,
    *,
    visitor: str,
    ads_only: bool = False,
    limit: int = 20,
    cursor: Cursor | None = None,
) -> VisitorSessions:
    """The visits of the last six months (184 days). A visitor whom nobody knows has none: that is no error."""
    found = await connection.fetch(
        SQL.visitor_sessions, site.id, visitor, *(cursor or FIRST_PAGE), limit + 1, ads_only
    )
    known = await connection.fetchrow(SQL.visitor, site.id, visitor)
    items = [
        VisitorVisit(session_of(row), row["lead_score"], visit_leads(row["leads"]))
        for row in found[:limit]
        if row["id"] is not None
    ]
    last = Cursor(items[-1].session.created_at, items[-1].session.id) if len(found) > limit else None
    return VisitorSessions(
        visitor=visitor,
        first_seen_at=known["first_seen_at"] if known else None,
        last_seen_at=known["last_seen_at"] if known else None,
        visits=known["visits"] if known else 0,
        last_ad_click_at=known["last_ad_click_at"] if known else None,
        items=items,
        next_cursor=paging.written(last) if last else None,
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
    )
