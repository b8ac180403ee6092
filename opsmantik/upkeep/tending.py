"""Dead rows, statistics and indexes: what autovacuum comes to late, or not at all.

Enters: the owner's connection, outside any transaction. Nothing here keeps anybody from reading or writing: VACUUM does not
shorten files, indexes are rebuilt CONCURRENTLY, and who waits for a table waits in nobody's way. All of it can be cut off
and done again; what a rebuilding leaves behind then is removed by the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import structlog

from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))
log = structlog.get_logger()

# It waits for every transaction that might still read by the old index, and holds up nobody meanwhile.
PATIENCE: Final = "SET lock_timeout = '10min'"
WAS_NO_USE: Final = 0.7
"""A rebuilt index that is not smaller than this share of the old one was not bloated: the estimate is wrong about it."""


async def vacuum(connection: Any) -> dict[str, Any]:
    """Freeze the partitions of months that have closed, once each; vacuum and analyse what needs it. What was done to what;
    ``busy``: tables that somebody else was at."""
    done: dict[str, Any] = {}
    await connection.execute(SQL.forget_frozen)
    for row in await connection.fetch(SQL.closed):
        if await _do(connection, "VACUUM (ANALYZE, FREEZE, TRUNCATE false)", row["place"], done, "frozen"):
            await connection.execute(SQL.frozen, row["name"])
    for row in await connection.fetch(SQL.to_vacuum):
        kind = "analysed" if row["what"] == "ANALYZE" else "vacuumed"
        await _do(connection, row["what"], row["place"], done, kind)
    only = "ANALYZE ONLY" if connection.get_server_version().major >= 18 else "ANALYZE"
    for row in await connection.fetch(SQL.parents):
        await _do(connection, only, row["place"], done, "analysed")
    return done


async def _do(connection: Any, what: str, place: str, done: dict[str, Any], kind: str) -> bool:
    try:
        await connection.execute(f"{what} {place}")
    except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):
        kind = "busy"  # or gone meanwhile
    done.setdefault(kind, []).append(place)
    return kind != "busy"


async def reindex(connection: Any, bloated: Sequence[str]) -> dict[str, Any]:
    """Remove what cut-off rebuildings left behind, mend indexes that are not valid, and rebuild those that are mostly air.

    ``bloated``: their names with schema, quoted as PostgreSQL quotes them; what is no index of ours is left out, and so is
    what was rebuilt within a month without getting smaller. A partitioned table's indexes are rebuilt partition by
    partition, as they are named. Returns what was removed, mended, and rebuilt (bytes before and after).
    """
    done: dict[str, Any] = {}
    await connection.execute(PATIENCE)
    for row in await connection.fetch(SQL.left_behind):
        if row["is_copy"]:
            await _drop(connection, row["place"], done)
        else:
            await _rebuild(connection, row["place"], done, "mended")
    no_use = await _no_use(connection)
    for row in await connection.fetch(SQL.sizes, list(bloated)):
        if row["place"] not in no_use:
            await _rebuild(connection, row["place"], done, "rebuilt", row["bytes"])
    return done


async def _drop(connection: Any, place: str, done: dict[str, Any]) -> None:
    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {place}")
    done.setdefault("removed", []).append(place)


async def _rebuild(
    connection: Any, place: str, done: dict[str, Any], kind: str, before: int | None = None
) -> None:
    try:
        await connection.execute(f"REINDEX INDEX CONCURRENTLY {place}")
    except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError):
        done.setdefault("busy", []).append(place)
        return
    after = await connection.fetchval("SELECT pg_relation_size($1::text::regclass)", place)
    done.setdefault(kind, {})[place] = [before, after]


async def _no_use(connection: Any) -> set[str]:
    """Indexes whose last rebuildings did nothing for them."""
    found: set[str] = set()
    for row in await connection.fetch(SQL.rebuilt_lately):
        for place, (before, after) in row["rebuilt"].items():
            if before and after > WAS_NO_USE * before:
                found.add(place)
    return found
