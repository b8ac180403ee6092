"""Rows whose fault a test does already, against a database of its own: here it is run, and what it says is told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.faults.rows import Given, Outcome, row

ROOT = Path(__file__).parents[2]
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)")


def by_tests(
    name: str, *, injected: str, must: str, tests: tuple[str, ...], kills: int = 0, limit: float = 240
) -> None:
    """Put a row into the matrix that is these tests. ``kills``: how many of them it does."""

    @row(name, injected=injected, must=must, limit=limit)
    def run(given: Given) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "no:schemathesis", *tests],
            cwd=ROOT, capture_output=True, text=True, env=os.environ | ({"KILLS": str(kills)} if kills else {}),
            timeout=limit,
        )  # fmt: skip
        last = (done.stdout.strip().splitlines() or [""])[-1]
        found = {word: int(n) for n, word in COUNT.findall(last)}
        passed = found.get("passed", 0)
        wrong = [] if done.returncode == 0 and passed else [last[:200] or "no test was run"]
        names = ", ".join(f"`{test}`" for test in tests)
        return Outcome(f"{passed} tests passed ({names})", wrong, kills if not wrong else 0, raw=found)
