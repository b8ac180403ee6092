"""Which origins a site's events come from, told to the database now and then: a site's own traffic verifies its origins.

Off the way of an event: noting one is a look into a dictionary, and a second later one statement tells of all that were
seen for the first time in a minute.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import UUID

import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable
from opsmantik.event import Site

log = structlog.get_logger()

EVERY_SECONDS = 1.0
# An origin is told of at most this often.
LEAST_MS = 60_000
# A star covers any number of names; strangers can make them up.
MOST = 10_000

SEEN = "SELECT origins_seen($1, $2)"


class OriginsSeen:
    """The loop, from start to stop."""

    def __init__(self, database: Database, every_seconds: float = EVERY_SECONDS) -> None:
        self._database = database
        self._every = every_seconds
        self._told: dict[tuple[str, str], int] = {}
        self._new: dict[tuple[UUID, str], None] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="origins seen")

    async def stop(self) -> None:
        """End; what was not told yet will be seen again."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def saw(self, site: Site, origin: str, now_ms: int) -> None:
        """An event from there was stored."""
        name = (site.public_id, origin)
        if now_ms - self._told.get(name, 0) < LEAST_MS:
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[name] = now_ms
        entry = site.origin_entry(origin)
        if entry is not None:
            self._new[site.id, entry] = None
            self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._every)
            self._wake.clear()
            seen, self._new = list(self._new), {}
            try:
                async with self._database.connection() as connection:
                    await connection.execute(SEEN, [site for site, _ in seen], [origin for _, origin in seen])
            except DatabaseUnavailable:
                log.warning("origins.not_told", reason="the database does not answer")
            except Exception:  # a fault in one turn must not end all later ones
                log.exception("origins.not_told")
