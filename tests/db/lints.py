"""What a schema should never have, whatever it is about: the generic ones of splinter's lints, by their numbers.

Each is a query whose rows are complaints; a schema without fault gives none. Where a lint means nothing here, or another
test holds it, :data:`ELSEWHERE` says so: every number that was looked at is in one of the two.
"""
# ruff: noqa: E501 - a statement a line

from __future__ import annotations

from typing import Any

from opsmantik.audit.indexes import UNINDEXED
from tests.db.catalogue import APP, OURS

TABLES = (
    "c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, 'parts'::regnamespace) AND "
    + OURS.format(oid="c.oid")
)  # fmt: skip

LINTS: dict[str, str] = {
    "0001 a foreign key without an index: taking away what it points at reads the whole table": f"""
        SELECT c.relname || '.' || k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE k.contype = 'f' AND k.conparentid = 0 AND {TABLES} AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = k.conrelid
              AND (SELECT array_agg(n ORDER BY n) FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) n)
                = (SELECT array_agg(n ORDER BY n) FROM unnest(k.conkey) n)
              -- of some rows only: those that have a value
              AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ 'IS NOT NULL'))
    """,
    "0004 a table without a primary key": f"""
        SELECT c.relname FROM pg_class c
        WHERE {TABLES} AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')
    """,
    "0006 several permissive policies for the application and one command: each row is held against all": f"""
        SELECT c.relname || ' ' || x.command FROM pg_class c CROSS JOIN (VALUES ('r'), ('a'), ('w'), ('d')) AS x (command)
        WHERE {TABLES} AND (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive
            AND p.polcmd IN ('*', x.command) AND (p.polroles = '{{0}}' OR '{APP}'::regrole = ANY (p.polroles))) > 1
    """,
    "0007 a policy on a table whose row security is off": f"""
        SELECT DISTINCT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid WHERE {TABLES} AND NOT c.relrowsecurity
    """,
    "0008 row security without any policy": f"""
        SELECT c.relname FROM pg_class c
        WHERE {TABLES} AND c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
    """,
    "0009 the same index twice": f"""
        SELECT string_agg(i.indexrelid::regclass::text, ' = ') FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE {TABLES}
        GROUP BY i.indrelid, i.indkey::text, i.indclass::text, i.indoption::text, pg_get_expr(i.indexprs, i.indrelid),
            pg_get_expr(i.indpred, i.indrelid), (SELECT relam FROM pg_class WHERE oid = i.indexrelid)
        HAVING count(*) > 1
    """,
    "0010 a view that reads with its owner's eyes": f"""
        SELECT c.relname FROM pg_class c WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'public'::regnamespace
          AND {OURS.format(oid="c.oid")} AND coalesce('security_invoker=true' <> ALL (c.reloptions), true)
    """,
    "0011 a function that runs as the owner and looks names up where its caller says": f"""
        SELECT p.proname FROM pg_proc p WHERE p.pronamespace IN ('public'::regnamespace, 'parts'::regnamespace)
          AND p.prosecdef AND {OURS.format(oid="p.oid")}
          -- the caller's own objects last, or a temporary table would come before ours
          AND NOT 'search_path=pg_catalog, public, pg_temp' = ANY (coalesce(p.proconfig, '{{}}'))
    """,
    "0013 a table without row security, or that does not bind its owner": f"""
        SELECT c.relname FROM pg_class c WHERE {TABLES} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
    """,
    "0016 a materialized view: it has no row security": """
        SELECT c.relname FROM pg_class c WHERE c.relkind = 'm' AND c.relnamespace = 'public'::regnamespace
    """,
    "0017 a foreign table: it has no row security": "SELECT c.relname FROM pg_class c WHERE c.relkind = 'f'",
    "0024 a policy that lets everything through, for anybody but the owner": f"""
        SELECT c.relname || '.' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE {TABLES} AND p.polroles <> ARRAY[c.relowner]
          AND 'true' IN (coalesce(pg_get_expr(p.polqual, c.oid), ''), coalesce(pg_get_expr(p.polwithcheck, c.oid), ''))
    """,
    "own: facts that their owner may see or write without saying so": f"""
        SELECT c.relname || '.' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE {TABLES} AND p.polroles = ARRAY[c.relowner] AND p.polname ~ '^(by|added_by)_owner_function$'
          AND (coalesce(pg_get_expr(p.polqual, c.oid), '') ||  coalesce(pg_get_expr(p.polwithcheck, c.oid), '')) !~ 'app.maintenance'
    """,
    "own: a function that its makers did not close": f"""
        SELECT p.proname FROM pg_proc p WHERE p.pronamespace IN ('public'::regnamespace, 'parts'::regnamespace)
          AND {OURS.format(oid="p.oid")} AND has_function_privilege('public', p.oid, 'EXECUTE')
    """,
}

ELSEWHERE: dict[str, str] = {
    "0003 a policy that calls a function for every row": "test_traps.py: the setting is an index condition, read once",
    "0005 an index that nobody uses": "says nothing about a database that is a second old; the plans' tests name theirs",
    "0020 bloat": "says nothing about a database that is a second old",
}


async def lint(connection: Any) -> list[str]:
    """Complaints, each with its lint's number."""
    found = []
    for name, query in LINTS.items():
        for row in await connection.fetch(query):
            if name.startswith("0001") and row[0].rpartition(".")[2] in UNINDEXED:
                continue
            found.append(f"{name}: {row[0]}")
    return found
