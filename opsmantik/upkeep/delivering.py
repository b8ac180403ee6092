"""Sends what webhooks are to be told, in every server process, once a second and at once while there is more.

    claim (FOR UPDATE SKIP LOCKED, with a lease) → sign → post → finish

Several processes share the work. What one of them had taken when it died is due again when its lease ends, so a message
arrives at least once, and always under the same id; in which order is not promised. A receiver that hangs takes up its own
few places and no other's.

Enters: the application's pool, the keyring, and the one way out (outbound.py). No door waits for this.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import AddressRefused, DatabaseUnavailable, SealBroken
from opsmantik.keyring import Keyring
from opsmantik.outbound import Answer, CallFailed, Outbound, retry_after
from opsmantik.webhooks import schedule, store
from opsmantik.webhooks.messages import as_sent
from opsmantik.webhooks.signing import signed_headers
from opsmantik.webhooks.store import Claimed, DeliveryTry, Keeper, State

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
AT_ONCE: Final = 32
EACH: Final = 4
"""Of one webhook at most so many at once, and none while the earlier ones are not done."""
LEASE_SECONDS: Final = 60
"""Longer than any try can take."""
STOP_SECONDS: Final = 3.0
GONE: Final = 410

Tell = Callable[[Sequence[Keeper]], Awaitable[None]]


class Delivering:
    """The loop, from start to stop. ``tell`` lets a site's people know that a webhook was switched off."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        outbound: Outbound,
        base_url: str,
        tell: Tell | None = None,
        *,
        every_seconds: float = EVERY_SECONDS,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._outbound = outbound
        self._base_url = base_url
        self._tell = tell
        self._every = every_seconds
        self._lease = lease_seconds
        self._busy: Counter[UUID] = Counter()
        self._under_way: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._work(), name="delivering")

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
        await self._outbound.close()

    def healthy(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    async def turn(self) -> int:
        """Take what is due and begin to send it; how many that are."""
        free = AT_ONCE - len(self._under_way)
        if free <= 0:
            return 0
        async with self._database.connection() as connection:
            taken = await store.claim(
                connection, limit=free, each=EACH, seconds=self._lease, busy=list(self._busy)
            )
        for claimed in taken:
            self._busy[claimed.webhook_id] += 1
            task = asyncio.create_task(self._deliver(claimed), name="delivery")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(taken)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _work(self) -> None:
        while True:
            taken = 0
            try:
                taken = await self.turn()
            except DatabaseUnavailable:
                log.warning("webhooks.wait", reason="the database does not answer")
            except Exception:  # a fault in one turn must not end all later ones
                log.exception("webhooks.failed")
            if taken and self._under_way:
                await asyncio.wait(
                    set(self._under_way), timeout=self._every, return_when=asyncio.FIRST_COMPLETED
                )
            else:
                await asyncio.sleep(self._every)

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            began = time.monotonic()
            now = datetime.now(UTC)
            answer, error = await self._send(claimed, now)
            milliseconds = answer.milliseconds if answer else round((time.monotonic() - began) * 1000)
            tried = DeliveryTry(
                at=now, status=answer.status if answer else None, error=error, milliseconds=milliseconds
            )
            await self._finish(claimed, answer, tried)
        except DatabaseUnavailable:
            log.warning("webhooks.not_noted", delivery=str(claimed.id), reason="the database does not answer")
        except Exception:
            log.exception("webhooks.delivery_failed", delivery=str(claimed.id))
        finally:
            self._busy[claimed.webhook_id] -= 1
            if self._busy[claimed.webhook_id] <= 0:
                del self._busy[claimed.webhook_id]

    async def _send(self, claimed: Claimed, now: datetime) -> tuple[Answer | None, str | None]:
        """The answer, or in a few words why there is none."""
        try:
            body = as_sent(claimed.payload, self._base_url)
            headers = {
                "content-type": "application/json",
                "user-agent": "OpsMantik-Webhooks/1",
                **signed_headers(claimed.event_id, now, body, store.live_secrets(self._keyring, claimed)),
            }
            return await self._outbound.post(claimed.url, body, headers), None
        except AddressRefused as refused:
            return None, f"not called: {refused.details['reason']}"
        except CallFailed as failed:
            return None, str(failed)
        except SealBroken as broken:
            log.error("webhooks.sealed", webhook=str(claimed.webhook_id), error=str(broken))
            return None, "not called: its secret cannot be opened with the keys of this installation"

    async def _finish(self, claimed: Claimed, answer: Answer | None, tried: DeliveryTry) -> None:
        arrived = answer is not None and 200 <= answer.status < 300
        gone = answer is not None and answer.status == GONE
        seconds: float | None = 0.0
        if not arrived:
            asked = retry_after(answer.headers.get("retry-after"), tried.at) if answer else None
            seconds = schedule.delay(claimed.attempts, random.random(), asked)
        state: State = "delivered" if arrived else "given_up" if gone or seconds is None else "failed"
        async with self._database.connection() as connection:
            keepers = await store.finish(
                connection, claimed, state, seconds=seconds or 0.0, tried=tried,
                response=answer.excerpt if answer else None, gone=gone,
            )  # fmt: skip
        if keepers:
            log.warning(
                "webhooks.switched_off", webhook=str(claimed.webhook_id), reason=keepers[0].off_reason
            )
            if self._tell is not None:
                await self._tell(keepers)
