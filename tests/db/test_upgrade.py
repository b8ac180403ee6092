"""Every released schema, filled with rows, becomes the present one: nothing is lost, and every figure is there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from opsmantik.counters import store
from opsmantik.db import roles
from opsmantik.db.connect import prepare_connection
from opsmantik.db.dump import dump
from opsmantik.db.migrate import APP_ROLE, migrate, migration_files
from tests.conftest import SECRET, _numbers
from tests.db.schema import HEAD, SCHEMA

pytestmark = pytest.mark.slow

# Each file is schema.sql as it was released, named after the newest migration in it.
RELEASED = sorted((Path(__file__).parent / "released").glob("20*.sql"))
PASSWORD = roles.role_password(SECRET, roles.APP)
KEPT = (
    "users",
    "sites",
    "site_members",
    "session_keys",
    "sessions",
    "events",
    "calls",
    "visitors",
    "rejected_events",
    "ingest_tally",
)


def migrations_of(release: Path) -> list[Path]:
    names = [path.stem for path in migration_files()]
    return migration_files()[: names.index(release.stem) + 1]


async def old_database(server: Any, release: Path) -> str:
    name = f"released_{next(_numbers)}"
    admin = await asyncpg.connect(server.admin_dsn())
    await admin.execute(f"CREATE DATABASE {name} OWNER {roles.OWNER}")
    await admin.close()
    dsn: str = server.dsn(roles.OWNER, name, roles.role_password(SECRET, roles.OWNER))
    owner = await asyncpg.connect(dsn)
    await owner.execute("SET check_function_bodies = off")
    await owner.execute(release.read_text())
    # What migrations say and the file does not hold: it is no part of the schema.
    await owner.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    for path in migrations_of(release):
        await owner.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)",
            path.name, hashlib.sha256(path.read_bytes()).hexdigest(),
        )  # fmt: skip
    await owner.close()
    return dsn


async def fill(owner: Any) -> None:
    """Two sites with three months of visits each."""
    text = (Path(__file__).parent / "released" / "fill.sql").read_text()
    for zone in ("Europe/Istanbul", "Asia/Kathmandu"):
        async with owner.transaction():
            await owner.execute(text.replace("{site}", str(uuid4())).replace("{zone}", zone))


async def contents(owner: Any, columns: dict[str, str]) -> dict[str, tuple[int, str]]:
    """Of each table: how many rows, and a digest of them in the given columns."""
    found = {}
    for table, names in columns.items():
        row = await owner.fetchrow(
            f"SELECT count(*) AS n, md5(coalesce(string_agg(r::text, '|' ORDER BY r::text), '')) AS digest"
            f" FROM (SELECT {names} FROM {table}) r"
        )
        found[table] = (row["n"], row["digest"])
    return found


def plain(schema: str) -> list[str]:
    """Without brackets: a check that was written, read and written again has fewer of them."""
    return schema.translate(str.maketrans("", "", "()")).splitlines()


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.stem)
async def test_a_released_schema_is_upgraded_and_keeps_everything(server: Any, release: Path) -> None:
    dsn = await old_database(server, release)
    owner = await asyncpg.connect(dsn)
    await prepare_connection(owner)
    await owner.execute("SET app.maintenance = 'on'")
    await fill(owner)
    columns = {
        table: await owner.fetchval(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped", table,
        )
        for table in KEPT
    }  # fmt: skip
    before = await contents(owner, columns)
    assert before["sessions"][0] == 400 and before["events"][0] == 1200

    await migrate(dsn, app_password=PASSWORD, on_progress=lambda words: None)

    assert await contents(owner, columns) == before
    assert plain(HEAD + dump(dsn)) == plain(SCHEMA.read_text()), (
        "an upgraded database is not what a fresh one is"
    )
    for site_id, _ in await store.sites(owner):
        assert await store.differences(owner, site_id) == []
        totals = await owner.fetchrow(
            "SELECT sum(sessions) AS sessions, sum(events) AS events, sum(leads) AS leads, sum(sealed) AS sealed,"
            " sum(amount) AS amount FROM counters WHERE site_id = $1 AND dimension = 'all'", site_id,
        )  # fmt: skip
        assert tuple(totals) == (200, 600, 200, 66, 66_000)
        assert await owner.fetchval("SELECT sequence FROM site_state WHERE site_id = $1", site_id) == 77
    assert await owner.fetchval("SELECT has_table_privilege($1, 'calls', 'SELECT')", APP_ROLE)
    await owner.close()


def test_every_release_is_here() -> None:
    """The schema that was released last must not be missing: its migrations may change no more."""
    assert RELEASED
    for release in RELEASED:
        assert migrations_of(release)
