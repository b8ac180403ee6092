"""What happened in one visit, step by step."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

SQL = queries(Path(__file__).with_suffix(".sql"))


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One event. ``occurred_at`` is when it happened, ``created_at`` when it came in."""

    id: UUID
    occurred_at: datetime
    created_at: datetime
    event_category: str
    event_action: str
    event_label: str | None
    event_value: Decimal | None
    url: str | None
    metadata: dict[str, Any] | None
    flags: list[str]
    """What had to be mended on the way in."""


class SessionTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """One page, latest first. ``next_cursor`` is None on the last one."""

    session_id: UUID
    is_paid: bool
    items: list[Happening]
    next_cursor: str | None
    as_of: datetime
    sequence: int


async def session_timeline(
    connection: Any, site: AskedSite, *, session_id: UUID, limit: int = 100, cursor: Cursor | None = None
) -> SessionTimeline:
    """The visit's events. Raises :class:`~opsmantik.errors.NotFound` where the site has no such visit."""
    found = await connection.fetch(
        SQL.session_timeline, site.id, session_id, *(cursor or FIRST_PAGE), limit + 1
    )
    if not found:
        raise NotFound(what="session")
    items = [_happening(row) for row in found[:limit] if row["id"] is not None]
    last = Cursor(items[-1].occurred_at, items[-1].id) if len(found) > limit else None
    return SessionTimeline(
        session_id=session_id,
        is_paid=found[0]["is_paid"],
        items=items,
        next_cursor=paging.written(last) if last else None,
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
    )


def _happening(row: Any) -> Happening:
    fields = {name: row[name] for name in Happening.__struct_fields__}
    fields["flags"] = row["flags"] or []
    return Happening(**fields)
