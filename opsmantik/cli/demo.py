"""``opsmantik demo``: set up the demonstration, and keep it alive."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from opsmantik import settings as environment

if TYPE_CHECKING:
    from opsmantik.demo.seed import DemoAccount
    from opsmantik.demo.visitors import Tally, Traffic

app = typer.Typer(help="The demonstration: made-up visitors on made-up sites.", no_args_is_help=True)


@app.command()
def seed() -> None:
    """Make the demo's account and sites, and write their past; what is there already stays."""
    from opsmantik.cli.progress import Bar
    from opsmantik.db import embedded
    from opsmantik.demo.seed import ensure_demo

    settings = environment.load()
    embedded.require_running(settings)
    owner_dsn, app_dsn = embedded.database_urls(settings)
    with Bar() as bar:
        account = asyncio.run(ensure_demo(settings, owner_dsn=owner_dsn, app_dsn=app_dsn, progress=bar))
    _say_account(account)


@app.command()
def visitors(
    url: Annotated[
        str, typer.Option(help="Address of the server; the one of this installation if not given.")
    ] = "",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between visitors, more or less.")] = 6.5,
    leads: Annotated[float, typer.Option(min=1, help="Seconds between leads, more or less.")] = 38,
) -> None:
    """Let simulated visitors arrive at the demo sites, over HTTP, until it is stopped."""
    from opsmantik.demo.visitors import Traffic

    settings = environment.load()
    traffic = Traffic(visit_every=(0.77 * every, 1.23 * every), lead_every=(0.67 * leads, 1.33 * leads))
    tally = asyncio.run(_visitors_until_stopped(url or settings.local_url, traffic))
    typer.echo(f"{tally.visits} visits with {tally.leads} leads; {tally.accepted} events accepted.")


async def _visitors_until_stopped(url: str, traffic: Traffic) -> Tally:
    from opsmantik.demo.visitors import run_visitors

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    return await run_visitors(url, stop=stop, traffic=traffic)


def _say_account(account: DemoAccount) -> None:
    typer.echo(f"Sign in as {account.email} with the password {account.password}")
    typer.echo("Open one of these in another tab and tap the phone number:")
    for address in account.landing_urls:
        typer.echo(f"  {address}")
