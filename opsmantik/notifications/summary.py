"""When a summary is due, and which days it is about. Pure: by a site's days and its clock, whatever that does.

A daily one is due every day, a weekly one every Monday, when the site's clock shows the hour that was wished for: where
clocks jump over that hour, just after; where they show it twice, the first time. A summary is named after the day on which
it was due, and that is what is kept of it: each is sent once, however often it is looked for, and of several that were
missed only the latest is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

from opsmantik import clock
from opsmantik.clock import ONE_DAY, Period

Pace = Literal["off", "daily", "weekly"]
PACES: Final[tuple[str, ...]] = get_args(Pace)
USUAL_HOUR: Final = 8
MONDAY: Final = 0
# What the picture goes back to: two weeks of days, eight of weeks.
TREND_DAYS: Final = {"daily": 14, "weekly": 56}


def due_day(pace: str, hour: int, zone_name: str, now: datetime) -> date:
    """The day of the latest summary that was due by ``now`` (aware)."""
    day = _local(zone_name, now)
    while not (_is_day(pace, day) and due_at(day, hour, zone_name) <= now):
        day -= ONE_DAY
    return day


def next_at(pace: str, hour: int, zone_name: str, now: datetime) -> datetime:
    """When the next one after ``now`` is due, in UTC."""
    day = _local(zone_name, now)
    while not (_is_day(pace, day) and due_at(day, hour, zone_name) > now):
        day += ONE_DAY
    return due_at(day, hour, zone_name)


def due_at(day: date, hour: int, zone_name: str) -> datetime:
    """The instant at which the site's clock shows that hour of that day."""
    where = ZoneInfo(zone_name)
    return datetime.combine(day, time(hour), where).astimezone(UTC)


def about(pace: str, day: date, zone_name: str) -> Period:
    """What a summary that was due on this day is about: the day before it, or the seven days before it."""
    return _days_before(day, 7 if pace == "weekly" else 1, zone_name)


def trend_of(pace: str, day: date, zone_name: str) -> Period:
    """What its picture shows."""
    return _days_before(day, TREND_DAYS[pace], zone_name)


def _days_before(day: date, count: int, zone_name: str) -> Period:
    end = clock.site_day(zone_name, day).start
    first = day - count * ONE_DAY
    # A zone that moves to the other side of the date line has no such day: then the one before it.
    while clock.site_day(zone_name, first).start >= end:
        first -= ONE_DAY
    start = clock.site_day(zone_name, first).start
    return clock.period(zone_name, end, start=start.isoformat(), end=end.isoformat())


def _is_day(pace: str, day: date) -> bool:
    return pace == "daily" or day.weekday() == MONDAY


def _local(zone_name: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(zone_name)).date()
