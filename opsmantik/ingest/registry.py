"""The sites as the doors know them: all of them, in memory, read anew when told or when a few seconds old."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import structlog

from opsmantik.db.connect import Database
from opsmantik.db.listen import Listener
from opsmantik.errors import DatabaseUnavailable
from opsmantik.event import Site

log = structlog.get_logger()

CHANNEL = "opsmantik_sites"
REFRESH_SECONDS = 5.0
# A stranger who posts for sites that do not exist makes us look at most this often.
LEAST_SECONDS = 0.2


class Registry:
    """Answers from memory, in the same time for a site that exists and for one that does not."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sites: dict[str, Site] = {}
        self._read_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._ask = asyncio.Event()
        # Sites are made and changed on other nodes too; their functions say so on this channel.
        self._listener = Listener(
            database.dsn, CHANNEL, lambda payload: self._ask.set(), self._ask.set, name="sites"
        )

    async def start(self) -> None:
        await self.refresh()
        self._task = asyncio.create_task(self._keep())
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop()
        if self._task is not None:
            self._task.cancel()

    def find(self, public_id: str | None) -> Site | None:
        """The site of this public id, or None. A miss asks for a look at the database, soon."""
        site = self._sites.get(public_id) if public_id is not None else None
        if site is None:
            self._ask.set()
        return site

    def sites(self) -> list[Site]:
        """All sites, as they were known a moment ago."""
        return list(self._sites.values())

    async def refresh(self) -> None:
        self._read_at = time.monotonic()
        async with self._database.connection() as connection:
            rows = await connection.fetch("SELECT * FROM ingest_sites()")
        self._sites = {
            row["public_id"]: Site(
                id=UUID(int=row["id"].int),
                public_id=row["public_id"],
                domain=row["domain"],
                time_zone=row["time_zone"],
                region=row["region"],
                currency=row["currency"],
                consent_mode=row["consent_mode"],
                attribution_window_days=row["attribution_window_days"],
                disabled=row["disabled"],
                origins=frozenset(row["origins"]),
            )
            for row in rows
        }

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._ask.wait()
                await asyncio.sleep(max(0.0, self._read_at + LEAST_SECONDS - time.monotonic()))
            except TimeoutError:
                pass
            self._ask.clear()
            try:
                await self.refresh()
            except DatabaseUnavailable:
                log.warning("ingest.sites_not_read")  # the ones in memory serve on
            except Exception:
                log.exception("ingest.sites_not_read")
