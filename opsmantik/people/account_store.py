"""One's own account in the database: sign-ins, name, password, e-mail address, and the one-time links for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.event import new_id
from opsmantik.people.store import IDLE, SQL, new_token, token_hash

LINK_LIFETIME: Final = timedelta(hours=1)


class SignIn(msgspec.Struct, frozen=True):
    """A browser in which this person is signed in."""

    id: UUID
    method: str
    user_agent: str | None
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    second_factor_at: datetime | None


class Offered(msgspec.Struct, frozen=True):
    """A link to a new password, and whom to send it to, in which language (``None``: nobody knows)."""

    token: str
    email: str
    language: str | None


async def sign_ins(database: Database, asker: Asker) -> list[SignIn]:
    """All browsers in which the asker is signed in, the one seen last first."""
    async with database.as_person(asker) as (connection, _):
        rows = await connection.fetch(SQL.own_sign_ins, asker.user_id, IDLE)
    return [SignIn(**dict(row)) for row in rows]


async def end_one(database: Database, asker: Asker, sign_in_id: UUID) -> bool:
    """Sign out one of them; ``False`` if it is over already, or somebody else's."""
    async with database.as_person(asker, write=True) as (connection, _):
        return bool(await connection.fetchval(SQL.end_own_sign_in, sign_in_id))


async def end_all(database: Database, asker: Asker) -> int:
    """Sign out everywhere, this browser too; returns from how many."""
    async with database.as_person(asker, write=True) as (connection, _):
        return int(await connection.fetchval(SQL.end_own_sign_ins, new_id()))


async def change_name(database: Database, asker: Asker, name: str) -> None:
    """What to call them."""
    async with database.as_person(asker, write=True) as (connection, _):
        await connection.execute(SQL.change_own_name, name.replace("\x00", "").strip()[:200], new_id())


async def change_password(database: Database, asker: Asker, *, was: str, now: str, token: str) -> str | None:
    """From the hash ``was`` to the hash ``now``; every other sign-in ends. The browser's new token, or ``None`` if the
    password is another by now."""
    fresh = new_token()
    async with database.as_person(asker, write=True) as (connection, _):
        done = await connection.fetchval(
            SQL.change_own_password, was, now, token_hash(token), token_hash(fresh), new_id()
        )
    return fresh if done else None


async def change_email(database: Database, asker: Asker, email: str) -> bool:
    """Another address at once; ``False`` if somebody has it."""
    async with database.as_person(asker, write=True) as (connection, _):
        return bool(await connection.fetchval(SQL.change_own_email, email, new_id()))


async def offer_email_link(database: Database, asker: Asker, email: str) -> str | None:
    """The token of a link for this new address, good for :data:`LINK_LIFETIME`; ``None`` if somebody has the address."""
    token = new_token()
    async with database.as_person(asker, write=True) as (connection, _):
        made = await connection.fetchval(SQL.offer_email_link, token_hash(token), email, LINK_LIFETIME)
    return token if made else None


async def email_link(database: Database, asker: Asker, token: str) -> str | None:
    """The address that this link of the asker's would give them."""
    async with database.as_person(asker) as (connection, _):
        found: str | None = await connection.fetchval(SQL.email_link, token_hash(token))
    return found


async def use_email_link(database: Database, asker: Asker, token: str) -> str | None:
    """Take the new address; returns the old one, or ``None`` if the link is no good, or the address somebody's."""
    async with database.as_person(asker, write=True) as (connection, _):
        before: str | None = await connection.fetchval(SQL.use_email_link, token_hash(token), new_id())
    return before


async def offer_password_link(database: Database, email: str) -> Offered | None:
    """A link to a new password, good for :data:`LINK_LIFETIME`; ``None`` if nobody signs in with this address."""
    if "\x00" in email:
        return None
    token = new_token()
    async with database.connection() as connection:
        row = await connection.fetchrow(
            SQL.offer_password_link, email[:300], token_hash(token), LINK_LIFETIME
        )
    return Offered(token, row["email"], row["language"]) if row else None


async def password_link(database: Database, token: str) -> str | None:
    """The address of the account that this link gives a password, while it is good."""
    async with database.connection() as connection:
        found: str | None = await connection.fetchval(SQL.password_link, token_hash(token))
    return found


async def use_password_link(database: Database, token: str, password_hash: str, address: str) -> bool:
    """Set the password and end every sign-in; ``False`` if the link is used or expired. ``address``: for the log."""
    async with database.connection() as connection:
        return bool(
            await connection.fetchval(
                SQL.use_password_link, token_hash(token), password_hash, address, new_id()
            )
        )
