"""Other services' tokens, kept for a person: sealed before they reach the database, opened only here.

A row holds one provider's tokens (``google_ads``). Access and refresh token are sealed each for its own column and for
this row: the wrong one of the two opens as little as another person's. The application has no grant on the columns; two
functions hand the ciphertext in and out, for the person whose transaction it is.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.db.sql import queries
from opsmantik.event import new_id
from opsmantik.keyring import Keyring, Sealed

SQL = queries(Path(__file__).with_name("credentials.sql"))
ACCESS: Final = "user_credentials.access_token"
REFRESH: Final = "user_credentials.refresh_token"


class Tokens(msgspec.Struct, frozen=True):
    """What a provider gave. ``expires_at``: when the access token stops working; the refresh token makes a new one."""

    access: str | None
    refresh: str | None
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        """Without the tokens, since objects end up in logs."""
        return f"Tokens(expires_at={self.expires_at!r})"


async def keep(database: Database, keyring: Keyring, who: Asker, provider: str, tokens: Tokens) -> None:
    """Keep what a provider has just granted, in place of what it granted before; the log of acts has a line of it."""
    async with database.as_person(who, write=True) as (connection, _):
        await _put(connection, keyring, provider, tokens, is_act=True)


async def renew(
    database: Database, keyring: Keyring, who: Asker, provider: str, access: str, expires_at: datetime
) -> None:
    """Keep a newer access token of the same grant; nothing happens where the grant is gone meanwhile."""
    async with database.as_person(who, write=True) as (connection, _):
        if (before := await _read(connection, keyring, provider)) is not None:
            tokens = Tokens(access, before.refresh, expires_at)
            await _put(connection, keyring, provider, tokens, is_act=False)


async def read(database: Database, keyring: Keyring, who: Asker, provider: str) -> Tokens | None:
    """The tokens; ``None`` where there are none.

    Raises :class:`~opsmantik.errors.SealBroken` if they cannot be opened: the person has to connect the provider again.
    """
    async with database.as_person(who) as (connection, _):
        return await _read(connection, keyring, provider)


async def forget(database: Database, who: Asker, provider: str) -> bool:
    """Throw the tokens away; whether there were any. The provider is told by whoever calls."""
    async with database.as_person(who, write=True) as (connection, _):
        return bool(await connection.fetchval(SQL.drop_credential, provider, new_id()))


async def _put(connection: Any, keyring: Keyring, provider: str, tokens: Tokens, *, is_act: bool) -> None:
    row = await connection.fetchval(SQL.credential_place, new_id(), provider)
    while True:
        access = keyring.seal(tokens.access.encode(), ACCESS, row) if tokens.access is not None else None
        refresh = keyring.seal(tokens.refresh.encode(), REFRESH, row) if tokens.refresh is not None else None
        sealed = [value for value in (access, refresh) if value is not None]
        if len({value.key_id for value in sealed}) <= 1:
            break  # else a key was replaced in between; one row names one key
    await connection.execute(
        SQL.put_credential,
        row,
        access.data if access else None,
        refresh.data if refresh else None,
        sealed[0].key_id if sealed else None,
        tokens.expires_at,
        new_id() if is_act else None,
    )


async def _read(connection: Any, keyring: Keyring, provider: str) -> Tokens | None:
    row = await connection.fetchrow(SQL.sealed_credential, provider)
    if row is None:
        return None

    def opened(data: bytes | None, column: str) -> str | None:
        return None if data is None else keyring.open(Sealed(row["key_id"], data), column, row["id"]).decode()

    return Tokens(
        opened(row["access_token"], ACCESS), opened(row["refresh_token"], REFRESH), row["expires_at"]
    )
