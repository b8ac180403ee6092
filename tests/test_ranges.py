"""Ranges: each way to ask, what is refused and in which words, and what to compare with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.clock import (
    LONGEST_DAYS,
    Period,
    Range,
    first_generation_period,
    month_bounds,
    period,
    previous,
    site_day,
    today,
    zone_names,
)
from opsmantik.errors import BadRange

IST = "Europe/Istanbul"
NOW = "2026-11-22 09:00"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days(first: str, last: str) -> tuple[date, ...]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return tuple(start + timedelta(days=n) for n in range((end - start).days + 1))


ASKED: dict[str, tuple[str, str, dict[str, str], str, str, int]] = {
    # name: (zone, now, query, start, end, days)
    "nothing asked: today": (IST, NOW, {}, "2026-11-21 21:00", "2026-11-22 21:00", 1),
    "today, a second before midnight": (
        IST, "2026-11-21 20:59:59", {"day": "today"}, "2026-11-20 21:00", "2026-11-21 21:00", 1,
    ),
    "today, at midnight": (
        IST, "2026-11-21 21:00", {"day": "today"}, "2026-11-21 21:00", "2026-11-22 21:00", 1,
    ),
    "yesterday ends where today begins": (
        IST, NOW, {"day": "yesterday"}, "2026-11-20 21:00", "2026-11-21 21:00", 1,
    ),
    "a date": (IST, NOW, {"day": "2026-02-01"}, "2026-01-31 21:00", "2026-02-01 21:00", 1),
    "a date that is still to come": (
        IST, NOW, {"day": "2027-02-01"}, "2027-01-31 21:00", "2027-02-01 21:00", 1,
    ),
    "the leap day": (IST, NOW, {"day": "2028-02-29"}, "2028-02-28 21:00", "2028-02-29 21:00", 1),
    "a day of 23 hours": (
        "Europe/Berlin", NOW, {"day": "2026-03-29"}, "2026-03-28 23:00", "2026-03-29 22:00", 1,
    ),
    "a day of 25 hours": (
        "Europe/Berlin", NOW, {"day": "2026-10-25"}, "2026-10-24 22:00", "2026-10-25 23:00", 1,
    ),
    "a day without its midnight": (
        "Africa/Cairo", NOW, {"day": "2026-04-24"}, "2026-04-23 22:00", "2026-04-24 21:00", 1,
    ),
    "today in Kathmandu is tomorrow's date by UTC": (
        "Asia/Kathmandu", "2026-11-22 18:15", {"day": "today"}, "2026-11-22 18:15", "2026-11-23 18:15", 1,
    ),
    "yesterday where it was skipped: the day before": (
        "Pacific/Apia", "2011-12-30 12:00", {"day": "yesterday"}, "2011-12-29 10:00", "2011-12-30 10:00", 1,
    ),
    "seven days end with today": (IST, NOW, {"span": "7d"}, "2026-11-15 21:00", "2026-11-22 21:00", 7),
    "thirty days end with today": (IST, NOW, {"span": "30d"}, "2026-10-23 21:00", "2026-11-22 21:00", 30),
    "seven days over a change of clocks: 169 hours": (
        "Europe/Berlin", "2026-10-28 12:00", {"span": "7d"}, "2026-10-21 22:00", "2026-10-28 23:00", 7,
    ),
    "seven days in Chatham, of which one has 23 hours": (
        "Pacific/Chatham", "2026-09-30 00:00", {"span": "7d"}, "2026-09-23 11:15", "2026-09-30 10:15", 7,
    ),
    "seven days over the one that never was": (
        "Pacific/Apia", "2012-01-02 00:00", {"span": "7d"}, "2011-12-26 10:00", "2012-01-02 10:00", 7,
    ),
    "this month, all of it": (IST, NOW, {"span": "month"}, "2026-10-31 21:00", "2026-11-30 21:00", 30),
    "the month's last hour, by the site's clock": (
        IST, "2026-11-30 20:59:59.999999", {"span": "month"}, "2026-10-31 21:00", "2026-11-30 21:00", 30,
    ),
    "the next month's first instant": (
        IST, "2026-11-30 21:00", {"span": "month"}, "2026-11-30 21:00", "2026-12-31 21:00", 31,
    ),
    "February": (IST, "2028-02-10 00:00", {"span": "month"}, "2028-01-31 21:00", "2028-02-29 21:00", 29),
    "a month of 743 hours, Lord Howe's and a half": (
        "Australia/Lord_Howe", "2026-10-10 00:00", {"span": "month"}, "2026-09-30 13:30", "2026-10-31 13:00", 31,
    ),
    "a month of 30 days that ends on the 31st": (
        "Pacific/Apia", "2011-12-10 00:00", {"span": "month"}, "2011-12-01 10:00", "2011-12-31 10:00", 30,
    ),
    "instants": (
        IST, NOW, {"start": "2026-02-01T00:00:00+03:00", "end": "2026-02-08T00:00:00+03:00"},
        "2026-01-31 21:00", "2026-02-07 21:00", 7,
    ),
    "instants in UTC, small letters, a fraction of a second": (
        IST, NOW, {"start": "2026-02-01t00:00:00.5z", "end": "2026-02-01 00:00:00.500001Z"},
        "2026-02-01 00:00:00.5", "2026-02-01 00:00:00.500001", 1,
    ),
    "instants with different offsets, west and three quarters": (
        IST, NOW, {"start": "2026-01-31T12:00:00-09:30", "end": "2026-02-01T09:00:00+05:45"},
        "2026-01-31 21:30", "2026-02-01 03:15", 1,
    ),
    "a plus sign that nobody encoded": (
        IST, NOW, {"start": "2026-02-01T00:00:00 03:00", "end": "2026-02-02T00:00:00 03:00"},
        "2026-01-31 21:00", "2026-02-01 21:00", 1,
    ),
    "the database's own way to write instants": (
        IST, NOW, {"start": "2026-02-01 00:00:00+03", "end": "2026-02-02 00:00+0300"},
        "2026-01-31 21:00", "2026-02-01 21:00", 1,
    ),
    "one microsecond": (
        IST, NOW, {"start": "2026-01-31T20:59:59.999999Z", "end": "2026-01-31T21:00:00Z"},
        "2026-01-31 20:59:59.999999", "2026-01-31 21:00", 1,
    ),
    "two instants around midnight touch two days": (
        IST, NOW, {"start": "2026-01-31T20:59:59.999999Z", "end": "2026-01-31T21:00:00.000001Z"},
        "2026-01-31 20:59:59.999999", "2026-01-31 21:00:00.000001", 2,
    ),
    "184 days": (
        IST, NOW, {"start": "2026-01-01T00:00:00+03:00", "end": "2026-07-04T00:00:00+03:00"},
        "2025-12-31 21:00", "2026-07-03 21:00", 184,
    ),
    "184 site days, an hour longer than 184 times 24": (
        "Europe/Berlin", NOW, {"start": "2026-09-01T00:00:00+02:00", "end": "2027-03-04T00:00:00+01:00"},
        "2026-08-31 22:00", "2027-03-03 23:00", 184,
    ),
    "184 site days, an hour shorter": (
        "Europe/Berlin", NOW, {"start": "2026-02-01T00:00:00+01:00", "end": "2026-08-04T00:00:00+02:00"},
        "2026-01-31 23:00", "2026-08-03 22:00", 184,
    ),
    "184 times 24 hours where 184 site days are an hour shorter": (
        "Europe/Berlin", NOW, {"start": "2026-02-01T00:00:00Z", "end": "2026-08-04T00:00:00Z"},
        "2026-02-01 00:00", "2026-08-04 00:00", 185,
    ),
    "184 days by the clock on the wall, not from midnight": (
        "Europe/Berlin", NOW, {"start": "2026-09-01T10:30:00+02:00", "end": "2027-03-04T10:30:00+01:00"},
        "2026-09-01 08:30", "2027-03-04 09:30", 185,
    ),
    "184 site days beside one that never was": (
        "Pacific/Apia", NOW, {"start": "2011-09-01T11:00:00Z", "end": "2012-03-03T10:00:00Z"},
        "2011-09-01 11:00", "2012-03-03 10:00", 184,
    ),
    "184 site days beside one that never was, an hour longer": (
        "Pacific/Apia", NOW, {"start": "2011-10-15T10:00:00Z", "end": "2012-04-16T11:00:00Z"},
        "2011-10-15 10:00", "2012-04-16 11:00", 184,
    ),
    "184 days to an hour that comes twice: the second time": (
        "Europe/Berlin", NOW, {"start": "2026-04-24T02:30:00+02:00", "end": "2026-10-25T02:30:00+01:00"},
        "2026-04-24 00:30", "2026-10-25 01:30", 185,
    ),
    "blanks around": (
        IST, NOW, {"start": " 2026-02-01T00:00:00Z", "end": "2026-02-01T01:00:00Z "},
        "2026-02-01 00:00", "2026-02-01 01:00", 1,
    ),
    "the first day that can be asked for": (
        "UTC", NOW, {"day": "1970-01-01"}, "1970-01-01 00:00", "1970-01-02 00:00", 1,
    ),
    "the last day that can be asked for": (
        "UTC", NOW, {"day": "2999-12-31"}, "2999-12-31 00:00", "3000-01-01 00:00", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("zone_name", "now", "query", "start", "end", "n"), ASKED.values(), ids=ASKED.keys())
def test_each_way_to_ask(
    zone_name: str, now: str, query: dict[str, str], start: str, end: str, n: int
) -> None:
    found = period(zone_name, utc(now), **query)
    assert found.over == (utc(start), utc(end))
    assert len(found.days) == n and list(found.days) == sorted(set(found.days))
    assert found.over.start.utcoffset() == found.over.end.utcoffset() == timedelta(0)
    assert found.zone_name == zone_name


WAYS = {
    # name: (query, how it says it was asked)
    "nothing": ({}, "day=today"),
    "today": ({"day": "today"}, "day=today"),
    "a date": ({"day": "2026-02-01"}, "day=2026-02-01"),
    "days": ({"span": "7d"}, "range=7d"),
    "the month": ({"span": "month"}, "range=month"),
    "instants": (
        {"start": "2026-02-01T00:00:00+03:00", "end": "2026-02-01T10:00:00.25+03:00"},
        "from=2026-01-31T21:00:00Z&to=2026-02-01T07:00:00.250000Z",
    ),
}


@pytest.mark.parametrize(("query", "asked"), WAYS.values(), ids=WAYS.keys())
def test_a_period_says_how_it_was_asked_and_can_be_asked_so_again(query: dict[str, str], asked: str) -> None:
    found = period(IST, utc(NOW), **query)
    assert found.asked == asked
    words = {"from": "start", "to": "end", "range": "span", "day": "day"}
    again = {words[key]: value for key, (value,) in parse_qs(asked).items()}
    assert period(IST, utc(NOW), **again) == found


INSTANT = "2026-02-01T00:00:00Z"
REFUSED: dict[str, tuple[dict[str, str], str]] = {
    # name: (query, words of the explanation)
    "reversed": (
        {"start": "2026-02-02T00:00:00Z", "end": INSTANT}, r"^from \(2026-02-02T00:00:00Z\) is later than to",
    ),
    "empty": (
        {"start": INSTANT, "end": "2026-02-01T03:00:00+03:00"}, "^from and to are both 2026-02-01T00:00:00Z: to is",
    ),
    "from is naive": (
        {"start": "2026-02-01T00:00:00", "end": INSTANT}, r"^from '2026-02-01T00:00:00' has no offset.*\+03:00",
    ),
    "to is naive": (
        {"start": INSTANT, "end": "2026-02-02 00:00:00.5"}, "^to '2026-02-02 00:00:00.5' has no offset",
    ),
    "from is a date": ({"start": "2026-02-01", "end": INSTANT}, "^from '2026-02-01' has no offset"),
    "from is no instant": (
        {"start": "yesterday", "end": INSTANT}, "^from 'yesterday' is no instant. Write it",
    ),
    "to is empty": ({"start": INSTANT, "end": ""}, "^to '' is no instant"),
    "the 30th of February": ({"start": "2026-02-30T00:00:00Z", "end": INSTANT}, "^from .* is no instant"),
    "hour 24": ({"start": "2026-02-01T24:00:00Z", "end": INSTANT}, "^from .* is no instant"),
    "a leap second": ({"start": "2026-02-01T23:59:60Z", "end": INSTANT}, "^from .* is no instant"),
    "an offset of 24 hours": (
        {"start": "2026-02-01T00:00:00+24:00", "end": INSTANT}, "^from .* is no instant",
    ),
    "an offset of 90 minutes": (
        {"start": "2026-02-01T00:00:00+03:90", "end": INSTANT}, "^from .* is no instant",
    ),
    "a week date": ({"start": "2026-W05-1T00:00:00Z", "end": INSTANT}, "^from .* is no instant"),
    "a count of seconds": ({"start": "1769904000", "end": INSTANT}, "^from .* is no instant"),
    "other digits": ({"start": "٢٠٢٦-02-01T00:00:00Z", "end": INSTANT}, "^from .* is no instant"),
    "something behind it": ({"start": INSTANT + "; x", "end": INSTANT}, "^from .* is no instant"),
    "very long": ({"start": "9" * 5000, "end": INSTANT}, "^from '9{40}…' is no instant"),
    "only from": ({"start": INSTANT}, "^to is missing: it goes together with from"),
    "only to": ({"end": INSTANT}, "^from is missing: it goes together with to"),
    "a day and a range": ({"day": "today", "span": "7d"}, "^day and range are given at once"),
    "a range and one instant": ({"span": "7d", "end": INSTANT}, "^range and from and to are given at once"),
    "all ways at once": (
        {"day": "today", "span": "7d", "start": INSTANT, "end": INSTANT}, "^day and range and from and to",
    ),
    "a day's name": (
        {"day": "tomorrow"}, "^day 'tomorrow' is no day: write today, yesterday or a date like 2026-02-01",
    ),
    "an empty day": ({"day": ""}, "^day '' is no day"),
    "a day that the month has not": ({"day": "2026-02-29"}, "^day '2026-02-29' is no day"),
    "a day without dashes": ({"day": "20260201"}, "^day '20260201' is no day"),
    "a day and a time": ({"day": "2026-02-01T00:00:00Z"}, "^day .* is no day"),
    "another range": ({"span": "90d"}, "^range '90d' is none of 7d, 30d and month"),
    "an empty range's name": ({"span": ""}, "^range '' is none of"),
    "184 days and a microsecond": (
        {"start": "2026-01-01T00:00:00Z", "end": "2026-07-04T00:00:00.000001Z"},
        "^from and to are more than 184 days apart: with this from, to may be 2026-07-04T00:00:00Z at the latest",
    ),
    "centuries": ({"start": "1970-01-01T00:00:00Z", "end": "2999-12-31T00:00:00Z"}, "more than 184 days"),
    "year 1, whose day begins in year 0": (
        {"day": "0001-01-01"}, "^day '0001-01-01' is too far away: 1970-01-01 to 2999-12-31",
    ),
    "year 9999, whose last day has no next": ({"day": "9999-12-31"}, "^day '9999-12-31' is too far away"),
    "year 0": ({"day": "0000-01-01"}, "^day '0000-01-01' is no day"),
    "the day before the first": ({"day": "1969-12-31"}, "too far away"),
    "the day after the last": ({"day": "3000-01-01"}, "too far away"),
    "from before year 1 by UTC": (
        {"start": "0001-01-01T00:00:00+03:00", "end": INSTANT}, "^from '0001-01-01.* is too far away",
    ),
    "to after year 9999 by UTC": (
        {"start": INSTANT, "end": "9999-12-31T23:59:59-03:00"}, "^to '9999-12-31.* is too far away",
    ),
    "from in year 1": (
        {"start": "0001-01-01T00:00:00Z", "end": "0001-01-02T00:00:00Z"}, "^from .* is too far away",
    ),
    "to in year 9999": ({"start": INSTANT, "end": "9999-12-31T23:59:59.999999Z"}, "^to .* is too far away"),
}  # fmt: skip


@pytest.mark.parametrize(("query", "words"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("zone_name", ["UTC", IST, "America/Los_Angeles"])
def test_what_is_refused_says_which_bound_is_wrong(zone_name: str, query: dict[str, str], words: str) -> None:
    with pytest.raises(BadRange, match=words) as refused:
        period(zone_name, utc(NOW), **query)
    assert (refused.value.status, refused.value.code) == (400, "bad_range")
    assert len(refused.value.message) < 250


def test_a_day_that_the_zone_skipped_is_refused() -> None:
    with pytest.raises(BadRange, match="there was no 2011-12-30 in Pacific/Apia"):
        period("Pacific/Apia", utc(NOW), day="2011-12-30")


EDGES: dict[str, tuple[str, str, str, bool, tuple[date, ...]]] = {
    # name: (zone, from, to, aligned, whole days)
    "whole days": (
        IST, "2026-02-01T00:00:00+03:00", "2026-02-04T00:00:00+03:00", True, days("2026-02-01", "2026-02-03"),
    ),
    "whole days of UTC are not the site's": (
        IST, "2026-02-01T00:00:00Z", "2026-02-04T00:00:00Z", False, days("2026-02-02", "2026-02-03"),
    ),
    "a whole day and a piece behind": (
        IST, "2026-02-01T00:00:00+03:00", "2026-02-02T00:00:01+03:00", False, days("2026-02-01", "2026-02-01"),
    ),
    "a whole day and a piece before": (
        IST, "2026-01-31T23:59:59+03:00", "2026-02-02T00:00:00+03:00", False, days("2026-02-01", "2026-02-01"),
    ),
    "pieces of two days": (IST, "2026-02-01T01:00:00+03:00", "2026-02-02T23:00:00+03:00", False, ()),
    "a piece of one day": (IST, "2026-02-01T01:00:00+03:00", "2026-02-01T02:00:00+03:00", False, ()),
    "24 hours of a day of 25": (
        "Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-25T23:00:00+01:00", False, (),
    ),
    "all 25": (
        "Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", True, days("2026-10-25", "2026-10-25"),
    ),
    "from the jump over midnight": (
        "Africa/Cairo", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00", True, days("2026-04-24", "2026-04-24"),
    ),
    "over the day that never was": (
        "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z", True, (date(2011, 12, 29), date(2011, 12, 31)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("zone_name", "start", "end", "aligned", "whole"), EDGES.values(), ids=EDGES.keys())
def test_which_days_lie_in_it_whole(
    zone_name: str, start: str, end: str, aligned: bool, whole: tuple[date, ...]
) -> None:
    found = period(zone_name, utc(NOW), start=start, end=end)
    assert found.aligned is aligned
    assert (found.first_whole_day, found.last_whole_day) == ((whole[0], whole[-1]) if whole else (None, None))
    assert found.days == whole if aligned else set(found.days) > set(whole)


PREVIOUS: dict[str, tuple[str, str, dict[str, str], str, str]] = {
    # name: (zone, now, query, start, end)
    "before today: yesterday": (IST, NOW, {"day": "today"}, "2026-11-20 21:00", "2026-11-21 21:00"),
    "before 7 days: the 7 before": (IST, NOW, {"span": "7d"}, "2026-11-08 21:00", "2026-11-15 21:00"),
    "before a month of 30 days: 30 days": (
        IST, NOW, {"span": "month"}, "2026-10-01 21:00", "2026-10-31 21:00",
    ),
    "before the day after the clocks went forward: 23 hours": (
        "Europe/Berlin", NOW, {"day": "2026-03-30"}, "2026-03-28 23:00", "2026-03-29 22:00",
    ),
    "before a day of 25 hours: 24": (
        "Europe/Berlin", NOW, {"day": "2026-10-25"}, "2026-10-23 22:00", "2026-10-24 22:00",
    ),
    "before the day after the one that never was": (
        "Pacific/Apia", NOW, {"day": "2011-12-31"}, "2011-12-29 10:00", "2011-12-30 10:00",
    ),
    "before ten hours: ten hours": (
        "Europe/Berlin", NOW, {"start": "2026-03-29T10:00:00+02:00", "end": "2026-03-29T20:00:00+02:00"},
        "2026-03-28 22:00", "2026-03-29 08:00",
    ),
    "before the first day that can be asked for": (
        "UTC", NOW, {"day": "1970-01-01"}, "1969-12-31 00:00", "1970-01-01 00:00",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("zone_name", "now", "query", "start", "end"), PREVIOUS.values(), ids=PREVIOUS.keys()
)
def test_what_to_compare_with(zone_name: str, now: str, query: dict[str, str], start: str, end: str) -> None:
    this = period(zone_name, utc(now), **query)
    before = previous(this)
    assert before.over == (utc(start), utc(end))
    assert before.aligned is this.aligned
    if this.aligned:
        assert len(before.days) == len(this.days)


def east(hours: int) -> timezone:
    return timezone(timedelta(hours=hours))


FIRST_GENERATION: dict[str, tuple[str, Any, Any, str, str]] = {
    # name: (zone, date_from, date_to, start, end)
    "as its dashboards wrote it": (
        IST, "2026-01-31T21:00:00.000Z", "2026-02-01T20:59:59.999Z", "2026-01-31 21:00", "2026-02-01 20:59:59.999",
    ),
    "as a driver reads it": (
        IST, datetime(2026, 2, 1, tzinfo=east(3)), datetime(2026, 2, 2, tzinfo=east(3)),
        "2026-01-31 21:00", "2026-02-01 21:00",
    ),
    "184 site days over a change of clocks": (
        "Europe/Berlin", "2026-08-31T22:00:00Z", "2027-03-03T23:00:00Z", "2026-08-31 22:00", "2027-03-03 23:00",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("zone_name", "date_from", "date_to", "start", "end"),
    FIRST_GENERATION.values(),
    ids=FIRST_GENERATION.keys(),
)
def test_the_first_generations_way_to_ask(
    zone_name: str, date_from: Any, date_to: Any, start: str, end: str
) -> None:
    assert first_generation_period(zone_name, date_from, date_to).over == (utc(start), utc(end))


@pytest.mark.parametrize(("at", "aligned"), [("2026-01-31T21:00:00Z", True), ("2026-02-01T00:00:00Z", False)])
def test_equal_bounds_of_the_first_generation_are_a_period_without_days(at: str, aligned: bool) -> None:
    found = first_generation_period(IST, at, at)
    assert found == Period(
        Range(found.over.start, found.over.start), IST, found.asked, (), aligned, None, None
    )
    assert previous(found).over == found.over
    assert month_bounds(found.over)[0] == month_bounds(found.over)[1]


FIRST_GENERATION_REFUSED: dict[str, tuple[Any, Any, str]] = {
    # name: (date_from, date_to, the whole message or how it begins)
    "neither": (None, None, "date_from and date_to are required"),
    "no date_from": (None, INSTANT, "date_from and date_to are required"),
    "no date_to": (INSTANT, None, "date_from and date_to are required"),
    "reversed": ("2026-02-01T00:00:00.000001Z", INSTANT, "date_from must be <= date_to"),
    "184 days and a microsecond": (
        "2026-01-01T00:00:00Z", "2026-07-04T00:00:00.000001Z", "Date range exceeds maximum of 184 days (6 months)",
    ),
    "date_from is naive": ("2026-02-01", INSTANT, "date_from '2026-02-01' has no offset from UTC"),
    "date_to is naive, as a driver reads it": (
        INSTANT, datetime(2026, 2, 2), "date_to (2026-02-02T00:00:00) has no offset",
    ),
    "date_to is no instant": (INSTANT, "now", "date_to 'now' is no instant"),
    "year 1, as a driver reads it": (
        datetime(1, 1, 1, tzinfo=east(3)), INSTANT, "date_from '0001-01-01T00:00:00+03:00' is too far",
    ),
    "year 9999": (
        INSTANT, datetime(9999, 12, 31, 23, tzinfo=east(-3)), "date_to '9999-12-31T23:00:00-03:00' is too far",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("date_from", "date_to", "words"), FIRST_GENERATION_REFUSED.values(), ids=FIRST_GENERATION_REFUSED.keys()
)
def test_the_first_generations_refusals_in_its_own_words(date_from: Any, date_to: Any, words: str) -> None:
    with pytest.raises(BadRange) as refused:
        first_generation_period(IST, date_from, date_to)
    whole = "offset" not in words and "instant" not in words and "far" not in words
    assert refused.value.message == words if whole else refused.value.message.startswith(words)
    assert str(refused.value) == refused.value.message


MONTHS = {
    # name: (start, end, first, last)
    "a day inside a month": ("2026-02-09 21:00", "2026-02-10 21:00", "2026-02-01", "2026-02-01"),
    "Istanbul's first of February begins in January": (
        "2026-01-31 21:00", "2026-02-01 21:00", "2026-01-01", "2026-02-01",
    ),
    "the end is left out": ("2026-01-31 00:00", "2026-02-01 00:00", "2026-01-01", "2026-01-01"),
    "a microsecond more is not": (
        "2026-01-31 00:00", "2026-02-01 00:00:00.000001", "2026-01-01", "2026-02-01",
    ),
    "over the new year": ("2026-11-30 21:00", "2027-01-31 21:00", "2026-11-01", "2027-01-01"),
}  # fmt: skip


@pytest.mark.parametrize(("start", "end", "first", "last"), MONTHS.values(), ids=MONTHS.keys())
def test_the_months_whose_partitions_hold_the_range(start: str, end: str, first: str, last: str) -> None:
    assert month_bounds(Range(utc(start), utc(end))) == (date.fromisoformat(first), date.fromisoformat(last))


ZONES = st.sampled_from(sorted(zone_names()))
INSTANTS = st.datetimes(datetime(1975, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
QUERIES = st.sampled_from([{}, {"day": "yesterday"}, {"span": "7d"}, {"span": "30d"}, {"span": "month"}])


@given(ZONES, INSTANTS, QUERIES)
def test_the_days_of_any_range_join_to_it_and_its_predecessor_touches_it(
    zone_name: str, now: datetime, query: dict[str, str]
) -> None:
    found = period(zone_name, now, **query)
    edges = [site_day(zone_name, day) for day in found.days]
    assert found.aligned and (found.first_whole_day, found.last_whole_day) == (found.days[0], found.days[-1])
    assert (edges[0].start, edges[-1].end) == found.over
    assert all(one.end == other.start for one, other in pairwise(edges))
    assert (today(zone_name, now) in found.days) is (query != {"day": "yesterday"})
    before = previous(found)
    assert before.over.end == found.over.start and before.aligned and len(before.days) == len(found.days)


@given(ZONES, INSTANTS, st.timedeltas(timedelta(microseconds=1), timedelta(days=LONGEST_DAYS)))
def test_any_range_up_to_184_days_is_taken_with_each_day_it_touches(
    zone_name: str, start: datetime, length: timedelta
) -> None:
    end = start + length
    found = period(zone_name, start, start=start.isoformat(), end=end.isoformat())
    assert found.over == (start, end)
    assert found.days[0] == today(zone_name, start) and found.days[-1] == today(
        zone_name, end - timedelta.resolution
    )
    pieces = [site_day(zone_name, day) for day in found.days]
    assert sum((min(p.end, end) - max(p.start, start) for p in pieces), timedelta(0)) == length
    whole = [day for day, p in zip(found.days, pieces, strict=True) if p.start >= start and p.end <= end]
    assert (found.first_whole_day, found.last_whole_day) == ((whole[0], whole[-1]) if whole else (None, None))
    assert found.aligned is (whole == list(found.days))
    assert previous(found).over.end == start


@given(ZONES, st.dates(date(1975, 1, 1), date(2060, 1, 1)))
def test_any_184_site_days_are_taken_and_185_are_not(zone_name: str, first: date) -> None:
    last, n = first, 0
    while n < LONGEST_DAYS:
        edges = site_day(zone_name, last)
        n += edges.start < edges.end
        last += timedelta(days=1)
    start, end = site_day(zone_name, first).start, site_day(zone_name, last).start
    assert len(period(zone_name, start, start=start.isoformat(), end=end.isoformat()).days) == LONGEST_DAYS
    longer = site_day(
        zone_name, last + timedelta(days=1)
    ).end  # two more, should one of them have been skipped
    with pytest.raises(BadRange, match="more than 184 days"):
        period(zone_name, start, start=start.isoformat(), end=longer.isoformat())
