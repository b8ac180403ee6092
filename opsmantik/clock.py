"""Site days and ranges of them, half-open, in UTC.

A "day" is the site's own IANA day, whatever its offset and however many hours it has. Consecutive days touch:
one's end is the next one's start, so every instant belongs to exactly one day. Nothing here reads a clock.

Enters: the words of whoever asks for a range. Leaves: a :class:`Period`, or
:class:`~opsmantik.errors.BadRange` with words that say which bound is wrong and how to write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from opsmantik.errors import BadRange, Unprocessable

ONE_DAY = timedelta(days=1)
# No more than this is read for one answer: six months, whichever they are.
LONGEST_DAYS = 184
# Nothing is stored outside these, and arithmetic with days and zones is safe well beyond them.
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)


class Range(NamedTuple):
    """[start, end) in UTC."""

    start: datetime
    end: datetime


class Period(msgspec.Struct, frozen=True):
    """A range as a site sees it, and how it was asked for."""

    over: Range
    zone_name: str
    # The query that asks for it again: "day=today", "range=7d", "from=2026-11-01T00:00:00Z&to=..."
    asked: str
    # Every day of the site that has an instant in the range, in order. A day that the zone skipped has none.
    days: tuple[date, ...]
    # Whether both bounds are starts of site days, so that the range is made of whole days.
    aligned: bool
    # The days that lie in the range from their first instant to their last; None if there is none.
    first_whole_day: date | None
    last_whole_day: date | None


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
    # Where clocks go back over midnight the wall shows the old date once more; the day has ended all the same.
    while now >= site_day(zone_name, day).end:
        day += ONE_DAY
    return day


@lru_cache(maxsize=20_000)
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


def period(
    zone_name: str,
    now: datetime,
    *,
    day: str | None = None,
    span: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Period:
    """The period that a query asks for: its words ``day``, ``range`` (here ``span``), ``from`` and ``to``.

    ``day`` is today, yesterday or a date; ``span`` is 7d or 30d (so many site days, today's whole day the last)
    or month (the site's present calendar month, all of it); ``start`` and ``end`` are instants by RFC 3339. With
    none of them it is today. ``now`` is aware. Raises :class:`~opsmantik.errors.BadRange` for anything else, and
    for what is empty, reversed or longer than 184 days.
    """
    ways = {"day": day is not None, "range": span is not None, "from and to": (start, end) != (None, None)}
    several = [way for way, given in ways.items() if given]
    if len(several) > 1:
        raise BadRange(
            explanation=f"{' and '.join(several)} are given at once: ask by day, by range, or by from and to"
        )
    if start is not None or end is not None:
        return _instants(zone_name, start, end)
    if span is not None:
        return _span(zone_name, today(zone_name, now), span)
    return _day(zone_name, today(zone_name, now), "today" if day is None else day)


def first_generation_period(
    zone_name: str, date_from: str | datetime | None, date_to: str | datetime | None
) -> Period:
    """The period between the bounds ``p_date_from`` and ``p_date_to`` of the first generation's calls.

    The explanations are its own, since programs compare them; it said 180 days where it meant six months. Equal
    bounds are a period without days, whose figures are zeros: so it answered. Raises
    :class:`~opsmantik.errors.BadRange`.
    """
    if date_from is None or date_to is None:
        raise BadRange(explanation="date_from and date_to are required")
    over = Range(_instant("date_from", date_from), _instant("date_to", date_to))
    if over.start > over.end:
        raise BadRange(explanation="date_from must be <= date_to")
    if _is_too_long(zone_name, over):
        raise BadRange(explanation=f"Date range exceeds maximum of {LONGEST_DAYS} days (6 months)")
    return _period(zone_name, over)


def previous(this: Period) -> Period:
    """What to compare it with: as many site days before it, or the same length before if it has parts of days."""
    if this.aligned and this.days:
        *_, first = _back(this.zone_name, this.days[0] - ONE_DAY, len(this.days))
        return _period(this.zone_name, Range(site_day(this.zone_name, first).start, this.over.start))
    start, end = this.over
    return _period(this.zone_name, Range(start - (end - start), start))


def month_bounds(over: Range) -> tuple[date, date]:
    """The first and the last month key (first day of the month, in UTC) of rows in the range, both included.

    Named beside the instants in a query, they let the planner leave other months' partitions alone.
    """
    last = max(over.start, over.end - timedelta(microseconds=1))
    return over.start.date().replace(day=1), last.date().replace(day=1)


def _day(zone_name: str, now: date, asked: str) -> Period:
    if asked in ("today", "yesterday"):
        day = now if asked == "today" else next(_back(zone_name, now - ONE_DAY, 1))
    else:
        day = _date(asked)
    over = site_day(zone_name, day)
    if over.start == over.end:
        raise BadRange(explanation=f"there was no {day} in {zone_name}: clocks went past it")
    return _period(zone_name, over, f"day={asked}")


def _span(zone_name: str, now: date, asked: str) -> Period:
    if asked == "month":
        first = now.replace(day=1)
        end = site_day(zone_name, (first + 31 * ONE_DAY).replace(day=1)).start
    elif asked in ("7d", "30d"):
        *_, first = _back(zone_name, now, int(asked[:-1]))
        end = site_day(zone_name, now).end
    else:
        raise BadRange(explanation=f"range {_quoted(asked)} is none of 7d, 30d and month")
    return _period(zone_name, Range(site_day(zone_name, first).start, end), f"range={asked}")


def _instants(zone_name: str, start: str | None, end: str | None) -> Period:
    if start is None or end is None:
        name, other = ("from", "to") if start is None else ("to", "from")
        raise BadRange(explanation=f"{name} is missing: it goes together with {other}. {HOW}")
    over = Range(_instant("from", start), _instant("to", end))
    if over.start > over.end:
        raise BadRange(explanation=f"from ({_written(over.start)}) is later than to ({_written(over.end)})")
    if over.start == over.end:
        raise BadRange(
            explanation=f"from and to are both {_written(over.start)}: to is the first instant that is left out,"
            " so there is nothing between them"
        )
    if _is_too_long(zone_name, over):
        raise BadRange(
            explanation=f"from and to are more than {LONGEST_DAYS} days apart: with this from, to may be"
            f" {_written(_latest_end(zone_name, over.start))} at the latest"
        )
    return _period(zone_name, over)


def _period(zone_name: str, over: Range, asked: str = "") -> Period:
    asked = asked or f"from={_written(over.start)}&to={_written(over.end)}"
    start, end = over
    if start == end:
        return Period(over, zone_name, asked, (), _is_edge(zone_name, start), None, None)
    first, last = today(zone_name, start), today(zone_name, end - timedelta(microseconds=1))
    every = (first + n * ONE_DAY for n in range((last - first).days + 1))
    days = tuple(day for day in every if _exists(zone_name, day))
    whole = days[site_day(zone_name, first).start < start :]
    whole = whole[: -1 if site_day(zone_name, last).end > end else None]
    aligned = whole == days
    return Period(over, zone_name, asked, days, aligned, *((whole[0], whole[-1]) if whole else (None, None)))


def _exists(zone_name: str, day: date) -> bool:
    start, end = site_day(zone_name, day)
    return start < end


def _is_edge(zone_name: str, at: datetime) -> bool:
    return site_day(zone_name, today(zone_name, at)).start == at


def _back(zone_name: str, day: date, count: int) -> Iterator[date]:
    """So many days that the zone did not skip, backwards from ``day``."""
    while count:
        if _exists(zone_name, day):
            yield day
            count -= 1
        day -= ONE_DAY


def _is_too_long(zone_name: str, over: Range) -> bool:
    # The second question takes a look at each day, and is rarely open.
    return over.end - over.start > LONGEST_DAYS * ONE_DAY and over.end > _latest_end(zone_name, over.start)


def _latest_end(zone_name: str, start: datetime) -> datetime:
    """The end of the longest range that may start here: 184 site days later by the site's clock.

    That may be an hour more than 184 times 24 hours, or an hour less, which are then allowed all the same.
    """
    where, day, left = zone(zone_name), today(zone_name, start), LONGEST_DAYS
    while left:
        left -= _exists(zone_name, day)
        day += ONE_DAY
    wall = start.astimezone(where).time()
    ends = (datetime.combine(day, wall.replace(fold=fold), where).astimezone(UTC) for fold in (0, 1))
    return max(*ends, start + LONGEST_DAYS * ONE_DAY)


# What people write: RFC 3339, and its cousins that can mean nothing else ("+03", no seconds). A plus sign that is
# not encoded in a query arrives as a space.
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:([Zz])|([+ -])(\d\d)(?::?(\d\d))?)",
    re.ASCII,
)
_NO_OFFSET = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
HOW = "Write it with its offset from UTC, like 2026-02-01T00:00:00+03:00 or 2026-01-31T21:00:00Z"


def _instant(name: str, given: str | datetime) -> datetime:
    """The instant in UTC; ``name`` is the bound's, for the explanation."""
    if isinstance(given, str):
        at = _read_instant(name, given.strip())
    elif given.tzinfo is None:
        raise BadRange(explanation=f"{name} ({given.isoformat()}) has no offset from UTC")
    else:
        at = given
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise _too_far(name, at.isoformat()) from None
    if not FIRST_DAY <= at.date() <= LAST_DAY:
        raise _too_far(name, at.isoformat())
    return at


def _read_instant(name: str, text: str) -> datetime:
    found = _INSTANT.fullmatch(text)
    if found is None and _NO_OFFSET.fullmatch(text):
        raise BadRange(explanation=f"{name} {_quoted(text)} has no offset from UTC. {HOW}")
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second, fraction, zulu, sign, hours, minutes = found.groups()
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        if int(minutes or 0) > 59:
            raise ValueError
        where = UTC if zulu else timezone(-offset if sign == "-" else offset)
        micro = int(f"{fraction or 0:0<6}"[:6])
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micro, where
        )
    except ValueError:
        raise BadRange(explanation=f"{name} {_quoted(text)} is no instant. {HOW}") from None


def _date(text: str) -> date:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRange(
            explanation=f"day {_quoted(text)} is no day: write today, yesterday or a date like 2026-02-01"
        ) from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise _too_far("day", text)
    return day


def _too_far(name: str, text: str) -> BadRange:
    return BadRange(
        explanation=f"{name} {_quoted(text)} is too far away: {FIRST_DAY} to {LAST_DAY} can be asked for"
    )


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _written(at: datetime) -> str:
    """RFC 3339 in UTC, in a form that needs no encoding in a query."""
    return at.isoformat().replace("+00:00", "Z")
