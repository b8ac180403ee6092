"""Clocks that jump, and days that are not as long as others."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.by_tests import by_tests
from tests.faults.house import Drive, House, Ledger
from tests.faults.rows import Given, Outcome, row

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


@row(
    "clock-jump",
    injected="the server's clock jumps an hour ahead, an hour back, and to the truth again (faketime), at 150 events/s",
    must="every event is taken (200) and stored once; counters exact; /readyz stays 200",
    needs=("faketime",),
)
def clock_jump(given: Given) -> Outcome:
    jumps = given.directory / "jump"
    jumps.write_text("+0")
    with House(
        given.directory, LD_PRELOAD=str(LIBRARIES[0]), FAKETIME_TIMESTAMP_FILE=str(jumps), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ) as house:  # fmt: skip
        drive = Drive(house, seconds=24)
        seen = []
        for jump in ("+3600s", "-3600s", "+0"):
            time.sleep(5)
            jumps.write_text(jump)
            time.sleep(1)
            seen.append(round(_skew(house)))
        report = drive.finish()
        jumps.write_text("+0")
        ledger = Ledger.of(house, report)
        wrong = ledger.wrong() + house.miscounted()
        if ledger.refusals:
            wrong.append(f"refused: {ledger.refusals}")
        if [round(skew / 600) for skew in seen] != [6, -6, 0]:
            wrong.append(f"the clock did not jump: {seen}")
        ready = house.status("/readyz")
        if ready != 200:
            wrong.append(f"/readyz says {ready}")
        figure = (
            f"clock seen at {', '.join(f'{skew:+d} s' for skew in seen)}; {ledger.words}; no answer but 200"
        )
        return Outcome(figure, wrong, raw={"skews": seen})


def _skew(house: House) -> float:
    """How far the server's clock is ahead of ours, by the time of arrival of the newest visit."""
    import email.utils
    import urllib.request

    with urllib.request.urlopen(f"{house.url}/healthz", timeout=10) as answer:
        stamp = answer.headers["date"]
    return email.utils.parsedate_to_datetime(stamp).timestamp() - time.time()


by_tests(
    "days",
    injected="nights on which clocks change, in many zones; a leap day; zones that skipped a day",
    must="every instant belongs to one day; hours and days touch and never overlap; Python and PostgreSQL agree",
    tests=("tests/test_clock.py", "tests/dashboard/test_timeline_hours.py"),
)

by_tests(
    "midnight",
    injected="next month's partitions dropped; visitors browse across its first midnight, by their clocks, under load",
    must="each event is kept in the default partition, the watchdog says so, upkeep drains it: rows before = rows after",
    tests=("tests/upkeep/test_midnight.py",),
)
