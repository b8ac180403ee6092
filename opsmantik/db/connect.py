"""The only way to a connection.

Leaves: transactions in which row security knows who asks. A person's transaction sees the sites that
``enter_user`` resolved; a site's transaction sees that one site; a plain one sees no tenant's row at all.
Settings are local to the transaction, so a pooled connection never carries one asker's view to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.db.silence import give_up_on_silence
from opsmantik.errors import DatabaseUnavailable, SettingsError, UnsafeRole

# A caller that waits longer than this for a free connection is better told to come back.
ACQUIRE_SECONDS = 2.0

# What connections of the application's role begin with. Behind a pooler they have it from the role.
STATEMENT_SECONDS = 15.0
ROLE_SETTINGS = {"idle_in_transaction_session_timeout": "30000", "jit": "off"}

ENTER = "SELECT sites, known, is_admin FROM enter_user_v2($1, $2, $3, $4)"
# A key runs no platform, whoever holds it.
ENTER_KEY = "SELECT sites, known, false AS is_admin FROM enter_key($1, $2, $3, $4)"
ENTER_PERSON_KEY = "SELECT sites, known, false AS is_admin FROM enter_person_key($1, $2, $3, $4)"
# Whoever holds a link to a site's figures is nobody, and may look only.
ENTER_LINK = "SELECT sites, known, false AS is_admin FROM enter_share_link($1, $2)"
ANY_ROLE = ("platform_admin", "owner", "admin", "operator", "analyst")

# What a lost, starting or stopping server looks like from here: nothing was stored, or a retry will find out.
UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
# The server answers, and cannot: its disk is full or broken, it has no memory, a statement took too long. That is no fault
# of what was asked, and later it may do.
UNABLE = (
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.QueryCanceledError,
)


class Asker(msgspec.Struct, frozen=True):
    """Who asks for a transaction, and for what.

    ``roles``: those that allow what is about to be done (``people.capabilities.roles_with``); the transaction sees only
    the sites on which the asker holds one of them. ``only``: the one site that a key in the asker's name is good for.
    ``key``: the key that asks, in a person's name, or with no ``user_id`` for its site alone, which is ``only``.
    """

    user_id: UUID | None
    roles: tuple[str, ...]
    only: UUID | None = None
    address: str = ""
    """Where they are, for the log of acts."""
    key: UUID | None = None
    link: UUID | None = None
    """The link to figures by which somebody asks who is nobody: it shows one site, ``only``, and changes nothing."""
    after: str | None = None
    """A standby will do, if it has replayed the log to here (db/replica.py). None: only the primary will."""


class Person(msgspec.Struct, frozen=True):
    """Whose transaction it is: the sites that they may see in it, and whether they run the platform."""

    user_id: UUID | None
    """None: it is a site's own key, or a link to its figures."""
    sites: tuple[UUID, ...]
    is_admin: bool
    known: tuple[UUID, ...] = ()
    """The sites on which they hold any role, also one that does not allow what this transaction is for."""


class PoolUse(msgspec.Struct, frozen=True):
    """Connections of a pool: open ones, those of them that nobody has at this moment, and the most that it may open."""

    open: int
    idle: int
    most: int


class Reader(Protocol):
    """Where reading transactions may go besides (db/replica.py)."""

    def reading(self, after: str) -> AbstractAsyncContextManager[Any]:
        """A connection to a server that has replayed the log to there; None inside if there is none now."""
        ...


class Database:
    """A pool of connections as the application's role.

    ``pooled``: between us and the server stands a pooler that gives each transaction to any of its connections. Nothing
    may then stay with a connection: no prepared statement, no setting at its start (the role has them: migrate.py).
    ``direct_dsn``: the way around that pooler, for what listens; if none is given, ``dsn`` is that way.
    """

    replica: Reader | None = None

    def __init__(
        self,
        dsn: str,
        *,
        min_size: int = 1,
        max_size: int = 10,
        statement_seconds: float = STATEMENT_SECONDS,
        pooled: bool = False,
        direct_dsn: str | None = None,
    ) -> None:
        self.dsn = dsn
        self.direct_dsn = direct_dsn or dsn
        self._pooled = pooled
        self._sizes = min_size, max_size
        self._statement_seconds = statement_seconds
        self._pool: Any = None

    async def open(self) -> None:
        """Connect, and refuse to serve as a role that row security does not bind."""
        try:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=self._sizes[0],
                max_size=self._sizes[1],
                init=prepare_connection,
                **(self._behind_pooler() if self._pooled else self._straight()),
            )
            async with self._pool.acquire() as connection:
                await refuse_unsafe_role(connection)
        except UNREACHABLE as lost:
            if "unsupported startup parameter" in str(lost):
                problem = "must be transaction: behind OPSMANTIK_APP_DATABASE_URL is a pooler"
                raise SettingsError(variable="OPSMANTIK_POOLER", problem=problem) from lost
            raise DatabaseUnavailable from lost

    def _straight(self) -> dict[str, Any]:
        milliseconds = str(int(self._statement_seconds * 1000))
        own = {"statement_timeout": milliseconds, **ROLE_SETTINGS}
        return {"reset": leave_nothing, "server_settings": {"application_name": "opsmantik", **own}}

    def _behind_pooler(self) -> dict[str, Any]:
        # Statements without a name are parsed and run in one breath, which a pooler never divides. And there is nothing to
        # reset: what a transaction set went with it.
        return {
            "reset": nothing_to_leave, "statement_cache_size": 0, "server_settings": {"application_name": "opsmantik"},
        }  # fmt: skip

    def use(self) -> PoolUse:
        """How much of the pool is in use now."""
        if self._pool is None:
            return PoolUse(0, 0, self._sizes[1])
        return PoolUse(self._pool.get_size(), self._pool.get_idle_size(), self._sizes[1])

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection without any setting: it sees no tenant's row; for the owner's functions."""
        if self._pool is None:
            raise DatabaseUnavailable
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                yield connection
        except (*UNREACHABLE, *UNABLE) as lost:
            if isinstance(lost, ValueError):  # asyncpg files a wrong argument under InterfaceError
                raise
            raise DatabaseUnavailable from lost

    @asynccontextmanager
    async def as_person(
        self, who: Asker | UUID, *, write: bool = False, snapshot: bool = False
    ) -> AsyncIterator[tuple[Any, Person]]:
        """A transaction for a person; read-only unless it must write. A bare id asks as whoever holds any role.

        With ``snapshot`` every statement sees what the first one saw: for several figures that must agree.
        """
        asker = who if isinstance(who, Asker) else Asker(who, ANY_ROLE)
        looks = asker.link is not None or not write
        isolation = "repeatable_read" if snapshot else None
        async with (
            self._connection_for(asker, looks) as connection,
            connection.transaction(isolation=isolation, readonly=looks),
        ):
            row = await _enter(connection, asker)
            yield (
                connection,
                Person(asker.user_id, tuple(row["sites"]), row["is_admin"], tuple(row["known"])),
            )

    @asynccontextmanager
    async def _connection_for(self, asker: Asker, looks: bool) -> AsyncIterator[Any]:
        """A connection to the standby, if one looks only, and it knows all that they know; else to the primary."""
        if self.replica is not None and looks and asker.after is not None:
            async with self.replica.reading(asker.after) as connection:
                if connection is not None:
                    yield connection
                    return
        async with self.connection() as connection:
            yield connection

    @asynccontextmanager
    async def as_sites(self, sites: Sequence[UUID], *, write: bool = False) -> AsyncIterator[Any]:
        """A transaction that sees the named sites; for doors that have established them otherwise."""
        async with self.connection() as connection, connection.transaction(readonly=not write):
            # SET takes no parameters; a UUID's text has no quote in it.
            names = ",".join(str(UUID(str(site))) for site in sites)
            await connection.execute(f"SET LOCAL app.sites = '{{{names}}}'")
            yield connection


async def _enter(connection: Any, asker: Asker) -> Any:
    if asker.link is not None:
        return await connection.fetchrow(ENTER_LINK, asker.only, asker.link)
    if asker.key is None:
        return await connection.fetchrow(ENTER, asker.user_id, asker.roles, asker.only, asker.address)
    if asker.user_id is None:
        return await connection.fetchrow(ENTER_KEY, asker.only, asker.key, asker.roles, asker.address)
    return await connection.fetchrow(ENTER_PERSON_KEY, asker.user_id, asker.key, asker.roles, asker.address)


async def leave_nothing(connection: Any) -> None:
    """What a connection goes back with: no setting of its borrower's. The driver's own way also gives up cursors, locks and
    channels, at twice the time, and there are none on these connections: a test reads every statement for that."""
    await connection.execute("RESET ALL")


async def nothing_to_leave(connection: Any) -> None:
    """A pooler's connection is another one by now; asked for a reset, it would reset that."""


async def prepare_connection(connection: Any) -> None:
    """jsonb travels as bytes that msgspec wrote or will read: no second parse in the driver. And silence is noticed."""
    give_up_on_silence(connection)
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_jsonb_out, decoder=_jsonb_in, format="binary"
    )


def _jsonb_out(value: Any) -> bytes:
    return b"\x01" + (value if type(value) is bytes else msgspec.json.encode(value))


def _jsonb_in(data: bytes) -> Any:
    return msgspec.json.decode(data[1:])


async def refuse_unsafe_role(connection: Any) -> None:
    """Stop before the first request if this role could read past row security.

    Raises :class:`~opsmantik.errors.UnsafeRole` for a superuser, a role with BYPASSRLS, or one that owns a table.
    """
    role = await connection.fetchrow(
        "SELECT rolname, rolsuper OR rolbypassrls AS bypasses,"
        " EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p', 'v', 'm')) AS owns"
        " FROM pg_roles r WHERE rolname = current_user"
    )
    if role["bypasses"] or role["owns"]:
        raise UnsafeRole(role=role["rolname"])
