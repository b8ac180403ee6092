"""``opsmantik adopt --dsn OLD``: take over a database of the first generation, or see first what is wrong with it.

Ends with 1 where figures differ after an import and no reason accounts for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from opsmantik import settings as environment
from opsmantik.adopt import faults, figures
from opsmantik.adopt.faults import Found
from opsmantik.adopt.figures import Line
from opsmantik.adopt.old import SQL as OLD
from opsmantik.adopt.old import open_old
from opsmantik.adopt.people import NewPerson
from opsmantik.adopt.run import Outcome, Wanted
from opsmantik.adopt.run import adopt as take_over
from opsmantik.cli import logs
from opsmantik.cli.progress import Bar
from opsmantik.db import embedded
from opsmantik.errors import MailFailed, OpsMantikError, Unprocessable
from opsmantik.mail import Mailer
from opsmantik.people import manage
from opsmantik.settings import Settings
from opsmantik.upkeep import runner

console = Console()


def adopt(
    dsn: Annotated[
        str, typer.Option(help="The first generation's database. It is only read, never written to.")
    ],
    do_import: Annotated[
        bool, typer.Option("--import/--dry-run", help="Take it over; else only tell what is there.")
    ] = False,
    admins: Annotated[
        bool,
        typer.Option("--admins", help="Keep its administrators of the platform; see first who they are."),
    ] = False,
    queue_unsent: Annotated[
        bool,
        typer.Option("--queue-unsent", help="Queue conversions that it never sent and that still can go."),
    ] = False,
    invite: Annotated[
        bool, typer.Option("--invite", help="Mail everybody a link to a password, which is good for a day.")
    ] = False,
    seconds: Annotated[int, typer.Option(min=1, help="The longest that one question there may take.")] = 600,
) -> None:
    """Take over the people, sites, visits, events and leads of a first-generation database.

    Without --import nothing is written anywhere: it tells what is wrong there and what would become of it.
    """
    installation = environment.load()
    logs.configure(installation.log_level)
    if invite and not Mailer(installation).is_on:
        raise Unprocessable(reason="--invite needs a mail server: set OPSMANTIK_SMTP_URL")
    if not do_import:
        asyncio.run(_look(dsn, seconds))
        typer.echo("\nNothing was written. With --import it is taken over; that may be repeated at any time.")
        return
    embedded.require_running(installation)
    wanted = Wanted(keep_admins=admins, queue_unsent=queue_unsent)
    outcome = asyncio.run(_adopt(dsn, seconds, installation, wanted))
    _tell_figures(outcome.lines, outcome.sites)
    for site in outcome.new_public_ids:
        typer.echo(f"{site.name} has the new public id {site.public_id}: its pages need the new snippet.")
    asyncio.run(_tell_people(outcome.made, installation, invite=invite))
    if outcome.unexplained:
        typer.echo(f"{len(outcome.unexplained)} figures differ without a reason.", err=True)
        raise typer.Exit(1)


async def _look(dsn: str, seconds: int) -> None:
    async with open_old(dsn, seconds) as old:
        found = await faults.look(old)
        lines = (await figures.before(old)).lines()
        names = {row["id"]: row["name"] or str(row["id"]) for row in await old.rows(OLD.site_names)}
    _tell_faults(found)
    _tell_figures(lines, names, before_only=True)


async def _adopt(dsn: str, seconds: int, installation: Settings, wanted: Wanted) -> Outcome:
    owner_dsn, _ = embedded.database_urls(installation)
    async with open_old(dsn, seconds) as old:
        owner = await runner.connect(owner_dsn)
        try:
            with Bar() as bar:
                return await take_over(old, owner, wanted, bar)
        finally:
            await owner.close()


def _tell_faults(found: Sequence[Found]) -> None:
    table = Table("", "How many", "What is there", "What becomes of it", box=None, header_style="bold")
    for fault, n in found:
        if n:
            mark = "" if fault.harmless else "[yellow]![/]"
            table.add_row(mark, f"{n:,}", fault.what, fault.becomes)
    console.print(table)
    clean = sum(1 for fault, n in found if not n and not fault.harmless)
    console.print(f"{clean} kinds of fault were looked for and not found.", highlight=False)


def _tell_figures(lines: Sequence[Line], names: dict[Any, str], *, before_only: bool = False) -> None:
    headings = (
        ("Site", "Month", "Figure", "There")
        if before_only
        else ("Site", "Month", "Figure", "There", "Here", "Why not the same")
    )
    table = Table(*headings, box=None, header_style="bold")
    for line in lines:
        name = names.get(
            line.place.site_id, "nobody's" if line.place.site_id is None else str(line.place.site_id)
        )
        row = [name, f"{line.place.month:%Y-%m}", line.place.measure, f"{line.before:,}"]
        if not before_only:
            why = [f"{n:+,} {reason}" for reason, n in line.reasons.items()]
            why += [f"[red]{line.unexplained:+,} unexplained[/]"] if line.unexplained else []
            row += [f"{line.after:,}", "; ".join(why)]
        table.add_row(*row)
    console.print(table)


async def _tell_people(made: Sequence[NewPerson], installation: Settings, *, invite: bool) -> None:
    """Nobody has a password here: each needs a link to one."""
    people = [person for person in made if not person.is_off]
    if not people:
        return
    if not invite:
        typer.echo(
            "\nNobody has a password yet. `opsmantik user reset-link ADDRESS` makes a link to one, for:"
        )
        for person in people:
            typer.echo(f"  {person.email}")
        return
    mailer = Mailer(installation)
    owner = await runner.connect(embedded.database_urls(installation)[0])
    try:
        for person in people:
            typer.echo(
                f"  {person.email}: {await _invite(owner, mailer, person.email, installation.base_url)}"
            )
    finally:
        await owner.close()


async def _invite(owner: Any, mailer: Mailer, address: str, base_url: str) -> str:
    try:
        link = f"{base_url}/reset/{await manage.reset_link(owner, address)}"
        await mailer.send(address, "Your sites have moved", LETTER.format(link=link))
    except MailFailed as refused:
        return f"no link was sent: {refused.message}"
    except OpsMantikError as refused:
        return refused.message
    return "a link was sent"


LETTER = """\
The sites that you look after have moved to OpsMantik. All of their visits and leads are there.

Choose a password, and sign in:
{link}

The link is good once, for a day. After that ask for another at the sign-in page.
"""
