"""Leads of every kind, beside the events that count as conversions: what happened that was worth something."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from opsmantik.clock import ONE_DAY, Period, month_bounds
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.db.sql import queries
from opsmantik.intents.status import SEALED

SQL = queries(Path(__file__).with_suffix(".sql"))


class LeadEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A lead (``call``) or a conversion event. What only the other has is None."""

    type: Literal["call", "conversion"]
    id: UUID
    created_at: datetime
    status: str | None
    decided_at: datetime | None
    page_url: str | None
    """Of a lead the page on which its visit began; of an event its own."""
    city: str | None
    district: str | None
    device_type: str | None
    session_id: UUID | None
    score: Decimal
    """A lead's score; an event's value, 0 where it has none."""
    phone_number: str | None
    action: str | None
    target: str | None
    captured_by: str | None
    event_category: str | None
    event_action: str | None


class LeadList(msgspec.Struct, frozen=True):
    """One page, newest first. ``next_cursor`` is None on the last one."""

    items: list[LeadEntry]
    next_cursor: str | None
    range: Over
    as_of: datetime
    sequence: int


async def lead_list(
    connection: Any,
    site: AskedSite,
    asked: Period,
    *,
    ads_only: bool = False,
    status: Sequence[str] | None = None,
    q: str | None = None,
    limit: int = 50,
    cursor: Cursor | None = None,
    events: bool | None = None,
) -> LeadList:
    """Captured in the range. With ``status`` leads of these statuses, and conversion events (unless ``events`` says
    otherwise) where it names a sealed one; with ``q`` what has this in its page's address."""
    if events is None:
        events = not status or any(sealed in status for sealed in SEALED)
    first, last = month_bounds(asked.over)
    found = await connection.fetch(
        SQL.lead_list, site.id, *asked.over, *(cursor or FIRST_PAGE), limit + 1, ads_only,
        list(status) if status else None, events, q or None, (first - ONE_DAY).replace(day=1), last,
    )  # fmt: skip
    items = [_entry(row) for row in found[:limit] if row["id"] is not None]
    end = Cursor(items[-1].created_at, items[-1].id) if len(found) > limit else None
    return LeadList(
        items=items,
        next_cursor=paging.written(end) if end else None,
        range=over(site, asked),
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
    )


def _entry(row: Any) -> LeadEntry:
    return LeadEntry(**{name: row[name] for name in LeadEntry.__struct_fields__})
