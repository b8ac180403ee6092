"""The reads and writes of privacy. Enters: a connection inside a transaction of somebody who may, or of the owner."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import TooManyRequests
from opsmantik.keyring import Sealed
from opsmantik.privacy.subject import Found, Size, Subject

SQL = queries(Path(__file__).with_name("queries.sql"))

MOST_AN_HOUR: Final = 10
"""Erasures and exports that one person may ask for within an hour, on all sites together."""
SHOWN: Final = 50


class SitePrivacy(msgspec.Struct, frozen=True):
    """What a site keeps of its visitors; see the columns of ``sites``."""

    id: UUID
    public_id: str
    name: str
    domain: str
    region: str
    consent_mode: str
    keep_ip: bool
    ip_forgotten: bool
    retention_months: int | None
    facts_since: date | None


class Expiring(msgspec.Struct, frozen=True):
    """What goes by a retention: rows from before this instant, but for leads that something still needs."""

    before: datetime
    sessions: int
    calls: int
    kept_calls: int
    visitors: int


class ErasureLine(msgspec.Struct, frozen=True):
    """One erasure in a site's list."""

    id: UUID
    at: datetime
    requested_name: str
    kind: str
    subject_hash: str
    finished_at: datetime | None


class ErasureRow(msgspec.Struct, frozen=True):
    """An erasure as it stands. ``subject`` and ``key_id``: sealed, until it is finished."""

    id: UUID
    at: datetime
    requested_name: str
    kind: str
    subject_hash: bytes
    with_taps: bool
    subject: bytes | None
    key_id: str | None
    parts: list[dict[str, Any]]
    sent_orders: list[str]
    finished_at: datetime | None
    certificate: bytes | None
    now: datetime
    archived: bool = False
    """Whether archived months are still to be gone through."""


async def find(connection: Any, site_id: UUID, subject: Subject) -> Found:
    """All that belongs to the subject; reads every text of the site where a number or an address is sought."""
    await connection.execute(SQL.patience)
    row = await connection.fetchrow(
        SQL.find_person, site_id, str(subject.kind), subject.value, subject.pattern, subject.with_taps
    )
    return Found(**{name: list(row[name]) for name in Found.__struct_fields__})


async def sizes(connection: Any, site_id: UUID, found: Found) -> list[Size]:
    """How many rows that is."""
    rows = await connection.fetch(
        SQL.person_sizes, site_id, found.sessions, found.months, found.calls, found.visitors, found.rejected
    )
    return [Size(*row) for row in rows]


async def tapped_by(connection: Any, site_id: UUID, number: str) -> int:
    """In how many visits this number was tapped."""
    return int(await connection.fetchval(SQL.tapped_by, site_id, number))


async def begin(
    connection: Any, site_id: UUID, erasure_id: UUID, subject: Subject, hashed: bytes, sealed: Sealed
) -> None:
    """Write a request down. Raises :class:`~opsmantik.errors.TooManyRequests` above :data:`MOST_AN_HOUR`."""
    try:
        await connection.execute(
            SQL.begin_erasure, site_id, erasure_id, str(subject.kind), hashed, subject.with_taps, sealed.data,
            sealed.key_id, MOST_AN_HOUR,
        )  # fmt: skip
    except asyncpg.ProgramLimitExceededError:
        raise TooManyRequests(retry_after=600) from None


async def note_export(connection: Any, site_id: UUID, act_id: UUID, words: str) -> None:
    """A line in the log. Raises as :func:`begin`."""
    try:
        await connection.execute(SQL.note_export, site_id, act_id, words, MOST_AN_HOUR)
    except asyncpg.ProgramLimitExceededError:
        raise TooManyRequests(retry_after=600) from None


async def erase_visits(
    connection: Any, site_id: UUID, erasure_id: UUID, month: date, sessions: list[UUID]
) -> None:
    """Visits of one month, and all that hangs on them."""
    await connection.execute(SQL.patience)
    await connection.execute(SQL.erase_visits, site_id, erasure_id, month, sessions)


async def erase_rest(connection: Any, site_id: UUID, erasure_id: UUID, found: Found) -> None:
    """What lies in no month."""
    await connection.execute(SQL.patience)
    await connection.execute(
        SQL.erase_rest, site_id, erasure_id, found.sessions, found.calls, found.visitors, found.rejected
    )


async def erasure(connection: Any, site_id: UUID, erasure_id: UUID) -> ErasureRow | None:
    """One erasure, locked until the end of the transaction."""
    row = await connection.fetchrow(SQL.erasure_row, site_id, erasure_id)
    return None if row is None or row["id"] is None else ErasureRow(*row)


async def finish(connection: Any, site_id: UUID, erasure_id: UUID, certificate: bytes) -> None:
    """Keep the certificate, and forget whom it was about."""
    await connection.execute(SQL.finish_erasure, site_id, erasure_id, certificate)


async def erasures(connection: Any, site_id: UUID) -> list[ErasureLine]:
    """The newest erasures of a site."""
    return [ErasureLine(*row) for row in await connection.fetch(SQL.erasures, site_id, SHOWN)]


async def certificate(connection: Any, site_id: UUID, erasure_id: UUID) -> bytes | None:
    """The certificate as it was signed; None for one that is not finished, or not there."""
    found: bytes | None = await connection.fetchval(SQL.certificate, site_id, erasure_id)
    return found


async def unfinished(connection: Any, older_than: timedelta) -> list[tuple[UUID, UUID]]:
    """Site and id of erasures that were cut off, of all sites. As the owner."""
    return [(row["site_id"], row["id"]) for row in await connection.fetch(SQL.unfinished, older_than)]


async def site_privacy(connection: Any, site_id: UUID) -> SitePrivacy:
    """A site's settings, as far as they are about its visitors' privacy."""
    return SitePrivacy(*await connection.fetchrow(SQL.site_privacy, site_id))


async def change(
    connection: Any, site_id: UUID, act_id: UUID, consent_mode: str, keep_ip: bool, months: int | None
) -> None:
    """Set them, with a line in the log."""
    await connection.execute(SQL.change_privacy, site_id, act_id, consent_mode, keep_ip, months)


async def expiring(connection: Any, site_id: UUID, months: int) -> Expiring:
    """What would go, or goes next, if rows were kept for so many months."""
    return Expiring(*await connection.fetchrow(SQL.retention_preview, site_id, months))
