"""How PostgreSQL means to run what the program asks: of every statement that reads, which indexes it walks and which
months it can leave alone.

Each is planned twice, as one plan for any values (which is what a connection settles for) and without running it: once as
the planner likes, once with whole tables and hashes made dear. A tiny table is always read whole; whether there is a way
to read less of it shows in the second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from opsmantik.audit.needs import Catalogue
from opsmantik.db.sql import queries

PROGRAM: Final = Path(__file__).parents[1]
# Where the program asks on behalf of somebody who waits; not what moves, makes or mends a whole database.
ASKS: Final = (
    "conversions", "counters", "dashboard", "decisions", "ingest", "intents", "notifications", "people", "privacy",
    "sessions", "sites", "webhooks",
)  # fmt: skip
READS: Final = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:SELECT|WITH)\b", re.IGNORECASE)
SETTINGS: Final = "SET LOCAL plan_cache_mode = force_generic_plan"
DEAR: Final = (
    "DISCARD PLANS; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;"
    " SET LOCAL enable_mergejoin = off"
)
SCANS: Final = {
    "Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan", "Sample Scan",
}  # fmt: skip
# A question that is answered once for all rows, and looked up in what that gave: it reads whole tables by its nature, and
# PostgreSQL chooses it where they are tiny.
_HASHED: Final = re.compile(r"hashed (SubPlan \d+)")
# The partition's month, compared with what a row beside it says: the others are left alone while the statement runs.
_BY_KEY: Final = re.compile(r"\b(?:created|session)_month = [a-z_\"(]")

# Statements that mean all months, each for a reason.
ALL_MONTHS: Final[dict[str, str]] = {
    "dashboard/cards/install_state.install_state": "a site's first visit may lie in any month: one step of each index",
    "dashboard/cards/install_state.newest": "the newest visits, whenever they were: as many steps as it shows rows",
    "privacy/queries.events": "what is known of a person, whenever it was; asked once a request for it",
}

TYPES: Final = "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = $1"
NAME: Final = "opsmantik_audit"


class Scan(msgspec.Struct, frozen=True):
    """One table as a plan reads it."""

    relation: str
    """With its schema, as the plan writes it."""
    kind: str
    index: str | None
    """Of several, the first; with its schema."""
    is_bounded: bool
    """Whether the index is walked from a value on, and not from end to end."""


class Months(msgspec.Struct, frozen=True):
    """The partitions of one table in one place of a plan. ``by``: what leaves the others alone, or "nothing"."""

    table: str
    read: int
    left: int
    by: str


class Plan(msgspec.Struct, frozen=True):
    """What one plan does."""

    scans: list[Scan]
    months: list[Months]


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A statement: ``own`` as the planner likes it, ``bound`` with whole tables dear; or why it cannot be planned."""

    statement: str
    own: Plan | None = None
    bound: Plan | None = None
    all_months: str | None = None
    error: str | None = None


def statements() -> Iterator[tuple[str, str]]:
    """Every statement of the program that only reads, by the name of its file and its own."""
    for path in sorted(PROGRAM.rglob("*.sql")):
        within = path.relative_to(PROGRAM)
        if within.parts[0] not in ASKS:
            continue
        asked = queries(path)
        for name in asked.names():
            if READS.match(sql := getattr(asked, name)):
                yield f"{within.with_suffix('').as_posix()}.{name}", sql


async def plans(connection: Any, there: Catalogue) -> list[Planned]:
    """All of them, in the present transaction. Of a database that is not ours: none."""
    if "public.site_pulse" not in there.relations:
        return []
    await connection.execute(SETTINGS)
    parents = {
        row["name"]: row["parent"]
        for row in await connection.fetch(
            "SELECT n.nspname || '.' || c.relname AS name, i.inhparent::regclass::text AS parent FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace"
        )
    }
    indexes = {
        row["name"]: row["schema"]
        for row in await connection.fetch(
            "SELECT c.relname AS name, n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'i' AND n.nspname NOT LIKE 'pg\\_%'"
        )
    }
    return [await _planned(connection, name, sql, parents, indexes) for name, sql in statements()]


async def _planned(
    connection: Any, name: str, sql: str, parents: dict[str, str], indexes: dict[str, str]
) -> Planned:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"PREPARE {NAME} AS {sql}")
        types = await connection.fetchval(TYPES, NAME)
        explain = f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) EXECUTE {NAME}{values_for(types)}"
        own = await connection.fetchval(explain)
        await connection.execute(DEAR)
        bound = await connection.fetchval(explain)
    except asyncpg.PostgresError as error:
        return Planned(statement=name, error=f"{type(error).__name__}: {error}"[:200])
    finally:
        await transaction.rollback()
        await forget(connection)
    return Planned(
        statement=name, all_months=ALL_MONTHS.get(name),
        own=_read(json.loads(own)[0]["Plan"], parents, indexes),
        bound=_read(json.loads(bound)[0]["Plan"], parents, indexes),
    )  # fmt: skip


async def forget(connection: Any) -> None:
    """A prepared statement outlives its transaction, and need not be there."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        if await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE name = $1)", NAME
        ):
            await connection.execute(f"DEALLOCATE {NAME}")
    finally:
        await transaction.rollback()


def values_for(types: list[str]) -> str:
    """Ten days of last month for whoever asks: times are pairs of a range's ends, dates its month."""
    month = (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)
    times = [f"{month} 00:00Z", f"{month + timedelta(days=9)} 00:00Z"]
    seen = 0
    values = []
    for kind in types:
        if kind == "timestamp with time zone":
            values.append(_text(times[seen % 2]))
            seen += 1
        else:
            values.append(_value(kind, month))
    return f"({', '.join(values)})" if values else ""


def _value(kind: str, month: date) -> str:
    if kind.endswith("[]"):
        return "'{}'"
    known = {"date": str(month), "boolean": "true", "interval": "1 day", "text": "x", "uuid": "0" * 32}
    if kind in ("integer", "bigint", "smallint", "numeric"):
        return "50"
    return _text(known[kind]) if kind in known else "NULL"


def _text(value: str) -> str:
    return f"'{value}'"


def _read(plan: dict[str, Any], parents: dict[str, str], indexes: dict[str, str]) -> Plan:
    hashed = frozenset(_HASHED.findall(json.dumps(plan)))
    scans = [scan for node in _nodes(plan, hashed) if (scan := _scan(node, indexes))]
    return Plan(scans, list(_months(plan, parents)))


def _nodes(node: dict[str, Any], without: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """The node and all below it, but for sub-plans of these names."""
    yield node
    for child in node.get("Plans", ()):
        if child.get("Subplan Name") not in without:
            yield from _nodes(child, without)


def _place(node: dict[str, Any]) -> str:
    return f"{node.get('Schema', '')}.{node['Relation Name']}"


def _scan(node: dict[str, Any], indexes: dict[str, str]) -> Scan | None:
    if node["Node Type"] not in SCANS or "Relation Name" not in node:
        return None
    walked = next((each for each in _nodes(node) if "Index Name" in each), None)
    name = walked["Index Name"] if walked else None
    return Scan(
        relation=_place(node),
        kind=node["Node Type"],
        index=f"{indexes.get(name, '')}.{name}" if name else None,
        is_bounded=walked is not None and "Index Cond" in walked,
    )


def _months(node: dict[str, Any], parents: dict[str, str]) -> Iterator[Months]:
    """Where a plan reads partitions: below an Append, or one alone."""
    children = node.get("Plans", [])
    if node["Node Type"] in ("Append", "Merge Append"):
        direct = [scan for child in children if (scan := _below(child, parents)) is not None]
        if direct and len(direct) == len(children):
            removed = int(node.get("Subplans Removed", 0))
            table = parents[_place(direct[0])]
            whole = sum(parent == table for parent in parents.values())
            yield Months(table, len(direct), removed, _by(direct, removed, whole))
            for scan in direct:
                for child in scan.get("Plans", ()):
                    yield from _months(child, parents)
            return
    for child in children:
        yield from _months(child, parents)


def _below(node: dict[str, Any], parents: dict[str, str]) -> dict[str, Any] | None:
    """The scan of a partition that an Append's child is, or sorts or gathers."""
    while True:
        if node["Node Type"] in SCANS:
            return node if "Relation Name" in node and _place(node) in parents else None
        inner = [child for child in node.get("Plans", ()) if child.get("Parent Relationship") == "Outer"]
        if len(inner) != 1:
            return None
        node = inner[0]


def _by(scans: list[dict[str, Any]], removed: int, whole: int) -> str:
    if removed:
        return "range"
    if len(scans) < whole:
        return "plan"
    conditions = [
        " ".join(
            str(each.get(part, ""))
            for each in _nodes(scan)
            for part in ("Index Cond", "Recheck Cond", "Filter")
        )
        for scan in scans
    ]
    return "key" if all(_BY_KEY.search(text) for text in conditions) else "nothing"
