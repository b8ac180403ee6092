"""What a statement, a function and the program itself touch."""

# ruff: noqa: E501 - a statement a line

from __future__ import annotations

import pytest

from opsmantik.audit.report.functions import Function, function_touches
from opsmantik.audit.report.reach import Code, code
from opsmantik.audit.report.touches import UnreadableError, row_types, touched

COLUMNS = {
    "public.calls": frozenset({"id", "site_id", "status", "note", "created_at", "session_id"}),
    "public.sessions": frozenset({"id", "site_id", "city", "created_at"}),
    "public.sites": frozenset({"id", "name"}),
    "parts.sessions_default": frozenset({"id", "city"}),
}
STATEMENTS = {
    "a name belongs to the table that has it": ("SELECT name, note FROM calls JOIN sites s ON s.id = site_id",
        "sites.name calls.note sites.id calls.site_id"),
    "the innermost table comes first": (
        "SELECT 1 FROM calls c WHERE EXISTS (SELECT FROM sessions WHERE id = c.session_id AND city = note)",
        "sessions.id calls.session_id sessions.city calls.note"),
    "what a part makes hides the table's": ("WITH x AS (SELECT id, status AS note FROM calls) SELECT note FROM x JOIN sites s ON s.id = x.id",
        "calls.id calls.status sites.id"),
    "a query that calls itself": (
        "WITH RECURSIVE n AS (SELECT min(created_at) AS t FROM calls UNION ALL SELECT t FROM n) SELECT t FROM n",
        "calls.created_at"),
    "what is inserted is written": ("INSERT INTO calls (id, note) SELECT id, city FROM sessions",
        "calls.id! calls.note! sessions.id sessions.city"),
    "without a list every column is": ("INSERT INTO sites VALUES ($1, $2)", "sites.*!"),
    "a conflict reads its key, and not what was refused": (
        "INSERT INTO calls (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET note = excluded.note WHERE calls.status = 'x' RETURNING created_at",
        "calls.id! calls.id calls.note! calls.status calls.created_at"),
    "an update reads beside what it writes": ("UPDATE calls SET (status, note) = (SELECT 'a', city FROM sessions WHERE id = session_id)",
        "calls.status! calls.note! sessions.city sessions.id calls.session_id"),
    "a removal reads its conditions": ("DELETE FROM calls c USING sites s WHERE s.id = c.site_id", "sites.id calls.site_id"),
    "a merge does all of it": (
        "MERGE INTO calls c USING sites s ON s.id = c.site_id WHEN MATCHED THEN UPDATE SET note = s.name WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
        "sites.id calls.site_id calls.note! sites.name calls.id!"),
    "whole rows are told apart": ("SELECT to_jsonb(c), (c).status, count(*) FROM calls c", "calls.* calls.status"),
    "columns that both sides share": ("SELECT 1 FROM calls JOIN sessions USING (site_id)", "calls.site_id sessions.site_id"),
    "a table of another schema": ("SELECT city FROM parts.sessions_default", "parts:sessions_default.city"),
    "what a function answers is not a table's": ("SELECT f.note FROM f($1) f", ""),
    "a copy": ("COPY calls (id, note) TO STDOUT", "calls.id calls.note"),
    "a name that nobody has": ("SELECT nowhere FROM calls", ""),
}  # fmt: skip


def said(columns: object) -> set[str]:
    return {
        f"{t.table.replace('public.', '').replace('parts.', 'parts:')}.{t.column}{'!' if t.writes else ''}"
        for t in columns  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_a_statement_touches(name: str) -> None:
    sql, expected = STATEMENTS[name]
    assert said(touched(sql, COLUMNS).columns) == set(expected.split())


def test_a_statement_names_what_it_calls() -> None:
    assert touched("SELECT a(b(id)) FROM calls WHERE f(note)", COLUMNS).calls == {"a", "b", "f"}


def test_what_is_no_statement_is_not_read() -> None:
    with pytest.raises(UnreadableError):
        touched("Select the newest of them", COLUMNS)


def test_variables_of_a_tables_type_are_rows() -> None:
    declared = "v_old calls; v_site public.sites%ROWTYPE := NULL; v_n integer; p_call calls DEFAULT NULL"
    assert dict(row_types(declared, COLUMNS)) == {
        "v_old": "public.calls", "v_site": "public.sites", "p_call": "public.calls",
    }  # fmt: skip


def plpgsql(body: str, **more: object) -> Function:
    return Function(name="f", language="plpgsql", arguments="", body=body, **more)  # type: ignore[arg-type]


FUNCTIONS = {
    "fields of a row": (plpgsql("DECLARE v calls; BEGIN IF v.status = 'x' THEN PERFORM 1; END IF; END", kind="void"),
        "calls.status"),
    "an assignment reads what is behind it": (
        plpgsql("DECLARE n text; BEGIN n := (SELECT name FROM sites); RETURN n; END"), "sites.name"),
    "a loop": (plpgsql("DECLARE r record; BEGIN FOR r IN SELECT note FROM calls LOOP NULL; END LOOP; END", kind="void"),
        "calls.note"),
    "a statement made while it runs": (
        plpgsql("BEGIN EXECUTE format('UPDATE calls SET note = %L WHERE id = %L', $1, $2); END", kind="void"),
        "calls.note! calls.id"),
    "arrays of its own types": (plpgsql("DECLARE v thing[]; BEGIN UPDATE calls SET note = ''; END", kind="void"), "calls.note!"),
    "a language without variables": (
        Function(name="f", language="sql", arguments="v calls", body="SELECT (v).status, name FROM sites"),
        "calls.status sites.name"),
    "a body that is read at once": (
        Function(name="f", language="sql", arguments="", body="BEGIN ATOMIC\n SELECT name FROM sites;\nEND"), "sites.name"),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_touches(name: str) -> None:
    function, expected = FUNCTIONS[name]
    assert said(function_touches(function, COLUMNS).columns) == set(expected.split())


def test_a_trigger_touches_its_own_row() -> None:
    body = "BEGIN NEW.city := lower(NEW.city); IF OLD.id = NEW.id THEN RETURN NEW; END IF; RETURN NULL; END"
    found = function_touches(plpgsql(body, kind="trigger"), COLUMNS, "public.sessions").columns
    assert {"sessions.city!", "sessions.city", "sessions.id"} <= said(found)


@pytest.fixture(scope="module")
def program() -> Code:
    return code()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "statement"),
    [
        ("GET /sites/{site_id}/queue", "dashboard/cards/queue.queue"),
        ("POST /api/call-event, /api/call-event/v2, /api/sync, /v1/events", "ingest/writer.INGEST"),
        ("POST /api/v1/sites/{site_name}/intents/{intent_id}/decisions", "decisions/queries.decide_intent"),
        ("GET /account", "people/queries.own_sign_ins"),
        ("opsmantik user list", "people/queries.list_users"),
        ("job erasures", "privacy/queries.unfinished"),
    ],
)
def test_who_asks_a_statement(program: Code, entry: str, statement: str) -> None:
    if statement not in program.entries.get(entry, ()):
        assert statement in program.statements, "there is no such statement"
        assert entry in program.entries, "there is no such entry"
    assert statement in program.entries[entry]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "statement"),
    [("opsmantik user list", "ingest/writer.INGEST"), ("GET /account", "dashboard/cards/queue.queue")],
)
def test_who_does_not(program: Code, entry: str, statement: str) -> None:
    assert statement not in program.entries[entry]
