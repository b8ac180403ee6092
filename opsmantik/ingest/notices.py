"""After commit: "site S is at sequence N", at most so often, so that screens know to look again.

Never one an event, and never inside the transaction that writes: NOTIFY takes a lock that all committing
transactions share. A new intent is announced at once, everything else at most once a second and site.
"""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable

log = structlog.get_logger()

CHANNEL = "opsmantik"
EVERY_SECONDS = 1.0
INTENT_SECONDS = 0.2


class Notices:
    """Collects what writers announce; payloads are ``<site uuid>:<sequence>:<i|e>``, i where an intent is new."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._due: dict[UUID, tuple[int, bool]] = {}
        self._sent_at: dict[UUID, float] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def changed(self, site_id: UUID, sequence: int, intents: bool) -> None:
        known = self._due.get(site_id)
        self._due[site_id] = (max(sequence, known[0]), intents or known[1]) if known else (sequence, intents)
        self._wake.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._send(list(self._due))

    async def _keep(self) -> None:
        while True:
            if not self._due:
                self._wake.clear()
                await self._wake.wait()
            now = time.monotonic()
            ready: list[UUID] = []
            nearest = EVERY_SECONDS
            for site_id, (_, intents) in self._due.items():
                wait = self._sent_at.get(site_id, 0.0) + (INTENT_SECONDS if intents else EVERY_SECONDS) - now
                if wait <= 0:
                    ready.append(site_id)
                else:
                    nearest = min(nearest, wait)
            if ready:
                await self._send(ready)
            else:
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), nearest)
                    await asyncio.sleep(0.005)  # let the rest of a burst come in
                except TimeoutError:
                    pass

    async def _send(self, sites: list[UUID]) -> None:
        payloads = []
        now = time.monotonic()
        for site_id in sites:
            sequence, intents = self._due.pop(site_id)
            self._sent_at[site_id] = now
            payloads.append(f"{site_id}:{sequence}:{'i' if intents else 'e'}")
        if not payloads:
            return
        try:
            async with self._database.connection() as connection:
                await connection.execute(
                    "SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p", CHANNEL, payloads
                )
        except DatabaseUnavailable:
            log.warning(
                "ingest.notice_lost", sites=len(payloads)
            )  # screens catch up by sequence when it is back
