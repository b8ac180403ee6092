"""Valkey beside the database: nobody waits for it, nothing raises because of it, and its losses are noticed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from opsmantik.db import valkey as module
from opsmantik.db.valkey import Subscription, Valkey
from opsmantik.ingest.limits import RateLimit, SharedLimit
from opsmantik.ingest.notices import CHANNEL
from tests.valkey import ValkeyServer, running_valkey

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with running_valkey() as running:
        yield running


async def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def test_before_it_is_found_and_after_it_is_stopped_it_answers_none(server: ValkeyServer) -> None:
    valkey = Valkey(server.url)
    assert await valkey.run("return 1", [], []) is None
    assert not await valkey.publish("channel", ["word"])
    await valkey.start()
    await until(lambda: valkey.up)
    assert await valkey.run("return 1", [], []) == 1
    await valkey.stop()
    assert await valkey.run("return 1", [], []) is None


async def test_a_word_counts_as_said_only_if_somebody_heard_it(server: ValkeyServer) -> None:
    heard: list[str] = []
    valkey = Valkey(server.url)
    subscription = Subscription(server.url, "channel", heard.append, lambda: None, name="test")
    await valkey.start()
    await until(lambda: valkey.up)
    assert not await valkey.publish("channel", ["to nobody"])
    await subscription.start()
    await until(lambda: subscription.listening)
    assert await valkey.publish("channel", ["one", "two"])
    await until(lambda: heard == ["one", "two"])
    await subscription.stop()
    await valkey.stop()


async def test_it_says_once_that_valkey_is_away_and_once_that_it_is_back(server: ValkeyServer) -> None:
    valkey = Valkey(server.url)
    with structlog.testing.capture_logs() as logs:
        await valkey.start()
        await until(lambda: valkey.up)
        server.kill()
        for _ in range(20):
            await valkey.run("return 1", [], [])
            await asyncio.sleep(0.05)
        server.start()
        await until(lambda: valkey.up)
    await valkey.stop()
    assert [line["event"] for line in logs] == ["valkey.up", "valkey.away", "valkey.up"]


async def test_a_server_that_nobody_asks_anything_is_missed_all_the_same(server: ValkeyServer) -> None:
    valkey = Valkey(server.url)
    await valkey.start()
    await until(lambda: valkey.up)
    server.freeze()
    await until(lambda: not valkey.up, module.PROBE_SECONDS + 3)
    server.thaw()
    await until(lambda: valkey.up)
    await valkey.stop()


async def test_a_busy_loop_of_our_own_is_not_taken_for_a_slow_server(server: ValkeyServer) -> None:
    valkey = Valkey(server.url)
    await valkey.start()
    await until(lambda: valkey.up)
    for _ in range(5):
        asking = asyncio.create_task(valkey.run("return 1", [], []))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(module.ANSWER_SECONDS * 3)
        assert await asking == 1
    assert valkey.up
    await valkey.stop()


async def test_a_script_that_cannot_run_takes_it_out_of_use_and_each_time_for_longer(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)
    valkey = Valkey(server.url)
    await valkey.start()
    away = []
    for _ in range(5):
        await until(lambda: valkey.up)
        assert await valkey.run("return redis.call('NOSUCH')", [], []) is None
        began = time.monotonic()
        assert not valkey.up
        await until(lambda: valkey.up)
        away.append(time.monotonic() - began)
    await valkey.stop()
    assert away[-1] > 5 * away[0], away


async def test_a_wrong_password_is_said_without_the_password(server: ValkeyServer) -> None:
    await server.asked("CONFIG", "SET", "requirepass", "the-right-one")
    valkey = Valkey(server.url.replace("//", "//:the-wrong-one@"))
    with structlog.testing.capture_logs() as logs:
        await valkey.start()
        await until(lambda: bool(logs))
        await asyncio.sleep(0.5)
    assert not valkey.up
    await valkey.stop()
    assert len(logs) == 1 and "the-wrong-one" not in str(logs)


async def test_the_rights_that_the_documents_name_are_enough(server: ValkeyServer) -> None:
    page = (Path(__file__).parents[2] / "docs" / "realtime.md").read_text()
    rights = re.search(r"restricted rights needs `(~[^`]+)`", page)
    assert rights
    await server.asked("ACL", "SETUSER", "app", "on", ">secret", "resetkeys", *rights[1].split())
    url = server.url.replace("//", "//app:secret@")
    valkey = Valkey(url)
    subscription = Subscription(url, CHANNEL, lambda word: None, lambda: None, name="test")
    await valkey.start()
    await subscription.start()
    await until(lambda: valkey.up and subscription.listening)
    limit = RateLimit(60, 1, SharedLimit(valkey))
    assert [await limit.wait("a") for _ in range(3)].count(0.0) == 2
    assert await valkey.publish(CHANNEL, ["word"])
    assert valkey.up
    await server.asked("ACL", "SETUSER", "app", "-publish")
    assert not await valkey.publish(CHANNEL, ["word"])
    await valkey.stop()
    await subscription.stop()


LOSSES: dict[str, Callable[[ValkeyServer], Any]] = {
    "killed": ValkeyServer.kill,
    "frozen": ValkeyServer.freeze,
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES.keys())
async def test_a_subscription_tells_when_it_is_lost_and_when_it_stands_again(
    server: ValkeyServer, lose: Callable[[ValkeyServer], Any]
) -> None:
    heard: list[str] = []
    turns: list[bool] = []
    subscription = Subscription(
        server.url, "channel", heard.append, lambda: turns.append(subscription.listening), name="test"
    )
    await subscription.start()
    await until(lambda: turns == [True])
    lose(server)
    await until(lambda: turns == [True, False])
    server.thaw() if lose is ValkeyServer.freeze else server.start()
    await until(lambda: turns == [True, False, True])
    assert await server.asked("PUBLISH", "channel", "again") == 1
    await until(lambda: heard == ["again"])
    await subscription.stop()


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES.keys())
async def test_to_stop_takes_no_time_even_in_the_moment_of_a_loss(
    server: ValkeyServer, lose: Callable[[ValkeyServer], Any]
) -> None:
    valkey = Valkey(server.url)
    subscription = Subscription(server.url, "channel", lambda word: None, lambda: None, name="test")
    await valkey.start()
    await subscription.start()
    await until(lambda: valkey.up and subscription.listening)
    lose(server)
    await valkey.run("return 1", [], [])
    async with asyncio.timeout(3):
        await valkey.stop()
        await subscription.stop()
