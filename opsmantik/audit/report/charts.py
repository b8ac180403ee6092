"""Geometry of a page's charts: places in percent of their width, so that the words in them keep their size on a phone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from opsmantik.audit.report.document import Bars, Dots

LINE: Final = 40
PLOT: Final = 300
EDGE: Final = (7.0, 97.0)
"""Where the points' field begins and ends."""


class Piece(msgspec.Struct, frozen=True):
    """A part of a bar."""

    x: str
    width: str
    kind: int


class Line(msgspec.Struct, frozen=True):
    """A bar as it is drawn."""

    y: int
    name: str
    words: str
    pieces: Sequence[Piece]


class Mark(msgspec.Struct, frozen=True):
    """A point as it is drawn, or a line of the field with its figure."""

    x: str
    y: str
    words: str
    is_empty: bool = False


class Field(msgspec.Struct, frozen=True):
    """A chart of points as it is drawn."""

    dots: Sequence[Mark]
    across: Sequence[Mark]
    upwards: Sequence[Mark]


def lines(chart: Bars) -> list[Line]:
    """The bars, the longest of which is as wide as there is room."""
    most = max((sum(bar.parts) for bar in chart.bars), default=0) or 1
    made = []
    for place, bar in enumerate(chart.bars):
        at, pieces = 0.0, []
        for kind, part in enumerate(bar.parts):
            width = 100 * part / most
            pieces.append(Piece(f"{at:.2f}%", f"{width:.2f}%", kind))
            at += width
        made.append(Line(place * LINE, bar.name, bar.words, pieces))
    return made


def field(chart: Dots) -> Field:
    """The points. Nought has a column of its own, as it has no logarithm."""
    right, top = (max((_steps(value) for value in way), default=1) for way in _ways(chart))
    first = min((math.floor(math.log10(dot.y)) for dot in chart.dots if dot.y >= 1), default=0)
    height = max(1, top - 1 - first)

    def x(value: float) -> str:
        place = 0.0 if value < 1 else 1 + math.log10(value)
        return f"{EDGE[0] + (EDGE[1] - EDGE[0]) * place / right:.2f}%"

    def y(value: float) -> str:
        return f"{PLOT - 40 - (PLOT - 60) * (math.log10(max(value, 1)) - first) / height:.1f}"

    return Field(
        dots=[Mark(x(dot.x), y(dot.y), f"{dot.name}: {dot.words}", dot.x < 1) for dot in chart.dots],
        across=[Mark(x(0), "", "0"), *(Mark(x(10**n), "", _short(10**n)) for n in range(right))],
        upwards=[Mark("", y(10**n), _short(10**n)) for n in range(first, first + height + 1)],
    )


def _ways(chart: Dots) -> tuple[list[float], list[float]]:
    return [dot.x for dot in chart.dots], [dot.y for dot in chart.dots]


def _steps(value: float) -> int:
    """How many powers of ten hold it."""
    return 1 if value < 1 else math.floor(math.log10(value)) + 2


def _short(value: float) -> str:
    for least, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= least:
            return f"{value / least:.0f}{unit}"
    return f"{value:.0f}"
