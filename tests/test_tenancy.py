"""The lint that holds "every query names its site": what it lets pass, and what it must find."""
# ruff: noqa: E501 - a statement a line

from __future__ import annotations

import pytest

from tests.sql_places import functions, python_statements
from tests.tenancy import complaints

GOOD = {
    "a parameter": "SELECT id FROM calls WHERE site_id = $1",
    "the parameter first": "SELECT id FROM calls WHERE $1 = site_id",
    "cast": "SELECT id FROM calls c WHERE c.site_id = ($1)::uuid",
    "a list of sites": "SELECT id FROM calls WHERE site_id = ANY ($1::uuid[])",
    "a list in the statement": "SELECT id FROM calls WHERE site_id IN ($1, $2) AND id = ANY (ARRAY[$3, $4])",
    "a row": "SELECT 1 FROM calls WHERE (site_id, id) = ($1, $2)",
    "through a join": "SELECT 1 FROM calls c JOIN sessions s ON s.site_id = c.site_id AND s.id = c.id WHERE c.site_id = $1",
    "through a join, backwards": "SELECT 1 FROM calls c JOIN sessions s ON s.site_id = c.site_id WHERE s.site_id = $1",
    "through two joins": "SELECT 1 FROM calls c, events e, visitors v WHERE c.site_id = e.site_id AND e.site_id = v.site_id AND v.site_id = $1",
    "the nullable side by its ON": "SELECT 1 FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id WHERE c.site_id = $1",
    "by USING": "SELECT 1 FROM calls c LEFT JOIN sessions s USING (site_id) WHERE c.site_id = $1",
    "by USING, no alias": "SELECT 1 FROM calls JOIN sessions USING (site_id) WHERE site_id = $1",
    "through the site's row": "SELECT 1 FROM sites s JOIN calls c ON c.site_id = s.id WHERE s.id = $1",
    "through the site's public id": "SELECT 1 FROM sites s JOIN calls c ON c.site_id = s.id WHERE s.public_id = $1",
    "through a list of parameters": "SELECT 1 FROM unnest($1::uuid[], $2::text[]) AS d (site_id, x) JOIN calls c ON c.site_id = d.site_id",
    "through rows of a parameter": "SELECT 1 FROM unnest($1::drafts[]) d JOIN calls c ON c.site_id = d.site_id",
    "in a subquery": "SELECT (SELECT count(*) FROM calls WHERE site_id = $1), 1",
    "in a subquery of the outer row's site": "SELECT 1 FROM calls c WHERE c.site_id = $1 AND EXISTS (SELECT FROM events e WHERE e.site_id = c.site_id)",
    "lateral": "SELECT 1 FROM unnest($1::uuid[]) AS d (s) CROSS JOIN LATERAL (SELECT count(*) FROM calls c WHERE c.site_id = d.s) n",
    "lateral, named after it": "SELECT 1 FROM calls c CROSS JOIN LATERAL (SELECT FROM events e WHERE e.site_id = c.site_id) n WHERE c.site_id = $1",
    "through a subquery": "SELECT 1 FROM (SELECT site_id AS s, id FROM calls WHERE site_id = $1) x JOIN events e ON e.site_id = x.s",
    "through a query above": "WITH x AS (SELECT site_id, id FROM calls WHERE site_id = $1) SELECT 1 FROM x JOIN events e USING (site_id)",
    "through a whole row": "WITH x AS (SELECT c FROM calls c WHERE c.site_id = $1) SELECT 1 FROM x JOIN events e ON e.site_id = (x.c).site_id",
    "through IN": "SELECT 1 FROM calls WHERE (site_id, id) IN (SELECT site_id, call_id FROM conversions WHERE site_id = $1)",
    "through a union": "SELECT 1 FROM (SELECT site_id FROM calls WHERE site_id = $1 UNION SELECT $1) x JOIN events e ON e.site_id = x.site_id",
    "through values": "SELECT 1 FROM (VALUES ($1::uuid, 1), ($2, 2)) AS x (site_id, n) JOIN events e ON e.site_id = x.site_id",
    "in each branch of OR": "SELECT 1 FROM calls WHERE (site_id = $1 AND status = 'junk') OR (site_id = $1 AND status = 'intent')",
    "a query of the table's name": "WITH calls AS (SELECT 1 AS n) SELECT n FROM calls",
    "a recursive query": "WITH RECURSIVE r AS (SELECT $1::uuid AS s UNION ALL SELECT r.s FROM r) SELECT 1 FROM r JOIN calls c ON c.site_id = r.s",
    "inserted": "INSERT INTO calls (id, site_id) VALUES ($1, $2), ($3, $2) ON CONFLICT (site_id, id) DO UPDATE SET version = 2",
    "inserted from a list": "INSERT INTO calls (site_id, id) SELECT d.site_id, d.id FROM unnest($1::drafts[]) d RETURNING site_id",
    "inserted and used": "WITH n AS (INSERT INTO calls (site_id) VALUES ($1) RETURNING site_id, id) UPDATE events e SET url = '' FROM n WHERE e.site_id = n.site_id",
    "updated": "UPDATE calls c SET status = 'junk' FROM sessions s WHERE c.site_id = $1 AND s.site_id = c.site_id",
    "deleted": "DELETE FROM calls USING unnest($1::uuid[]) AS d (id) WHERE calls.site_id = $2 AND calls.id = d.id",
    "copied": "COPY (SELECT id FROM calls WHERE site_id = $1) TO STDOUT",
    "explained": "EXPLAIN ANALYZE SELECT id FROM calls WHERE site_id = $1",
    "no tenant's table": "SELECT u.id FROM users u JOIN sites s ON s.user_id = u.id",
    "statistics and locks": "ANALYZE calls; LOCK TABLE calls IN SHARE MODE",
    "a view, which is asked for one site": "CREATE VIEW x AS SELECT c.site_id, s.id FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.id = c.id",
    "a view of all sites' rows": "CREATE VIEW x AS SELECT s.id AS site_id, n.n FROM sites s, LATERAL (SELECT count(*) AS n FROM calls WHERE site_id = s.id) n",
    "a view of parts, grouped": "CREATE VIEW x AS SELECT b.site_id, sum(b.n) FROM (SELECT site_id, 1 AS n FROM calls UNION ALL SELECT e.site_id, 1 FROM events e) b GROUP BY 1",
    "a function that names it": "SELECT * FROM figures($1, $2)",
}  # fmt: skip

BAD = {
    "nothing": ("SELECT id FROM calls WHERE id = $1", "calls: its site_id is compared with no parameter"),
    "an alias": ("SELECT 1 FROM calls c", "calls c: its site_id"),
    "a constant": (
        "SELECT 1 FROM calls WHERE site_id = '00000000-0000-0000-0000-000000000001'", "calls: its site_id",
    ),
    "another operator": ("SELECT 1 FROM calls WHERE site_id <> $1", "calls: its site_id"),
    "all but a list": ("SELECT 1 FROM calls WHERE site_id <> ALL ($1)", "calls: its site_id"),
    "not": ("SELECT 1 FROM calls WHERE NOT site_id = $1", "calls: its site_id"),
    "only with OR": ("SELECT 1 FROM calls WHERE site_id = $1 OR id = $2", "calls: its site_id"),
    "unless null": ("SELECT 1 FROM calls WHERE $1::uuid IS NULL OR site_id = $1", "calls: its site_id"),
    "itself if null": ("SELECT 1 FROM calls WHERE site_id = coalesce($1, site_id)", "calls: its site_id"),
    "itself": ("SELECT 1 FROM calls c WHERE c.site_id = c.site_id", "calls c: its site_id"),
    "in what is shown only": ("SELECT site_id = $1 FROM calls", "calls: its site_id"),
    "after the grouping": (
        "SELECT site_id FROM calls GROUP BY site_id HAVING site_id = $1", "calls: its site_id",
    ),
    "another column": ("SELECT 1 FROM calls WHERE id = $1 AND event_id = $2", "calls: its site_id"),
    "one of two": (
        "SELECT 1 FROM calls c JOIN sessions s ON s.id = c.matched_session_id WHERE c.site_id = $1", "sessions s",
    ),
    "both equal, neither named": (
        "SELECT 1 FROM calls c JOIN sessions s ON s.site_id = c.site_id", "calls c",
    ),
    "the outer side by an ON": (
        "SELECT 1 FROM calls c LEFT JOIN sessions s ON c.site_id = $1 AND s.site_id = $1", "calls c",
    ),
    "the outer side by USING": (
        "SELECT 1 FROM calls c LEFT JOIN (SELECT $1::uuid AS site_id) s USING (site_id)", "calls c",
    ),
    "the other outer side": (
        "SELECT 1 FROM sessions s RIGHT JOIN calls c ON c.site_id = $1 AND s.site_id = $1", "calls c",
    ),
    "a full join": (
        "SELECT 1 FROM calls c FULL JOIN sessions s ON c.site_id = $1 AND s.site_id = $1", "calls c",
    ),
    "in a join's ON of others": ("SELECT 1 FROM calls c, users u LEFT JOIN users w ON $1 = $1", "calls c"),
    "a subquery": ("SELECT 1 WHERE EXISTS (SELECT FROM visitors)", "visitors: its site_id"),
    "a subquery in a limit": ("SELECT 1 LIMIT (SELECT count(*) FROM visitors)", "visitors: its site_id"),
    "a subquery in ORDER BY": (
        "SELECT 1 FROM calls WHERE site_id = $1 ORDER BY (SELECT count(*) FROM visitors)", "visitors",
    ),
    "a subquery in a function": ("SELECT 1 FROM unnest(ARRAY(SELECT id FROM visitors)) x", "visitors"),
    "a subquery that another names": (
        "SELECT 1 FROM (SELECT * FROM calls) c WHERE c.site_id = $1", "calls: its site_id",
    ),
    "a query above": (
        "WITH x AS (SELECT * FROM calls) SELECT 1 FROM x WHERE site_id = $1", "calls: its site_id",
    ),
    "not lateral": (
        "SELECT 1 FROM unnest($1::uuid[]) AS calls (site_id), (SELECT FROM events e WHERE e.site_id = d.site_id) x", "events e",
    ),
    "through an unnamed one": ("SELECT 1 FROM sites s JOIN calls c ON c.site_id = s.id", "calls c"),
    "through the site's owner": (
        "SELECT 1 FROM sites s JOIN calls c ON c.site_id = s.id WHERE s.user_id = $1", "calls c",
    ),
    "through IN of all": (
        "SELECT 1 FROM calls WHERE site_id IN (SELECT id FROM sites)", "calls: its site_id",
    ),
    "not in": ("SELECT 1 FROM calls WHERE site_id <> ALL (SELECT $1::uuid)", "calls: its site_id"),
    "through half a union": (
        "SELECT 1 FROM (SELECT $1 AS s UNION SELECT id FROM sites) x JOIN calls c ON c.site_id = x.s", "calls c",
    ),
    "through half the values": (
        "SELECT 1 FROM (VALUES ($1::uuid), (gen_random_uuid())) AS x (s) JOIN calls c ON c.site_id = x.s", "calls c",
    ),
    "the other column of a subquery": (
        "SELECT 1 FROM (SELECT $1 AS a, id AS b FROM sites) x JOIN calls c ON c.site_id = x.b", "calls c",
    ),
    "renamed columns": (
        "SELECT 1 FROM (SELECT id, $1 FROM sites) AS x (a, b) JOIN calls c ON c.site_id = x.a", "calls c",
    ),
    "a table's columns renamed": (
        "SELECT 1 FROM calls AS c (site_id, other) WHERE c.site_id = $1", "calls: its columns get other names",
    ),
    "a recursive query that loses it": (
        "WITH RECURSIVE r AS (SELECT $1::uuid AS s UNION ALL SELECT x.id FROM r, sites x) SELECT 1 FROM r JOIN calls c ON c.site_id = r.s",
        "calls c",
    ),
    "a function without parameters": (
        "SELECT 1 FROM all_sites() s JOIN calls c ON c.site_id = s.id", "calls c",
    ),
    "what a row of another table unfolds to": (
        "SELECT 1 FROM users u, unnest(u.sites) s (id) JOIN calls c ON c.site_id = s.id", "calls c",
    ),
    "ambiguous": ("SELECT 1 FROM calls, sessions WHERE site_id = $1", "calls: its site_id"),
    "a partition": ("SELECT 1 FROM parts.sessions_2026_11", "parts.sessions_2026_11"),
    "with its schema": ("SELECT 1 FROM public.calls", "calls: its site_id"),
    "a sample": (
        "SELECT 1 FROM calls TABLESAMPLE SYSTEM (1) WHERE site_id = $1", "calls: read in a way that is not understood",
    ),
    "TABLE": ("TABLE calls", "calls: its site_id"),
    "a view": ("SELECT 1 FROM counters", "counters: its site_id"),
    "an insert without columns": ("INSERT INTO calls VALUES ($1, $2)", "do not name site_id"),
    "an insert without the site": ("INSERT INTO calls (id) VALUES ($1)", "do not name site_id"),
    "an insert of anything": (
        "INSERT INTO calls (site_id, id) VALUES (gen_random_uuid(), $1)", "is no parameter",
    ),
    "an insert of one of two": ("INSERT INTO calls (site_id) VALUES ($1), (DEFAULT)", "is no parameter"),
    "an insert of all sites": ("INSERT INTO calls (id, site_id) SELECT $1, id FROM sites", "is no parameter"),
    "an insert of a star": ("INSERT INTO calls (site_id, id) SELECT * FROM users", "nobody can tell"),
    "an insert that reads": (
        "INSERT INTO calls (site_id, id) SELECT $1, id FROM events", "events: its site_id",
    ),
    "an update": ("UPDATE calls SET status = 'junk' WHERE id = $1", "calls: its site_id"),
    "an update by its FROM": (
        "UPDATE calls c SET status = 'x' FROM sessions s WHERE s.site_id = $1 AND s.id = c.id", "calls c",
    ),
    "an update that moves a row": (
        "UPDATE calls c SET site_id = s.id FROM sites s WHERE c.site_id = $1", "given to another site",
    ),
    "a conflict that moves a row": (
        "INSERT INTO calls (site_id) VALUES ($1) ON CONFLICT DO UPDATE SET site_id = gen_random_uuid()", "given to",
    ),
    "an update that reads": (
        "UPDATE users SET name = (SELECT phone_number FROM calls LIMIT 1)", "calls: its site_id",
    ),
    "a delete": ("DELETE FROM calls", "calls: its site_id"),
    "a delete in a query": (
        "WITH d AS (DELETE FROM calls RETURNING id) SELECT $1 FROM d", "calls: its site_id",
    ),
    "a returned subquery": (
        "DELETE FROM users WHERE id = $1 RETURNING (SELECT count(*) FROM calls)", "calls: its site_id",
    ),
    "truncated": ("TRUNCATE users, calls", "calls: TRUNCATE takes"),
    "copied": ("COPY calls TO STDOUT", "calls: COPY takes"),
    "copied by a query": ("COPY (SELECT 1 FROM calls) TO STDOUT", "calls: its site_id"),
    "a table made of it": ("CREATE TEMP TABLE x AS SELECT * FROM calls", "calls: its site_id"),
    "a cursor": ("DECLARE c CURSOR FOR SELECT * FROM calls", "calls: its site_id"),
    "merged": (
        "MERGE INTO calls c USING sites s ON c.site_id = $1 WHEN NOT MATCHED BY SOURCE THEN DELETE", "MergeStmt is not understood",
    ),
    "a view that joins by other columns": ("CREATE VIEW x AS SELECT c.site_id, s.id FROM calls c JOIN sessions s ON s.id = c.id", "sessions s"),
    "a view of two, one without": ("CREATE VIEW x AS SELECT site_id FROM calls UNION ALL SELECT id FROM events", "events: its site_id"),
    "a view of a view's other column": ("CREATE VIEW x AS SELECT b.site_id FROM (SELECT max(site_id) AS site_id FROM calls) b", "calls: its site_id"),
    "a view without a site": ("CREATE VIEW x AS SELECT count(*) FROM calls", "calls: shown by a view without a site_id"),
    "a block": ("DO $$ BEGIN DELETE FROM calls; END $$", "DoStmt is not read here"),
    "a function made on the way": ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM calls'", "not read here"),
    "the second statement": ("SELECT 1; SELECT 2 FROM calls", "calls: its site_id"),
    "no SQL": ("SELECT FROM WHERE", "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("sql", GOOD.values(), ids=GOOD.keys())
def test_a_statement_that_names_its_site_passes(sql: str) -> None:
    assert complaints(sql) == []


@pytest.mark.parametrize(("sql", "words"), BAD.values(), ids=BAD.keys())
def test_a_statement_that_does_not_is_found(sql: str, words: str) -> None:
    found = complaints(sql)
    assert found and any(words in complaint for complaint in found), found


def body(lines: str, head: str = "RETURNS SETOF bigint LANGUAGE plpgsql", declare: str = "") -> str:
    return f"CREATE FUNCTION f(p_site uuid, p_drafts draft[], OUT total bigint) {head} AS $$ DECLARE {declare} BEGIN {lines} END $$"


FUNCTIONS = {
    # name: (function, part of a complaint; None: none)
    "a parameter by its name": (body("PERFORM 1 FROM calls WHERE site_id = p_site;"), None),
    "a parameter by the function's name": (body("PERFORM 1 FROM calls WHERE site_id = f.p_site;"), None),
    "a variable": (
        body("PERFORM 1 FROM calls WHERE site_id = v_site;", declare="v_site uuid := p_site;"), None,
    ),
    "a variable of a made type": (
        body("PERFORM 1 FROM calls WHERE site_id = v_one.site_id;", declare="v_one draft; v_all draft[];"),
        None,
    ),
    "an element of a parameter": (body("PERFORM 1 FROM calls WHERE site_id = (p_drafts[1]).site_id;"), None),
    "rows of a parameter": (
        body("UPDATE calls c SET status = '' FROM unnest(p_drafts) d WHERE c.site_id = d.site_id;"), None,
    ),
    "what a loop brings": (
        body("FOR r IN SELECT site_id FROM unnest(p_drafts) LOOP DELETE FROM calls WHERE site_id = r.site_id; END LOOP;", declare="r record;"),
        None,
    ),
    "a value put into a dynamic statement": (
        body("EXECUTE format('DELETE FROM calls WHERE site_id = %L', p_site);"), None,
    ),
    "a dynamic statement's parameter": (
        body("EXECUTE 'DELETE FROM calls WHERE site_id = $1' USING p_site;"), None,
    ),
    "a name that is no variable": (
        body("PERFORM 1 FROM calls WHERE site_id = p_other;"), "calls: its site_id",
    ),
    "a statement": (body("DELETE FROM calls;"), "calls: its site_id"),
    "into a variable": (body("SELECT count(*) INTO total FROM calls;"), "calls: its site_id"),
    "a condition": (body("IF EXISTS (SELECT FROM calls) THEN RETURN; END IF;"), "calls: its site_id"),
    "an assignment": (body("total := (SELECT count(*) FROM calls);"), "calls: its site_id"),
    "an assignment to an element": (
        body("p_drafts[1] := (SELECT id FROM calls LIMIT 1);"), "calls: its site_id",
    ),
    "an expression with FROM": (body("total := count(*) FROM calls;"), "calls: its site_id"),
    "a loop": (
        body("FOR r IN SELECT * FROM calls LOOP NULL; END LOOP;", declare="r record;"), "calls: its site_id",
    ),
    "a loop's end": (
        body("FOR i IN 1..(SELECT count(*) FROM calls) LOOP NULL; END LOOP;"), "calls: its site_id",
    ),
    "what is returned": (body("RETURN QUERY SELECT count(*) FROM calls;"), "calls: its site_id"),
    "a cursor": (body("NULL;", declare="c CURSOR FOR SELECT 1 FROM calls;"), "calls: its site_id"),
    "a handler": (body("NULL; EXCEPTION WHEN others THEN DELETE FROM calls;"), "calls: its site_id"),
    "a message": (body("RAISE NOTICE '%', (SELECT count(*) FROM calls);"), "calls: its site_id"),
    "a default": (body("NULL;", declare="v bigint := (SELECT count(*) FROM calls);"), "calls: its site_id"),
    "a dynamic statement": (body("EXECUTE 'DELETE FROM calls';"), "dynamic statement: calls"),
    "a dynamic statement by places": (body("EXECUTE format('DELETE FROM %2$I WHERE site_id = %1$L', p_site, 'x');"), None),
    "a dynamic name": (body("EXECUTE format('DELETE FROM %I', 'calls');"), "dynamic statement"),
    "a dynamic loop": (
        body("FOR r IN EXECUTE 'SELECT 1 FROM calls' LOOP NULL; END LOOP;", declare="r record;"), "dynamic",
    ),
    "a dynamic answer": (body("RETURN QUERY EXECUTE 'SELECT 1 FROM calls';"), "dynamic statement: calls"),
    "a variable as statement": (
        body("EXECUTE v;", declare="v text := 'x';"), "dynamic statement: cannot be read",
    ),
    "in SQL, a parameter": (
        "CREATE FUNCTION f(p_site uuid) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM calls WHERE site_id = p_site $$",
        None,
    ),
    "in SQL, a column that it returns is no parameter": (
        "CREATE FUNCTION f() RETURNS TABLE (other uuid) LANGUAGE sql AS $$ SELECT id FROM calls WHERE site_id = other $$",
        "calls: its site_id",
    ),
    "in SQL, the second statement": (
        "CREATE FUNCTION f(p_site uuid) RETURNS bigint LANGUAGE sql AS $$ SELECT 1; SELECT count(*) FROM calls $$",
        "calls: its site_id",
    ),
    "in SQL, a body that is parsed at once": (
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM calls)", "not understood",
    ),
    "in another language": (
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpython3u AS $$ 1 $$", "not understood",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "words"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_the_statements_of_functions_are_read(sql: str, words: str | None) -> None:
    (function,) = functions(sql)
    assert any(words in found for found in function.complaints) if words else function.complaints == []


MODULES = {
    # name: (Python, part of a complaint; None: none)
    "a text that is run": ("c.execute('DELETE FROM calls')", "line 1: calls: its site_id"),
    "a text that names its site": ("c.execute('DELETE FROM calls WHERE site_id = $1', site)", None),
    "a text in pieces": ("c.fetch('SELECT 1'\n ' FROM calls')", "line 1: calls: its site_id"),
    "texts added up": ("c.fetch('SELECT 1' + ' FROM calls')", "calls: its site_id"),
    "a name for a text": ("Q = 'SELECT 1 FROM calls'\nc.fetchrow(Q)", "line 1: calls: its site_id"),
    "a name put into a text": (
        "Q = 'SELECT 1 FROM calls'\nc.fetchval(f'SELECT 2 FROM ({Q}) x')", "line 2: calls",
    ),
    "a text in a list": ("for s in ['DELETE FROM calls']:\n  run(s)", "line 1: calls: its site_id"),
    "a table's name put in": ("c.execute(f'DELETE FROM {table}')", "its site_id is compared"),
    "a site put in as text": ("c.execute(f'DELETE FROM calls WHERE site_id = {site}')", "calls: its site_id"),
    "a name for a text, with its type": ("Q: str = 'SELECT 1 FROM calls'\nc.fetch(Q)", "line 1: calls: its site_id"),
    "a text that grows": ("q = 'SELECT 1 FROM users'\nq += more\nc.fetch(q)", "nobody can tell what q says"),
    "a condition put in": (
        "c.execute(f'SELECT 1 FROM users WHERE id = $1 {more}')", "PostgreSQL cannot read it",
    ),
    "a parameter of a function": ("def f(sql): c.fetch(sql)", "nobody can tell what sql says"),
    "what a call gives": ("c.execute(path.read_text())", "nobody can tell"),
    "a named query": ("c.fetch(SQL.list_sites)", None),
    "no named query": ("c.fetch(SQL.lists_of_sites)", "nobody can tell"),
    "a text of another module": ("from opsmantik.x import Q\nc.fetch(Q)", None),
    "a text of another package": ("from other import Q\nc.fetch(Q)", "nobody can tell"),
    "a copy": ("c.copy_records_to_table('calls', records=rows)", "copy_records_to_table names no site"),
    "a docstring": ("def f():\n  'SELECT 1 FROM calls'", None),
    "prose": ("log('select the calls of a site')", None),
    "no SQL that is run": ("c.execute('SELEKT 1')", "PostgreSQL cannot read it"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "words"), MODULES.values(), ids=MODULES.keys())
def test_the_statements_in_python_are_read(code: str, words: str | None) -> None:
    found = [complaint for s in python_statements(code, "x.py") for complaint in s.complaints]
    assert any(words in complaint for complaint in found) if words else found == []
