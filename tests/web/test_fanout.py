"""Two servers that share a Valkey: changes reach the pages of both, and Valkey's death costs no event and no figure."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import structlog

from opsmantik.errors import DatabaseUnavailable
from opsmantik.web import stream
from opsmantik.web.live import CHANNEL, Live
from tests.valkey import ValkeyServer, running_valkey
from tests.web.browsing import Running, running
from tests.web.streams import CHROME, Listener, listening, stream_of, tap, until

pytestmark = pytest.mark.slow  # servers that are killed and frozen: seconds each

NOBODY = "valkey://127.0.0.1:1/0"  # refuses connections


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


@pytest.fixture
async def site(make_person: Any, make_site: Any, owner: Any) -> Any:
    """A site and the e-mail address of its owner."""
    user_id, email = await make_person()
    made = await make_site()
    await owner.execute("UPDATE sites SET user_id = $2 WHERE id = $1", made.id, user_id)
    return made, email


@asynccontextmanager
async def nodes(database: Any, home: Path, *urls: str) -> AsyncIterator[list[Running]]:
    """A server for each of these Valkey addresses, over one database; ready when they hear what they can."""
    started: list[Running] = []
    async with running(database.app, home, valkey_url=urls[0], rate_limit_per_minute=60_000) as one:
        started.append(one)
        if len(urls) == 1:
            yield started
            return
        async with running(database.app, home, valkey_url=urls[1], rate_limit_per_minute=60_000) as two:
            started.append(two)
            for node, url in zip(started, urls, strict=True):
                if url != NOBODY:
                    await until(lambda node=node: hears(node))  # type: ignore[misc]
            yield started


def hears(node: Running) -> bool:
    live, ingest = node.app.live, node.app.collect
    assert live._subscription is not None and ingest._valkey is not None
    return live._subscription.listening and live._listener.listening and ingest._valkey.up


@asynccontextmanager
async def page_on(node: Running, email: str, site_id: Any) -> AsyncIterator[Listener]:
    browser = node.browser()
    await browser.sign_in(email)
    async with listening(browser, f"{stream_of(site_id)}?since=0") as listener:
        await listener.event("heartbeat")
        yield listener


@asynccontextmanager
async def overheard(dsn: str) -> AsyncIterator[list[str]]:
    """What is said through PostgreSQL meanwhile."""
    said: list[str] = []
    connection = await asyncpg.connect(dsn)
    await connection.add_listener(CHANNEL, lambda *words: said.append(words[-1]))
    try:
        yield said
    finally:
        await connection.close()


class Load:
    """Visitors who post to a server, one event after the other, and wait for each answer."""

    def __init__(self, node: Running, site: Any, visitors: int = 8) -> None:
        self._client = httpx.AsyncClient(
            base_url=node.base_url,
            headers={"user-agent": CHROME, "origin": "https://shop.example"},
            timeout=20,
        )
        self._site = site
        self._visitors = visitors
        self._going = True
        self.stored = 0
        self.others: list[int] = []
        self.seconds: list[float] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        tasks = [asyncio.create_task(self._visit()) for _ in range(self._visitors)]
        try:
            yield self
        finally:
            self._going = False
            await asyncio.gather(*tasks)
            await self._client.aclose()

    async def _visit(self) -> None:
        session, taps = str(uuid4()), 0
        while self._going:
            now = int(time.time() * 1000)
            is_tap = self.stored % 7 == 3
            taps += is_tap
            act = (
                {"cat": "conversion", "act": "phone_call", "label": f"tel:+90532{taps:07}"} if is_tap else {}
            )
            event = {"id": str(uuid4()), "ts": now, "sid": session, "url": "https://shop.example/"}
            event |= {"cat": "interaction", "act": "view"} | act
            began = time.monotonic()
            answer = await self._client.post(
                "/v1/events", content=json.dumps({"site": self._site.public_id, "sent": now, **event})
            )
            self.seconds.append(time.monotonic() - began)
            if answer.status_code == 200:
                self.stored += 1
            else:
                self.others.append(answer.status_code)

    def p99(self, since: int) -> float:
        """Of the answers since there were so many."""
        seconds = sorted(self.seconds[since:])
        return seconds[int(len(seconds) * 0.99)]


async def sequence(owner: Any, site: Any) -> int:
    return int(await owner.fetchval("SELECT sequence FROM site_sequences($1)", [site.id]))


async def told_of(listener: Listener, number: int, within: float) -> None:
    """Read changes until the one of this state."""
    async with asyncio.timeout(within):
        while int((await listener.event("change", within=within)).get("id", 0)) < number:
            pass


# While all is well.


async def test_a_tap_at_one_server_is_told_by_both_through_valkey_alone(
    database: Any, tmp_path: Path, valkey: ValkeyServer, site: Any
) -> None:
    made, email = site
    async with (
        nodes(database, tmp_path, valkey.url, valkey.url) as (one, two),
        page_on(one, email, made.id) as near,
        page_on(two, email, made.id) as far,
        overheard(database.app) as said,
    ):
        begun = await tap(one, made)
        for listener in (near, far):
            while json.loads((await listener.event("change", within=1))["data"])["kind"] != "i":
                pass
        assert time.monotonic() - begun < 1
        assert said == []


# When Valkey dies.


async def test_killed_under_load_it_costs_no_event_no_figure_and_no_notice(
    database: Any, tmp_path: Path, valkey: ValkeyServer, site: Any, owner: Any
) -> None:
    made, email = site
    async with (
        nodes(database, tmp_path, valkey.url, valkey.url) as (one, two),
        page_on(two, email, made.id) as far,
        overheard(database.app) as said,
    ):
        with structlog.testing.capture_logs() as logs:
            async with Load(one, made).running() as load:
                await until(lambda: load.stored > 100)
                assert said == []
                valkey.kill()
                before = load.stored
                await until(lambda: load.stored > before + 300)
            newest = await sequence(owner, made)
            await told_of(far, newest, within=3)
        assert said and all(words.startswith(str(made.id)) for words in said)
        assert [line["event"] for line in logs].count("valkey.away") in (1, 2), "each that asks says so, once"

        assert load.others == []
        assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", made.id) == load.stored
        browser = two.browsers[0]
        figures = (await browser.get(f"/api/stats/realtime?siteId={made.id}")).json()
        leads = await owner.fetchval(
            "SELECT count(*) FROM calls WHERE site_id = $1 AND merged_into IS NULL", made.id
        )
        assert figures == {"captured": leads, "gclid": 0, "junk": 0} and leads > 0
        reconciled = (await browser.get(f"/api/stats/reconcile?siteId={made.id}&day=today")).json()
        assert (reconciled["ok"], reconciled["differences"]) == (True, 0), reconciled["cells"]

        valkey.start()
        await until(lambda: hears(one) and hears(two))
        said.clear()
        await tap(one, made)
        assert (await far.event("change", within=2))["event"] == "change"
        assert said == []


async def test_frozen_it_holds_up_no_answer_and_when_it_thaws_it_is_used_again(
    database: Any, tmp_path: Path, valkey: ValkeyServer, site: Any, owner: Any
) -> None:
    made, email = site
    async with (
        nodes(database, tmp_path, valkey.url, valkey.url) as (one, two),
        page_on(two, email, made.id) as far,
        overheard(database.app) as said,
    ):
        async with Load(one, made).running() as load:
            await until(lambda: load.stored > 200)
            calm = load.p99(0)
            valkey.freeze()
            frozen = len(load.seconds)
            before = load.stored
            await until(lambda: load.stored > before + 400)
            slow = load.p99(frozen)
            newest = await sequence(owner, made)
            await told_of(far, newest, within=3)
            assert said
            valkey.thaw()
            await until(lambda: hears(one) and hears(two))
        assert slow < calm + 0.1, (calm, slow)
        assert max(load.seconds[frozen:]) < 1
        assert load.others == []
        assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", made.id) == load.stored
        await told_of(far, await sequence(owner, made), within=3)
        said.clear()
        await tap(one, made)
        await told_of(far, await sequence(owner, made), within=2)
        assert said == []


async def test_a_server_that_alone_cannot_hear_valkey_asks_the_database(
    database: Any,
    tmp_path: Path,
    valkey: ValkeyServer,
    site: Any,
    owner: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one's notices go to a Valkey that works; nothing comes through PostgreSQL."""
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    made, email = site
    async with (
        nodes(database, tmp_path, valkey.url, NOBODY) as (one, two),
        page_on(two, email, made.id) as far,
        overheard(database.app) as said,
    ):
        for _ in range(2):
            await tap(one, made)
            await told_of(far, await sequence(owner, made), within=3)
        assert said == []
        await far.event("heartbeat", within=1)
        await far.nothing("change", within=2.5)


async def test_a_server_starts_and_works_while_valkey_is_away(
    database: Any, tmp_path: Path, site: Any
) -> None:
    made, email = site
    async with nodes(database, tmp_path, NOBODY) as (one,), page_on(one, email, made.id) as page:
        assert (await one.browser().get("/readyz")).status_code == 200
        begun = await tap(one, made)
        await page.event("change", within=1)
        assert time.monotonic() - begun < 1


async def test_what_is_published_while_nobody_subscribes_is_said_through_postgresql(
    database: Any, tmp_path: Path, valkey: ValkeyServer, site: Any
) -> None:
    made, _ = site
    async with nodes(database, tmp_path, valkey.url) as (one,), overheard(database.app) as said:
        await until(lambda: hears(one))
        await valkey.asked("CLIENT", "KILL", "TYPE", "pubsub")
        one.app.collect.notices.changed(made.id, True)
        await until(lambda: len(said) == 1, 3)


# What a server says when it hears neither.


async def test_it_is_not_listening_when_it_hears_no_valkey_and_the_database_does_not_answer() -> None:
    async def look(sites: Any) -> Any:
        raise DatabaseUnavailable

    live = Live("postgresql://nowhere", NOBODY, look)
    live._listener.listening = True
    assert live.listening
    with live.page(uuid4()):
        await live._catch_up()
        assert not live.listening
        assert live._subscription is not None
        live._subscription.listening = True
        assert live.listening
