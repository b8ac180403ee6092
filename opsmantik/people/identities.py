"""Which account an identity elsewhere opens: stored, linked, unlinked."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.db.sql import queries
from opsmantik.event import new_id
from opsmantik.people.oidc import Identity

SQL = queries(Path(__file__).with_name("identities.sql"))


class Holder(msgspec.Struct, frozen=True):
    """Whose identity it is."""

    user_id: UUID
    disabled: bool


class Linked(msgspec.Struct, frozen=True):
    """One of a person's identities, as they see it."""

    id: UUID
    issuer: str
    email: str
    created_at: datetime
    last_used_at: datetime | None


async def use(database: Database, identity: Identity) -> Holder | None:
    """Whose account it opens; it is noted that it was used. ``None``: nobody's."""
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL.use_identity, identity.issuer, identity.subject)
    return Holder(row["user_id"], row["disabled"]) if row else None


async def of(database: Database, who: Asker) -> list[Linked]:
    """The asker's own, oldest first."""
    async with database.as_person(who) as (connection, _):
        return [Linked(**dict(row)) for row in await connection.fetch(SQL.own_identities, who.user_id)]


async def link(database: Database, who: Asker, identity: Identity) -> Literal["linked", "already", "taken"]:
    """Let it open the asker's account from now on. ``taken``: it opens somebody else's."""
    async with database.as_person(who, write=True) as (connection, _):
        outcome: Literal["linked", "already", "taken"] = await connection.fetchval(
            SQL.link_identity, new_id(), identity.issuer, identity.subject, identity.email, new_id()
        )
    return outcome


async def unlink(
    database: Database, who: Asker, identity_id: UUID, issuers: list[str]
) -> Literal["unlinked", "last", "missing"]:
    """Let it open nothing any more. ``last``: the account has no password, and no other identity of these issuers."""
    async with database.as_person(who, write=True) as (connection, _):
        outcome: Literal["unlinked", "last", "missing"] = await connection.fetchval(
            SQL.unlink_identity, identity_id, issuers, new_id()
        )
    return outcome
