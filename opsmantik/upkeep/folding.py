"""Folds the counters' journal, about once a second, in every server process.

Enters: the application's pool. One site is one short transaction; two processes at once are safe, the second finds
the site taken. Nothing waits for this, and no figure changes by it: see :mod:`opsmantik.counters.store`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from opsmantik.counters import store
from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable

log = structlog.get_logger()

EVERY_SECONDS = 1.0


class Folding:
    """The loop, from start to stop."""

    def __init__(self, database: Database, every_seconds: float = EVERY_SECONDS) -> None:
        self._database = database
        self._every = every_seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._work(), name="folding")

    async def stop(self) -> None:
        """End; what is not folded yet waits for the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def healthy(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    async def _work(self) -> None:
        while True:
            try:
                await fold_all(self._database)
            except DatabaseUnavailable:
                log.warning("counters.not_folded", reason="the database does not answer")
            except Exception:  # a fault in one turn must not end all later ones
                log.exception("counters.fold_failed")
            await asyncio.sleep(self._every)


async def fold_all(database: Database) -> int:
    """Fold every site that has something to fold; how many transactions that were."""
    moved = 0
    async with database.connection() as connection:
        for site_id in await store.sites_to_fold(connection):
            moved += max(await store.fold(connection, site_id), 0)
    return moved
