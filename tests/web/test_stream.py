"""The stream's contract: numbers as ids, nothing twice, nothing heaped up, heartbeats, and only for whom it is."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest

from opsmantik.web import stream as module
from opsmantik.web.live import Live
from opsmantik.web.stream import Stream
from tests.web.streams import listening, notify, stream_of, until

pytestmark = pytest.mark.slow  # streams: seconds each


@pytest.fixture
async def site(signed_in: Any, own_site: Any, web: Any) -> Any:
    """A browser, its site, and the path of the stream."""
    browser, user_id = await signed_in()
    made = await own_site(user_id)
    await until(lambda: web.app.live.listening)
    return browser, made, stream_of(made.id)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Heartbeats ten times a second."""
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    return monkeypatch


# Who may hear it.


async def test_the_site_goes_by_its_id_or_its_public_id_with_or_without_hyphens(site: Any) -> None:
    browser, made, _ = site
    hyphens = "-".join(
        (made.public_id[:8], made.public_id[8:12], made.public_id[12:16], made.public_id[16:20], made.public_id[20:])
    )  # fmt: skip
    for name in (made.id, made.id.hex, made.public_id, hyphens, made.public_id.upper()):
        async with listening(browser, stream_of(name)) as listener:
            await listener.event("heartbeat", within=1)


async def test_without_signing_in_there_is_none(web: Any, site: Any) -> None:
    _, _, path = site
    answer = await web.browser().get(path, accept="text/event-stream")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json()["code"] == "not_signed_in"


async def test_another_persons_site_and_one_that_is_not_there_are_the_same_404(
    site: Any, own_site: Any, signed_in: Any
) -> None:
    browser, _, _ = site
    _, other = await signed_in()
    theirs = await own_site(other)
    answers = [
        await browser.get(stream_of(name)) for name in (theirs.id, theirs.public_id, uuid4(), "x", "%00")
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}


# What it says.


async def test_a_notice_reaches_the_open_page_with_its_sequence_and_kind(site: Any, database: Any) -> None:
    browser, made, path = site
    async with listening(browser, f"{path}?since=0") as listener:
        await notify(database.app, f"{made.id}:41:e")
        change = await listener.event("change", within=1)
        assert (change["id"], json.loads(change["data"])) == ("41", {"sequence": 41, "kind": "e"})
        await notify(database.app, f"{made.id}:42:i")
        change = await listener.event("change", within=1)
        assert json.loads(change["data"]) == {"sequence": 42, "kind": "i"}


async def test_a_notice_that_comes_twice_or_late_is_told_once(site: Any, database: Any) -> None:
    browser, made, path = site
    async with listening(browser, f"{path}?since=0") as listener:
        for sequence in (7, 7, 5):
            await notify(database.app, f"{made.id}:{sequence}:e")
        assert (await listener.event("change", within=1))["id"] == "7"
        await listener.nothing("change")


async def test_a_notice_about_another_site_is_not_told(site: Any, database: Any) -> None:
    browser, _, path = site
    async with listening(browser, f"{path}?since=0") as listener:
        await notify(database.app, f"{uuid4()}:41:i")
        await listener.nothing("change")


SINCE = {
    "nothing was missed": ("?since=1", {}, False),
    "something was missed": ("?since=0", {}, True),
    "nobody knows what was missed": ("", {}, True),
    "not a number": ("?since=abc", {}, True),
    "far too long a number": ("?since=" + "9" * 5000, {}, True),
    "a number from before a backup was restored": ("?since=99", {}, True),
    "the browser's own memory counts more": ("?since=0", {"last-event-id": "1"}, False),
    "and says that something was missed": ("?since=1", {"last-event-id": "0"}, True),
}


@pytest.mark.parametrize(("query", "headers", "told"), SINCE.values(), ids=SINCE.keys())
async def test_on_connecting_a_page_learns_whether_it_missed_something(
    site: Any, owner: Any, query: str, headers: dict[str, str], told: bool
) -> None:
    browser, made, path = site
    await owner.execute(
        "INSERT INTO site_pulse (site_id, sequence, changed_at) VALUES ($1, 1, now())", made.id
    )
    async with listening(browser, path + query, **headers) as listener:
        if told:
            change = await listener.event("change", within=1)
            assert (change["id"], json.loads(change["data"])) == ("1", {"sequence": 1, "kind": "i"})
        else:
            await listener.nothing("change")


async def test_it_begins_with_how_soon_to_come_back_and_a_heartbeat(site: Any) -> None:
    browser, _, path = site
    async with browser.http.stream("GET", f"{path}?since=0", timeout=5) as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == ["retry: 1000", "", "event: heartbeat"]
    assert module.HEARTBEAT_SECONDS == 15
    assert module.LIFE_SECONDS == 600


async def test_heartbeats_come_steadily(site: Any, quick: Any) -> None:
    browser, _, path = site
    async with listening(browser, path) as listener:
        beats = [await listener.event("heartbeat", within=1) for _ in range(4)]
    assert all(beat["data"].endswith("+00:00") and "id" not in beat for beat in beats)


# How it ends.


async def test_it_ends_after_its_life_and_leaves_no_page_behind(site: Any, web: Any, quick: Any) -> None:
    quick.setattr(module, "LIFE_SECONDS", 0.3)
    browser, made, path = site
    async with listening(browser, path) as listener:
        assert await listener.ended(within=2)
    await until(lambda: made.id not in web.app.live._pages)


async def test_a_page_that_is_closed_is_forgotten(site: Any, web: Any) -> None:
    browser, made, path = site
    async with listening(browser, path) as listener:
        await listener.event("heartbeat")
        assert len(web.app.live._pages[made.id]) == 1
    await until(lambda: made.id not in web.app.live._pages)


async def test_nothing_heaps_up_for_a_page_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.1)
    live, site_id, sent = Live("postgresql://nowhere"), uuid4(), []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 2:  # its buffers are full
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def current() -> int:
        return 1

    stream = asyncio.create_task(Stream(live, site_id, None, current)({}, receive, send))
    await until(lambda: len(sent) == 3)
    for sequence in range(1000):
        live.changed(site_id, sequence, True)
    await asyncio.wait_for(stream, 2)
    assert len(sent) == 3
    assert not live._pages


async def test_a_slow_reader_on_a_real_socket_is_let_go_without_growth_of_memory(
    site: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connects, asks, and reads no byte, while its site changes as fast as the machine can say so."""
    monkeypatch.setattr(module, "SEND_SECONDS", 0.5)
    browser, made, path = site
    address = urlsplit(browser.base_url)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect((address.hostname, address.port))
    reader.setblocking(False)
    cookie = f"opsmantik={browser.http.cookies['opsmantik']}"
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: {cookie}\r\n\r\n".encode())
    try:
        await until(lambda: made.id in web.app.live._pages)
        memory, sequence = psutil.Process().memory_info().rss, 0

        async def change_until_it_is_gone() -> None:
            nonlocal sequence
            while made.id in web.app.live._pages:
                sequence += 1
                web.app.live.changed(made.id, sequence, True)
                await asyncio.sleep(0)

        await asyncio.wait_for(change_until_it_is_gone(), 60)
        assert sequence > 1000
        assert psutil.Process().memory_info().rss - memory < 16 * 2**20
    finally:
        reader.close()
