"""Links to figures in a real browser: made and copied by one, opened by another who has no account, revoked."""

from __future__ import annotations

import re

import pytest

from tests.web.world import PAID

LOOKS = [("desk", "en", "light"), ("phone", "tr", "dark")]


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS, ids=["desk", "phone"])
async def test_a_link_is_made_opened_by_somebody_else_and_revoked(
    open_as, signed_in, make_world, size, language, theme
):
    browser, user_id = await signed_in()
    world = await make_world(user_id, name="Vinç Kiralama")
    for n in range(4):
        await world.visit(f"more {n}", world.at(4 + n), PAID)
    await world.count()
    look = {"size": size, "language": language, "theme": theme}
    own = await open_as(browser, **look)
    page = await own.go(f"/sites/{world.site.id}/settings/sharing")
    await page.fill("#name", "For the agency")
    await page.locator("form.panel button[type=submit]").click()
    link = (await page.locator("#share-link").inner_text()).strip()
    assert await own.violations() == []
    # Somebody without an account.
    other = await open_as(None, **look)
    await other.go(re.sub(r"^https?://[^/]+", "", link))
    figures = other.page
    assert await figures.locator("h1").inner_text() == "Vinç Kiralama"
    await figures.locator(".share-picker a").nth(3).click()
    await figures.wait_for_url("**range=30d**")
    assert await figures.locator(".share-tile").count() == 8
    bar = figures.locator("rect.now").first
    box = await bar.bounding_box()
    assert box is not None and box["height"] > 10
    await figures.locator(".share-table summary").click()
    assert await figures.locator(".share-scroll tbody tr").count() == 30
    assert await other.violations() == []
    wide = await figures.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    for target in await figures.locator("a, summary, button").all():
        if await target.is_visible() and not await target.evaluate("e => e.classList.contains('skip')"):
            box = await target.bounding_box()
            assert box is not None and box["height"] >= 44, await target.inner_text()
    # No script came with it, and no cookie stays.
    assert not [url for url in other.requests if ".js" in url]
    assert await other.context.cookies() == []
    # By keyboard: the days of one's own.
    await figures.locator(".share-days summary").focus()
    await figures.keyboard.press("Enter")
    day = world.start.date().isoformat()
    await figures.fill("#first", day)
    await figures.fill("#last", day)
    await figures.keyboard.press("Enter")
    await figures.wait_for_url(f"**first={day}**")
    # Revoked: gone for them at the next look.
    await page.locator("ul.rows button").click()
    await page.wait_for_url("**?revoked")
    await figures.reload()
    assert await figures.locator(".share-tile").count() == 0
    assert await other.violations() == []


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS, ids=["desk", "phone"])
async def test_the_wish_for_a_summary_is_kept(open_as, signed_in, own_site, size, language, theme):
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    screen = await open_as(browser, size=size, language=language, theme=theme)
    page = await screen.go(f"/sites/{site.id}/settings/notifications")
    await page.select_option("#summary-pace", "weekly")
    await page.select_option("#summary-hour", "9")
    await page.locator("form[action$='/summary'] button[type=submit]").click()
    await page.wait_for_url("**summary=saved**")
    assert "09:00" in await page.locator("[role=status]").inner_text()
    assert await screen.violations() == []
