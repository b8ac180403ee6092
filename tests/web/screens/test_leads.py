"""The leads' list in a browser: found while one types, longer as one scrolls, many decided at once, kept as a view."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from playwright.async_api import expect

from tests.web.world import ORGANIC, PAID, World


async def long_list(make_world: Any, user: Any) -> World:
    """A site with more leads than a page of the list."""
    world: World = await make_world(user, empty=True)
    await world.visit("paid", world.at(1), PAID)
    await world.visit("organic", world.at(1), ORGANIC)
    for n in range(120):
        await world.lead(f"{n}", world.at(2) + timedelta(seconds=n), "paid" if n % 2 else "organic")
    await world.count()
    return world


def rows(page: Any) -> Any:
    return page.locator(".lead-table tbody tr[data-lead]")


async def test_at_a_desk_leads_are_found_selected_and_decided(
    open_as: Any, signed_in: Any, make_world: Any
) -> None:
    browser, user = await signed_in()
    world = await long_list(make_world, user)
    screen = await open_as(browser)
    path = f"/sites/{world.site.id}/leads"
    page = await screen.go(f"{path}?range=all")
    assert await rows(page).count() == 50 and "120 leads" in await page.inner_text("#leads-count")
    assert await screen.violations() == []

    # Longer, without a row lost or seen twice, and the address does not move.
    await page.mouse.wheel(0, 20_000)
    await expect(rows(page)).to_have_count(100)
    await page.mouse.wheel(0, 20_000)
    await expect(rows(page)).to_have_count(120)
    ids = await rows(page).evaluate_all("rows => rows.map(row => row.id)")
    assert len(set(ids)) == 120 and await page.locator("#leads-older").count() == 0

    # A slash and a few letters: the list is another, the field keeps the keyboard, the address is what is shown.
    await page.keyboard.press("Home")
    await page.keyboard.press("/")
    await page.keyboard.type("KIRALIK")
    await expect(page.locator("#leads-count")).to_contain_text("60 leads")
    assert await page.evaluate("document.activeElement.id") == "leads-q"
    assert page.url.endswith("leads?q=KIRALIK&range=all")
    await expect(page.locator(".active")).to_contain_text("“KIRALIK”")
    await page.locator("#leads-q").fill("")
    await expect(page.locator("#leads-count")).to_contain_text("120 leads")

    # From the second to the fifth, and one that somebody else has decided meanwhile.
    await page.keyboard.press("Escape")
    boxes = page.locator("#leads-head [data-pick]")
    await boxes.nth(1).click()
    await boxes.nth(4).click(modifiers=["Shift"])
    assert await page.inner_text("#bulk [data-count]") == "4 selected"
    third = await rows(page).nth(2).get_attribute("data-lead")
    await world.owner.execute(
        "UPDATE calls SET version = version + 1 WHERE site_id = $1 AND id = $2::uuid", world.site.id, third
    )
    await page.click("#bulk [data-bulk=junk]")
    await page.select_option("#bulk-reason", "wrong_number")
    assert await screen.violations() == []
    await page.click("#bulk-dialog [value=go]")
    await page.wait_for_selector("#bulk-told [data-undo]:visible")
    words = await page.inner_text("#bulk-told")
    assert words.startswith("3 leads done. 1 left as they are:") and "somebody else" in words
    await expect(page.locator(".lead-table .status-junk")).to_have_count(3)
    await page.click("#bulk-told [data-undo]")
    await expect(page.locator(".lead-table .status-junk")).to_have_count(0)
    await expect(page.locator("#bulk-told")).to_contain_text("3 leads taken back.")
    await page.click("#bulk-told [data-close]")

    # One by its own button: the row says so by itself.
    first = rows(page).first
    await first.locator("[data-decide=seal]").click()
    await page.locator("#seal-dialog [type=submit]").first.click()
    await expect(first.locator(".status")).to_have_class(re.compile("sealed"))

    # A view, kept and found again.
    await page.click("#leads-filters summary")
    await page.select_option("#filter-scope", "paid")
    await expect(page.locator("#leads-count")).to_contain_text("60 leads")
    await page.keyboard.press("Escape")
    await page.click("#views summary")
    await page.fill("#view-name", "Ücretli")
    await page.click("#views .main-button")
    await page.wait_for_url("**/leads?range=all&scope=paid")
    await page.click("#views summary")
    assert await page.locator(".views-kept a").inner_text() == "Ücretli"


async def test_a_new_lead_waits_until_somebody_asks_for_it(
    open_as: Any, signed_in: Any, make_world: Any, web: Any
) -> None:
    browser, user = await signed_in()
    world = await make_world(user)
    screen = await open_as(browser)
    page = await screen.go(f"/sites/{world.site.id}/leads?range=all")
    await page.wait_for_selector("#badge[data-state=live], #badge[data-state=idle]")
    late = await world.lead("late", world.at(47), "paid")
    await world.owner.execute(
        "INSERT INTO counter_journal (site_id, calls, changed_at, last_intent_at) VALUES ($1, $2, now(), now())",
        world.site.id, [late],
    )  # fmt: skip
    web.app.collect.notices.changed(world.site.id, True)
    await page.wait_for_selector("#new-leads:visible")
    assert await rows(page).count() == 5
    await page.click("#new-leads")
    await page.wait_for_selector(f"#lead-{late}")
    assert await rows(page).count() == 6 and await rows(page).first.get_attribute("id") == f"lead-{late}"


async def test_on_a_phone_leads_are_cards(open_as: Any, signed_in: Any, make_world: Any) -> None:
    browser, user = await signed_in()
    world = await make_world(user)
    screen = await open_as(browser, size="phone", language="tr", theme="dark")
    page = await screen.go(f"/sites/{world.site.id}/leads?range=all&click=yes")
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert "3 talep" in await page.inner_text("#leads-count")
    assert await screen.violations() == []
    for button in await page.locator(
        "#leads-head .row-do button, #leads-head .row-pick label, .active"
    ).all():
        box = await button.bounding_box()
        assert box is not None and box["height"] >= 44
    await page.locator("#leads-head [data-pick]").first.click()
    assert await page.inner_text("#bulk [data-count]") == "1 talep seçili"
    assert await screen.violations() == []
    link = page.locator(".row-who a").first
    href = await link.get_attribute("href")
    await link.click()
    await page.wait_for_selector("dialog#drawer[open]")
    assert href is not None and re.search(re.escape(href), page.url)
