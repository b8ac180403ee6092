"""Months of sessions and events: their partitions ahead of time, and what waits for one in the default.

Enters: a connection as the schema's owner, outside any transaction. A month without a partition loses
nothing, its rows wait in the default partition; but every month should be there before its first row, because
writers wait while rows move, and only for a blink while an empty partition is made.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from opsmantik.db.migrate import MONTHS_AHEAD

# Both columns of months, whichever of the two tables is behind.
WAITING = """
    SELECT month, sum(sessions)::bigint AS sessions, sum(events)::bigint AS events FROM (
        SELECT created_month AS month, count(*) AS sessions, 0 AS events
        FROM parts.sessions_default GROUP BY 1
        UNION ALL
        SELECT session_month, 0, count(*) FROM parts.events_default GROUP BY 1) waiting
    GROUP BY 1 ORDER BY 1
"""

# The planner's row counts: an exact count of every partition would read all there is.
PARTITIONS = """
    SELECT parent.relname::text AS parent, part.relname::text AS name,
        pg_get_expr(part.relpartbound, part.oid) = 'DEFAULT' AS is_default,
        substring(pg_get_expr(part.relpartbound, part.oid) FROM 'FROM \\(''([0-9-]+)''\\)')::date AS month,
        greatest(part.reltuples, 0)::bigint AS estimated_rows, pg_total_relation_size(part.oid) AS bytes
    FROM pg_inherits i
    JOIN pg_class parent ON parent.oid = i.inhparent AND parent.relname IN ('sessions', 'events')
        AND parent.relnamespace = 'public'::regnamespace
    JOIN pg_class part ON part.oid = i.inhrelid AND part.relkind = 'r'
    ORDER BY month NULLS LAST, parent DESC
"""


class Waiting(msgspec.Struct, frozen=True):
    """Rows of one month in the default partitions."""

    month: date
    sessions: int
    events: int


class Drained(msgspec.Struct, frozen=True):
    """What moved when a month left the default partitions; all empty if somebody was faster."""

    month: date
    made: list[str]
    sessions: int
    events: int


class Partition(msgspec.Struct, frozen=True):
    """One partition; ``month`` is None for a default one. Rows are the planner's estimate, size in bytes."""

    parent: str
    name: str
    is_default: bool
    month: date | None
    estimated_rows: int
    bytes: int


async def make_months_ahead(
    connection: Any, *, ahead: int = MONTHS_AHEAD, first: date | None = None
) -> list[str]:
    """Make the partitions of this month (UTC, by the database's clock, or ``first``) and of those ahead.

    Returns the names of what was missing, oldest first. Each month is a transaction of its own, so that its
    locks are gone before the next one asks for them. Raises ``asyncpg.LockNotAvailableError`` when a long
    transaction was in the way of every try; a try lasts about a second at most, for who queues behind it too.
    """
    made: list[str] = []
    for offset in range(ahead + 1):
        async with connection.transaction(isolation="read_committed"):
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            made += await connection.fetchval(
                "SELECT make_month((coalesce($1, date_trunc('month', now() AT TIME ZONE 'UTC')::date)"
                " + make_interval(months => $2))::date)",
                first,
                offset,
            )
    return made


async def waiting_months(connection: Any) -> list[Waiting]:
    """The months that have rows in the default partitions, with how many; mostly none."""
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        return [Waiting(**row) for row in await connection.fetch(WAITING)]


async def drain_default(connection: Any) -> list[Drained]:
    """Give each waiting month its partitions and move its rows there, a transaction a month, oldest first."""
    drained = [await drain_month(connection, waiting.month) for waiting in await waiting_months(connection)]
    await _validate_keys(connection)
    return drained


async def drain_month(connection: Any, month: date) -> Drained:
    """Move one month out of the default partitions; see ``db/functions/drain_default_month.sql``.

    Ingest waits while rows change places and loses none: about five seconds for 100,000 sessions with 400,000
    events. Raises ``asyncpg.LockNotAvailableError`` when a long transaction was in the way each time.
    """
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        row = await connection.fetchrow(
            "SELECT made, sessions_moved, events_moved FROM drain_default_month($1)", month
        )
    return Drained(month, row["made"], row["sessions_moved"], row["events_moved"])


async def _validate_keys(connection: Any) -> None:
    """A move leaves a foreign key that binds new rows only; read the old ones, whoever moved them."""
    async with connection.transaction():
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        await connection.execute("SELECT validate_keys()")


async def list_partitions(connection: Any) -> list[Partition]:
    """All partitions of sessions and events, by month, the default ones last."""
    return [Partition(**row) for row in await connection.fetch(PARTITIONS)]
