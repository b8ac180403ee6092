"""``opsmantik privacy``: on the server itself, without a browser; and what upkeep does about erasures that were cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opsmantik.cli import jobs, privacy
from opsmantik.errors import UnknownSite, Unprocessable
from opsmantik.ingest.writer import Writer
from opsmantik.keyring import keyring
from opsmantik.privacy import erasure
from opsmantik.privacy.subject import Kind, Seals, Subject
from opsmantik.settings import load, secret
from opsmantik.upkeep import runner
from tests.counters.world import Traffic, site_of


@pytest.fixture
async def visitor(
    app_database: Any,
    make_site: Any,
    database: Any,
    owner: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> tuple[Any, str]:
    """A site with a visitor, on an installation with keys of its own."""
    monkeypatch.setenv("DATABASE_URL", database.owner)
    monkeypatch.setenv("OPSMANTIK_HOME", str(tmp_path))
    made = await make_site()
    writer = Writer(app_database, lambda *_: None, window_ms=0)
    await writer.start()
    traffic = Traffic(site_of(made), 1, visitors=1)
    for day in (1, 2, 3):
        await writer.write(traffic.visit(datetime(2026, 11, day, 12, tzinfo=UTC), live=False))
    await writer.stop()
    vid = await owner.fetchval("SELECT id FROM visitors WHERE site_id = $1", made.id)
    return made, vid


async def command(*arguments: str, typed: str) -> Any:
    """In a thread of its own, where no event loop runs yet."""
    return await asyncio.to_thread(CliRunner().invoke, privacy.app, list(arguments), typed)


async def test_a_person_is_exported_erased_and_the_certificate_checked(
    visitor: tuple[Any, str], owner: Any, tmp_path: Path
) -> None:
    site, vid = visitor
    out, paper = tmp_path / "person.json", tmp_path / "certificate.json"
    done = await command("export", site.public_id, "visitor", "--out", str(out), typed=f"{vid}\n")
    assert done.exit_code == 0, done.output
    visits = len(json.loads(out.read_bytes())["sessions"])
    assert visits > 0
    kept = await command("erase", str(site.id), "visitor", typed=f"{vid}\nn\n")
    assert (
        kept.exit_code == 1
        and await owner.fetchval("SELECT count(*) FROM erasures WHERE site_id = $1", site.id) == 0
    )
    done = await command("erase", str(site.id), "visitor", "--out", str(paper), typed=f"{vid}\ny\n")
    assert done.exit_code == 0 and f"sessions: {visits}" in done.output, done.output
    assert (
        await owner.fetchval("SELECT count(*) FROM visitors WHERE site_id = $1 AND id = $2", site.id, vid)
        == 0
    )
    row = await owner.fetchrow(
        "SELECT requested_by, requested_name FROM erasures WHERE site_id = $1", site.id
    )
    assert tuple(row) == (None, "upkeep")
    assert (await command("check", str(paper), typed="")).output == "genuine\n"
    paper.write_bytes(paper.read_bytes().replace(b'"upkeep"', b'"nobody"'))
    assert (await command("check", str(paper), typed="")).exit_code == 1


async def test_what_cannot_be_meant_is_said(visitor: tuple[Any, str]) -> None:
    site, _ = visitor
    nowhere = await command("export", "0" * 32, "visitor", typed="x\n")
    assert isinstance(nowhere.exception, UnknownSite)
    nobody = await command("export", str(site.id), "phone", typed="112\n")
    assert isinstance(nobody.exception, Unprocessable)


async def test_upkeep_goes_on_with_what_was_cut_off(
    visitor: tuple[Any, str], owner: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, vid = visitor
    known = load()

    class CutOffError(Exception):
        pass

    async def broken(*_: Any, **__: Any) -> None:
        raise CutOffError

    @asynccontextmanager
    async def transactions() -> AsyncIterator[Any]:
        async with owner.transaction():
            yield owner

    with monkeypatch.context() as patched:
        patched.setattr("opsmantik.privacy.store.erase_rest", broken)
        with pytest.raises(CutOffError):
            subject = Subject(kind=Kind.VISITOR, value=vid)
            await erasure.erase(transactions, site.id, subject, keyring(known), Seals(secret(known)))
    assert (
        await owner.fetchval("SELECT count(*) FROM visitors WHERE site_id = $1 AND id = $2", site.id, vid)
        == 1
    )
    job = next(job for job in jobs.JOBS if job.name == "erasures")
    assert (await runner.run_job(database.owner, job)).detail == {}, "it may still be under way"
    await owner.execute("UPDATE erasures SET at = now() - interval '1 hour' WHERE site_id = $1", site.id)
    run = await runner.run_job(database.owner, job)
    assert (run.outcome, run.detail) == ("ok", {"finished": 1, "waiting": 0})
    row = await owner.fetchrow(
        "SELECT finished_at, subject, certificate FROM erasures WHERE site_id = $1", site.id
    )
    assert row["finished_at"] and row["certificate"] and row["subject"] is None
    assert (
        await owner.fetchval("SELECT count(*) FROM visitors WHERE site_id = $1 AND id = $2", site.id, vid)
        == 0
    )


async def test_the_retention_runs_every_night(database: Any) -> None:
    job = next(job for job in jobs.JOBS if job.name == "retention")
    assert job.every_seconds == 24 * 3600
    assert (await runner.run_job(database.owner, job)).outcome == "ok"
