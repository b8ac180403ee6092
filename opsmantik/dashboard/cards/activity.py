"""What was done about a site's leads: every act, newest first, with who did it and whether it can be taken back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.clock import Period
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.cards.intent import Act
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class ActedLead(msgspec.Struct, frozen=True, kw_only=True):
    """The lead that an act was on, as it is now."""

    id: UUID
    version: int
    status: str
    action: str | None
    captured_by: str
    target: str | None
    phone_number: str | None
    occurred_at: datetime
    currency: str


class LoggedAct(msgspec.Struct, frozen=True):
    """One act, its lead, and whether an undo would take back this very act."""

    act: Act
    lead: ActedLead
    is_undoable: bool


class Actor(msgspec.Struct, frozen=True):
    """Somebody who acted."""

    id: UUID
    name: str | None


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """One page, newest first. ``next_cursor`` is None on the last one."""

    items: list[LoggedAct]
    next_cursor: str | None
    actors: list[Actor]
    range: Over
    as_of: datetime
    sequence: int


async def activity(
    connection: Any,
    site: AskedSite,
    asked: Period,
    *,
    actor: UUID | None = None,
    by: str | None = None,
    action: list[str] | None = None,
    undoable: bool = False,
    limit: int = 50,
    cursor: Cursor | None = None,
) -> Activity:
    """The acts of the range."""
    found = await connection.fetch(
        SQL.activity, site.id, *asked.over, *(cursor or FIRST_PAGE), limit + 1, actor, by,
        list(action) if action else None, undoable,
    )  # fmt: skip
    items = [_logged(row) for row in found[:limit] if row["id"] is not None]
    last = Cursor(items[-1].act.at, items[-1].act.id) if len(found) > limit else None
    return Activity(
        items=items,
        next_cursor=paging.written(last) if last else None,
        actors=[Actor(*row) for row in await connection.fetch(SQL.actors, site.id, *asked.over)],
        range=over(site, asked),
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
    )


def _logged(row: Any) -> LoggedAct:
    act = Act(**{name: row[name] for name in Act.__struct_fields__})
    lead = ActedLead(**{name: row[f"lead_{name}"] for name in ActedLead.__struct_fields__})
    return LoggedAct(act, lead, row["is_undoable"])
