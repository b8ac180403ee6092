"""What nobody needs any more: expired sign-ins and links, old rejected events, old notes on upkeep itself.

Enters: a connection as the schema's owner. Rows go in small batches, each a transaction of its own, so that a
purge after a long pause never holds many row locks, nor one transaction for long.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

BATCH = 1000
# Rejected events hold what a visitor's browser sent, so they are not kept for good: long enough to notice a
# mistake on a client's site, and to let its events in again.
KEPT_REJECTED = timedelta(days=90)
KEPT_RUNS = timedelta(days=90)

# Each statement deletes at most $1 rows that ended before now() - $2.
STATEMENTS = {
    "sign_ins": (
        "DELETE FROM sign_ins WHERE token_hash IN"
        " (SELECT token_hash FROM sign_ins WHERE expires_at < now() - $2::interval LIMIT $1)",
        timedelta(),
    ),
    "one_time_links": (
        "DELETE FROM one_time_links WHERE token_hash IN"
        " (SELECT token_hash FROM one_time_links WHERE expires_at < now() - $2::interval LIMIT $1)",
        timedelta(),
    ),
    # Site by site, because the index on the time of receipt begins with the site.
    "rejected_events": (
        "DELETE FROM rejected_events r USING (SELECT old.site_id, old.id FROM sites s CROSS JOIN LATERAL"
        " (SELECT e.site_id, e.id FROM rejected_events e"
        "  WHERE e.site_id = s.id AND e.received_at < now() - $2::interval LIMIT $1) old LIMIT $1) old"
        " WHERE r.site_id = old.site_id AND r.id = old.id",
        KEPT_REJECTED,
    ),
    "upkeep_runs": (
        "DELETE FROM upkeep_runs WHERE id IN"
        " (SELECT id FROM upkeep_runs WHERE started_at < now() - $2::interval LIMIT $1)",
        KEPT_RUNS,
    ),
}


async def purge(connection: Any, *, batch: int = BATCH) -> dict[str, int]:
    """Delete what has run out; returns how many rows by table, without the tables that had none."""
    gone = {name: await _purge(connection, *STATEMENTS[name], batch) for name in STATEMENTS}
    return {name: rows for name, rows in gone.items() if rows}


async def _purge(connection: Any, statement: str, kept: timedelta, batch: int) -> int:
    total = 0
    while True:
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            done = await connection.execute(statement, batch, kept)  # "DELETE 17"
        rows = int(done.rpartition(" ")[2])
        total += rows
        if rows < batch:
            return total
