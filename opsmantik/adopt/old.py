"""The first generation's database: read in one snapshot, never written to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from opsmantik.db.sql import queries
from opsmantik.errors import Unprocessable

SQL = queries(Path(__file__).with_suffix(".sql"))
OLDEST_SERVER: Final = 14
# For the one transaction, not at the connection's start: a pooler in between refuses most of them there. A row that a
# policy would hide is an error then, not a row less.
SETTINGS: Final = (
    "SET LOCAL row_security = off; SET LOCAL TimeZone = 'UTC'; SET LOCAL jit = off; SET LOCAL work_mem = '64MB';"
    " SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = 0;"
    " SET LOCAL statement_timeout = '{seconds}s'"
)

# What must be there, and of it the columns without which nothing can be told apart. All others may be missing.
NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "auth.users": ("id", "email", "created_at"),
    "public.profiles": ("id", "role"),
    "public.sites": ("id", "user_id", "public_id"),
    "public.site_members": ("site_id", "user_id", "role", "created_at"),
    "public.sessions": ("id", "site_id", "created_month", "created_at"),
    "public.events": (
        "id", "site_id", "session_id", "session_month", "created_at", "url", "event_category", "event_action",
        "event_label", "event_value", "metadata",
    ),
    "public.calls": (
        "id", "site_id", "created_at", "status", "source", "phone_number", "matched_session_id", "sale_amount",
        "intent_stamp",
        "intent_action", "intent_target", "click_id", "oci_status", "oci_uploaded_at", "score_breakdown",
    ),
}  # fmt: skip


class Old:
    """One snapshot of it. ``tables``: the names of the columns of each table that is there."""

    def __init__(self, connection: Any, tables: dict[str, frozenset[str]]) -> None:
        self.connection = connection
        self.tables = tables

    def has(self, *tables: str) -> bool:
        """Whether all of these tables are there."""
        return all(table in self.tables for table in tables)

    async def rows(self, statement: str, *arguments: Any) -> list[Any]:
        """All rows of a question that has a small answer."""
        with _in_words():
            found: list[Any] = await self.connection.fetch(statement, *arguments)
            return found

    async def stream(self, statement: str) -> AsyncIterator[Any]:
        """The rows of one that has a large answer, one by one."""
        rows = await self._cursor(statement)
        while batch := await self._next(rows):
            for row in batch:
                yield row

    async def _cursor(self, statement: str) -> Any:
        with _in_words():
            return await self.connection.cursor(statement)

    async def _next(self, cursor: Any) -> list[Any]:
        with _in_words():
            found: list[Any] = await cursor.fetch(2000)
            return found


@contextmanager
def _in_words() -> Iterator[None]:
    """What the first generation's database refuses, told so that somebody can do something about it."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as hidden:
        raise Unprocessable(
            reason=f"not all rows can be read: connect as the owner of the tables ({hidden})"
        ) from None
    except asyncpg.QueryCanceledError:
        raise Unprocessable(reason="a question took too long; allow more with --seconds") from None


@asynccontextmanager
async def open_old(dsn: str, statement_seconds: int) -> AsyncIterator[Old]:
    """Connect, and look at everything from here on as it is at this moment. Nothing can be written by this connection.

    Raises :class:`~opsmantik.errors.Unprocessable` where it cannot be reached, is no database of the first generation, or
    hides rows from the role that asks.
    """
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=15,
            statement_cache_size=0,
            server_settings={"application_name": "opsmantik adopt", "default_transaction_read_only": "on"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Unprocessable(reason=f"the first generation's database cannot be reached: {error}") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(SETTINGS.format(seconds=statement_seconds))
            await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str)
            yield Old(connection, await _tables(connection))
    finally:
        await connection.close()


async def _tables(connection: Any) -> dict[str, frozenset[str]]:
    if connection.get_server_version().major < OLDEST_SERVER:
        raise Unprocessable(reason=f"its server is older than PostgreSQL {OLDEST_SERVER}")
    found = {row["name"]: frozenset(row["columns"]) for row in await connection.fetch(SQL.tables)}
    for table, columns in NEEDED.items():
        if table not in found:
            raise Unprocessable(
                reason=f"it is no database of the first generation: there is no table {table}"
            )
        missing = [column for column in columns if column not in found[table]]
        if missing:
            raise Unprocessable(
                reason=f"{table} there lacks {', '.join(missing)}: bring it to its last migration first"
            )
    if "public.session_keys" in found:
        raise Unprocessable(reason="that is a database of this generation, not of the first")
    return found
