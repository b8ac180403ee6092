"""``opsmantik work``: what goes on behind the pages, without the pages. Any number of them may run, beside any number of
servers: they share what is due."""

from __future__ import annotations

import asyncio
import signal

import structlog
import typer

from opsmantik import settings as environment
from opsmantik.settings import Settings

log = structlog.get_logger()


def work(
    jobs: bool = typer.Option(
        True, help="The jobs of `opsmantik upkeep` too, not conversions, webhooks, mails and counters alone."
    ),
) -> None:
    """Send conversions, webhooks and mails, fold counters and do the upkeep, until it is told to stop."""
    import uvloop

    from opsmantik.cli import logs
    from opsmantik.db import embedded

    settings = environment.load()
    logs.configure(settings.log_level)
    embedded.require_running(settings)
    owner_url = embedded.database_urls(settings)[0]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings, owner_url if jobs else None))


async def _work(settings: Settings, owner_url: str | None) -> None:
    from opsmantik.cli.jobs import JOBS
    from opsmantik.cli.watch import WATCH
    from opsmantik.db import embedded
    from opsmantik.keyring import keyring
    from opsmantik.mail import Mailer
    from opsmantik.outbound import Outbound
    from opsmantik.upkeep.runner import Upkeep
    from opsmantik.web.background import Background
    from opsmantik.web.lead_mail import LeadMail, Signer
    from opsmantik.web.rendering import environment as templates
    from opsmantik.web.static_files import StaticFiles
    from opsmantik.web.summary_mail import PURPOSE, SummaryMail

    database = embedded.app_pool(settings)
    await database.open()
    compose = SummaryMail(settings, database, Signer(settings, PURPOSE), templates(StaticFiles()))
    letters = LeadMail(settings, Signer(settings))
    background = Background(
        settings,
        database,
        keyring(settings),
        Mailer(settings),
        Outbound(settings.webhook_networks),
        letters,
        compose,
    )
    # The watchdog by itself: it has to notice a job that hangs.
    upkeep = [
        Upkeep(owner_url, jobs)
        for jobs in ([job for job in JOBS if job is not WATCH], [WATCH])
        if owner_url is not None
    ]
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await background.start()
    for each in upkeep:
        await each.start()
    log.info("work.begun", jobs=bool(upkeep))
    try:
        await told.wait()
    finally:
        for each in upkeep:
            await each.stop()
        await background.stop()
        await database.close()
