"""The live page, the visits and the sites in a real browser: what happens is there within a second, and nothing jumps."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import expect

from tests.web.streams import tap, until
from tests.web.world import ORGANIC, PAID

LOOKS = pytest.mark.parametrize(
    ("size", "language", "theme"), [("desk", "en", "light"), ("phone", "tr", "dark")], ids=["desk", "phone"]
)


async def may_send(world: Any) -> Any:
    """The ingest doors take what the pages of shop.example send for this site."""
    await world.insert("site_origins", {"site_id": world.site.id, "origin": "https://shop.example"})
    await world.web.app.collect.registry.refresh()
    return world


async def filled(world: Any, visits: int = 6) -> Any:
    """Visits of the last minutes, the first paid and with a tap."""
    now = await world.owner.fetchval("SELECT now()")
    for n in range(visits):
        at = now - timedelta(seconds=20 * n + 20)
        await world.visit(f"v{n}", at, ORGANIC if n else PAID, last_event_at=at + timedelta(seconds=10))
        await world.event(f"view{n}", at, f"v{n}", "view")
        await world.event(f"scroll{n}", at + timedelta(seconds=9), f"v{n}", "scroll_depth", event_value=50)
    await world.event(
        "tap", now, "v0", "phone_call", event_category="conversion", event_label="tel:+905321234567"
    )
    await world.lead("lead", now, "v0")
    await world.count()
    return await may_send(world)


@LOOKS
async def test_the_three_pages_please_axe_and_fit_the_screen(
    open_as: Any, signed_in: Any, make_world: Any, size: str, language: str, theme: str
) -> None:
    browser, user_id = await signed_in(language=language)
    world = await filled(await make_world(user_id, empty=True))
    await make_world(user_id, empty=True, name="Boş site", domain="bos.example")
    screen = await open_as(browser, size=size, language=language, theme=theme)
    for path in (f"/sites/{world.site.id}/live", f"/sites/{world.site.id}/sessions?device=mobile", "/sites"):
        page = await screen.go(path)
        if path.endswith("live"):
            await expect(page.locator("#pause")).to_be_visible()
            await page.locator(".live-table summary").click()
        if "sessions" in path:
            await page.locator(".visits-filter summary").click()
        assert await screen.violations() == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            "it scrolls sideways"
        )


async def test_what_happens_on_the_site_is_told_within_a_second_in_both_tabs_and_no_group_moves(
    open_as: Any, signed_in: Any, make_world: Any, web: Any
) -> None:
    browser, user_id = await signed_in()
    world = await filled(await make_world(user_id, empty=True))
    path = f"/sites/{world.site.id}/live"
    await until(lambda: web.app.live.listening)
    screen = await open_as(browser)
    page = await screen.go(path)
    other = await screen.context.new_page()
    screen.watch(other)
    await other.goto(f"{screen.base_url}{path}")
    for tab in (page, other):
        await expect(tab.locator("#badge")).to_have_attribute("data-state", "idle")
        await expect(tab.locator("[data-figure=visitors]")).to_have_text("6")
    tops = "[...document.querySelectorAll('[data-visit]')].map(e => [e.id, Math.round(e.getBoundingClientRect().top)])"
    before = await page.evaluate(tops)

    begun = await tap(web, world.site, keyword="yeni+vin%C3%A7")
    for tab in (page, other):
        await expect(tab.locator("[data-figure=visitors]")).to_have_text("7", timeout=1000)
        await expect(tab.locator("#live-leads")).to_contain_text("yeni vinç", timeout=1000)
        await expect(tab.locator("#badge")).to_have_attribute("data-state", "live")
    assert time.monotonic() - begun < 1.2
    await expect(page.locator("#feed-new")).to_have_text("1 new")
    assert await page.evaluate(tops) == before, "no group has moved, none has come in"
    await page.bring_to_front()  # a tab behind another is drawn once a second
    await page.click("#feed-new")
    await expect(page.locator("[data-visit]").first).to_contain_text("yeni vinç")
    await expect(page.locator("#feed-new")).to_be_hidden()
    await expect(page.locator("[data-visit]").first).to_contain_text("+90 532")

    # Paused, nothing changes, and it catches up after.
    await page.click("#pause")
    await expect(page.locator("#paused")).to_be_visible()
    await tap(web, world.site, keyword="duran")
    await expect(other.locator("[data-figure=visitors]")).to_have_text("8", timeout=1000)
    await expect(page.locator("[data-figure=visitors]")).to_have_text("7")
    await page.click("#pause")
    await expect(page.locator("[data-figure=visitors]")).to_have_text("8")
    # Who lets the feed flow has it flow, but not while they point into it.
    await page.mouse.move(2, 2)
    await page.check("#follow")
    await page.locator("h1").click()
    await expect(page.locator("[data-visit]").first).to_contain_text("duran", timeout=3000)


HIDE = """state => { Object.defineProperty(document, 'hidden', { value: state, configurable: true });
    document.dispatchEvent(new Event('visibilitychange')); }"""
HEAR = """() => {
    window.rang = 0; window.told = [];
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...at) { window.rang += 1; return start.apply(this, at); };
    class Told extends EventTarget {
        constructor(words, more) { super(); window.told.push([words, more.tag]); }
        close() {}
    }
    Told.permission = 'granted';
    Told.requestPermission = async () => 'granted';
    window.Notification = Told;
}"""


async def test_a_new_lead_is_in_the_tabs_title_until_it_is_seen_and_rings_if_asked_to(
    open_as: Any, signed_in: Any, make_world: Any, web: Any
) -> None:
    browser, user_id = await signed_in()
    world = await filled(await make_world(user_id, empty=True))
    await until(lambda: web.app.live.listening)
    screen = await open_as(browser)
    await screen.context.add_init_script(f"({HEAR})()")
    page = await screen.go(f"/sites/{world.site.id}/live")
    await expect(page.locator("#badge")).to_have_attribute("data-state", "idle")
    title = await page.title()
    sound, note = page.locator("#alert-sound"), page.locator("#alert-notify")
    await expect(sound).not_to_be_checked()
    await expect(note).not_to_be_checked()
    await page.evaluate(HIDE, True)
    await tap(web, world.site, keyword="bir")
    await expect(page).to_have_title(f"(1) {title}", timeout=1500)
    await tap(web, world.site, keyword="iki")
    await expect(page).to_have_title(f"(2) {title}", timeout=2500)
    assert await page.evaluate("[rang, told.length]") == [0, 0], "silent until somebody wants it"
    await page.evaluate(HIDE, False)
    await page.locator("#live-leads").scroll_into_view_if_needed()
    await expect(page).to_have_title(title)

    await sound.check()
    await expect(page.locator("#alert-sound-state")).to_have_text("On. You heard it when you switched it on.")
    await note.check()
    await expect(page.locator("#alert-notify-state")).to_have_text("On, as long as this page is open.")
    assert await page.evaluate("[rang, told.length]") == [2, 1], "each is tried when it is switched on"
    await page.evaluate(HIDE, True)
    await tap(web, world.site, keyword="uc")
    await expect(page).to_have_title(f"(1) {title}", timeout=2500)
    assert await page.evaluate("[rang, told.length]") == [4, 2]
    assert (await page.evaluate("told[1][0]")) == "1 new lead"
    await page.reload()
    await expect(sound).to_be_checked()
    await expect(note).to_be_checked()
    # The same on the page where leads are decided, which keeps them in its own way.
    await screen.go(f"/sites/{world.site.id}/queue")
    await expect(page.locator("#badge")).not_to_have_attribute("data-state", "offline")
    title = await page.title()
    await page.locator("h1").click()  # a browser lets a page sound only once somebody has touched it
    await page.evaluate(HIDE, True)
    await tap(web, world.site, keyword="dort")
    await expect(page).to_have_title(f"(1) {title}", timeout=2500)
    assert await page.evaluate("[rang, told.length]") == [2, 1]


async def test_the_badge_tells_each_of_its_four_states_and_what_was_missed_is_caught_up(
    open_as: Any, signed_in: Any, make_world: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, user_id = await signed_in()
    world = await filled(await make_world(user_id, empty=True))
    await until(lambda: web.app.live.listening)
    screen = await open_as(browser)
    await screen.context.add_init_script(
        "{ const now = Date.now.bind(Date); window.later = 0; Date.now = () => now() + window.later; }"
    )
    page = await screen.go(f"/sites/{world.site.id}/live")
    badge = page.locator("#badge")
    await expect(badge).to_have_attribute("data-state", "idle")
    await tap(web, world.site)
    await expect(badge).to_have_attribute("data-state", "live", timeout=1500)
    # The server no longer hears the database: it sends no heartbeat, and the page's clock goes on.
    monkeypatch.setattr(web.app.live._listener, "listening", False)
    await page.evaluate("window.later = 25e3")
    await expect(badge).to_have_attribute("data-state", "stale")
    await expect(badge).to_have_text("Stale")
    monkeypatch.setattr(web.app.live._listener, "listening", True)

    await page.evaluate("window.later = 0")
    await screen.context.set_offline(True)
    await expect(badge).to_have_attribute("data-state", "offline", timeout=8000)
    await tap(web, world.site, keyword="unterwegs")
    await asyncio.sleep(0.3)
    assert "unterwegs" not in await page.locator("#live-leads").inner_text()
    await screen.context.set_offline(False)
    await expect(page.locator("#live-leads")).to_contain_text("unterwegs", timeout=3000)
    await expect(badge).not_to_have_attribute("data-state", "offline", timeout=4000)
    screen.complaints[:] = [word for word in screen.complaints if "ERR_INTERNET_DISCONNECTED" not in word]


async def test_the_list_of_sites_refreshes_in_its_place(
    open_as: Any, signed_in: Any, make_world: Any, web: Any
) -> None:
    browser, user_id = await signed_in()
    worlds = [
        await may_send(await make_world(user_id, empty=True, name=name, domain=f"{name}.example"))
        for name in "abc"
    ]
    screen = await open_as(browser)
    page = await screen.go("/sites")
    places = (
        "[...document.querySelectorAll('.site')].map(e => [e.id, JSON.stringify(e.getBoundingClientRect())])"
    )
    before = await page.evaluate(places)
    await tap(web, worlds[2].site)
    await page.evaluate("document.body.dispatchEvent(new CustomEvent('om:sites'))")
    site = page.locator(f"#site-{worlds[2].site.id}")
    await expect(site.locator(".site-figures .figure").first).to_have_text("1")
    await expect(site.locator(".site-health")).to_have_text("Receiving")
    # "Put the tracker on its pages" has gone from the card that has no use for it; the others stand where they stood.
    after = await page.evaluate(places)
    assert [name for name, _ in after] == [name for name, _ in before]
    assert after[:2] == before[:2]
