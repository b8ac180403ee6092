"""``opsmantik db``: the schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from opsmantik import settings as environment
from opsmantik.errors import DatabaseUnavailable, SettingsError

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
