"""Mails people about new leads, as each of them wishes, in every server process; only where a mail server is set.

What waits is in the same outbox as what webhooks are told: written with the lead, taken with a lease, told at least once.
What a mail says is the door's business (web/lead_mail.py); nobody's number is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

import msgspec
import structlog

from opsmantik import clock
from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable, MailFailed
from opsmantik.mail import Mailer
from opsmantik.notifications import store
from opsmantik.notifications.quiet import due_at, is_quiet
from opsmantik.notifications.store import Due, NewLead
from opsmantik.webhooks.store import Keeper

log = structlog.get_logger()

EVERY_SECONDS: Final = 2.0
AT_ONCE: Final = 6
LEASE_SECONDS: Final = 120
SINGLY: Final = 5
"""Whoever wants a mail for every lead gets one for all, when more than so many wait: in a flood, or after a pause."""
MOST_LEADS: Final = 50
RETRIES: Final = (60.0, 300.0, 1800.0, 7200.0, 21600.0)
"""Seconds after which a mail that the server did not take is tried again; then it is given up."""


class Letter(msgspec.Struct, frozen=True):
    """A mail, but for whom it is to; see :meth:`~opsmantik.mail.Mailer.send`."""

    subject: str
    text: str
    headers: Mapping[str, str] = {}
    html: str = ""
    pictures: Mapping[str, bytes] = {}


class Write(Protocol):
    """Puts mails into words."""

    def leads(self, due: Due, leads: Sequence[NewLead]) -> Letter:
        """About one or more new leads."""
        ...

    def switched_off(self, keeper: Keeper) -> Letter:
        """A webhook was switched off."""
        ...


class Notifying:
    """The loop, from start to stop; it does nothing without a mail server."""

    def __init__(
        self, database: Database, mailer: Mailer, write: Write, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._write = write
        self._every = every_seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        if self._mailer.is_on:
            self._task = asyncio.create_task(self._work(), name="notifying")

    async def stop(self) -> None:
        """End; what is not told yet waits."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def tell(self, keepers: Sequence[Keeper]) -> None:
        """Let them know that a webhook was switched off, once; it is in the log of acts too."""
        for keeper in keepers if self._mailer.is_on else ():
            letter = self._write.switched_off(keeper)
            with suppress(MailFailed):
                await self._mailer.send(keeper.email, letter.subject, letter.text, letter.headers)

    async def turn(self, now: datetime | None = None) -> int:
        """Look at the wishes that are due; how many mails went out."""
        async with self._database.connection() as connection:
            due = await store.claim(connection, limit=AT_ONCE, seconds=LEASE_SECONDS)
        looks = [self._look(one, now or datetime.now(UTC)) for one in due]
        ended = await asyncio.gather(*looks, return_exceptions=True)
        for failed in ended:
            if isinstance(failed, BaseException):
                raise failed
        return sum(sent for sent in ended if isinstance(sent, int))

    async def _work(self) -> None:
        while True:
            try:
                await self.turn()
            except DatabaseUnavailable:
                log.warning("notices.wait", reason="the database does not answer")
            except Exception:  # a fault in one turn must not end all later ones
                log.exception("notices.failed")
            await asyncio.sleep(self._every)

    async def _look(self, due: Due, now: datetime) -> int:
        """One person's wish about one site: later, or now."""
        if due.oldest is None or due.pace == "off":
            await self._finish(due, ())
            return 0
        quiet, zone = due.wish.quiet, clock.zone(due.time_zone)
        at = due_at(due.pace, quiet, zone, due.oldest, now)
        if at > now:
            await self._finish(due, (), seconds=(at - now).total_seconds())
            return 0
        async with self._database.connection() as connection:
            leads = await store.leads(connection, due, MOST_LEADS)
        night = quiet is not None and is_quiet(*quiet, zone, due.oldest)
        singly = due.pace == "every" and len(leads) <= SINGLY and not night
        sent = 0
        for some in [[lead] for lead in leads] if singly else [leads] if leads else []:
            if not await self._send(due, some):
                return sent
            sent += 1
        return sent

    async def _send(self, due: Due, leads: Sequence[NewLead]) -> bool:
        letter = self._write.leads(due, leads)
        try:
            await self._mailer.send(due.email, letter.subject, letter.text, letter.headers)
        except MailFailed as failed:
            again = RETRIES[due.failures] if due.failures < len(RETRIES) else None
            log.warning("notices.not_mailed", site=str(due.site_id), reason=str(failed), again=again)
            await self._finish(due, (), failed=True, seconds=again)
            return False
        await self._finish(due, [lead.call_id for lead in leads])
        return True

    async def _finish(
        self, due: Due, told: Sequence[UUID], *, failed: bool = False, seconds: float | None = None
    ) -> None:
        async with self._database.connection() as connection:
            await store.finish(connection, due, told, failed=failed, seconds=seconds)
