"""A streaming standby for the transactions of people who only look, without anybody seeing the past.

A reader goes there only when the standby has replayed the primary's log to a place that covers two things: what that
person has written themselves (they carry the place with them, from node to node: ``Asker.after``), and the newest
change that this node was told of (:meth:`Replica.heard`), since a page that was told to look again must find what it was
told about. In every other case (behind, away, promoted, in trouble) the primary answers, as if there were no standby.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable

log = structlog.get_logger()

# A standby that failed is left alone for so long.
REST_SECONDS = 5.0
# One that takes longer to say where it is, is not there.
READY_SECONDS = 1.0
ZERO = "0/0"

PLACE = "SELECT pg_current_wal_insert_lsn()::text"
# The place is that of the whole server: no row of anybody is looked at.
REPLAYED = (
    "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= greatest($1::text::pg_lsn, $2::text::pg_lsn)"
)


class Replica:
    """One standby, or a name under which one of several answers."""

    def __init__(self, primary: Database, standby: Database) -> None:
        self._primary = primary
        self._standby = standby
        self._is_open = False
        self._rest_until = 0.0
        self._needed: str | None = ZERO  # None: something was heard, and its place is not known yet
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.served = 0
        self.passed_on = 0
        """Readers whom the primary had to answer."""

    async def start(self) -> None:
        """Begin to follow; a standby that is away is tried again when somebody reads."""
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._standby.close()

    def heard(self) -> None:
        """Something has changed: until its place in the log is known, the primary answers."""
        self._needed = None
        self._heard.set()

    async def place(self) -> str:
        """How far the primary's log goes now: whatever was committed before this is below it."""
        async with self._primary.connection() as connection:
            return str(await connection.fetchval(PLACE))

    async def _follow(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
            try:
                place = await self.place()
            except DatabaseUnavailable:
                await asyncio.sleep(1)
                self._heard.set()
                continue
            if not self._heard.is_set():  # else something newer was heard while we asked
                self._needed = place

    @asynccontextmanager
    async def reading(self, after: str) -> AsyncIterator[Any]:
        """A connection to the standby if it has replayed to ``after`` and to what this node has heard; else None.

        Raises :class:`~opsmantik.errors.DatabaseUnavailable` if the standby has to end the transaction half-way: what is
        removed on the primary goes there too, whoever still reads it. Tried again, the primary answers.
        """
        needed = self._needed
        if needed is None or time.monotonic() < self._rest_until:
            self.passed_on += 1
            yield None
            return
        lent = self._standby.connection()
        connection = await self._ready(lent, needed, after)
        if connection is None:
            self.passed_on += 1
            yield None
            return
        self.served += 1
        try:
            yield connection
        except (
            asyncpg.SerializationError,
            asyncpg.DeadlockDetectedError,
            asyncpg.ReadOnlySQLTransactionError,
        ) as ended:
            self._rest(ended)
            await lent.__aexit__(None, None, None)
            raise DatabaseUnavailable from ended
        except BaseException as wrong:
            try:
                await lent.__aexit__(type(wrong), wrong, wrong.__traceback__)
            except DatabaseUnavailable as lost:
                self._rest(lost)
                raise
            raise
        else:
            await lent.__aexit__(None, None, None)

    async def _ready(self, lent: Any, needed: str, after: str) -> Any:
        """The borrowed connection if the standby is there and far enough; if not, it is given back, and None."""
        connection = None
        try:
            async with asyncio.timeout(READY_SECONDS):
                if not self._is_open:
                    await self._standby.open()
                    self._is_open = True
                connection = await lent.__aenter__()
                if await connection.fetchval(REPLAYED, needed, after):
                    return connection
        except asyncpg.DataError:  # no place in any log: somebody has written it themselves
            pass
        except TimeoutError as frozen:
            if connection is not None:
                connection.terminate()  # or giving it back would wait for it
            self._rest(frozen)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DatabaseUnavailable) as lost:
            self._rest(lost)
        if connection is not None:
            with suppress(DatabaseUnavailable):
                await lent.__aexit__(None, None, None)
        return None

    def _rest(self, why: BaseException) -> None:
        if time.monotonic() >= self._rest_until:
            log.warning("replica.resting", seconds=REST_SECONDS, error=str(why))
        self._rest_until = time.monotonic() + REST_SECONDS
