"""What a database holds, read from its own catalogue: so that a new table, view, partition or function is looked at
the moment it is there, and nobody has to remember to say so."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

APP = "opsmantik_app"
SCHEMAS = ("public", "parts")
# An extension that a server's administrator has put in is not ours to judge.
OURS = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {oid} AND d.deptype = 'e')"

RELATIONS = f"""
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, c.relispartition AS is_part
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {OURS.format(oid="c.oid")}
    ORDER BY n.nspname DESC, c.relname
"""
COLUMNS = """
    SELECT a.attrelid AS relation, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
        a.attnotnull AS required, a.atthasdef OR a.attidentity <> '' AS has_default,
        a.attgenerated <> '' OR a.attidentity = 'a' AS is_made
    FROM pg_attribute a WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
KEYS = """
    SELECT k.conname::text AS name, k.conrelid AS relation, k.confrelid::regclass::text AS target,
        k.condeferrable AS deferrable,
        ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i) AS columns,
        ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (n, i)
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i) AS target_columns
    FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY ($1::oid[]) ORDER BY k.conname
"""
CHECKS = """
    SELECT k.conrelid AS relation, pg_get_constraintdef(k.oid) AS text FROM pg_constraint k
    WHERE k.contype = 'c' AND k.conrelid = ANY ($1::oid[])
"""
FUNCTIONS = f"""
    SELECT p.oid, p.oid::regprocedure::text AS signature, p.proname::text AS name, l.lanname::text AS language,
        p.prosecdef AS is_definer, p.proretset AS gives_rows, coalesce(p.proconfig, '{{}}') AS settings, p.prosrc AS body,
        coalesce(p.proargnames::text[], '{{}}') AS argument_names, coalesce(p.proargmodes::text[], '{{}}') AS modes,
        ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t) AS argument_types,
        has_function_privilege('{APP}', p.oid, 'EXECUTE') AS for_app
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = ANY ($1::text[]) AND p.prokind IN ('f', 'p') AND {OURS.format(oid="p.oid")} ORDER BY 2
"""
LENGTH = re.compile(r"length\(\(?(\w+)\)?\) (=|<=|<) (\d+)")
ALLOWED = re.compile(r"\(?\(?(\w+)\)?(?:::text)? (?:= ANY \(+|<@ \(?)ARRAY\[([^\]]+)\]")


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    required: bool
    has_default: bool
    is_made: bool  # by the database alone
    allowed: tuple[str, ...] = ()  # what a check lets in, where it lists that
    longest: int | None = None  # how long a check lets it be


@dataclass(frozen=True)
class Reference:
    """A foreign key, from these columns to those."""

    name: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    deferrable: bool


@dataclass
class Relation:
    """A table, partition or view."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: dict[str, Column] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)

    @property
    def place(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def is_view(self) -> bool:
        return self.kind in ("v", "m")

    @property
    def is_partition(self) -> bool:
        return self.schema == "parts"

    @property
    def is_tenant(self) -> bool:
        return "site_id" in self.columns

    @property
    def site_column(self) -> str | None:
        return "site_id" if self.is_tenant else "id" if self.place == "sites" else None

    @property
    def person_column(self) -> str | None:
        """By which a row without a site says whose it is: the account's own id, or a key to it."""
        if self.site_column is not None or self.is_partition:
            return None
        if self.place == "users":
            return "id"
        owners = [r.pairs[0][0] for r in self.references if r.target == "users" and len(r.pairs) == 1]
        return next((name for name in ("id", "user_id") if name in owners), None)


@dataclass(frozen=True)
class Function:
    oid: int
    signature: str
    name: str
    language: str
    is_definer: bool
    gives_rows: bool
    settings: tuple[str, ...]
    body: str
    arguments: tuple[tuple[str, str], ...]  # name and type, of those that go in
    for_app: bool


@dataclass
class Catalogue:
    relations: dict[str, Relation]
    functions: list[Function]

    @property
    def tables(self) -> list[Relation]:
        """Tables that are no partitions."""
        return [r for r in self.relations.values() if not r.is_view and not r.is_partition]

    @property
    def partitions(self) -> list[Relation]:
        return [r for r in self.relations.values() if r.is_partition]


async def read_catalogue(connection: Any) -> Catalogue:
    """All of ours in the schemas public and parts. Any role may read it."""
    rows = await connection.fetch(RELATIONS, list(SCHEMAS))
    relations = {row["oid"]: Relation(row["oid"], row["schema"], row["name"], row["kind"]) for row in rows}
    oids = list(relations)
    allowed: dict[tuple[int, str], tuple[str, ...]] = {}
    longest: dict[tuple[int, str], int] = {}
    for row in await connection.fetch(CHECKS, oids):
        for name, sign, length in LENGTH.findall(row["text"]):
            longest[row["relation"], name] = int(length) - (sign == "<")
        if found := ALLOWED.search(row["text"]):
            allowed[row["relation"], found[1]] = tuple(re.findall(r"'([^']*)'", found[2]))
    for row in await connection.fetch(COLUMNS, oids):
        column = Column(
            row["name"], row["type"], row["required"], row["has_default"], row["is_made"],
            allowed.get((row["relation"], row["name"]), ()), longest.get((row["relation"], row["name"])),
        )  # fmt: skip
        relations[row["relation"]].columns[column.name] = column
    for row in await connection.fetch(KEYS, oids):
        pairs = tuple(zip(row["columns"], row["target_columns"], strict=True))
        key = Reference(row["name"], row["target"], pairs, row["deferrable"])
        relations[row["relation"]].references.append(key)
    return Catalogue({r.place: r for r in relations.values()}, await read_functions(connection))


async def read_functions(connection: Any) -> list[Function]:
    found = []
    for row in await connection.fetch(FUNCTIONS, list(SCHEMAS)):
        modes = row["modes"] or ["i"] * len(row["argument_names"])
        names = [
            name for name, mode in zip(row["argument_names"], modes, strict=False) if mode in ("i", "b", "v")
        ]
        names += [""] * (len(row["argument_types"]) - len(names))
        found.append(
            Function(
                row["oid"], row["signature"], row["name"], row["language"], row["is_definer"], row["gives_rows"],
                tuple(row["settings"]), row["body"], tuple(zip(names, row["argument_types"], strict=True)), row["for_app"],
            )
        )  # fmt: skip
    return found
