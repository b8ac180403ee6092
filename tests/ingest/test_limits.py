"""The rate limit: the same rule alone and shared, one budget for all nodes, and never none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from opsmantik.db import valkey as module
from opsmantik.db.valkey import Valkey
from opsmantik.ingest.limits import MOST_CLIENTS, RateLimit, SharedLimit
from opsmantik.ingest.payload import MAX_BATCH
from opsmantik.settings import Settings
from tests.ingest.conftest import now_ms, serve
from tests.valkey import ValkeyServer, running_valkey

pytestmark = pytest.mark.slow

PER_MINUTE, BURST = 600, 10  # a request each 100 ms
GAP = 0.1


@pytest.fixture(scope="module")
def valkey_server() -> Iterator[ValkeyServer]:
    with running_valkey() as running:
        yield running


async def connected(server: ValkeyServer) -> Valkey:
    valkey = Valkey(server.url)
    await valkey.start()
    async with asyncio.timeout(5):
        while not valkey.up:
            await asyncio.sleep(0.005)
    return valkey


@pytest_asyncio.fixture(loop_scope="session")
async def valkey(valkey_server: ValkeyServer) -> AsyncIterator[Valkey]:
    await valkey_server.asked("FLUSHALL")
    found = await connected(valkey_server)
    yield found
    await found.stop()


@pytest.fixture(params=["alone", "shared"])
def limit(request: pytest.FixtureRequest, valkey: Valkey) -> RateLimit:
    """The limit in both of its ways: whatever holds for one holds for the other."""
    return RateLimit(PER_MINUTE, BURST, SharedLimit(valkey) if request.param == "shared" else None)


async def admitted(limit: RateLimit, tries: int, *client: str, cost: int = 1) -> int:
    waits = [await limit.wait(*client, cost=cost) for _ in range(tries)]
    return waits.count(0.0)


# The rule, alone and shared.


async def test_a_burst_goes_through_and_then_one_at_a_time(limit: RateLimit) -> None:
    assert await admitted(limit, 30, "a") == BURST + 1
    wait = await limit.wait("a")
    assert 0 < wait <= 2 * GAP
    await asyncio.sleep(GAP * 1.2)
    assert await admitted(limit, 3, "a") == 1


async def test_a_body_of_many_events_costs_as_many(limit: RateLimit) -> None:
    assert await admitted(limit, 3, "a", cost=MAX_BATCH) == 1
    wait = await limit.wait("a")
    assert wait == pytest.approx((MAX_BATCH - BURST + 1) * GAP, abs=0.5)


async def test_a_body_that_claims_more_than_any_can_hold_costs_no_more_than_the_largest(
    limit: RateLimit,
) -> None:
    await limit.wait("a", cost=1_000_000)
    assert await limit.wait("a") <= (MAX_BATCH + 1) * GAP


async def test_clients_do_not_share(limit: RateLimit) -> None:
    assert await admitted(limit, 30, "v1", "site", "10.0.0.1") == BURST + 1
    assert await admitted(limit, 30, "v1", "site", "10.0.0.2") == BURST + 1
    assert await admitted(limit, 30, "v1", "other", "10.0.0.1") == BURST + 1


async def test_at_once_or_one_after_the_other_is_the_same(limit: RateLimit) -> None:
    waits = await asyncio.gather(*(limit.wait("a") for _ in range(50)))
    assert waits.count(0.0) == BURST + 1


async def test_nothing_is_limited_where_the_limit_is_off(valkey: Valkey) -> None:
    for limit in (RateLimit(0, 10), RateLimit(0, 10, SharedLimit(valkey))):
        assert await admitted(limit, 100, "a") == 100


async def test_memory_is_bounded() -> None:
    limit = RateLimit(PER_MINUTE, BURST)
    for n in range(MOST_CLIENTS + 10):
        limit.local((str(n),))
    assert len(limit._due) <= MOST_CLIENTS


# One budget for all nodes.


async def test_two_nodes_allow_together_what_one_would(valkey_server: ValkeyServer, valkey: Valkey) -> None:
    other = await connected(valkey_server)
    try:
        nodes = [RateLimit(PER_MINUTE, BURST, SharedLimit(v)) for v in (valkey, other)]
        waits = await asyncio.gather(*(nodes[n % 2].wait("a") for n in range(60)))
        assert waits.count(0.0) == BURST + 1
        assert min([await node.wait("a") for node in nodes]) > 0
    finally:
        await other.stop()


async def test_requests_of_one_turn_ask_together(valkey_server: ValkeyServer, valkey: Valkey) -> None:
    limit = RateLimit(PER_MINUTE, BURST, SharedLimit(valkey))
    await limit.wait("warm")
    await valkey_server.asked("CONFIG", "RESETSTAT")
    await asyncio.gather(*(limit.wait(str(n)) for n in range(200)))
    said = await valkey_server.asked("INFO", "commandstats")
    assert said["cmdstat_evalsha"]["calls"] == 1


async def test_who_must_wait_is_told_so_without_asking(valkey_server: ValkeyServer, valkey: Valkey) -> None:
    limit = RateLimit(6, 1, SharedLimit(valkey))
    await admitted(limit, 3, "flood")
    await valkey_server.asked("CONFIG", "RESETSTAT")
    assert await admitted(limit, 500, "flood") == 0
    assert "cmdstat_evalsha" not in await valkey_server.asked("INFO", "commandstats")


async def test_nothing_is_kept_longer_than_it_binds(valkey_server: ValkeyServer, valkey: Valkey) -> None:
    limit = RateLimit(PER_MINUTE, BURST, SharedLimit(valkey))
    await limit.wait("v1", "site", "10.0.0.1", cost=3)
    assert 0 < await valkey_server.asked("PTTL", "opsmantik:limit:v1:site:10.0.0.1") <= 301
    await asyncio.sleep(0.35)
    assert await valkey_server.asked("KEYS", "opsmantik:limit:*") == []


async def test_a_clock_of_valkeys_that_is_set_back_does_not_lock_anybody_out(
    valkey_server: ValkeyServer, valkey: Valkey
) -> None:
    hour_ahead = (int(time.time()) + 3600) * 1_000_000
    await valkey_server.asked("SET", "opsmantik:limit:a", hour_ahead, "PX", 7_200_000)
    assert await RateLimit(PER_MINUTE, BURST, SharedLimit(valkey)).wait("a") == 0


async def test_a_script_that_valkey_has_forgotten_is_sent_again(
    valkey_server: ValkeyServer, valkey: Valkey
) -> None:
    limit = RateLimit(PER_MINUTE, BURST, SharedLimit(valkey))
    await limit.wait("a")
    await valkey_server.asked("SCRIPT", "FLUSH")
    assert await admitted(limit, 30, "a") == BURST
    assert valkey.up


# When Valkey is away.


async def test_nobody_is_forgiven_when_valkey_goes_away() -> None:
    with running_valkey() as server:
        valkey = await connected(server)
        limit = RateLimit(PER_MINUTE, BURST, SharedLimit(valkey))
        try:
            assert await admitted(limit, 30, "a") == BURST + 1
            server.kill()
            assert await admitted(limit, 30, "a") <= 2, "what the shared limit said is remembered"
            assert await admitted(limit, 30, "b") == BURST + 1, "and others are held to the limit too"
        finally:
            await valkey.stop()


@pytest.mark.parametrize("loss", ["kill", "freeze"])
async def test_no_request_waits_longer_than_valkey_may_take_and_then_none_waits(loss: str) -> None:
    with running_valkey() as server:
        valkey = await connected(server)
        limit = RateLimit(PER_MINUTE, BURST, SharedLimit(valkey))
        try:
            await limit.wait("a")
            getattr(server, loss)()
            longest = []
            for at_once in (1, 50, 1, 50):
                began = time.monotonic()
                await asyncio.gather(*(limit.wait(str(n)) for n in range(at_once)))
                longest.append(time.monotonic() - began)
            assert longest[0] < module.ANSWER_SECONDS + 0.1
            assert not valkey.up
            assert max(longest[1:]) < 0.02
        finally:
            await valkey.stop()


async def test_when_valkey_thaws_the_limit_is_shared_again() -> None:
    with running_valkey() as server:
        valkey = await connected(server)
        limit = RateLimit(PER_MINUTE, BURST, SharedLimit(valkey))
        try:
            server.freeze()
            assert await admitted(limit, 30, "a") <= BURST + 1
            assert not valkey.up
            server.thaw()
            async with asyncio.timeout(10):
                while not valkey.up:
                    await asyncio.sleep(0.01)
            await limit.wait("b")
            assert await server.asked("EXISTS", "opsmantik:limit:b") == 1
        finally:
            await valkey.stop()


async def test_a_valkey_that_takes_no_writes_is_as_good_as_none() -> None:
    with running_valkey() as server:
        valkey = await connected(server)
        try:
            await server.asked("REPLICAOF", "127.0.0.1", "1")  # read-only from now on
            limit = RateLimit(PER_MINUTE, BURST, SharedLimit(valkey))
            assert await admitted(limit, 30, "a") == BURST + 1
            assert not valkey.up
        finally:
            await valkey.stop()


# At the doors.


async def test_two_collectors_refuse_together(
    app_database: Any, owner: Any, make_site: Any, item: Any, valkey_server: ValkeyServer
) -> None:
    """The limit of both is twenty at once; forty come, half to each."""
    await valkey_server.asked("FLUSHALL")
    settings = Settings(rate_limit_per_minute=60, rate_limit_burst=20, valkey_url=valkey_server.url)
    first, stop_first = await serve(app_database, settings)
    second, stop_second = await serve(app_database, settings)
    try:
        site = await make_site()
        for door in (first, second):
            await door.collect.registry.refresh()
            async with asyncio.timeout(5):
                while not door.collect._valkey.up:  # type: ignore[union-attr]
                    await asyncio.sleep(0.01)
        bodies = [{"site": site.public_id, "sent": now_ms(), **item()} for _ in range(40)]
        answers = await asyncio.gather(
            *((first, second)[n % 2].post("/v1/events", body) for n, body in enumerate(bodies))
        )
        taken = [answer.status_code for answer in answers].count(200)
        assert 21 <= taken <= 23, "one more for each second that this took"
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 40 - taken and all(int(a.headers["retry-after"]) >= 1 for a in refused)
        assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == taken
    finally:
        await stop_first()
        await stop_second()
