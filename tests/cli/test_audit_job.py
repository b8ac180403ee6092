"""The audit that the server runs by itself once a day."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from opsmantik.audit.checks import all_checks
from opsmantik.cli import jobs
from opsmantik.upkeep import runner

JOB = next(job for job in jobs.JOBS if job.name == "audit")


@pytest.fixture(autouse=True)
def ours(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database.owner)
    integrity = [check for check in all_checks() if check.group == "integrity"]
    monkeypatch.setattr(jobs, "all_checks", lambda: integrity)


def test_it_runs_once_a_day() -> None:
    assert JOB.every_seconds == 24 * 3600 and not JOB.at_start


@pytest.mark.slow
async def test_its_run_is_kept_and_what_is_wrong_is_said_loudly(
    database: Any, owner: Any, make_site: Any
) -> None:
    site = await make_site()
    await runner.run_job(database.owner, next(job for job in jobs.JOBS if job.name == "partitions_ahead"))
    admin: Any = await asyncpg.connect(database.admin)
    await admin.execute("SET app.maintenance = 'on'; SET session_replication_role = replica")
    await admin.execute(
        "INSERT INTO session_keys (site_id, id, created_month) VALUES ($1, $1, '2026-10-01')", site.id
    )
    with capture_logs() as logs:
        first = await runner.run_job(database.owner, JOB)
        again = await runner.run_job(database.owner, JOB)
    said = [line for line in logs if line["event"] == "audit.errors"]
    assert first.outcome == "ok", first.detail
    assert first.detail["errors"] == 1 and first.detail["new"] >= 1
    assert again.detail["new"] == 0, "it was there before"
    assert [line["checks"] for line in said] == [["session_keys"], ["session_keys"]]
    assert said[0]["log_level"] == "error"
    kept = await owner.fetch("SELECT errors, report FROM audit_runs ORDER BY id")
    assert [row["errors"] for row in kept] == [1, 1]
    assert "session_keys" in json.dumps(kept[0]["report"])
    await admin.execute("DELETE FROM session_keys")
    await admin.close()
    assert (await runner.run_job(database.owner, JOB)).detail.get("errors", 0) == 0
