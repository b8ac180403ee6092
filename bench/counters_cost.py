"""What the counters cost those who write: single events with them and without them, in turns.

Without them means the same function, from the same text, with the journal's entries left out, and nothing folded; the
journal's books (what came in, what became of it) stay, since a database without counters would have to keep them too.
In a database of its own, because its counters are wrong afterwards.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import asyncpg
from ingest import one
from results import Figure, Wanted, bound_by, figures
from stand import Stand, VoidError

from opsmantik.db import migrate

ROUNDS, SECONDS, FIRST_WARM, WARM = 4, 8.0, 3.0, 1.0
CONNECTIONS = 64

# What makes the entries, and what stands there instead. Each must be found, or what is measured is not what is said.
LEFT_OUT = (
    (r"\bsession_entry\(s, -?1\)", "NULL::counter_entry"),
    (r"\bcall_entry\(m\.call, s, 1\)", "NULL::counter_entry"),
    (r"\bcall_entries\(x\.site_id, v_calls, -?1\)", "'{}'::counter_entry[]"),
    (r"FROM touched t WHERE NOT t\.is_history AND t\.events > 0", "FROM touched t WHERE false"),
    (r"coalesce\(array_agg\(p\.entry\) FILTER \(WHERE p\.entry IS DISTINCT FROM NULL\), '{}'\)", "'{}'"),
)
NO_FOLDING = "CREATE OR REPLACE FUNCTION sites_to_fold() RETURNS SETOF uuid LANGUAGE sql AS 'SELECT NULL::uuid WHERE false'"
COUNTED = "SELECT coalesce(sum(events), 0)::bigint AS events FROM counters WHERE dimension = 'all'"


def _text(name: str) -> str:
    """The file in which the function is defined."""
    return next(path for path in migrate.function_files() if path.stem == name).read_text()


def _without_entries() -> str:
    text = _text("ingest_batch_v2")
    for pattern, instead in LEFT_OUT:
        text, count = re.subn(pattern, instead, text)
        if not count:
            raise VoidError(
                f"ingest_batch_v2 has no {pattern!r} any more: say here how its entries are left out"
            )
    return text


async def _switch(dsn: str, counting: bool) -> None:
    """Have the database count, or not, from the next transaction on."""
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute(_text("ingest_batch_v2") if counting else _without_entries())
        await admin.execute(_text("counters_upkeep") if counting else NO_FOLDING)
        if counting:  # what the turn without left in the journal is not for this turn to fold
            await admin.execute("SELECT fold_counters(id) FROM sites")
    finally:
        await admin.close()


def _turn(stand: Stand, counting: bool, seconds: float, warm: float, seed: int) -> dict[str, Any]:
    """A run with or without; it is void if it counted otherwise than it says."""
    asyncio.run(_switch(stand.admin_dsn, counting))
    counted, events = stand.query(COUNTED), stand.books().events
    run = one(stand, "present", CONNECTIONS, seconds, warm, seed)
    grown = stand.query(COUNTED)["events"] - counted["events"]
    stored = stand.books().events - events
    if grown != (stored if counting else 0):
        raise VoidError(
            f"{stored} events were stored and {grown} counted, {'with' if counting else 'without'} counters"
        )
    return run


def counters_cost(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """POST /v1/events, one event a request, 64 connections, with counters and without them in turns."""
    runs = []
    with Stand(directory) as stand:
        for number in range(ROUNDS):
            run: dict[str, Any] = {}
            # Now one first, now the other, so that neither has all the good luck.
            for counting in (True, False) if number % 2 else (False, True):
                warm = FIRST_WARM * scale if number == 0 else WARM * scale
                run["with" if counting else "without"] = _turn(stand, counting, SECONDS * scale, warm, number)
            run |= {name: run["with"][name] for name in ("seconds", "cpu_seconds")}
            runs.append(run)
        bound = bound_by(runs, stand.cores, "entries of the journal, and one fold a second and site")
    wanted = [
        Wanted("single events, with counters", "events/s", lambda run: _rate(run["with"])),
        Wanted("single events, without counters", "events/s", lambda run: _rate(run["without"])),
        Wanted(
            "throughput with counters / without",
            "",
            lambda run: _rate(run["with"]) / _rate(run["without"]),
            None,
            0.85,
        ),
        Wanted("CPU with counters / without", "", _ratio("server", "postgres"), None, 1.15, True),
        Wanted("CPU of PostgreSQL with counters / without", "", _ratio("postgres")),
        Wanted("CPU with counters", "ms/event", lambda run: _cpu(run["with"], "server", "postgres")),
        Wanted("CPU without counters", "ms/event", lambda run: _cpu(run["without"], "server", "postgres")),
    ]
    return figures(runs, wanted, bound), runs


def _rate(turn: dict[str, Any]) -> float:
    return float(turn["events"] / turn["seconds"])


def _cpu(turn: dict[str, Any], *parts: str) -> float:
    return float(sum(turn["cpu_seconds"][part] for part in parts) / turn["events"] * 1000)


def _ratio(*parts: str) -> Any:
    return lambda run: _cpu(run["with"], *parts) / _cpu(run["without"], *parts)
