"""Forgets what sites keep no longer than they say; what goes and what stays is ``db/functions/retention.sql``'s.

Enters: the owner's connection, outside any transaction. Leads first, then months of events by dropping their partition
where they have expired for every site, then visits in batches, then the months that are empty. Every batch is a transaction
of its own, so it can be cut off anywhere, and nobody waits for it for long. With an archive (``archive.py``) a month's rows
are in its files before the first of them goes; where the files cannot be written, nothing of that month goes.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import structlog

from opsmantik.errors import OpsMantikError
from opsmantik.upkeep import archive as archives
from opsmantik.upkeep.archive import Archive

log = structlog.get_logger()

BATCH: Final = 500
SITES: Final = "SELECT id, kept_since(retention_months) AS before FROM sites WHERE retention_months IS NOT NULL ORDER BY id"
MONTHS: Final = (
    "SELECT substring(c.relname FROM '[0-9]{4}_[0-9]{2}$') AS month, c.relname LIKE 'events%' AS is_events"
    " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent IN ('events'::regclass, 'sessions'::regclass) AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'"
    " ORDER BY 1, 2 DESC"
)
TO_FORGET: Final = "SELECT id FROM sites WHERE NOT keep_ip AND NOT ip_forgotten ORDER BY id"


async def expire(connection: Any, *, batch: int = BATCH, archive: Archive | None = None) -> dict[str, Any]:
    """Forget all that has expired, of every site. How many rows of what went, and which months whole.

    Raises what kept a month from being archived, after all else is done.
    """
    archived, failed = await _archive(connection, archive)
    gone: Counter[str] = Counter()
    dropped: list[str] = []
    sites: list[tuple[UUID, datetime]] = [(row["id"], row["before"]) for row in await connection.fetch(SITES)]
    for site_id, before in sites:
        gone["calls"] += await _batches(
            connection, "SELECT expire_calls($1, $2, $3)", site_id, before, batch, batch=batch
        )
    dropped += await _drop(connection, "SELECT drop_month_of_events($1)", is_events=True)
    for site_id, before in sites:
        for month in await _months(connection, site_id, before):
            gone["sessions"] += await _batches(
                connection, "SELECT expire_visits($1, $2, $3, $4)", site_id, month, before, batch, batch=batch
            )
        gone["visitors"] += await _batches(
            connection, "SELECT expire_visitors($1, $2, $3)", site_id, before, batch, batch=batch
        )
        gone["rejected_events"] += await _batches(
            connection, "SELECT expire_rejected($1, $2, $3)", site_id, before, batch, batch=batch
        )
    dropped += await _drop(connection, "SELECT drop_month_of_visits($1)", is_events=False)
    for row in await connection.fetch(TO_FORGET):
        gone["addresses"] += await _batches(
            connection, "SELECT forget_addresses($1, $2)", row["id"], batch, batch=1
        )
    found: dict[str, Any] = {name: n for name, n in gone.items() if n}
    if failed:
        raise failed[0]
    return found | ({"dropped": dropped} if dropped else {}) | ({"archived": archived} if archived else {})


async def _archive(connection: Any, archive: Archive | None) -> tuple[list[str], list[Exception]]:
    """Archive what is about to go, and what was begun before, even if it is off by now. Which months; what failed."""
    if archive is None:
        return [], []
    months = await (archives.begin_all(connection) if archive.is_on else archives.unfinished(connection))
    done: list[str] = []
    failed: list[Exception] = []
    for month in months:
        try:
            await archives.archive_month(connection, archive.directory, month)
            done.append(f"{month:%Y-%m}")
        except (OpsMantikError, OSError) as error:
            log.error("archive.failed", month=f"{month:%Y-%m}", reason=str(error)[:300])
            failed.append(error)
    return done, failed


async def _batches(connection: Any, statement: str, *values: Any, batch: int) -> int:
    """The same until one takes fewer than ``batch``; how many in all."""
    total = 0
    while True:
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            rows: int = await connection.fetchval(statement, *values)
        total += rows
        if rows < batch:
            return total


async def _months(connection: Any, site_id: UUID, before: datetime) -> list[date]:
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        rows = await connection.fetch("SELECT month FROM months_before($1, $2) AS month", site_id, before)
    return [row["month"] for row in rows]


async def _drop(connection: Any, statement: str, *, is_events: bool) -> list[str]:
    """Drop the months of one of the two tables that have gone; their names."""
    done = []
    for row in await connection.fetch(MONTHS):
        year, _, month = row["month"].partition("_")
        if row["is_events"] is not is_events:
            continue
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            if await connection.fetchval(statement, date(int(year), int(month), 1)):
                done.append(f"{'events' if is_events else 'sessions'} {year}-{month}")
    return done
