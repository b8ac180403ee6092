"""One call of a contract, as the server makes it, and what it costs PostgreSQL.

A call is what a request is: a read-only transaction of ``Database.as_person``, the site as asked for, then the
contract. Counted are the contract's own statements, by pg_stat_statements: milliseconds of execution, and blocks of
8 kB that were looked at, in memory or not. Beside PostgreSQL's clock stands the CPU time of its process, which other
work on the machine cannot stretch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import asyncpg
from stand import VoidError
from world import Worlds

from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.contracts import Contract
from opsmantik.db.connect import Database, prepare_connection
from opsmantik.web import parameters

CALLS, NOT_LATER = 16, 6  # on one connection; how many of those do not count as later
LEAST_CALLS, PATIENCE = 2, 1.0  # where one is slow: so many, or as many as go into so many seconds
MEASURES = ("ms", "buffers", "cpu_ms")


class Case(NamedTuple):
    """A contract with the query to ask it by."""

    name: str
    contract: Contract
    query: tuple[tuple[str, str], ...] = ()
    is_busy: bool = False  # whether the journal holds what came in this moment, else it is empty


class OneConnection(Database):
    """A database whose only connection is this one, so that its first call is known to be its first."""

    def __init__(self, connection: Any) -> None:
        super().__init__("")
        self._only = connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield self._only


class Reader:
    """A connection to a world as somebody, and the one beside it that reads the statistics."""

    def __init__(self, worlds: Worlds, size: str, role: str | None, watch: Any) -> None:
        self._worlds, self._size, self._role, self._watch = worlds, size, role, watch

    async def __aenter__(self) -> Self:
        self._connection = await asyncpg.connect(
            self._worlds.dsn(self._size, self._role), server_settings={"jit": "off"}
        )
        await prepare_connection(self._connection)
        self._database = OneConnection(self._connection)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def call(self, case: Case, path: Mapping[str, str]) -> dict[str, float]:
        """Ask once. Milliseconds of execution and of planning (where that is tracked), CPU milliseconds, buffers."""
        async with self._database.as_person(self._worlds.member) as (connection, person):
            site = await asked_site(connection, person, str(self._worlds.site))
            if site is None:
                raise VoidError("the site is not there")
            words, values = parameters.read(case.contract, case.query, path)
            asked = parameters.period(words, site.time_zone, datetime.now(UTC))
            # A statement's figures are told when its portal is closed, which the next statement does.
            await connection.execute("SELECT 1")
            await self._watch.execute(
                "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = $1",
                self._worlds.database(self._size),
            )
            clock = ~connection.get_server_pid() << 3 | 2  # the CPU clock of that process, in nanoseconds
            before = time.clock_gettime(clock)
            await case.contract.ask(connection, site, *([asked] if case.contract.ranged else []), **values)
            cpu = time.clock_gettime(clock) - before
            await connection.execute("SELECT 1")
        told = await self._watch.fetchrow(
            "SELECT sum(total_exec_time) AS ms, sum(total_plan_time) AS plan_ms,"
            " sum(shared_blks_hit + shared_blks_read)::bigint AS buffers"
            " FROM pg_stat_statements(false) WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)",
            self._worlds.database(self._size),
        )
        return {**told, "cpu_ms": cpu * 1000}


async def costs(reader: Reader, case: Case, path: Mapping[str, str]) -> dict[str, float]:
    """Of the first call on a new connection, and in medians of the later ones."""
    async with reader:
        calls: list[dict[str, float]] = []
        ends = time.monotonic() + PATIENCE
        while len(calls) < CALLS and (len(calls) < LEAST_CALLS or time.monotonic() < ends):
            calls.append(await reader.call(case, path))
    later = calls[NOT_LATER:] or calls[1:]
    median = {f"later_{name}": statistics.median(call[name] for call in later) for name in MEASURES}
    return {f"first_{name}": calls[0][name] for name in MEASURES} | median
