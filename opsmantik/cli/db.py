"""``opsmantik db``: the schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from opsmantik import settings as environment
from opsmantik.errors import DatabaseUnavailable, SettingsError

if TYPE_CHECKING:
    from opsmantik.db.distribute import Finding, Judged

DATABASE_SECONDS = 60
TRIES = 5

app = typer.Typer(help="Look after the database.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes a group even of a single command."""


@app.command()
def migrate() -> None:
    """Bring the database to the present schema; safe to repeat, and at any number of machines at once."""
    from opsmantik.db.connect import UNREACHABLE
    from opsmantik.db.embedded import database_urls, up

    settings = environment.load()
    for attempt in range(1, TRIES + 1):
        try:
            with up(settings, typer.echo):
                owner, app_url = database_urls(settings)
                if settings.database_url is not None:
                    asyncio.run(await_database(owner, typer.echo))
                applied = asyncio.run(bring_up_to_date(settings, owner, app_url, typer.echo))
            break
        except UNREACHABLE as lost:  # another command had the embedded server up and has just finished
            if attempt == TRIES:
                raise DatabaseUnavailable from lost
            time.sleep(0.5)
    typer.echo(f"{len(applied)} migrations applied." if applied else "The schema is up to date.")


@app.command()
def plan(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Say what `opsmantik db migrate` would lock, on how much, and who would stand still for how long; change nothing."""
    import msgspec
    from rich.console import Console

    from opsmantik.cli.forecast import show
    from opsmantik.db import embedded
    from opsmantik.db.forecast import forecast

    settings = environment.load()
    embedded.require_running(settings)
    found = asyncio.run(forecast(embedded.database_urls(settings)[0]))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
    else:
        show(found, Console())


@app.command()
def distribute(
    check: Annotated[
        bool, typer.Option("--check", help="Say what stands in the way, and do nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the statements, and do nothing.")] = False,
) -> None:
    """Spread the schema over several servers by site, where the extension Citus is; the servers are made known before."""
    from opsmantik.db import distribute as spreading
    from opsmantik.db import embedded

    settings = environment.load()
    embedded.require_running(settings)
    owner = embedded.database_urls(settings)[0]
    if check:
        judged, found, notes = asyncio.run(_judge(owner))
        for finding in found:
            typer.echo(
                f"{finding.rule}: {finding.object}: {finding.problem}. Remedy: {finding.remedy}", err=True
            )
        for note in notes:
            typer.echo(f"  {note}")
        places = [table.place for table in judged.tables]
        counts = ", ".join(
            f"{places.count(place)} {place}" for place in ("distributed", "reference", "local")
        )
        typer.echo(
            f"{len(places)} tables ({counts}), {len(judged.references)} foreign keys: {len(found)} findings."
        )
        if judged.citus is None:
            typer.echo("The extension citus is not in this database.")
        raise typer.Exit(1 if found else 0)
    for statement in asyncio.run(_distribute(owner, dry_run)):
        typer.echo(f"{statement};")
    if not dry_run:
        typer.echo(f"-- done: every site's rows lie together ({spreading.COLUMN})")


async def _judge(owner: str) -> tuple[Judged, list[Finding], list[str]]:
    """The catalogue's word on the schema, and the planner's on the contracts."""
    import asyncpg

    from opsmantik.audit.spread import contracts
    from opsmantik.db.distribute import judge

    connection = await asyncpg.connect(owner)
    try:
        async with connection.transaction(readonly=True):
            judged = await judge(connection)
            findings, notes, planned = await contracts(connection, judged.tables)
    finally:
        await connection.close()
    said = [f"{planned} statements of contracts were planned", *judged.notes, *notes]
    return judged, [*judged.findings, *findings], said


async def _distribute(owner: str, dry_run: bool) -> list[str]:
    import asyncpg

    from opsmantik.db.distribute import afterwards, distribute, judge, statements

    connection = await asyncpg.connect(owner)
    try:
        judged = await judge(connection)
        if dry_run:
            return statements(judged) + afterwards(await connection.fetchval("SELECT current_database()"))
        return await distribute(connection, judged)
    finally:
        await connection.close()


async def bring_up_to_date(
    settings: environment.Settings, owner: str, app_url: str, say: Callable[[str], object]
) -> list[str]:
    """Apply what is missing, and have the application's role log in with the password in its address."""
    from opsmantik.db.migrate import migrate
    from opsmantik.db.roles import app_password

    password = app_password(app_url, environment.secret(settings))
    return await migrate(owner, app_password=password, on_progress=say)


async def await_database(url: str, say: Callable[[str], object], seconds: float = DATABASE_SECONDS) -> None:
    """Wait for a database elsewhere: it may be starting at the same time as we are.

    Raises :class:`~opsmantik.errors.SettingsError` if it refuses us, or does not answer in time.
    """
    import asyncpg

    deadline, told = time.monotonic() + seconds, False
    while True:
        try:
            with suppress(OSError, asyncpg.CannotConnectNowError):  # OSError: TimeoutError too
                await (await asyncpg.connect(url, timeout=5)).close()
                return
        except (asyncpg.PostgresError, ValueError) as refused:
            raise SettingsError(variable="DATABASE_URL", problem=str(refused)) from refused
        if time.monotonic() > deadline:
            raise SettingsError(variable="DATABASE_URL", problem=f"no database answered in {seconds:.0f} s")
        if not told:
            say("Waiting for the database at DATABASE_URL ...")
            told = True
        await asyncio.sleep(0.5)
