"""Second factors in the database: sealed secrets, hashed recovery codes, and half sign-ins that wait for a code.

Secrets are sealed for their place (``keyring.py``). A code is read here and taken by the database, which takes none twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.event import new_id
from opsmantik.keyring import Keyring, Sealed
from opsmantik.people import second_factor
from opsmantik.people.second_factor import Code
from opsmantik.people.store import LIFETIME, SQL, new_token, token_hash

COLUMN: Final = "second_factors.secret"


class Factor(msgspec.Struct, frozen=True):
    """A person's authenticator. ``confirmed_at`` None: it is being set up, and asked for nowhere."""

    id: UUID
    secret: bytes
    last_step: int
    confirmed_at: datetime | None
    codes_left: int = 0

    def read(self, typed: str) -> Code | None:
        """What was typed, if it may be a code of this one."""
        return second_factor.read(typed, self.secret, time.time(), self.last_step)


class Waiting(msgspec.Struct, frozen=True):
    """A half sign-in: whose password was right, and what their code is compared with."""

    user_id: UUID
    email: str
    factor: Factor


def _factor(row: Any, keyring: Keyring, confirmed_at: datetime | None, codes_left: int = 0) -> Factor:
    secret = keyring.open(Sealed(row["key_id"], row["secret"]), COLUMN, row["id"])
    return Factor(row["id"], secret, row["last_step"], confirmed_at, codes_left)


async def waiting(database: Database, keyring: Keyring, half: str) -> Waiting | None:
    """Whose code this half sign-in waits for; nobody's if it is too old, or none."""
    async with database.connection() as connection:
        row = await connection.fetchrow(SQL.half_sign_in, token_hash(half))
    return Waiting(row["user_id"], row["email"], _factor(row, keyring, None)) if row else None


async def pass_with(database: Database, half: str, code: Code) -> str | None:
    """Make a whole sign-in of it, under a new token; ``None`` if the code is used, or the half sign-in over."""
    token = new_token()
    async with database.connection() as connection:
        passed = await connection.fetchval(
            SQL.pass_second_factor, token_hash(half), token_hash(token), LIFETIME, code.step, code.code_hash
        )
    return token if passed else None


async def own(database: Database, keyring: Keyring, asker: Asker) -> Factor | None:
    """The asker's, in use or being set up."""
    async with database.as_person(asker) as (connection, _):
        row = await connection.fetchrow(SQL.own_second_factor)
    return _factor(row, keyring, row["confirmed_at"], row["codes_left"]) if row else None


async def begin(database: Database, keyring: Keyring, asker: Asker) -> bool:
    """A new secret, to be confirmed by a code; ``False`` where one is in use."""
    row_id = new_id()
    sealed = keyring.seal(second_factor.new_secret(), COLUMN, row_id)
    async with database.as_person(asker, write=True) as (connection, _):
        return bool(await connection.fetchval(SQL.begin_second_factor, row_id, sealed.data, sealed.key_id))


async def confirm(
    database: Database, asker: Asker, factor: Factor, code: Code, codes: Sequence[str], token: str
) -> str | None:
    """Ask for it from now on; returns the browser's new token, or ``None`` if somebody was faster."""
    fresh, hashes = new_token(), [second_factor.recovery_hash(each) for each in codes]
    async with database.as_person(asker, write=True) as (connection, _):
        done = await connection.fetchval(
            SQL.confirm_second_factor,
            factor.id,
            code.step,
            hashes,
            token_hash(token),
            token_hash(fresh),
            new_id(),
        )
    return fresh if done else None


async def renew_codes(database: Database, asker: Asker, code: Code, codes: Sequence[str]) -> bool:
    """These recovery codes in the place of the old ones; ``False`` if the code is used."""
    hashes = [second_factor.recovery_hash(each) for each in codes]
    async with database.as_person(asker, write=True) as (connection, _):
        return bool(
            await connection.fetchval(SQL.new_recovery_codes, code.step, code.code_hash, hashes, new_id())
        )


async def drop(database: Database, asker: Asker, code: Code) -> bool:
    """Switch it off; ``False`` if the code is used."""
    async with database.as_person(asker, write=True) as (connection, _):
        return bool(await connection.fetchval(SQL.drop_second_factor, code.step, code.code_hash, new_id()))


async def confirm_sign_in(database: Database, asker: Asker, token: str, code: Code | None) -> str | None:
    """Whoever is signed in has proved it again; returns their new token, or ``None`` if the code was none."""
    fresh, given = new_token(), code or Code(None, None)
    async with database.as_person(asker, write=True) as (connection, _):
        done = await connection.fetchval(
            SQL.confirm_sign_in, token_hash(token), token_hash(fresh), given.step, given.code_hash
        )
    return fresh if done else None
