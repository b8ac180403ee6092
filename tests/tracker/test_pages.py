"""Pages, routes, and how long somebody really looked."""

from __future__ import annotations

import pytest

from tests.tracker.double import SITE, Case, eventually, quiet
from tests.tracker.visitor import Visitor

pytestmark = pytest.mark.browser


async def test_a_view_says_what_the_server_needs(case: Case, visitor: Visitor) -> None:
    page = await visitor.open("about:blank")
    url = case.page() + "?a=1#part"
    await page.goto(url, referer=f"{case.origin}/before")
    await eventually(lambda: case.acts("view"))
    view = case.acts("view")[0]
    assert (view["cat"], view["url"], view["title"], view["ref"]) == (
        "interaction",
        url,
        "Page",
        f"{case.origin}/before",
    )
    assert view["env"].keys() >= {"lang", "tz", "sw", "sh", "dpr", "cores"}


async def test_routes_of_a_single_page_app_are_views(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page())
    await page.evaluate(
        """async () => {
          const moment = () => new Promise((done) => setTimeout(done, 20));
          history.pushState({ n: 1 }, "", "?page=2"); document.title = "Two"; await moment();
          history.pushState({}, "", "?page=2"); await moment();             // the same page again
          history.replaceState({}, "", "?page=2&sort=up"); await moment();  // tidying, no new page
          history.replaceState({}, "", "three"); await moment();
          location.hash = "part"; await moment();
          history.back(); await moment(); await moment();
          history.back(); await moment(); await moment();
        }"""
    )
    await eventually(lambda: len(case.acts("view")) >= 4)
    await quiet(case)
    views = sorted(case.acts("view"), key=lambda event: event["ts"])
    base = case.url()
    assert [view["url"].removeprefix(base) for view in views] == ["", "?page=2", "three", "?page=2"]
    assert [view["title"] for view in views[:2]] == ["Page", "Two"]
    assert [view["ref"].removeprefix(base) for view in views] == ["", "", "?page=2", "three"]
    assert await page.evaluate("history.pushState.length + JSON.stringify(history.state)") != ""


async def test_hash_routes_are_views_where_the_tag_says_so(case: Case, visitor: Visitor) -> None:
    attributes = f'data-site-id="{SITE}" data-api="{case.api}" data-track-hash'
    page = await visitor.open(case.page(attributes=attributes))
    await page.evaluate("location.hash = '/offers'")
    await eventually(lambda: len(case.acts("view")) == 2)
    assert case.acts("view")[1]["url"] == case.url("#/offers")


async def test_a_page_from_the_back_forward_cache_is_a_view(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page())
    await eventually(lambda: case.acts("view"))
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    await eventually(lambda: len(case.acts("view")) == 2)


# Scrolls to a share of the page, and waits for the script's own pause after a scroll to be over.
SCROLL = """share => new Promise((done) => {
  addEventListener("scroll", () => setTimeout(done, 200), { once: true });
  scrollTo(0, share * (document.scrollingElement.scrollHeight - innerHeight));
})"""


async def test_scroll_depth_is_one_event_a_mark_and_page(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page('<p style="height:9000px">'))
    for depth in (0.2, 0.55, 0.8, 0.95, 0, 1, 0.3):
        await page.evaluate(SCROLL, depth)
    await page.evaluate("history.pushState({}, '', '?next')")
    await page.evaluate(SCROLL, 1)
    await page.goto("about:blank")
    await eventually(lambda: len(case.acts("scroll_depth")) >= 4)
    scrolls = sorted(case.acts("scroll_depth"), key=lambda event: event["ts"])
    assert [event["label"] for event in scrolls] == ["50%", "90%", "50%", "90%"]
    assert scrolls[-1]["pulse"]["scroll"] == 100


HIDE = """state => {
  Object.defineProperty(Document.prototype, 'visibilityState', { configurable: true, get: () => state });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


# Notes the heartbeats that the script puts into its queue, by id.
BEATS = """window.beats = new Set();
const setItem = Storage.prototype.setItem;
Storage.prototype.setItem = function (key, value) {
  if (/_q_/.test(key) && /"heartbeat"/.test(value)) beats.add(JSON.parse(value).e.id);
  return setItem.call(this, key, value);
};"""


async def test_visible_time_is_counted_once_and_hidden_time_never(case: Case, visitor: Visitor) -> None:
    page = await visitor.open("about:blank")
    await page.clock.install()
    await page.add_init_script(BEATS)
    await page.goto(case.page("<input id=field>"))
    await page.clock.run_for(95_000)
    assert await page.evaluate("beats.size") == 3  # one every 30 s
    await page.focus("#field")
    await page.clock.run_for(10_000)
    await page.evaluate(HIDE, "hidden")
    assert await page.evaluate("beats.size") == 4  # a last one, for the page may never come back
    await page.clock.run_for(300_000)
    assert await page.evaluate("beats.size") == 4
    await page.evaluate(HIDE, "visible")
    await page.clock.run_for(5_000)
    await page.evaluate("opsmantik.send('custom', 'note')")
    totals = await page.evaluate("JSON.parse(localStorage.opsmantik_session).pulse")
    assert 109 <= totals["active"] <= 113
    assert 14 <= totals["focus"] <= 17


async def test_totals_are_the_sessions_not_the_pages(case: Case, visitor: Visitor) -> None:
    body = """<a id=call href="tel:112">Call</a> <b id=buy data-om-cta>Buy</b>
      <i id=no data-om-cta=false>No</i> <p style="height:5000px">"""
    url = case.page(body)
    page = await visitor.open(url)
    for element in ("#call", "#buy", "#no", "#call"):
        await page.hover(element)
    await page.evaluate(SCROLL, 1)
    await page.goto(url + "?2")
    await page.hover("#buy")
    await page.evaluate("opsmantik.send('custom', 'note')")
    await eventually(lambda: case.acts("note"))
    pulse = case.acts("note")[0]["pulse"]
    assert pulse["scroll"] == 100
    assert pulse["hovers"] == 4
