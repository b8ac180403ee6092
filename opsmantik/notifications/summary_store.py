"""Wishes for summaries by mail in the database. Enters: a connection inside a transaction."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import Unprocessable
from opsmantik.notifications.summary import PACES, USUAL_HOUR, next_at

SQL = queries(Path(__file__).with_suffix(".sql"))


class SummaryWish(msgspec.Struct, frozen=True):
    """How often somebody wants a site's figures by mail, and at which hour of the site's clock."""

    pace: str = "off"
    hour: int = USUAL_HOUR


class DueSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that is this sender's until ``taken_until``."""

    site_id: UUID
    user_id: UUID
    pace: str
    at_hour: int
    language: str
    sent_for: date | None
    """The day on which the last one was due."""
    failures: int
    taken_until: datetime
    email: str
    time_zone: str
    site_name: str
    switched_off: bool
    """Whether the site is: then there is nothing to tell."""


async def own_summary(connection: Any, site_id: UUID, user_id: UUID) -> SummaryWish:
    """The asker's wish; off if they have none."""
    row = await connection.fetchrow(SQL.own_summary, site_id, user_id)
    return SummaryWish(*row) if row else SummaryWish()


async def put_summary(
    connection: Any, site_id: UUID, wish: SummaryWish, language: str, zone_name: str, now: datetime
) -> None:
    """Keep the asker's wish; the first comes when the next is due. Raises :class:`~opsmantik.errors.Unprocessable`."""
    if wish.pace not in PACES:
        raise Unprocessable(reason=f"the pace is one of {', '.join(PACES)}")
    if not 0 <= wish.hour <= 23:
        raise Unprocessable(reason="the hour is one of 0 to 23")
    due = None if wish.pace == "off" else next_at(wish.pace, wish.hour, zone_name, now)
    await connection.execute(SQL.wish_summary, site_id, wish.pace, wish.hour, language, due)


async def may_ask(connection: Any, site_id: UUID, language: str) -> bool:
    """Whether the asker may have one sent at once; notes that they had."""
    found: bool = await connection.fetchval(SQL.ask_for_summary, site_id, language)
    return found


async def end(connection: Any, site_id: UUID, user_id: UUID) -> None:
    """No more of them. For whoever holds a signed link."""
    await connection.execute(SQL.end_summaries, site_id, user_id)


async def claim(connection: Any, *, limit: int, seconds: int) -> list[DueSummary]:
    """Wishes that are due, of all sites; see ``db/functions/summaries.sql``."""
    return [DueSummary(**row) for row in await connection.fetch(SQL.claim_summaries, limit, seconds)]


async def finish(
    connection: Any, due: DueSummary, *, sent_for: date | None, next_at: datetime, failed: bool = False
) -> None:
    """That day is done with (None: not yet), and the wish is looked at again at ``next_at``."""
    await connection.execute(
        SQL.finish_summary, due.site_id, due.user_id, due.taken_until, sent_for, failed, next_at
    )
