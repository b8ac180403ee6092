"""What a site decides without anybody: leads that its rules seal or junk, programs and calls that it lets in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.event import new_id
from opsmantik.sites.general import Outcome

SQL = queries(Path(__file__).with_suffix(".sql"))

APPROVE_HOURS: Final = (1, 168)
JUNK_DAYS: Final = (7, 184)


class SiteRules(msgspec.Struct, frozen=True):
    """The rules as they are; ``updated_at`` is what a change of them must name."""

    approve_hours: int | None
    """After so many hours a lead without risk is sealed; None: never."""
    junk_days: int | None
    """After so many days a lead that nobody touched is junk; None: never."""
    allowed_bots: list[str]
    unsigned_calls: bool
    updated_at: datetime


async def rules(connection: Any, site_id: UUID) -> SiteRules:
    """The rules of a site that the transaction sees."""
    return SiteRules(*await connection.fetchrow(SQL.rules, site_id))


async def change_rules(
    connection: Any, site_id: UUID, seen: datetime, approve_hours: int | None, junk_days: int | None
) -> Outcome:
    """Change after how long leads are decided without anybody."""
    outcome: Outcome = await connection.fetchval(
        SQL.change_rules, site_id, new_id(), seen, approve_hours, junk_days
    )
    return outcome
