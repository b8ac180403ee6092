"""What the contracts that answer figures share: how they ask the counters for a range, and how they divide."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from opsmantik import clock
from opsmantik.clock import Period


class Parts(NamedTuple):
    """What the SQL function ``figures`` is asked with, after the site.

    The whole site days from the first to the last (None: there is none), which the counters hold; and [from, to) of
    what lies before and after them, which is counted from the rows.
    """

    first: date | None
    last: date | None
    edge_from: list[datetime]
    edge_to: list[datetime]


NOTHING = Parts(None, None, [], [])


def parts(asked: Period) -> Parts:
    """The period cut into whole days and what is left: at most two parts of days, or one if there is no whole day."""
    start, end = asked.over
    if asked.first_whole_day is None or asked.last_whole_day is None:
        return Parts(None, None, [start], [end]) if start < end else NOTHING
    whole = (
        clock.site_day(asked.zone_name, asked.first_whole_day).start,
        clock.site_day(asked.zone_name, asked.last_whole_day).end,
    )
    edges = [(a, b) for a, b in ((start, whole[0]), (whole[1], end)) if a < b]
    return Parts(asked.first_whole_day, asked.last_whole_day, [a for a, _ in edges], [b for _, b in edges])


def ratio(part: int, whole: int, places: int = 4) -> Decimal | None:
    """A part of a whole with so many decimals, halves rounded away from zero; None of nothing."""
    return rounded(Decimal(part) / whole, places) if whole else None


def rounded(number: Decimal, places: int) -> Decimal:
    """The number with exactly so many decimals, halves rounded away from zero as PostgreSQL does."""
    return number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
