"""One connection that listens: LISTEN does not survive a pool, and a lost one must be noticed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
import structlog

from opsmantik.db.connect import UNREACHABLE

log = structlog.get_logger()

CONNECT_SECONDS = 5
PROBE_SECONDS = 15.0
LONGEST_PAUSE = 5.0


class Listener:
    """Calls ``heard(payload)`` for each notice on the channel, and ``caught_up()`` after every (re)connection: what
    was said in between is lost, so whoever listens must look for themselves then.
    """

    def __init__(
        self,
        dsn: str,
        channel: str,
        heard: Callable[[str], None],
        caught_up: Callable[[], None],
        *,
        name: str,
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._heard = heard
        self._caught_up = caught_up
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self.listening = False

    async def start(self) -> None:
        """Begin to listen; returns at once, and goes on trying while the database is away."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                connection = await asyncpg.connect(
                    self._dsn,
                    timeout=CONNECT_SECONDS,
                    server_settings={"application_name": f"opsmantik {self._name}"},
                )
            except (*UNREACHABLE, asyncpg.PostgresError) as lost:
                if failures == 0:
                    log.warning(f"{self._name}.unreachable", error=str(lost))
                failures += 1
                pause = min(0.2 * 2**failures, LONGEST_PAUSE)
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                continue
            try:
                await self._listen(connection)
            except (*UNREACHABLE, asyncpg.PostgresError) as lost:
                log.warning(f"{self._name}.lost", error=str(lost))
            finally:
                self.listening = False
                connection.terminate()
            failures = 1

    async def _listen(self, connection: Any) -> None:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(self._channel, self._on_notice)
        self.listening = True
        self._caught_up()
        while not ended.is_set():
            # Not wait_for: on Python 3.11 it forgets that it was cancelled if the connection ends in that moment.
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await ended.wait()
            if not ended.is_set():  # a connection that died without a word is found out here
                await connection.fetchval("SELECT 1", timeout=CONNECT_SECONDS)

    def _on_notice(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        self._heard(payload)
