"""A flood on one site: it waits behind itself, is told so, and the next site hardly feels it."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.errors import Unavailable
from opsmantik.event import Drop, Reason
from opsmantik.ingest import writer as module
from opsmantik.ingest.limits import SiteLimit
from opsmantik.ingest.writer import Refusal, Writer
from opsmantik.settings import Settings
from tests.ingest.conftest import now_ms, serve

pytestmark = pytest.mark.slow

A, B, C = (UUID(int=n) for n in (1, 2, 3))


def waiting(writer: Writer, site: UUID, requests: int, items: int = 1) -> list[asyncio.Task[Any]]:
    request = [Refusal(site, "v1", Drop(Reason.BOT), b"")] * items
    return [asyncio.create_task(writer.write(request)) for _ in range(requests)]


def sites_of(taken: list[Any]) -> list[UUID]:
    return [items[0].site_id for items, _ in taken for _ in items]


@pytest.fixture
async def writer() -> Any:
    """One that nobody works for: what is written waits."""
    made = Writer(None, lambda site, intents: None)  # type: ignore[arg-type]
    yield made
    for queue in made._queues.values():
        for _, future in queue.requests:
            if future is not None:
                future.cancel()


async def test_each_site_that_waits_has_its_share_of_a_batch(writer: Writer) -> None:
    tasks = waiting(writer, A, 3000) + waiting(writer, B, 5) + waiting(writer, C, 5)
    await asyncio.sleep(0)
    taken = sites_of(writer._take())
    assert len(taken) == 500
    assert (taken.count(B), taken.count(C)) == (5, 5), "all that they had"
    assert writer._waiting_items == 3010 - 500
    for task in tasks:
        task.cancel()


async def test_two_floods_share_and_take_turns(writer: Writer) -> None:
    tasks = waiting(writer, A, 2000) + waiting(writer, B, 2000)
    await asyncio.sleep(0)
    for _ in range(3):
        taken = sites_of(writer._take())
        assert abs(taken.count(A) - taken.count(B)) <= 1
    for task in tasks:
        task.cancel()


async def test_who_was_served_longest_ago_is_first(writer: Writer) -> None:
    """A batch of 16 places, and twenty sites: the four that found none are in the next one."""
    sites = [UUID(int=n) for n in range(10, 30)]
    tasks = [task for site in sites for task in waiting(writer, site, 2)]
    await asyncio.sleep(0)
    first, second = sites_of(writer._take()), sites_of(writer._take())
    assert first == sites[:16]
    assert second[:4] == sites[16:]
    for task in tasks:
        task.cancel()


async def test_a_request_is_never_torn_apart(writer: Writer) -> None:
    tasks = waiting(writer, A, 40, items=100) + waiting(writer, B, 1, items=100)
    await asyncio.sleep(0)
    while writer._queues:
        taken = writer._take()
        assert all(len(items) == 100 for items, _ in taken)
        assert len(sites_of(taken)) <= 600
    assert writer._waiting_items == 0
    for task in tasks:
        task.cancel()


async def test_a_flood_fills_half_the_places_and_leaves_the_rest(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 200)
    tasks = waiting(writer, A, 300)
    await asyncio.sleep(0)
    refused = [task for task in tasks if task.done() and isinstance(task.exception(), Unavailable)]
    assert 100 <= writer._waiting_items <= 101
    assert len(refused) == 300 - writer._waiting_items
    others = waiting(writer, B, 20)
    await asyncio.sleep(0)
    assert not any(task.done() for task in others), "there is room for the next site"
    for task in tasks + others:
        task.cancel()


async def test_refusals_that_are_only_counted_are_one_item_however_many(writer: Writer) -> None:
    for _ in range(1000):
        writer.note(Refusal(A, "v1", Drop(Reason.RATE_LIMITED), b"", events=3))
    writer.note(Refusal(B, "sync", Drop(Reason.RATE_LIMITED), b""))
    assert writer._waiting_items == 0
    noted = [items[0] for items, future in writer._take() if future is None]
    assert [(item.site_id, item.door, item.events) for item in noted] == [(A, "v1", 3000), (B, "sync", 1)]
    assert writer._take() == []


async def test_what_could_not_be_counted_is_counted_later(writer: Writer) -> None:
    writer.note(Refusal(A, "v1", Drop(Reason.RATE_LIMITED), b"", events=3))
    writer._fail(writer._take(), 1)
    assert [items[0].events for items, _ in writer._take()] == [3]


def test_a_site_s_clients_together_have_a_limit() -> None:
    limit = SiteLimit(600)
    waits = [limit.wait("a", 1) for _ in range(100)]
    assert waits.count(0.0) == 61  # a tenth of a minute's worth at once, and the one that it has earned
    assert 0 < waits[-1] <= 0.2
    assert limit.wait("b", 1) == 0.0
    time.sleep(0.21)
    assert limit.wait("a", 1) == 0.0


async def test_a_flood_from_many_addresses_is_told_to_wait_and_the_next_site_is_not(
    app_database: Any, make_site: Any, owner: Any, item: Any
) -> None:

    flooded, quiet = await make_site(), await make_site()
    settings = Settings(
        rate_limit_per_minute=60, rate_limit_burst=20, site_rate_limit_per_minute=300,
        trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),),
    )  # fmt: skip
    door, stop = await serve(app_database, settings)

    async def post(site: Any, n: int) -> Any:
        body = {"site": site.public_id, "sent": now_ms(), **item()}
        return await door.post("/v1/events", body, x_forwarded_for=f"198.51.{n}.7")

    try:
        flood = await asyncio.gather(*(post(flooded, n) for n in range(120)))
        others = await asyncio.gather(*(post(quiet, n) for n in range(20)))
    finally:
        await stop()
    said = [answer.status_code for answer in flood]
    assert set(said) == {200, 429} and 31 <= said.count(200) <= 40
    assert {answer.status_code for answer in others} == {200}
    waits = next(answer for answer in flood if answer.status_code == 429)
    assert waits.headers["x-ratelimit-limit"] == "300"
    assert waits.headers["x-ratelimit-remaining"] == "0"
    assert -5 < int(waits.headers["x-ratelimit-reset"]) - time.time() <= int(waits.headers["retry-after"]) + 1
    assert "X-RateLimit-Reset" in waits.headers["access-control-expose-headers"]
    tally = dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", flooded.id))
    assert tally == {"stored": said.count(200), "rate_limited": said.count(429)}


async def test_a_site_may_have_a_rate_of_its_own(app_database: Any, make_site: Any, item: Any) -> None:
    slow, usual = await make_site(rate_per_minute=8), await make_site()
    door, stop = await serve(app_database, Settings(rate_limit_per_minute=6000))
    try:
        for site, wanted in ((slow, 3), (usual, 10)):
            answers = [
                await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **item()})
                for _ in range(10)
            ]
            assert [answer.status_code for answer in answers].count(200) == wanted
        assert answers[0].status_code == 200
    finally:
        await stop()


async def test_a_stranger_who_posts_for_no_site_is_slowed_down_too(
    app_database: Any, item: Any, owner: Any
) -> None:
    door, stop = await serve(app_database, Settings(rate_limit_per_minute=60, rate_limit_burst=3))
    try:
        answers = [await door.post("/v1/events", {"site": uuid4().hex, **item()}) for _ in range(8)]
    finally:
        await stop()
    said = [answer.status_code for answer in answers]
    assert said[:4] == [404] * 4 and said[-1] == 429
    counted = await owner.fetchval("SELECT sum(n) FROM stray_tally WHERE outcome = 'rate_limited'")
    assert counted == said.count(429)
