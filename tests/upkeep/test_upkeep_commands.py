"""What the command line says of months and of background jobs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from opsmantik.cli import upkeep
from opsmantik.cli.jobs import JOBS
from opsmantik.errors import NotFound


@pytest.fixture
def command(database: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    monkeypatch.setenv("DATABASE_URL", database.owner)
    monkeypatch.setenv("OPSMANTIK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    app.callback()(lambda: None)
    app.add_typer(upkeep.app, name="upkeep")
    app.command("partitions")(upkeep.partitions)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return run


def test_jobs_are_run_and_then_shown(command: Any) -> None:
    before = command("upkeep")
    assert before.exit_code == 0
    assert all(job.name in before.output for job in JOBS) and "never" in before.output

    one = command("upkeep", "run", "drain_default")
    assert one.output == "drain_default: ok\n"
    everything = command("upkeep", "run")
    assert everything.output.splitlines() == [f"{job.name}: ok" for job in JOBS]

    after = command("upkeep").output
    assert "never" not in after and after.count(" ok ") == len(JOBS)


def test_an_unknown_job_is_named_with_those_there_are(command: Any) -> None:
    with pytest.raises(NotFound, match="job sweep; there are partitions_ahead, drain_default, purge"):
        command("upkeep", "run", "sweep")


def test_a_failed_job_ends_the_command_with_1(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(connection: Any) -> dict[str, Any]:
        raise ValueError("no good")

    monkeypatch.setattr("opsmantik.cli.jobs.JOBS", (*JOBS[:1], type(JOBS[0])("bad", 60.0, work)))
    result = command("upkeep", "run")
    assert result.exit_code == 1
    assert "bad: failed error: ValueError: no good" in result.output


async def test_partitions_are_listed_with_what_waits(command: Any, traffic: Any) -> None:
    await traffic.visit(datetime(2033, 3, 15, tzinfo=UTC))
    listed = await asyncio.to_thread(command, "partitions")
    month = f"{datetime.now(UTC):%Y_%m}"
    assert f"sessions_{month}" in listed.output and f"events_{month}" in listed.output
    assert "any other" in listed.output
    assert "2033-03 waits in the default partitions: 1 sessions, 4 events." in listed.output
    moved = await asyncio.to_thread(command, "upkeep", "run", "drain_default")
    assert "'sessions': 1, 'events': 4" in moved.output
    assert "2033-03 waits" not in (await asyncio.to_thread(command, "partitions")).output
