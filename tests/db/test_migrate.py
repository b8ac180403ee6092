"""Bringing a database to the present schema: once, in order, together, and without making anybody wait."""

from __future__ import annotations

import asyncio
import re
import time

import asyncpg
import pytest

from opsmantik.db import migrate as migrating
from opsmantik.db import roles
from opsmantik.db.dump import dump
from opsmantik.db.migrate import function_files, migrate, migration_files
from opsmantik.db.sql import quote_literal
from opsmantik.errors import MigrationBusy, MigrationChanged
from tests.conftest import SECRET, _numbers
from tests.db.schema import HEAD, SCHEMA

PASSWORD = roles.role_password(SECRET, roles.APP)


@pytest.fixture
async def empty(server):
    """The owner's address of a database with nothing in it."""
    name = f"empty_{next(_numbers)}"
    admin = await asyncpg.connect(server.admin_dsn())
    await admin.execute(f"CREATE DATABASE {name} OWNER {roles.OWNER}")
    await admin.close()
    return server.dsn(roles.OWNER, name, roles.role_password(SECRET, roles.OWNER))


@pytest.mark.slow
async def test_all_is_applied_in_order_and_the_second_time_nothing(empty):
    said = []
    first = await migrate(empty, app_password=PASSWORD, on_progress=said.append)
    assert first == [path.name for path in migration_files()]
    assert said == [f"migrated {name}" for name in first]
    assert await migrate(empty, app_password=PASSWORD, on_progress=said.append) == []


@pytest.mark.slow
async def test_four_at_once_apply_each_migration_once(empty):
    results = await asyncio.gather(
        *(migrate(empty, app_password=PASSWORD, on_progress=lambda words: None) for _ in range(4))
    )
    assert sorted(map(len, results)) == [0, 0, 0, len(migration_files())]


@pytest.mark.slow
async def test_a_migration_that_changed_after_it_was_applied_is_refused(empty):
    await migrate(empty, app_password=PASSWORD, on_progress=lambda words: None)
    owner = await asyncpg.connect(empty)
    await owner.execute("UPDATE schema_migrations SET checksum = 'another' WHERE name LIKE '%-2-%'")
    await owner.close()
    with pytest.raises(MigrationChanged, match="-2-"):
        await migrate(empty, app_password=PASSWORD, on_progress=lambda words: None)


@pytest.mark.slow
async def test_a_migration_behind_a_long_transaction_lets_go_and_tries_again(empty, tmp_path, monkeypatch):
    """It holds its place in the lock queue for a second at most, so readers never stand behind it."""
    owner = await asyncpg.connect(empty)
    await owner.execute("CREATE TABLE busy (n int)")
    new = tmp_path / "2026-11-23-1-busy.sql"
    new.write_text("ALTER TABLE busy ADD COLUMN m int;")
    monkeypatch.setattr(migrating, "migration_files", lambda: [new])
    monkeypatch.setattr(migrating, "function_files", list)
    monkeypatch.setattr(migrating, "_make_months", lambda connection: asyncio.sleep(0))
    monkeypatch.setattr(migrating, "_build_counters", lambda connection, say: asyncio.sleep(0))
    monkeypatch.setattr(migrating, "_gather_leads", lambda connection, say: asyncio.sleep(0))
    reader = await asyncpg.connect(empty)
    transaction = reader.transaction()
    await transaction.start()
    await reader.fetch("SELECT * FROM busy")
    said = []
    task = asyncio.create_task(migrate(empty, app_password=PASSWORD, on_progress=said.append))
    slowest = 0.0
    for _ in range(15):
        begin = time.perf_counter()
        await owner.fetch("SELECT * FROM busy")
        slowest = max(slowest, time.perf_counter() - begin)
        await asyncio.sleep(0.1)
    assert not task.done() and "trying again" in said[0]
    assert slowest < 1.5
    await transaction.rollback()
    assert await task == [new.name]
    await reader.close()
    await owner.close()


@pytest.mark.slow
async def test_one_that_never_gets_its_lock_says_so(empty, tmp_path, monkeypatch):
    owner = await asyncpg.connect(empty)
    await owner.execute("CREATE TABLE busy (n int)")
    new = tmp_path / "2026-11-23-1-busy.sql"
    new.write_text("ALTER TABLE busy ADD COLUMN m int;")
    monkeypatch.setattr(migrating, "migration_files", lambda: [new])
    monkeypatch.setattr(migrating, "LOCK_TRIES", 1)
    async with owner.transaction():
        await owner.execute("LOCK TABLE busy IN ACCESS SHARE MODE")
        with pytest.raises(MigrationBusy, match="2026-11-23-1-busy"):
            await migrate(empty, app_password=PASSWORD, on_progress=lambda words: None)
    assert await owner.fetchval("SELECT count(*) FROM schema_migrations WHERE name LIKE '%busy%'") == 0
    await owner.close()


def test_migrations_hold_no_function_and_begin_with_a_lock_timeout():
    for path in migration_files():
        text = path.read_text()
        assert "CREATE FUNCTION" not in text.upper() and "OR REPLACE FUNCTION" not in text.upper(), path.name
        first = next(line for line in text.splitlines() if line and not line.startswith("--"))
        assert first == "SET LOCAL lock_timeout = '1200ms';", path.name


def test_every_function_pins_its_search_path_and_none_is_open_to_the_public():
    """But for plain SQL that runs as its caller: pinned, it could not dissolve in the statement that uses it."""
    for path in function_files():
        made = path.read_text().split("CREATE OR REPLACE FUNCTION")[1:]
        assert made or "CREATE OR REPLACE VIEW" in path.read_text(), path.name
        for function in made:
            head = function.split("$$")[0]
            is_plain = "LANGUAGE sql" in head and "SECURITY DEFINER" not in head
            assert is_plain or "SET search_path = pg_catalog, public, pg_temp" in head, path.name + head[:60]
            assert not re.search(r"GRANT \w+ ON FUNCTION .* TO PUBLIC", function, re.I | re.S), path.name


def test_migrations_and_functions_together_make_schema_sql(database):
    assert SCHEMA.read_text() == HEAD + dump(database.owner), "run `make schema`"


@pytest.mark.parametrize("text", ["plain", "it's", "back\\slash'", "ünï"])
async def test_a_quoted_literal_comes_back_as_it_was(empty, text):
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval(f"SELECT {quote_literal(text)}") == text
    await connection.close()
