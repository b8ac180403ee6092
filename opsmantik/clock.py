"""Site days, as half-open ranges in UTC.

A "day" is the site's own IANA day, whatever its offset and however many hours it has. Consecutive days touch:
one's end is the next one's start, so every instant belongs to exactly one day. Nothing here reads a clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from opsmantik.errors import Unprocessable

ONE_DAY = timedelta(days=1)


class Range(NamedTuple):
    """[start, end) in UTC."""

    start: datetime
    end: datetime


@cache
def zone_names() -> frozenset[str]:
    """The IANA names that a site may have: those with a place in them, and UTC."""
    return frozenset(
        n for n in available_timezones() if "/" in n and not n.startswith(("Etc/", "SystemV/"))
    ) | {"UTC"}


def zone(name: str) -> ZoneInfo:
    """The time zone of this name. Raises :class:`~opsmantik.errors.Unprocessable` if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # an unknown key, a key such as "../x", a directory
        raise Unprocessable(reason=f"there is no time zone {name!r}") from None


def site_day(zone_name: str, day: date) -> Range:
    """The day's range: 24 hours mostly, 23 or 25 when clocks change, none if the zone skipped the day."""
    return Range(_midnight(zone_name, day), _midnight(zone_name, day + ONE_DAY))


def today(zone_name: str, now: datetime) -> date:
    """The site's day that contains the instant ``now`` (aware)."""
    day = now.astimezone(zone(zone_name)).date()
    # Where clocks go back over midnight the date on the wall is seen twice; the ranges are not.
    while now < site_day(zone_name, day).start:
        day -= ONE_DAY
    while now >= site_day(zone_name, day).end:
        day += ONE_DAY
    return day


def _midnight(zone_name: str, day: date) -> datetime:
    """The day's first instant. Where clocks jump over midnight, that is the instant of the jump."""
    where = zone(zone_name)
    early, late = (datetime.combine(day, time(fold=fold), where).astimezone(UTC) for fold in (1, 0))
    if early >= late:  # midnight exists once, or twice (then the first of the two is meant)
        return late
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(where).date() >= day:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)
