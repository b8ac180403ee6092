"""What is sealed in the database, and how a new key takes over from an old one.

Every table with a sealed column is in :data:`SEALED`; a test compares the list with the database. Whoever seals names the
place ``table.column`` and the row's id (see ``keyring.py``), so this list is also what is needed to open it again.

Enters: the owner's connection and a keyring. Leaves: counts by key, and rows sealed anew, some hundred a transaction: a run
that is cut off has done a part of the work, and the next one does the rest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.db.sql import quote_literal
from opsmantik.errors import SealBroken
from opsmantik.event import new_id
from opsmantik.keyring import Keyring, Sealed

BATCH: Final = 200
LOCK_MS: Final = 10_000


class SealedTable(msgspec.Struct, frozen=True):
    """A table with sealed columns.

    ``key``: its primary key, all of UUIDs. ``row``: the one of them that the seal names. Beside the sealed columns stands
    ``key_id``, one for all of a row.
    """

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ("id",)
    row: str = "id"


SEALED: Final[tuple[SealedTable, ...]] = (
    SealedTable("user_credentials", ("access_token", "refresh_token")),
    SealedTable("second_factors", ("secret",)),
    SealedTable("call_secrets", ("secret",), ("site_id", "id")),
    SealedTable("webhooks", ("secret", "next_secret"), ("site_id", "id")),
    SealedTable("erasures", ("subject",), ("site_id", "id")),
    SealedTable("conversion_routes", ("secret",), ("site_id",), "site_id"),
)


class Resealed(msgspec.Struct, frozen=True):
    """How many rows are sealed with the present key now, and those that could not be opened, as ``table id: why``."""

    rows: int
    broken: tuple[str, ...]


async def usage(connection: Any) -> dict[str, Counter[str]]:
    """By the id of a key, in how many rows of which tables it is needed."""
    found: dict[str, Counter[str]] = {}
    for place in SEALED:
        rows = await connection.fetch(
            f"SELECT key_id, count(*) AS n FROM {place.table} WHERE key_id IS NOT NULL GROUP BY key_id"  # noqa: S608
        )
        for row in rows:
            found.setdefault(row["key_id"], Counter())[place.table] += row["n"]
    return found


async def reseal(connection: Any, keyring: Keyring, places: tuple[SealedTable, ...] = SEALED) -> Resealed:
    """Seal with the present key whatever another one sealed. Safe to repeat, and beside servers that go on writing: each
    row is locked while it is opened and sealed."""
    rows, broken = 0, []
    for place in places:
        after: tuple[UUID, ...] | None = None
        while True:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
                batch = await connection.fetch(_select(place, keyring.current, after), *(after or ()))
                for row in batch:
                    try:
                        await _reseal_row(connection, keyring, place, row)
                        rows += 1
                    except SealBroken as lost:
                        broken.append(f"{place.table} {row[place.row]}: {lost.message}")
            if len(batch) < BATCH:
                break
            after = tuple(batch[-1][column] for column in place.key)
    return Resealed(rows, tuple(broken))


async def _reseal_row(connection: Any, keyring: Keyring, place: SealedTable, row: Any) -> None:
    sealed = {}
    for column in place.columns:
        if row[column] is not None:
            name = f"{place.table}.{column}"
            value = keyring.open(Sealed(row["key_id"], row[column]), name, row[place.row])
            sealed[column] = keyring.seal(value, name, row[place.row])
    keys = {value.key_id for value in sealed.values()} or {keyring.current}
    if len(keys) > 1:
        raise SealBroken(reason="the keys changed in the middle of it; run it again")
    start = len(place.key) + 2
    changes = "".join(f", {column} = ${n}" for n, column in enumerate(sealed, start))
    which = " AND ".join(f"{column} = ${n}" for n, column in enumerate(place.key, 1))
    await connection.execute(
        f"UPDATE {place.table} SET key_id = ${start - 1}{changes} WHERE {which}",  # noqa: S608
        *(row[column] for column in place.key), keys.pop(), *(value.data for value in sealed.values()),
    )  # fmt: skip


def _select(place: SealedTable, current: str, after: tuple[UUID, ...] | None) -> str:
    keys = ", ".join(place.key)
    beyond = f" AND ({keys}) > ({', '.join(f'${n}' for n in range(1, len(place.key) + 1))})" if after else ""
    return (
        f"SELECT {keys}, key_id, {', '.join(place.columns)} FROM {place.table}"  # noqa: S608
        f" WHERE key_id IS NOT NULL AND key_id <> {quote_literal(current)}{beyond}"
        f" ORDER BY {keys} LIMIT {BATCH} FOR NO KEY UPDATE"
    )


async def settle(connection: Any, seconds: float, *, longest: float = 60) -> bool:
    """Wait until nobody can still be about to commit what a former key sealed; ``False`` if that took too long.

    Servers look at their key file before they seal. What they had sealed until then is written within moments, or has been
    written in a transaction that is open now and that ends by itself (``db/connect.py`` limits statements and idleness).
    """
    await asyncio.sleep(seconds)
    newest = await connection.fetchval(
        "SELECT pg_current_xact_id()::text::bigint"
    )  # its own: later than all there are
    end = asyncio.get_running_loop().time() + longest
    while await connection.fetchval(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint < $1", newest
    ):
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.2)
    return True


async def note_rotation(connection: Any, key_id: str, detail: dict[str, Any]) -> None:
    """The line in the log of acts about the installation."""
    await connection.execute("SELECT note_act(NULL, $1, 'keys.rotate', $2, $3)", new_id(), key_id, detail)
