"""Who the visitor is and how they came: sessions, and the remembered ad click."""

from __future__ import annotations

import uuid

import pytest

from tests.tracker.double import CALL, SITE, Case, eventually, quiet
from tests.tracker.visitor import Visitor

pytestmark = pytest.mark.browser


DAY = 86_400_000


async def test_a_new_visitor_has_a_random_name(case: Case, visitor: Visitor) -> None:
    url = case.page()
    page = await visitor.open(url)
    await eventually(lambda: case.stored)
    assert uuid.UUID(case.stored[0]["vid"]).version == 4
    await page.evaluate("localStorage.clear(); sessionStorage.clear()")
    case.posts.clear()
    first = await page.evaluate("opsmantik.session().fingerprint")
    await page.evaluate("localStorage.clear(); sessionStorage.clear()")
    assert await page.evaluate("opsmantik.session().fingerprint") != first


async def test_a_session_ends_after_half_an_hour_without_a_sign_of_life(case: Case, visitor: Visitor) -> None:
    page = await visitor.open("about:blank")
    await page.clock.install()
    await page.goto(case.page(CALL))
    await page.clock.run_for(1000)
    await eventually(lambda: case.acts("view"))
    for _ in range(4):  # an hour and a quarter, but never half an hour in silence
        await page.clock.fast_forward(20 * 60_000)
        await page.keyboard.press("Shift")
        await page.evaluate("opsmantik.send('custom', 'still here')")
        await page.clock.run_for(1000)
    await eventually(lambda: len(case.acts("still here")) == 4)
    assert len({event["sid"] for event in case.stored}) == 1

    silence = await page.evaluate("Date.now()")
    await page.clock.fast_forward(31 * 60_000)  # the page stays open and visible, untouched
    await page.clock.run_for(3000)
    await quiet(case)
    assert [event for event in case.stored if event["ts"] > silence] == []
    await page.keyboard.press("Shift")
    await page.clock.run_for(1000)
    await eventually(lambda: len(case.acts("view")) == 2)
    await page.click("#call")
    await page.clock.run_for(3000)
    await eventually(lambda: case.acts("phone_call"))
    old, new = case.stored[0]["sid"], case.acts("phone_call")[0]["sid"]
    assert old != new
    assert {event["sid"] for event in case.stored if event["ts"] > silence} == {new}
    assert case.acts("view")[1]["sid"] == new  # a session has a view


LANDINGS = [
    ("?gclid=Aa-1_b2", {"gclid": "Aa-1_b2"}),
    ("?utm_source=google&wbraid=Wb1&gbraid=Gb2", {"wbraid": "Wb1", "gbraid": "Gb2"}),
    ("#gclid=Frag1", {"gclid": "Frag1"}),
    ("?x=1#4?utm_term=k&gclid=Frag2", {"gclid": "Frag2"}),
    ("?GCLID=Upper", {"gclid": "Upper"}),
    ("?utm_source=news", {}),
    ("?gclid={gclid}", None),
    ("?gclid=%7Bgclid%7D", None),
    ("?notgclid=1&gclidx=2", None),
    ("?utm_term={keyword}", None),
    ("", None),
]


async def test_the_ad_click_and_its_landing_are_read(case: Case, visitor: Visitor) -> None:
    url = case.page()
    page = await visitor.open("about:blank")
    for landing, expected in LANDINGS:
        await page.goto(url + landing, referer="http://127.0.0.1/ads")
        click = await page.evaluate("JSON.parse(localStorage.opsmantik_click || 'null')")
        if expected is None:
            assert click is None, landing
        else:
            assert {
                name: click.get(name) for name in ("gclid", "wbraid", "gbraid") if name in click
            } == expected
            assert click["url"] == url + landing
        await page.evaluate("localStorage.clear()")
        await page.goto("about:blank")


async def test_the_click_is_there_on_page_two_and_in_later_sessions(case: Case, visitor: Visitor) -> None:
    two = case.page(CALL, path="two")
    landing = case.page(f'<a id=next href="{two}">next</a>') + "?gclid=Click-1&utm_term=boiler"
    page = await visitor.open(landing)
    await page.click("#next")
    await page.click("#call")
    await eventually(lambda: case.acts("phone_call"))
    tap = case.acts("phone_call")[0]
    assert (tap["url"], tap["click"]["gclid"], tap["click"]["url"]) == (two, "Click-1", landing)

    # A month later: a new session, the same click with its first date.
    move = """ms => {
      for (const key of ["opsmantik_session", "opsmantik_click"]) {
        const kept = JSON.parse(localStorage[key]);
        kept.at -= ms;
        localStorage[key] = JSON.stringify(kept);
      }
    }"""
    await page.evaluate(move, 30 * DAY)
    await page.goto(two)
    await page.click("#call")
    await eventually(lambda: len(case.acts("phone_call")) == 2)
    later = case.acts("phone_call")[1]
    assert later["sid"] != tap["sid"]
    assert later["click"] == tap["click"] | {"at": tap["click"]["at"] - 30 * DAY}

    # After the window it is forgotten.
    await page.evaluate(move, 61 * DAY)
    await page.goto(two)
    await page.click("#call")
    await eventually(lambda: len(case.acts("phone_call")) == 3)
    assert "click" not in case.acts("phone_call")[2]


async def test_a_later_click_wins_a_later_newsletter_and_a_reload_do_not(
    case: Case, visitor: Visitor
) -> None:
    url = case.page()
    page = await visitor.open(url + "?gclid=First")
    stored = "JSON.parse(localStorage.opsmantik_click)"
    first = await page.evaluate(stored)
    await page.reload()
    assert await page.evaluate(stored) == first
    await page.goto(url + "?utm_source=newsletter")
    assert await page.evaluate(stored) == first
    await page.goto(url + "?gclid=Second")
    second = await page.evaluate(stored)
    assert (second["gclid"], second["at"] > first["at"]) == ("Second", True)
    await page.go_back()  # looking at the newsletter's landing again, and at the first click's
    await page.go_back()
    assert page.url.endswith("First")
    assert await page.evaluate(stored) == second


async def test_the_window_is_the_sites_choice(case: Case, visitor: Visitor) -> None:
    url = case.page(CALL, attributes=f'data-site-id="{SITE}" data-api="{case.api}" data-window="0"')
    page = await visitor.open(url + "?gclid=First")
    await page.click("#call")
    await eventually(lambda: case.acts("phone_call"))
    assert "click" not in case.acts("phone_call")[0]


async def test_a_page_that_tidies_its_address_first_does_not_hide_the_click(
    case: Case, visitor: Visitor
) -> None:
    url = case.page(head="<script>history.replaceState(null, '', location.pathname)</script>")
    await visitor.open(url + "?gclid=First")
    await eventually(lambda: case.acts("view"))
    assert case.acts("view")[0]["click"]["gclid"] == "First"
