"""Not more calls than a platform allows: at most so many in any span of so many seconds, by this process.

A window that slides, not one that begins anew each minute: 300 calls at the end of one minute and 300 at the beginning of
the next are 600 within seconds, which the platform refuses.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from opsmantik.conversions.adapters import Trouble, Why

LONGEST_WAIT: Final = 90.0
"""Seconds that a call waits for its turn; beyond that it is put off. Well below the time for which a batch is claimed."""


class Pace:
    """``most`` calls in ``seconds``; :meth:`hold` when the platform asks for more patience than that."""

    def __init__(
        self,
        most: int,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._most, self._seconds = most, seconds
        self._clock, self._sleep = clock, sleep
        self._calls: deque[float] = deque()
        self._held_until = float("-inf")

    async def turn(self) -> None:
        """Wait until a call may be made, and count it.

        Raises :class:`~opsmantik.conversions.adapters.Trouble` (busy) where that would take too long; nothing was sent.
        """
        while True:
            now = self._clock()
            while self._calls and self._calls[0] <= now - self._seconds:
                self._calls.popleft()
            full = self._calls[0] + self._seconds - now if len(self._calls) >= self._most else 0.0
            wait = max(full, self._held_until - now)
            if wait <= 0:
                self._calls.append(now)
                return
            if wait > LONGEST_WAIT:
                raise Trouble(Why.BUSY, "quota", "the platform wants to be left alone", wait)
            await self._sleep(wait)

    def hold(self, seconds: float) -> None:
        """Nobody has a turn for so long."""
        self._held_until = max(self._held_until, self._clock() + seconds)
