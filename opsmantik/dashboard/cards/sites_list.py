"""The sites that somebody may see, and whether each of them receives."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from opsmantik.dashboard.cards.site_status import LastEvent, Traffic, last_event, traffic_of
from opsmantik.db.connect import Person
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class ListedSite(msgspec.Struct, frozen=True, kw_only=True):
    """A site, the asker's role on it, and the state that it is in. Its owner is told to whoever runs the platform."""

    id: UUID
    public_id: str
    name: str
    domain: str
    time_zone: str
    currency: str
    created_at: datetime
    disabled_at: datetime | None
    role: str
    sequence: int
    traffic: Traffic
    last_event_at: datetime | None
    last_intent_at: datetime | None
    owner_id: UUID | None
    owner_email: str | None
    last_event: LastEvent | UnsetType | None = UNSET
    """Only there where it was asked for."""


class SitesList(msgspec.Struct, frozen=True):
    """Some of the asker's sites, newest first. ``as_of`` is None where there is none."""

    items: list[ListedSite]
    as_of: datetime | None


async def sites_list(
    connection: Any,
    person: Person,
    *,
    q: str | None = None,
    limit: int = 50,
    offset: int = 0,
    last_events: bool = False,
) -> SitesList:
    """Sites whose name, domain or public id holds ``q``, in any case; with ``last_events`` their newest event too,
    which is one more look at each site."""
    found = await connection.fetch(SQL.sites_list, list(person.sites), q or None, limit, offset)
    items = []
    for row in found:
        fields = {
            name: row[name] for name in ListedSite.__struct_fields__ if name not in ("traffic", "last_event")
        }
        last = await last_event(connection, row["id"], row["last_event_at"]) if last_events else UNSET
        traffic = traffic_of(row["last_event_at"], row["as_of"])
        items.append(ListedSite(**fields, traffic=traffic, last_event=last))
    return SitesList(items, found[0]["as_of"] if found else None)
