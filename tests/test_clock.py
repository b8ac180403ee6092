"""Site days: as long as the site's clocks make them, without gaps, whatever the offset."""

from datetime import UTC, date, datetime, timedelta

import pytest

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
    "clocks jump over midnight, Toronto 1919": ("America/Toronto", "1919-03-31", "1919-03-31 04:30", 23.5),
    "a day that never was, Samoa": ("Pacific/Apia", "2011-12-30", "2011-12-30 10:00", 0),
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
