"""How much disk an event takes, with its indexes, and how large those are beside the rows.

Twice: as the doors leave it, with what updates of visits leave behind, after half a minute of batches; and a world of a
million events (see world.py) whose indexes were built over all rows at once, as after months of upkeep.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
from results import Figure, Wanted, figures
from stand import Stand
from world import Worlds

SIZE, REHEARSED = "1 M", "100 k"
SECONDS, WARM = 30.0, 2.0
MOST_BYTES, MOST_RATIO = 450, 1.0
BOUND = "what an event says: its page's address, its click, its visit's id in two indexes"

TABLES = """
SELECT coalesce(p.relname, c.relname) AS name, sum(pg_table_size(c.oid))::bigint AS rows,
    sum(pg_indexes_size(c.oid))::bigint AS indexes
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('public', 'parts')
GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) > 0 ORDER BY sum(pg_total_relation_size(c.oid)) DESC
"""


def disk(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Bytes of an event on disk, and indexes beside rows: as the doors leave it, and in a world of a million."""
    with Stand(directory) as stand:
        stand.drive("batch", connections=16, seconds=SECONDS * scale, warm=WARM)
        written = asyncio.run(_sizes(stand))
    size = REHEARSED if scale < 1 else SIZE
    with Worlds(directory, [size]) as worlds:
        run = {"written": written, "world": asyncio.run(_sizes(worlds))}
    wanted = [*_wanted("written", "as the doors leave it"), *_wanted("world", f"a world of {size}")]
    return figures([run], wanted, BOUND), [run]


async def _sizes(stand: Stand) -> dict[str, Any]:
    admin = await asyncpg.connect(stand.admin_dsn)
    try:
        await admin.execute("VACUUM")
        events = await admin.fetchval("SELECT count(*) FROM events")
        tables = {row["name"]: [row["rows"], row["indexes"]] for row in await admin.fetch(TABLES)}
        return {"events": events, "tables": tables}
    finally:
        await admin.close()


def _wanted(which: str, what: str) -> list[Wanted]:
    def each(part: slice, *names: str) -> Any:
        def of(run: dict[str, Any]) -> float:
            tables = run[which]["tables"]
            return float(sum(sum(tables[name][part]) for name in names or tables) / run[which]["events"])

        return of

    def ratio(*names: str) -> Any:
        return lambda run: each(slice(1, 2), *names)(run) / each(slice(0, 1), *names)(run)

    visits = ("sessions", "session_keys", "visitors")
    return [
        Wanted(f"disk, {what}: an event with its indexes", "bytes", each(slice(0, 2), "events"), None, MOST_BYTES, True),
        Wanted(f"disk, {what}: its share of its visit", "bytes", each(slice(0, 2), *visits)),
        Wanted(f"disk, {what}: everything, by the event", "bytes", each(slice(0, 2))),
        Wanted(f"disk, {what}: events' indexes / rows", "", ratio("events"), None, MOST_RATIO, True),
        Wanted(f"disk, {what}: all indexes / all rows", "", ratio(), None, MOST_RATIO, True),
    ]  # fmt: skip
