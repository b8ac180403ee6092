"""`opsmantik user`: accounts, from the server itself; also the way back in for somebody who has lost theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from opsmantik import settings as environment
from opsmantik.db import embedded
from opsmantik.people import manage
from opsmantik.upkeep import runner

T = TypeVar("T")
Email = Annotated[str, typer.Argument(help="The account's e-mail address.")]

app = typer.Typer(help="Accounts: list, add, switch off and on, help back in.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List all accounts."""
    found = _as_owner(manage.users)
    rows = [("EMAIL", "ROLE", "STATE", "SECOND FACTOR", "LAST SEEN", "CREATED", "NAME")]
    rows += [
        (
            user.email,
            "administrator" if user.is_admin else "user",
            "off" if user.disabled_at else "on" if user.has_password else "no password",
            "yes" if user.has_second_factor else "no",
            user.last_seen_at.date().isoformat() if user.last_seen_at else "-",
            user.created_at.date().isoformat(),
            user.name,
        )
        for user in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command("add")
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="What to call them.")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="They run the whole installation.")] = False,
) -> None:
    """Make an account, and print a link with which its owner chooses a password."""
    _tell_link(_as_owner(lambda owner: manage.add(owner, email=email, name=name, is_admin=admin)))


@app.command("disable")
def disable(email: Email) -> None:
    """Switch an account off: signed out everywhere, at once. What it owns and has done stays."""
    _as_owner(lambda owner: manage.switch(owner, email, on=False))
    typer.echo(f"{email} is switched off.")


@app.command("enable")
def enable(email: Email) -> None:
    """Switch an account on again."""
    _as_owner(lambda owner: manage.switch(owner, email, on=True))
    typer.echo(f"{email} is switched on.")


@app.command("reset-link")
def reset_link(email: Email) -> None:
    """Print a link with which somebody chooses a new password."""
    _tell_link(_as_owner(lambda owner: manage.reset_link(owner, email)))


@app.command("reset-second-factor")
def reset_second_factor(email: Email) -> None:
    """Switch somebody's second factor off, when the authenticator and the recovery codes are lost.

    Be sure who asks: from then on the password alone opens the account.
    """
    had = _as_owner(lambda owner: manage.reset_second_factor(owner, email))
    typer.echo(f"The second factor of {email} is off." if had else f"{email} has no second factor.")


def _tell_link(token: str) -> None:
    hours = int(manage.LINK_LIFETIME.total_seconds() // 3600)
    typer.echo(f"{environment.load().base_url}/reset/{token}")
    typer.echo(f"Good once, for {hours} hours. Hand it over where nobody else reads it.", err=True)


def _as_owner(work: Callable[[Any], Awaitable[T]]) -> T:
    installation = environment.load()
    embedded.require_running(installation)
    owner_dsn, _ = embedded.database_urls(installation)

    async def run() -> T:
        connection = await runner.connect(owner_dsn)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
