"""The secrets that a site's telephone system signs its reports with: a present one, and a next one to move to.

The secret is text; its bytes, prefix included, are the key of the HMAC. It is shown once, and kept sealed, because whoever
verifies must have it again. Enters: a transaction of somebody who manages the site's keys.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import new_id
from opsmantik.keyring import Keyring

SQL = queries(Path(__file__).with_suffix(".sql"))
COLUMN: Final = "call_secrets.secret"
PREFIX: Final = "om_calls_"


class CallSecret(msgspec.Struct, frozen=True):
    """A secret as its page lists it."""

    id: UUID
    place: Literal["current", "next"]
    created_at: datetime


async def call_secrets(connection: Any, site_id: UUID) -> list[CallSecret]:
    """At most two, the present one first."""
    return [CallSecret(*row) for row in await connection.fetch(SQL.call_secrets, site_id)]


async def takes_unsigned_calls(connection: Any, site_id: UUID) -> bool:
    """Whether a call may be reported by whoever knows the site's public id."""
    return bool(await connection.fetchval(SQL.takes_unsigned_calls, site_id))


async def make_call_secret(connection: Any, keyring: Keyring, site_id: UUID) -> str:
    """A new secret, good from the commit on beside the one that is there.

    Raises :class:`~opsmantik.errors.Unprocessable` where there are two.
    """
    secret, secret_id = PREFIX + secrets.token_urlsafe(32), new_id()
    sealed = keyring.seal(secret.encode(), COLUMN, secret_id)
    place = await connection.fetchval(
        SQL.make_call_secret, site_id, secret_id, new_id(), sealed.data, sealed.key_id
    )
    if place is None:
        raise Unprocessable(reason="there are two secrets already; remove one first")
    return secret


async def remove_call_secret(connection: Any, site_id: UUID, secret_id: UUID) -> None:
    """It is good no longer; the next one, if there is one, becomes the present one.

    Raises :class:`~opsmantik.errors.NotFound`.
    """
    if not await connection.fetchval(SQL.remove_call_secret, site_id, secret_id, new_id()):
        raise NotFound(what="secret")


async def allow_unsigned_calls(connection: Any, site_id: UUID, allowed: bool) -> None:
    """Whether reports without a signature are taken from now on."""
    await connection.execute(SQL.allow_unsigned_calls, site_id, allowed, new_id())
