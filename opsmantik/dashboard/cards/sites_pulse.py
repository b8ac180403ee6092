"""How each site is doing today, on one line: leads, leads that wait, and the last sign of life."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.clock import Range
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class SitePulse(msgspec.Struct, frozen=True):
    """Counts of the site's own today; the times are of any day."""

    leads: int
    waiting: int
    last_event_at: datetime | None
    last_intent_at: datetime | None


async def sites_pulse(connection: Any, days: Mapping[UUID, Range]) -> dict[UUID, SitePulse]:
    """The pulse of each site over its own day. Zeros for one that the asker may not see."""
    found = await connection.fetch(SQL.sites_pulse, list(days), [day.start for day in days.values()])
    return {row["site_id"]: SitePulse(*list(row)[1:]) for row in found}
