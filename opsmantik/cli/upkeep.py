"""``opsmantik upkeep`` and ``opsmantik partitions``: the background jobs, and what they look after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table

from opsmantik import settings as environment
from opsmantik.cli import jobs, logs
from opsmantik.db import embedded
from opsmantik.errors import Conflict, NotFound, Unprocessable
from opsmantik.upkeep import archive, runner
from opsmantik.upkeep import partitions as months

T = TypeVar("T")

app = typer.Typer(help="The background jobs that the server runs by itself.", invoke_without_command=True)
console = Console()


@app.callback()
def status(context: typer.Context) -> None:
    """Show when each job last ran and where, how it went, how long it took, when it is due, and who is at it now."""
    if context.invoked_subcommand is not None:
        return

    async def look(connection: Any) -> tuple[dict[str, runner.Latest], dict[str, str]]:
        return await runner.latest_runs(connection, jobs.JOBS), await runner.lease_holders(
            connection, jobs.JOBS
        )

    latest, holders = _as_owner(look)
    table = Table(
        Column("Job", no_wrap=True),
        "Last run",
        "Took",
        "Outcome",
        "Where",
        "Due",
        "Lease",
        "Detail",
        box=None,
        header_style="bold",
    )
    for job in jobs.JOBS:
        run = latest.get(job.name)
        table.add_row(
            job.name, *_row(job, run), holders.get(job.name, "free"), _words((run and run.detail) or {})
        )
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


@app.command("restore")
def restore(
    month: Annotated[str, typer.Argument(help="An archived month, as in 2025-03.", show_default=False)],
    days: Annotated[
        int, typer.Option(min=1, max=366, help="For how many days retention leaves it alone.")
    ] = 30,
) -> None:
    """Put an archived month back into the database; figures of its days are there anyway.

    Refuses a month that is back already. May be cut off and run again.
    """
    wanted = _month(month)
    directory = jobs.archive_of(environment.load()).directory

    async def work(connection: Any) -> list[archive.Restored]:
        for job in ("archive", "retention"):
            if not await connection.fetchval(runner.LEASE, job):
                raise Conflict(reason=f"the job {job} is at work; try again when it is done")
        # Whoever was erased since must not come back with it.
        if await connection.fetchval("SELECT EXISTS (SELECT FROM archived_months WHERE month = $1)", wanted):
            await jobs.ARCHIVE.run(connection)
        return await archive.restore(connection, directory, wanted, days)

    for back in _as_owner(work):
        left = f" of {back.held:,}; the others are there already, or have no place any more" * (
            back.back != back.held
        )
        typer.echo(f"{back.table}: {back.back:,} rows are back{left}")
    typer.echo(f"Retention leaves {month} alone for {days} days.")


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise Unprocessable(reason=f"{text} is no month as in 2025-03") from None


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


def _row(job: runner.Job, latest: runner.Latest | None) -> tuple[str, str, str, str, str]:
    if latest is None:
        return "never", "", "", "", "at the server's start"
    due = latest.started_at + timedelta(seconds=job.every_seconds)
    when = "now" if due < datetime.now(UTC) else f"{due:%Y-%m-%d %H:%M} UTC"
    began = f"{latest.started_at:%Y-%m-%d %H:%M:%S} UTC"
    took = "" if latest.seconds is None else f"{latest.seconds:,.1f} s"
    return began, took, latest.outcome or "under way", latest.node or "", when


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
