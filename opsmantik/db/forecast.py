"""What the pending migrations will do to this database: which locks, on how much, and who will stand still for how long.

Enters: the owner's DSN; nothing is changed. Leaves: a :class:`Plan`, of which ``opsmantik db plan`` prints a table. The
locks are read from the statements (locks.py); sizes, volatile functions, stored types and whoever holds a transaction
open at this moment come from the live catalogue. Times are classes, not promises: they are worked out from bytes at the
rates below, which are slow on purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from opsmantik.db import locks
from opsmantik.db.locks import Ask, Lock, Statement, Taken, Work
from opsmantik.db.migrate import function_files, migration_files
from opsmantik.errors import MigrationChanged

# Bytes a second of a modest disk: read once; read and written anew, sorted, or logged row by row.
SCAN_RATE: Final = 200 * 2**20
WRITE_RATE: Final = 40 * 2**20
MOMENT_SECONDS: Final = 1.0
SECONDS: Final = 60.0
# Transactions that have lasted so long make a migration wait, and try again.
LONG_SECONDS: Final = 1.0

# One relation and its partitions, whatever it is: pg_partition_tree has nothing to say of a plain table.
SIZES: Final = """WITH wanted AS (
    SELECT w.name, coalesce(i.indrelid, to_regclass(w.name)::oid) AS oid
    FROM unnest($1::text[]) AS w (name) LEFT JOIN pg_index i ON i.indexrelid = to_regclass(w.name)::oid
), parts AS (
    SELECT w.name, w.oid, w.oid AS part FROM wanted w WHERE w.oid IS NOT NULL
    UNION SELECT w.name, w.oid, t.relid FROM wanted w, pg_partition_tree(w.oid) AS t WHERE w.oid IS NOT NULL
), held AS (
    SELECT l.relation, max(extract(epoch FROM clock_timestamp() - a.xact_start))::float8 AS seconds
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.pid <> pg_backend_pid()
    WHERE l.granted AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
    GROUP BY l.relation
)
SELECT p.name, p.oid::regclass::text AS table, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows,
    coalesce(sum(pg_table_size(c.oid)), 0)::bigint AS bytes,
    (count(*) FILTER (WHERE c.relkind <> 'p'))::int AS parts, coalesce(max(h.seconds), 0)::float8 AS held_seconds
FROM parts p JOIN pg_class c ON c.oid = p.part LEFT JOIN held h ON h.relation = p.part
GROUP BY p.name, p.oid"""

VOLATILE: Final = """SELECT bool_or(coalesce(p.provolatile, 'v') = 'v') FROM unnest($1::text[]) AS w (name)
LEFT JOIN pg_proc p ON p.proname = split_part(w.name, '.', array_length(string_to_array(w.name, '.'), 1))"""
RETYPED: Final = """SELECT NOT coalesce(bool_or(
    a.atttypid = $3::regtype OR (a.atttypid::regtype::text IN ('text', 'character varying') AND $3 IN ('text', 'varchar'))
), false) FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attname = $2 AND NOT a.attisdropped"""
# A valid check that says so spares the scan; PostgreSQL 18 keeps NOT NULL itself as a constraint.
NULLABLE: Final = """SELECT NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = to_regclass($1) AND c.contype = 'c'
    AND c.convalidated AND pg_get_constraintdef(c.oid) LIKE 'CHECK ((' || quote_ident($2) || ' IS NOT NULL))%')
AND NOT coalesce((SELECT a.attnotnull FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attname = $2), false)"""
FROM_ROWS: Final = """SELECT count(*) FILTER (WHERE counted_at IS NULL) AS uncounted,
    count(*) FILTER (WHERE leads_gathered_at IS NULL) AS ungathered FROM site_pulse"""


class Size(msgspec.Struct, frozen=True):
    """A table as it is now, with its partitions. ``rows`` is the planner's estimate."""

    table: str
    rows: int
    bytes: int
    parts: int
    held_seconds: float
    """Age of the oldest transaction that holds a lock on it; 0: nobody does."""


class Step(msgspec.Struct, frozen=True):
    """One lock that is going to be taken."""

    file: str
    line: int
    statement: str
    table: str
    lock: str
    work: Work
    rows: int
    bytes: int
    parts: int
    stops: str
    """Who stands still: nobody, writes, or reads and writes."""
    wait: str
    """nothing, a moment, seconds, minutes, or unknown: for how long."""
    note: str = ""


class Plan(msgspec.Struct, frozen=True):
    """All that is pending."""

    migrations: tuple[str, ...]
    steps: tuple[Step, ...]
    functions: int
    """Files of functions that are applied anew; they take no lock on a table, unless a step says so."""
    notes: tuple[str, ...]

    @property
    def worst(self) -> str:
        """The longest wait of all steps under which somebody stands still."""
        order = ("nothing", "a moment", "unknown", "seconds", "minutes")
        return max((s.wait for s in self.steps if s.stops != "nobody"), key=order.index, default="nothing")


async def forecast(
    owner_dsn: str, *, migrations: Sequence[Path] | None = None, functions: Sequence[Path] | None = None
) -> Plan:
    """Look at what would be applied to this database, and at the database. Nothing is changed or locked.

    Raises :class:`~opsmantik.errors.MigrationChanged` where a migration is not what was applied, as migrating would.
    """
    connection = await asyncpg.connect(owner_dsn)
    try:
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL lock_timeout = '1200ms'")
            pending = await _pending(connection, migration_files() if migrations is None else migrations)
            return await _plan(connection, pending, function_files() if functions is None else functions)
    finally:
        await connection.close()


async def _pending(connection: Any, files: Sequence[Path]) -> list[Path]:
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return list(files)
    known = dict(await connection.fetch("SELECT name, checksum FROM schema_migrations"))
    for path in files:
        if path.name in known and known[path.name] != hashlib.sha256(path.read_bytes()).hexdigest():
            raise MigrationChanged(name=path.name)
    return [path for path in files if path.name not in known]


async def _plan(connection: Any, pending: Sequence[Path], functions: Sequence[Path]) -> Plan:
    made: set[str] = set()
    steps: list[Step] = []
    for path in [*pending, *functions]:
        for statement in locks.statements(path.read_text()):
            made.update(statement.makes)
            steps += await _steps(connection, path.name, statement, made)
    return Plan(
        migrations=tuple(path.name for path in pending),
        steps=tuple(steps),
        functions=len(functions),
        notes=tuple(await _notes(connection, steps)),
    )


async def _steps(connection: Any, file: str, statement: Statement, made: set[str]) -> list[Step]:
    taken = statement.taken
    if statement.opaque:
        taken = tuple(
            [
                Taken(t, Lock.ACCESS_EXCLUSIVE, Work.UNKNOWN)
                for t in await _named(connection, statement.opaque)
            ]
        )
    found = []
    names = [each.table for each in taken if each.table not in made]
    sizes = (
        {row["name"]: Size(*list(row.values())[1:]) for row in await connection.fetch(SIZES, names)}
        if names
        else {}
    )
    for each in taken:
        size = sizes.get(each.table)
        if size is None:  # made by these migrations, or not there: nobody waits for it
            continue
        work = each.work if each.ask is None else await _answered(connection, size.table, each, each.ask)
        if work is None or (each.lock < Lock.SHARE and work is Work.NOTHING):
            continue
        found.append(_step(file, statement, each.lock, work, size))
    return found


def _step(file: str, statement: Statement, lock: Lock, work: Work, size: Size) -> Step:
    note = ""
    if lock >= Lock.SHARE and size.held_seconds > LONG_SECONDS:
        note = f"a transaction of {size.held_seconds:.0f} s holds a lock on it now: it will be waited for"
    return Step(
        file=file, line=statement.line, statement=statement.text, table=size.table, lock=lock.words, work=work,
        rows=size.rows, bytes=size.bytes, parts=size.parts, stops=lock.stops, wait=wait_class(lock, work, size.bytes),
        note=note,
    )  # fmt: skip


def wait_class(lock: Lock, work: Work, size: int) -> str:
    """For how long those stand still that this lock stops: a moment (a second at most), seconds, minutes, unknown."""
    if lock < Lock.SHARE:
        return "nothing"
    if work is Work.UNKNOWN:
        return "unknown"
    if work is Work.NOTHING:
        return "a moment"
    seconds = size / (SCAN_RATE if work is Work.SCANS else WRITE_RATE)
    return "a moment" if seconds < MOMENT_SECONDS else "seconds" if seconds < SECONDS else "minutes"


async def _answered(connection: Any, table: str, taken: Taken, ask: Ask) -> Work | None:
    """The work after the catalogue was asked; None: the statement does nothing at all."""
    if ask.what == "missing":
        there = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", ask.names[0])
        return None if there else taken.work
    if ask.what == "volatile":
        yes = await connection.fetchval(VOLATILE, list(ask.names))
    elif ask.what == "nullable":
        yes = await connection.fetchval(NULLABLE, table, ask.names[0])
    else:
        known = await connection.fetchval("SELECT to_regtype($1) IS NOT NULL", ask.names[1])
        yes = not known or await connection.fetchval(RETYPED, table, ask.names[0], ask.names[1])
    return taken.work if yes else ask.then


async def _named(connection: Any, text: str) -> list[str]:
    """Tables that a block names, wherever in it: more than it locks, perhaps, but none that it locks by name is missing."""
    rows = await connection.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%'"
        " AND n.nspname <> 'information_schema' AND $1 ~ ('\\m' || c.relname || '\\M') ORDER BY 1",
        text,
    )
    return [row["name"] for row in rows]


async def _notes(connection: Any, steps: Sequence[Step]) -> list[str]:
    notes = []
    for step in steps:
        if step.note and (line := f"{step.table}: {step.note}") not in notes:
            notes.append(line)
    columns = await connection.fetchval(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('site_pulse')"
        " AND attname IN ('counted_at', 'leads_gathered_at') AND NOT attisdropped"
    )
    if columns == 2:
        left = await connection.fetchrow(FROM_ROWS)
        for number, words in zip(left, ("counted", "gathered for the search"), strict=True):
            if number:
                notes.append(
                    f"afterwards the leads and visits of {number} sites are {words}; nobody waits for that"
                )
    return notes
