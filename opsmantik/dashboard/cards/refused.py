"""What was refused: how much for which reason, from which origins and by which programs, and examples of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.dashboard import paging
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))

SPANS: Final[dict[str, timedelta]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
MOST_GROUPS: Final = 50
MOST_SHOWN: Final = 100_000
"""Characters of a payload that are shown."""


class Refusals(msgspec.Struct, frozen=True):
    """``refused`` is exact, by the books; ``kept`` are those of them that can be looked at; ``waiting``: and let in."""

    reason: str
    refused: int
    kept: int
    waiting: int


class Group(msgspec.Struct, frozen=True):
    """Kept events of one bot or origin: how many can be let in, and when the last one came."""

    reason: str
    name: str
    waiting: int
    last_at: datetime


class Example(msgspec.Struct, frozen=True):
    """One refused event, as it came."""

    id: UUID
    received_at: datetime
    door: str
    reason: str
    detail: str | None
    origin: str | None
    user_agent: str | None
    ip: str | None
    payload: str
    replay_count: int
    last_replay_error: str | None
    replayed_at: datetime | None


class Refused(msgspec.Struct, frozen=True):
    """One answer. ``next_cursor`` leads to older examples; null: there are none."""

    reasons: list[Refusals]
    groups: list[Group]
    examples: list[Example]
    next_cursor: str | None
    as_of: datetime


async def refused(
    connection: Any,
    site_id: UUID,
    span: str,
    *,
    reason: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Refused:
    """What one site refused in the last 24 hours, 7 or 30 days (``span``, of :data:`SPANS`); examples of one reason, or
    of all, newest first. The books are kept by the hour, so the first hour counts whole.

    Raises :class:`~opsmantik.errors.Malformed` for a cursor that is none.
    """
    after = paging.read(cursor) if cursor else paging.FIRST_PAGE
    as_of: datetime = await connection.fetchval("SELECT now()")
    since = (as_of - SPANS[span]).replace(minute=0, second=0, microsecond=0)
    counts = await connection.fetch(SQL.refused_counts, site_id, since)
    groups = await connection.fetch(SQL.groups, site_id, since, MOST_GROUPS)
    rows = await connection.fetch(SQL.examples, site_id, since, reason, after.at, after.id, limit + 1)
    examples = [_example(row) for row in rows[:limit]]
    last = examples[-1] if len(rows) > limit else None
    return Refused(
        [Refusals(*row) for row in counts],
        [Group(*row) for row in groups],
        examples,
        paging.written(paging.Cursor(last.received_at, last.id)) if last is not None else None,
        as_of,
    )


async def refused_origins(connection: Any, site_id: UUID) -> list[Group]:
    """The origins whose events were refused in the last 30 days, of those that are kept."""
    return await _groups(connection, site_id, "origin_refused")


async def refused_bots(connection: Any, site_id: UUID) -> list[Group]:
    """The automatic visitors whose events were refused in the last 30 days, of those that are kept."""
    return await _groups(connection, site_id, "bot")


async def _groups(connection: Any, site_id: UUID, reason: str) -> list[Group]:
    as_of: datetime = await connection.fetchval("SELECT now()")
    rows = await connection.fetch(SQL.groups, site_id, as_of - SPANS["30d"], MOST_GROUPS)
    return [Group(*row) for row in rows if row["reason"] == reason]


def pretty(payload: str) -> str:
    """A payload to be read: indented where it is JSON, as it is where it is not."""
    try:
        return msgspec.json.format(payload, indent=2)[:MOST_SHOWN]
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return payload[:MOST_SHOWN]


def _example(row: Any) -> Example:
    known = dict(row)
    return Example(**{**known, "payload": known["payload"].decode("utf-8", "replace")[:MOST_SHOWN]})
