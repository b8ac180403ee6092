"""``opsmantik keys``: the keys that seal secrets in the database, and taking new ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from opsmantik import keyring as sealing_keys
from opsmantik import settings as environment
from opsmantik.cli import logs
from opsmantik.db import embedded
from opsmantik.errors import Conflict
from opsmantik.keyring import Keyring
from opsmantik.settings import Settings, variable
from opsmantik.upkeep import runner, sealing

T = TypeVar("T")
SETTLE_SECONDS = 5.0
# Two at once would each make a key first, and the slower one seal again what the other has just sealed.
ONE_AT_A_TIME = "SELECT pg_try_advisory_lock(hashtextextended('opsmantik keys', 0))"

app = typer.Typer(help="The keys that seal secrets in the database.", no_args_is_help=True)
console = Console()


@app.command("new")
def new() -> None:
    """Print a new key, for OPSMANTIK_ENCRYPTION_KEYS. Nothing is changed."""
    typer.echo(sealing_keys.new_key())


@app.command("list")
def list_() -> None:
    """Show the keys by their ids, and what each has sealed."""
    installation = environment.load()
    keyring = sealing_keys.keyring(installation)
    used = _as_owner(installation, sealing.usage)
    table = Table("Key", "Is", "Needed by", box=None, header_style="bold")
    for key_id in (*keyring.ids, *sorted(used.keys() - set(keyring.ids))):
        state = "seals" if key_id == keyring.current else "opens" if key_id in keyring.ids else "MISSING"
        table.add_row(key_id, state, _needed(used.get(key_id)))
    console.print(table)
    if used.keys() - set(keyring.ids):
        typer.echo(
            "What a missing key has sealed cannot be read. Put the key back, behind the others.", err=True
        )
        raise typer.Exit(1)


@app.command("rotate")
def rotate(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep keys that nothing is sealed with any more.")
    ] = False,
) -> None:
    """Make a new key, seal everything with it, and forget the keys that nothing needs any more.

    May run beside servers, be cut off at any moment, and be run again.
    """
    installation = environment.load()

    async def work(connection: Any) -> int:
        if not await connection.fetchval(ONE_AT_A_TIME):
            raise Conflict(reason="another `opsmantik keys rotate` is at work")
        return await _rotate(connection, installation, keep=keep)

    if _as_owner(installation, work):
        raise typer.Exit(1)


async def _rotate(connection: Any, installation: Settings, *, keep: bool) -> int:
    """The number of rows that could not be opened."""
    in_file = not installation.encryption_keys
    keyring = sealing_keys.keyring(installation)
    if in_file:
        typer.echo(f"New key: {sealing_keys.put_first(installation.home, sealing_keys.new_key())}")
        keyring.refresh()
    done = await sealing.reseal(connection, keyring)
    forgotten: list[str] = []
    rows, broken = done.rows, done.broken
    if in_file and not keep and len(keyring.ids) > 1:
        if await sealing.settle(connection, SETTLE_SECONDS):
            late = await sealing.reseal(connection, keyring)
            rows, broken = rows + late.rows, late.broken
            used = await sealing.usage(connection)
            forgotten = [key_id for key_id in keyring.ids if key_id not in used and key_id != keyring.current]
        else:
            typer.echo("Old keys are kept: a transaction stays open for long. Run this again to forget them.")
    detail = {"rows": rows, "broken": len(broken), "forgotten": forgotten}
    await sealing.note_rotation(connection, keyring.current, detail)
    if forgotten:
        sealing_keys.keep_only(installation.home, [key for key in keyring.ids if key not in forgotten])
    _tell(keyring, rows, broken, forgotten)
    if not in_file:
        _tell_what_to_set(keyring, await sealing.usage(connection))
    return len(broken)


def _tell(keyring: Keyring, rows: int, broken: tuple[str, ...], forgotten: list[str]) -> None:
    typer.echo(f"Sealed with {keyring.current}: {rows} rows.")
    if forgotten:
        typer.echo(
            f"Forgotten: {', '.join(forgotten)}. Older backups of the database need them: keep those together."
        )
    for words in broken:
        typer.echo(f"Left as it is: {words}", err=True)


def _tell_what_to_set(keyring: Keyring, used: dict[str, Counter[str]]) -> None:
    """Keys in the environment are not ours to change, on this machine or on the others."""
    name = variable("encryption_keys")
    spare = [key_id for key_id in keyring.ids[1:] if key_id not in used]
    if len(keyring.ids) == 1:
        typer.echo(
            f"To change the key: put one of `opsmantik keys new` before the present one in {name} on every machine,"
            " restart the servers, and run this again."
        )
    if spare:
        typer.echo(f"Not needed any more: {', '.join(spare)}. Take them out of {name} on every machine.")


def _needed(used: Counter[str] | None) -> str:
    return ", ".join(f"{table} ({n})" for table, n in sorted((used or {}).items())) or "nothing"


def _as_owner(installation: Settings, work: Callable[[Any], Awaitable[T]]) -> T:
    logs.configure(installation.log_level)
    embedded.require_running(installation)

    async def whole() -> T:
        connection = await runner.connect(embedded.database_urls(installation)[0])
        try:
            await connection.execute("SET app.maintenance = 'on'")
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(whole())
