"""What a migration will lock is told before it does: held against the locks that PostgreSQL then takes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from rich.console import Console

from opsmantik.cli.forecast import show, size
from opsmantik.db import locks
from opsmantik.db.forecast import forecast, wait_class
from opsmantik.db.locks import Lock, Work
from opsmantik.db.migrate import function_files, migration_files
from opsmantik.errors import MigrationChanged

WORLD = """
CREATE TABLE far (id int PRIMARY KEY);
CREATE TABLE near (id int, far_id int, word varchar(20), big int, note text, CONSTRAINT has_note CHECK (note IS NOT NULL),
    CONSTRAINT waits CHECK (big > 0) NOT VALID);
CREATE INDEX near_word ON near (word);
CREATE POLICY p ON near USING (true);
CREATE TABLE whole (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE piece PARTITION OF whole FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE loose (id int, day date);
CREATE VIEW seen AS SELECT id FROM near;
INSERT INTO near SELECT n, n, 'w', n, 'n' FROM generate_series(1, 2000) AS n;
INSERT INTO far SELECT generate_series(1, 2000);
ANALYZE near, far;
"""
# A statement; the table looked at; and whether its file is a new one afterwards.
STATEMENTS = {
    "add a column": ("ALTER TABLE near ADD COLUMN a int", "near", False),
    "with a constant": ("ALTER TABLE near ADD COLUMN a int NOT NULL DEFAULT 3", "near", False),
    "with a stable function": ("ALTER TABLE near ADD COLUMN a timestamptz DEFAULT now()", "near", False),
    "with a volatile function": ("ALTER TABLE near ADD COLUMN a uuid DEFAULT gen_random_uuid()", "near", True),
    "generated": ("ALTER TABLE near ADD COLUMN a int GENERATED ALWAYS AS (big + 1) STORED", "near", True),
    "identity": ("ALTER TABLE near ADD COLUMN a int GENERATED ALWAYS AS IDENTITY", "near", True),
    "drop a column": ("ALTER TABLE near DROP COLUMN big", "near", False),
    "another type": ("ALTER TABLE near ALTER COLUMN big TYPE bigint", "near", True),
    "text from varchar": ("ALTER TABLE near ALTER COLUMN word TYPE text", "near", False),
    "not null": ("ALTER TABLE near ALTER COLUMN big SET NOT NULL", "near", False),
    "statistics": ("ALTER TABLE near ALTER COLUMN big SET STATISTICS 500", "near", False),
    "fill factor": ("ALTER TABLE near SET (fillfactor = 90)", "near", False),
    "check": ("ALTER TABLE near ADD CONSTRAINT c CHECK (id > 0)", "near", False),
    "check later": ("ALTER TABLE near ADD CONSTRAINT c CHECK (id > 0) NOT VALID", "near", False),
    "validate": ("ALTER TABLE near VALIDATE CONSTRAINT waits", "near", False),
    "foreign key": ("ALTER TABLE near ADD CONSTRAINT f FOREIGN KEY (far_id) REFERENCES far (id)", "near", False),
    "foreign key, there": ("ALTER TABLE near ADD CONSTRAINT f FOREIGN KEY (far_id) REFERENCES far (id)", "far", False),
    "new table that refers": ("CREATE TABLE young (id int REFERENCES far (id))", "far", False),
    "primary key": ("ALTER TABLE near ADD PRIMARY KEY (id)", "near", False),
    "unlogged": ("ALTER TABLE near SET UNLOGGED", "near", True),
    "row security": ("ALTER TABLE near ENABLE ROW LEVEL SECURITY", "near", False),
    "policy": ("CREATE POLICY q ON near USING (true)", "near", False),
    "no policy": ("DROP POLICY p ON near", "near", False),
    "index": ("CREATE INDEX near_big ON near (big)", "near", False),
    "index on a whole": ("CREATE INDEX ON whole (id)", "piece", False),
    "drop an index": ("DROP INDEX near_word", "near", False),
    "drop a table": ("DROP TABLE loose", "loose", False),
    "rename a column": ("ALTER TABLE near RENAME COLUMN big TO large", "near", False),
    "rename an index": ("ALTER INDEX near_word RENAME TO near_words", "near", False),
    "new part": (
        "CREATE TABLE feb PARTITION OF whole FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')", "whole", False,
    ),
    "attach": (
        "ALTER TABLE whole ATTACH PARTITION loose FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')", "loose", False,
    ),
    "attach, above": (
        "ALTER TABLE whole ATTACH PARTITION loose FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')", "whole", False,
    ),
    "detach": ("ALTER TABLE whole DETACH PARTITION piece", "whole", False),
    "update": ("UPDATE near SET big = big + 1", "near", False),
    "comment": ("COMMENT ON COLUMN near.big IS 'how much'", "near", False),
    "truncate": ("TRUNCATE near", "near", True),
    "lock": ("LOCK TABLE near IN SHARE MODE", "near", False),
    "grant": ("GRANT SELECT ON near TO CURRENT_USER", "near", False),
    "view": ("CREATE OR REPLACE VIEW seen AS SELECT id, big FROM near", "seen", False),
}  # fmt: skip
HELD = """SELECT mode FROM pg_locks WHERE relation = $1 AND pid = pg_backend_pid() AND granted"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(database: Any) -> Any:
    connection = await asyncpg.connect(database.owner)
    await connection.execute(WORLD)
    yield connection
    await connection.close()


def test_the_levels_are_postgresqls_own() -> None:
    """LOCK TABLE's modes are numbered by PostgreSQL; ours must be the same."""
    for lock in Lock:
        if lock:
            (found,) = locks.statements(f"LOCK TABLE t IN {lock.words} MODE")
            assert found.taken[0].lock is lock


@pytest.mark.parametrize("name", STATEMENTS)
async def test_what_is_foretold_is_what_postgresql_locks(
    world: Any, database: Any, tmp_path: Path, name: str
) -> None:
    sql, table, rewritten = STATEMENTS[name]
    path = tmp_path / "2026-12-01-1-planted.sql"
    path.write_text(f"-- a comment; with a semicolon\nSET LOCAL lock_timeout = '1200ms';\n\n{sql};\n")
    expected = {
        taken.table: taken.lock for s in locks.statements(sql) for taken in sorted(s.taken, key=lambda t: t.lock)
    }  # fmt: skip
    plan = await forecast(database.owner, migrations=[path], functions=[])
    oid = await world.fetchval("SELECT $1::text::regclass::oid", table)
    transaction = world.transaction()
    await transaction.start()
    try:
        before = await world.fetchval("SELECT relfilenode FROM pg_class WHERE oid = $1", oid)
        await world.execute(sql)
        modes = [row["mode"] for row in await world.fetch(HELD, oid)]
        after = await world.fetchval("SELECT relfilenode FROM pg_class WHERE oid = $1", oid)
    finally:
        await transaction.rollback()
    taken = max((Lock[_snake(mode)] for mode in modes), default=Lock.NONE)
    above = {"piece": "whole", "near": "near_word"}.get(table, table)
    foretold = max(expected.get(table, Lock.NONE), expected.get(above, Lock.NONE) if taken else Lock.NONE)
    if name == "rename an index":  # only the index is locked
        assert taken is Lock.NONE
        return
    assert foretold == taken, f"foretold {foretold.words}, taken {taken.words}"
    works = {step.work for step in plan.steps if step.table == table}
    if name != "truncate":
        assert (Work.REWRITES in works) == rewritten == (after is not None and after != before)
    for step in plan.steps:
        assert step.line == 4 and step.file == path.name and step.statement == sql[:120]


def _snake(mode: str) -> str:
    return "".join(
        f"_{letter}" if letter.isupper() else letter.upper() for letter in mode.removesuffix("Lock")
    )[1:]


@pytest.mark.parametrize(
    ("lock", "work", "megabytes", "expected"),
    [
        (Lock.ACCESS_EXCLUSIVE, Work.NOTHING, 10**6, "a moment"),
        (Lock.ACCESS_EXCLUSIVE, Work.SCANS, 100, "a moment"),
        (Lock.ACCESS_EXCLUSIVE, Work.SCANS, 1000, "seconds"),
        (Lock.ACCESS_EXCLUSIVE, Work.REWRITES, 10_000, "minutes"),
        (Lock.SHARE, Work.BUILDS, 10_000, "minutes"),
        (Lock.SHARE_UPDATE_EXCLUSIVE, Work.SCANS, 10**6, "nothing"),
        (Lock.ROW_EXCLUSIVE, Work.WRITES, 10**6, "nothing"),
        (Lock.ACCESS_EXCLUSIVE, Work.UNKNOWN, 0, "unknown"),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_how_long_is_a_class_by_size(lock: Lock, work: Work, megabytes: int, expected: str) -> None:
    assert wait_class(lock, work, megabytes * 2**20) == expected


async def test_a_block_is_told_by_the_tables_that_it_names(world: Any, database: Any, tmp_path: Path) -> None:
    path = tmp_path / "2026-12-01-1-block.sql"
    path.write_text(
        "DO $$ BEGIN EXECUTE format('ALTER TABLE %I ADD COLUMN x int', 'near'); END $$;\nSELECT f('far');"
    )
    plan = await forecast(database.owner, migrations=[path], functions=[])
    assert {(step.table, step.work, step.wait) for step in plan.steps} >= {
        ("near", Work.UNKNOWN, "unknown"), ("far", Work.UNKNOWN, "unknown"),
    }  # fmt: skip
    assert plan.worst == "unknown"


async def test_tables_made_by_the_migration_itself_and_what_is_there_already_cost_nothing(
    world: Any, database: Any, tmp_path: Path
) -> None:
    path = tmp_path / "2026-12-01-1-new.sql"
    path.write_text(
        "CREATE TABLE fresh (id int); CREATE INDEX ON fresh (id); ALTER TABLE fresh ENABLE ROW LEVEL SECURITY;"
        "CREATE INDEX IF NOT EXISTS near_word ON near (word);"
    )
    assert (await forecast(database.owner, migrations=[path], functions=[])).steps == ()


@pytest.mark.slow
async def test_who_is_in_the_way_now_is_named(world: Any, database: Any, tmp_path: Path) -> None:
    path = tmp_path / "2026-12-01-1-way.sql"
    path.write_text("ALTER TABLE near ADD COLUMN a int;")
    reader = await asyncpg.connect(database.owner)
    transaction = reader.transaction()
    await transaction.start()
    await reader.fetch("SELECT 1 FROM near LIMIT 1")
    await reader.execute("SELECT pg_sleep(1.2)")
    plan = await forecast(database.owner, migrations=[path], functions=[])
    await transaction.rollback()
    await reader.close()
    assert any("holds a lock on it now" in note for note in plan.notes)
    assert (await forecast(database.owner, migrations=[path], functions=[])).notes == ()


async def test_a_database_that_is_up_to_date_has_nothing_pending_and_functions_stop_nobody(
    database: Any,
) -> None:
    plan = await forecast(database.owner)
    assert plan.migrations == ()
    assert plan.functions == len(function_files())
    assert [step for step in plan.steps if step.wait not in ("a moment", "nothing")] == []
    text = io.StringIO()
    show(plan, Console(file=text, width=160))
    assert "no migration is pending" in text.getvalue() and "while everything runs" in text.getvalue()


async def test_the_table_says_it_all(world: Any, database: Any, tmp_path: Path) -> None:
    path = tmp_path / "2026-12-01-7-wide.sql"
    path.write_text("ALTER TABLE near ADD COLUMN a uuid DEFAULT gen_random_uuid();")
    text = io.StringIO()
    show(await forecast(database.owner, migrations=[path], functions=[]), Console(file=text, width=160))
    said = text.getvalue()
    for word in ("7-wide:1", "near", "ACCESS EXCLUSIVE", "rewrites", "2,000", "reads and writes", "a moment"):
        assert word in said, said


async def test_a_migration_that_was_changed_is_refused_as_migrating_would(
    database: Any, tmp_path: Path
) -> None:
    path = tmp_path / migration_files()[0].name
    path.write_text("SELECT 1;")
    with pytest.raises(MigrationChanged):
        await forecast(database.owner, migrations=[path], functions=[])


def test_every_migration_and_function_can_be_read() -> None:
    for path in [*migration_files(), *function_files()]:
        assert locks.statements(path.read_text()), path.name
    with pytest.raises(ValueError, match="syntax error"):
        locks.statements("ALTER TABLE WHERE;")


@pytest.mark.parametrize(("number", "words"), [(0, "0 B"), (2048, "2 kB"), (3 * 2**30, "3 GB")])
def test_sizes_are_short(number: int, words: str) -> None:
    assert size(number) == words
