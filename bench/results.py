"""What a bench leaves: raw JSON in ``results/``, one file a bench, and the page that is made of all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from machine import Machine

HERE = Path(__file__).parent
DIRECTORY = HERE / "results"


class Figure(msgspec.Struct, omit_defaults=True):
    """One published number: the median of its runs, with the lowest and highest of them."""

    name: str
    unit: str
    reached: float
    low: float
    high: float
    aim: float | None = None
    least: float | None = None  # what must be reached: a minimum, or a maximum where small is good
    small_is_good: bool = False
    bound: str = ""  # what keeps it from being better

    @property
    def is_met(self) -> bool:
        """Whether what must be reached is."""
        if self.least is None:
            return True
        return self.reached <= self.least if self.small_is_good else self.reached >= self.least


class Result(msgspec.Struct):
    """One bench, measured once."""

    name: str
    date: str
    machine: Machine
    load_average: list[list[float]]  # before and after; beforehand it is what else the machine was doing
    figures: list[Figure]
    runs: list[dict[str, Any]]


class Wanted(NamedTuple):
    """A figure's name and unit, how a run gives it, and what it should be."""

    name: str
    unit: str
    of: Callable[[dict[str, Any]], float]
    aim: float | None = None
    least: float | None = None
    small_is_good: bool = False
    bounded: bool = True  # whether what bounds the bench bounds this


def figures(runs: Sequence[dict[str, Any]], wanted: Iterable[Wanted], bound: str = "") -> list[Figure]:
    """Medians over the runs; ``bound`` goes with the figures that have something to reach."""
    found = []
    for want in wanted:
        values = [want.of(run) for run in runs]
        median, low, high = map(_rounded, (statistics.median(values), min(values), max(values)))
        figure = Figure(want.name, want.unit, median, low, high)
        figure.aim, figure.least, figure.small_is_good = want.aim, want.least, want.small_is_good
        if want.bounded and (want.aim is not None or want.least is not None):
            figure.bound = bound
        found.append(figure)
    return found


def bound_by(runs: Sequence[dict[str, Any]], cores: int, otherwise: str = "") -> str:
    """In words, from the CPU time that each part took: what was full; ``otherwise`` if it is known to be that."""
    busy = {
        name: statistics.median(run["cpu_seconds"][name] / run["seconds"] for run in runs)
        for name in ("server", "postgres", "generator", "machine")
    }
    ours = busy["server"] + busy["postgres"] + busy["generator"]
    others = max(busy["machine"] - ours, 0.0)
    shares = f"server {busy['server']:.2f}, PostgreSQL {busy['postgres']:.2f}, generator {busy['generator']:.2f} of a core"
    if others > 0.1 * cores:
        return f"other work on this machine, which took {others:.2f} of {cores} cores ({shares})"
    if otherwise:
        return otherwise
    if ours > 0.9 * cores:
        return f"all {cores} cores are busy ({shares})"
    if busy["server"] > 0.9:
        return f"the one Python process fills its core ({shares})"
    return f"parts waiting for one another: {100 - 100 * busy['machine'] / cores:.0f} % idle ({shares})"


def save(result: Result) -> Path:
    """Write it where the page is made from."""
    DIRECTORY.mkdir(exist_ok=True)
    path = DIRECTORY / f"{result.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return path


def load_all(names: Iterable[str]) -> list[Result]:
    """Those of the named benches that have been measured."""
    paths = [DIRECTORY / f"{name}.json" for name in names]
    return [msgspec.json.decode(path.read_bytes(), type=Result) for path in paths if path.exists()]


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _rounded(value: float) -> float:
    """Three digits, or whole."""
    return float(f"{value:.3g}") if abs(value) < 1000 else round(value)
