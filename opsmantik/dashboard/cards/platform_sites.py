"""All sites of the installation, for whoever runs it: whose they are, whether they send, and what they have used."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.connect import Person
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))

Status = Literal["sending", "silent", "never", "off"]
FILTERS: Final = ("silent", "never", "off")
SILENT_AFTER: Final = timedelta(days=1)


class PlatformSite(msgspec.Struct, frozen=True, kw_only=True):
    """One site. ``used`` of ``quota`` events of its month; no quota: nobody counts."""

    id: UUID
    name: str
    domain: str
    public_id: str
    time_zone: str
    created_at: datetime
    owner_email: str | None
    status: Status
    last_event_at: datetime | None
    quota: int | None
    used: int
    leads: int
    """Of the site's own today."""


class PlatformSites(msgspec.Struct, frozen=True):
    """A page of them, and how many there are in all."""

    items: list[PlatformSite]
    found: int


async def platform_sites(
    connection: Any, person: Person, *, q: str | None, only: str | None, limit: int, offset: int
) -> PlatformSites:
    """Sites by name, each with the leads of its own day."""
    rows = await connection.fetch(SQL.platform_sites, list(person.sites), q or None, only, limit, offset)
    if not rows:
        return PlatformSites([], 0)
    now = rows[0]["as_of"]
    items = [
        PlatformSite(
            id=row["id"], name=row["name"], domain=row["domain"], public_id=row["public_id"],
            time_zone=row["time_zone"], created_at=row["created_at"], owner_email=row["owner_email"],
            status=status_of(row["disabled_at"], row["last_event_at"], now), last_event_at=row["last_event_at"],
            quota=row["monthly_quota"], used=row["used"], leads=row["leads"],
        )
        for row in rows
    ]  # fmt: skip
    return PlatformSites(items, rows[0]["found"])


def status_of(disabled_at: datetime | None, last_event_at: datetime | None, now: datetime) -> Status:
    """What it means that a site last sent something then."""
    if disabled_at is not None:
        return "off"
    if last_event_at is None:
        return "never"
    return "silent" if now - last_event_at > SILENT_AFTER else "sending"
