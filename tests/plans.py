"""What a statement really reads: the partitions that were scanned and the buffers it took, by either kind of plan.

PostgreSQL plans a prepared statement's first five runs with its parameters at hand ("custom"), and may then turn to
one plan for all parameters ("generic"), which has to leave partitions out while it runs. Both are tried here. What
runs inside functions does not show in a plan; the session's own scan counts show it, so they are asked as well.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from itertools import count
from typing import Any, NamedTuple

KINDS = ("custom", "generic")

_numbers = count(1)

# The scans of every partition that this transaction has begun, in plans and in functions alike.
SCANS = """
    SELECT n.nspname || '.' || c.relname AS name, pg_stat_get_xact_numscans(c.oid)
        + coalesce((SELECT sum(pg_stat_get_xact_numscans(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid), 0)
        AS scans
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition AND c.relkind = 'r'
"""


class Reading(NamedTuple):
    """What one run of a statement read."""

    partitions: frozenset[str]  # "parts.sessions_2026_11", by the names PostgreSQL writes
    buffers: int  # hit and read, of the execution; planning is not in it
    milliseconds: float  # of the execution
    plan: dict[str, Any]  # the plan's tree as EXPLAIN gives it, for messages


async def readings(connection: Any, sql: str, *parameters: Any) -> dict[str, Reading]:
    """Run the statement once by a custom and once by a generic plan; what it writes is rolled back.

    ``parameters`` are those of ``$1, $2, …``: numbers, text, UUIDs, dates, aware datetimes, None, and lists of them.
    Settings of the transaction around it (who asks) hold inside.
    """
    return {kind: await reading(connection, kind, sql, *parameters) for kind in KINDS}


async def reading(connection: Any, kind: str, sql: str, *parameters: Any) -> Reading:
    """The same for one kind of plan."""
    name = f"plan_{next(_numbers)}"
    call = f"EXECUTE {name}" + (f"({', '.join(map(literal, parameters))})" if parameters else "")
    analyze = f"EXPLAIN (ANALYZE, VERBOSE, BUFFERS, FORMAT JSON) {call}"
    await connection.execute(f"PREPARE {name} AS {sql.strip().rstrip(';')}")
    try:
        async with _undone(connection):
            await connection.execute(f"SET LOCAL plan_cache_mode = force_{kind}_plan")
            await connection.execute("SET LOCAL jit = off")
            # Once for nothing: the first run makes the generic plan, and reads the catalogue as later ones do not.
            async with _undone(connection):
                await connection.execute(analyze)
            # The planner itself may look up an index's ends: that is no scan of the statement's.
            planned, _ = await _counted(connection, f"EXPLAIN {call}")
            run, text = await _counted(connection, analyze)
    finally:
        await connection.execute(f"DEALLOCATE {name}")
    explained = json.loads(text)[0]
    plan = explained["Plan"]
    counted = {partition for partition, scans in run.items() if scans > planned[partition]}
    return Reading(
        partitions=frozenset(counted | (_executed(plan) & run.keys())),
        buffers=plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        milliseconds=explained["Execution Time"],
        plan=plan,
    )


@asynccontextmanager
async def _undone(connection: Any) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def _counted(connection: Any, statement: str) -> tuple[dict[str, int], Any]:
    """How many scans of each partition the statement began, and its answer."""
    before = await _scans(connection)
    answer = await connection.fetchval(statement)
    return {name: scans - before[name] for name, scans in (await _scans(connection)).items()}, answer


async def _scans(connection: Any) -> dict[str, int]:
    return {row["name"]: row["scans"] for row in await connection.fetch(SCANS)}


def _executed(node: dict[str, Any]) -> set[str]:
    """The relations of all nodes of the plan that ran at least once."""
    return {
        f"{n['Schema']}.{n['Relation Name']}"
        for n in _nodes(node)
        if "Relation Name" in n and n["Actual Loops"]
    }


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def literal(value: Any) -> str:
    """A constant of no type of its own: PostgreSQL reads it as the parameter's type."""
    if value is None:
        return "NULL"
    return "'" + _text(value).replace("'", "''") + "'"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "{" + ",".join("NULL" if item is None else _quoted(_text(item)) for item in value) + "}"
    return str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
