"""Fifty open pages while 500 events a second come in: when each event is visible, and what the pages cost in memory.

An event is accepted when its answer is there, and visible on a page when the page's stream has told of a state of the
site that holds it: from then on every figure asked for has it. The sequence number of that state is read beside, forty
times a second, from the database; so a figure here is never too short, and at most as much too long as a stream lets
pass between two changes that it tells of.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
from load import Report, percentiles
from results import Figure, Wanted, bound_by, figures
from stand import HERE, Stand, VoidError
from tap_to_screen import server_sent_events

STREAMS, RATE, WARM, SECONDS = 50, 500.0, 2.0, 60.0
EARLY = 10 / 60  # of the time, at which memory is looked at first
SAMPLES_A_SECOND = 40
PATIENCE = 3.0  # for what was accepted last


class States:
    """Which state each site was in, and since when it was surely known."""

    def __init__(self) -> None:
        self.asked: list[float] = []  # when the database was asked
        self.sequences: dict[UUID, list[int]] = {}  # what it said, by site

    def covering(self, site: UUID, accepted: float) -> int | None:
        """A sequence that holds whatever was accepted at that moment; None if nobody asked after it."""
        place = bisect.bisect_left(self.asked, accepted)
        return self.sequences[site][place] if place < len(self.asked) else None


class Page:
    """One open page: what its stream told, and when."""

    def __init__(self, site: UUID) -> None:
        self.site = site
        self.told: list[int] = []
        self.at: list[float] = []
        self.open = asyncio.Event()

    async def read(self, client: httpx.AsyncClient) -> None:
        path = f"/api/v1/sites/{self.site}/stream"
        async with client.stream("GET", path, timeout=None) as answer:
            if answer.status_code != 200:
                raise VoidError(f"a stream was answered with {answer.status_code}")
            async for event, data in server_sent_events(answer):
                self.open.set()
                if event == "change" and (sequence := msgspec.json.decode(data)["sequence"]):
                    self.told.append(sequence)
                    self.at.append(time.perf_counter())

    def seen(self, sequence: int) -> float | None:
        """When the page was first told of this state or a later one; the numbers only grow."""
        place = bisect.bisect_left(self.told, sequence)
        return self.at[place] if place < len(self.told) else None


async def _watch(dsn: str, sites: list[UUID], states: States) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        states.sequences = {site: [] for site in sites}
        due = time.perf_counter()
        while True:
            asked = time.perf_counter()
            for site, sequence in await connection.fetch(
                "SELECT site_id, sequence FROM site_sequences($1)", sites
            ):
                states.sequences[UUID(int=site.int)].append(sequence)
            states.asked.append(asked)
            due += 1 / SAMPLES_A_SECOND
            await asyncio.sleep(max(due - time.perf_counter(), 0.001))
    finally:
        connection.terminate()


def _resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def _memory(pid: int, seconds: float) -> tuple[int, int]:
    """Before and after: a sixth into the time, and at its end."""
    await asyncio.sleep(WARM + seconds * EARLY)
    early = _resident(pid)
    await asyncio.sleep(seconds * (1 - EARLY))
    return early, _resident(pid)


@contextlib.asynccontextmanager
async def _open_pages(stand: Stand, cookie: dict[str, str], sites: list[UUID]) -> AsyncIterator[list[Page]]:
    """All pages, spread over the sites and listening."""
    pages = [Page(sites[number % len(sites)]) for number in range(STREAMS)]
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=stand.url, cookies=cookie, limits=limits) as client:
        tasks = []
        try:
            for page in pages:
                tasks.append(asyncio.create_task(page.read(client)))
                opened = asyncio.create_task(page.open.wait())
                await asyncio.wait({opened, tasks[-1]}, return_when=asyncio.FIRST_COMPLETED)
                if tasks[-1].done():
                    await tasks[-1]
            yield pages
            ended = [task for task in tasks if task.done()]
            if ended:
                raise VoidError(f"{len(ended)} of {len(tasks)} streams ended early")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _run(stand: Stand, cookie: dict[str, str], seconds: float) -> dict[str, Any]:
    admin = await asyncpg.connect(stand.admin_dsn)
    found = await admin.fetch("SELECT public_id, id FROM sites")
    await admin.close()
    ids = {row["public_id"]: UUID(int=row["id"].int) for row in found}
    sites = [ids[public_id] for public_id, _ in stand.sites]
    states = States()
    order = stand.order("present", connections=64, warm=WARM, seconds=seconds, rate=RATE)
    order.accepted = True
    async with _open_pages(stand, cookie, sites) as pages:
        watching = asyncio.create_task(_watch(stand.admin_dsn, sites, states))
        load = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "load.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            memory = asyncio.create_task(_memory(stand.processes["server"], seconds))
            words, _ = await load.communicate(msgspec.json.encode(order))
            early, late = await memory
            await asyncio.sleep(PATIENCE)
        finally:
            watching.cancel()
            if load.returncode is None:
                load.kill()
                await load.wait()
    report = msgspec.json.decode(words, type=Report)
    run = _read(report, states, pages, sites)
    return run | {"resident": [early, late], "changes_told": sum(len(page.told) for page in pages)}


def _read(report: Report, states: States, pages: list[Page], sites: list[UUID]) -> dict[str, Any]:
    """How long each event took to each page of its site. Raises :class:`VoidError` if one never got there."""
    if report.failures:
        raise VoidError(f"not every answer was 200: {report.failures}")
    first, every, unseen = [], [], 0
    for accepted, site_number in report.accepted:
        site = sites[site_number]
        sequence = states.covering(site, accepted)
        seen = [page.seen(sequence) if sequence is not None else None for page in pages if page.site == site]
        if None in seen:
            unseen += 1
            continue
        times = [max(at - accepted, 0.0) for at in seen if at is not None]
        first.append(min(times))
        every.append(max(times))
    if unseen:
        raise VoidError(f"{unseen} of {len(report.accepted)} events were never visible on some page")
    plain: dict[str, Any] = msgspec.to_builtins(report)
    del plain["accepted"]
    return plain | {"first_ms": percentiles(first), "every_ms": percentiles(every)}


def streams(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Fifty streams on three sites, 500 events a second by an open loop."""
    stand.settle()
    run = asyncio.run(_run(stand, stand.sign_in(stand.person), SECONDS * scale))
    visible, memory = "50 streams, 500 events/s: accepted to visible", "50 streams: the server's memory"
    wanted = [
        Wanted(f"{visible}, p50", "ms", lambda run: run["first_ms"]["p50"]),
        Wanted(f"{visible}, p99", "ms", lambda run: run["first_ms"]["p99"], None, 2000, True),
        Wanted(f"{visible} on every page, p99", "ms", lambda run: run["every_ms"]["p99"], None, 2000, True),
        Wanted("50 streams, 500 events/s: answer, p99", "ms", lambda run: run["latency_ms"]["p99"]),
        Wanted(f"{memory} at the end", "MB", lambda run: run["resident"][1] / 1e6),
        Wanted(f"{memory}, after 60 s / after 10 s", "", _growth, None, 1.05, True),
    ]
    bound = bound_by(
        [run], stand.cores, "a site's changes are told of once a second, its new leads five times"
    )
    return figures([run], wanted, bound), [run]


def _growth(run: dict[str, Any]) -> float:
    early, late = run["resident"]
    return float(late / early)
