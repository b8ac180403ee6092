"""Does this site send anything? What its owner asks first, and after every change to the page."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.clock import ONE_DAY
from opsmantik.dashboard.asked import AskedSite
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))

RECEIVES_WITHIN: Final = timedelta(minutes=10)
Traffic = Literal["receiving", "quiet", "never"]


# The newest event is one of these visits', unless all of them have been silent while an older one goes on.
NEWEST_VISITS = 20


class LastEvent(msgspec.Struct, frozen=True):
    """The newest event of the newest visits, and the source of its visit."""

    at: datetime
    category: str
    action: str
    label: str | None
    session_id: UUID
    source: str


class SiteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``receiving``: something came in within ten minutes; ``quiet``: not since ``quiet_since``; ``never``: nothing
    ever has. A visit's heartbeats count as a sign of life, and only here."""

    traffic: Traffic
    last_event_at: datetime | None
    last_intent_at: datetime | None
    quiet_since: datetime | None
    last_event: LastEvent | None
    as_of: datetime
    sequence: int


async def site_status(connection: Any, site: AskedSite) -> SiteStatus:
    """Whether the site receives, at this moment."""
    row = await connection.fetchrow(SQL.site_status, site.id)
    at: datetime | None = row["last_event_at"]
    traffic = traffic_of(at, row["as_of"])
    return SiteStatus(
        traffic=traffic,
        last_event_at=at,
        last_intent_at=row["last_intent_at"],
        quiet_since=at if traffic == "quiet" else None,
        last_event=await last_event(connection, site.id, at),
        as_of=row["as_of"],
        sequence=row["sequence"],
    )


async def last_event(connection: Any, site_id: UUID, at: datetime | None) -> LastEvent | None:
    """The site's newest event, where it last received something at that time."""
    if at is None:
        return None
    month = at.date().replace(day=1)
    found = await connection.fetchrow(
        SQL.last_event, site_id, at, (month - ONE_DAY).replace(day=1), month, NEWEST_VISITS
    )
    return LastEvent(*found) if found else None


def traffic_of(last_event_at: datetime | None, now: datetime) -> Traffic:
    """What it means that something last came in then."""
    if last_event_at is None:
        return "never"
    return "receiving" if now - last_event_at <= RECEIVES_WITHIN else "quiet"
