"""The overview in a real browser: what it shows, what it does under a hand, and that nothing on it moves by itself."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.web.test_pages import visit

# What has moved by itself since the page began to paint, with what it was.
WATCH = """
window.moved = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const what = (source) => (source.node?.outerHTML || source.node?.textContent || "").slice(0, 120);
    if (!entry.hadRecentInput) window.moved.push([entry.value, entry.sources.map(what)]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
CLICK = "?gclid=Cj0KCQiAtestclick123&utm_term=kiral%C4%B1k+vin%C3%A7&utm_campaign=ist"


async def lively(web, signed_in, own_site):
    """A site with a visit, a lead with a keyword, and whoever looks at it."""
    browser, user_id = await signed_in()
    site = await own_site(user_id, name="Vinç Kiralama", domain="shop.example")
    await visit(web, site)
    await visit(web, site, tap="tel:+905321234567", query=CLICK)
    return browser, site


async def test_a_new_lead_slides_in_within_a_second_and_nothing_else_moves(open_as, web, signed_in, own_site):
    browser, site = await lively(web, signed_in, own_site)
    screen = await open_as(browser)
    await screen.page.add_init_script(WATCH)
    page = await screen.go(f"/sites/{site.id}")
    await page.locator("#breakdowns table.hours").wait_for()
    await page.locator("#badge[data-state=live], #badge[data-state=idle]").wait_for()
    assert await page.locator("#waiting-leads [data-lead]").count() == 1
    await page.evaluate("window.chartBefore = document.querySelector('#chart canvas')")
    await visit(web, site, tap="https://wa.me/905321112233", query=CLICK)
    row = page.locator("#waiting-leads [data-lead]").filter(has_text="+90 532 111 22 33")
    await row.wait_for(timeout=1000)
    await page.locator("[data-figure=leads]:has-text('2')").wait_for()
    await page.locator("[data-figure=sessions]:has-text('3')").wait_for()
    # The chart is the same one, with the figure in it; the tab says that there is news.
    assert await page.evaluate("document.querySelector('#chart canvas') === window.chartBefore")
    assert "leads 2" in await page.locator("#chart").get_attribute("aria-valuetext")
    assert await page.evaluate("window.moved") == []


async def test_a_hand_on_the_list_holds_it_still(open_as, web, signed_in, own_site):
    browser, site = await lively(web, signed_in, own_site)
    screen = await open_as(browser)
    page = await screen.go(f"/sites/{site.id}")
    await page.locator("#badge[data-state=live], #badge[data-state=idle]").wait_for()
    first = page.locator("#waiting-leads [data-lead]").first
    box = await first.bounding_box()
    await page.mouse.move(box["x"] + 20, box["y"] + 20)
    await page.mouse.move(box["x"] + 40, box["y"] + 22)
    own = await first.get_attribute("id")
    await visit(web, site, tap="https://wa.me/905321112233")
    await page.locator("[data-figure=leads]:has-text('2')").wait_for()
    assert await page.locator("#waiting-leads [data-lead]").first.get_attribute("id") == own
    await page.locator("#waiting-leads [data-lead]").nth(1).wait_for()  # when it has been still


@pytest.mark.parametrize(
    ("size", "language", "theme"), [("desk", "en", "light"), ("phone", "tr", "dark")], ids=["desk", "phone"]
)
async def test_looking_at_a_range(open_as, signed_in, make_world, size, language, theme):
    """Chart by keys, series, range of one's own, its mistakes, a tile's rows, back, all rows of a breakdown."""
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    screen = await open_as(browser, size=size, language=language, theme=theme)
    first, last = world.start.date() - timedelta(days=1), world.end.date()
    page = await screen.go(f"/sites/{world.site.id}?first={first}&last={last}")
    await page.locator("#breakdowns table.hours").wait_for()
    assert await screen.violations() == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # The chart is drawn in the theme's own colours, and read by keys.
    chart = page.locator("#chart")
    assert await chart.locator("canvas").count() == 1
    await chart.focus()
    await page.keyboard.press("Home")
    begin = await chart.get_attribute("aria-valuetext")
    await page.keyboard.press("End")
    assert await chart.get_attribute("aria-valuetext") != begin
    assert await chart.get_attribute("aria-valuenow") == await chart.get_attribute("aria-valuemax")
    await page.locator("#trend-series label").first.click()
    assert await page.locator("#trend-series :checked").get_attribute("value") == "sessions"
    await page.reload()
    assert await page.locator("#trend-series :checked").get_attribute("value") == "sessions"
    await page.locator("#trend-series [value=sessions]").focus()
    await page.keyboard.press("ArrowRight")
    assert await page.locator("#trend-series :checked").get_attribute("value") == "leads"
    await page.locator("#trend-as-table summary").click()
    assert await page.locator("#trend-table").is_visible()

    # A range of one's own; what cannot be had is said beside it.
    await page.locator("#picker summary").click()
    await page.fill("#first", str(last))
    await page.fill("#last", str(first))
    await page.locator(".picker-form button").click()
    assert await page.locator("#range-problem").inner_text() != ""
    await page.fill("#first", "2026-01-01")
    await page.fill("#last", "2026-12-31")
    assert "184" in await page.locator("#range-problem").inner_text()
    await page.fill("#first", str(first))
    await page.fill("#last", str(first))
    assert await page.locator("#range-problem").inner_text() == ""
    await page.locator(".picker-form button").click()
    await page.wait_for_url(f"**?first={first}&last={first}")
    await page.go_back()

    # All rows of a breakdown, and the way back.
    await page.locator("#breakdowns table.hours").wait_for()
    await screen.go(f"/sites/{world.site.id}/breakdown/keyword?first={first}&last={last}")
    assert "kiralık vinç" in await page.locator(".bars").inner_text()
    assert await screen.violations() == []
    await page.locator(".to-overview").click()
    await page.wait_for_url(re.compile(rf"/sites/{world.site.id}\?first={first}&last={last}$"))

    for target in await page.locator(
        ".look .chip:visible, .switch .chip, .waiting-list a, .all, .as-table summary"
    ).all():
        box = await target.bounding_box()
        assert box is not None and box["height"] >= 44, await target.inner_text()


@pytest.mark.parametrize(
    ("size", "language", "theme"), [("desk", "en", "light"), ("phone", "tr", "dark")], ids=["desk", "phone"]
)
async def test_a_new_site_shows_its_first_event_by_itself(
    open_as, web, signed_in, own_site, size, language, theme
):
    browser, user_id = await signed_in()
    site = await own_site(user_id, domain="shop.example")
    screen = await open_as(browser, size=size, language=language, theme=theme)
    page = await screen.go(f"/sites/{site.id}")
    await page.locator("#badge[data-state=live], #badge[data-state=idle]").wait_for()
    assert await page.locator("#no-event a").get_attribute("href") == f"/sites/{site.id}/install"
    assert await screen.violations() == []
    await visit(web, site)
    await page.locator("#chart canvas").wait_for()
    assert await page.locator("#no-event").count() == 0
    assert await page.locator("#no-leads").is_visible()
    assert await screen.violations() == []
