"""One visit."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.intent import Attribution, explained
from opsmantik.dashboard.rows import Session, VisitLead, session_of, visit_leads
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

SQL = queries(Path(__file__).with_suffix(".sql"))


class SessionDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A visit, its month (the first day of it, in UTC), its leads, and the score of the best of them."""

    session: Session
    created_month: date
    referrer: str | None
    clicked_at: datetime | None
    consent_analytics: bool | None
    consent_marketing: bool | None
    lead_score: int | None
    as_of: datetime
    sequence: int
    attribution: Attribution | None
    leads: list[VisitLead]


async def session_details(connection: Any, site: AskedSite, *, session_id: UUID) -> SessionDetails:
    """The visit. Raises :class:`~opsmantik.errors.NotFound` where the site has none of this id."""
    row = await connection.fetchrow(SQL.session_details, site.id, session_id)
    if row is None:
        raise NotFound(what="session")
    visit = session_of(row)
    return SessionDetails(
        session=visit,
        created_month=row["created_month"],
        referrer=row["referrer"],
        clicked_at=row["click_at"],
        consent_analytics=row["consent_analytics"],
        consent_marketing=row["consent_marketing"],
        lead_score=row["lead_score"],
        as_of=row["as_of"],
        sequence=row["sequence"],
        attribution=explained(visit, row),
        leads=visit_leads(row["leads"]),
    )
