"""When somebody is told of the leads that wait for them: at once or gathered, and not at night. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

Pace = Literal["off", "every", "quarter_hour", "hour"]
PACES: Final[tuple[str, ...]] = get_args(Pace)
DELAYS: Final[dict[str, timedelta]] = {
    "every": timedelta(0), "quarter_hour": timedelta(minutes=15), "hour": timedelta(hours=1),
}  # fmt: skip
"""How long after the first lead that waits a mail goes out, with all that came until then."""


def due_at(
    pace: str, quiet: tuple[time, time] | None, zone: ZoneInfo, oldest: datetime, now: datetime
) -> datetime:
    """When a mail about leads of which the oldest came at ``oldest`` is to go out: a moment past is "now".

    ``quiet`` is from and until, by the site's clock, past midnight where from is the later; leads of that time come in
    one mail at its end. ``oldest`` and ``now`` are aware.
    """
    at = oldest + DELAYS[pace]
    moment = max(at, now)
    return end_of_quiet(*quiet, zone, moment) if quiet and is_quiet(*quiet, zone, moment) else at


def is_quiet(start: time, end: time, zone: ZoneInfo, at: datetime) -> bool:
    """Whether the site's clock stands in the quiet hours: from ``start`` on, and not any more at ``end``."""
    wall = at.astimezone(zone).time()
    return start <= wall < end if start < end else wall >= start or wall < end


def end_of_quiet(start: time, end: time, zone: ZoneInfo, at: datetime) -> datetime:
    """The next moment after ``at`` at which the site's clock shows ``end``. Where clocks jump over it, just after."""
    local = at.astimezone(zone)
    day = local.date() if local.time() < end else local.date() + timedelta(days=1)
    until = datetime.combine(day, end, zone).astimezone(UTC)
    # Where clocks go back the end is shown twice, and the first time may be over.
    return until if until > at else datetime.combine(day, end.replace(fold=1), zone).astimezone(UTC)
