"""Simulated visitors, at the real doors on a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from opsmantik.db.connect import Database
from opsmantik.demo.seed import ensure_demo
from opsmantik.demo.visitors import Tally, Traffic, run_visitors
from opsmantik.demo.visits import Visit
from opsmantik.errors import NotFound, Unavailable
from opsmantik.settings import Settings
from opsmantik.web.collect import Collect

pytestmark = pytest.mark.slow  # kills, recoveries and waits: seconds each

RUSH_HOUR = Traffic(visit_every=(0.04, 0.06), lead_every=(0.15, 0.2), first_lead=0, pace=80, patience=3)
# Loopback plays the edge, so that the place headers that visitors send are believed.
SETTINGS = Settings(trusted_proxies=(ip_network("127.0.0.0/8"),), geo_headers="cloudflare")


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", lifespan="off", access_log=False,
        proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def doors(database: Database) -> AsyncIterator[Collect]:
    collect = Collect(database, SETTINGS)
    await collect.start()
    try:
        yield collect
    finally:
        await collect.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(database: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("demo")
    await ensure_demo(Settings(home=home), owner_dsn=database.owner, app_dsn=database.app, days=0)


@pytest_asyncio.fixture(loop_scope="session")
async def empty_tables(demo: None, owner: Any) -> None:
    await owner.execute(
        "TRUNCATE session_keys, sessions, events, calls, visitors, ingest_tally, rejected_events, counter_journal,"
        " conversion_batches, conversion_batch_items, counter_days, intent_actions, conversions, conversion_moves,"
        " webhook_deliveries, lead_notices"
    )


async def crowd(
    url: str, *, leads: int = 1000, seconds: float = 20, seed: int, traffic: Traffic = RUSH_HOUR
) -> tuple[Tally, list[str]]:
    """Visitors until so many became leads, or so many seconds are over; checks that they leave at once then."""
    stop = asyncio.Event()
    seen: list[str] = []
    told_at = 0.0

    def tell() -> None:
        nonlocal told_at
        told_at = told_at or time.monotonic()
        stop.set()

    def on_lead(visit: Visit, action: str) -> None:
        seen.append(action)
        if len(seen) == leads:
            tell()

    alarm = asyncio.get_running_loop().call_later(seconds, tell)
    tally = await run_visitors(url, stop=stop, traffic=traffic, seed=seed, on_lead=on_lead)
    alarm.cancel()
    assert time.monotonic() - told_at < 1.5
    return tally, seen


async def test_visits_arrive_and_some_become_leads(
    empty_tables: None, app_database: Database, owner: Any
) -> None:
    async with doors(app_database) as collect, listening(collect) as url:
        tally, leads = await crowd(url, leads=6, seed=3)
    assert tally.visits > 20
    assert tally.refused == 0
    assert len(leads) == tally.leads >= 6
    assert set(leads) <= {"phone_call", "whatsapp", "form_submit"}
    stored = {r["outcome"]: r["n"] for r in await owner.fetch(
        "SELECT outcome, sum(n)::bigint AS n FROM ingest_counts GROUP BY 1")}  # fmt: skip
    # what was under way when the visitors left may be stored without their having heard of it
    assert tally.accepted <= sum(stored.values()) <= tally.accepted + tally.visits
    assert await owner.fetchval("SELECT count(*) FROM calls WHERE lead_score > 30") >= len(leads)
    rows = await owner.fetch("SELECT utm_term, city, gclid FROM sessions")
    assert all(any(row[column] for row in rows) for column in ("utm_term", "city", "gclid"))
    age = await owner.fetchval("SELECT extract(epoch FROM now() - min(started_at)) FROM sessions")
    assert age < 60
    trackers = {row["tracker"] for row in await owner.fetch("SELECT DISTINCT tracker FROM sessions")}
    assert trackers == {"1.0.0", None}, "both generations of the tracker are about"


class Moody:
    """Answers so many requests with 503 or 429, then lets them through, and counts those."""

    def __init__(self, app: Any, moods: int) -> None:
        self.app = app
        self.moods = moods
        self.served = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.moods:
            self.moods -= 1
            status = 503 if self.moods % 2 else 429
            headers = [(b"retry-after", b"0"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            self.served += 1
            await self.app(scope, receive, send)


async def test_a_busy_server_is_given_time_and_loses_nothing(
    empty_tables: None, app_database: Database, owner: Any
) -> None:
    async with doors(app_database) as collect, listening(Moody(collect, 12)) as url:
        tally, _ = await crowd(url, leads=3, seed=4)
    assert tally.retries == 12
    assert tally.refused == 0
    assert tally.accepted > 20
    first = await owner.fetchrow(
        "SELECT event_action FROM events JOIN sessions s ON s.id = session_id"
        " ORDER BY s.started_at, occurred_at"
    )
    assert first["event_action"] == "view", "the very first event, refused at first, was sent again"


async def test_retry_after_is_obeyed(empty_tables: None, app_database: Database) -> None:
    asked: list[float] = []

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        asked.append(time.monotonic())
        headers = [(b"retry-after", b"2"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    slow = Traffic(visit_every=(30, 30), patience=10)
    async with listening(busy) as url:
        await crowd(url, seconds=2.8, seed=5, traffic=slow)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 2


async def test_a_server_without_the_demo_is_told_so(fresh_database: Any) -> None:
    database = Database(fresh_database.app, max_size=3)
    await database.open()
    try:
        async with doors(database) as collect, listening(collect) as url:
            with pytest.raises(NotFound, match="demo"):
                await run_visitors(url, traffic=RUSH_HOUR, seed=6)
    finally:
        await database.close()


async def test_a_server_that_stays_away_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    hurried = Traffic(visit_every=(0.05, 0.05), pace=80, patience=0.5)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(run_visitors(f"http://127.0.0.1:{port}", traffic=hurried, seed=7), 20)


async def test_the_command_ends_cleanly_when_told(demo: None, app_database: Database, tmp_path: Path) -> None:
    async with doors(app_database) as collect, listening(app := Moody(collect, 0)) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opsmantik.cli", "demo", "visitors", "--url", url, "--every", "0.1",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"OPSMANTIK_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        try:
            await until(lambda: app.served > 3)
            process.send_signal(signal.SIGTERM)
            said, errors = await asyncio.wait_for(process.communicate(), 10)
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0, errors.decode()
    assert errors == b""
    assert b"visits with" in said


async def until(done: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it takes too long"
        await asyncio.sleep(0.05)
