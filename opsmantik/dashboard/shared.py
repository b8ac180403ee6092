"""A site's figures for people who may not see its leads: whole figures only, and no value that is rare enough to say
something of somebody.

Everything comes from the contracts, so it is what the site's own screens show. What is left out here:

- every row, number, note, name and click id: the contracts that are asked hold none
- districts: of a place its city alone
- a campaign, keyword or city with fewer than :data:`LEAST` visits in the range: what somebody typed may name them. Such
  values are counted together as "other", so that each table still adds up to the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from opsmantik import clock
from opsmantik.clock import Period
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.breakdown import Counts, Part, Row, breakdown
from opsmantik.dashboard.cards.command_centre import CommandCentre, command_centre
from opsmantik.dashboard.cards.timeline import Granularity, Timeline, timeline
from opsmantik.dashboard.figures import ratio

LEAST: Final = 3
MOST_ROWS: Final = 8
# Of these the values are a fixed few of our own.
OURS: Final = frozenset({"source", "channel", "device"})
DIMENSIONS: Final = ("source", "campaign", "keyword", "city", "device")
DAYS_UP_TO: Final = 31
TRIES: Final = 3


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a breakdown: a value, what has none (``none``), or all others together (``other``)."""

    kind: Literal["value", "none", "other"]
    value: str
    values: int
    """How many values it stands for."""
    sessions: int
    leads: int
    sealed: int


class Table(msgspec.Struct, frozen=True):
    """A dimension. Its lines add up to the whole."""

    dimension: str
    lines: list[Line]


class SharedFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One state of the site: ``centre.sequence`` is its number, ``centre.as_of`` its moment."""

    centre: CommandCentre
    trend: Timeline
    before: Timeline | None
    """The same of the range before, bucket by bucket."""
    tables: list[Table]


async def shared_figures(
    connection: Any,
    site: AskedSite,
    asked: Period,
    *,
    paid: bool = False,
    trend: Period | None = None,
    granularity: Granularity | None = None,
    dimensions: Sequence[str] = DIMENSIONS,
) -> SharedFigures:
    """The figures of a range beside those of the one before; the trend over ``trend``, where it is another.

    The contracts are several statements. Where something came in between two of them they are asked again, so that all
    figures of an answer are of one state; where that never ends, of the last one.
    """
    over = trend or asked
    step = granularity or step_of(over)
    for _ in range(TRIES):
        centre = await command_centre(connection, site, asked, ads_only=paid, compare=True)
        now = await timeline(connection, site, over, ads_only=paid, granularity=step)
        before = None
        if trend is None and over.days:
            before = await timeline(connection, site, clock.previous(over), ads_only=paid, granularity=step)
        parts = await breakdown(
            connection, site, asked, ads_only=paid, dimension=dimensions, limit=4 * MOST_ROWS
        )
        states = {centre.sequence, now.sequence, parts.sequence, (before or now).sequence}
        if len(states) == 1:
            break
    tables = [Table(part.dimension, list(folded(part))) for part in parts.dimensions]
    return SharedFigures(centre=centre, trend=now, before=before, tables=tables)


def step_of(asked: Period) -> Literal["hour", "day", "week"]:
    """How long the buckets of a trend are: never more of them than a phone can show side by side."""
    return "hour" if len(asked.days) <= 1 else "day" if len(asked.days) <= DAYS_UP_TO else "week"


def folded(part: Part) -> Iterator[Line]:
    """The lines that may be shown, most visits first; then what has no value, then all others together."""
    shown: list[Row] = []
    unnamed: list[Counts] = []
    others: list[tuple[Counts, int]] = [(part.rest, part.rest.values)] if part.rest else []
    for row in part.rows:
        if row.value is None:
            unnamed.append(row)
        elif len(shown) < MOST_ROWS and (part.dimension in OURS or row.sessions >= LEAST):
            shown.append(row)
        else:
            others.append((row, 1))
    yield from (_line("value", row.value or "", 1, [row]) for row in shown)
    if unnamed:
        yield _line("none", "", 1, unnamed)
    if others:
        yield _line("other", "", sum(values for _, values in others), [counts for counts, _ in others])


def _line(kind: Literal["value", "none", "other"], value: str, values: int, counts: Sequence[Counts]) -> Line:
    return Line(
        kind=kind,
        value=value,
        values=values,
        sessions=sum(each.sessions for each in counts),
        leads=sum(each.leads for each in counts),
        sealed=sum(each.sealed for each in counts),
    )


def change(now: int, before: int) -> float | None:
    """By how much a figure has grown, as a part of what it was; None where it was nothing."""
    grown = ratio(now - before, before)
    return None if grown is None else float(grown)
