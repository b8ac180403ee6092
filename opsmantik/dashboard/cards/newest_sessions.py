"""The newest visits: who came in, from where, and how far they have got."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from opsmantik.clock import Period, month_bounds
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.figures import parts
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.dashboard.rows import Session, session_of
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class Visit(msgspec.Struct, frozen=True):
    """A visit, and the score of its best lead; None where it has none."""

    session: Session
    lead_score: int | None


class Visits(msgspec.Struct, frozen=True):
    """One page, newest first. ``next_cursor`` is None on the last one."""

    items: list[Visit]
    next_cursor: str | None
    range: Over
    as_of: datetime
    sequence: int


UNKNOWN: Final = "-"
"""What a filter says for visits of which the thing is not known, or which have none."""
PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "source": "sources", "channel": "sources", "device": "sources", "matchtype": "sources",
        "campaign": "details", "keyword": "details", "place": "details", "page": "details",
    }
)  # fmt: skip
"""The dimensions whose visits the counters have by their keys, and the part of the counters that holds each."""


async def newest_sessions(
    connection: Any,
    site: AskedSite,
    asked: Period,
    *,
    ads_only: bool = False,
    source: str | None = None,
    channel: str | None = None,
    campaign: str | None = None,
    keyword: str | None = None,
    matchtype: str | None = None,
    place: str | None = None,
    device: str | None = None,
    page: str | None = None,
    click: str | None = None,
    weekday: int | None = None,
    hour: int | None = None,
    limit: int = 50,
    cursor: Cursor | None = None,
) -> Visits:
    """The visits that began in the range, by the time at which their first event came in."""
    keys = (source, channel, campaign, keyword, matchtype, place, device, page)
    found = await connection.fetch(
        SQL.newest_sessions, site.id, *asked.over, *(cursor or FIRST_PAGE), limit + 1, ads_only,
        *month_bounds(asked.over), *map(_key, keys), None if click is None else click == "yes", weekday, hour,
        site.time_zone,
    )  # fmt: skip
    items = [Visit(session_of(row), row["lead_score"]) for row in found[:limit] if row["id"] is not None]
    last = Cursor(items[-1].session.created_at, items[-1].session.id) if len(found) > limit else None
    return Visits(
        items=items,
        next_cursor=paging.written(last) if last else None,
        range=over(site, asked),
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
    )


def _key(value: str | None) -> str | None:
    return "" if value == UNKNOWN else value


async def sessions_count(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool = False, **filters: Any
) -> int | None:
    """How many visits :func:`newest_sessions` has with these filters, where the counters know: without any, and with one
    of those that they count by. None elsewhere: to count them is to read them all."""
    named = {name: value for name, value in filters.items() if value is not None}
    if len(named) > 1 or named.keys() - {*PARTS, "click"}:
        return None
    dimension, value = next(iter(named.items()), ("all", ""))
    with_click = False
    if dimension == "click":
        if value != "yes":
            return None
        dimension, value, with_click = "all", "", True
    if _key(value) == "" and dimension in ("campaign", "keyword", "matchtype"):
        return None  # the counters have no cell for visits that have none
    count: int = await connection.fetchval(
        SQL.newest_sessions_count, site.id, *parts(asked), ads_only, dimension, _key(value), with_click,
        PARTS.get(dimension, "main"),
    )  # fmt: skip
    return count
