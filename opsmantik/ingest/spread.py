"""How a measure is spread, in plain numbers: cheap enough to be noted at every request, read out when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Spread:
    """Counts of values by upper bounds, with their sum; one place more for what is above the last bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, other: Spread) -> None:
        """What another spread with the same bounds holds."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def buckets(self) -> list[tuple[str, float]]:
        """Bound and how many values are not above it, as Prometheus wants them: each bucket holds those before it."""
        told, so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            told.append((bound, float(so_far)))
        return told
