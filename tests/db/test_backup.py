"""A copy of the database holds every row of every table, is whole or not there, and goes back into an empty one only."""

from __future__ import annotations

import asyncio
import stat
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.counters import store as counters
from opsmantik.db import backup, roles
from opsmantik.db.backup import Keys, Manifest
from opsmantik.errors import DatabaseUnavailable, NotFound, Unprocessable
from tests.conftest import SECRET, Dsns
from tests.upkeep.conftest import traffic

__all__ = ["traffic"]
pytestmark = pytest.mark.slow
KEYS = Keys("f" * 16, ["key-1"])


def silent(_: str) -> None:
    pass


class Copy(NamedTuple):
    directory: Path
    manifest: Manifest
    said: list[str]


@pytest_asyncio.fixture(loop_scope="session")
async def filled(traffic: Any, owner: Any) -> Any:
    """Visits of this month and of one that waits in the default partition; what they count is folded for one site."""
    now = datetime.now(UTC)
    for _ in range(3):
        await traffic.visit(now)
    await traffic.visit(datetime(2091, 5, 5, 12, tzinfo=UTC))
    await owner.execute("SELECT fold_counters($1)", traffic._site.id)
    await traffic.visit(now)
    return traffic


@pytest.fixture
async def copy(filled: Any, database: Dsns, tmp_path: Path) -> Copy:
    said: list[str] = []
    made = await asyncio.to_thread(backup.back_up, database.owner, tmp_path / "copy", KEYS, said.append)
    return Copy(tmp_path / "copy", made, said)


@pytest_asyncio.fixture(loop_scope="session")
async def empty(server: Any) -> AsyncIterator[Dsns]:
    """A database of the owner's with nothing in it."""
    name = f"empty_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(server.admin_dsn())
    await admin.execute(f"CREATE DATABASE {name} OWNER {roles.OWNER} TEMPLATE template0")
    password = {role: roles.role_password(SECRET, role) for role in (roles.OWNER, roles.APP)}
    yield Dsns(
        server.dsn(roles.OWNER, name, password[roles.OWNER]),
        server.dsn(roles.APP, name, password[roles.APP]),
        server.admin_dsn(name),
    )
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def test_everything_comes_back_as_it_was(copy: Copy, empty: Dsns, filled: Any, database: Dsns) -> None:
    manifest = backup.read(copy.directory)
    assert manifest == copy.manifest and manifest.rows["public.sessions"] >= 5
    assert await backup.restore(empty.owner, copy.directory, manifest, silent) == {}
    there = await backup.connect(empty.owner)
    try:
        assert await counters.differences(there, filled._site.id) == []
        waiting = await there.fetchval("SELECT count(*) FROM parts.sessions_default")
        assert waiting >= 1
        forced = (
            "SELECT array_agg(c.oid::regclass::text || c.relrowsecurity || c.relforcerowsecurity"
            " ORDER BY c.oid::regclass::text) FROM pg_class c WHERE c.relkind IN ('r', 'p')"
            " AND c.relnamespace IN ('public'::regnamespace, 'parts'::regnamespace)"
        )
        before = await asyncpg.connect(database.owner)
        try:
            assert await there.fetchval(forced) == await before.fetchval(forced)
        finally:
            await before.close()
    finally:
        await there.close()
    app = await asyncpg.connect(empty.app)
    try:  # the walls stand: the application sees nobody's rows, and some tables not at all
        assert await app.fetchval("SELECT count(*) FROM sessions") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetchval("SELECT count(*) FROM parts.sessions_default")
    finally:
        await app.close()


async def test_it_is_one_moment_however_much_comes_in_meanwhile(
    filled: Any, database: Dsns, tmp_path: Path, empty: Dsns
) -> None:
    """What is counted is counted in the snapshot that is dumped; or the two would differ."""
    stop = asyncio.Event()

    async def flood() -> int:
        n = 0
        while not stop.is_set():
            await filled.visit(datetime.now(UTC))
            n += 1
        return n

    flooding = asyncio.create_task(flood())
    manifest = await asyncio.to_thread(backup.back_up, database.owner, tmp_path / "busy", KEYS, silent)
    stop.set()
    assert await flooding > 0
    assert await backup.restore(empty.owner, tmp_path / "busy", manifest, silent) == {}


async def test_rows_that_are_missing_are_told_by_their_table(copy: Copy, empty: Dsns) -> None:
    more = {**copy.manifest.rows, "public.visitors": 10_000, "public.gone": 1}
    wrong = Manifest(**{**{f: getattr(copy.manifest, f) for f in Manifest.__struct_fields__}, "rows": more})
    found = await backup.restore(empty.owner, copy.directory, wrong, silent)
    assert found == {
        "public.gone": (1, 0), "public.visitors": (10_000, copy.manifest.rows["public.visitors"]),
    }  # fmt: skip


async def test_it_goes_into_an_empty_database_only_and_under_the_same_owner(
    copy: Copy, empty: Dsns, database: Dsns
) -> None:
    with pytest.raises(Unprocessable, match="not empty"):
        await backup.restore(database.owner, copy.directory, copy.manifest, silent)
    with pytest.raises(Unprocessable, match="opsmantik_owner"):
        await backup.restore(empty.admin, copy.directory, copy.manifest, silent)


async def test_it_is_private_and_sha256sum_can_check_it(copy: Copy) -> None:
    assert stat.S_IMODE(copy.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in copy.directory.iterdir()} == {0o600}
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=copy.directory, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    assert {file.name for file in copy.directory.iterdir()} == {
        "database.dump",
        "manifest.json",
        "SHA256SUMS",
    }


async def test_nothing_is_overwritten_and_nothing_half_made_stays(
    copy: Copy, filled: Any, database: Dsns, tmp_path: Path
) -> None:
    with pytest.raises(Unprocessable, match="is there already"):
        await asyncio.to_thread(backup.back_up, database.owner, copy.directory, KEYS, silent)
    with pytest.raises(DatabaseUnavailable):
        await asyncio.to_thread(
            backup.back_up, "postgresql://n@127.0.0.1:1/n", tmp_path / "other", KEYS, silent
        )
    assert [place.name for place in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize("name", ["database.dump", "manifest.json", "SHA256SUMS"])
async def test_what_was_changed_or_lost_is_found(copy: Copy, name: str) -> None:
    file = copy.directory / name
    data = file.read_bytes()
    file.write_bytes(data[:-20] + b"x" * 20)
    with pytest.raises((Unprocessable, NotFound)):
        backup.read(copy.directory)
    file.unlink()
    with pytest.raises((Unprocessable, NotFound)):
        backup.read(copy.directory)


async def test_a_table_that_hides_rows_is_found_before_anything_is_dumped(
    filled: Any, database: Dsns, tmp_path: Path, owner: Any
) -> None:
    await owner.execute(
        "CREATE TABLE hidden (a integer); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;"
        " ALTER TABLE hidden FORCE ROW LEVEL SECURITY; CREATE POLICY positive ON hidden USING (a > 0)"
    )
    try:
        with pytest.raises(Unprocessable, match=r"public\.hidden"):
            await asyncio.to_thread(backup.back_up, database.owner, tmp_path / "short", KEYS, silent)
    finally:
        await owner.execute("DROP TABLE hidden")
    assert not list(tmp_path.iterdir())


async def test_no_password_is_among_the_words_that_programs_are_started_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def run(words: list[str], **more: Any) -> Any:
        seen.append((words, more["env"]))
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr("opsmantik.db.backup.subprocess.run", run)
    backup._run("/bin/pg_dump", ["-x"], "postgresql://u:p%40ss@/d?host=%2Ftmp&port=1")
    ((words, environ),) = seen
    assert words == ["/bin/pg_dump", "-x", "--dbname=postgresql://u@/d?host=%2Ftmp&port=1"]
    assert environ["PGPASSWORD"] == "p@ss"


def test_a_program_that_is_too_old_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.2'\n")
    old.chmod(0o755)
    monkeypatch.setattr("opsmantik.db.backup.binaries.candidates", lambda: iter([tmp_path]))
    monkeypatch.setattr("opsmantik.db.backup.shutil.which", lambda _: None)
    assert backup.client("pg_dump", 15) == str(old)
    with pytest.raises(NotFound, match="postgresql-client-18"):
        backup.client("pg_dump", 18)


def test_age_in_words() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    manifest = Manifest(
        made_at=now, program="1", server="18.6", owner="o", migrations=[], rows={}, dump_bytes=0, secret="", keys=[],
        with_keys=False,
    )  # fmt: skip
    told = {
        after: backup.age(manifest, now + after)
        for after in (timedelta(minutes=5), timedelta(hours=20), timedelta(days=9))
    }
    assert list(told.values()) == ["5 minutes", "20 hours", "9 days"]
