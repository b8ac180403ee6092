"""Measures every published figure and writes docs/performance.md: ``bench/run.py [NAME ...]``; bare: all but the soak.

Each bench leaves its raw numbers in ``results/NAME.json``; the page is made from those files, so one bench can be
measured again alone. Everything runs on loopback, in a directory of its own that is removed at the end.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import machine
import page
from adopt import adopt
from audit import audit
from auth_cost import auth_cost
from contracts import contracts
from conversions import conversions
from counters_cost import counters_cost
from disk import disk
from flood import flood
from ingest import ingest_batch, ingest_first_generation, ingest_single
from latency import latency
from leads import leads
from limit import limit
from mixed import mixed
from overview import overview
from results import DIRECTORY, Figure, Result, load_all, save, today
from soak import MINUTES, soak
from stand import Stand, VoidError
from startup import startup
from streams import streams
from tap_to_screen import tap_to_screen

from opsmantik.db import binaries

Measured = tuple[list[Figure], list[dict[str, Any]]]
CORES = 2
REHEARSAL = 0.2  # of the time
LONG = "soak"  # is measured only by its name
REHEARSED_MINUTES = 1.0
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"

# In the order of the page. Those on a stand share one server and one database.
ON_A_STAND: dict[str, Callable[[Stand, float], Measured]] = {
    "ingest_single": ingest_single,
    "ingest_first_generation": ingest_first_generation,
    "ingest_batch": ingest_batch,
    "limit": limit,
    "latency": latency,
    "tap_to_screen": tap_to_screen,
    "streams": streams,
    "auth_cost": auth_cost,
}
# Those with a server of their own have the machine for themselves.
ALONE: dict[str, Callable[[Path, float], Measured]] = {
    "mixed": mixed,
    "flood": flood,
    "counters_cost": counters_cost,
    "contracts": contracts,
    "leads": leads,
    "conversions": conversions,
    "audit": audit,
    "disk": disk,
    "startup": startup,
    "overview": overview,
    "adopt": adopt,
    LONG: soak,
}
ABOUT = {name: (bench.__doc__ or "").strip() for name, bench in (ON_A_STAND | ALONE).items()}


def main() -> int:
    """0 when all was measured; 1 when a run was void or a figure missed what it must reach."""
    given = _arguments()
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(128 + number)
    )  # so that everything is cleared away
    cores = machine.use_cores(given.cores)
    names = given.names or [name for name in ABOUT if name != LONG]
    minutes = given.minutes or (REHEARSED_MINUTES if given.rehearse else MINUTES)
    failed = False
    with ExitStack() as stack:
        stand: Stand | None = None
        for name in sorted(names, key=list(ABOUT).index):
            before, start = machine.load_average(), time.monotonic()
            scale = minutes / MINUTES if name == LONG else REHEARSAL if given.rehearse else 1.0
            print(f"{name}: {ABOUT[name]}", flush=True)
            try:
                if name in ON_A_STAND:
                    stand = stand or stack.enter_context(Stand(given.directory))
                    figures, runs = ON_A_STAND[name](stand, scale)
                else:
                    stack.close()
                    stand = None
                    figures, runs = ALONE[name](given.directory, scale)
            except VoidError as void:
                print(f"  VOID: {void}", flush=True)
                failed = True
                continue
            found = machine.describe(given.directory, ".".join(map(str, binaries.find().version)))
            loads = [before, machine.load_average()]
            _tell(figures, loads, time.monotonic() - start)
            failed = failed or not all(figure.is_met for figure in figures)
            if not given.rehearse and (name != LONG or scale >= 1):
                save(Result(name, today(), found, loads, figures, runs))
    if not given.rehearse:
        PAGE.write_text(page.render(load_all(ABOUT), ABOUT))
        print(
            f"{PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE} is written ({cores} cores)."
        )
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the published figures.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(ABOUT)}; all but {LONG} if none"
    )
    parser.add_argument("--cores", type=int, default=CORES, help="processors for everything together (2)")
    parser.add_argument(
        "--directory", type=Path, default=Path("/var/tmp"), help="where the data lies; must be a disk"
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="a fifth of the time, small worlds; nothing is written"
    )
    parser.add_argument(
        "--minutes", type=float, help=f"of the soak ({MINUTES}); a shorter one is told and not published"
    )
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in ABOUT]
    if unknown:
        parser.error(f"there is no bench {', '.join(unknown)}")
    return given


def _tell(figures: list[Figure], loads: list[list[float]], seconds: float) -> None:
    for figure in figures:
        goal = (
            ""
            if figure.least is None
            else f"   (must: {figure.least:g}{'' if figure.is_met else ', MISSED'})"
        )
        spread = "" if figure.low == figure.high else f" [{figure.low:g} to {figure.high:g}]"
        print(f"  {figure.name:64} {figure.reached:>9,g} {figure.unit}{spread}{goal}")
        if figure.bound and figure is figures[0]:
            print(f"    bound by: {figure.bound}")
    print(f"  ({seconds:.0f} s; load average {loads[0][0]:g} before, {loads[1][0]:g} after)", flush=True)


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    sys.exit(main())
