"""People at work while visitors come: open dashboards that look when something has changed, and operators who decide.

A dashboard does what a page of a site does: it keeps the stream, asks for the figures again when it was told of a change,
at most once a second, for the breakdowns at most every twenty, and opens the stream again when that ends. An operator looks
at the newest leads that wait, and decides about one every few seconds, sometimes takes it back. Every answer is timed;
whatever is not 200 is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
from load import percentiles
from stand import Stand, VoidError
from tap_to_screen import server_sent_events

from opsmantik.db import roles

DASHBOARDS, OPERATORS = 50, 5
FIGURES_EVERY, BREAKDOWNS_EVERY, AGAIN_SECONDS = 1.0, 20.0, 1.0
THINKS_SECONDS = 2.0  # before the next decision, on average
CLIENTS = 10  # that the dashboards share: one would spend its time choosing connections
UNDONE, JUNK = 0.05, 0.3  # shares of what operators do


class Timed:
    """How long each kind of request took, and what went wrong."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.errors: Counter[str] = Counter()
        self.decided = 0
        self.lost_races = 0
        self.told = 0
        """Changes that streams told of."""
        self.is_over = False

    async def ask(self, kind: str, asking: Any) -> httpx.Response | None:
        """Its answer; None where there was none, or not 200."""
        start = time.perf_counter()
        try:
            answer = await asking
        except httpx.HTTPError as error:
            self.errors[f"{kind}: {type(error).__name__}"] += 1
            return None
        self.seconds.setdefault(kind, []).append(time.perf_counter() - start)
        if answer.status_code == 409 and kind == "decision":
            self.lost_races += 1
        elif answer.status_code != 200:
            self.errors[f"{kind}: {answer.status_code}"] += 1
        else:
            return answer
        return None

    def report(self) -> dict[str, Any]:
        return {
            "latency_ms": {kind: percentiles(seconds) for kind, seconds in self.seconds.items()},
            "requests": {kind: len(seconds) for kind, seconds in self.seconds.items()},
            "errors": dict(self.errors), "decided": self.decided, "lost_races": self.lost_races, "told": self.told,
        }  # fmt: skip


class Dashboard:
    """One open page of a site."""

    def __init__(self, client: httpx.AsyncClient, site: UUID, timed: Timed) -> None:
        self._client, self._site, self._timed = client, site, timed
        self._sequence = 0
        self._due = asyncio.Event()
        self.open = asyncio.Event()

    async def listen(self) -> None:
        """Hear the stream, and open it again when it ends."""
        while True:
            path = f"/api/v1/sites/{self._site}/stream"
            try:
                async with self._client.stream(
                    "GET", path, params={"since": self._sequence}, timeout=None
                ) as answer:
                    if answer.status_code != 200:
                        self._timed.errors[f"stream: {answer.status_code}"] += 1
                    async for event, data in server_sent_events(answer):
                        self.open.set()
                        if event == "change":
                            self._timed.told += 1
                            self._sequence = msgspec.json.decode(data)["sequence"] or self._sequence
                            self._due.set()
            except httpx.HTTPError as error:
                self._timed.errors[f"stream: {type(error).__name__}"] += 1
            await asyncio.sleep(AGAIN_SECONDS)

    async def look(self) -> None:
        """Ask for what a change may have changed."""
        breakdowns = random.uniform(0, BREAKDOWNS_EVERY) - BREAKDOWNS_EVERY + time.monotonic()
        while True:
            await self._due.wait()
            self._due.clear()
            await self._timed.ask("figures", self._client.get(f"/sites/{self._site}/cards/figures"))
            if time.monotonic() - breakdowns >= BREAKDOWNS_EVERY:
                breakdowns = time.monotonic()
                await self._timed.ask("breakdowns", self._client.get(f"/sites/{self._site}/cards/breakdowns"))
            await asyncio.sleep(FIGURES_EVERY)


class Operator:
    """Somebody at the list of leads that wait. ``number`` of ``OPERATORS``: two do not reach for the same lead."""

    def __init__(self, client: httpx.AsyncClient, sites: Sequence[UUID], timed: Timed, number: int) -> None:
        self._client, self._sites, self._timed, self._number = client, sites, timed, number
        self._choices = random.Random(number)

    async def work(self) -> None:
        """Look, decide, think, until it is over: what was begun is finished."""
        while not self._timed.is_over:
            await self._one(self._choices.choice(self._sites))
            await asyncio.sleep(min(self._choices.expovariate(1 / THINKS_SECONDS), 3 * THINKS_SECONDS))

    async def _one(self, site: UUID) -> None:
        query = {"day": "today", "status": "intent,pending", "limit": "50"}
        path = f"/api/v1/sites/{site}/intents"
        answer = await self._timed.ask("list of leads", self._client.get(path, params=query))
        if answer is None:
            return
        mine = [lead for lead in answer.json()["items"] if UUID(lead["id"]).int % OPERATORS == self._number]
        if not mine:
            return
        lead = self._choices.choice(mine)
        path = f"{path}/{lead['id']}"
        body = self._decision() | {"version": lead["version"]}
        done = await self._timed.ask("decision", self._client.post(f"{path}/decisions", json=body))
        if done is None:
            return
        self._timed.decided += 1
        if self._choices.random() < UNDONE:
            undo = {"version": done.json()["version"]}
            if await self._timed.ask("decision", self._client.post(f"{path}/undo", json=undo)):
                self._timed.decided += 1

    def _decision(self) -> dict[str, Any]:
        if self._choices.random() < JUNK:
            return {"action": "junk", "reason": "spam"}
        return {"action": "seal", "amount": self._choices.choice((500, 1500, 2750.5))}


def operators(stand: Stand) -> list[dict[str, str]]:
    """New people who decide on all sites, signed in: their cookies. Outside of any event loop."""
    people = [uuid4() for _ in range(OPERATORS)]

    async def add() -> None:
        admin = await asyncpg.connect(stand.admin_dsn)
        try:
            for person in people:
                await admin.execute(
                    "INSERT INTO users (id, email, name) VALUES ($1, $2, 'Operator')",
                    person,
                    f"{person}@example.com",
                )
                await admin.execute("INSERT INTO profiles (id) VALUES ($1)", person)
                await admin.execute(
                    "INSERT INTO site_members (site_id, user_id, role) SELECT id, $1, 'operator' FROM sites",
                    person,
                )
        finally:
            await admin.close()  # fmt: skip

    asyncio.run(add())
    return [stand.sign_in(person) for person in people]


async def site_ids(stand: Stand) -> list[UUID]:
    """Of the stand's sites, in their order."""
    admin = await asyncpg.connect(stand.admin_dsn)
    try:
        found = {
            row["public_id"]: UUID(int=row["id"].int)
            for row in await admin.fetch("SELECT public_id, id FROM sites")
        }
    finally:
        await admin.close()
    return [found[public_id] for public_id, _ in stand.sites]


@contextlib.asynccontextmanager
async def at_work(
    stand: Stand, owner: dict[str, str], decides: Sequence[dict[str, str]], sites: Sequence[UUID]
) -> AsyncIterator[Timed]:
    """All dashboards open (by the owner's cookie), all operators at work (by theirs)."""
    timed = Timed()
    async with contextlib.AsyncExitStack() as stack:

        async def client(cookies: dict[str, str]) -> httpx.AsyncClient:
            limits = httpx.Limits(max_connections=None)
            return await stack.enter_async_context(
                httpx.AsyncClient(base_url=stand.url, cookies=cookies, limits=limits, timeout=30)
            )

        shared = [await client(owner) for _ in range(CLIENTS)]
        pages = [
            Dashboard(shared[number % CLIENTS], sites[number % len(sites)], timed) for number in range(DASHBOARDS)
        ]  # fmt: skip
        tasks, working = [], []
        try:
            for page in pages:
                tasks.append(asyncio.create_task(page.listen()))
                async with asyncio.timeout(20):
                    await page.open.wait()
                tasks.append(asyncio.create_task(page.look()))
            for number, cookies in enumerate(decides):
                operator = Operator(await client(cookies), sites, timed, number)
                working.append(asyncio.create_task(operator.work()))
            yield timed
            timed.is_over = True
            await asyncio.gather(*working)
            for task in tasks:
                if task.done():
                    await task
        finally:
            for task in (*tasks, *working):
                task.cancel()
            await asyncio.gather(*tasks, *working, return_exceptions=True)


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return _status(pid, "VmRSS")


def own_memory(pid: int) -> int:
    """Bytes that PostgreSQL's processes hold for themselves, without what they share (its buffers)."""
    total = _status(pid, "RssAnon")
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split():
        with contextlib.suppress(OSError, StopIteration):  # it has ended meanwhile
            total += _status(int(child), "RssAnon")
    return total


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


async def wrong_counters(stand: Stand) -> int:
    """How many counters differ from a count of all rows, once everything is folded."""
    owner = await asyncpg.connect(stand.postgres.role_dsn(roles.OWNER), command_timeout=600)
    try:
        await owner.execute("SET app.maintenance = 'on'")
        sites = [row["id"] for row in await owner.fetch("SELECT id FROM sites")]
        found = 0
        for site in sites:
            await owner.execute("SELECT fold_counters($1)", site)
            found += await owner.fetchval("SELECT count(*) FROM counter_differences($1, NULL, NULL)", site)
        return found
    finally:
        await owner.close()


async def decisions(stand: Stand) -> int:
    """How many acts of people there are."""
    admin = await asyncpg.connect(stand.admin_dsn)
    try:
        return int(await admin.fetchval("SELECT count(*) FROM intent_actions WHERE actor_kind = 'person'"))
    finally:
        await admin.close()


def check_books(report: Any, grown: Any, stand: Stand) -> None:
    """Raises :class:`VoidError` unless every event was answered with 200 and what was answered is stored, once."""
    expected = (report.whole_rows, report.whole_events - report.whole_rows, report.whole_taps)
    if report.failures:
        raise VoidError(f"not every answer was 200: {report.failures}\n{stand.words()}")
    if expected != (grown.events, grown.pulses, grown.calls):
        raise VoidError(f"answered {expected} and stored {grown} (rows, pulses, calls)")
