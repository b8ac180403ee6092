"""``opsmantik audit``: is the data whole, are the tenants apart, are the queries fast?

Ends with 1 where something is found at the level of ``--fail-on`` or above, or where a check could not be asked.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from opsmantik import settings as environment
from opsmantik.audit import outputs, run, store
from opsmantik.audit.checks import GROUPS, LEVELS, Check, Level, all_checks
from opsmantik.audit.findings import NOTHING, Baseline, Report, read_baseline
from opsmantik.audit.given import GIVEN
from opsmantik.audit.report import write as reports
from opsmantik.audit.report.document import Document
from opsmantik.cli import logs
from opsmantik.db import embedded
from opsmantik.errors import DatabaseUnavailable, NotFound, Unprocessable
from opsmantik.upkeep import runner

app = typer.Typer(help="Ask the database whether it is as it should be.", invoke_without_command=True)
errors = Console(stderr=True)

Names = Annotated[str, typer.Option(help="Checks or groups by name or number, separated by commas.")]


@app.callback()
def audit(
    context: typer.Context,
    dsn: Annotated[str, typer.Option(help="Another database, which is only read; ours if not given.")] = "",
    as_json: Annotated[bool, typer.Option("--json")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown")] = False,
    as_html: Annotated[bool, typer.Option("--html")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif")] = False,
    output: Annotated[Path | None, typer.Option(help="Write there instead of here.")] = None,
    fail_on: Annotated[str, typer.Option(help=f"One of {', '.join(LEVELS[1:])}.")] = "error",
    only: Names = "",
    skip: Names = "",
    baseline: Annotated[Path | None, typer.Option(help="What may stay, why and until when (TOML).")] = None,
    seconds: Annotated[
        int, typer.Option(min=1, help="The longest that one check may take.")
    ] = run.STATEMENT_SECONDS,
) -> None:
    """Run every check, or those that are named."""
    if context.invoked_subcommand is not None:
        return
    formats = {"json": as_json, "markdown": as_markdown, "html": as_html, "sarif": as_sarif}
    chosen = [name for name, wanted in formats.items() if wanted]
    if len(chosen) > 1:
        raise Unprocessable(reason="one form at a time: --json, --markdown, --html or --sarif")
    level = _level(fail_on)
    checks = _chosen(only, skip)
    accepted = read_baseline(baseline) if baseline else NOTHING
    report, changed = asyncio.run(
        _audit(dsn, checks, accepted, seconds, whole=not (only or skip), quiet=bool(chosen))
    )
    if chosen:
        _write(outputs.WRITERS[chosen[0]](report), output)
    else:
        _print(report, changed, Console(file=output.open("w") if output else None))
    if report.fails(level):
        raise typer.Exit(1)


@app.command("list")
def list_checks() -> None:
    """What there is to check."""
    table = Table("Check", "Group", "Level", "It says", box=None, header_style="bold")
    for check in all_checks():
        table.add_row(check.stem, check.group, check.level, check.title)
    Console().print(table)


@app.command("report")
def report(
    kind: Annotated[
        str,
        typer.Argument(help="phase0: the whole database, in figures. backlog: what is to be done, and how."),
    ],
    dsn: Annotated[str, typer.Option(help="Another database, which is only read; ours if not given.")] = "",
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, which is the rule.")] = False,
    as_html: Annotated[
        bool, typer.Option("--html", help="As a page with charts that needs nothing else.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write there instead of here.")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="What may stay, why and until when (TOML).")] = None,
    seconds: Annotated[
        int, typer.Option(min=1, help="The longest that one check may take.")
    ] = run.STATEMENT_SECONDS,
) -> None:
    """Run every check and write what the database is, or what is to be done to it."""
    if kind not in reports.KINDS:
        raise NotFound(what=f"report {kind}; there are {' and '.join(reports.KINDS)}")
    if as_markdown and as_html:
        raise Unprocessable(reason="one form at a time: --markdown or --html")
    accepted = read_baseline(baseline) if baseline else NOTHING
    made = asyncio.run(_document(dsn, kind, accepted, seconds))
    _write(reports.WRITERS["html" if as_html else "markdown"](made), output)


async def _document(dsn: str, kind: str, accepted: Baseline, seconds: int) -> Document:
    connection = await _connect(dsn, "" if dsn else _own_dsn())
    try:
        found = await run.audit(
            connection, list(all_checks()), GIVEN, baseline=accepted, statement_seconds=seconds
        )
        return await reports.document(connection, found, kind)
    finally:
        await connection.close()


async def _connect(dsn: str, own: str) -> Any:
    """To another database, or to ours."""
    try:
        return await run.connect(dsn or own)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise (
            Unprocessable(reason=f"the database cannot be reached: {error}") if dsn else DatabaseUnavailable
        ) from None


async def _audit(
    dsn: str, checks: list[Check], accepted: Baseline, seconds: int, *, whole: bool, quiet: bool
) -> tuple[Report, store.Change | None]:
    own = "" if dsn else _own_dsn()
    connection = await _connect(dsn, own)
    show = errors.status("Looking") if errors.is_terminal and not quiet else None
    try:
        if show:
            show.start()
        report = await run.audit(
            connection, checks, GIVEN, baseline=accepted, statement_seconds=seconds,
            on_progress=lambda check: show.update(check.title) if show else None,
        )  # fmt: skip
    finally:
        if show:
            show.stop()
        await connection.close()
    return report, (await _compare(own, report, keep=whole) if own else None)


async def _compare(own: str, report: Report, *, keep: bool) -> store.Change | None:
    """How the run differs from the last whole one; a whole one takes its place."""
    connection = await runner.connect(own)
    try:
        await connection.execute("SET app.maintenance = 'on'")
        before = await store.latest(connection)
        if keep:
            await store.keep(connection, report)
        return None if before is None else store.change(before, report)
    finally:
        await connection.close()


def _own_dsn() -> str:
    installation = environment.load()
    logs.configure(installation.log_level)
    embedded.require_running(installation)
    return embedded.database_urls(installation)[0]


def _level(given: str) -> Level:
    for level in LEVELS[1:]:
        if level == given:
            return level
    raise Unprocessable(reason=f"--fail-on is one of {', '.join(LEVELS[1:])}")


def _chosen(only: str, skip: str) -> list[Check]:
    checks = list(all_checks())
    wanted, unwanted = (_named(names, checks) for names in (only, skip))
    return [check for check in checks if (not only or check in wanted) and check not in unwanted]


def _named(names: str, checks: list[Check]) -> list[Check]:
    found: list[Check] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        fitting = [c for c in checks if name in (c.name, c.stem, c.group, f"{c.number:04}", str(c.number))]
        if not fitting:
            raise NotFound(
                what=f"check {name}; opsmantik audit list names them, the groups are {', '.join(GROUPS)}"
            )
        found += fitting
    return found


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")


def _print(report: Report, changed: store.Change | None, console: Console) -> None:
    found = outputs.ledger(report)
    if found:
        table = Table("Level", "Check", "Object", "What", "Figure", "Remedy", box=None, header_style="bold")
        for result, row in found:
            style = "red" if row.level == "error" else "yellow"
            table.add_row(
                f"[{style}]{row.level}[/]",
                result.stem,
                row.object,
                row.detail,
                outputs.figure(row.figure),
                row.remedy,
            )
        console.print(table)
    for result in report.unknown():
        console.print(f"[red]not answered[/] {result.stem}: {result.reason}", highlight=False)
    hidden = [result for result in report.results if (result.reason or "").startswith(run.HIDES)]
    if hidden:
        console.print(
            f"[yellow]not asked[/] {len(hidden)} checks, as {run.HIDES} from this role. Ask as the tables' owner, or as a"
            " role with BYPASSRLS.",
            highlight=False,
        )
    for words in report.expired:
        console.print(f"[yellow]no longer accepted[/] {words}", highlight=False)
    for words in report.unused:
        console.print(f"accepted and not found: {words}", highlight=False)
    console.print(_summary(report, changed), highlight=False)


def _summary(report: Report, changed: store.Change | None) -> str:
    n: dict[str, Any] = outputs.counts(report)
    words = (
        f"{n['checks']} checks of {report.database} in {report.seconds:.1f} s: {_several(n['error'], 'error')},"
        f" {_several(n['warn'], 'warning')},"
        f" {n['accepted']} accepted, {n['clean']} clean, {n['not_applicable']} not applicable, {n['unknown']} not answered."
    )
    if changed is not None:
        words += f" Since the last run: {len(changed.new)} new, {len(changed.gone)} gone."
    return words


def _several(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
