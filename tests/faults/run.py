"""``make faults``: does every fault of the matrix, one after the other, and says of each whether what had to hold held.

Each row runs in a process of its own, in namespaces of its own where it needs them, and is ended when its time is over.
The raw results are in ``results/``, one file a row; the table in docs/reliability.md is made of all of them.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from opsmantik.db.child import preparation
from tests.faults import page
from tests.faults.matrix import ROWS
from tests.faults.rows import Given, Outcome, Result, Row, State, find

KILLS = 200


def main() -> int:
    """0 when everything held that could be run."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if given.one:
        return _one(ROWS[given.one], Given(given.directory, given.kills), given.out)
    began, results = time.monotonic(), []
    for name in given.names or list(ROWS):
        result = _run(ROWS[name], given)
        results.append(result)
        page.save(result)
        _tell(ROWS[name], result)
    page.write()
    bad = [result.name for result in results if result.state == "not held"]
    print(
        f"{len(results)} rows in {time.monotonic() - began:.0f} s: {sum(r.state == 'held' for r in results)} held,"
        f" {len(bad)} not held, {sum(r.state == 'not run' for r in results)} not run;"
        f" {sum(r.kills for r in results)} kills, {sum(r.lost for r in results)} acknowledged events lost."
    )
    return int(bool(bad))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Do every fault, and see what holds.")
    parser.add_argument("names", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}; all if none")
    parser.add_argument(
        "--kills", type=int, default=KILLS, help="kills of database and server in the whole run (200)"
    )
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where data lies; a disk")
    parser.add_argument("--one", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in ROWS]:
        parser.error(f"there is no row {', '.join(unknown)}")
    return given


def _run(row: Row, given: argparse.Namespace) -> Result:
    """The row in a process of its own."""
    began, date = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if reason := _why_not(row):
        return Result(row.name, "not run", reason, date, 0.0)
    with tempfile.TemporaryDirectory(prefix="opsmantik-fault-", dir=given.directory) as scratch:
        out = Path(scratch) / "outcome.json"
        command = [*_apart(row), sys.executable, "-m", "tests.faults.run", "--one", row.name]
        command += ["--out", str(out), "--directory", scratch, "--kills", str(given.kills)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, preexec_fn=preparation(), start_new_session=True
        )
        in_time = _await(process, row.limit)
        if out.exists():
            found = msgspec.json.decode(out.read_bytes(), type=Outcome)
        else:
            words = "it broke off" if in_time else f"it took longer than {row.limit:.0f} s"
            found = Outcome(words, [words])
    state: State = "held" if found.held else "not held"
    return Result(
        row.name, state, found.figure, date, round(time.monotonic() - began, 1), found.kills, found.lost, found.why,
        found.raw,
    )  # fmt: skip


def _await(process: subprocess.Popen[bytes], limit: float) -> bool:
    """Whether it ended in time. If not, or if we are told to end, it gets a minute to clear up, then goes with all of its
    session that is left."""
    try:
        process.wait(limit)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _why_not(row: Row) -> str:
    if missing := row.missing():
        return f"{', '.join(missing)} missing on this machine"
    if row.apart and os.geteuid() != 0:
        return "only root can make the namespaces that it needs"
    if row.apart and subprocess.run([*_apart(row), "true"], capture_output=True).returncode != 0:
        return "this machine does not let its root make namespaces"
    return ""


def _apart(row: Row) -> list[str]:
    """The command's beginning that puts it into namespaces of its own, which are gone when it has ended."""
    if not row.apart:
        return []
    return [find("unshare") or "unshare", *(f"--{name}" for name in row.apart)]


def _one(row: Row, given: Given, out: Path) -> int:
    """The row itself; what became of it goes to a file."""
    if "net" in row.apart:
        subprocess.run([find("ip") or "ip", "link", "set", "lo", "up"], check=True)
    try:
        outcome = row.run(given)
    except Exception as broken:
        traceback.print_exc()
        outcome = Outcome(f"it broke off: {type(broken).__name__}: {broken}"[:300], ["it broke off"])
    out.write_bytes(msgspec.json.encode(outcome))
    return 0


def _tell(row: Row, result: Result) -> None:
    print(f"{row.name}\n  injected:  {row.injected}\n  must hold: {row.must}\n  figure:    {result.figure}")
    print(
        f"  {result.state}{': ' + '; '.join(result.why) if result.why else ''}  ({result.seconds:.0f} s)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
