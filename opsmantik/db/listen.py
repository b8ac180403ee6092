"""One connection that listens: LISTEN does not survive a pool, and a lost one must be noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import structlog

from opsmantik.db.connect import UNREACHABLE

log = structlog.get_logger()

PROBE_SECONDS = 10.0
LONGEST_PAUSE = 5.0


class Listener:
    """Calls `heard(channel, payload)` for each notice, and `caught_up()` after every (re)connection: what was
    said in between is lost, so whoever listens must look for themselves then.
    """

    def __init__(
        self,
        dsn: str,
        channels: tuple[str, ...],
        heard: Callable[[str, str], None],
        caught_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._dsn = dsn
        self._channels = channels
        self._heard = heard
        self._caught_up = caught_up
        self._task: asyncio.Task[None] | None = None
        self.connected = False

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._listen()
                pause = 0.1
            except UNREACHABLE as lost:
                log.warning("listen.lost", error=str(lost) or type(lost).__name__)
            self.connected = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _listen(self) -> None:
        connection: Any = await asyncpg.connect(
            self._dsn, server_settings={"application_name": "opsmantik listen"}
        )
        try:
            for channel in self._channels:
                await connection.add_listener(channel, self._on_notice)
            self.connected = True
            self._caught_up()
            while not connection.is_closed():
                await asyncio.sleep(PROBE_SECONDS)
                await connection.execute(
                    "SELECT", timeout=PROBE_SECONDS
                )  # a dead peer says nothing by itself
        finally:
            if not connection.is_closed():
                connection.terminate()

    def _on_notice(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        self._heard(channel, payload)
