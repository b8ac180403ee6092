"""The drawer over a list: at a desk and on a phone, with the browser's own way back, and when two people decide."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.world import Programs, World


@pytest.fixture
async def opened(signed_in: Any, make_world: Any) -> tuple[Any, World]:
    """Somebody's world in which two leads have been decided, so that the activity page lists them."""
    browser, user_id = await signed_in()
    world: World = await make_world(user_id)
    programs = Programs(browser)
    for lead, body in (("waiting", {"action": "seal"}), ("form", {"action": "suspect"})):
        answer = await programs.post(f"{world.path}/intents/{world.ids[lead]}/decisions", body)
        assert answer.status_code == 200
    return browser, world


def paths(world: World) -> tuple[str, str, str]:
    site = f"/sites/{world.site.id}"
    return f"{site}/activity", f"{site}/leads/{world.ids['waiting']}", f"{site}/sessions/{world.ids['paid']}"


async def test_a_drawer_lies_over_its_list_and_has_an_address_of_its_own(open_as: Any, opened: Any) -> None:
    browser, world = opened
    screen = await open_as(browser)
    activity, lead, visit = paths(world)
    page = await screen.go(activity)
    assert await screen.violations() == []
    link, drawer = page.locator(f'#activity a[href="{lead}"]').first, page.locator("#drawer")
    await link.click()
    await drawer.locator(".record").wait_for()
    assert page.url.endswith(lead) and "+90 532" in await page.title()
    assert await drawer.evaluate("node => node.matches(':modal')")
    assert await screen.violations() == []

    # A visit over the lead, and the way back out of each.
    await drawer.locator(f'a[href="{visit}"]').last.click()
    await drawer.locator(f'.record[data-path="{visit}"]').wait_for()
    assert page.url.endswith(visit)
    assert await screen.violations() == []
    await drawer.locator(".drawer-back").click()
    await drawer.locator(f'.record[data-path="{lead}"]').wait_for()
    await page.go_forward()
    await drawer.locator(f'.record[data-path="{visit}"]').wait_for()
    await page.keyboard.press("Escape")
    await page.wait_for_url(f"**{activity}")
    assert await drawer.is_hidden() and "+90 532" not in await page.title()
    assert await link.evaluate("node => node === document.activeElement")

    # Closed by its button and by the place beside it, opened again by forward.
    for close in ("button", "beside"):
        await page.go_forward()
        await drawer.locator(f'.record[data-path="{lead}"]').wait_for()
        if close == "button":
            await drawer.locator(".drawer-close").click()
        else:
            await page.mouse.click(20, 450)
        await page.wait_for_url(f"**{activity}")
        assert await drawer.is_hidden()

    # Reloaded, its address is a page; back is the list again.
    await link.click()
    await drawer.locator(".record").wait_for()
    await page.reload()
    assert await page.locator("main > .record").count() == 1 and await drawer.count() == 0
    assert await screen.violations() == []
    await page.go_back()
    await page.locator("#activity").wait_for()
    assert await page.locator(".record").count() == 0

    # With a key that asks for a new tab it is a link like any other.
    async with screen.context.expect_page() as waiting:
        await link.click(modifiers=["Control"])
    other = await waiting.value
    await other.wait_for_url(f"**{lead}")
    assert await drawer.count() == 0


async def test_on_a_phone_it_fills_the_screen_and_decides(open_as: Any, opened: Any) -> None:
    browser, world = opened
    screen = await open_as(browser, size="phone", language="tr", theme="dark")
    activity, lead, visit = paths(world)
    for path in (activity, visit, lead):
        page = await screen.go(path)
        assert await screen.violations() == [], path
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, path

    await screen.go(activity)
    await page.locator(f'#activity a[href="{lead}"]').first.tap()
    drawer = page.locator("#drawer")
    record = drawer.locator(".record")
    await record.wait_for()
    box = await drawer.bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 390, 844)
    assert await screen.violations() == []
    small = await drawer.evaluate(
        "node => [...node.querySelectorAll('button, .button')].filter((each) => each.checkVisibility()"
        " && each.getBoundingClientRect().height < 44).map((each) => each.outerHTML)"
    )
    assert small == []

    # Stage, stars and note, each saved at once and told; nothing of it moves the reader.
    await record.locator('[data-set=stage][data-value="won"]').tap()
    await record.locator('[data-set=stage][data-value="won"][aria-pressed=true]').wait_for()
    await record.locator('[data-set=quality][data-value="80"]').tap()
    await record.locator('[data-set=quality][data-value="80"][aria-pressed=true]').wait_for()
    await record.locator("textarea").fill("Yarın aranacak")
    await record.locator("form[data-set=note] button").tap()
    log = record.locator(".log")
    await log.get_by_text("Yarın aranacak").wait_for()
    assert await drawer.locator("#decide-toast [data-text]").is_visible()
    assert "Kazanıldı" in await log.inner_text() and "100 üzerinden 80" in await log.inner_text()

    # A sale with an amount as it is written there, and one that nobody can read.
    sale = record.locator("form[data-set=sale]")
    await sale.locator("[name=amount]").fill("bin")
    await sale.locator("button").tap()
    assert await sale.locator("[data-problem]").inner_text() == "Bu, tutar olarak okunamıyor."
    await sale.locator("[name=amount]").fill("1.250,50")
    await sale.locator("button").tap()
    await log.get_by_text("₺1.250,50").wait_for()

    # Undone from the log, long after the toast has gone.
    await log.locator('[data-decide="undo"]').tap()
    await log.get_by_text("son kararı geri aldı").wait_for()
    assert await log.locator('[data-decide="undo"]').count() == 0
    assert await sale.locator("[name=amount]").input_value() == ""
    row = await world.owner.fetchrow(
        "SELECT stage, quality, note, sale_amount FROM calls WHERE id = $1", world.ids["waiting"]
    )
    assert tuple(row) == ("won", 80, "Yarın aranacak", None)


async def test_whoever_looks_on_hears_of_anothers_decision_and_loses_no_word(
    open_as: Any, opened: Any, signed_in: Any
) -> None:
    browser, world = opened
    colleague, operator = await signed_in()
    await world.member(operator, "operator")
    path = f"/sites/{world.site.id}/leads/{world.ids['call']}"
    mine, theirs = await open_as(browser), await open_as(colleague, size="phone")
    page = await mine.go(path)
    note = page.locator(".record textarea[name=note]")
    await note.fill("half a thou")

    other = await theirs.go(path)
    await other.keyboard.press("s")
    await other.locator("#seal-dialog[open]").wait_for()
    await other.locator("#seal-dialog [type=submit]").click()
    await other.locator(".record .status-sealed").first.wait_for()
    # Whoever decided is not told what they did themselves.
    assert await other.locator(".record-news").is_hidden()

    await page.locator(".record .status-sealed").first.wait_for(timeout=9000)
    news = page.locator(".record-news")
    assert await news.is_visible() and "sealed" in await news.inner_text()
    assert await note.input_value() == "half a thou"
    assert await note.evaluate("node => node === document.activeElement")
    # What stands now can be decided about: the page knows the version that it shows.
    await page.locator("form[data-set=note] button").click()
    await page.locator(".log").get_by_text("half a thou").wait_for()
