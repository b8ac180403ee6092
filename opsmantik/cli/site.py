"""`opsmantik site`: create and list sites from the server itself, as its oldest administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from opsmantik import settings as environment
from opsmantik.db import embedded
from opsmantik.db.connect import Database
from opsmantik.errors import NotFound
from opsmantik.people import store as people
from opsmantik.sites import store as sites

T = TypeVar("T")

app = typer.Typer(help="Create and list the sites that are watched.", no_args_is_help=True)


@app.command("create")
def create(
    domain: Annotated[str, typer.Argument(help="The site's domain, as in example.com.")],
    name: Annotated[str, typer.Option(help="What to call it; the domain if not given.")] = "",
    time_zone: Annotated[str, typer.Option(help="IANA time zone of its days.")] = "Europe/Istanbul",
    region: Annotated[str, typer.Option(help="Country in which its phone numbers are read.")] = "TR",
    currency: Annotated[str, typer.Option(help="Currency of its amounts.")] = "TRY",
    consent: Annotated[str, typer.Option(help="required, implied or legacy.")] = "implied",
    origin: Annotated[
        list[str] | None,
        typer.Option(help="An origin that may post; repeat for more. Default: https, with and without www."),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="E-mail of its owner; the oldest administrator if not given.")
    ] = None,
) -> None:
    """Create a site and print the snippet for its pages."""
    site = sites.new_site(
        name=name, domain=domain, time_zone=time_zone, region=region.upper(), currency=currency.upper(),
        consent_mode=consent, origins=origin or (),
    )  # fmt: skip
    installation = environment.load()

    async def work(database: Database) -> sites.SiteCard:
        user_id = await _person(database, owner)
        site_id = await sites.create_site(database, user_id, site)
        async with database.as_person(user_id) as (connection, person):
            return next(s for s in await sites.list_sites(connection, person) if s.id == site_id)

    made = _with_database(installation, work)
    typer.echo(f"Created {made.name} ({made.domain}). Put this before </head> on its pages:\n")
    typer.echo(sites.snippet(installation.base_url, made.public_id))


@app.command("list")
def list_() -> None:
    """List all sites."""
    installation = environment.load()

    async def work(database: Database) -> list[sites.SiteCard]:
        async with database.as_person(await _person(database, None)) as (connection, person):
            return await sites.list_sites(connection, person)

    found = _with_database(installation, work)
    rows = [("SITE ID", "DOMAIN", "TIME ZONE", "CREATED", "NAME")]
    rows += [(s.public_id, s.domain, s.time_zone, s.created_at.date().isoformat(), s.name) for s in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:  # never folded or shortened: ids are there to be copied, lines to be searched
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _with_database(installation: environment.Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do the work as the application's role: row security binds commands too."""
    embedded.require_running(installation)

    async def run() -> T:
        database = embedded.app_pool(installation, max_size=1)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def _person(database: Database, email: str | None) -> UUID:
    """Whose site it will be, and whose eyes see the list."""
    if email is not None:
        account = await people.account_by_email(database, email)
        if account is None:
            raise NotFound(what=f"account as {email}")
        return account.user_id
    administrators = await people.administrators(database)
    if not administrators:
        raise NotFound(
            what="account yet: make the first administrator with the link that `opsmantik up` prints"
        )
    return administrators[0][0]
