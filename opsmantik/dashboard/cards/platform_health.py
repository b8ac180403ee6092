"""How the installation fares, for whoever runs it: background jobs, places for events, the database, and all sites
together."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))

MOST: Final = 1000
"""What is counted is counted to here."""


class JobRun(msgspec.Struct, frozen=True):
    """A background job's newest run; ``outcome``: ok, failed, lost, or None while it goes on."""

    job: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    detail: dict[str, Any] | None
    last_ok_at: datetime | None


class PlatformHealth(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, of one transaction. Counts end at :data:`MOST`."""

    database_bytes: int
    version: str
    """PostgreSQL's."""
    default_sessions: int
    default_events: int
    sites: int
    sites_off: int
    silent: int
    """Sites that have sent before, and nothing for a day."""
    never: int
    refused: int
    """Refused events of one day that are kept, and those of them that nobody has let in."""
    waiting: int
    webhooks_failing: int
    mails_failing: int
    jobs: list[JobRun]
    months: list[str]
    """Months that have a place for visits and events, as in 2026-11."""


async def platform_health(connection: Any) -> PlatformHealth:
    """As whoever runs the platform; the database refuses everybody else."""
    row = await connection.fetchrow(SQL.platform_health, MOST)
    jobs = [JobRun(*each) for each in await connection.fetch(SQL.platform_health_jobs)]
    months = [each["month"] for each in await connection.fetch(SQL.platform_health_months)]
    return PlatformHealth(**dict(row), jobs=jobs, months=months)
