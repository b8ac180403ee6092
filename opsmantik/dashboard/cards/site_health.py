"""How one site fares: what arrives, what is refused, what is known of visitors, what is stuck. Figures of the database
only; what it does not know is None."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik import clock
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.watchdog import Watchdog, watchdog
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))

HOUR: Final = timedelta(hours=1)
SHOWN_HOURS: Final = 24
WEEK: Final = timedelta(days=7)
WEEKS: Final = 4
"""Over so many weeks an hour's usual is taken."""
NEWEST_VISITS: Final = 1000
LATE: Final = timedelta(hours=24)
"""A conversion that was due so long ago and has not left is stuck."""
MOST_WAITING: Final = 1000
LEFT_TO_GO: Final = ("held", "queued")
# What the books say that is no refusal.
TAKEN: Final = ("stored", "pulse", "duplicate")


class Hour(msgspec.Struct, frozen=True):
    """Events stored in an hour, and the usual number: the median of the same hour of the week, over the weeks before."""

    start: datetime
    stored: int
    usual: float | None
    """None: the site is not old enough to have one."""


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What came in: the last 24 hours and the one that runs, hour by hour; sums over seven days."""

    hours: list[Hour]
    stored: int
    duplicates: int
    refused: dict[str, int]
    """By reason, most first."""


class Visits(msgspec.Struct, frozen=True, kw_only=True):
    """The newest visits of seven days, at most :data:`NEWEST_VISITS`."""

    looked_at: int
    analytics: dict[str, int]
    """yes, no and unsaid."""
    marketing: dict[str, int]
    trackers: dict[str | None, int]
    """Of those with a view, by version, most first; None: it names none."""


class StateOf(msgspec.Struct, frozen=True):
    """Conversions in one state; ``late`` of them were due more than a day ago, the oldest of all at ``oldest``."""

    state: str
    n: int
    late: int
    oldest: datetime
    sent_today: int = 0
    """Those that were sent on the site's present day."""


class Way(msgspec.Struct, frozen=True):
    """How conversions leave, and what somebody has to put right before any does."""

    adapter: str
    is_on: bool
    trouble: str | None


class Hook(msgspec.Struct, frozen=True):
    """A webhook: off and why, failing since when, and how many deliveries wait (at most :data:`MOST_WAITING`)."""

    id: UUID
    url: str
    off_reason: str | None
    failing_since: datetime | None
    waiting: int


class SiteHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one site, of one transaction."""

    as_of: datetime
    last_event_at: datetime | None
    last_intent_at: datetime | None
    disabled_at: datetime | None
    has_quota: bool
    books: Books
    paid: int
    """Paid visits of the last seven site days."""
    paid_with_click: int
    visits: Visits
    conversions: list[StateOf]
    way: Way | None
    """None: nobody has said where conversions go."""
    webhooks: list[Hook]
    taps: Watchdog
    """Taps of the last seven site days, and the leads that they made."""
    own_mail_failures: int | None
    """How often the asker's own mail failed in a row; None: they want none."""


async def site_health(connection: Any, site: AskedSite, person: UUID) -> SiteHealth:
    """How the site fares at this moment. Costs the hours, days and visits that it looks at, not what the site holds."""
    row = await connection.fetchrow(SQL.site_health, site.id)
    as_of: datetime = row["as_of"]
    since = as_of.replace(minute=0, second=0, microsecond=0)
    books = await connection.fetch(SQL.site_health_books, site.id, since - WEEKS * WEEK - SHOWN_HOURS * HOUR)
    week = as_of - WEEK
    first_day = clock.today(site.time_zone, as_of) - timedelta(days=6)
    clicks = await connection.fetchrow(SQL.site_health_clicks, site.id, first_day)
    visits = await connection.fetch(
        SQL.site_health_visits, site.id, week, week.date().replace(day=1), NEWEST_VISITS
    )
    today = clock.site_day(site.time_zone, clock.today(site.time_zone, as_of))
    states = await connection.fetch(SQL.site_health_conversions, site.id, LATE, today.start)
    way = await connection.fetchrow(SQL.site_health_route, site.id)
    taps = await watchdog(connection, site, clock.period(site.time_zone, as_of, span="7d"))
    hooks = await connection.fetch(SQL.site_health_webhooks, site.id, MOST_WAITING)
    return SiteHealth(
        as_of=as_of, last_event_at=row["last_event_at"], last_intent_at=row["last_intent_at"],
        disabled_at=row["disabled_at"], has_quota=row["monthly_quota"] is not None,
        books=read_books([(each["hour"], each["outcome"], each["n"]) for each in books], since),
        paid=clicks["paid"], paid_with_click=clicks["clicks"], visits=_visits(visits),
        conversions=[StateOf(*each) for each in states], way=Way(*way) if way else None,
        webhooks=[Hook(*each) for each in hooks],
        taps=taps, own_mail_failures=await connection.fetchval(SQL.site_health_mail, site.id, person),
    )  # fmt: skip


def read_books(rows: list[tuple[datetime, str, int]], now: datetime) -> Books:
    """The books by what a person asks: hours against their usual, and the last seven days by outcome.

    ``rows``: hour, outcome, count; ``now``: the beginning of the hour that runs.
    """
    stored: dict[datetime, int] = defaultdict(int)
    sums: dict[str, int] = defaultdict(int)
    for hour, outcome, n in rows:
        if outcome in ("stored", "pulse"):
            stored[hour] += n
        if hour >= now - WEEK:
            sums[outcome] += n
    first = min(stored, default=now)
    hours = []
    for back in range(SHOWN_HOURS, -1, -1):
        start = now - back * HOUR
        before = [stored[start - n * WEEK] for n in range(1, WEEKS + 1) if start - n * WEEK >= first]
        hours.append(Hour(start, stored[start], float(median(before)) if before else None))
    refused = {name: n for name, n in sums.items() if name not in TAKEN and n > 0}
    return Books(
        hours=hours, stored=sums["stored"] + sums["pulse"], duplicates=sums["duplicate"],
        refused=dict(sorted(refused.items(), key=lambda each: (-each[1], each[0]))),
    )  # fmt: skip


def _visits(rows: list[Any]) -> Visits:
    said = {True: "yes", False: "no", None: "unsaid"}
    analytics, marketing = dict.fromkeys(said.values(), 0), dict.fromkeys(said.values(), 0)
    trackers: dict[str | None, int] = defaultdict(int)
    for row in rows:
        analytics[said[row["consent_analytics"]]] += row["n"]
        marketing[said[row["consent_marketing"]]] += row["n"]
        if row["viewed"]:
            trackers[row["tracker"]] += row["n"]
    return Visits(
        looked_at=sum(row["n"] for row in rows), analytics=analytics, marketing=marketing,
        trackers=dict(sorted(trackers.items(), key=lambda each: -each[1])),
    )  # fmt: skip
