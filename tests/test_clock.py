"""Site days: as long as the site's clocks make them, without gaps, whatever the offset."""

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.clock import site_day, today, zone, zone_names
from opsmantik.errors import Unprocessable


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


DAYS = {
    # name: (zone, day, start, hours)
    "an ordinary day in Istanbul": ("Europe/Istanbul", "2026-11-22", "2026-11-21 21:00", 24),
    "UTC is its own day": ("UTC", "2026-11-22", "2026-11-22 00:00", 24),
    "clocks go forward: 23 hours": ("Europe/Berlin", "2026-03-29", "2026-03-28 23:00", 23),
    "clocks go back: 25 hours": ("Europe/Berlin", "2026-10-25", "2026-10-24 22:00", 25),
    "the day after is ordinary again": ("Europe/Berlin", "2026-10-26", "2026-10-25 23:00", 24),
    "three quarters of an hour, Kathmandu": ("Asia/Kathmandu", "2026-11-22", "2026-11-21 18:15", 24),
    "three quarters and summer time, Chatham": ("Pacific/Chatham", "2026-11-22", "2026-11-21 10:15", 24),
    "Chatham's 23 hours": ("Pacific/Chatham", "2026-09-27", "2026-09-26 11:15", 23),
    "Chatham's 25 hours": ("Pacific/Chatham", "2026-04-05", "2026-04-04 10:15", 25),
    "half an hour of summer time, Lord Howe": ("Australia/Lord_Howe", "2026-10-04", "2026-10-03 13:30", 23.5),
    "midnight itself is skipped, Cairo": ("Africa/Cairo", "2026-04-24", "2026-04-23 22:00", 23),
    "midnight comes twice, Havana: the first counts": (
        "America/Havana",
        "2026-11-01",
        "2026-11-01 04:00",
        25,
    ),
    "the evening comes twice, Beirut: the day before is long": (
        "Asia/Beirut",
        "2026-10-24",
        "2026-10-23 21:00",
        25,
    ),
    "midnight itself is skipped, Santiago": ("America/Santiago", "2026-09-06", "2026-09-06 04:00", 23),
    "Santiago's evening comes twice": ("America/Santiago", "2026-04-04", "2026-04-04 03:00", 25),
    "midnight itself is skipped, Beirut": ("Asia/Beirut", "2026-03-29", "2026-03-28 22:00", 23),
    "half an hour less of summer time, Lord Howe": (
        "Australia/Lord_Howe",
        "2026-04-05",
        "2026-04-04 13:00",
        24.5,
    ),
    "clocks jump over midnight, Toronto 1919": ("America/Toronto", "1919-03-31", "1919-03-31 04:30", 23.5),
    "a day that never was, Samoa": ("Pacific/Apia", "2011-12-30", "2011-12-30 10:00", 0),
    "the day before the one that never was": ("Pacific/Apia", "2011-12-29", "2011-12-29 10:00", 24),
    "the day after the one that never was": ("Pacific/Apia", "2011-12-31", "2011-12-30 10:00", 24),
    "leap day": ("Europe/Istanbul", "2028-02-29", "2028-02-28 21:00", 24),
}


@pytest.mark.parametrize(("zone_name", "day", "start", "hours"), DAYS.values(), ids=DAYS.keys())
def test_a_day_starts_and_lasts_as_its_zone_says(zone_name: str, day: str, start: str, hours: float) -> None:
    first, last = site_day(zone_name, date.fromisoformat(day))
    assert first == utc(start)
    assert last - first == timedelta(hours=hours)
    assert first.utcoffset() == timedelta(0)


@pytest.mark.parametrize("zone_name", ["America/St_Johns", "Pacific/Apia", "Asia/Beirut", "Pacific/Chatham"])
def test_consecutive_days_touch_and_never_overlap(zone_name: str) -> None:
    day = date(2010, 1, 1)
    while day < date(2012, 2, 1):
        assert site_day(zone_name, day).end == site_day(zone_name, day + timedelta(days=1)).start
        assert site_day(zone_name, day).start <= site_day(zone_name, day).end
        day += timedelta(days=1)


TODAYS = {
    "just before Istanbul's midnight": ("Europe/Istanbul", "2026-11-21 20:59:59.999999", "2026-11-21"),
    "at Istanbul's midnight": ("Europe/Istanbul", "2026-11-21 21:00", "2026-11-22"),
    "Kathmandu is ahead": ("Asia/Kathmandu", "2026-11-21 18:15", "2026-11-22"),
    "Chatham is a day ahead of Honolulu": ("Pacific/Chatham", "2026-11-22 10:15", "2026-11-23"),
    "Honolulu": ("Pacific/Honolulu", "2026-11-22 09:59", "2026-11-21"),
    "the wall shows yesterday again, St John's 2010": ("America/St_Johns", "2010-11-07 02:45", "2010-11-07"),
}


@pytest.mark.parametrize(("zone_name", "now", "day"), TODAYS.values(), ids=TODAYS.keys())
def test_today_is_the_day_whose_range_holds_now(zone_name: str, now: str, day: str) -> None:
    assert today(zone_name, utc(now)) == date.fromisoformat(day)
    first, last = site_day(zone_name, date.fromisoformat(day))
    assert first <= utc(now) < last


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "Europe", "/etc/localtime"])
def test_a_zone_that_does_not_exist_is_refused_in_words(name: str) -> None:
    with pytest.raises(Unprocessable, match="no time zone"):
        zone(name)


def test_the_names_offered_are_places_and_utc() -> None:
    assert {"UTC", "Europe/Istanbul", "Pacific/Chatham"} <= zone_names()
    assert not any(name.startswith("Etc/") for name in zone_names())
    for name in zone_names():
        zone(name)


ZONES = st.sampled_from(sorted(zone_names()))
INSTANTS = st.datetimes(datetime(1975, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


@given(ZONES, st.dates(date(1975, 1, 1), date(2060, 1, 1)))
def test_any_two_consecutive_days_of_any_zone_touch(zone_name: str, day: date) -> None:
    this, following = site_day(zone_name, day), site_day(zone_name, day + timedelta(days=1))
    assert this.start <= this.end == following.start
    assert timedelta(0) <= this.end - this.start <= timedelta(hours=48)


@given(ZONES, INSTANTS)
def test_any_instant_belongs_to_exactly_one_day(zone_name: str, at: datetime) -> None:
    around = [at.date() + timedelta(days=n) for n in range(-3, 4)]
    holding = [day for day in around if site_day(zone_name, day).start <= at < site_day(zone_name, day).end]
    assert holding == [today(zone_name, at)]


FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
NEAR = [timedelta(hours=h) for h in (-25, -12, -1, -0.5, 0, 0.5, 1, 12, 25)]
TICK = timedelta(microseconds=1)


def transitions(where: ZoneInfo) -> Iterator[datetime]:
    """The instants from 2024 to 2028 at which the zone's offset changes. No two are within three days."""
    before = FIRST
    while before < LAST:
        after = before + timedelta(days=3)
        early, late = before, after
        if early.astimezone(where).utcoffset() != late.astimezone(where).utcoffset():
            while late - early > timedelta(seconds=1):
                middle = (early + (late - early) / 2).replace(microsecond=0)
                same = middle.astimezone(where).utcoffset() == before.astimezone(where).utcoffset()
                early, late = (middle, late) if same else (early, middle)
            yield late
        before = after


def instants_around_transitions(zone_name: str) -> set[datetime]:
    # Besides, one in each month: a change that only PostgreSQL knows of does not stay unseen.
    found = {
        datetime(year, month, 15, 12, tzinfo=UTC) for year in range(2024, 2029) for month in range(1, 13)
    }
    for at in transitions(zone(zone_name)):
        day = today(zone_name, at)
        edges = [site_day(zone_name, day + timedelta(days=n)).start for n in (-1, 0, 1, 2)]
        found |= {
            moment - tick for moment in edges + [at + near for near in NEAR] for tick in (TICK, 0 * TICK)
        }
    return found


@pytest.mark.slow
async def test_postgres_sees_the_same_day_at_every_change_of_clocks(owner: Any, database: Any) -> None:
    """Figures by the row compare instants with a day's range; counters cut days in SQL: the same days, then.

    PostgreSQL may bring a zone database older or newer than Python's. Where the two differ, this computes once
    more with PostgreSQL's own file of the zone, which must then agree, and warns of the zone and the instant.
    """
    theirs = {row["name"] for row in await owner.fetch("SELECT name FROM pg_timezone_names")}
    asked = [(name, at) for name in sorted(zone_names() & theirs) for at in instants_around_transitions(name)]
    assert len(asked) > 20_000
    rows = await owner.fetch(
        "SELECT z AS zone_name, i AS at, i AT TIME ZONE z AS wall FROM unnest($1::text[], $2::timestamptz[]) AS x (z, i)"
        " ORDER BY z, i",
        [name for name, _ in asked],
        [at for _, at in asked],
    )
    files = await postgres_zone_files(database)
    disagreements: list[str] = []
    other_rules: dict[str, str] = {}
    for zone_name, at, wall in rows:
        ours = at.astimezone(zone(zone_name)).replace(tzinfo=None)
        words = f"{zone_name} at {at.isoformat()}: PostgreSQL's clock shows {wall}, Python's {ours}"
        if wall == ours:
            if wall.date() != today(zone_name, at):
                disagreements.append(f"{words}, but the instant is in the range of {today(zone_name, at)}")
        elif wall == wall_by_file(files / zone_name, at):
            other_rules.setdefault(zone_name, words)
        else:
            disagreements.append(words)
    assert not disagreements, "\n".join(disagreements)
    if other_rules:
        warnings.warn("\n".join(["two versions of the zone database:", *other_rules.values()]), stacklevel=1)


async def postgres_zone_files(database: Any) -> Path:
    admin = await asyncpg.connect(database.admin)
    try:
        return Path(await admin.fetchval("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'"), "timezone")
    finally:
        await admin.close()


def wall_by_file(path: Path, at: datetime) -> datetime | None:
    """What the clock shows by this file of a zone; None where there is none (PostgreSQL reads the system's)."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return at.astimezone(ZoneInfo.from_file(file)).replace(tzinfo=None)
