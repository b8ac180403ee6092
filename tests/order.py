"""The order of the suite: whatever takes longest begins first, so that at the end no processor waits for a long file.

``seconds.tsv`` holds how long each file took. A file that is not in it is taken for a longish one, and one that has become
longer costs some seconds at the end, no more. After a big change: ``KEEP_SECONDS=1 make test`` writes it anew.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).with_name("seconds.tsv")
UNKNOWN = 5.0


def read_seconds() -> dict[str, float]:
    """File to seconds of one processor."""
    rows = (line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#"))
    return {path: float(seconds) for seconds, path in rows}


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest file first; the tests of a file stay together, in their order."""
    seconds = read_seconds()
    items.sort(key=lambda item: -seconds.get(file_of(item.nodeid), UNKNOWN))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded now stays to the end: to look for garbage in it, now or later, takes seconds and finds none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not os.environ.get("KEEP_SECONDS"):
        return
    measured = Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                measured[file_of(report.nodeid)] += report.duration
    there = {
        path: s for path, s in read_seconds().items() if Path(terminalreporter.config.rootpath, path).exists()
    }
    rows = sorted((there | measured).items(), key=lambda row: (-row[1], row[0]))
    lines = ["# Seconds that a file of tests took, and which: tests/order.py"]
    TABLE.write_text("\n".join([*lines, *(f"{seconds:.1f}\t{path}" for path, seconds in rows)]) + "\n")
