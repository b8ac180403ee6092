"""Since when a database has counted what is asked of it: without that no count says anything.

PostgreSQL knows when counters were last reset, and nothing if they never were. Then they are as old as the cluster, or as
our first migration where that is younger. Who has moved a database with its counters says so::

    ALTER DATABASE … SET app.statistics_since = '2026-01-31'
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from opsmantik.audit.needs import Catalogue

SINCE: Final = """
    SELECT coalesce(nullif(current_setting('app.statistics_since', true), '')::timestamptz,
        greatest(d.stats_reset, (SELECT b.stats_reset FROM pg_stat_bgwriter b), {made}))
    FROM pg_stat_database d WHERE d.datname = current_database()
"""
# The upper half of a cluster's number is the second in which it was made.
MADE: Final = "(SELECT to_timestamp(system_identifier >> 32) FROM pg_control_system())"
MIGRATED: Final = "(SELECT min(applied_at) FROM public.schema_migrations)"


async def statistics(connection: Any, there: Catalogue) -> dict[str, Any]:
    """``since`` and ``days``, as many as have passed."""
    known = []
    if await connection.fetchval("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"):
        known.append(MADE)
    if "applied_at" in there.relations.get("public.schema_migrations", ()):
        known.append(MIGRATED)
    since = await connection.fetchval(SINCE.format(made=", ".join(known) or "NULL"))
    days = (datetime.now(UTC) - since).total_seconds() / 86400 if since else 0.0
    return {"since": since and since.isoformat(), "days": round(days, 4)}
