"""The newest leads, each with its visit: what an operator decides from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from opsmantik.clock import Period, Range
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.dashboard.rows import Intent, intent_of
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class RecentIntents(msgspec.Struct, frozen=True):
    """One page, newest first. ``next_cursor`` is None on the last one."""

    items: list[Intent]
    next_cursor: str | None
    range: Over
    as_of: datetime
    sequence: int


async def recent_intents(
    connection: Any,
    site: AskedSite,
    asked: Period | Range,
    *,
    ads_only: bool = False,
    status: Sequence[str] | None = None,
    captured_by: Sequence[str] | None = None,
    q: str | None = None,
    limit: int = 50,
    cursor: Cursor | None = None,
) -> RecentIntents:
    """Leads captured in the range; ``status``, ``captured_by`` and ``q`` (a part of what people search by) narrow."""
    within = over(site, asked)
    sources = list(captured_by) if captured_by else None
    arguments = [
        site.id, within.start, within.end, *(cursor or FIRST_PAGE), limit + 1, ads_only, sources, q or None,
    ]  # fmt: skip
    if status:
        found = await connection.fetch(SQL.recent_intents_by_status, *arguments, list(dict.fromkeys(status)))
    else:
        found = await connection.fetch(SQL.recent_intents, *arguments)
    items = [intent_of(record) for record in found[:limit] if record["id"] is not None]
    last = Cursor(items[-1].created_at, items[-1].id) if len(found) > limit else None
    return RecentIntents(
        items=items,
        next_cursor=paging.written(last) if last else None,
        range=within,
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
    )
