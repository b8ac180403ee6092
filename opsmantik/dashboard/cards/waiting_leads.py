"""The newest leads that wait for a decision, each with what brought it: a glance, with the way to the whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.intents.status import WAITING

SQL = queries(Path(__file__).with_suffix(".sql"))
ROWS = 6
# Among so many of the newest those of paid visits are looked for: who has more waiting has the queue to work through.
LOOKED_AT = 500


class WaitingLead(msgspec.Struct, frozen=True):
    """One lead. ``None`` is "not known", never a guess."""

    id: UUID
    created_at: datetime
    occurred_at: datetime
    action: str | None
    target: str | None
    phone_number: str | None
    click_id_kind: str | None
    keyword: str | None
    campaign: str | None
    attribution_source: str | None
    city: str | None
    district: str | None
    previous_visits: int
    tap_count: int


async def waiting_leads(
    connection: Any, site_id: UUID, *, ads_only: bool = False, rows: int = ROWS
) -> list[WaitingLead]:
    """At most ``rows`` of them, of any day, newest first. None for a site that the asker may not see."""
    found = await connection.fetch(
        SQL.waiting_leads, site_id, list(WAITING), ads_only, rows, LOOKED_AT if ads_only else rows
    )
    return [WaitingLead(**record) for record in found]
