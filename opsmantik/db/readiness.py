"""Whether the database has the partitions that events of now and of the next weeks belong into."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

# pg_class can be read by everybody; the partitions themselves are granted to nobody.
_MISSING = """
SELECT name FROM unnest($1::text[]) AS name
WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'parts' AND c.relname = name) ORDER BY name
"""


def partitions_due(now: datetime) -> list[str]:
    """The partitions that must exist at this moment: of this month and of the next."""
    year, month = now.astimezone(UTC).year, now.astimezone(UTC).month
    months = [(year, month), (year + month // 12, month % 12 + 1)]
    return [f"{table}_{y}_{m:02}" for table in ("sessions", "events") for y, m in months]


async def missing_partitions(connection: Any, now: datetime) -> list[str]:
    """Those of them that are not there. Their rows would wait in the default partition: kept, but slow."""
    return [row["name"] for row in await connection.fetch(_MISSING, partitions_due(now))]
