"""Everybody at once: 500 events a second, fifty open dashboards that look whenever something has changed, and five
operators who decide. Every kind of request is timed on its own; at the end what was answered is counted, and so are the
counters.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from cockpit import (
    DASHBOARDS,
    OPERATORS,
    at_work,
    check_books,
    decisions,
    operators,
    own_memory,
    resident,
    site_ids,
    wrong_counters,
)
from load import Order, Report
from results import Figure, Wanted, bound_by, figures
from stand import HERE, Stand, VoidError

RATE, CONNECTIONS, WARM, SECONDS = 500.0, 64, 3.0, 60.0
REST_SECONDS = 10.0
STATEMENTS = """
SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 160) AS statement, calls, round(total_exec_time) AS ms,
    round(shared_blks_hit + shared_blks_read) AS buffers
FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 15
"""
ANSWERED = 0.98  # of what was offered: visitors come by chance, and of 30,000 that may be 1.5 % less
KINDS = ("figures", "breakdowns", "list of leads", "decision")


def mixed(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """500 events/s by an open loop, 50 dashboards, 5 operators: each kind's latency, memory at rest and under it."""
    with Stand(directory) as stand:
        owner, decides = stand.sign_in(stand.person), operators(stand)
        stand.settle()
        run = asyncio.run(_run(stand, owner, decides, scale))
        bound = bound_by([run], stand.cores)
    return figures([run], list(_wanted()), bound), [run]


async def _run(
    stand: Stand, owner: dict[str, str], decides: list[dict[str, str]], scale: float
) -> dict[str, Any]:
    await asyncio.sleep(REST_SECONDS * scale)
    at_rest = memory(stand)
    await costliest(stand, reset=True)
    before, acts = await asyncio.to_thread(stand.books), await decisions(stand)
    async with at_work(stand, owner, decides, await site_ids(stand)) as timed:
        order = stand.order("present", connections=CONNECTIONS, warm=WARM, seconds=SECONDS * scale, rate=RATE)
        report = await driven(order)
        under_load = memory(stand)
        statements = await costliest(stand)
    check_books(report, (await asyncio.to_thread(stand.books)).since(before), stand)
    cockpit = timed.report()
    stored = await decisions(stand) - acts
    # One that was answered with an error may have been stored before.
    unsure = sum(n for what, n in cockpit["errors"].items() if what.startswith("decision"))
    if not cockpit["decided"] <= stored <= cockpit["decided"] + unsure:
        raise VoidError(
            f"{cockpit['decided']} decisions were answered, {stored} are stored: {cockpit['errors']}"
        )
    if cockpit["errors"]:
        print(f"  errors: {cockpit['errors']}\n{stand.words()}", flush=True)
    run: dict[str, Any] = msgspec.to_builtins(report)
    return run | {
        "offered": RATE, "cockpit": cockpit, "at_rest": at_rest, "under_load": under_load,
        "wrong_counters": await wrong_counters(stand), "statements": statements,
    }  # fmt: skip


async def driven(order: Order) -> Report:
    """Run the generator."""
    load = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "load.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        words, _ = await load.communicate(msgspec.json.encode(order))
    finally:
        if load.returncode is None:
            load.kill()
            await load.wait()
    return msgspec.json.decode(words, type=Report)


async def costliest(stand: Stand, *, reset: bool = False) -> list[dict[str, Any]]:
    """The statements that took most of PostgreSQL's time since this was asked with ``reset``."""
    admin = await asyncpg.connect(stand.admin_dsn)
    try:
        if reset:
            await admin.execute("SELECT pg_stat_statements_reset()")
            return []
        return [dict(row) for row in await admin.fetch(STATEMENTS)]
    finally:
        await admin.close()


def memory(stand: Stand) -> dict[str, int]:
    """Bytes: the server's, and what PostgreSQL's processes hold beside its buffers."""
    return {
        "server": resident(stand.processes["server"]),
        "postgres": own_memory(stand.processes["postgres"]),
    }


def _wanted() -> list[Wanted]:
    what = f"500 events/s, {DASHBOARDS} dashboards, {OPERATORS} operators"

    def of(kind: str, share: str) -> Any:
        return lambda run: run["cockpit"]["latency_ms"].get(kind, {}).get(share, 0.0)

    def part(name: str) -> Any:
        return lambda run: run["cpu_seconds"][name] / run["seconds"]

    return [
        Wanted(f"{what}: events answered / offered", "", answered, None, ANSWERED),
        Wanted(f"{what}: an event's answer, p50", "ms", lambda run: run["latency_ms"]["p50"]),
        Wanted(f"{what}: an event's answer, p99", "ms", lambda run: run["latency_ms"]["p99"]),
        *(Wanted(f"{what}: {kind}, {share}", "ms", of(kind, share)) for kind in KINDS for share in ("p50", "p99")),
        Wanted(f"{what}: dashboards' requests", "1/s", lambda run: _asked(run) / run["seconds"]),
        Wanted(f"{what}: decisions", "", lambda run: run["cockpit"]["decided"]),
        Wanted(f"{what}: errors", "", lambda run: float(sum(run["cockpit"]["errors"].values())), None, 0, True),
        Wanted(f"{what}: wrong counters", "", lambda run: run["wrong_counters"], None, 0, True),
        Wanted(f"{what}: the server", "cores", part("server")),
        Wanted(f"{what}: PostgreSQL", "cores", part("postgres")),
        Wanted("memory at rest: the server", "MB", lambda run: run["at_rest"]["server"] / 1e6),
        Wanted("memory at rest: PostgreSQL beside its buffers", "MB", lambda run: run["at_rest"]["postgres"] / 1e6),
        Wanted("memory under it all: the server", "MB", lambda run: run["under_load"]["server"] / 1e6),
        Wanted("memory under it all: PostgreSQL beside its buffers", "MB", lambda run: run["under_load"]["postgres"] / 1e6),
    ]  # fmt: skip


def answered(run: dict[str, Any]) -> float:
    """Events a second, of those that were to come."""
    return float(run["events"] / run["seconds"] / run["offered"])


def _asked(run: dict[str, Any]) -> float:
    return float(sum(run["cockpit"]["requests"].get(kind, 0) for kind in ("figures", "breakdowns")))
