"""Mails people a summary of a site, every day or every Monday, in every server process; only where a mail server is set.

A wish is taken with a lease, by one server at a time; what is kept of a summary is the day on which it was due, so it goes
out once per person, site and day. That is noted after the mail server has taken it: a process that dies between the two
leaves the lease to run out, and another sends that summary again. Once more at most for each such death, and never not at
all; mails of one summary carry the same Message-ID, by which many mail programs show them once.

After a pause only the latest is sent. What a mail says, and for whom the figures are asked, is the door's business
(web/summary_mail.py).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable, MailFailed
from opsmantik.mail import Mailer
from opsmantik.notifications import summary, summary_store
from opsmantik.notifications.summary_store import DueSummary
from opsmantik.upkeep.notifying import RETRIES, Letter

log = structlog.get_logger()

EVERY_SECONDS: Final = 20.0
AT_ONCE: Final = 4
LEASE_SECONDS: Final = 180
"""Much longer than figures and a mail server take together (mail.SECONDS)."""


class Compose(Protocol):
    """Asks for the figures as the person who gets them, and puts them into words."""

    async def __call__(self, due: DueSummary, day: date) -> Letter | None:
        """None where the person may not see the site any more."""
        ...


class Summarizing:
    """The loop, from start to stop; it does nothing without a mail server."""

    def __init__(
        self, database: Database, mailer: Mailer, compose: Compose, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._compose = compose
        self._every = every_seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        if self._mailer.is_on:
            self._task = asyncio.create_task(self._work(), name="summarizing")

    async def stop(self) -> None:
        """End; what is not sent yet waits."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def turn(self, now: datetime | None = None) -> int:
        """Look at the wishes that are due; how many summaries went out."""
        async with self._database.connection() as connection:
            due = await summary_store.claim(connection, limit=AT_ONCE, seconds=LEASE_SECONDS)
        sent = 0
        for one in due:  # one after another: each asks for a good many figures
            sent += await self._look(one, now or datetime.now(UTC))
        return sent

    async def _work(self) -> None:
        while True:
            more = 0
            try:
                more = await self.turn()
            except DatabaseUnavailable:
                log.warning("summaries.wait", reason="the database does not answer")
            except Exception:  # a fault in one turn must not end all later ones
                log.exception("summaries.failed")
            await asyncio.sleep(0 if more else self._every)

    async def _look(self, due: DueSummary, now: datetime) -> bool:
        """One person's wish about one site: whether a summary went out."""
        day = summary.due_day(due.pace, due.at_hour, due.time_zone, now)
        following = summary.next_at(due.pace, due.at_hour, due.time_zone, now)
        if due.switched_off or (due.sent_for is not None and day <= due.sent_for):
            await self._finish(due, None, following)
            return False
        try:
            letter = await self._compose(due, day)
            if letter is not None:
                await self._mailer.send(
                    due.email, letter.subject, letter.text, letter.headers, letter.html, letter.pictures
                )
        except DatabaseUnavailable:  # nothing has been sent: when it is back
            raise
        except MailFailed as failed:
            await self._try_again(due, day, following, now, str(failed))
            return False
        except Exception:  # one that cannot be made must not keep those after it waiting
            log.exception("summaries.not_made", site=str(due.site_id))
            await self._try_again(due, day, following, now, "it could not be made")
            return False
        await self._finish(due, day, following)
        return letter is not None

    async def _try_again(
        self, due: DueSummary, day: date, following: datetime, now: datetime, reason: str
    ) -> None:
        """Later, or not at all: then the next one is sent when it is due."""
        seconds = RETRIES[due.failures] if due.failures < len(RETRIES) else None
        log.warning("summaries.not_mailed", site=str(due.site_id), reason=reason, again=seconds)
        again = None if seconds is None else now + timedelta(seconds=seconds)
        if again is None or again >= following:
            await self._finish(due, day, following)
        else:
            await self._finish(due, None, again, failed=True)

    async def _finish(
        self, due: DueSummary, day: date | None, next_at: datetime, *, failed: bool = False
    ) -> None:
        async with self._database.connection() as connection:
            await summary_store.finish(connection, due, sent_for=day, next_at=next_at, failed=failed)
