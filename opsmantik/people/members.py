"""A site's people, its owner, and the accounts of the installation. What is refused is refused by the database too."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import Conflict, NotFound, NotToBeChanged, Unprocessable
from opsmantik.event import new_id
from opsmantik.people.capabilities import Role
from opsmantik.people.invites import check_grantable, refusals

SQL = queries(Path(__file__).with_name("members.sql"))
REFUSALS = {
    "oneself": "nobody changes their own role",
    "owner": "an owner's role is not touched here; the site can be handed over",
    "gone": "that person does not belong to this site",
}


class Member(msgspec.Struct, frozen=True):
    """Somebody who belongs to a site."""

    user_id: UUID
    email: str
    name: str
    role: Role
    since: datetime
    disabled: bool


class Offer(msgspec.Struct, frozen=True):
    """A site's open offer to be somebody else's: to whom, by whom, until when."""

    offered_to: UUID
    receiver: str
    giver: str
    offered_at: datetime
    expires_at: datetime


class Person(msgspec.Struct, frozen=True):
    """An account, as whoever runs the installation sees it."""

    user_id: UUID
    email: str
    name: str
    created_at: datetime
    disabled_at: datetime | None
    is_admin: bool
    last_seen_at: datetime | None
    site_ids: list[UUID]
    """The sites that they own, by name; ``site_names`` are their names."""
    site_names: list[str]
    memberships: int
    """To how many others they belong."""


async def people_of(connection: Any, site_id: UUID) -> list[Member]:
    """The owner, then the members by role; nobody for whoever does not manage them."""
    return [Member(*row) for row in await connection.fetch(SQL.site_people, site_id)]


async def set_role(connection: Any, site_id: UUID, user_id: UUID, role: str) -> None:
    """Give a member another role.

    Raises :class:`~opsmantik.errors.NotToBeChanged` for oneself, an owner, or somebody who is no member, and
    :class:`~opsmantik.errors.Forbidden` for a role that nobody is given so.
    """
    check_grantable(role)
    with refusals():
        outcome = await connection.fetchval(SQL.set_member_role, site_id, new_id(), user_id, role)
    if outcome in REFUSALS:
        raise NotToBeChanged(reason=REFUSALS[outcome], why=outcome)


async def remove(connection: Any, site_id: UUID, user_id: UUID) -> None:
    """Take a member away. Raises :class:`~opsmantik.errors.NotToBeChanged` as :func:`set_role` does."""
    with refusals():
        outcome = await connection.fetchval(SQL.remove_member, site_id, new_id(), user_id)
    if outcome in REFUSALS:
        raise NotToBeChanged(reason=REFUSALS[outcome], why=outcome)


async def leave(connection: Any, site_id: UUID) -> None:
    """The asker goes. Raises :class:`~opsmantik.errors.NotToBeChanged` for the owner and a stranger."""
    with refusals():
        outcome = await connection.fetchval(SQL.leave_site, site_id, new_id())
    if outcome in REFUSALS:
        raise NotToBeChanged(reason=REFUSALS[outcome], why=outcome)


async def offer_of(connection: Any, site_id: UUID) -> Offer | None:
    """The open offer, for its owner and the one whom it is made to; ``None`` for everybody else."""
    row = await connection.fetchrow(SQL.ownership_offer, site_id)
    return Offer(*row) if row else None


async def offer(connection: Any, site_id: UUID, user_id: UUID) -> None:
    """Offer the site to one of its administrators. Raises :class:`~opsmantik.errors.Unprocessable` for anybody else."""
    with refusals():
        outcome = await connection.fetchval(SQL.offer_ownership, site_id, new_id(), user_id)
    if outcome != "offered":
        raise Unprocessable(reason="a site is handed over to one of its administrators")


async def withdraw_offer(connection: Any, site_id: UUID) -> None:
    """Take the offer back. Raises :class:`~opsmantik.errors.NotFound` where there is none any more."""
    with refusals():
        outcome = await connection.fetchval(SQL.withdraw_ownership, site_id, new_id())
    if outcome != "withdrawn":
        raise NotFound(what="open offer")


async def answer_offer(connection: Any, site_id: UUID, *, accept: bool) -> bool:
    """Take the site, or decline it, as the one whom it was offered to. False where that offer is open no more."""
    with refusals():
        outcome = await connection.fetchval(SQL.answer_ownership, site_id, new_id(), accept)
    return outcome in ("accepted", "declined")


async def switch_site(connection: Any, site_id: UUID, *, on: bool) -> None:
    """Let the site take events, or not; the doors of all servers hear of it at the commit."""
    with refusals():
        await connection.execute(SQL.switch_site, site_id, new_id(), on)


async def switched_off_at(connection: Any, site_id: UUID) -> datetime | None:
    """Since when the site takes no events; ``None``: it does."""
    since: datetime | None = await connection.fetchval(SQL.switched_off_at, site_id)
    return since


async def accounts(connection: Any, after: UUID | None, limit: int) -> list[Person]:
    """Accounts by the page, newest first; ``after``: the last one of the page before."""
    with refusals():
        return [Person(*row) for row in await connection.fetch(SQL.platform_people, after, limit)]


async def set_account_enabled(connection: Any, user_id: UUID, *, enabled: bool) -> None:
    """Open or close an account; closing ends its sign-ins.

    Raises :class:`~opsmantik.errors.Conflict` for oneself and for the last one who runs the platform, and
    :class:`~opsmantik.errors.NotFound`.
    """
    with refusals():
        outcome = await connection.fetchval(SQL.set_account_enabled, new_id(), user_id, enabled)
    if outcome in ("oneself", "last"):
        raise Conflict(reason="somebody must be left to run this installation")
    if outcome == "gone":
        raise NotFound(what="account")
