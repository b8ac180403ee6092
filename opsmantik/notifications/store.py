"""Wishes and what waits for them in the database. Enters: a connection inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import Unprocessable
from opsmantik.notifications.quiet import PACES

SQL = queries(Path(__file__).with_name("queries.sql"))


class Wish(msgspec.Struct, frozen=True):
    """How often somebody wants a mail about a site's new leads; the times are by the site's clock, both or none."""

    pace: str = "off"
    quiet_from: time | None = None
    quiet_until: time | None = None

    @property
    def quiet(self) -> tuple[time, time] | None:
        """From and until."""
        if self.quiet_from is None or self.quiet_until is None:
            return None
        return self.quiet_from, self.quiet_until


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that is this sender's for a while; ``oldest`` is None where nothing waits."""

    site_id: UUID
    user_id: UUID
    pace: str
    quiet_from: time | None
    quiet_until: time | None
    failures: int
    oldest: datetime | None
    email: str
    language: str
    time_zone: str
    site_name: str

    @property
    def wish(self) -> Wish:
        """What the person wants."""
        return Wish(self.pace, self.quiet_from, self.quiet_until)


class NewLead(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says of a lead: where it came from, never whose it is."""

    call_id: UUID
    captured_at: datetime
    action: str | None
    source: str | None
    channel: str | None
    campaign: str | None
    keyword: str | None
    score: int


async def own_wish(connection: Any, site_id: UUID, user_id: UUID) -> Wish:
    """The asker's wish; off if they have none."""
    row = await connection.fetchrow(SQL.own_wish, site_id, user_id)
    return Wish(*row) if row else Wish()


class OwnWish(msgspec.Struct, frozen=True):
    """A wish as one's account lists it."""

    site_id: UUID
    site_name: str
    pace: str


async def own_wishes(connection: Any, sites: Sequence[UUID], user_id: UUID) -> list[OwnWish]:
    """Where somebody wants mail, by the sites' names."""
    return [OwnWish(*row) for row in await connection.fetch(SQL.own_wishes, list(sites), user_id)]


async def put_wish(connection: Any, site_id: UUID, wish: Wish, language: str) -> None:
    """Keep the asker's wish. Raises :class:`~opsmantik.errors.Unprocessable`."""
    if wish.pace not in PACES:
        raise Unprocessable(reason=f"the pace is one of {', '.join(PACES)}")
    if (wish.quiet_from is None) != (wish.quiet_until is None) or (
        wish.quiet_from is not None and wish.quiet_from == wish.quiet_until
    ):
        raise Unprocessable(reason="quiet hours have a beginning and another end")
    await connection.execute(
        SQL.wish_notices, site_id, wish.pace, wish.quiet_from, wish.quiet_until, language
    )


async def end(connection: Any, site_id: UUID, user_id: UUID) -> None:
    """No more mail. For whoever holds a signed link."""
    await connection.execute(SQL.end_notices, site_id, user_id)


async def claim(connection: Any, *, limit: int, seconds: int) -> list[Due]:
    """Wishes that are due, of all sites; see ``db/functions/notices.sql``."""
    return [Due(**row) for row in await connection.fetch(SQL.claim_notices, limit, seconds)]


async def leads(connection: Any, due: Due, limit: int) -> list[NewLead]:
    """The leads that wait for this person, oldest first."""
    rows = await connection.fetch(SQL.leads_to_notice, due.site_id, due.user_id, limit)
    return [NewLead(**row) for row in rows]


async def finish(
    connection: Any, due: Due, told: Sequence[UUID], *, failed: bool = False, seconds: float | None = None
) -> None:
    """These were told; what is left is looked at after so many seconds. ``failed`` without seconds: given up."""
    await connection.execute(SQL.finish_notices, due.site_id, due.user_id, list(told), failed, seconds)
