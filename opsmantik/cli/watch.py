"""``opsmantik watch``: what the watchdog sees now, and how it tells of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import typer

from opsmantik import settings as environment
from opsmantik.cli import logs
from opsmantik.db import embedded
from opsmantik.errors import Unprocessable
from opsmantik.mail import Mailer
from opsmantik.outbound import Outbound
from opsmantik.settings import Settings
from opsmantik.upkeep import runner, watching
from opsmantik.upkeep.runner import Detail, Job
from opsmantik.web.health import MEGABYTE, free_bytes

app = typer.Typer(help="What is wrong with this installation.", invoke_without_command=True)

TEST: Final = "This is a test: the watchdog of this installation can reach you."


def channels_of(installation: Settings) -> watching.Channels:
    """How this installation tells of what is wrong."""
    hook = installation.alert_webhook
    return watching.Channels(
        mailer=Mailer(installation), outbound=Outbound(installation.webhook_networks) if hook else None, webhook=hook,
        secret=watching.alert_secret(environment.secret(installation)), base_url=installation.base_url,
    )  # fmt: skip


def free_mb(installation: Settings) -> int | None:
    """Megabytes free on the home directory's disk."""
    free = free_bytes(installation.home)
    return None if free is None else free // MEGABYTE


async def watch_job(connection: Any) -> Detail:
    """The job: one round."""
    installation = environment.load()
    channels = channels_of(installation)
    try:
        return await watching.watch(
            connection, channels, free_mb=free_mb(installation), least_free_mb=installation.disk_free_mb
        )
    finally:
        if channels.outbound is not None:
            await channels.outbound.close()


WATCH: Final = Job("watch", watching.EVERY_SECONDS, watch_job)


@app.callback()
def show(context: typer.Context) -> None:
    """Look now, tell nobody; ends with 1 where something is wrong."""
    if context.invoked_subcommand is not None:
        return
    installation = environment.load()
    logs.configure(installation.log_level)
    embedded.require_running(installation)

    async def work() -> list[watching.Trouble]:
        connection = await runner.connect(embedded.database_urls(installation)[0])
        try:
            return await watching.look(
                connection, mail_is_on=installation.smtp_url is not None, free_mb=free_mb(installation),
                least_free_mb=installation.disk_free_mb,
            )  # fmt: skip
        finally:
            await connection.close()

    found = asyncio.run(work())
    for trouble in found:
        typer.echo(f"{trouble.name}: {trouble.says}")
    if found:
        raise typer.Exit(1)
    typer.echo("Nothing is wrong.")


@app.command()
def secret() -> None:
    """Print the secret that receivers of OPSMANTIK_ALERT_WEBHOOK verify its messages with (Standard Webhooks)."""
    typer.echo(watching.alert_secret(environment.secret(environment.load())))


@app.command()
def test() -> None:
    """Post a test message to OPSMANTIK_ALERT_WEBHOOK."""
    installation = environment.load()
    logs.configure(installation.log_level)
    channels = channels_of(installation)
    if channels.webhook is None:
        raise Unprocessable(reason="OPSMANTIK_ALERT_WEBHOOK is not set")
    now = datetime.now(UTC)
    alert = watching.Alert(0, "test", TEST, now, None, None, None)

    async def work() -> bool:
        try:
            return await watching.post(channels, alert)
        finally:
            if channels.outbound is not None:
                await channels.outbound.close()

    if not asyncio.run(work()):
        typer.echo("It was not taken; the line above tells why.", err=True)
        raise typer.Exit(1)
    typer.echo("It was taken.")
