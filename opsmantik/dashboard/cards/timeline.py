"""How a range went: its figures hour by hour, day by day or week by week, with every bucket that it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from opsmantik import clock
from opsmantik.clock import ONE_DAY, Period
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.figures import parts, ratio
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

SQL = queries(Path(__file__).with_suffix(".sql"))

Granularity = Literal["auto", "hour", "day", "week"]
# Up to so many days auto gives hours, and up to so many days.
HOURS_UP_TO, DAYS_UP_TO = 7, 30
ONE_HOUR = timedelta(hours=1)
# Zones move their clocks at quarters, by quarters.
ONE_QUARTER = timedelta(minutes=15)


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided within the bucket, about leads of any day."""

    sealed: int
    junk: int
    sealed_amount: Decimal
    response_seconds: int | None


class Bucket(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """One hour, day or week of the site, from its first instant to the one after its last.

    Where the range begins or ends within it, it holds only what lies in the range. ``decided`` is None of hours.
    """

    start: datetime
    end: datetime
    day: date
    sessions: int
    visitors: int
    events: int
    conversion_events: int
    leads: int
    leads_with_click_id: int
    waiting: int
    sealed: int
    junk: int
    sealed_amount: Decimal
    decided: Decisions | None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot; buckets in order of time."""

    range: Over
    ads_only: bool
    as_of: datetime
    sequence: int
    currency: str
    granularity: Literal["hour", "day", "week"]
    buckets: list[Bucket]


async def timeline(
    connection: Any,
    site: AskedSite,
    asked: Period,
    *,
    ads_only: bool = False,
    granularity: Granularity = "auto",
) -> Timeline:
    """Every bucket that has an instant in the range, also where nothing happened.

    Raises :class:`~opsmantik.errors.NotFound` for a site that the connection's asker may not see.
    """
    step = resolved(granularity, asked)
    arguments = site.id, *parts(asked), ads_only
    if step == "hour":
        found = await connection.fetch(SQL.timeline_hours, *arguments)
    else:
        found = await connection.fetch(SQL.timeline_days, *arguments)
    if not found:
        raise NotFound(what="site")
    return Timeline(
        range=over(site, asked),
        ads_only=ads_only,
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
        currency=site.currency,
        granularity=step,
        buckets=_hours(asked, found) if step == "hour" else _days(asked, found, step),
    )


def resolved(granularity: Granularity, asked: Period) -> Literal["hour", "day", "week"]:
    """``auto`` by the length of the range in days, rounded: as the first generation chose."""
    if granularity != "auto":
        return granularity
    days = round((asked.over.end - asked.over.start) / ONE_DAY)
    return "hour" if days <= HOURS_UP_TO else "day" if days <= DAYS_UP_TO else "week"


def hours(zone_name: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The hours with an instant in [start, end): what the counters call each, and when it begins.

    An hour is called by the instant at which its clock's minutes were 0, as hour_key does in the database; a day has
    23 or 25 where clocks change. Where they change by half an hour, one begins later than it is called.
    """
    where, at, last = clock.zone(zone_name), start, None
    while at < end:
        key = _hour(where, at)
        if key != last:
            yield key, key if last is None else at
        last, after = key, key + ONE_HOUR
        # Where clocks change within the hour it is cut there.
        at = after if _offset(where, after) == _offset(where, at) else at + ONE_QUARTER - _into_quarter(at)


def _hour(where: ZoneInfo, at: datetime) -> datetime:
    wall = at.astimezone(where)
    return at - timedelta(minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond)


def _offset(where: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(where).utcoffset()


def _into_quarter(at: datetime) -> timedelta:
    return timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)


_MEASURES: Final = (
    "sessions", "visitors", "events", "conversion_events", "leads", "leads_with_click_id", "waiting", "sealed", "junk",
)  # fmt: skip


def _hours(asked: Period, records: list[Any]) -> list[Bucket]:
    known = {record["key"]: record for record in records}
    where = clock.zone(asked.zone_name)
    found = list(hours(asked.zone_name, *asked.over))
    return [
        _bucket(
            start,
            after[1] if after else key + ONE_HOUR,
            start.astimezone(where).date(),
            [known[name]] if (name := f"{key:%Y-%m-%dT%H:%MZ}") in known else [],
        )
        for (key, start), after in zip_longest(found, found[1:])
    ]


def _days(asked: Period, found: list[Any], step: Literal["day", "week"]) -> list[Bucket]:
    known = {record["day"]: record for record in found}
    first_of: dict[date, list[date]] = {}
    for day in asked.days:
        first_of.setdefault(day - ONE_DAY * day.weekday() if step == "week" else day, []).append(day)
    days = 7 if step == "week" else 1
    return [
        _bucket(
            clock.site_day(asked.zone_name, first).start,
            clock.site_day(asked.zone_name, first + ONE_DAY * (days - 1)).end,
            first,
            [known[day] for day in within if day in known],
            with_decisions=True,
        )
        for first, within in first_of.items()
    ]


def _bucket(
    start: datetime, end: datetime, day: date, records: list[Any], *, with_decisions: bool = False
) -> Bucket:
    return Bucket(
        start=start,
        end=end,
        day=day,
        **{measure: _sum(records, measure) for measure in _MEASURES},
        sealed_amount=_amount(records, "sealed_amount"),
        decided=_decisions(records) if with_decisions else None,
    )


def _decisions(records: list[Any]) -> Decisions:
    mean = ratio(_sum(records, "seconds"), _sum(records, "responses"), 0)
    return Decisions(
        sealed=_sum(records, "decided_sealed"),
        junk=_sum(records, "decided_junk"),
        sealed_amount=_amount(records, "decided_amount"),
        response_seconds=None if mean is None else int(mean),
    )


def _sum(records: list[Any], measure: str) -> int:
    return sum(record[measure] or 0 for record in records)


def _amount(records: list[Any], measure: str) -> Decimal:
    return sum((record[measure] for record in records if record[measure] is not None), Decimal(0))


DEFINITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "granularity": "Of auto: hours for a range of up to 7 days, days for one of up to 30, else weeks; weeks begin on"
        " Mondays.",
        "buckets": "Every hour, day or week of the site that has an instant in the range, also where nothing happened;"
        " the first and the last hold only what lies in the range.",
        "buckets[].visitors": "Devices seen in the bucket: of an hour or a day each once, of a week once on each of"
        " its days.",
        "buckets[].*": "Every other figure of a bucket is what command_centre calls so, of the bucket.",
        "buckets[].waiting": "Leads of the bucket that nobody has decided about.",
        "buckets[].decided": "What was decided within the bucket, about leads of any day; null of hours.",
    }
)
