"""Asks a database all that a report tells, in one read-only transaction; ours or any other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from opsmantik.audit.findings import Report
from opsmantik.audit.needs import catalogue
from opsmantik.audit.report.facts import PAGES, Column, Facts, Index, Key, Made, Policy, Server, Table
from opsmantik.audit.report.functions import Function
from opsmantik.db.sql import queries

T = TypeVar("T")

SQL = queries(Path(__file__).with_suffix(".sql"))
SETTINGS: Final = (
    "SET LOCAL app.maintenance = 'on'; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off;"
    " SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '30s'; SET LOCAL TimeZone = 'UTC'"
)
# Elsewhere a role that row security binds is to hear so, instead of counting the few rows that it sees.
BOUND: Final = "SET LOCAL row_security = off"


async def gather(connection: Any, audit: Report) -> Facts:
    """Everything but the findings, which ``audit`` brings. ``connection`` is one of :func:`opsmantik.audit.run.connect`."""
    transaction = connection.transaction(readonly=True, isolation="repeatable_read")
    await transaction.start()
    try:
        await connection.execute(SETTINGS)
        return await _gather(connection, audit)
    finally:
        await transaction.rollback()


async def _gather(connection: Any, audit: Report) -> Facts:
    relations = {
        row["relation"]: frozenset(row["columns"]) for row in await connection.fetch(SQL.column_sets)
    }
    is_ours = "public.session_keys" in relations and "public.site_pulse" in relations
    if not is_ours:
        await connection.execute(BOUND)
    tables = [Table(**row) for row in await connection.fetch(SQL.tables)]
    columns = [Column(**row) for row in await connection.fetch(SQL.columns)]
    columns, hidden = await _sampled(connection, tables, columns)
    leans: dict[tuple[int, str], list[str]] = defaultdict(list)
    for row in await connection.fetch(SQL.leans):
        leans[row["table"], row["name"]].append(row["what"])
    return Facts(
        is_ours=is_ours, server=Server(**await connection.fetchrow(SQL.database)), tables=tables,
        columns=_by_table(columns),
        indexes=_by_table(Index(**row) for row in await connection.fetch(SQL.indexes)),
        policies=_by_table(Policy(**row) for row in await connection.fetch(SQL.policies)),
        keys=_by_table(Key(**row) for row in await connection.fetch(SQL.keys)),
        functions=[_made(row) for row in await connection.fetch(SQL.functions)],
        leans=leans, relations=relations, hidden=hidden, audit=audit, there=await catalogue(connection),
    )  # fmt: skip


async def _sampled(
    connection: Any, tables: Sequence[Table], columns: Sequence[Column]
) -> tuple[list[Column], list[str]]:
    """The columns, with what a sample says of tables whose statistics are not to be seen; and where that is denied too."""
    known = {column.table for column in columns if column.nulls is not None}
    pages: dict[int, int] = defaultdict(int)
    for table in tables:
        pages[table.root] += table.pages
    wanted = [table for table in tables if not table.is_partition and table.oid not in known]
    counts: dict[tuple[int, int], tuple[float, int]] = {}
    hidden = []
    asked = [table.oid for table in wanted], [pages[table.oid] for table in wanted], PAGES
    statements = {row["table"]: row["statement"] for row in await connection.fetch(SQL.samples, *asked)}
    for table in wanted:
        if (found := await _counted(connection, statements.get(table.oid))) is None:
            hidden.append(table.title)
            continue
        own = [column for column in columns if column.table == table.oid]
        total, *each = found
        for column, filled, values in zip(own, each[::2], each[1::2], strict=False):
            if total:
                counts[table.oid, column.place] = (1 - filled / total, values)
    return [_filled(column, counts) for column in columns], hidden


async def _counted(connection: Any, statement: str | None) -> list[int] | None:
    """What a sample counts; None where this role may not."""
    if statement is None:
        return [0]
    try:
        async with connection.transaction():
            return list(await connection.fetchval(statement))
    except asyncpg.InsufficientPrivilegeError:
        return None


def _filled(column: Column, counts: Mapping[tuple[int, int], tuple[float, int]]) -> Column:
    found = counts.get((column.table, column.place))
    if found is None:
        return column
    return msgspec.structs.replace(column, nulls=found[0], distinct_values=found[1], is_sampled=True)


def _made(row: Any) -> Made:
    names = list(row["names"])
    modes = tuple(row["modes"] or ("i",) * row["arguments_given"])
    names += [""] * (len(modes) - len(names))
    function = Function(
        name=row["name"], language=row["language"], arguments=row["arguments"], names=tuple(names), modes=modes,
        kind=row["kind"], body=row["body"],
    )  # fmt: skip
    return Made(schema=row["schema"], function=function, triggers=row["triggers"])


def _by_table(each: Iterable[T]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = defaultdict(list)
    for item in each:
        found[item.table].append(item)  # type: ignore[attr-defined]
    return found
