"""The log of administrative acts by the page: a site's, and the installation's. It is only read here; a line is written
by whatever acts, in the same transaction."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.dashboard import paging
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_name("acts.sql"))
PAGE: Final = 50
MOST: Final = 200


class Act(msgspec.Struct, frozen=True):
    """One administrative act.

    ``action``: room and act, as in members.invite. ``subject``: whom or what it was done to. ``detail``: what else is
    worth knowing, by keys of the action's own.
    """

    id: UUID
    at: datetime
    actor_name: str
    """As it was then; "upkeep" where nobody asked."""
    address: str | None
    action: str
    subject: str | None
    detail: dict[str, Any]


class ActsPage(msgspec.Struct, frozen=True):
    """Acts, newest first, and where the next page begins; no cursor: there is none."""

    acts: list[Act]
    next_cursor: str | None


async def site_acts(connection: Any, site_id: UUID, cursor: str | None, limit: int = PAGE) -> ActsPage:
    """What was done about a site. Raises :class:`~opsmantik.errors.Malformed` for a cursor that is none."""
    before = paging.read(cursor) if cursor else paging.FIRST_PAGE
    rows = await connection.fetch(SQL.site_acts, site_id, before.at, before.id, limit + 1)
    acts = [Act(*row) for row in rows[:limit]]
    more = paging.written(paging.Cursor(acts[-1].at, acts[-1].id)) if len(rows) > limit else None
    return ActsPage(acts, more)


async def platform_acts(connection: Any, before: UUID | None, limit: int = PAGE) -> ActsPage:
    """What was done about the installation; nothing for whoever does not run it. The cursor is an act's id."""
    rows = await connection.fetch(SQL.platform_acts, before, limit + 1)
    acts = [Act(*row) for row in rows[:limit]]
    return ActsPage(acts, str(acts[-1].id) if len(rows) > limit else None)
