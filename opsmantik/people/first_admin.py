"""The first administrator of an empty installation: a one-time link, printed where only its operator reads.

No default password exists at any moment, and no page makes an account for whoever comes first.
"""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import asyncpg

from opsmantik.db.connect import Database
from opsmantik.errors import Unprocessable
from opsmantik.people import store
from opsmantik.people.passwords import Passwords, check_new_password

LINK_LIFETIME = timedelta(hours=24)
_EMAIL = re.compile(r"[^@\s\x00]{1,64}@[^@\s\x00]{1,189}")


async def setup_link(owner_dsn: str, base_url: str) -> str | None:
    """An address, good once and for 24 hours, that makes the first administrator; ``None`` if people are here.

    Connects as the owner: the application's role may open such a link but never make one.
    """
    token = store.new_token()
    connection = await asyncpg.connect(owner_dsn)
    try:
        offered = await connection.fetchval(
            store.SQL.offer_first_admin, store.token_hash(token), LINK_LIFETIME
        )
    finally:
        await connection.close()
    return f"{base_url}/set-up/{token}" if offered else None


def check_email(email: str) -> str:
    """The address as it will be kept. Raises :class:`~opsmantik.errors.Unprocessable`."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise Unprocessable(reason="that is not an e-mail address")
    return email


async def create_first_admin(
    database: Database, passwords: Passwords, *, link: str, email: str, name: str, password: str
) -> UUID | None:
    """Make the account; ``None`` if the link is used or expired, or there is an account already.

    Raises :class:`~opsmantik.errors.Unprocessable` for an address or password that cannot be taken.
    """
    email = check_email(email)
    check_new_password(password, email=email)
    kept = await passwords.hash(password)
    return await store.create_first_admin(database, link, email, name.replace("\x00", "").strip()[:200], kept)
