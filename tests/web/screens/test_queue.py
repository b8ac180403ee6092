"""The queue in real browsers: keys, fingers, two people over one lead, and what comes in meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.screens.screen import Screen
from tests.web.team import Somebody, Team, new_team
from tests.web.test_pages import visit
from tests.web.world import PAID, World

MakeQueue = Callable[..., Awaitable[tuple[Team, World, Any]]]


@pytest.fixture
def queue(web: Any, owner: Any, open_as: Any) -> MakeQueue:
    """A team whose site has so many leads waiting, numbered from 1 by their telephone numbers, and a way to open it."""

    async def make(n: int = 4, **columns: Any) -> tuple[Team, World, Any]:
        team = await new_team(owner, web, **columns)
        now = await owner.fetchval("SELECT date_trunc('hour', now())")
        world = World(owner, web, team.site, now - timedelta(days=2))
        await world.visit("paid", world.at(0), PAID)
        for each in range(1, n + 1):
            await world.lead(
                str(each), world.at(each), "paid" if each % 2 else None, phone_number=f"+9053200000{each:02}"
            )
        await world.insert("site_origins", {"site_id": team.site.id, "origin": "https://shop.example"})
        await web.app.collect.registry.refresh()
        await owner.execute("UPDATE users SET name = 'Ayşe' WHERE id = $1", team.operator.id)

        async def open_queue(who: Somebody, query: str = "", **look: Any) -> Screen:
            screen: Screen = await open_as(who.browser, **look)
            await screen.go(f"/sites/{team.site.id}/queue{query}")
            return screen

        return team, world, open_queue

    return make


async def shows(page: Page, number: int) -> None:
    """Whose card is open."""
    card = page.locator("#deck .card:not([hidden]):not(.is-leaving)")
    await expect(card.locator(".card-name")).to_have_text(f"+90 532 000 00 {number:02}")


async def listed(page: Page, world: World) -> list[str]:
    """The list beside the card."""
    ids = await page.locator("#queue-rows [data-show]").evaluate_all(
        "all => all.map((each) => each.dataset.show)"
    )
    by_id = {str(lead_id): name for name, lead_id in world.ids.items()}
    return [by_id[lead_id] for lead_id in ids]


async def stands(world: World, name: str) -> Any:
    return await world.owner.fetchrow(
        "SELECT status, version, sale_amount, currency, quality, note, junk_reason, sale_at FROM calls WHERE site_id = $1"
        " AND id = $2",
        world.site.id,
        world.ids[name],
    )


async def becomes(page: Page, world: World, name: str, status: str) -> Any:
    """The lead, once the server has stored this."""
    for _ in range(100):
        row = await stands(world, name)
        if row["status"] == status:
            return row
        await page.wait_for_timeout(20)
    raise AssertionError(f"lead {name} is {row['status']}, not {status}")


def no_way(screen: Screen) -> None:
    """Chromium's line about requests that the test itself stopped."""
    screen.complaints[:] = [each for each in screen.complaints if "net::ERR_FAILED" not in each]


def lead_path(world: World, name: str) -> str:
    return f"**/intents/{world.ids[name]}/**"


# One person, at a desk.


async def test_a_desk_decides_by_keys(queue: MakeQueue) -> None:
    team, world, open_queue = await queue(6)
    screen = await open_queue(team.operator)
    page = screen.page
    await shows(page, 1)
    await page.emulate_media(reduced_motion="no-preference")  # cards fly, and nothing waits for them
    await expect(page.locator("#queue-count")).to_have_text("6")
    await expect(page.locator("#queue-rows li")).to_have_count(6)
    assert await screen.violations() == []

    # Two keys to seal.
    await page.keyboard.press("s")
    assert await screen.violations() == []
    await page.keyboard.press("Enter")
    await shows(page, 2)
    await expect(page.locator("#decide-toast [role=status]")).to_have_text("Sealed: +90 532 000 00 01")
    await expect(page.locator("#queue-count")).to_have_text("5")
    assert (await becomes(page, world, "1", "sealed"))["sale_amount"] is None

    # It comes back.
    await page.keyboard.press("u")
    await shows(page, 1)
    await expect(page.locator("#queue-count")).to_have_text("6")
    assert (await becomes(page, world, "1", "intent"))["version"] == 3

    # A key and a reason; a key twice for none; the version that the undo made is known.
    await page.keyboard.press("j")
    assert await screen.violations() == []
    await page.keyboard.press("1")
    await shows(page, 2)
    assert (await becomes(page, world, "1", "junk"))["junk_reason"] == "spam"
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await shows(page, 3)
    assert (await becomes(page, world, "2", "junk"))["junk_reason"] == "unspecified"

    # In one's own words: Enter in the field means the field.
    await page.keyboard.press("ArrowLeft")
    await page.locator("#junk-own").fill("asked for the way")
    await page.keyboard.press("Enter")
    await shows(page, 4)
    assert (await becomes(page, world, "3", "junk"))["junk_reason"] == "asked for the way"

    # Skipped to the end, and back.
    await page.keyboard.press("k")
    await shows(page, 5)
    assert await listed(page, world) == ["5", "6", "4"]
    await page.keyboard.press("u")
    await shows(page, 4)
    await page.locator(".queue-row").last.click()
    await shows(page, 4 if await page.locator(".queue-row").count() == 1 else 6)

    # Help has the page's keys; Esc closes a dialog and decides nothing; letters in a field are letters.
    await page.keyboard.press("?")
    await expect(page.locator("#keys-help")).to_contain_text("Junk for that reason")
    assert await screen.violations() == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("s")
    await page.locator("#seal-dialog label", has_text="Other amount").click()
    await page.keyboard.type("sjk")
    await expect(page.locator("#seal-amount-read")).to_contain_text("cannot be read")
    await page.keyboard.press("Enter")
    await expect(page.locator("#seal-dialog [role=alert]")).to_contain_text("cannot be read")
    await page.keyboard.press("Escape")
    await expect(page.locator("#seal-dialog")).not_to_be_visible()
    assert (await stands(world, "6"))["version"] == 1
    await page.keyboard.press("g")
    await page.keyboard.press("o")
    await page.wait_for_url(f"**/sites/{team.site.id}")


AMOUNTS = {
    "tr": {
        "1.250,50": "1250.50", "1250,5": "1250.5", "1.250": "1250", "1250.50": "1250.50", "1,250.50": "1250.50",
        "₺ 1.250": "1250", "1 250 000,00 TL": "1250000.00", "0,99": "0.99", "12.5": "12.5", "12,345": "12.345",
        "": None, "1.2.3": None, "bin": None, "12a3": None, "-5": None, "1,2,3": None, "1.250.00": None,
    },
    "en": {
        "1,250.50": "1250.50", "1250.5": "1250.5", "1,250": "1250", "1250,50": "1250.50", "1.250,50": "1250.50",
        "$1,250": "1250", "1.250": "1.250", "£0.99": "0.99",
    },
}  # fmt: skip


async def test_an_amount_is_read_in_the_readers_manner_and_goes_in_whole(queue: MakeQueue) -> None:
    team, world, open_queue = await queue(3, config={"bounty_chips": [750, "1500.50"]})
    for language in ("en", "tr"):
        page = (await open_queue(team.admin, language=language)).page
        read = await page.evaluate("all => all.map((each) => om.readAmount(each))", list(AMOUNTS[language]))
        assert dict(zip(AMOUNTS[language], read, strict=True)) == AMOUNTS[language]

    dialog = page.locator("#seal-dialog")
    await page.keyboard.press("s")
    await dialog.locator("label", has_text="Başka tutar").click()
    await page.keyboard.type("1.250,50")
    await expect(page.locator("#seal-amount-read")).to_have_text("= ₺1.250,50")
    await dialog.locator("summary").click()
    await dialog.locator(".star").nth(3).click()
    await page.locator("#seal-note").fill("Yarın aranacak")
    at = world.at(1) + timedelta(minutes=90)
    local = await world.owner.fetchval(
        "SELECT to_char($1::timestamptz AT TIME ZONE 'Europe/Istanbul', 'YYYY-MM-DD\"T\"HH24:MI')", at
    )
    await page.locator("#seal-sale").fill(local)
    await page.keyboard.press("Enter")
    row = await becomes(page, world, "1", "sealed")
    assert (row["sale_amount"], row["currency"], row["quality"], row["note"], row["sale_at"]) == (
        Decimal("1250.50"), "TRY", 80, "Yarın aranacak", at,
    )  # fmt: skip

    # The next dialog knows nothing of this one; a chip is two keys more.
    await shows(page, 2)
    await page.keyboard.press("s")
    assert await dialog.locator("input:checked").first.get_attribute("value") == ""
    await expect(page.locator("#seal-note")).to_have_value("")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    assert (await becomes(page, world, "2", "sealed"))["sale_amount"] == Decimal("1500.50")


async def test_what_the_server_refuses_comes_back_with_all_that_was_typed(queue: MakeQueue) -> None:
    team, world, open_queue = await queue(3)
    screen = await open_queue(team.operator)
    page = screen.page
    dialog, problem = page.locator("#seal-dialog"), page.locator("#seal-dialog [data-problem]")
    await page.keyboard.press("s")
    await dialog.locator("summary").click()
    await page.locator("#seal-note").fill("kept")
    await page.locator("#seal-sale").fill("2020-01-01T10:00")
    await expect(page.locator("#seal-sale-old")).to_contain_text("only an owner or an administrator")
    await dialog.locator("[type=submit]").click()
    await expect(problem).to_contain_text("cannot be before the lead itself")
    await expect(dialog).to_be_visible()
    await expect(page.locator("#seal-note")).to_have_value("kept")
    await page.locator("#seal-sale").fill("")
    await dialog.locator("[type=submit]").click()
    assert (await becomes(page, world, "1", "sealed"))["note"] == "kept"
    await shows(page, 2)

    # Without a connection nobody knows; with one again, it goes in.
    await page.route(lead_path(world, "2"), lambda route: route.abort())
    await page.keyboard.press("j")
    await page.keyboard.press("2")
    await shows(page, 3)
    await expect(page.locator(".card-news:visible")).to_contain_text("No answer came")
    await shows(page, 2)
    await expect(page.locator("#queue-count")).to_have_text("2")
    await page.unroute(lead_path(world, "2"))

    # An answer that was lost on its way: the second try is refused, by what the first did, and that is no refusal.
    lost = []

    async def lose(route: Any) -> None:
        if lost:
            await route.continue_()
        else:
            lost.append(await route.fetch())
            await route.abort()

    await page.route(lead_path(world, "2"), lose)
    await page.keyboard.press("j")
    await page.keyboard.press("2")
    await expect(page.locator("#decide-toast [role=status]")).to_have_text("Junk: +90 532 000 00 02")
    await shows(page, 3)
    assert (await stands(world, "2"))["version"] == 2
    no_way(screen)


# One person, on a phone.


async def swipe(page: Page, dx: int, dy: int, *, y: int = 150, hold: bool = False) -> Any:
    """A finger on the glass, from the middle of the card."""
    touch = await page.context.new_cdp_session(page)
    points = [{"x": 195 + dx * step / 8, "y": y + dy * step / 8} for step in range(9)]
    await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [points[0]]})
    for point in points[1:]:
        await touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        await page.wait_for_timeout(16)
    if not hold:
        await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        await page.wait_for_timeout(350)  # a tap at once would be taken for the end of a fling
    return touch


async def test_a_phone_decides_by_finger(queue: MakeQueue) -> None:
    team, world, open_queue = await queue(4)
    screen = await open_queue(team.operator, size="phone", language="tr", theme="dark")
    page = screen.page
    await shows(page, 1)
    assert await screen.violations() == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "it fills the phone"
    for button in await page.locator(
        ".deck-do button, .queue-how summary, .card:not([hidden]) .button"
    ).all():
        box = await button.bounding_box()
        assert box is not None and box["height"] >= 44 and box["width"] >= 44

    # The card follows the finger, says where to, and springs back from halfway.
    touch = await swipe(page, 60, 4, hold=True)
    card = page.locator("#deck .card.is-dragged")
    assert "translateX(60px)" in (await card.get_attribute("style") or "")
    assert (
        float(await card.locator(".card-stamp-seal").evaluate("each => getComputedStyle(each).opacity")) > 0.3
    )
    await touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": 200, "y": 150}]})
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await expect(page.locator("#deck .card.is-dragged")).to_have_count(0)
    await shows(page, 1)

    # Right seals, left is junk; the dialog of each is one tap.
    await swipe(page, 160, 10)
    await expect(page.locator("#seal-dialog")).to_be_visible()
    assert await screen.violations() == []
    await page.locator("#seal-dialog [type=submit]").tap()
    await shows(page, 2)
    await becomes(page, world, "1", "sealed")
    await swipe(page, -160, -10, y=420)
    assert await screen.violations() == []
    await page.locator("#junk-dialog button", has_text="Cevap vermiyor").tap()
    await shows(page, 3)
    assert (await becomes(page, world, "2", "junk"))["junk_reason"] == "no_answer"
    await expect(page.locator("#decide-toast")).to_contain_text("Geçersiz sayıldı: +90 532 000 00 02")
    assert await screen.violations() == []
    toast, bar = (
        await page.locator("#decide-toast").bounding_box(),
        await page.locator("#deck-do").bounding_box(),
    )
    assert toast and bar and toast["y"] + toast["height"] <= bar["y"], "the next decision waits for nobody"

    # Up, from the card's head, skips; the undo button brings it back. Below the head up is scrolling.
    await swipe(
        page,
        5,
        -200,
        y=240
        if await page.evaluate("document.querySelector('.card:not([hidden]) .card-head').offsetHeight > 140")
        else 150,
    )
    await shows(page, 4)
    await page.locator("[data-deck=undo]").click()
    await shows(page, 3)
    await swipe(page, 5, -200, y=560)
    await shows(page, 3)
    # Undo once more: what the toast tells of.
    await page.locator("[data-deck=undo]").click()
    await shows(page, 2)
    await becomes(page, world, "2", "intent")


# Two people.


async def test_two_over_one_lead_see_each_other_and_one_wins(queue: MakeQueue) -> None:
    team, world, open_queue = await queue(3)
    ayse = (await open_queue(team.operator)).page
    await shows(ayse, 1)
    await ayse.wait_for_function("document.querySelectorAll('#queue-rows li').length === 3")
    for _ in range(100):
        if await world.owner.fetchval("SELECT count(*) FROM presences WHERE site_id = $1", world.site.id):
            break
        await ayse.wait_for_timeout(20)
    other = await open_queue(team.admin, language="tr", theme="dark")
    page = other.page
    await shows(page, 2)  # nobody looks at this one
    mark = page.locator("#queue-rows li").first.locator("[data-looks]")
    await expect(mark).to_have_text("Ayşe şu anda bu talebe bakıyor.")

    # Both over the same lead: the first wins, the second hears who it was, what they did and how it stands.
    await page.locator(".queue-row").first.click()
    await shows(page, 1)
    await expect(page.locator(".card-looks:visible")).to_have_text("Ayşe şu anda bu talebe bakıyor.")
    assert await other.violations() == []
    await page.route("**/queue/state?**", lambda route: route.abort())  # as if told of nothing in between
    await ayse.keyboard.press("s")
    await page.keyboard.press("j")
    await ayse.keyboard.press("Enter")
    await becomes(ayse, world, "1", "sealed")
    await page.keyboard.press("3")
    news = page.locator(".card-news:visible")
    await expect(news).to_contain_text("Başkası daha hızlı davrandı. Bu talep onaylandı (Ayşe, ")
    await expect(news).to_contain_text("Şu anki durumu: Onaylı.")
    await shows(page, 1)
    assert await other.violations() == []
    assert (await stands(world, "1"))["version"] == 2, "one decision, not two"
    await expect(page.locator("[data-deck=seal]")).to_be_disabled()
    await page.keyboard.press("k")
    await expect(page.locator("#queue-rows li")).to_have_count(2)

    # What somebody decided while it is read stays, and says so; what is not being read goes.
    await page.unroute("**/queue/state?**")
    await shows(ayse, 2)
    await page.locator(".queue-row").first.click()
    await shows(page, 2)
    await ayse.keyboard.press("j")
    await ayse.keyboard.press("4")
    await expect(page.locator(".card-news:visible")).to_contain_text("Bu talep geçersiz sayıldı (Ayşe, ")
    await shows(page, 2)
    await expect(page.locator("[data-deck=junk]")).to_be_disabled()
    await page.locator("[data-deck=skip]").click()
    await shows(page, 3)
    no_way(other)


async def test_new_leads_wait_to_be_asked_and_a_dialog_stays(web: Any, queue: MakeQueue) -> None:
    team, world, open_queue = await queue(2)
    await open_queue(team.admin)  # somebody else is about, too
    page = (await open_queue(team.operator)).page
    await expect(page.locator("#badge")).not_to_have_attribute("data-state", "offline")
    await page.locator(".queue-row").first.click()
    await page.keyboard.press("s")
    await page.locator("#seal-dialog label", has_text="Other amount").click()
    await page.keyboard.type("77")
    for line in ("01", "02"):
        await visit(web, team.site, tap=f"tel:+9021255501{line}", query="?utm_source=x")
    pill = page.locator("#queue-new")
    await expect(pill).to_have_text("2 new")
    await expect(page.locator("#queue-count")).to_have_text("4")
    await expect(page.locator("#seal-dialog")).to_be_visible()
    await expect(page.locator("#seal-amount")).to_have_value("77")
    await page.keyboard.press("Enter")
    assert (await becomes(page, world, "1", "sealed"))["sale_amount"] == 77
    await shows(page, 2)
    await pill.click()
    await expect(page.locator("#deck .card:not([hidden]) .card-name")).to_contain_text("+90 212 555 01 0")
    await expect(page.locator("#queue-rows li")).to_have_count(3)
    await expect(pill).to_be_hidden()


async def test_the_last_card_leaves_an_empty_deck_that_fills_by_itself(web: Any, queue: MakeQueue) -> None:
    team, world, open_queue = await queue(1)
    page = (await open_queue(team.operator, size="phone")).page
    await page.locator("[data-deck=junk]").tap()
    await page.locator("#junk-dialog button", has_text="Spam").tap()
    await becomes(page, world, "1", "junk")
    await expect(page.locator("#queue-empty")).to_be_visible()
    await expect(page.locator("#queue-empty")).to_contain_text("Nothing waits")
    await visit(web, team.site, tap="tel:+902125550103")
    await expect(page.locator("#deck .card:not([hidden]) .card-name")).to_have_text("+90 212 555 01 03")
    await expect(page.locator("#queue-empty")).to_be_hidden()


async def test_an_analyst_turns_the_cards_and_has_nothing_to_decide_with(queue: MakeQueue) -> None:
    team, _, open_queue = await queue(2)
    screen = await open_queue(team.analyst, size="phone")
    page = screen.page
    await shows(page, 1)
    assert await page.locator("[data-deck=seal], [data-deck=junk], dialog.decide").count() == 0
    await page.locator("[data-deck=skip]").tap()
    await shows(page, 2)
    await page.keyboard.press("s")
    await page.keyboard.press("k")
    await shows(page, 1)
    assert not [url for url in screen.requests if "presence" in url]
