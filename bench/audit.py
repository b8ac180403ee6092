"""The whole audit on ten million events while visitors keep coming: how long it takes, and whether they notice.

``opsmantik audit`` as it is called by hand, once with nothing beside it and then beside ingest, which is measured alone in
turns. Who waits for a lock of the audit's is looked up in the database forty times a second; that this would be seen is
tried at the end, by a session that says it is an audit and locks a table.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from load import Report, percentiles
from machine import busy_seconds, cpu_seconds
from results import Figure, Wanted, bound_by, figures
from stand import HERE, Stand, VoidError
from world import Worlds

from opsmantik.db import roles

SIZE, REHEARSED = "10 M", "100 k"
ROUNDS, REHEARSED_ROUNDS = 3, 1
RATE, CONNECTIONS, WARM, SECONDS = 100.0, 32, 2.0, 30.0
LONGER = 1.25  # than the audit took with nothing beside it
MOST_SECONDS = 60
SAMPLES_A_SECOND = 40
CONTROL_SECONDS = 0.4
NAME = "opsmantik audit"  # as which the audit names its connection

LOCKS = """
SELECT (SELECT coalesce(array_agg(DISTINCT l.mode), '{}') FROM pg_locks l
        WHERE l.pid = ANY (a.pids) AND l.locktype NOT IN ('virtualxid', 'transactionid')) AS modes,
    (SELECT count(*) FROM pg_stat_activity w
        WHERE w.wait_event_type = 'Lock' AND pg_blocking_pids(w.pid) && a.pids) AS waiting
FROM (SELECT coalesce(array_agg(pid), '{}') AS pids FROM pg_stat_activity WHERE application_name = $1) a
"""


class Locks:
    """What was seen of the audit's locks."""

    def __init__(self) -> None:
        self.samples = 0
        self.waited = 0
        """In how many samples somebody waited for one."""
        self.modes: set[str] = set()

    def told(self) -> dict[str, Any]:
        return {"samples": self.samples, "waited": self.waited, "modes": sorted(self.modes)}


def audit(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Every check over ten million events, alone and beside 100 events a second; who waits for its locks."""
    size, rounds = (REHEARSED, REHEARSED_ROUNDS) if scale < 1 else (SIZE, ROUNDS)
    with Worlds(directory, [size]) as worlds:
        asyncio.run(_open_sites(worlds))
        worlds.settle()
        worlds.serve()
        runs = asyncio.run(_rounds(worlds, rounds, SECONDS * scale))
        for run in runs:
            run["world"] = worlds.contents[size]
        bound = bound_by(runs, worlds.cores, "checks that read every visit and event, one after the other")
    return figures(runs, list(_wanted(size)), bound), runs


async def _open_sites(worlds: Worlds) -> None:
    """Have visitors of the first sites let in."""
    admin = await asyncpg.connect(worlds.admin_dsn)
    try:
        await admin.execute(
            "INSERT INTO site_origins (site_id, origin) SELECT id, 'https://www.' || domain FROM sites"
        )
        found = await admin.fetch("SELECT public_id, domain FROM sites ORDER BY length(name), name LIMIT 3")
        worlds.sites = [(row["public_id"], row["domain"]) for row in found]
    finally:
        await admin.close()


async def _rounds(worlds: Worlds, rounds: int, seconds: float) -> list[dict[str, Any]]:
    alone, _ = await audited(worlds)
    runs = []
    for number in range(rounds):
        async with _visitors(worlds, seconds, number) as visitors:
            quiet = await visitors
        async with _visitors(worlds, alone * LONGER + WARM, 100 + number) as visitors:
            await asyncio.sleep(WARM + 1)
            before, start = _spent(worlds), time.perf_counter()
            async with _watching(worlds) as locks:
                spent, report = await audited(worlds)
            end = time.perf_counter()
            if not locks.modes:
                raise VoidError("nothing was seen of the audit's locks")
            cpu = {name: after - before[name] for name, after in _spent(worlds).items()}
            beside = await visitors
        during = [told.at - told.due for told in beside.told if start <= told.due <= end]
        runs.append(
            {
                "audit": spent, "alone": alone, "ingest_alone": quiet.latency_ms, "ingest_beside": percentiles(during),
                "answers": len(during), "locks": locks.told(), "outcomes": _outcomes(report),
                "slowest": _slowest(report), "found": findings(report), "seconds": end - start, "cpu_seconds": cpu,
            }
        )  # fmt: skip
    await _control(worlds)
    return runs


async def audited(stand: Stand) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole command, and its report."""
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "opsmantik.cli", "audit", "--dsn", stand.postgres.role_dsn(roles.OWNER), "--json",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    words, said = await process.communicate()
    spent = time.perf_counter() - start
    if process.returncode not in (0, 1):  # 1: it found something
        raise VoidError(f"the audit ended with {process.returncode}: {said.decode()[-2000:]}")
    return spent, msgspec.json.decode(words)


@asynccontextmanager
async def _visitors(worlds: Worlds, seconds: float, seed: int) -> Any:
    """They come for so long; what is awaited is the generator's report. Each must be answered, and stored once."""
    before = await asyncio.to_thread(worlds.books)
    order = worlds.order(
        "present", connections=CONNECTIONS, warm=WARM, seconds=seconds, rate=RATE, seed=seed + 1
    )
    order.told = True
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "load.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    async def finished() -> Report:
        words, _ = await process.communicate(msgspec.json.encode(order))
        report = msgspec.json.decode(words, type=Report)
        if report.failures:
            raise VoidError(f"not every answer was 200: {report.failures}\n{worlds.words()}")
        grown = (await asyncio.to_thread(worlds.books)).since(before)
        expected = (report.whole_rows, report.whole_events - report.whole_rows, report.whole_taps)
        if expected != (grown.events, grown.pulses, grown.calls):
            raise VoidError(f"answered {expected} and stored {grown}")
        return report

    try:
        yield asyncio.create_task(finished())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _watching(worlds: Worlds) -> Any:
    """Look at the locks all the time."""
    locks = Locks()

    async def watch() -> None:
        admin = await asyncpg.connect(worlds.admin_dsn)
        try:
            due = time.perf_counter()
            while True:
                row = await admin.fetchrow(LOCKS, NAME)
                locks.samples += 1
                locks.waited += row["waiting"] > 0
                locks.modes |= set(row["modes"])
                due += 1 / SAMPLES_A_SECOND
                await asyncio.sleep(max(due - time.perf_counter(), 0.001))
        finally:
            admin.terminate()

    task = asyncio.create_task(watch())
    try:
        yield locks
        if task.done():
            await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _control(worlds: Worlds) -> None:
    """Somebody who is called as the audit is locks out ingest for a moment: that has to be seen."""
    async with _visitors(worlds, 3.0, 200) as visitors, _watching(worlds) as locks:
        await asyncio.sleep(WARM + 1)
        other = await asyncpg.connect(worlds.admin_dsn, server_settings={"application_name": NAME})
        try:
            async with other.transaction():
                await other.execute("LOCK TABLE session_keys IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(CONTROL_SECONDS)
        finally:
            await other.close()
        await visitors
    if not locks.waited:
        raise VoidError("a lock that ingest waited for was not seen")


def _spent(worlds: Worlds) -> dict[str, float]:
    spent = {name: cpu_seconds(pid) for name, pid in worlds.processes.items()}
    return spent | {"generator": time.process_time(), "machine": busy_seconds()}


def _outcomes(report: dict[str, Any]) -> dict[str, int]:
    outcomes = [result["outcome"] for result in report["results"]]
    return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}


def _slowest(report: dict[str, Any]) -> dict[str, float]:
    """Seconds of the ten slowest checks."""
    ordered = sorted(report["results"], key=lambda result: -result["seconds"])
    return {result["stem"]: result["seconds"] for result in ordered[:10]}


def findings(report: dict[str, Any]) -> list[str]:
    """What it found, or could not answer, in its own words."""
    found = [
        f"{result['stem']}: {finding['level']} {finding['object']}: {finding['detail']}"
        for result in report["results"]
        for finding in result.get("findings", [])
        if finding["level"] != "info"
    ]
    return found + [
        f"{result['stem']}: {result.get('reason')}" for result in report["results"] if result["outcome"] == "unknown"
    ]  # fmt: skip


def _wanted(size: str) -> list[Wanted]:
    what = f"the whole audit, {size} events"
    return [
        Wanted(f"{what}, beside {RATE:g} events/s", "s", lambda run: run["audit"], None, MOST_SECONDS, True),
        Wanted(f"{what}, with nothing beside it", "s", lambda run: run["alone"], None, MOST_SECONDS, True),
        Wanted(f"{what}: its slowest check", "s", lambda run: max(run["slowest"].values())),
        Wanted(
            f"{what}: checks without an answer",
            "",
            lambda run: float(run["outcomes"].get("unknown", 0)),
            None,
            0,
            True,
        ),
        Wanted(
            f"{what}: times that somebody waited for its locks",
            "",
            lambda run: float(run["locks"]["waited"]),
            None,
            0,
            True,
        ),
        Wanted(
            f"{what}: kinds of locks that it held beside the weakest",
            "",
            lambda run: float(len(set(run["locks"]["modes"]) - {"AccessShareLock"})),
            None,
            0,
            True,
        ),
        Wanted(f"{RATE:g} events/s alone: answer, p99", "ms", lambda run: run["ingest_alone"]["p99"]),
        Wanted(f"{RATE:g} events/s beside the audit: answer, p99", "ms", lambda run: run["ingest_beside"]["p99"]),
        Wanted(
            f"{RATE:g} events/s: answer, p99, beside the audit / alone",
            "",
            lambda run: run["ingest_beside"]["p99"] / run["ingest_alone"]["p99"],
        ),
    ]  # fmt: skip
