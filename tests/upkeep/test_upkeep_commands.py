"""What the command line says of months and of background jobs."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

import opsmantik
from opsmantik.cli import upkeep
from opsmantik.cli.jobs import JOBS
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.upkeep.runner import node_name


@pytest.fixture
def command(database: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    monkeypatch.setenv("DATABASE_URL", database.owner)
    monkeypatch.setenv("OPSMANTIK_HOME", str(tmp_path))
    monkeypatch.setattr(upkeep, "console", Console(width=300))
    app = typer.Typer()
    app.callback()(lambda: None)
    app.add_typer(upkeep.app, name="upkeep")
    app.command("partitions")(upkeep.partitions)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return run


@pytest.mark.slow
def test_jobs_are_run_and_then_shown(command: Any) -> None:
    before = command("upkeep")
    assert before.exit_code == 0
    assert [job.name for job in JOBS if job.name not in before.output] == [] and "never" in before.output

    one = command("upkeep", "run", "drain_default")
    assert one.output == "drain_default: ok\n"
    everything = command("upkeep", "run")
    assert everything.output.splitlines() == [f"{job.name}: ok" for job in JOBS]

    after = command("upkeep").output
    assert "never" not in after and after.count(" ok ") == len(JOBS)
    assert after.count(node_name()) == len(JOBS) and after.count(" free ") == len(JOBS)
    assert len(re.findall(r" [0-9,]+\.[0-9] s ", after)) == len(JOBS)


def test_an_unknown_job_is_named_with_those_there_are(command: Any) -> None:
    with pytest.raises(NotFound, match="job sweep; there are partitions_ahead, drain_default, purge"):
        command("upkeep", "run", "sweep")


def test_every_job_is_in_the_manual() -> None:
    manual = (Path(opsmantik.__file__).parent.parent / "docs" / "operating.md").read_text()
    assert [job.name for job in JOBS if f"`{job.name}`" not in manual] == []


def test_every_job_that_anybody_is_told_to_run_is_there() -> None:
    home = Path(opsmantik.__file__).parent
    paths = [
        *home.rglob("*.py"),
        *home.rglob("*.sql"),
        *home.parent.glob("docs/**/*.md"),
        *home.rglob("*.toml"),
    ]
    told = {
        name for path in paths for name in re.findall(r"opsmantik upkeep run ([a-z_]+)", path.read_text())
    }
    assert told - {job.name for job in JOBS} == set()
    assert {"partitions_ahead", "drain_default", "vacuum", "reindex", "archive", "retention"} <= told


@pytest.mark.parametrize("month", ["2025-13", "yesterday"])
def test_a_month_to_restore_is_a_month(command: Any, month: str) -> None:
    with pytest.raises(Unprocessable, match="no month as in 2025-03"):
        command("upkeep", "restore", month)


def test_what_was_not_archived_cannot_be_restored(command: Any) -> None:
    with pytest.raises(NotFound, match="archived month 2025-03"):
        command("upkeep", "restore", "2025-03")


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
