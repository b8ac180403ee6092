"""Accounts and sign-ins in the database.

A sign-in is 32 random bytes that only the browser keeps; the database knows their SHA-256, so a copy of the
table opens no door.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from opsmantik.db.connect import Database
from opsmantik.db.sql import queries
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_name("queries.sql"))
LIFETIME = timedelta(days=14)


class Account(msgspec.Struct, frozen=True):
    """What a sign-in is checked against."""

    user_id: UUID
    password_hash: str | None
    disabled: bool


class SignedIn(msgspec.Struct, frozen=True):
    """The person behind a browser, and the token that proves it."""

    user_id: UUID
    email: str
    name: str
    language: str | None  # en, tr; None: as the browser asks
    theme: str | None  # light, dark; None: as the system has it
    is_admin: bool
    token: str


def new_token() -> str:
    """256 random bits, safe in a cookie and in a path."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def account_by_email(database: Database, email: str) -> Account | None:
    """The account that signs in with this address, in any spelling of case."""
    if "\x00" in email:  # not storable, so nobody has it
        return None
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL.account_by_email, email[:300])
    return Account(row["id"], row["password_hash"], row["disabled"]) if row else None


async def open_sign_in(database: Database, user_id: UUID, user_agent: str) -> str:
    """Begin a sign-in of :data:`LIFETIME`; returns its token, which is known nowhere else."""
    token = new_token()
    async with database.connection() as connection:
        await connection.execute(
            SQL.open_sign_in, token_hash(token), user_id, LIFETIME, user_agent.replace("\x00", "")
        )
    return token


async def signed_in(database: Database, token: str) -> SignedIn | None:
    """Who holds this token; nobody if it is unknown, ended or expired, or the account is disabled."""
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL.signed_in, token_hash(token))
    return SignedIn(token=token, **dict(row)) if row else None


async def end_sign_in(database: Database, token: str) -> None:
    """Sign out: the token is worth nothing from now on."""
    async with database.connection() as connection:
        await connection.execute(SQL.end_sign_in, token_hash(token))


async def create_first_admin(
    database: Database, link: str, email: str, name: str, password_hash: str
) -> UUID | None:
    """The first account, against its link; ``None`` if that is used or expired, or somebody is here."""
    user_id = new_id()
    async with database.connection() as connection:
        made = await connection.fetchval(
            SQL.create_first_admin, token_hash(link), user_id, email, name, password_hash
        )
    return user_id if made else None


async def first_admin_link_open(database: Database, link: str) -> bool:
    """Whether this link would still make the first administrator."""
    async with database.connection() as connection:
        return bool(await connection.fetchval(SQL.first_admin_link_open, token_hash(link)))


async def has_users(database: Database) -> bool:
    """Whether there is any account yet."""
    async with database.connection() as connection:
        return bool(await connection.fetchval(SQL.has_users))


async def administrators(database: Database) -> list[tuple[UUID, str]]:
    """Those who run the platform (id, email), oldest first."""
    async with database.connection() as connection:
        return [(row["id"], row["email"]) for row in await connection.fetch(SQL.administrators)]


async def set_language(database: Database, user_id: UUID, language: str | None) -> None:
    """The language that this person reads; ``None``: as their browser asks."""
    async with database.as_person(user_id, write=True) as (connection, _):
        await connection.execute(SQL.set_language, user_id, language)


async def set_theme(database: Database, user_id: UUID, theme: str | None) -> None:
    """Light or dark; ``None``: as their system has it."""
    async with database.as_person(user_id, write=True) as (connection, _):
        await connection.execute(SQL.set_theme, user_id, theme)
