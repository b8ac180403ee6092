"""The newest leads, each with what brought it: keyword, source, campaign, place, device, score."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))
ROWS = 50


class IntentRow(msgspec.Struct, frozen=True):
    """One lead. ``None`` is "not known", never a guess."""

    id: UUID
    created_at: datetime
    occurred_at: datetime
    status: str
    captured_by: str
    action: str | None
    target: str | None
    phone_number: str | None
    page_url: str | None
    lead_score: int
    score_parts: tuple[tuple[str, int], ...]
    click_id_kind: str | None
    keyword: str | None
    campaign: str | None
    attribution_source: str | None
    channel: str | None
    referrer_host: str | None
    city: str | None
    district: str | None
    country: str | None
    device_type: str | None
    device_os: str | None
    browser: str | None
    previous_visits: int
    tap_count: int


async def newest_intents(connection: Any, site_id: UUID, *, rows: int = ROWS) -> list[IntentRow]:
    """At most ``rows`` leads of any day, newest first."""
    found = await connection.fetch(SQL.newest_intents, site_id, rows)
    return [_row(dict(record)) for record in found]


def _row(record: dict[str, Any]) -> IntentRow:
    breakdown = record.pop("score_breakdown") or {}
    pairs = breakdown.items() if isinstance(breakdown, dict) else breakdown
    parts = tuple((str(name), points) for name, points in pairs if type(points) is int and points)
    parts = tuple(sorted(parts, key=lambda part: -part[1]))  # what counted most comes first
    return IntentRow(score_parts=parts, **record)
