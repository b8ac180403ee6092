"""The holes: what a careless migration, function or route could do to the walls, one at a time.

All are made from the catalogue of a sound database, so that what is new is taken down as well. ``first`` names the checks
that are likeliest to notice; the others follow as long as none has.
"""
# ruff: noqa: E501 - a statement a line

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.db.catalogue import APP, Catalogue
from tests.db.function_needs import NEEDS
from tests.db.function_walls import SELF, SERVER

OWNER = "opsmantik_owner"


@dataclass(frozen=True)
class Mutant:
    """``sql`` is run by the superuser. ``undo``: only where it reaches past its database. ``inverse``: takes it back without
    a trace, so that it needs no database of its own. ``functions``: to probe first."""

    kind: str
    name: str
    sql: str
    first: tuple[str, ...] = ()
    undo: str = ""
    inverse: str = ""
    functions: frozenset[str] = field(default=frozenset())

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


async def policies(connection: Any) -> list[Mutant]:
    rows = await connection.fetch(
        "SELECT p.polrelid::regclass::text AS place, quote_ident(p.polname) AS name, c.relowner::regrole::text AS owner,"
        " p.polroles = ARRAY[c.relowner] AS for_owner,"
        " pg_get_expr(p.polqual, c.oid) AS qual, pg_get_expr(p.polwithcheck, c.oid) AS checked"
        " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid ORDER BY 1, 2"
    )
    found = []
    first = ("rows seen", "owner bound")
    for row in rows:
        where = f"{row['name']} ON {row['place']}"
        alter = f"ALTER POLICY {where}"
        found.append(Mutant("policy dropped", where, f"DROP POLICY {where}", first))
        if row["qual"] not in (None, "true"):
            found.append(
                Mutant(
                    "policy shows all",
                    where,
                    f"{alter} USING (true)",
                    first,
                    inverse=f"{alter} USING ({row['qual']})",
                )
            )
        if row["checked"] not in (None, "true"):
            back = f"{alter} WITH CHECK ({row['checked']})"
            found.append(
                Mutant(
                    "policy lets all in",
                    where,
                    f"{alter} WITH CHECK (true)",
                    ("owner bound", "lints"),
                    inverse=back,
                )
            )
        if row["for_owner"]:
            back = f"{alter} TO {row['owner']}"
            found.append(
                Mutant(
                    "the owner's policy for everybody", where, f"{alter} TO PUBLIC", ("lints",), inverse=back
                )
            )
    return found


def row_security(catalogue: Catalogue) -> Iterator[Mutant]:
    for table in (*catalogue.tables, *catalogue.partitions):
        for change, back in (("DISABLE", "ENABLE"), ("NO FORCE", "FORCE")):
            alter = f"ALTER TABLE {table.place} {{}} ROW LEVEL SECURITY"
            yield Mutant(
                f"row security: {change}",
                table.place,
                alter.format(change),
                ("owner bound",),
                inverse=alter.format(back),
            )
    for view in (r for r in catalogue.relations.values() if r.is_view):
        alter = f"ALTER VIEW {view.place} SET (security_invoker = {{}})"
        yield Mutant(
            "view with its owner's eyes",
            view.place,
            alter.format("false"),
            ("rows seen",),
            inverse=alter.format("true"),
        )


async def grants(connection: Any, catalogue: Catalogue) -> list[Mutant]:
    found = []
    for relation in catalogue.relations.values():
        rows = await connection.fetch(
            f"SELECT a.attname::text AS name, has_column_privilege('{APP}', a.attrelid, a.attnum, p) AS granted, p AS privilege"
            " FROM pg_attribute a, unnest(ARRAY['SELECT', 'UPDATE']) p"
            " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            relation.oid,
        )
        held = {
            p: {row["name"] for row in rows if row["granted"] and row["privilege"] == p}
            for p in ("SELECT", "UPDATE")
        }
        found += [
            _grant(f"{p} granted", f"{p} ON {relation.place}", not held.get(p))
            for p in ("INSERT", "UPDATE", "DELETE")
        ]
        found.append(_grant("granted to everybody", f"SELECT ON {relation.place}", to="PUBLIC"))
        if relation.is_partition:
            found.append(_grant("SELECT granted", f"SELECT ON {relation.place}"))
            continue
        is_open = held["SELECT"] == set(relation.columns)
        if is_open:
            found.append(_revoke(f"SELECT ON {relation.place}"))
        for row in rows:
            what = f"{row['privilege']} ({row['name']}) ON {relation.place}"
            if row["privilege"] == "SELECT" and not row["granted"]:
                found.append(_grant("column granted", what))
            elif row["granted"] and not (is_open and row["privilege"] == "SELECT"):
                found.append(_revoke(what))
    return found


def _grant(kind: str, what: str, has_inverse: bool = True, to: str = APP) -> Mutant:
    """To revoke a table's privilege would revoke its columns' as well: then there is no inverse."""
    back = f"REVOKE {what} FROM {to}" if has_inverse else ""
    return Mutant(kind, what, f"GRANT {what} TO {to}", ("privileges",), inverse=back)


def _revoke(what: str) -> Mutant:
    return Mutant(
        "grant revoked", what, f"REVOKE {what} FROM {APP}", ("privileges",), inverse=f"GRANT {what} TO {APP}"
    )


def around() -> Iterator[Mutant]:
    """What is granted on more than one table; roles, which all databases share."""
    for what in ("USAGE ON SCHEMA parts", "CREATE ON SCHEMA parts", "CREATE ON SCHEMA public"):
        yield _grant("schema granted", what)
    yield Mutant("table given away", "calls", f"ALTER TABLE calls OWNER TO {APP}", ("privileges",))
    yield Mutant(
        "role above the walls",
        "BYPASSRLS",
        f"ALTER ROLE {APP} BYPASSRLS",
        ("rows seen",),
        f"ALTER ROLE {APP} NOBYPASSRLS",
    )
    yield Mutant(
        "role above the walls",
        "pg_read_all_data",
        f"GRANT pg_read_all_data TO {APP}",
        ("privileges",),
        f"REVOKE pg_read_all_data FROM {APP}",
    )
    yield Mutant(
        "functions open when made", "default privileges", f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        ("new functions",),
    )  # fmt: skip


def keys(catalogue: Catalogue) -> Iterator[Mutant]:
    for table in catalogue.tables:
        for key in table.references:
            if table.is_tenant and key.pairs[0][0] == "site_id":
                yield Mutant(
                    "key dropped", f"{key.name} ON {table.place}", f"ALTER TABLE {table.place} DROP CONSTRAINT {key.name}",
                    ("references", "strangers"),
                )  # fmt: skip
        column = table.columns.get("id")
        if table.is_tenant and table.kind == "r" and column is not None and column.type == "uuid":
            yield Mutant(
                "key that does not begin with the site", f"{table.place} (id)",
                f"CREATE UNIQUE INDEX ON {table.place} (id)", ("unique keys",),
            )  # fmt: skip


def functions(catalogue: Catalogue) -> Iterator[Mutant]:
    closed = ("functions are closed",)
    for function in catalogue.functions:
        name = function.signature
        give, take, alter = (
            f"GRANT EXECUTE ON FUNCTION {name}",
            f"REVOKE EXECUTE ON FUNCTION {name}",
            f"ALTER FUNCTION {name}",
        )
        yield Mutant(
            "function open to everybody", name, f"{give} TO PUBLIC", closed, inverse=f"{take} FROM PUBLIC"
        )
        if function.for_app:
            yield Mutant("function shut", name, f"{take} FROM {APP}", closed, inverse=f"{give} TO {APP}")
        else:
            yield Mutant("function opened", name, f"{give} TO {APP}", closed, inverse=f"{take} FROM {APP}")
        if function.is_definer:
            path = "pg_catalog, public, pg_temp"
            for words, change in (
                ("search path dropped", "RESET search_path"),
                ("search path of the caller first", "SET search_path = pg_temp, public"),
            ):
                yield Mutant(
                    words, name, f"{alter} {change}", ("lints",), inverse=f"{alter} SET search_path = {path}"
                )
        elif function.for_app:
            yield Mutant(
                "runs as its owner",
                name,
                f"{alter} SECURITY DEFINER",
                closed,
                inverse=f"{alter} SECURITY INVOKER",
            )


# Not left out of functions about the asker's own account: those want a password, a code or a link besides, which only
# tests/people and tests/web have in hand.
ABOUT_ONESELF = "does not ask for the person"
# A question that a function asks of its caller, and what it says once nobody asks.
QUESTIONS: tuple[tuple[str, str, str | Callable[[re.Match[str]], str]], ...] = (
    ("raises no more", r"RAISE EXCEPTION '(?:[^']|'')*' USING ERRCODE = 'insufficient_privilege';", "NULL;"),
    ("takes everybody for the owner", r"\bsite_role\(\w+\)", "'owner'::text"),
    (
        "does not ask for the sites", r"[\w.]+ = ANY \(nullif\(current_setting\('app\.sites', true\), ''\)::uuid\[\]\)", "true",
    ),
    (
        ABOUT_ONESELF, r"([\w.]+) = nullif\(current_setting\('app\.person', true\), ''\)::uuid", r"\1 IS NOT NULL",
    ),
)  # fmt: skip


async def bodies(connection: Any, catalogue: Catalogue) -> list[Mutant]:
    """Functions that leave one question out."""
    found = []
    for function in catalogue.functions:
        if not (probed := _asked_through(catalogue, function.name)):
            continue  # nobody but the owner gets there
        text = await connection.fetchval("SELECT pg_get_functiondef($1::oid)", function.oid)
        for kind, pattern, instead in QUESTIONS:
            if kind == ABOUT_ONESELF and NEEDS.get(function.name) in (SELF, SERVER):
                continue
            for number, match in enumerate(re.finditer(pattern, text), start=1):
                changed = text[: match.start()] + match.expand(instead) + text[match.end() :]  # type: ignore[arg-type]
                if not await _is_sql(connection, changed):
                    continue
                found.append(
                    Mutant(
                        f"function {kind}", f"{function.name} {number}", changed,
                        functions=probed, inverse=text,
                    )
                )  # fmt: skip
    return found


async def _is_sql(connection: Any, definition: str) -> bool:
    """Whether the function could be made: what is no SQL is nobody's mistake."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(definition)
        return True
    except asyncpg.PostgresError:
        return False
    finally:
        await transaction.rollback()


def _asked_through(catalogue: Catalogue, name: str) -> frozenset[str]:
    """The functions that the application calls and that come past this one, directly or not."""
    reached, before = {name}, set[str]()
    while reached != before:
        before = set(reached)
        for function in catalogue.functions:
            if any(re.search(rf"\b{one}\(", function.body) for one in before):
                reached.add(function.name)
    return frozenset(f.name for f in catalogue.functions if f.for_app and f.name in reached)


async def all_mutants(connection: Any, catalogue: Catalogue) -> list[Mutant]:
    """Every hole that this database can have."""
    return [
        *await policies(connection),
        *row_security(catalogue),
        *await grants(connection, catalogue),
        *around(),
        *keys(catalogue),
        *functions(catalogue),
        *await bodies(connection, catalogue),
    ]


# That mean nothing: they must survive, or the checks are red whatever is done.
HARMLESS = (
    Mutant("nothing", "a comment", "COMMENT ON TABLE calls IS 'Leads.'"),
    Mutant("nothing", "a grant once more", f"GRANT SELECT ON calls TO {APP}"),
)
