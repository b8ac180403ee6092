"""The schema can be spread by site: the catalogue proves it, each fault that would break it is found, and the statements
run as far as they can without the extension, from which a stand-in for its two functions takes its rules."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.audit import plans, spread
from opsmantik.db import distribute as spreading
from opsmantik.db.distribute import FIRST, REFERENCE, Judged, distribute, judge, statements
from opsmantik.db.dump import dump
from opsmantik.errors import CannotDistribute
from tests.conftest import Dsns, new_database, run

# What each fault is called, and the words that name its object.
FAULTS = {
    "a key without the site": ("CREATE UNIQUE INDEX wrong ON calls (id)", "key", "calls.wrong"),
    "a key that is not led by it": ("CREATE UNIQUE INDEX wrong ON calls (id, site_id)", "key", "calls.wrong"),
    "an exclusion without it": (
        "ALTER TABLE calls ADD CONSTRAINT wrong EXCLUDE USING btree (id WITH =)", "key", "calls.wrong",
    ),
    "a primary key of its own": ("CREATE TABLE wrong (site_id uuid NOT NULL, id uuid PRIMARY KEY)", "key", "wrong."),
    "no key": ("CREATE TABLE wrong (site_id uuid NOT NULL)", "no key", "wrong"),
    "a site that may be null": ("CREATE TABLE wrong (site_id uuid)", "null site", "wrong"),
    "a site of another type": ("CREATE TABLE wrong (site_id text PRIMARY KEY)", "other type", "wrong"),
    "inheritance": ("CREATE TABLE wrong () INHERITS (visitors)", "inheritance", "wrong"),
    "a reference without the site": (
        "CREATE TABLE target (site_id uuid, id uuid, PRIMARY KEY (site_id, id)); CREATE UNIQUE INDEX u ON target (id);"
        "CREATE TABLE wrong (site_id uuid, id uuid REFERENCES target (id), PRIMARY KEY (site_id, id))",
        "reference", "wrong.wrong_id_fkey",
    ),
    "a reference that twists the site": (
        "CREATE TABLE target (site_id uuid, id uuid, PRIMARY KEY (site_id, id));"
        "CREATE TABLE wrong (site_id uuid, id uuid, PRIMARY KEY (site_id, id),"
        " CONSTRAINT twisted FOREIGN KEY (id, site_id) REFERENCES target (site_id, id))",
        "reference", "wrong.twisted",
    ),
    "a reference to what stays behind": (
        "CREATE TABLE wrong (site_id uuid PRIMARY KEY, run text REFERENCES schema_migrations (name))",
        "reference", "wrong.wrong_run_fkey",
    ),
    "a reference from what has no site": (
        "CREATE TABLE wrong (id uuid PRIMARY KEY, site uuid, call uuid,"
        " FOREIGN KEY (site, call) REFERENCES calls (site_id, id))",
        "reference", "wrong.wrong_site_call_fkey",
    ),
    "a reference that would null the site": (
        "CREATE TABLE wrong (site_id uuid PRIMARY KEY, CONSTRAINT nulls FOREIGN KEY (site_id) REFERENCES sites (id)"
        " ON DELETE SET NULL)", "reference", "wrong.nulls",
    ),
    "a check on a partitioned parent": (
        "ALTER TABLE events ADD CONSTRAINT wrong CHECK (event_action <> 'x') NOT VALID", "check", "events.wrong",
    ),
    "a policy with a sub-select": (
        "CREATE POLICY wrong ON calls USING (site_id IN (SELECT id FROM sites))", "policy", "calls.wrong",
    ),
    "a policy that asks a function in a sub-select": (
        "CREATE POLICY wrong ON calls USING (site_id = (SELECT gen_random_uuid()))", "policy", "calls.wrong",
    ),
    "a trigger": (
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER wrong BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION t()", "trigger", "calls.wrong",
    ),
    "a rule": ("CREATE RULE wrong AS ON DELETE TO calls DO INSTEAD NOTHING", "rule", "calls.wrong"),
    "a setting that stays behind": (
        "CREATE FUNCTION wrong() RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM set_config('app.sites', '{}', true); END $$", "function", "wrong()",
    ),
}  # fmt: skip
# Calls are written down; a table that anybody refers to, or that refers to anybody, is refused, as Citus does.
STAND_IN = """
CREATE TABLE calls_made (n serial, what text);
CREATE FUNCTION refuse(p regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND (conrelid = p OR confrelid = p)) THEN
        RAISE EXCEPTION '% has foreign keys', p;
    END IF;
END $$;
CREATE FUNCTION create_reference_table(p regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse(p);
    INSERT INTO calls_made (what) VALUES ('reference ' || p);
END $$;
CREATE FUNCTION create_distributed_table(p regclass, p_column text, colocate_with text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse(p);
    IF colocate_with <> 'none'
        AND NOT EXISTS (SELECT FROM calls_made WHERE what LIKE 'distributed ' || colocate_with || ' %') THEN
        RAISE EXCEPTION '% is not distributed yet', colocate_with;
    END IF;
    INSERT INTO calls_made (what) VALUES ('distributed ' || p || ' ' || p_column);
END $$;
"""


@pytest_asyncio.fixture(loop_scope="session")
async def undone(owner: Any) -> AsyncIterator[Any]:
    """The owner's connection, in a transaction that is taken back."""
    transaction = owner.transaction()
    await transaction.start()
    yield owner
    await transaction.rollback()


@pytest.fixture(scope="module")
def judged(database: Dsns) -> Judged:
    async def ask() -> Judged:
        connection = await asyncpg.connect(database.owner)
        try:
            return await judge(connection)
        finally:
            await connection.close()

    return run(ask())


def test_our_schema_has_no_finding(judged: Judged) -> None:
    assert judged.findings == ()
    places = {table.name: table.place for table in judged.tables}
    assert {name for name, place in places.items() if place == "reference"} == set(REFERENCE)
    for name in ("events", "sessions", "calls", "conversions", "counter_days", "session_keys"):
        assert places[name] == "distributed"
    assert places["schema_migrations"] == places["sign_ins"] == "local"


@pytest.mark.slow
def test_every_contract_is_answered_by_the_server_that_has_the_site(database: Dsns, judged: Judged) -> None:
    async def ask() -> Any:
        connection = await asyncpg.connect(database.owner)
        try:
            async with connection.transaction(readonly=True):
                return await spread.contracts(connection, judged.tables)
        finally:
            await connection.close()

    findings, notes, planned = run(ask())
    assert findings == [] and planned > 80
    assert len(notes) < 5, notes


async def test_a_contract_that_names_no_site_is_found(
    undone: Any, judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [
        ("dashboard/right", "SELECT count(*) FROM calls WHERE site_id = $1"),
        ("dashboard/several", "SELECT count(*) FROM calls WHERE site_id = ANY ($1::uuid[])"),
        ("dashboard/wrong", "SELECT count(*) FROM calls WHERE id = $1"),
        ("dashboard/half", "SELECT count(*) FROM calls c, events e WHERE c.site_id = $1 AND e.id = c.id"),
        ("dashboard/gone", "SELECT nothing FROM calls WHERE site_id = $1"),
    ]
    monkeypatch.setattr(plans, "statements", lambda: iter(asked))
    findings, notes, _ = await spread.contracts(undone, judged.tables)
    assert [f.object for f in findings] == ["dashboard/wrong", "dashboard/half", "dashboard/gone"]
    assert len(notes) == 1 and "dashboard/several" in notes[0]


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_is_found_with_its_object_and_a_remedy(undone: Any, name: str) -> None:
    sql, rule, object_ = FAULTS[name]
    await undone.execute(sql)
    found = [f for f in (await judge(undone)).findings if f.rule == rule]
    assert any(f.object.startswith(object_) and f.problem and f.remedy for f in found), found


def test_a_setting_in_a_functions_head_is_found() -> None:
    """Only a superuser can make such a one."""
    row = {"name": "f()", "body": "", "settings": ["search_path=public", "app.maintenance=on"]}
    assert [f.rule for f in spreading._of_function(row)] == ["function"]


async def test_a_role_that_may_not_log_in_is_found(undone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "APP_ROLE", "pg_monitor")
    assert [f.object for f in (await judge(undone)).findings] == ["pg_monitor"]


async def test_the_owners_functions_that_span_sites_are_named(undone: Any) -> None:
    await undone.execute(
        "CREATE FUNCTION all_of_them() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM calls';"
        "CREATE FUNCTION of_one(p_site uuid) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS"
        " 'SELECT count(*) FROM calls WHERE site_id = p_site';"
    )
    notes = " ".join((await judge(undone)).notes)
    assert "all_of_them()" in notes and "of_one" not in notes


def test_the_order_is_keys_away_references_spread_keys_back(judged: Judged) -> None:
    kinds = [
        "away" if " DROP CONSTRAINT " in s else "back" if " ADD CONSTRAINT " in s
        else re.search(r"create_(\w+)_table", s)[1] if "create_" in s else "set"  # type: ignore[index]
        for s in statements(judged)
    ]  # fmt: skip
    assert [k for k, before in zip(kinds, [None, *kinds], strict=False) if k != before] == [
        "set", "away", "reference", "distributed", "back",
    ]  # fmt: skip
    assert kinds.count("away") == kinds.count("back") == len(judged.references) > 60
    spread_first = next(s for s in statements(judged) if "create_distributed_table" in s)
    assert FIRST in spread_first and "'none'" in spread_first


@pytest.mark.slow
async def test_the_statements_run_and_leave_every_key_as_it_was(server: Any) -> None:
    dsns = await new_database(server)
    before = dump(dsns.owner)
    connection = await asyncpg.connect(dsns.owner)
    await connection.execute(STAND_IN)
    judged = await judge(connection)
    with pytest.raises(CannotDistribute, match="no extension"):
        await distribute(connection, judged)
    async with connection.transaction():
        for statement in statements(judged):
            await connection.execute(statement)
    made = [row["what"] for row in await connection.fetch("SELECT what FROM calls_made ORDER BY n")]
    assert made[: len(REFERENCE)] == [f"reference {name}" for name in REFERENCE]
    assert made[len(REFERENCE)] == f"distributed {FIRST} site_id"
    assert len(made) == sum(table.place != "local" for table in judged.tables)
    await connection.execute(
        "DROP TABLE calls_made; DROP FUNCTION refuse, create_reference_table, create_distributed_table"
    )
    await connection.close()
    assert dump(dsns.owner) == before


async def test_with_a_finding_nothing_is_begun(undone: Any) -> None:
    await undone.execute("CREATE UNIQUE INDEX wrong ON calls (id)")
    with pytest.raises(CannotDistribute, match="1 findings"):
        await distribute(undone, await judge(undone))


@pytest.mark.slow
def test_the_command_says_so_and_ends_with_its_code(database: Dsns, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from opsmantik.cli import db

    monkeypatch.setenv("DATABASE_URL", database.owner)
    monkeypatch.setenv("OPSMANTIK_SECRET_KEY", "k" * 40)
    text = io.StringIO()
    with redirect_stdout(text), pytest.raises(typer.Exit) as ended:
        db.distribute(check=True)
    assert ended.value.exit_code == 0 and ": 0 findings." in text.getvalue()
    assert "not in this database" in text.getvalue()
    with redirect_stdout(text):
        db.distribute(check=False, dry_run=True)
    assert "create_distributed_table('events', 'site_id'" in text.getvalue()
