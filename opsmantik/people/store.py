"""Accounts and sign-ins in the database.

A sign-in is 32 random bytes that only the browser keeps; the database knows their SHA-256, so a copy of the
table opens no door. It ends after :data:`LIFETIME`, after :data:`IDLE` without a request, by signing out, and with the
account. Of an account with a second factor the right password opens half a sign-in only (``second_factor_store.py``).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec

from opsmantik.db.connect import Database
from opsmantik.db.sql import queries
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_name("queries.sql"))
LIFETIME = timedelta(days=14)
IDLE = timedelta(days=7)
HALF = timedelta(minutes=5)
# That a browser was seen is written at most this often: a request of somebody signed in costs one read, and no write.
SEEN_EVERY = timedelta(minutes=5)

Method = Literal["password", "oidc", "invite", "link"]


class Account(msgspec.Struct, frozen=True):
    """What a sign-in is checked against."""

    user_id: UUID
    password_hash: str | None
    disabled: bool


class HeldKey(msgspec.Struct, frozen=True):
    """The key that a program asks with."""

    id: UUID
    label: str
    scopes: frozenset[str]
    only: UUID | None
    """The one site that it is good for; None: all sites of its person."""
    of_site: bool
    """Whether it is the site's own, and nobody's."""


class SignedIn(msgspec.Struct, frozen=True):
    """The person behind a browser or a key, and the token that proves it."""

    user_id: UUID  # of a site's own key: the key's, which is nobody's
    email: str
    name: str
    language: str | None  # en, tr; None: as the browser asks
    theme: str | None  # light, dark; None: as the system has it
    is_admin: bool
    token: str
    sign_in_id: UUID | None = None  # None: it is no browser but a key
    confirmed_at: datetime | None = None  # when this browser last proved who it is
    key: HeldKey | None = None


class Entry(msgspec.Struct, frozen=True):
    """A token that has just been given out. Not ``whole``: it only says that the password was right, for :data:`HALF`,
    and becomes a sign-in with a code of the second factor."""

    token: str
    whole: bool


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


async def let_in(
    database: Database, user_id: UUID, *, method: Method, user_agent: str, address: str | None
) -> Entry | None:
    """Begin a sign-in of :data:`LIFETIME` for whoever has proved to be this person; its token is known nowhere else.

    The way in for every method: where the account has a second factor, what comes out is not whole yet. ``address``: cut
    short already, as it will be shown. ``None``: there is no such account, or it is switched off.
    """
    token = new_token()
    values = (LIFETIME, HALF, method, user_agent.replace("\x00", ""), address)
    async with database.connection() as connection:
        whole = await connection.fetchval(SQL.let_in, token_hash(token), user_id, *values)
    return None if whole is None else Entry(token, whole)


async def signed_in(database: Database, token: str) -> SignedIn | None:
    """Who holds this token; nobody if it is unknown, ended or expired, or the account is disabled."""
    kept = token_hash(token)
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL.signed_in, kept, IDLE, SEEN_EVERY)
        if row["user_id"] is None:
            return None
        if row["is_due"]:
            await connection.fetchval(SQL.see_sign_in, kept, SEEN_EVERY)
    found = dict(row)
    del found["is_due"]
    return SignedIn(token=token, **found)


async def end_sign_in(database: Database, token: str) -> None:
    """Sign out: the token is worth nothing from now on."""
    async with database.connection() as connection:
        await connection.execute(SQL.end_sign_in, token_hash(token))


async def keep_rehash(database: Database, user_id: UUID, was: str, now: str) -> None:
    """The same password under today's parameters; nothing happens if it is another one by now."""
    async with database.connection() as connection:
        await connection.execute(SQL.keep_rehash, user_id, was, now)


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
