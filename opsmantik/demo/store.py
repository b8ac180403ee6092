"""The demo's account and sites in the database, made by the schema's owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from opsmantik.db.connect import UNREACHABLE
from opsmantik.db.sql import queries
from opsmantik.demo.businesses import Business
from opsmantik.errors import DatabaseUnavailable
from opsmantik.event import new_id
from opsmantik.people.passwords import Passwords
from opsmantik.sites import store as sites

SQL = queries(Path(__file__).with_name("queries.sql"))


@asynccontextmanager
async def set_up(owner_dsn: str) -> AsyncIterator[Any]:
    """A connection as the owner that sees every row; whoever else sets up waits until it is closed."""
    try:
        connection = await asyncpg.connect(owner_dsn, server_settings={"application_name": "opsmantik demo"})
    except UNREACHABLE as lost:
        raise DatabaseUnavailable from lost
    try:
        await connection.execute("SET app.maintenance = 'on'")
        await connection.execute(SQL.lock)
        yield connection
    finally:
        await connection.close()


async def ensure_user(connection: Any, passwords: Passwords, email: str, name: str, password: str) -> UUID:
    """The account, able to sign in with this password; another one that it had is forgotten."""
    found = await connection.fetchrow(SQL.user_by_email, email)
    if found and not found["disabled"] and await passwords.verify(found["password_hash"], password):
        return UUID(int=found["id"].int)
    kept = await passwords.hash(password)
    made: UUID = await connection.fetchval(SQL.save_user, new_id(), email, name, kept)
    return made


async def ensure_site(
    connection: Any, user_id: UUID, business: Business, origins: Sequence[str], since: datetime
) -> UUID:
    """The business's site, owned by this person, with these origins among those that may post for it."""
    checked = sites.new_site(
        name=business.name, domain=business.domain, time_zone=business.time_zone, region=business.region,
        currency=business.currency, origins=origins,
    )  # fmt: skip
    site_id: UUID | None = await connection.fetchval(SQL.site_by_public_id, business.public_id)
    if site_id is None:
        site_id = new_id()
        async with connection.transaction():
            await connection.execute(SQL.act_as, str(user_id))
            await connection.execute(
                sites.SQL.create_site, site_id, business.public_id, checked.name, checked.domain,
                checked.time_zone, checked.region, checked.currency, checked.consent_mode,
                list(checked.origins),
            )  # fmt: skip
    await connection.execute(SQL.backdate_site, site_id, since)
    await connection.execute(SQL.add_origins, site_id, list(checked.origins))
    return site_id


async def newest_session(connection: Any, site_id: UUID) -> datetime | None:
    """When the latest visit arrived, or ``None`` if there has been none."""
    found: datetime | None = await connection.fetchval(SQL.newest_session, site_id)
    return found


async def decide_history(
    connection: Any, site_id: UUID, user_id: UUID, since: datetime, until: datetime
) -> int:
    """Have the leads of a past range decided, and its figures counted anew; how many leads that were."""
    async with connection.transaction():
        decided: int = await connection.fetchval(SQL.decide_history, site_id, since, until, user_id)
        await connection.execute(SQL.rebuild_counters, site_id)
    return decided


async def make_months(connection: Any, since: datetime, until: datetime) -> None:
    """Partitions for every month of a range, so that history lies in its own months."""
    await connection.execute(SQL.make_months, since, until)


async def analyze(connection: Any) -> None:
    """Fresh statistics for what history has filled."""
    await connection.execute(SQL.analyze)
