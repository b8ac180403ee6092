"""``opsmantik counters``: are the figures what the rows say, and if not, make them so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from opsmantik import settings as environment
from opsmantik.cli import logs
from opsmantik.counters import store
from opsmantik.db import embedded
from opsmantik.errors import UnknownSite
from opsmantik.upkeep import runner

T = TypeVar("T")

app = typer.Typer(help="The counters behind every figure.", no_args_is_help=True)
console = Console()

SiteOption = Annotated[
    str, typer.Option("--site", help="One site, by its id or public id; all if not given.")
]
FromOption = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
ToOption = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")]
MOST_ROWS = 50


@app.command("verify")
def verify(site: SiteOption = "", first: FromOption = None, last: ToOption = None) -> None:
    """Recount from the rows; ends with 1, and the figures that differ, if any does. Without days, also whether every lead
    is searched by what it is."""

    async def work(connection: Any) -> list[tuple[str, list[store.Difference], list[UUID]]]:
        return [
            (
                name,
                await store.differences(connection, site_id, _day(first), _day(last)),
                [] if first or last else await store.lead_differences(connection, site_id),
            )
            for site_id, name in await _sites(connection, site)
        ]

    broken = False
    for name, found, leads in _as_owner(work):
        words = [f"{len(found)} figures differ"] if found else []
        words += [f"{len(leads)} leads are searched by what they are not"] if leads else []
        typer.echo(f"{name}: {', '.join(words) or 'equal'}")
        if found or leads:
            broken = True
            _show(found)
    if broken:
        raise typer.Exit(1)


@app.command("rebuild")
def rebuild(site: SiteOption = "", first: FromOption = None, last: ToOption = None) -> None:
    """Make the counters anew from the rows, while events go on coming in; without days, also what leads are searched by."""

    async def work(connection: Any) -> list[tuple[str, int]]:
        return [
            (name, await store.rebuild(connection, site_id, _day(first), _day(last)))
            for site_id, name in await _sites(connection, site)
        ]

    for name, days in _as_owner(work):
        typer.echo(f"{name}: {days} days")


def _show(found: list[store.Difference]) -> None:
    if not found:
        return
    table = Table("Day", "Figure", "Of", "Scope", "Counted", "Rows say", box=None, header_style="bold")
    for row in found[:MOST_ROWS]:
        of = f"{row.dimension} {row.key}".strip()
        scope = "paid" if row.is_paid else "not paid"
        table.add_row(f"{row.day}", row.measure, of, scope, f"{row.counted}", f"{row.recounted}")
    console.print(table)
    if len(found) > MOST_ROWS:
        typer.echo(f"... and {len(found) - MOST_ROWS} more")


def _day(given: datetime | None) -> date | None:
    return given.date() if given is not None else None


async def _sites(connection: Any, asked: str) -> list[tuple[UUID, str]]:
    if not asked:
        return await store.sites(connection)
    try:
        name = UUID(asked)
    except ValueError:
        raise UnknownSite from None
    by_public_id = await connection.fetchval(store.SQL.site_by_public_id, name.hex)
    found = await store.sites(connection, by_public_id or name)
    if not found:
        raise UnknownSite
    return found


def _as_owner(work: Callable[[Any], Awaitable[T]]) -> T:
    installation = environment.load()
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
