"""Whether each contract can be answered by the one server that has the site: judged from PostgreSQL's own plan of it.

In a plan for any values, every scan of a table that is spread by site must be bound to a site: ``site_id = $n``, or to a
row that is. What is bound to a list of sites is asked of several servers, which works, and is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import asyncpg

from opsmantik.audit import plans
from opsmantik.db.distribute import Finding, Table

CONTRACTS: Final = ("counters/", "dashboard/")
CONDITIONS: Final = (
    "Index Cond",
    "Recheck Cond",
    "Filter",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "TID Cond",
)
_ONE: Final = re.compile(r"\bsite_id = (?!ANY)", re.IGNORECASE)
# Not the policy's own comparison, which names no site of the question's.
_MANY: Final = re.compile(r"\bsite_id = ANY \((?!\(NULLIF\(current_setting)", re.IGNORECASE)
# What upkeep asks, beside the contracts, of all sites at once.
ALL_SITES: Final = {"counters/queries.sites_to_build": "upkeep: which sites have no counters yet"}
PARENTS: Final = """SELECT c.relname AS name, i.inhparent::regclass::text AS parent FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p')"""


async def contracts(connection: Any, tables: Sequence[Table]) -> tuple[list[Finding], list[str], int]:
    """Findings, notes, and how many statements were planned; in a transaction of the caller's, none is run."""
    spread = {table.name for table in tables if table.place == "distributed"}
    parents = {row["name"]: row["parent"] for row in await connection.fetch(PARENTS)}
    findings, notes, planned = [], [], 0
    await connection.execute(plans.SETTINGS)
    for name, sql in plans.statements():
        if not name.startswith(CONTRACTS):
            continue
        plan = await _plan(connection, sql)
        planned += 1
        if isinstance(plan, str):
            findings.append(
                Finding("contract", name, f"it cannot be planned: {plan}", "run the pending migrations")
            )
            continue
        ways = {way for table, way in _scans(plan, parents) if table in spread}
        if None in ways and name in ALL_SITES:
            notes.append(f"{name} asks all servers ({ALL_SITES[name]})")
        elif None in ways:
            findings.append(
                Finding(
                    "contract",
                    name,
                    "it reads a spread table without naming its site",
                    "compare site_id with a parameter",
                )
            )
        elif "many" in ways:
            notes.append(f"{name} asks for several sites at once: several servers answer")
    return findings, notes, planned


async def _plan(connection: Any, sql: str) -> dict[str, Any] | str:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute(f"PREPARE {plans.NAME} AS {sql}")
        types = await connection.fetchval(plans.TYPES, plans.NAME)
        values = plans.values_for(types)
        found: dict[str, Any] = json.loads(
            await connection.fetchval(f"EXPLAIN (COSTS OFF, FORMAT JSON) EXECUTE {plans.NAME}{values}")
        )[0]["Plan"]
        return found
    except asyncpg.PostgresError as error:
        return str(error)[:200]
    finally:
        await transaction.rollback()
        await plans.forget(connection)


def _scans(node: dict[str, Any], parents: dict[str, str]) -> Iterator[tuple[str, str | None]]:
    """Each table that is scanned, and how it is bound to a site: one, many, or None."""
    if "Relation Name" in node:
        words = " ".join(_conditions(node))
        way = "one" if _ONE.search(words) else "many" if _MANY.search(words) else None
        yield parents.get(node["Relation Name"], node["Relation Name"]), way
    for child in node.get("Plans", ()):
        yield from _scans(child, parents)


def _conditions(node: dict[str, Any]) -> Iterator[str]:
    """Those of a scan, with what the bitmaps below it were made by."""
    yield from (str(node[name]) for name in CONDITIONS if name in node)
    for child in node.get("Plans", ()):
        if "Bitmap" in child["Node Type"] or child["Node Type"] in ("BitmapAnd", "BitmapOr"):
            yield from _conditions(child)
