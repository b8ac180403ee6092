"""The geometry of a chart of bars, for pages (SVG) and for mails (a picture): how high each bar is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Bar(NamedTuple):
    """One bucket: its figure and that of the one before it, and the part of the chart's height that each takes up."""

    value: int | None
    """None: it has not begun yet."""
    before: int | None
    """None: there is none to compare with."""
    height: float
    before_height: float


def top_of(values: Sequence[int | None]) -> int:
    """What the chart's upper edge stands for: 1, 2, 4 or 6 times a power of ten, and never less than the largest value.
    They halve into whole numbers, but for 1, so that the line at half height has a figure that is easy to read."""
    most = max((value for value in values if value is not None), default=0)
    step = 1
    while True:
        for times in (1, 2, 4, 6):
            if most <= times * step:
                return max(times * step, 2)
        step *= 10


def bars(values: Sequence[int | None], before: Sequence[int | None] = ()) -> tuple[int, list[Bar]]:
    """The chart's top, and a bar for each value; ``before`` goes along by position, and what it has more is left out."""
    top = top_of([*values, *before])
    earlier = [*before, *[None] * len(values)][: len(values)]
    return top, [
        Bar(value, was, (value or 0) / top, (was or 0) / top)
        for value, was in zip(values, earlier, strict=True)
    ]
