"""Invites to a site: made, sent again, taken back, and taken up.

The link's token is not kept anywhere: it is made of the invite's id and turn with a key of this installation, so that it
can be shown again as long as the invite is open. The database knows its SHA-256. To send an invite again is a new turn,
and the link of the turn before is worth nothing from then on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import AlreadyMember, Conflict, Forbidden, NotFound, TooManyInvites
from opsmantik.event import new_id
from opsmantik.people.capabilities import GRANTABLE, Role
from opsmantik.people.first_admin import check_email
from opsmantik.people.store import token_hash
from opsmantik.settings import Settings, secret

SQL = queries(Path(__file__).with_name("invites.sql"))
# The states of a link that is good no more. ``void``: whoever vouched for it may not invite there now.
CLOSED: Final = ("accepted", "revoked", "expired", "void")


class InviteLinks:
    """The installation's key for the tokens in invites."""

    def __init__(self, settings: Settings) -> None:
        self._key = hmac.new(secret(settings).encode(), b"invite-link", hashlib.sha256).digest()

    def token(self, invite_id: UUID, turn: int) -> str:
        """The token of this turn of this invite: 256 bits, safe in a path."""
        mac = hmac.new(self._key, f"invite:{invite_id}:{turn}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


class OpenInvite(msgspec.Struct, frozen=True):
    """An invite that has been neither taken up nor taken back. ``state``: open, expired or void."""

    id: UUID
    email: str
    role: Role
    turn: int
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    """When a mail server took the present link; ``None``: it must be copied."""
    sent_count: int
    inviter: str
    state: str


class Told(msgspec.Struct, frozen=True):
    """What the holder of a link is told. ``state``: open, or one of :data:`CLOSED`."""

    site_name: str
    email: str
    role: Role
    inviter: str
    expires_at: datetime
    state: str
    has_account: bool


class Sent(NamedTuple):
    """An invite's present turn: what its link is made of."""

    id: UUID
    turn: int
    email: str
    role: Role


async def open_invites(connection: Any, site_id: UUID) -> list[OpenInvite]:
    """All of a site, newest first; nothing for whoever does not manage its members."""
    return [OpenInvite(*row) for row in await connection.fetch(SQL.site_invites, site_id)]


async def invite(connection: Any, links: InviteLinks, site_id: UUID, email: str, role: str) -> Sent:
    """Invite an address to a site. The answer is the same whether it has an account; an open invite to it is replaced.

    Raises :class:`~opsmantik.errors.Unprocessable` for what is no address, :class:`~opsmantik.errors.AlreadyMember`,
    :class:`~opsmantik.errors.TooManyInvites`, and :class:`~opsmantik.errors.Forbidden` for a role that nobody may give so.
    """
    email, invite_id = check_email(email), new_id()
    check_grantable(role)
    hashed = token_hash(links.token(invite_id, 1))
    with refusals():
        row = await connection.fetchrow(SQL.invite_member, site_id, new_id(), invite_id, email, role, hashed)
    if row["outcome"] == "member":
        raise AlreadyMember
    _refuse_too_many(row)
    return Sent(invite_id, 1, email, role)


async def resend(connection: Any, links: InviteLinks, site_id: UUID, invite_id: UUID) -> Sent:
    """A new turn of an open invite, with a new link and seven more days.

    Raises :class:`~opsmantik.errors.NotFound` where it is open no more, :class:`~opsmantik.errors.Conflict` where
    somebody else sends it at the same moment, and :class:`~opsmantik.errors.TooManyInvites`.
    """
    known = await connection.fetchrow(SQL.open_invite, site_id, invite_id)
    if known is None:
        raise NotFound(what="open invite")
    turn = known["turn"] + 1
    hashed = token_hash(links.token(invite_id, turn))
    with refusals():
        row = await connection.fetchrow(SQL.resend_invite, site_id, new_id(), invite_id, turn, hashed)
    if row["outcome"] == "gone":
        raise NotFound(what="open invite")
    if row["outcome"] == "again":
        raise Conflict(reason="the invite has just been sent again")
    _refuse_too_many(row)
    return Sent(invite_id, turn, known["email"], known["role"])


async def revoke(connection: Any, site_id: UUID, invite_id: UUID) -> None:
    """Take an invite back. Raises :class:`~opsmantik.errors.NotFound` where it is open no more."""
    with refusals():
        outcome = await connection.fetchval(SQL.revoke_invite, site_id, new_id(), invite_id)
    if outcome != "revoked":
        raise NotFound(what="open invite")


async def note_sent(connection: Any, site_id: UUID, sent: Sent) -> None:
    """A mail server has taken the link of this turn."""
    with refusals():
        await connection.execute(SQL.note_invite_sent, site_id, sent.id, sent.turn)


async def told_by(connection: Any, token: str) -> Told | None:
    """What this link is for; ``None`` for one that never was, or that a new one has replaced. Nobody need be signed in."""
    row = await connection.fetchrow(SQL.invite_by_link, token_hash(token))
    return Told(*row) if row else None


async def accept(connection: Any, token: str) -> tuple[str, UUID | None]:
    """Take an invite up as whoever's transaction it is. Returns what became of it, and the site where they belong to it
    now: joined, member (they did already, and keep the role that they had); or unknown, other (it was written to
    somebody else), accepted, revoked, expired, void."""
    row = await connection.fetchrow(SQL.accept_invite, token_hash(token), new_id())
    return row["outcome"], row["site"]


async def join(
    connection: Any, token: str, *, name: str, password_hash: str, address: str
) -> tuple[str, UUID | None, UUID]:
    """Take an invite up with an account that is made for it. Returns what became of it, the site, and the account's id:
    as :func:`accept`, or account, where the invited address has one already. Nobody need be signed in."""
    user_id, name = new_id(), name.replace("\x00", "").strip()
    row = await connection.fetchrow(
        SQL.join_by_invite, token_hash(token), new_id(), user_id, name, password_hash, address
    )
    return row["outcome"], row["site"], user_id


def check_grantable(role: str) -> None:
    """Raises :class:`~opsmantik.errors.Forbidden` for a role that a manager of members may not give."""
    if role not in GRANTABLE:
        raise Forbidden(reason="nobody is given this role")


def _refuse_too_many(row: Any) -> None:
    if row["outcome"] == "too_many":
        raise TooManyInvites(retry_after=row["retry_after"])


@contextmanager
def refusals() -> Iterator[None]:
    """What the database refuses for want of a role, in our words: it was lost between the route and the lock.

    Raises :class:`~opsmantik.errors.Forbidden`.
    """
    try:
        yield
    except asyncpg.InsufficientPrivilegeError:
        raise Forbidden(reason="your role does not allow it") from None
