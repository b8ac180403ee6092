"""Whether, and how, this schema is spread over several servers by ``site_id`` with the extension Citus.

Enters: a connection of the owner's. Leaves: findings (what would be refused, or would answer wrongly, each with its
remedy), notes (what works and has to be known), and the statements that do it. The rules are those that were tried on a
coordinator with two workers (docs/scale.md has the table); what a rule looks at is the live catalogue, so that a table
that somebody added by hand is judged like one of ours.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from opsmantik.db.migrate import APP_ROLE
from opsmantik.db.sql import queries, quote_literal
from opsmantik.errors import CannotDistribute

SQL: Final = queries(Path(__file__).with_name("distribute.sql"))
COLUMN: Final = "site_id"
# Small, read everywhere, written rarely: every server has all of each.
REFERENCE: Final = ("users", "profiles", "sites", "site_members", "site_origins")
# With whom all others lie: rows of one site are always on one server.
FIRST: Final = "session_keys"
_SUBSELECT: Final = re.compile(r"\bSELECT\b", re.IGNORECASE)
_SET_CONFIG: Final = re.compile(r"\bset_config\s*\(\s*'(app\.\w+)'", re.IGNORECASE)
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


class Finding(msgspec.Struct, frozen=True):
    """What stands in the way."""

    rule: str
    object: str
    problem: str
    remedy: str


class Table(msgspec.Struct, frozen=True):
    """One table, and where it is going to lie: distributed, reference or local."""

    name: str
    place: str
    is_partitioned: bool


class Reference(msgspec.Struct, frozen=True):
    """A foreign key, to be dropped and added again."""

    table: str
    target: str
    name: str
    definition: str


class Judged(msgspec.Struct, frozen=True):
    """What the catalogue says."""

    tables: tuple[Table, ...]
    references: tuple[Reference, ...]
    """Foreign keys with a distributed or a reference table at either end."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    citus: str | None
    """Version of the extension in this database."""
    is_available: bool
    """Whether this server has it to create."""


async def judge(connection: Any) -> Judged:
    """Look at everything; nothing is changed."""
    rows = await connection.fetch(SQL.tables)
    tables = {row["oid"]: Table(row["name"], _place(row), row["is_partitioned"]) for row in rows}
    spread = [oid for oid, table in tables.items() if table.place == "distributed"]
    everywhere = [oid for oid, table in tables.items() if table.place != "local"]
    setting = await connection.fetchrow(SQL.setting, APP_ROLE)
    references = await connection.fetch(SQL.references, list(tables))
    findings = [
        *_of_tables(rows, tables),
        *_of_keys(await connection.fetch(SQL.keys, spread), tables),
        *_of_references(references, tables),
        *[
            _parent_check(tables[r["oid"]].name, r["name"])
            for r in await connection.fetch(SQL.parent_checks, spread)
        ],
        *_of_policies(await connection.fetch(SQL.policies, everywhere), tables),
        *[
            _trigger(tables[r["oid"]].name, r["name"])
            for r in await connection.fetch(SQL.triggers, everywhere)
        ],
        *[_rule(tables[r["oid"]].name, r["name"]) for r in await connection.fetch(SQL.rules, everywhere)],
    ]
    functions = await connection.fetch(SQL.functions)
    findings += [finding for row in functions for finding in _of_function(row)]
    if not setting["app_may_log_in"]:
        findings.append(
            Finding(
                "role",
                APP_ROLE,
                "may not log in: the other servers refuse its connections",
                f"ALTER ROLE {APP_ROLE} LOGIN",
            )
        )
    kept = [
        Reference(tables[r["oid"]].name, tables.get(r["target"], _GONE).name, r["name"], r["definition"])
        for r in references
        if tables[r["oid"]].place != "local" or tables.get(r["target"], _GONE).place != "local"
    ]
    return Judged(
        tuple(tables.values()), tuple(kept), tuple(findings), tuple(_spanning(functions, tables)), setting["citus"],
        setting["is_available"],
    )  # fmt: skip


_GONE: Final = Table("", "local", False)


def _place(row: Any) -> str:
    if row["name"] in REFERENCE:
        return "reference"
    return "distributed" if row["has_site"] is not None else "local"


def _of_tables(rows: Any, tables: dict[int, Table]) -> list[Finding]:
    found = []
    for row in rows:
        if tables[row["oid"]].place != "distributed":
            continue
        if not row["has_site"]:
            found.append(
                Finding("null site", row["name"], "its site_id may be null: such a row belongs to no server",
                        f"ALTER TABLE {row['name']} ALTER COLUMN site_id SET NOT NULL")
            )  # fmt: skip
        if row["site_type"] != "uuid":
            found.append(
                Finding("other type", row["name"], f"its site_id is {row['site_type']}: it cannot lie with the others",
                        f"ALTER TABLE {row['name']} ALTER COLUMN site_id TYPE uuid")
            )  # fmt: skip
        if row["inherits"]:
            found.append(
                Finding("inheritance", row["name"], "it inherits, or is inherited from, other than by partitions",
                        "make the two tables two, or partitions of one")
            )  # fmt: skip
    return found


def _of_keys(rows: Any, tables: dict[int, Table]) -> list[Finding]:
    found = []
    for row in rows:
        if row["columns"][:1] != [COLUMN]:
            led = ", ".join([COLUMN, *(column for column in row["columns"] if column != COLUMN)])
            what = (
                "exclusion" if row["is_exclusion"] else "primary key" if row["is_primary"] else "unique key"
            )
            found.append(
                Finding("key", f"{tables[row['oid']].name}.{row['name']}",
                        f"its {what} ({', '.join(row['columns'])}) is not led by site_id: no one server could keep it",
                        f"make it ({led})")
            )  # fmt: skip
    keyed = {row["oid"] for row in rows if row["is_primary"]}
    return found + [
        Finding("no key", table.name, "it has no primary key: its shards cannot be moved while it is written to",
                "add PRIMARY KEY (site_id, ...)")
        for oid, table in tables.items() if table.place == "distributed" and oid not in keyed
    ]  # fmt: skip


def _of_references(rows: Any, tables: dict[int, Table]) -> list[Finding]:
    found = []
    for row in rows:
        here, there = tables[row["oid"]], tables.get(row["target"], _GONE)
        name = f"{here.name}.{row['name']}"
        if here.place == "distributed" and there.place == "distributed":
            pairs = list(zip(row["columns"], row["target_columns"], strict=True))
            if (COLUMN, COLUMN) not in pairs:
                found.append(
                    Finding("reference", name, f"it leads to {there.name} without site_id: that row may lie elsewhere",
                            f"refer by (site_id, ...) to {there.name} (site_id, ...)")
                )  # fmt: skip
        elif here.place == "distributed" and there.place == "local":
            found.append(
                Finding("reference", name, f"it leads to {there.name or 'a table'}, which lies on the coordinator alone",
                        f"drop it, or make {there.name or 'that'} a reference table")
            )  # fmt: skip
        elif here.place != "distributed" and there.place == "distributed":
            found.append(
                Finding("reference", name, f"a table without a site refers to {there.name}, which is spread",
                        f"give {here.name} a site_id, or drop the reference")
            )  # fmt: skip
        if (
            here.place == "distributed"
            and row["sets_null"]
            and COLUMN in (row["set_columns"] or row["columns"])
        ):
            found.append(
                Finding("reference", name, "ON DELETE would set site_id, by which the row is placed",
                        "name the columns: ON DELETE SET NULL (the others)")
            )  # fmt: skip
    return found


def _of_policies(rows: Any, tables: dict[int, Table]) -> list[Finding]:
    return [
        Finding("policy", f"{tables[row['oid']].name}.{row['name']}", "it has a sub-select: other servers refuse it",
                "compare with a setting: site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])")
        for row in rows if _SUBSELECT.search(row["expression"])
    ]  # fmt: skip


def _parent_check(table: str, name: str) -> Finding:
    return Finding(
        "check", f"{table}.{name}", "it stands on a partitioned table: the partitions' shards lack it, and spreading fails",
        "put it on each partition instead, as make_month does",
    )  # fmt: skip


def _trigger(table: str, name: str) -> Finding:
    return Finding(
        "trigger", f"{table}.{name}", "triggers on spread tables are refused",
        "do it in the function that writes, or by a constraint",
    )  # fmt: skip


def _rule(table: str, name: str) -> Finding:
    return Finding("rule", f"{table}.{name}", "rules on spread tables are refused", "drop it")


def _of_function(row: Any) -> list[Finding]:
    """Settings that policies compare with have to go along to the other servers, and only SET LOCAL does."""
    body = _COMMENT.sub("", row["body"])
    names = sorted(set(_SET_CONFIG.findall(body)))
    names += sorted(each.partition("=")[0] for each in row["settings"] if each.startswith("app."))
    return [
        Finding("function", row["name"], f"it sets {name} otherwise than by SET LOCAL: other servers would show no row",
                f"EXECUTE format('SET LOCAL {name} = %L', ...); to read as the owner, see_all_sites()")
        for name in names
    ]  # fmt: skip


def _spanning(functions: Any, tables: dict[int, Table]) -> list[str]:
    """Functions of the owner that name a spread table and are not given one site: they work from the coordinator, over all
    servers, and cannot be handed to the one that has the site."""
    spread = [table.name for table in tables.values() if table.place == "distributed"]
    names = re.compile(r"\b(" + "|".join(map(re.escape, spread)) + r")\b") if spread else None
    return [
        f"{row['name']} spans sites: it runs on the coordinator"
        for row in functions
        if names is not None
        and row["is_definer"]
        and not row["has_site"]
        and names.search(_COMMENT.sub("", row["body"]))
    ]


def statements(judged: Judged) -> list[str]:
    """What distributes the schema, in order; one transaction.

    Tables that refer to each other cannot be distributed one by one, so all foreign keys go first and come back last, each
    under its own name and as it was. Reference tables come before what refers to them; all others lie with the first.
    """
    places = {table.name: table.place for table in judged.tables}
    spread = sorted(
        (name for name, place in places.items() if place == "distributed"), key=lambda n: (n != FIRST, n)
    )
    first = spread[0] if spread else FIRST
    # Foreign keys between spread and reference tables: one connection to each server, one statement after the other.
    made = ["SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"]
    made += [f"ALTER TABLE {r.table} DROP CONSTRAINT {_quoted(r.name)}" for r in judged.references]
    made += [f"SELECT create_reference_table({quote_literal(name)})" for name in REFERENCE if name in places]
    for name in spread:
        beside = "'none'" if name == first else quote_literal(first)
        made.append(
            f"SELECT create_distributed_table({quote_literal(name)}, '{COLUMN}', colocate_with => {beside})"
        )
    by_place = {"reference": 0, "local": 1, "distributed": 2}
    back = sorted(judged.references, key=lambda r: (by_place[places[r.table]], r.table, r.name))
    made += [f"ALTER TABLE {r.table} ADD CONSTRAINT {_quoted(r.name)} {r.definition}" for r in back]
    return made


def afterwards(database: str) -> list[str]:
    """What the database has to be told for good: what a transaction sets locally goes along to the other servers."""
    return [f"ALTER DATABASE {_quoted(database)} SET citus.propagate_set_commands TO 'local'"]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def distribute(connection: Any, judged: Judged) -> list[str]:
    """Do it, as one transaction; gives what was run.

    Raises :class:`~opsmantik.errors.CannotDistribute` without the extension, or with a finding.
    """
    if judged.findings:
        raise CannotDistribute(
            reason=f"{len(judged.findings)} findings stand in the way (opsmantik db distribute --check)"
        )
    if judged.citus is None:
        raise CannotDistribute(reason="this database has no extension citus (CREATE EXTENSION citus)")
    done = statements(judged)
    async with connection.transaction():
        for statement in done:
            await connection.execute(statement)
    after = afterwards(await connection.fetchval("SELECT current_database()"))
    for statement in after:
        await connection.execute(statement)
    return done + after
