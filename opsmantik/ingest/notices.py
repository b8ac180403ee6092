"""After commit: "site S is at sequence N", at most so often, so that screens know to look again.

Never one an event, and never inside the transaction that writes: NOTIFY takes a lock that all committing
transactions share. A new intent is announced at once, but at most five times a second and site; everything else once
a second. The sequence is asked for when the notice goes out: one statement for all sites that are due.

Notices go through PostgreSQL, or through Valkey where there is one. Who listens hears both, so whatever Valkey did
not pass on goes the other way at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from opsmantik.db.connect import Database
from opsmantik.db.valkey import Valkey

log = structlog.get_logger()

CHANNEL = "opsmantik"
EVERY_SECONDS = 1.0
INTENT_SECONDS = 0.2

# A site that was created in this very moment may have no row yet: then there is nothing to announce.
PAYLOADS = """SELECT s.site_id || ':' || s.sequence || ':' || due.kind AS payload
FROM unnest($1::uuid[], $2::text[]) AS due (site_id, kind) JOIN site_sequences($1) AS s ON s.site_id = due.site_id"""
ANNOUNCE = f"SELECT pg_notify($3, payload) FROM ({PAYLOADS}) AS p"  # noqa: S608 - our own constants
NOTIFY = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS p (payload)"


class Notices:
    """Collects what writers announce; payloads are ``<site uuid>:<sequence>:<i|e>``, i where an intent is new."""

    def __init__(self, database: Database, valkey: Valkey | None = None) -> None:
        self._database = database
        self._valkey = valkey
        self._due: dict[UUID, bool] = {}
        self._sent_at: dict[UUID, float] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._late = False

    def changed(self, site_id: UUID, intents: bool) -> None:
        """Something of the site has been committed; ``intents``: a new lead among it. Costs nobody any time."""
        self._due[site_id] = intents or self._due.get(site_id, False)
        self._wake.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Say what is left, then end."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._send(list(self._due))

    async def _keep(self) -> None:
        while True:
            if not self._due:
                self._wake.clear()
                await self._wake.wait()
            now = time.monotonic()
            ready: list[UUID] = []
            nearest = EVERY_SECONDS
            for site_id, intents in self._due.items():
                wait = self._sent_at.get(site_id, 0.0) + (INTENT_SECONDS if intents else EVERY_SECONDS) - now
                if wait <= 0:
                    ready.append(site_id)
                else:
                    nearest = min(nearest, wait)
            if ready:
                await self._send(ready)
            else:
                self._wake.clear()
                # Not wait_for: before Python 3.12 it may swallow a cancellation that comes with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(nearest):
                        await self._wake.wait()
                        await asyncio.sleep(0.005)  # let the rest of a burst come in

    async def _send(self, sites: Sequence[UUID]) -> None:
        if not sites:
            return
        now = time.monotonic()
        due = [(site_id, self._due.pop(site_id)) for site_id in sites]
        self._sent_at.update(dict.fromkeys(sites, now))
        try:
            await self._announce(list(sites), ["i" if intents else "e" for _, intents in due])
            self._late = False
        except asyncio.CancelledError:
            self._again(due)
            raise
        except Exception as lost:
            if not self._late:
                log.warning("ingest.notices_late", error=str(lost))
            self._late = True
            self._again(due)

    def _again(self, due: list[tuple[UUID, bool]]) -> None:
        """What could not be said is still to be said; as often as anything else, since a lead is late by now."""
        for site_id, intents in due:
            self._sent_at[site_id] = time.monotonic() + EVERY_SECONDS - INTENT_SECONDS
            self.changed(site_id, intents)

    async def _announce(self, sites: list[UUID], kinds: list[str]) -> None:
        async with self._database.connection() as connection:
            if self._valkey is None or not self._valkey.up:
                await connection.execute(ANNOUNCE, sites, kinds, CHANNEL)
                return
            payloads = [row["payload"] for row in await connection.fetch(PAYLOADS, sites, kinds)]
        if payloads and not await self._valkey.publish(CHANNEL, payloads):
            async with self._database.connection() as connection:
                await connection.execute(NOTIFY, CHANNEL, payloads)
