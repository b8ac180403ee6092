"""``opsmantik audit``: what it says, what it keeps, and how it ends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from opsmantik.audit.checks import all_checks
from opsmantik.cli import audit
from opsmantik.errors import NotFound, Unprocessable


@pytest.fixture(autouse=True)
def ours(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database.owner)


async def command(*arguments: str) -> Any:
    """In a thread of its own, where no event loop runs yet."""
    return await asyncio.to_thread(CliRunner().invoke, audit.app, list(arguments))


async def test_what_there_is_to_check_is_listed() -> None:
    listed = await command("list")
    assert listed.exit_code == 0
    assert all(check.name[:12] in listed.output for check in all_checks())


@pytest.mark.slow
async def test_a_whole_run_is_kept_and_the_next_is_compared_with_it(owner: Any) -> None:
    first = await command()
    assert first.exit_code == 0, first.output
    assert "Since the last run" not in " ".join(first.output.split())
    for asked in ((), ("--only", "integrity")):
        again = await command(*asked)
        assert "Since the last run: 0 new, 0 gone." in " ".join(again.output.split())
    assert await owner.fetchval("SELECT count(*) FROM audit_runs") == 2


async def test_another_database_is_only_read_and_its_run_is_not_kept(database: Any, owner: Any) -> None:
    before = await owner.fetchval("SELECT count(*) FROM audit_runs")
    made = await command("--dsn", database.owner, "--json", "--only", "integrity")
    assert made.exit_code == 0, made.output
    assert json.loads(made.output)["counts"]["error"] == 0
    assert await owner.fetchval("SELECT count(*) FROM audit_runs") == before


async def test_a_database_that_is_not_there_is_said_in_words() -> None:
    lost = await command("--dsn", "postgresql://nobody@127.0.0.1:9/nothing")
    assert isinstance(lost.exception, Unprocessable)


@pytest.mark.parametrize("form", ["json", "markdown", "html", "sarif"])
async def test_every_form_is_written_to_a_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"audit.{form}"
    made = await command(f"--{form}", "--output", str(path), "--only", "0001")
    assert (made.exit_code, made.output) == (0, "")
    assert "0001_session_month_drift" in path.read_text() or "session_month_drift" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--only", "no_such"), NotFound),
        (("--fail-on", "info"), Unprocessable),
        (("--json", "--html"), Unprocessable),
        (("--baseline", "/no/such/file"), Unprocessable),
    ],
)
async def test_what_cannot_be_asked_so_is_refused(arguments: tuple[str, ...], error: type[Exception]) -> None:
    assert isinstance((await command(*arguments)).exception, error)


async def test_only_and_skip_choose_by_name_number_and_group() -> None:
    asked = json.loads((await command("--json", "--only", "integrity", "--skip", "1")).output)
    stems = [result["stem"] for result in asked["results"]]
    expected = [check.stem for check in all_checks() if check.group == "integrity" and check.number != 1]
    assert stems == expected


@pytest.mark.slow
async def test_an_error_ends_it_with_one(database: Any) -> None:
    admin = await asyncpg.connect(database.admin)
    await admin.execute("SET app.maintenance = 'on'")
    plant = (
        "DO $$ BEGIN PERFORM make_month('2026-10-01'); EXECUTE (SELECT string_agg(format('ALTER TABLE"
        " parts.sessions_2026_10 DROP CONSTRAINT %I', conname), ';') FROM pg_constraint WHERE contype = 'c'"
        " AND conrelid = 'parts.sessions_2026_10'::regclass AND pg_get_constraintdef(oid) LIKE '%created_at%'); END $$"
    )
    await admin.execute(plant)
    site, visit = await admin.fetchrow("SELECT gen_random_uuid(), gen_random_uuid()")
    await admin.execute("SET session_replication_role = 'replica'")
    await admin.execute(
        "INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key,"
        " source_key, attribution_source, channel, is_paid, attribution)"
        " SELECT $1, '2026-10-01', $2, day, day, day, 1, 1, 1, 'Direct', 'direct', false, '[]'"
        " FROM (SELECT timestamptz '2026-11-05' AS day) AS one",
        site, visit,
    )  # fmt: skip
    broken = await command("--only", "session_month_drift")
    assert broken.exit_code == 1 and "1 error," in broken.output
    assert "1 new, 0 gone" in " ".join(broken.output.split())
    assert (await command()).exit_code == 1
    await admin.execute("DELETE FROM sessions WHERE id = $1", visit)
    await admin.close()
    mended = await command("--only", "session_month_drift")
    assert mended.exit_code == 0 and "0 new, 1 gone" in " ".join(mended.output.split())
