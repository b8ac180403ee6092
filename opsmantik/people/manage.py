"""Accounts, as whoever runs the server manages them at its command line: connected as the schema's owner.

Each change leaves its line in the log of the installation. A link is known to whoever reads the terminal, and to nobody
else: the database keeps its hash.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import new_id
from opsmantik.people.first_admin import check_email
from opsmantik.people.store import SQL, new_token, token_hash

LINK_LIFETIME: Final = timedelta(hours=24)


class User(msgspec.Struct, frozen=True):
    """One account."""

    id: UUID
    email: str
    name: str
    is_admin: bool
    created_at: datetime
    disabled_at: datetime | None
    has_password: bool
    has_second_factor: bool
    last_seen_at: datetime | None


async def users(owner: Any) -> list[User]:
    """All accounts, oldest first."""
    return [User(**dict(row)) for row in await owner.fetch(SQL.list_users)]


async def add(owner: Any, *, email: str, name: str, is_admin: bool) -> str:
    """An account without a password; returns the token of a link that gives it one, good for :data:`LINK_LIFETIME`.

    Raises :class:`~opsmantik.errors.Unprocessable` for what is no address, or somebody's already.
    """
    user_id, email = new_id(), check_email(email)
    async with owner.transaction():
        if not await owner.fetchval(SQL.add_user, user_id, email, name.strip()[:200], is_admin, new_id()):
            raise Unprocessable(reason=f"there is an account as {email} already")
        return await _link(owner, user_id)


async def switch(owner: Any, email: str, *, on: bool) -> None:
    """Let somebody sign in again, or keep them out at once. Raises :class:`~opsmantik.errors.NotFound`."""
    user_id = await _user(owner, email)
    await owner.execute(SQL.switch_user, user_id, on, new_id())


async def reset_link(owner: Any, email: str) -> str:
    """The token of a link to a new password.

    Raises :class:`~opsmantik.errors.NotFound`, and :class:`~opsmantik.errors.Unprocessable` where the account is off.
    """
    user_id = await _user(owner, email)
    if (await owner.fetchrow(SQL.account_by_email, email))["disabled"]:
        raise Unprocessable(reason=f"{email} is switched off")
    return await _link(owner, user_id)


async def reset_second_factor(owner: Any, email: str) -> bool:
    """Ask for the password alone again; ``False`` if there was no second factor. Raises
    :class:`~opsmantik.errors.NotFound`."""
    return bool(await owner.fetchval(SQL.reset_second_factor, await _user(owner, email), new_id()))


async def _user(owner: Any, email: str) -> UUID:
    account = await owner.fetchrow(SQL.account_by_email, email)
    if account is None:
        raise NotFound(what=f"account as {email}")
    user_id: UUID = account["id"]
    return user_id


async def _link(owner: Any, user_id: UUID) -> str:
    token = new_token()
    await owner.execute(SQL.offer_user_link, user_id, token_hash(token), LINK_LIFETIME, new_id())
    return token
