"""How often one client may post for one site: the generic cell rate algorithm, one number a client.

The number is when the client's requests so far are paid off; it may lie ahead of the clock by the burst. It is kept
in this process, and in Valkey as well where nodes share one: then all of them together allow what one would. Requests
of the same turn of the event loop ask Valkey together, in one round trip. Its answers are noted here too, so that a
client that must wait is told so without asking, and nobody is forgiven when Valkey goes away: until it is back each
node holds its clients to the limit by itself.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from opsmantik.db.valkey import Valkey
from opsmantik.ingest.payload import MAX_BATCH

MOST_CLIENTS = 100_000
SCRIPT = Path(__file__).with_suffix(".lua").read_text()
MOST_TOGETHER = 500  # in one question to Valkey, so that others who share it do not wait for ours

Client = tuple[str, ...]


class RateLimit:
    """`per_minute` requests in the long run, `burst` at once. In memory: a restart forgives everybody."""

    def __init__(self, per_minute: int, burst: int, shared: SharedLimit | None = None) -> None:
        self.per_minute = per_minute
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._slack = self._gap * burst
        self._due: dict[Client, float] = {}
        self._shared = shared

    async def wait(self, *client: str, cost: int = 1) -> float:
        """0 when the client may go on, else the seconds until it may. Never longer than Valkey may take to answer."""
        if not self._gap:
            return 0.0
        cost = min(cost, MAX_BATCH)  # a larger body is refused anyway
        if self._shared is None or not self._shared.up:
            return self.local(client, cost)
        now = time.monotonic()
        if (due := self._due.get(client, 0.0)) - now > self._slack:
            return due + self._gap * cost - now - self._slack
        ahead = await self._shared.ahead(client, self._gap * cost, self._slack, self._gap * MAX_BATCH)
        if ahead is None:
            return self.local(client, cost)
        self._note(client, time.monotonic(), ahead if ahead >= 0 else self._slack - ahead - self._gap * cost)
        return max(-ahead, 0.0)

    def local(self, client: Client, cost: int = 1) -> float:
        """The same by what this process knows alone."""
        now = time.monotonic()
        due = max(self._due.get(client, 0.0), now) + self._gap * cost
        if due - now > self._slack + self._gap * cost:
            return due - now - self._slack
        self._note(client, now, due - now)
        return 0.0

    def _note(self, client: Client, now: float, ahead: float) -> None:
        if len(self._due) >= MOST_CLIENTS:
            self._due = {name: moment for name, moment in self._due.items() if moment > now}
            if len(self._due) >= MOST_CLIENTS:
                self._due.clear()
        self._due[client] = max(self._due.get(client, 0.0), now + ahead)


class SiteLimit:
    """What all clients of a site together may send to this process: so many events a minute, a tenth of them at once.

    It protects a site's neighbours on this process, so this process counts alone. Sites are few: nothing is forgotten.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._gap = 60.0 / per_minute
        self._slack = self._gap * (per_minute // 10)
        self._due: dict[str, float] = {}

    def wait(self, site: str, cost: int) -> float:
        """0 when the site's events may go on, else the seconds until they may."""
        now = time.monotonic()
        due = self._due.get(site, 0.0)
        if due < now:
            due = now
        elif due - now > self._slack:
            return due - now - self._slack
        self._due[site] = due + self._gap * min(cost, MAX_BATCH)
        return 0.0


class SharedLimit:
    """Asks Valkey, with one question under way at a time: whoever comes meanwhile is in the next one."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._asking: list[tuple[str, list[int], asyncio.Future[float | None]]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether there is anybody to ask."""
        return self._valkey.up

    async def ahead(self, client: Client, cost: float, slack: float, dearest: float) -> float | None:
        """By how many seconds this client is now ahead of the clock; below 0: how long it must wait first.
        ``None``: Valkey does not say. What a request costs, the slack and what the dearest one costs are in seconds.
        """
        answer: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        numbers = [round(seconds * 1e6) for seconds in (cost, slack, dearest)]
        self._asking.append(("opsmantik:limit:" + ":".join(client), numbers, answer))
        if self._task is None:
            self._task = asyncio.create_task(
                self._ask_all()
            )  # begins after the others of this turn have asked
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._asking:
                asking, self._asking = self._asking[:MOST_TOGETHER], self._asking[MOST_TOGETHER:]
                await self._ask(asking)
        finally:
            self._task = None

    async def _ask(self, asking: list[tuple[str, list[int], asyncio.Future[float | None]]]) -> None:
        found = None
        try:
            keys = [key for key, _, _ in asking]
            found = await self._valkey.run(SCRIPT, keys, [n for _, numbers, _ in asking for n in numbers])
        finally:
            for place, (_, _, answer) in enumerate(asking):
                if not answer.done():
                    answer.set_result(found[place] / 1e6 if found is not None else None)
