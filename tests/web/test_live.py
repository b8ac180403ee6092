"""The stream: what changed is told within a second, never more than the newest, and only to those who may know."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from opsmantik.errors import Unavailable
from opsmantik.web import live as module
from opsmantik.web.live import CHANNEL, Live, Page, Stream
from tests.web.browsing import Browser, running

pytestmark = pytest.mark.slow  # locks, long readers and streams: seconds each

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)


class Listener:
    """A browser's EventSource, as far as these tests need one."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()

    async def read(self, lines: AsyncIterator[str]) -> None:
        fields: dict[str, str] = {}
        async for line in lines:
            if line:
                field, _, value = line.partition(":")
                fields[field] = value.strip()
            else:
                self._events.put_nowait(fields)
                fields = {}
        self._events.put_nowait(None)

    async def event(self, name: str, *, within: float = 3.0) -> dict[str, str]:
        """The next event of this name; others are passed over."""
        async with asyncio.timeout(within):
            while (fields := await self._events.get()) is not None:
                if fields.get("event") == name:
                    return fields
        raise EOFError

    async def nothing(self, name: str, *, within: float = 0.4) -> None:
        with pytest.raises(TimeoutError):
            await self.event(name, within=within)

    async def ended(self, *, within: float = 3.0) -> bool:
        with pytest.raises(EOFError):
            await self.event("never", within=within)
        return True


@asynccontextmanager
async def listening(browser: Browser, path: str, **headers: str) -> AsyncIterator[Listener]:
    async with browser.http.stream("GET", path, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        listener = Listener()
        reading = asyncio.create_task(listener.read(answer.aiter_lines()))
        try:
            yield listener
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@pytest.fixture
def notify(database: Any) -> Callable[..., Awaitable[None]]:
    async def notify(payload: str) -> None:
        connection = await asyncpg.connect(database.app)
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
        await connection.close()

    return notify


@pytest.fixture
async def site(signed_in: Any, own_site: Any, web: Any) -> Any:
    """A browser, its site, and the path of the stream."""
    browser, user_id = await signed_in()
    made = await own_site(user_id)
    await until(lambda: web.app.live.listening)
    return browser, made, f"/sites/{made.id}/stream"


async def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)


async def tap(web: Any, site: Any, *, keyword: str = "") -> float:
    """A visit with a tap on the phone number; returns when its answer was there."""
    now, session = int(time.time() * 1000), str(uuid4())
    url = f"https://shop.example/?gclid=Cj0KCQiAtestclick{uuid4().hex}&utm_term={keyword}"
    common = {"sid": session, "url": url}
    events = [
        {"id": str(uuid4()), "ts": now - 500, "cat": "interaction", "act": "view", **common},
        {
            "id": str(uuid4()),
            "ts": now,
            "cat": "conversion",
            "act": "phone_call",
            "label": "tel:+905321234567",
            **common,
        },
    ]
    answer = await web.browser().http.post(
        "/v1/events",
        content=json.dumps({"site": site.public_id, "sent": now, "events": events}),
        headers={"content-type": "text/plain", "origin": "https://shop.example", "user-agent": CHROME},
    )
    assert answer.status_code == 200, answer.text
    return time.monotonic()


# What is owed to one page.


def test_a_page_is_owed_only_the_newest_and_a_new_lead_is_never_forgotten() -> None:
    page = Page()
    for sequence, intents in ((5, False), (7, True), (6, False), (9, False)):
        page.tell(sequence, intents)
    assert page.wake.is_set()
    assert page.take() == (9, True)
    assert not page.wake.is_set()
    page.tell(10, False)
    assert page.take() == (10, False)


def test_a_notice_for_a_site_that_nobody_looks_at_leaves_nothing_behind() -> None:
    live = Live("postgresql://nowhere")
    site_id = uuid4()
    live.changed(site_id, 1, True)
    assert not live._pages
    with live.page(site_id):
        assert len(live._pages[site_id]) == 1
    assert not live._pages


@pytest.mark.parametrize("payload", ["", "x", "a:b:c", f"{UUID(int=0)}:x:i", f"{UUID(int=0)}:1", "::::"])
def test_a_notice_that_cannot_be_read_harms_nothing(payload: str) -> None:
    Live("postgresql://nowhere")._noticed(payload)


def test_more_pages_than_one_process_should_hold_are_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 1)
    live = Live("postgresql://nowhere")
    with live.page(uuid4()), pytest.raises(Unavailable), live.page(uuid4()):
        pass
    with live.page(uuid4()):
        pass


# On the wire.


async def test_a_notice_reaches_the_open_page_with_its_sequence_and_kind(site: Any, notify: Any) -> None:
    browser, made, path = site
    async with listening(browser, f"{path}?since=0") as listener:
        await notify(f"{made.id}:41:e")
        change = await listener.event("change", within=1)
        assert (change["id"], json.loads(change["data"])) == ("41", {"sequence": 41, "kind": "e"})
        await notify(f"{made.id}:42:i")
        change = await listener.event("change", within=1)
        assert json.loads(change["data"]) == {"sequence": 42, "kind": "i"}


async def test_a_notice_about_another_site_does_not(site: Any, notify: Any) -> None:
    browser, _, path = site
    async with listening(browser, f"{path}?since=0") as listener:
        await notify(f"{uuid4()}:41:i")
        await listener.nothing("change")


SINCE = {
    "nothing was missed": ("?since=1", {}, False),
    "something was missed": ("?since=0", {}, True),
    "nobody knows what was missed": ("", {}, True),
    "not a number": ("?since=abc", {}, True),
    "far too long a number": ("?since=" + "9" * 5000, {}, True),
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
            assert json.loads(change["data"]) == {"sequence": 1, "kind": "i"}
        else:
            await listener.nothing("change")


async def test_a_heartbeat_comes_at_once_and_then_steadily(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    browser, _, path = site
    async with listening(browser, path) as listener:
        beats = [await listener.event("heartbeat", within=1) for _ in range(4)]
    assert all(beat["data"].endswith("+00:00") for beat in beats)


async def test_a_stream_ends_after_its_life_and_leaves_no_page_behind(
    site: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(module, "LIFE_SECONDS", 0.3)
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


async def test_without_signing_in_there_is_no_stream(web: Any, site: Any) -> None:
    _, _, path = site
    answer = await web.browser().get(path, accept="text/event-stream")
    assert (answer.status_code, answer.content) == (401, b"")


async def test_a_page_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert len(sent) == 3, "nothing heaped up for it"
    assert not live._pages


# When the database goes away.


async def test_after_a_lost_connection_every_page_is_told_to_look(
    site: Any, web: Any, database: Any, notify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    browser, made, path = site
    async with listening(browser, f"{path}?since=0") as listener:
        await listener.event("heartbeat")
        admin = await asyncpg.connect(database.admin)
        try:
            killed = await admin.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'opsmantik live'"
            )
        finally:
            await admin.close()
        assert killed == 1
        change = await listener.event("change", within=8)
        assert json.loads(change["data"])["kind"] == "i"
        await notify(f"{made.id}:77:e")
        change = await listener.event("change", within=2)
        assert change["id"] == "77"


async def test_while_it_cannot_listen_there_is_no_heartbeat(
    site: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    browser, _, path = site
    async with listening(browser, path) as listener:
        await listener.event("heartbeat")
        monkeypatch.setattr(web.app.live._listener, "listening", False)
        await listener.nothing("heartbeat")
        monkeypatch.setattr(web.app.live._listener, "listening", True)
        await listener.event("heartbeat", within=1)


# From the tap to the page.


async def test_a_tap_is_told_within_a_second_and_its_card_shows_keyword_and_source(
    site: Any, web: Any
) -> None:
    browser, made, path = site
    async with listening(browser, f"{path}?since=0") as listener:
        for n in range(3):
            begun = time.monotonic()
            await tap(web, made, keyword=f"vin%C3%A7+{n}")
            while json.loads((await listener.event("change", within=1))["data"])["kind"] != "i":
                pass
            html = (await browser.get(f"/sites/{made.id}/cards/newest-intents")).text
            assert time.monotonic() - begun < 1
            assert f"vinç {n}" in html
            assert "First Click (Paid)" in html


# The end.


async def test_when_it_is_told_to_stop_it_is_unready_first_and_lets_its_pages_go(
    database: Any, tmp_path: Path, make_person: Any, make_site: Any, owner: Any
) -> None:
    user_id, email = await make_person()
    made = await make_site()
    await owner.execute("UPDATE sites SET user_id = $2 WHERE id = $1", made.id, user_id)
    async with running(database.app, tmp_path) as web:
        browser = web.browser()
        await browser.sign_in(email)
        async with listening(browser, f"/sites/{made.id}/stream") as listener:
            await listener.event("heartbeat")
            web.app.begin_shutdown()
            assert await listener.ended(within=1)
        ready = await browser.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"][0]["code"]) == (503, "stopping")
        assert (await browser.get("/healthz")).status_code == 200
        refused = await browser.get(f"/sites/{made.id}/stream")
        assert refused.status_code == 503


SERVER = """
import sys, uvicorn
from pathlib import Path
from opsmantik.settings import Settings
from opsmantik.web.app import create_app
app = create_app(Settings(home=Path(sys.argv[2]), secret_key="k" * 40), app_dsn=sys.argv[1])
config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="info", timeout_graceful_shutdown=30)
uvicorn.Server(config).run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_open_page_does_not_hold_up_the_end(
    database: Any, tmp_path: Path, make_person: Any, make_site: Any, owner: Any, number: signal.Signals
) -> None:
    user_id, email = await make_person()
    made = await make_site()
    await owner.execute("UPDATE sites SET user_id = $2 WHERE id = $1", made.id, user_id)
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, database.app, str(tmp_path)], stdout=output, stderr=output,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    try:
        await until(lambda: "running on http://" in log.read_text(), 20)
        address = log.read_text().split("running on ")[1].split(" ")[0]
        browser = Browser(address)
        await browser.sign_in(email)
        async with listening(browser, f"/sites/{made.id}/stream") as listener:
            await listener.event("heartbeat")
            process.send_signal(number)
            assert await listener.ended(within=2)
        await browser.http.aclose()
        await until(lambda: process.poll() is not None, 5)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


# In a real browser.


@pytest.mark.browser
async def test_a_lead_appears_without_reload_and_the_row_being_read_stays_where_it_is(
    site: Any, web: Any
) -> None:
    from playwright.async_api import async_playwright, expect

    browser, made, _ = site
    for n in range(12):
        await tap(web, made, keyword=f"old+{n}")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        context = await chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
        await context.add_cookies(
            [{"name": "opsmantik", "value": browser.http.cookies["opsmantik"], "url": web.base_url}]
        )
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{web.base_url}/sites/{made.id}")
        await expect(page.locator("#badge")).to_have_attribute("data-state", "idle")
        await page.evaluate("window.untouched = true")
        await expect(page.locator("[data-lead]")).to_have_count(12)
        row = page.locator("[data-lead]").nth(6)
        await row.locator("summary").click()
        await row.evaluate("row => row.scrollIntoView({block: 'start'})")
        row_id, before = await row.get_attribute("id"), (await row.bounding_box() or {})["y"]

        begun = await tap(web, made, keyword="brand+new")
        fresh = page.locator("[data-lead]").first
        await expect(fresh).to_contain_text("brand new", timeout=1000)
        assert time.monotonic() - begun < 1
        await expect(fresh).to_contain_text("First Click (Paid)")
        await expect(page.locator("[data-lead]")).to_have_count(13)
        kept = page.locator(f"#{row_id}")
        assert abs((await kept.bounding_box() or {})["y"] - before) < 2
        assert await kept.locator("details").get_attribute("open") is not None
        await expect(page.locator("#new-leads")).to_have_text("1 new")
        await expect(page.locator("#announce")).to_have_text("1 new lead")
        await expect(page.locator("[data-figure=intents]")).to_have_text("13")
        await expect(page.locator("#badge")).to_have_attribute("data-state", "live")
        await page.click("#new-leads")
        await expect(page.locator("#new-leads")).to_be_hidden()
        assert await page.evaluate("window.untouched"), "the page was not loaded anew"
        assert complaints == []
        await chromium.close()


@pytest.mark.browser
async def test_the_badge_says_offline_while_the_server_is_away_and_comes_back(
    database: Any, tmp_path: Path, make_person: Any, make_site: Any, owner: Any
) -> None:
    from playwright.async_api import async_playwright, expect

    user_id, email = await make_person()
    made = await make_site()
    await owner.execute("UPDATE sites SET user_id = $2 WHERE id = $1", made.id, user_id)
    async with running(database.app, tmp_path) as web, async_playwright() as playwright:
        browser = web.browser()
        await browser.sign_in(email)
        chromium = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        context = await chromium.new_context()
        await context.add_cookies(
            [{"name": "opsmantik", "value": browser.http.cookies["opsmantik"], "url": web.base_url}]
        )
        page = await context.new_page()
        await page.goto(f"{web.base_url}/sites/{made.id}")
        badge = page.locator("#badge")
        await expect(badge).to_have_attribute("data-state", "idle")
        web.app.live.close_pages()  # streams end, and new ones are refused
        await expect(badge).to_have_attribute("data-state", "offline", timeout=15_000)
        await expect(badge).to_have_text("Offline")
        web.app.live.closing.clear()
        await expect(badge).not_to_have_attribute("data-state", "offline", timeout=15_000)
        await chromium.close()


def test_the_heartbeat_fits_between_the_badges_limits() -> None:
    script = (Path(module.__file__).parent / "static" / "live.js").read_text()
    stale = float(script.split("const STALE = ")[1].split(";")[0])
    assert 2 * module.HEARTBEAT_SECONDS * 1000 < stale < 3 * module.HEARTBEAT_SECONDS * 1000
