"""Worlds to read from: databases that hold two months of visits, of ten thousand to ten million events.

They lie side by side in one server, so that what is compared between them is measured in turns, within a minute.
The rows are made in the database itself (world.sql), by two connections at once; what they add up to (the counters)
is made by ``rebuild_counters``, as after a change of a site's time zone. Ten million events take about four minutes on
two cores.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from stand import Stand, VoidError

from opsmantik.db import roles
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))
SIZES = {"10 k": 10_000, "100 k": 100_000, "1 M": 1_000_000, "10 M": 10_000_000}  # events
SITES, DAYS = 20, 61  # days before today's; the first site has 40 % of the visits
EVENTS_A_VISIT = 6
PIECE = 200_000  # visits in one statement
WORKERS = 2
BYTES_AN_EVENT = 720  # with its share of a visit, indexes and the write-ahead log, at most

# While a world is made nothing is worth saving: a crash ends the bench.
HASTE = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "'512MB'",
    "log_min_duration_statement": "-1",
}
LOADING = (
    "SET session_replication_role = replica; SET maintenance_work_mem = '512MB'; SET work_mem = '128MB';"
    " SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
)

Job = Callable[[Any], Awaitable[object]]


def needed_bytes(sizes: Iterable[str]) -> int:
    """Disk that these worlds take."""
    return sum(SIZES[size] for size in sizes) * BYTES_AN_EVENT + 2**30


class Worlds(Stand):
    """One server with a database for each size; ``member`` is an operator on all sites of each.

    The largest is the server's own database; :meth:`serve` has ``opsmantik serve`` answer from it.
    """

    def __init__(self, directory: Path, sizes: Iterable[str]) -> None:
        super().__init__(directory)
        self.sizes = sorted(sizes, key=lambda size: SIZES[size])
        self.member = uuid4()
        self.site = UUID("0" * 32)  # the largest, in each
        self.contents: dict[str, dict[str, Any]] = {}

    def database(self, size: str) -> str:
        return roles.DATABASE if size == self.sizes[-1] else f"world_{SIZES[size]}"

    def dsn(self, size: str, role: str | None = None) -> str:
        """Of the world, as a role; none: as the superuser."""
        name = self.database(size)
        if role is None:
            return self.postgres.admin_dsn(name)
        return self.postgres.dsn(role, name, roles.role_password(self.secret, role))

    async def in_each(self, sql: str, *values: Any) -> None:
        """Execute it in every world, as the superuser."""
        for size in self.sizes:
            admin = await asyncpg.connect(self.dsn(size))
            try:
                await admin.execute(sql, *values)
            finally:
                await admin.close()

    def serve(self) -> None:
        """Have the server answer from the largest world."""
        self._start_server()

    def _begin(self) -> None:
        needed, free = needed_bytes(self.sizes), shutil.disk_usage(self.home).free
        print(
            f"  needs {needed / 1e9:.1f} GB in {self.home.parent} while it runs; {free / 1e9:.0f} GB are free"
        )
        if needed > free:
            raise VoidError("there is not enough room on the disk")
        asyncio.run(self._make_all())

    async def _add_sites(self, admin: Any) -> None:
        await admin.execute(
            "INSERT INTO users (id, email) VALUES ($1, $2)", self.member, f"{self.member}@example.com"
        )
        await admin.execute("INSERT INTO profiles (id) VALUES ($1)", self.member)
        await admin.execute(SQL.sites, self.person, SITES, self.member)
        self.site = await admin.fetchval("SELECT id FROM sites WHERE name = 'Site 1'")

    async def _make_all(self) -> None:
        await self._configure(f"ALTER SYSTEM SET {name} = {value}" for name, value in HASTE.items())
        await self._configure(
            f"CREATE DATABASE {self.database(size)} TEMPLATE {roles.DATABASE} OWNER {roles.OWNER}"
            for size in self.sizes[:-1]
        )
        for size in self.sizes:
            start = time.monotonic()
            self.contents[size] = await _make(self.dsn(size), SIZES[size], self.member)
            made = self.contents[size]
            print(
                f"  {size}: {made['events']:,} events, {made['sessions']:,} visits, {made['leads']:,} leads;"
                f" {made['bytes'] / 1e9:.2f} GB in {time.monotonic() - start:.0f} s",
                flush=True,
            )
        await self._configure(["ALTER SYSTEM RESET ALL"])
        await self._configure(["CHECKPOINT"])

    async def _configure(self, statements: Iterable[str]) -> None:
        admin = await asyncpg.connect(self.postgres.admin_dsn())
        try:
            for statement in statements:
                await admin.execute(statement)
            await admin.execute("SELECT pg_reload_conf()")
        finally:
            await admin.close()


async def _make(dsn: str, events: int, person: UUID) -> dict[str, Any]:
    """Fill an empty database that has its sites; what it then holds."""
    pool = [await asyncpg.connect(dsn, command_timeout=None) for _ in range(WORKERS)]
    try:
        for connection in pool:
            await connection.execute(LOADING)
        tables = await _prepare(pool[0], events)
        await _at_once(pool, [_run(SQL.visits, *numbers) for numbers in _visits(events)])
        await pool[0].execute("CREATE INDEX ON bench.visits (n); ANALYZE bench.visits")
        names = [table["name"] for table in tables]
        await pool[0].execute(SQL.close_indexes, names)
        await _at_once(pool, _filling(tables, events, person))
        await _at_once(pool, [_script(f"REINDEX TABLE {name}; VACUUM (ANALYZE) {name}") for name in names])
        for rest in ("conversions", "conversion_moves", "intent_actions", "site_pulse"):
            await pool[0].execute(getattr(SQL, rest))
        await pool[0].execute("DROP TABLE bench.visits; ANALYZE")
        await _check(pool[0])
        sites = [row["id"] for row in await pool[0].fetch("SELECT id FROM sites ORDER BY length(name), name")]
        await _at_once(pool, [_run("SELECT rebuild_counters($1)", site) for site in sites])
        await pool[0].execute("VACUUM (ANALYZE) counter_days, site_pulse, conversions, intent_actions")
        return dict(await pool[0].fetchrow(SQL.contents))
    finally:
        for connection in pool:
            connection.terminate()


def _visits(events: int) -> list[tuple[Any, ...]]:
    """Arguments for world.sql's "visits": so many that the days before this moment have that many events."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    over = (datetime.now(UTC) - midnight) / timedelta(days=1)
    count = round(events / EVENTS_A_VISIT * (DAYS + 1) / (DAYS + over))
    start = midnight - timedelta(days=DAYS)
    pieces = _pieces(count)
    return [(float(count), start, DAYS + 1, first, last, SITES) for first, last in pieces]


def _pieces(count: int) -> list[tuple[int, int]]:
    size = min(PIECE, -(-count // WORKERS))
    return [(first, min(first + size - 1, count)) for first in range(1, count + 1, size)]


async def _prepare(connection: Any, events: int) -> list[Any]:
    """Partitions for the months, and the tables to fill, those that take longest first."""
    _, start, *_ = _visits(events)[0]
    await connection.execute("SET app.maintenance = 'on'")
    await connection.execute(SQL.months, start, datetime.now(UTC))
    for statement in ("CREATE SCHEMA bench", SQL.chance, SQL.pick, SQL.visits_table):
        await connection.execute(statement)
    first = start.date().replace(day=1)
    found = await connection.fetch(SQL.tables)
    wanted = [
        table
        for table in found
        if table["month"] is None or first <= table["month"] <= datetime.now(UTC).date()
    ]
    return sorted(wanted, key=lambda table: "events" not in table["name"])


def _filling(tables: list[Any], events: int, person: UUID) -> list[Job]:
    """Statements that fill the tables, each by some hundred thousand visits, in the order of time."""
    jobs: list[Job] = [_run(SQL.session_keys), _run(SQL.visitors), _run(SQL.calls, person)]
    numbers = [(first, last) for *_, first, last, _ in _visits(events)]
    for kind in ("sessions", "events"):
        months = sorted(table["month"] for table in tables if table["name"].startswith(f"parts.{kind}_"))
        jobs += [_run(getattr(SQL, kind), month, *piece) for month in months for piece in numbers]
    return jobs


def _run(sql: str, *values: Any) -> Job:
    async def run(connection: Any) -> object:
        return await connection.execute(sql, *values)

    return run


def _script(sql: str) -> Job:
    """Statements one by one: VACUUM wants no other beside it."""

    async def run(connection: Any) -> None:
        for statement in sql.split(";"):
            await connection.execute(statement)

    return run


async def _at_once(pool: list[Any], jobs: list[Job]) -> None:
    """All of them, each connection taking the next."""
    waiting = iter(jobs)

    async def work(connection: Any) -> None:
        for job in waiting:
            await job(connection)

    await asyncio.gather(*(work(connection) for connection in pool))


async def _check(connection: Any) -> None:
    """Raises :class:`VoidError` where the world could not have come about."""
    closed = await connection.fetchval(SQL.closed_indexes)
    broken = {table: count for table, count in (await connection.fetchrow(SQL.broken)).items() if count}
    if closed or broken:
        raise VoidError(f"the world is broken: {closed} indexes closed, rows that point at nothing: {broken}")
