"""``opsmantik privacy``: what is known of one person on a site, handed out or erased, from the server itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from opsmantik import settings as environment
from opsmantik.cli import logs
from opsmantik.db import embedded
from opsmantik.errors import UnknownSite, Unprocessable
from opsmantik.keyring import keyring
from opsmantik.privacy import erasure, export, store
from opsmantik.privacy.certificate import is_genuine
from opsmantik.privacy.erasure import Transactions
from opsmantik.privacy.subject import Seals, Subject
from opsmantik.settings import Settings
from opsmantik.upkeep import runner
from opsmantik.upkeep.subjects import read_subject

T = TypeVar("T")

app = typer.Typer(help="What is known of one person: export it, erase it.", no_args_is_help=True)

SiteArgument = Annotated[str, typer.Argument(help="The site, by its id or public id.")]
KindArgument = Annotated[str, typer.Argument(help="phone, email, visitor or session.")]
TapsOption = Annotated[bool, typer.Option("--with-taps", help="Of a number: whoever tapped it as well.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="File to write; the terminal if not given.")]


# The value is asked for, or read from a pipe: what stands in a command stands in the shell's history.
def _value() -> str:
    return str(typer.prompt("Number, address or id", err=True))


@app.command("erase")
def erase(
    site: SiteArgument,
    kind: KindArgument,
    with_taps: TapsOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    out: OutOption = None,
) -> None:
    """Erase a person and print the signed certificate. Says first how much there is."""
    value = _value()

    async def count(
        transactions: Transactions, site_id: UUID, subject: Subject, _: Settings
    ) -> erasure.Preview:
        async with transactions() as connection:
            return await erasure.preview(connection, site_id, subject)

    found = _about(site, kind, value, with_taps, count)
    totals: Counter[str] = Counter()
    for size in found.rows:
        totals[size.name] += size.n
    typer.echo(", ".join(f"{name}: {n}" for name, n in totals.items()) or "nothing is known of it", err=True)
    if found.taps and not with_taps:
        typer.echo(f"The number was tapped in {found.taps} visits; those are not counted.", err=True)
    if not yes:
        typer.confirm("Erase it for good?", abort=True, err=True)

    async def work(transactions: Transactions, site_id: UUID, subject: Subject, known: Settings) -> bytes:
        seals = Seals(environment.secret(known))
        return (await erasure.erase(transactions, site_id, subject, keyring(known), seals))[1]

    _write(_about(site, kind, value, with_taps, work), out)


@app.command("export")
def export_(
    site: SiteArgument, kind: KindArgument, with_taps: TapsOption = False, out: OutOption = None
) -> None:
    """Print all that is known of a person, as JSON."""

    async def work(transactions: Transactions, site_id: UUID, subject: Subject, known: Settings) -> bytes:
        async with transactions() as connection:
            return await export.export(connection, site_id, subject, Seals(environment.secret(known)))

    _write(_about(site, kind, _value(), with_taps, work), out)


@app.command("check")
def check(certificate: Annotated[Path, typer.Argument(help="The certificate's file.")]) -> None:
    """Say whether this installation signed a certificate; ends with 1 if not."""
    if not is_genuine(certificate.read_bytes().strip(), Seals(environment.secret(environment.load()))):
        typer.echo("not genuine")
        raise typer.Exit(1)
    typer.echo("genuine")


def _write(document: bytes, out: Path | None) -> None:
    if out is None:
        typer.echo(document.decode())
    else:
        out.write_bytes(document)


def _about(
    site: str,
    kind: str,
    value: str,
    with_taps: bool,
    work: Callable[[Transactions, UUID, Subject, Settings], Awaitable[T]],
) -> T:
    """Do the work as the schema's owner, on this site, about this person."""
    installation = environment.load()
    logs.configure(installation.log_level)
    embedded.require_running(installation)

    async def whole() -> T:
        connection = await runner.connect(embedded.database_urls(installation)[0])

        @asynccontextmanager
        async def transactions() -> AsyncIterator[Any]:
            async with connection.transaction():
                await connection.execute("SET LOCAL app.maintenance = 'on'")
                yield connection

        try:
            async with transactions():
                site_id = await _site(connection, site)
                region = (await store.site_privacy(connection, site_id)).region
            subject = read_subject(kind, value, region, with_taps=with_taps)
            return await work(transactions, site_id, subject, installation)
        finally:
            await connection.close()

    return asyncio.run(whole())


async def _site(connection: Any, asked: str) -> UUID:
    try:
        name = UUID(asked)
    except ValueError:
        raise Unprocessable(reason="a site is named by its id or its public id") from None
    found: UUID | None = await connection.fetchval(store.SQL.site_named, name, name.hex)
    if found is None:
        raise UnknownSite
    return found
