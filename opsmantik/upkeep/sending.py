"""Sends what is due to the ad platforms, in every server process and in ``opsmantik work``.

    held → queued (once the time for taking it back is over) → claim → send or follow → finish

Several processes share the work (FOR UPDATE SKIP LOCKED). A batch that somebody had claimed when they died is due again
when its lease ends, and is sent again as it was; the order ids in it are what makes that harmless. What platforms are like
stands in conversions/adapters.py; what becomes of rows, in db/functions/send_conversions.sql.

Enters: the application's pool, the adapters, and what opens the platforms. No door waits for this.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Adapter, Answer, Grant, Trouble, Why
from opsmantik.conversions.store import Claimed
from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
AT_ONCE: Final = 4
QUEUE_AT_ONCE: Final = 500
LEASE_SECONDS: Final = 300
"""Longer than any call can take."""
STOP_SECONDS: Final = 5.0
RETRY_SECONDS: Final = (30.0, 120.0, 600.0, 1800.0, 3600.0)
"""After the first, the second ... time that a batch is unsure; the last for all further ones. It is never given up, since
the platform might have it."""
BUSY_SECONDS: Final = 60.0
JITTER: Final = 0.2
CIRCUIT_FAILURES: Final = 5
CIRCUIT_SECONDS: Final = 30.0
CIRCUIT_LONGEST: Final = 1800.0

Open = Callable[[Claimed], Grant]
"""What opens the platform for a claimed batch."""


class Sending:
    """The loop, from start to stop."""

    def __init__(
        self,
        database: Database,
        adapters: Sequence[Adapter],
        open_grant: Open,
        *,
        every_seconds: float = EVERY_SECONDS,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        self._database = database
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._open = open_grant
        self._every = every_seconds
        self._lease = lease_seconds
        self._under_way: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._work(), name="sending")

    async def stop(self) -> None:
        """Take nothing more, and wait a moment for what is under way; the rest is due again when its lease ends."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_SECONDS)
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def healthy(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    async def turn(self) -> int:
        """Queue what is due, take batches while there is room, and begin to send them; how much was found to do."""
        done = 0
        async with self._database.connection() as connection:
            done += await store.queue(connection, QUEUE_AT_ONCE)
            while len(self._under_way) < AT_ONCE:
                claimed = await store.claim(connection, list(self._adapters.values()), seconds=self._lease)
                if claimed is None:
                    break
                done += 1
                if claimed != "nothing_left":
                    task = asyncio.create_task(self._carry(claimed), name="sending-batch")
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
        return done

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _work(self) -> None:
        while True:
            found = 0
            try:
                found = await self.turn()
            except DatabaseUnavailable:
                log.warning("conversions.wait", reason="the database does not answer")
            except Exception:  # a fault in one turn must not end all later ones
                log.exception("conversions.failed")
            if self._under_way and found:
                await asyncio.wait(
                    set(self._under_way), timeout=self._every, return_when=asyncio.FIRST_COMPLETED
                )
            elif not found:
                await asyncio.sleep(self._every * random.uniform(1 - JITTER, 1 + JITTER))

    async def _carry(self, claimed: Claimed) -> None:
        batch = claimed.batch
        adapter = self._adapters[batch.adapter]
        try:
            try:
                answer = await self._ask(adapter, claimed)
            except Trouble as trouble:
                await self._note_trouble(adapter, claimed, trouble)
                return
            async with self._database.connection() as connection:
                if batch.items:
                    await self._note(connection, adapter, answered=True)
                await store.finish(
                    connection, batch, answer.state, seconds=answer.seconds, request_id=answer.request_id,
                    outcomes=answer.outcomes,
                )  # fmt: skip
            log.info(
                "conversions.batch", batch=str(batch.id), site=str(batch.site_id), kind=batch.kind, state=answer.state,
                conversions=len(batch.items), failed=sum(o.outcome == "failed" for o in answer.outcomes),
            )  # fmt: skip
        except DatabaseUnavailable:
            log.warning("conversions.not_noted", batch=str(batch.id), reason="the database does not answer")
        except Exception:
            log.exception("conversions.batch_failed", batch=str(batch.id))

    async def _ask(self, adapter: Adapter, claimed: Claimed) -> Answer:
        batch = claimed.batch
        if not batch.items:  # all of it was erased, or is not to leave any more
            return Answer(state="done")
        grant = self._open(claimed)
        async with asyncio.timeout(self._lease * 0.9):
            try:
                if batch.state == "sent":
                    return await adapter.follow(batch, grant)
                return await adapter.send(batch, grant)
            except TimeoutError:
                raise Trouble(Why.UNSURE, "no_answer", "there was no answer in time") from None

    async def _note_trouble(self, adapter: Adapter, claimed: Claimed, trouble: Trouble) -> None:
        """A batch that did not arrive is dissolved; one that is there, or may be, stays as it is."""
        batch = claimed.batch
        log.warning(
            "conversions.trouble", batch=str(batch.id), site=str(batch.site_id), why=str(trouble.why),
            reason=trouble.reason, detail=trouble.detail,
        )  # fmt: skip
        wait = trouble.seconds
        stays = batch.state == "sent" or trouble.why is Why.UNSURE or batch.attempts > 1
        stops = trouble.why in (Why.NOT_CONNECTED, Why.SETUP)
        async with self._database.connection() as connection:
            if trouble.why is Why.UNSURE:
                await self._note(connection, adapter, answered=False, reason=trouble.reason)
            seconds = wait if wait is not None else self._again(batch.attempts) if stays else BUSY_SECONDS
            await store.finish(
                connection, batch, batch.state if stays else "cancelled",  # type: ignore[arg-type]
                seconds=seconds, error=str(trouble)[:500], trouble=trouble.reason if stops else None,
                pause=seconds if trouble.why is Why.BUSY else None,
            )  # fmt: skip

    @staticmethod
    def _again(attempts: int) -> float:
        seconds = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]
        return seconds * random.uniform(1 - JITTER, 1 + JITTER)

    async def _note(self, connection: object, adapter: Adapter, *, answered: bool, reason: str = "") -> None:
        seconds = await store.note_provider(
            connection, adapter.provider, answered=answered, reason=reason, most=CIRCUIT_FAILURES,
            seconds=CIRCUIT_SECONDS, longest=CIRCUIT_LONGEST,
        )  # fmt: skip
        if seconds:
            log.warning("conversions.provider_left_alone", provider=adapter.provider, seconds=seconds)
