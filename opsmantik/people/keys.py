"""Keys for programs in the database: of a person, who acts through it, and of a site, which is nobody's.

A key of a person may do what its scopes say, of what the person may do at that moment, and ends with the person's access.
A key of a site does what its scopes say, and stays when whoever made it leaves. Neither makes or revokes keys, manages
people or runs the platform: ``people.capabilities.SCOPES`` has all that one can be given. The database knows a key by its
SHA-256; the key itself is shown once.

A key is replaced without a pause: :func:`rotate` makes its successor, and both are good for a while.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import new_id
from opsmantik.people.capabilities import SCOPES, Capability
from opsmantik.people.key_tokens import Key, Kind, new_key
from opsmantik.people.store import HeldKey, SignedIn, token_hash

SQL = queries(Path(__file__).with_suffix(".sql"))
LONGEST_NAME: Final = 100
GRACE: Final = timedelta(hours=24)
LONGEST_GRACE: Final = timedelta(days=30)
LONGEST_LIFE: Final = timedelta(days=3660)


class KeyRow(msgspec.Struct, frozen=True):
    """A key as its page lists it."""

    id: UUID
    name: str
    last_four: str
    scopes: list[str]
    only_site: UUID | None
    """The site that it is good for; None: all sites of its person."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To five minutes."""
    revoked_at: datetime | None
    replaced_by: UUID | None
    """Its successor: this one lives on until it expires."""
    made_by: str | None
    is_live: bool


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to make: checked."""

    name: str
    scopes: tuple[Capability, ...]
    expires_at: datetime | None
    only_site: UUID | None = None


async def key_holder(database: Database, key: Key) -> SignedIn | None:
    """Who asks with this key; nobody if it is unknown, expired or revoked, or its person's account is switched off."""
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL.key_holder, key.kind, token_hash(key.token))
    if row is None:
        return None
    held = HeldKey(
        row["key_id"], row["label"], frozenset(row["scopes"]), row["site_id"], row["user_id"] is None
    )
    return SignedIn(
        user_id=row["user_id"] or row["key_id"], email=row["email"] or "", name=row["name"] or row["label"],
        language=row["language"], theme=row["theme"], is_admin=False, token=key.token, key=held,
    )  # fmt: skip


def check_new_key(
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    now: datetime,
    only_site: UUID | None = None,
) -> NewKey:
    """What a person wrote, as it will be stored; raises :class:`~opsmantik.errors.Unprocessable`."""
    name = " ".join(name.replace("\x00", "").split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Unprocessable(reason=f"a key has a name of 1 to {LONGEST_NAME} characters")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Unprocessable(reason=f"the scopes of a key are some of {', '.join(SCOPES)}")
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise Unprocessable(reason="a key expires in the future, within ten years")
    granted = tuple(scope for scope in SCOPES if scope in scopes)
    return NewKey(name=name, scopes=granted, expires_at=expires_at, only_site=only_site)


async def list_person_keys(connection: Any, user_id: UUID) -> list[KeyRow]:
    """One's own keys, the live ones first, then the newest."""
    return [KeyRow(*row) for row in await connection.fetch(SQL.person_keys, user_id)]


async def list_site_keys(connection: Any, site_id: UUID) -> list[KeyRow]:
    """A site's keys, in the same order, for those who manage them."""
    return [KeyRow(*row) for row in await connection.fetch(SQL.site_keys, site_id)]


async def make_person_key(database: Database, who: Asker, wanted: NewKey) -> Key:
    """A key in the asker's own name; raises :class:`~opsmantik.errors.Unprocessable` where they have fifty."""
    key = new_key("person")
    values = (wanted.name, list(wanted.scopes), wanted.only_site, wanted.expires_at)
    async with database.as_person(who, write=True) as (connection, person):
        if wanted.only_site is not None and wanted.only_site not in person.sites:
            raise NotFound(what="site")
        made = await connection.fetchval(SQL.make_person_key, new_id(), new_id(), *_kept(key), *values)
    return _made(key, made)


async def make_site_key(connection: Any, site_id: UUID, wanted: NewKey) -> Key:
    """A key of this site, in a transaction of somebody who manages its keys."""
    key = new_key("site")
    values = (wanted.name, list(wanted.scopes), wanted.expires_at)
    made = await connection.fetchval(SQL.make_site_key, site_id, new_id(), new_id(), *_kept(key), *values)
    return _made(key, made)


async def rotate(
    connection: Any, kind: Kind, key_id: UUID, grace: timedelta = GRACE, site_id: UUID | None = None
) -> Key:
    """The key's successor, with its name and scopes; the key itself lives on for ``grace``.

    In a transaction of its person, or of somebody who manages the keys of its site. Raises
    :class:`~opsmantik.errors.NotFound` where there is no such key, or it is not live, or it has a successor already.
    """
    if not timedelta(0) <= grace <= LONGEST_GRACE:
        raise Unprocessable(reason="both keys live together for 30 days at most")
    key = new_key(kind)
    values = (key_id, new_id(), new_id(), *_kept(key), grace)
    made = await (
        connection.fetchval(SQL.rotate_person_key, *values)
        if kind == "person"
        else connection.fetchval(SQL.rotate_site_key, site_id, *values)
    )
    if not made:
        raise NotFound(what="key")
    return key


async def revoke(connection: Any, kind: Kind, key_id: UUID, site_id: UUID | None = None) -> None:
    """From the commit on the key opens nothing; raises :class:`~opsmantik.errors.NotFound`."""
    values = (key_id, new_id())
    gone = await (
        connection.fetchval(SQL.revoke_person_key, *values)
        if kind == "person"
        else connection.fetchval(SQL.revoke_site_key, site_id, *values)
    )
    if not gone:
        raise NotFound(what="key")


def _kept(key: Key) -> tuple[bytes, str]:
    return token_hash(key.token), key.last_four


def _made(key: Key, made: bool) -> Key:
    if not made:
        raise Unprocessable(reason="there are fifty live keys already; revoke one first")
    return key
