"""When a mail about new leads is due."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from opsmantik.notifications.quiet import DELAYS, PACES, due_at, end_of_quiet, is_quiet

ISTANBUL, NEW_YORK = ZoneInfo("Europe/Istanbul"), ZoneInfo("America/New_York")
NIGHT, LUNCH = (time(22), time(8)), (time(12), time(13))


def at(text: str, zone: ZoneInfo = ISTANBUL) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


HOURS: dict[str, tuple[tuple[time, time], str, bool]] = {
    "in the evening": (NIGHT, "2026-11-22T22:00", True),
    "just before": (NIGHT, "2026-11-22T21:59:59.999", False),
    "after midnight": (NIGHT, "2026-11-23T03:00", True),
    "at the end": (NIGHT, "2026-11-23T08:00", False),
    "by day": (NIGHT, "2026-11-23T12:30", False),
    "at noon": (LUNCH, "2026-11-23T12:30", True),
    "after noon": (LUNCH, "2026-11-23T13:00", False),
    "in the night, when only noon is quiet": (LUNCH, "2026-11-23T02:00", False),
}


@pytest.mark.parametrize(("quiet", "now", "is_it"), HOURS.values(), ids=HOURS.keys())
def test_quiet_hours_go_by_the_site_s_clock_and_past_midnight(
    quiet: tuple[time, time], now: str, is_it: bool
) -> None:
    assert is_quiet(*quiet, ISTANBUL, at(now)) == is_it


# Pace, quiet hours, when the oldest lead came, now; and when a mail is due.
DUE: dict[str, tuple[str, tuple[time, time] | None, str, str, str]] = {
    "every lead, by day": ("every", NIGHT, "2026-11-22T12:00", "2026-11-22T12:00:02", "2026-11-22T12:00"),
    "every lead, at night": ("every", NIGHT, "2026-11-22T23:00", "2026-11-22T23:00:02", "2026-11-23T08:00"),
    "every lead, after midnight": ("every", NIGHT, "2026-11-23T01:00", "2026-11-23T01:00:02", "2026-11-23T08:00"),
    "every lead, when the night is over": ("every", NIGHT, "2026-11-22T23:00", "2026-11-23T08:00:01", "2026-11-22T23:00"),
    "gathered": ("quarter_hour", None, "2026-11-22T12:00", "2026-11-22T12:01", "2026-11-22T12:15"),
    "gathered long enough": ("quarter_hour", None, "2026-11-22T12:00", "2026-11-22T12:20", "2026-11-22T12:15"),
    "an hour that ends at night": ("hour", NIGHT, "2026-11-22T21:30", "2026-11-22T21:31", "2026-11-23T08:00"),
    "an hour that ends by day": ("hour", NIGHT, "2026-11-23T07:50", "2026-11-23T07:51", "2026-11-23T08:50"),
}  # fmt: skip


@pytest.mark.parametrize(("pace", "quiet", "oldest", "now", "due"), DUE.values(), ids=DUE.keys())
def test_a_mail_is_due(pace: str, quiet: tuple[time, time] | None, oldest: str, now: str, due: str) -> None:
    assert due_at(pace, quiet, ISTANBUL, at(oldest), at(now)) == at(due)


def test_every_pace_but_off_has_its_delay() -> None:
    assert set(PACES) == {"off", *DELAYS}


@pytest.mark.parametrize(
    ("end", "now", "until"),
    [
        # 2 a.m. is skipped on 8 March 2026: 2:30 by the clock before the jump is 3:30 after it.
        (time(2, 30), datetime(2026, 3, 8, 6, 30, tzinfo=UTC), datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        # 1 a.m. to 2 a.m. happens twice on 1 November 2026; after the first 1:30 the second one is the end.
        (time(1, 30), datetime(2026, 11, 1, 5, 0, tzinfo=UTC), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        (time(1, 30), datetime(2026, 11, 1, 6, 10, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
    ],
    ids=["skipped", "twice, before both", "twice, between them"],
)
def test_a_night_in_which_clocks_change_ends(end: time, now: datetime, until: datetime) -> None:
    assert end_of_quiet(time(22), end, NEW_YORK, now) == until


def test_a_night_always_ends_later_and_within_a_day() -> None:
    for zone in (ISTANBUL, NEW_YORK):
        moment = datetime(2026, 10, 30, tzinfo=UTC)
        while moment < datetime(2026, 11, 3, tzinfo=UTC):
            if is_quiet(*NIGHT, zone, moment):
                end = end_of_quiet(*NIGHT, zone, moment)
                assert moment < end <= moment + timedelta(hours=11) and not is_quiet(*NIGHT, zone, end)
            moment += timedelta(minutes=7)
