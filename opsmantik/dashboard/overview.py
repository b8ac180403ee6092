"""How the overview's figures stand against the range before, and how the two ranges lie beside each other.

Enters: answers of the contracts ``command_centre`` and ``timeline``. Leaves: changes, and points of the trend. Nothing
is counted here: sums are of the contracts' own buckets.

A range that is not over is not compared with a whole one: at noon every day would be worse than the day before. Of both
ranges as many buckets are added up as have gone by. What is no sum (a rate, a mean) is compared as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec

from opsmantik.dashboard.cards.command_centre import CommandCentre, Figures
from opsmantik.dashboard.cards.timeline import Bucket, Timeline

Way = Literal["more", "less", "same", "new", "unknown"]
SUMS: Final = ("sessions", "leads", "leads_with_click_id", "waiting", "sealed", "junk")
"""Figures that are added up over time, and that every bucket has."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A figure against the same of the range before.

    ``new``: there was none before, so there is no telling how much more; ``unknown``: neither then nor now, or not known.
    """

    way: Way
    now: Decimal | None
    before: Decimal | None
    difference: Decimal | None
    """Now less before, in the figure's own unit."""
    share: Decimal | None
    """The size of the difference as a part of the earlier figure; of more and less alone."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All changes of a screen, by the names of :class:`~opsmantik.dashboard.cards.command_centre.Figures`."""

    changes: Mapping[str, Change]
    until: datetime | None
    """Of a range that is not over: up to when its sums are compared. None: whole ranges are."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of the trend beside the one of the range before that has its place."""

    state: Literal["done", "open", "ahead"]
    """``open``: it is not over; ``ahead``: it has not begun."""
    now: Bucket
    before: Bucket | None


def change(now: Decimal | int | None, before: Decimal | int | None) -> Change:
    """How a figure has changed."""
    if now is None or before is None:
        return Change(way="unknown", now=None, before=None, difference=None, share=None)
    now, before = Decimal(now), Decimal(before)
    if before == 0:
        way: Way = "new" if now else "unknown"
        return Change(way=way, now=now, before=before, difference=now, share=None)
    difference = now - before
    way = "more" if difference > 0 else "less" if difference < 0 else "same"
    return Change(way=way, now=now, before=before, difference=difference, share=abs(difference) / before)


def is_open(found: CommandCentre | Timeline) -> bool:
    """Whether the range has begun and is not over."""
    return found.range.start <= found.as_of < found.range.end


def compare(found: CommandCentre, now: Timeline, before: Timeline | None) -> Comparison | None:
    """The changes, where the answer has figures of the range before; None where nothing is compared.

    ``now`` and ``before`` are the two ranges by hours or days: their buckets must have the same places.
    """
    if found.previous is None or before is None:
        return None
    then = found.previous.figures
    changes = {
        "conversion_rate": change(found.figures.conversion_rate, then.conversion_rate),
        "response_seconds": change(found.figures.decided.response_seconds, then.decided.response_seconds),
    }
    if not is_open(found):
        return Comparison(changes=changes | _whole(found.figures, then), until=None)
    gone = sum(bucket.end <= found.as_of for bucket in now.buckets)
    sums = {
        name: change(_sum(now, name, gone), _sum(before, name, gone)) if gone else change(None, None)
        for name in SUMS
    }
    until = now.buckets[gone - 1].end if gone else found.range.start
    return Comparison(changes=changes | sums, until=until)


def _whole(now: Figures, before: Figures) -> dict[str, Change]:
    return {name: change(getattr(now, name), getattr(before, name)) for name in SUMS}


def _sum(line: Timeline, name: str, buckets: int) -> int:
    return sum(getattr(bucket, name) for bucket in line.buckets[:buckets])


def points(now: Timeline, before: Timeline | None) -> list[Point]:
    """The trend: every bucket of the range; the earlier ones by their place, as many as there are."""
    earlier = before.buckets if before else []
    return [
        Point(
            state="done" if bucket.end <= now.as_of else "open" if bucket.start <= now.as_of else "ahead",
            now=bucket,
            before=earlier[place] if place < len(earlier) else None,
        )
        for place, bucket in enumerate(now.buckets)
    ]
