"""What the writer promises when things go wrong: answered means stored, and one bad event is alone in its fate."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from opsmantik.db import roles
from opsmantik.db.connect import Database
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.migrate import migrate
from opsmantik.settings import Settings
from tests.conftest import SECRET, run
from tests.ingest.conftest import now_ms, serve

pytestmark = pytest.mark.slow


async def test_a_poisonous_event_does_not_harm_ninety_nine_others(door, make_site, owner, item, monkeypatch):
    """NUL never comes this far by the doors, so it is put into the event behind them."""
    site = await make_site()
    original = door.collect.pipeline.run

    def poison(event):
        result = original(event)
        if event.label == "poison":
            event.label = "a\x00b"
        return result

    monkeypatch.setattr(door.collect.pipeline, "run", poison)
    sid = str(uuid4())
    bodies = [item(sid=sid, label="poison" if n == 50 else f"good {n}") for n in range(100)]
    answer = await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), "events": bodies})
    said = [r["status"] for r in answer.json()["results"]]
    assert said == ["accepted"] * 50 + ["rejected"] + ["accepted"] * 49
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 99
    assert await owner.fetchval("SELECT event_count FROM sessions WHERE site_id = $1", site.id) == 99
    row = await owner.fetchrow("SELECT reason, payload FROM rejected_events WHERE site_id = $1", site.id)
    assert row["reason"] == "unstorable" and b'"poison"' in row["payload"]
    tally = dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", site.id))
    assert tally == {"stored": 99, "unstorable": 1}


async def test_the_books_balance(door, make_site, owner, item, first):
    """received = stored + pulse + duplicate + rejected + dropped, by site."""
    site = await make_site()
    event = {"site": site.public_id, "sent": now_ms(), **item()}
    sent = [
        event,
        event,
        event | {"id": "no uuid"},
        event | {"id": str(uuid4()), "cat": "system", "act": "heartbeat"},
    ]
    for body in sent:
        await door.post("/v1/events", body)
    await door.post("/v1/events", event | {"id": str(uuid4())}, origin="https://evil.example")
    await door.post("/v1/events", event | {"id": str(uuid4())}, user_agent="curl/8.5.0")
    await door.post("/api/sync", first(site.public_id))
    tally = dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", site.id))
    assert tally == {
        "stored": 2,
        "duplicate": 1,
        "pulse": 1,
        "malformed": 1,
        "origin_refused": 1,
        "bot": 1,
    }
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == tally["stored"]


async def test_concurrent_writers_of_one_session_agree(app_database, owner, make_site, item):
    """Two collectors, as on two nodes, and thirty events of one visit at once."""
    site = await make_site()
    doors = [await serve(app_database, Settings(rate_limit_per_minute=0)) for _ in range(2)]
    sid = str(uuid4())
    bodies = [{"site": site.public_id, "sent": now_ms(), **item(sid=sid)} for _ in range(30)]
    answers = await asyncio.gather(
        *(doors[n % 2][0].post("/v1/events", body) for n, body in enumerate(bodies * 2))
    )
    for _, stop in doors:
        await stop()
    assert {a.status_code for a in answers} == {200}
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 30
    row = await owner.fetchrow("SELECT event_count, view_count FROM sessions WHERE site_id = $1", site.id)
    assert tuple(row) == (30, 30)


async def test_a_client_that_floods_is_told_to_wait(app_database, make_site, owner, item):
    site = await make_site()
    door, stop = await serve(app_database, Settings(rate_limit_per_minute=60, rate_limit_burst=5))
    answers = [await door.post("/v1/events", {"site": site.public_id, **item()}) for _ in range(12)]
    legacy = await door.post(
        "/api/sync", {"s": site.public_id, "u": "https://shop.example/", "ec": "x", "ea": "view"}
    )
    await stop()
    said = [a.status_code for a in answers]
    assert said[:5] == [200] * 5 and said[-1] == 429
    tally = dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", site.id))
    assert tally["rate_limited"] == said.count(429)
    assert sum(tally.values()) == len(said) + 1  # and the one by the other door
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].headers["access-control-allow-origin"] == "https://shop.example"
    assert legacy.status_code == 200  # each door counts for itself


@pytest.fixture
def own_server():
    home = Path(tempfile.mkdtemp(prefix="om-"))
    server = EmbeddedServer(home, SECRET)
    server.start()
    password = roles.role_password(SECRET, roles.APP)
    run(migrate(server.role_dsn(roles.OWNER), app_password=password, on_progress=lambda words: None))
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


async def some_backend(database: Database) -> int:
    """The process of a connection of the server's; after a crash there may be none for a moment."""
    for _ in range(100):
        async with database.connection() as connection:
            victim = await connection.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'opsmantik_app' AND pid <> pg_backend_pid() LIMIT 1"
            )
        if victim is not None:
            return int(victim)
        await asyncio.sleep(0.05)
    raise AssertionError("nobody came back")


async def test_a_killed_database_loses_nothing_that_was_acknowledged(own_server, item):
    """A backend is killed with SIGKILL under load: PostgreSQL throws everybody out and recovers from its log."""
    owner = await asyncpg.connect(own_server.role_dsn(roles.OWNER))
    user, site = uuid4(), uuid4()
    await owner.execute("INSERT INTO users (id, email) VALUES ($1, 'a@example.com')", user)
    await owner.execute(
        "INSERT INTO sites (id, user_id, public_id, name, domain) VALUES ($1, $2, $3, 'S', 'shop.example')",
        site,
        user,
        site.hex,
    )
    await owner.close()
    database = Database(own_server.role_dsn(roles.APP), max_size=4)
    await database.open()
    door, stop = await serve(database, Settings(rate_limit_per_minute=0))
    acknowledged: set[str] = set()
    answers: list[int] = []
    ending = asyncio.Event()

    async def load() -> None:
        while not ending.is_set():
            event = item()
            for _ in range(40):
                try:
                    answer = await door.post("/v1/events", {"site": site.hex, **event}, origin="")
                except httpx.TransportError:
                    continue
                answers.append(answer.status_code)
                if answer.status_code == 200:
                    acknowledged.add(event["id"])
                    break
                assert answer.status_code == 503, answer.text
                assert answer.headers["retry-after"]
                await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(load()) for _ in range(8)]
    await asyncio.sleep(0.7)
    for _ in range(2):
        os.kill(await some_backend(database), signal.SIGKILL)
        before = len(acknowledged)
        for _ in range(100):
            await asyncio.sleep(0.1)
            if len(acknowledged) > before + 20:
                break
        assert len(acknowledged) > before + 20, "it did not come back within ten seconds"
    ending.set()
    await asyncio.gather(*tasks)
    await stop()
    await database.close()
    check = await asyncpg.connect(own_server.role_dsn(roles.OWNER))
    await check.execute("SET app.maintenance = 'on'")
    stored = {str(row["id"]) for row in await check.fetch("SELECT id FROM events")}
    sessions = await check.fetchval("SELECT sum(event_count) FROM sessions")
    await check.close()
    assert acknowledged <= stored
    assert sessions == len(stored)
    assert set(answers) <= {200, 503}


async def test_with_the_database_gone_both_doors_say_try_again(item, first):
    database = Database("postgresql://nobody:x@127.0.0.1:1/nothing")
    collect_settings = Settings(rate_limit_per_minute=0)
    from opsmantik.web.collect import Collect

    collect = Collect(database, collect_settings)
    await collect.writer.start()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=collect), base_url="http://door"
    ) as client:
        for path, body in (("/v1/events", {"site": "0" * 32, **item()}), ("/api/sync", first("0" * 32))):
            answer = await client.post(path, json=body, headers={"origin": "https://shop.example"})
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    await collect.writer.stop()
