"""How near the doors come to what the same PostgreSQL can store when nothing has a meaning.

The limit: the very rows that the doors stored, 200 to an ``INSERT ... SELECT FROM unnest``, into a table with the
columns, indexes and partitions of ``events`` and nothing else: no sessions, leads, foreign keys, row security, HTTP.
In turns with the doors, in one run, so that whatever else slows the machine slows both.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import uvloop
from ingest import one
from results import Figure, Wanted, bound_by, figures
from stand import Stand, VoidError

from opsmantik.db.connect import prepare_connection

ROWS = 200
BASE = (
    30_000  # stored rows that the batches are made of, under new ids of events and sessions each time around
)
ROUNDS, SECONDS = 3, 4.0
MOST = 100_000  # rows a second that batches are prepared for

TABLE = """
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE IF NOT EXISTS bench.events (LIKE public.events INCLUDING ALL) PARTITION BY RANGE (session_month);
CREATE TABLE IF NOT EXISTS bench.events_all PARTITION OF bench.events FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
"""
COLUMNS = (
    "site_id, session_month, id, session_id, created_at, occurred_at, event_value, event_category, event_action,"
    " event_label, url, metadata, flags"
)
INSERT = f"""
INSERT INTO bench.events ({COLUMNS})
SELECT s, m, i, n, c, o, v, g, a, l, u, j, f::text[]
FROM unnest($1::uuid[], $2::date[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::numeric[],
    $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::text[])
    AS x (s, m, i, n, c, o, v, g, a, l, u, j, f)
ON CONFLICT DO NOTHING
"""
ID, SESSION = 2, 3  # their places among the columns


async def _plain(dsn: str, connections: int, seconds: float, batches: list[list[Any]]) -> float:
    """Rows a second over so many connections, into an empty table."""
    pool = [await asyncpg.connect(dsn) for _ in range(connections)]
    try:
        for connection in pool:
            await prepare_connection(connection)
        await pool[0].execute("TRUNCATE bench.events")
        supply, start = iter(batches), time.perf_counter()
        counts = await asyncio.gather(*(_insert(connection, supply, start + seconds) for connection in pool))
        spent = time.perf_counter() - start
        if await pool[0].fetchval("SELECT count(*) FROM bench.events") != sum(counts):
            raise VoidError("the plain table has other rows than were inserted")
        return sum(counts) / spent
    finally:
        for connection in pool:
            await connection.close()


async def _insert(connection: Any, batches: Iterator[list[Any]], ends: float) -> int:
    count = 0
    while time.perf_counter() < ends and (batch := next(batches, None)) is not None:
        await connection.execute(INSERT, *batch)
        count += ROWS
    return count


async def _prepare(dsn: str, rows: int) -> list[list[Any]]:
    """Make the table; and arguments for INSERT: stored rows, again and again, but never an id twice."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(TABLE)
        return await _batches(connection, rows)
    finally:
        await connection.close()


async def _batches(connection: Any, rows: int) -> list[list[Any]]:
    columns_as_text = COLUMNS.replace("metadata", "metadata::text").replace("flags", "flags::text")
    stored = await connection.fetch(f"SELECT {columns_as_text} FROM public.events LIMIT {BASE}")
    found = [tuple(row) for row in stored]
    chunks = []
    for start in range(0, len(found) - ROWS + 1, ROWS):
        columns = [list(column) for column in zip(*found[start : start + ROWS], strict=True)]
        columns[11] = [None if text is None else text.encode() for text in columns[11]]
        chunks.append(columns)
    batches: list[list[Any]] = []
    while len(batches) < rows // ROWS:
        sessions: defaultdict[UUID, UUID] = defaultdict(_new_id)
        for columns in chunks:
            fresh = list(columns)
            fresh[ID] = [_new_id() for _ in range(ROWS)]
            fresh[SESSION] = [sessions[session] for session in columns[SESSION]]
            batches.append(fresh)
    return batches


def _new_id() -> UUID:
    return UUID(bytes=os.urandom(16))


def limit(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Single events against plain batches, in turns."""
    batches = uvloop.run(_prepare(stand.admin_dsn, int(MOST * SECONDS * scale)))
    runs = []
    for number in range(ROUNDS):
        run = one(stand, "present", 64, SECONDS * scale, 1.0, number)
        run["single"] = run["events"] / run["seconds"]
        for connections in (1, 2):
            stand.settle()
            plain = _plain(stand.admin_dsn, connections, SECONDS * scale, batches)
            run[f"plain_{connections}"] = uvloop.run(plain)
        run["syncs"] = stand.syncs_a_second()
        runs.append(run)
    wanted = [
        Wanted("plain batches of 200 rows, one connection", "rows/s", lambda run: run["plain_1"]),
        Wanted("plain batches of 200 rows, two connections", "rows/s", lambda run: run["plain_2"]),
        Wanted("single events, in turns with them", "events/s", lambda run: run["single"]),
        Wanted(
            "single events / plain, one connection", "", lambda run: run["single"] / run["plain_1"], None, 0.2
        ),
        Wanted("single events / plain, two connections", "", lambda run: run["single"] / run["plain_2"]),
        Wanted("blocks put on disk one by one (fdatasync)", "1/s", lambda run: run["syncs"]),
    ]
    known = (
        "what a plain row does not have: HTTP, the pipeline, sessions, foreign keys (CPU per event, above)"
    )
    bound = bound_by(runs, stand.cores, known)
    return figures(runs, wanted, bound), runs
