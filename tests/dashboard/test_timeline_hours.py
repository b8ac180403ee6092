"""The hours of a range, where clocks are odd: they are cut where the database cuts them, and none is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from opsmantik.clock import site_day
from opsmantik.dashboard.cards.timeline import hours

# Zone, day, how many hours it has, and the first and the last of them in UTC.
DAYS = {
    "a plain day": ("Europe/Istanbul", date(2026, 11, 10), 24, "21:00", "20:00"),
    "clocks go forward": ("Europe/Berlin", date(2026, 3, 29), 23, "23:00", "21:00"),
    "clocks go back": ("Europe/Berlin", date(2026, 10, 25), 25, "22:00", "22:00"),
    "forward over midnight": ("Asia/Beirut", date(2026, 3, 29), 23, "22:00", "20:00"),
    "an offset of three quarters": ("Asia/Kathmandu", date(2026, 11, 1), 24, "18:15", "17:15"),
    "three quarters, and clocks go back": ("Pacific/Chatham", date(2026, 4, 5), 25, "10:15", "10:15"),
    "three quarters, and clocks go forward": ("Pacific/Chatham", date(2026, 9, 27), 23, "11:15", "09:15"),
    # Half an hour lost or won: the clock shows 24 hours forward, of which one is half as long; and 25 back.
    "half an hour forward": ("Australia/Lord_Howe", date(2026, 10, 4), 24, "13:30", "12:00"),
    "half an hour back": ("Australia/Lord_Howe", date(2026, 4, 5), 25, "13:00", "12:30"),
}


@pytest.mark.parametrize(("zone", "day", "count", "first", "last"), DAYS.values(), ids=DAYS.keys())
async def test_a_day_has_the_hours_that_its_clock_shows(
    owner: Any, zone: str, day: date, count: int, first: str, last: str
) -> None:
    over = site_day(zone, day)
    found, begin = zip(*hours(zone, *over), strict=True)
    assert begin[0] == over.start and sorted(set(begin)) == list(begin)
    assert (len(found), f"{found[0]:%H:%M}", f"{found[-1]:%H:%M}") == (count, first, last)
    assert list(found) == await cut_by_the_database(owner, zone, *over)


async def cut_by_the_database(owner: Any, zone: str, start: datetime, end: datetime) -> list[datetime]:
    rows = await owner.fetch(
        "SELECT DISTINCT hour_key(t, $1)::timestamptz AS hour"
        " FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 second', '5 minutes') t ORDER BY 1",
        zone, start, end,
    )  # fmt: skip
    return [row["hour"] for row in rows]


@pytest.mark.parametrize(
    "zone", ["Europe/Istanbul", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"]
)
async def test_two_months_are_cut_the_same(owner: Any, zone: str) -> None:
    start = datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)
    end = start + timedelta(days=60)
    assert [key for key, _ in hours(zone, start, end)] == await cut_by_the_database(owner, zone, start, end)


def test_a_part_of_an_hour_is_its_hour() -> None:
    start = datetime(2026, 11, 10, 9, 59, 59, 999_999, tzinfo=UTC)
    nine, ten = datetime(2026, 11, 10, 9, tzinfo=UTC), datetime(2026, 11, 10, 10, tzinfo=UTC)
    found = list(hours("Europe/Istanbul", start, start + timedelta(microseconds=2)))
    assert found == [(nine, nine), (ten, ten)]
    assert list(hours("Europe/Istanbul", start, start)) == []


def test_where_half_an_hour_is_won_or_lost_an_hour_begins_when_the_clock_shows_it() -> None:
    """Two of the night's hours, and that between them: they touch, although one is called by an earlier instant."""
    back = dict(hours("Australia/Lord_Howe", *site_day("Australia/Lord_Howe", date(2026, 4, 5))))
    forward = dict(hours("Australia/Lord_Howe", *site_day("Australia/Lord_Howe", date(2026, 10, 4))))
    night, spring = datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC)
    half = timedelta(minutes=30)
    assert [back[night + n * half] for n in (28, 29, 31)] == [night + n * half for n in (28, 30, 31)]
    assert [forward[spring + n * half] for n in (29, 30, 32)] == [spring + n * half for n in (29, 31, 32)]
