"""What changed is told to open pages within a second, and they find out when it cannot be."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from opsmantik.errors import Unavailable
from opsmantik.web import live as module
from opsmantik.web import stream
from opsmantik.web.live import Live, Page
from tests.web.browsing import Browser, running
from tests.web.streams import listening, notify, stream_of, tap, until

pytestmark = pytest.mark.slow  # locks, long readers and streams: seconds each


@pytest.fixture
async def site(signed_in: Any, own_site: Any, web: Any) -> Any:
    """A browser, its site, and the path of the stream."""
    browser, user_id = await signed_in()
    made = await own_site(user_id)
    await until(lambda: web.app.live.listening)
    return browser, made, stream_of(made.id)


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


TOLD = {
    "a newer state": ((6, False), True),
    "the state that it knows": ((5, False), False),
    "an older state, which came late or twice": ((4, False), False),
    "a lead, whose notice came after another's of the same state": ((5, True), True),
}


@pytest.mark.parametrize(("notice", "wakes"), TOLD.values(), ids=TOLD.keys())
def test_a_page_is_woken_by_what_it_does_not_know(notice: tuple[int, bool], wakes: bool) -> None:
    page = Page()
    page.tell(5, True)
    page.take()
    page.tell(*notice)
    assert page.wake.is_set() is wakes


def test_after_a_loss_a_page_looks_for_itself_and_then_takes_smaller_numbers_too() -> None:
    """The database may have been restored from a backup in between."""
    page = Page()
    page.tell(500, False)
    page.take()
    page.tell_to_look()
    assert page.take() == (0, True)
    page.tell(7, False)
    assert page.take() == (7, False)


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


# When the database goes away.


async def test_after_a_lost_connection_every_page_is_told_to_look(
    site: Any, web: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.1)
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
        await notify(database.app, f"{made.id}:77:e")
        change = await listener.event("change", within=2)
        assert change["id"] == "77"


async def test_while_it_cannot_listen_there_is_no_heartbeat(
    site: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.1)
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
            html = (await browser.get(f"/sites/{made.id}/cards/waiting")).text
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
        async with listening(browser, stream_of(made.id)) as listener:
            await listener.event("heartbeat")
            web.app.begin_shutdown()
            assert await listener.ended(within=1)
        ready = await browser.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"][0]["code"]) == (503, "stopping")
        assert (await browser.get("/healthz")).status_code == 200
        refused = await browser.get(stream_of(made.id))
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
        async with listening(browser, stream_of(made.id)) as listener:
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
        await page.goto(f"{web.base_url}/sites/{made.id}/leads")
        await expect(page.locator("#badge")).to_have_attribute("data-state", "idle")
        await page.evaluate("window.untouched = true")
        rows = page.locator("#leads-head tr[data-lead]")
        await expect(rows).to_have_count(12)
        row = rows.nth(6)
        await row.evaluate("row => row.scrollIntoView({block: 'start'})")
        row_id, before = await row.get_attribute("id"), (await row.bounding_box() or {})["y"]

        begun = await tap(web, made, keyword="brand+new")
        await expect(page.locator("#new-leads")).to_have_text("1 new", timeout=1000)
        assert time.monotonic() - begun < 1
        await expect(page.locator("#announce")).to_have_text("1 new lead")
        await expect(page).to_have_title(re.compile(r"^\(1\) "))
        await expect(page.locator("#badge")).to_have_attribute("data-state", "live")
        await expect(rows).to_have_count(12)
        kept = page.locator(f"#{row_id}")
        assert abs((await kept.bounding_box() or {})["y"] - before) < 2
        await page.click("#new-leads")
        await expect(page.locator("#new-leads")).to_be_hidden()
        await expect(rows).to_have_count(13)
        await expect(rows.first).to_contain_text("brand new")
        await expect(rows.first).to_contain_text("First Click (Paid)")
        await expect(page).not_to_have_title(re.compile(r"^\("))
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
    beat = stream.HEARTBEAT_SECONDS * 1000
    assert beat + 2000 <= stale < 2 * beat, "one missed heartbeat shows, a slow one does not"
