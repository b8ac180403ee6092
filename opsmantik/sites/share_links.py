"""Links by which a site's figures are shown to whoever holds one, without an account: to the client, to the agency.

A link is 256 random bits; the database knows their SHA-256, so the address is shown once, when it is made. What it opens
is a transaction that sees one site, read-only, as nobody (``db/functions/share_links.sql``).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.db.replica import ZERO
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_suffix(".sql"))
MOST: Final = 20
LONGEST_NAME: Final = 100
LONGEST_LIFE: Final = timedelta(days=3660)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class ShareLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link as the settings list it."""

    id: UUID
    name: str
    paid_only: bool
    created_at: datetime
    made_by: str | None
    expires_at: datetime | None
    last_used_at: datetime | None
    """To five minutes."""
    is_live: bool


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is good for."""

    site_id: UUID
    link_id: UUID
    paid_only: bool

    @property
    def asker(self) -> Asker:
        """Whose transaction it is: nobody's, about that one site; they have changed nothing, so any standby will do."""
        return Asker(None, (), only=self.site_id, link=self.link_id, after=ZERO)


async def list_links(connection: Any, site_id: UUID) -> list[ShareLink]:
    """All of a site's links, newest first; in a transaction of somebody who may make one."""
    return [ShareLink(**row) for row in await connection.fetch(SQL.share_links, site_id)]


async def make_link(
    connection: Any, site_id: UUID, name: str, *, paid_only: bool, expires_at: datetime | None, now: datetime
) -> str:
    """A new link: what its address ends with, said here once.

    Raises :class:`~opsmantik.errors.Unprocessable` for a name or an end that cannot be, and where there are twenty.
    """
    name = plain_name(name)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Unprocessable(reason=f"a link has a name of 1 to {LONGEST_NAME} characters")
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise Unprocessable(reason="a link ends in the future, within ten years")
    token = secrets.token_urlsafe(32)
    values = (new_id(), new_id(), _kept(token), name, paid_only, expires_at, MOST)
    if not await connection.fetchval(SQL.make_share_link, site_id, *values):
        raise Unprocessable(reason=f"there are {MOST} links already; revoke one first")
    return token


async def revoke_link(connection: Any, site_id: UUID, link_id: UUID) -> None:
    """From the commit on it opens nothing; raises :class:`~opsmantik.errors.NotFound`."""
    if not await connection.fetchval(SQL.revoke_share_link, site_id, link_id, new_id()):
        raise NotFound(what="link")


async def shared_by(database: Database, token: str) -> Shared | None:
    """What this link shows; None for one that never was, is over or was revoked: nobody is told which."""
    if not _TOKEN.fullmatch(token):
        return None
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL.share_link_by_hash, _kept(token))
    return Shared(**row) if row else None


def plain_name(text: str) -> str:
    """A name in one line."""
    return " ".join(text.replace("\x00", "").split())


def _kept(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
