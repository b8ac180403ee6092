"""``opsmantik upkeep`` and ``opsmantik partitions``: the background jobs, and what they look after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from opsmantik import settings as environment
from opsmantik.cli import jobs, logs
from opsmantik.db import embedded
from opsmantik.errors import NotFound
from opsmantik.upkeep import partitions as months
from opsmantik.upkeep import runner

T = TypeVar("T")

app = typer.Typer(help="The background jobs that the server runs by itself.", invoke_without_command=True)
console = Console()


@app.callback()
def status(context: typer.Context) -> None:
    """Show when each job last ran, how it went, and when it is due."""
    if context.invoked_subcommand is None:
        latest = _as_owner(partial(runner.latest_runs, jobs=jobs.JOBS))
        table = Table("Job", "Last run", "Outcome", "Due", "Detail", box=None, header_style="bold")
        for job in jobs.JOBS:
            table.add_row(job.name, *_row(job, latest.get(job.name)))
        console.print(table)


@app.command("run")
def run(
    job: Annotated[str, typer.Argument(help="Which one; all of them if not given.")] = "",
) -> None:
    """Run a job now, here; ends with 1 if it failed."""
    chosen = [known for known in jobs.JOBS if job in ("", known.name)]
    if not chosen:
        raise NotFound(what=f"job {job}; there are {', '.join(known.name for known in jobs.JOBS)}")
    owner = _owner_dsn()
    runs = [asyncio.run(runner.run_job(owner, known)) for known in chosen]
    for done in runs:
        words = {"elsewhere": "another node is at it"}.get(done.outcome, done.outcome)
        typer.echo(f"{done.job}: {words}" + (f" {_words(done.detail)}" if done.detail else ""))
    if any(done.outcome == "failed" for done in runs):
        raise typer.Exit(1)


def partitions() -> None:
    """List the months of sessions and events, and what waits in the default partitions."""

    async def look(connection: Any) -> tuple[list[months.Partition], list[months.Waiting]]:
        return await months.list_partitions(connection), await months.waiting_months(connection)

    found, waiting = _as_owner(look)
    table = Table("Month", "Partition", "Rows, about", "MB", box=None, header_style="bold")
    for part in found:
        month = part.month.strftime("%Y-%m") if part.month else "any other"
        table.add_row(month, part.name, f"{part.estimated_rows:,}", f"{part.bytes / 1e6:,.1f}")
    console.print(table)
    for rows in waiting:
        typer.echo(
            f"{rows.month:%Y-%m} waits in the default partitions: {rows.sessions} sessions, "
            f"{rows.events} events. Move them: opsmantik upkeep run drain_default"
        )


def _row(job: runner.Job, latest: runner.Latest | None) -> tuple[str, str, str, str]:
    if latest is None:
        return "never", "", "at the server's start", ""
    due = latest.started_at + timedelta(seconds=job.every_seconds)
    when = "now" if due < datetime.now(UTC) else f"{due:%Y-%m-%d %H:%M} UTC"
    began = f"{latest.started_at:%Y-%m-%d %H:%M:%S} UTC"
    return began, latest.outcome or "under way", when, _words(latest.detail or {})


def _words(detail: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in detail.items())


def _owner_dsn() -> str:
    installation = environment.load()
    logs.configure(installation.log_level)
    embedded.require_running(installation)
    return embedded.database_urls(installation)[0]


def _as_owner(work: Callable[[Any], Awaitable[T]]) -> T:
    owner = _owner_dsn()

    async def whole() -> T:
        connection = await runner.connect(owner)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(whole())
