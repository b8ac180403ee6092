"""Getting events to the server: nothing lost, nothing blocked, whatever network, server and storage do."""

from __future__ import annotations

import json
import uuid
from collections import Counter

import pytest
from playwright.async_api import Route

from tests.tracker.double import CALL, Answer, Case, Event, Post, eventually, quiet
from tests.tracker.visitor import Visitor

pytestmark = pytest.mark.browser

# Two ways for a browser to refuse storage: the property throws, or the methods do.
NO_STORAGE = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });"""
FULL_STORAGE = (
    """Storage.prototype.setItem = Storage.prototype.getItem = () => { throw new Error("full"); };"""
)
NO_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });"


def times_stored(case: Case) -> Counter[str]:
    return Counter(event["id"] for event in case.stored)


def nothing_twice(case: Case) -> bool:
    return set(times_stored(case).values()) == {1}


def waiting(kept: dict[str, str]) -> list[Event]:
    return [json.loads(value)["e"] for key, value in kept.items() if key.startswith("opsmantik_q_")]


async def test_offline_then_online(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page(CALL))
    await eventually(lambda: case.acts("view"))
    await visitor.context.set_offline(True)
    tapped = await page.evaluate("Date.now()")
    await page.click("#call")
    await page.evaluate("for (let n = 0; n < 5; n++) opsmantik.send('custom', 'note', 'n' + n)")
    await page.wait_for_function("localStorage.opsmantik_pause")
    assert case.acts("phone_call", "note") == []
    # After an hour offline the script's patience has grown; the network's return ends it.
    await page.evaluate("localStorage.opsmantik_pause = JSON.stringify({ n: 9, t: Date.now() + 3e5 })")

    await visitor.context.set_offline(False)
    await eventually(lambda: len(case.acts("phone_call", "note")) == 6)
    first = case.acts("phone_call", "note")[0]
    assert first["act"] == "phone_call"  # conversions first
    assert abs(first["ts"] - tapped) < 1000  # dated when it happened, not when it arrived
    assert nothing_twice(case)


# Every event is back from the server: none is on its way any more.
ALL_REFUSED = """() => {
  const keys = Object.keys(localStorage).filter((key) => /_q_/.test(key));
  const items = keys.map((key) => JSON.parse(localStorage[key]));
  return localStorage.opsmantik_pause && items.length && items.every((item) => !item.h);
}"""


async def test_a_queue_survives_leaving_the_page(case: Case, visitor: Visitor) -> None:
    case.answer = lambda post: (503, {"Retry-After": "3"})
    url = case.page(CALL)
    page = await visitor.open(url)
    await page.click("#call")
    await page.wait_for_function(ALL_REFUSED)
    kept = waiting(await visitor.storage(page))
    assert {event["act"] for event in kept} == {"phone_call", "view"}
    await page.close()

    case.answer = lambda post: (200, {})
    page = await visitor.open(url)
    await eventually(lambda: case.acts("phone_call"), within=20)
    await quiet(case)
    assert nothing_twice(case)
    assert {event["id"] for event in kept} <= times_stored(case).keys()
    assert waiting(await visitor.storage(page)) == []


async def test_reloads_in_flight_lose_nothing_and_send_nothing_twice(case: Case, visitor: Visitor) -> None:
    case.delay = 0.3
    url = case.page(CALL)
    page = await visitor.open("about:blank")
    async with page.expect_request("**/v1/events"):  # the view is on its way
        await page.goto(url)
    for _ in range(3):
        await page.reload()
        await page.click("#call")
    await page.reload()
    await eventually(lambda: len(case.acts("phone_call")) == 3)
    await eventually(lambda: len(case.acts("view")) == 5)
    await quiet(case)
    assert nothing_twice(case)
    # Whose answer nobody saw is kept, to be sent once more in a while. A farewell is not worth that.
    kept = Counter(event["act"] for event in waiting(await visitor.storage(page)))
    assert kept.keys() <= {"phone_call", "view"}


async def test_server_unavailable_then_back(case: Case, visitor: Visitor) -> None:
    case.answer = lambda post: (503, {})
    page = await visitor.open(case.page(CALL))
    await page.click("#call")
    await page.evaluate("for (let n = 0; n < 30; n++) opsmantik.send('custom', 'note', 'n' + n)")
    await eventually(lambda: case.posts)
    assert case.stored == []
    case.answer = lambda post: (200, {})
    await eventually(lambda: len(case.stored) == 32, within=10)
    await quiet(case)
    assert nothing_twice(case)
    for post in case.posts:
        leads = [event["cat"] == "conversion" for event in post.events]
        assert leads == sorted(leads, reverse=True)  # conversions first
        assert len(leads) <= 20


async def test_failures_are_answered_with_growing_patience(case: Case, visitor: Visitor) -> None:
    case.answer = lambda post: None  # the server hangs up
    page = await visitor.open("about:blank")
    await page.clock.install()
    await page.goto(case.page())
    await page.clock.run_for(1000)
    await eventually(lambda: case.posts)
    for seconds in range(120):
        await page.clock.run_for(1000)
        if seconds % 10 == 0:
            await page.wait_for_timeout(20)
    # 2, 4, 8, 16, 32, 64 s, each less a random half: flat 5 s would be 24 tries.
    assert 4 <= len(case.posts) <= 9


async def test_retry_after_is_obeyed_by_every_tab_and_page(case: Case, visitor: Visitor) -> None:
    case.answer = lambda post: (429, {"Retry-After": "3"})
    url = case.page(CALL)
    page = await visitor.open(url)
    await page.wait_for_function("localStorage.opsmantik_pause")
    await page.reload()
    other = await visitor.open(url)
    await page.click("#call")
    await other.click("#call")
    await quiet(case)
    case.answer = lambda post: (200, {})
    await eventually(lambda: len(case.acts("phone_call")) == 2, within=8)
    assert case.posts[1].at - case.posts[0].at >= 3
    assert nothing_twice(case)


@pytest.mark.parametrize("locks", ["", NO_LOCKS], ids=["locks", "no locks"])
async def test_two_tabs_share_one_queue_and_erase_nothing(case: Case, visitor: Visitor, locks: str) -> None:
    case.delay = 0.05
    url = case.page(CALL)
    tabs = [await visitor.open(url, before=locks) for _ in range(2)]
    for round in range(5):
        for tab in tabs:
            await tab.evaluate(
                "n => { for (let i = 0; i < 5; i++) opsmantik.send('custom', 'note', n + '.' + i) }",
                str(round),
            )
            await tab.click("#call")
    await eventually(lambda: len(case.acts("note")) == 50)
    await quiet(case)
    assert nothing_twice(case)
    assert len({event["sid"] for event in case.stored}) == 1
    assert waiting(await visitor.storage(tabs[0])) == []


def refuse(poison: str, status: int) -> object:
    def answer(post: Post) -> Answer:
        return (status, {}) if poison in post.text else (200, {})

    return answer


@pytest.mark.parametrize("status", [400, 413])
async def test_a_poisoned_event_does_not_block_the_rest(case: Case, visitor: Visitor, status: int) -> None:
    case.answer = refuse("poison", status)  # type: ignore[assignment]
    page = await visitor.open(case.page(CALL))
    await page.evaluate(
        "for (let n = 0; n < 15; n++) opsmantik.send('custom', n === 6 ? 'poison' : 'note', 'n' + n)"
    )
    await page.click("#call")
    await eventually(lambda: len(case.acts("note")) == 14 and case.acts("phone_call", "view"))
    await quiet(case)
    assert nothing_twice(case)
    assert waiting(await visitor.storage(page)) == []  # put aside, not tried for ever
    assert sum(post.status == status for post in case.posts) <= 6  # halving: log2 of a batch


async def test_an_event_that_breaks_the_server_does_not_block_the_rest(case: Case, visitor: Visitor) -> None:
    case.answer = refuse("poison", 500)  # type: ignore[assignment]
    page = await visitor.open("about:blank")
    await page.clock.install()
    await page.goto(case.page(CALL))
    await page.evaluate("opsmantik.send('custom', 'poison'); opsmantik.send('custom', 'note')")
    for _ in range(60):
        await page.clock.run_for(1000)
        await page.wait_for_timeout(5)
        if case.acts("note"):
            break
    assert case.acts("note")
    assert case.acts("poison") == []
    assert "poison" in [event["act"] for event in waiting(await visitor.storage(page))]


async def test_a_lead_outlives_an_unfinished_set_up(case: Case, visitor: Visitor) -> None:
    case.answer = lambda post: (403, {})  # say, the page's origin is not registered yet
    page = await visitor.open(case.page(CALL))
    await page.click("#call")
    await eventually(lambda: len(case.posts) >= 2)
    await quiet(case)
    assert [event["act"] for event in waiting(await visitor.storage(page))] == ["phone_call"]


async def test_results_are_read_one_by_one(case: Case, visitor: Visitor) -> None:
    await visitor.context.route(
        "**/v1/events",
        lambda route: route.fulfill(
            headers={"Access-Control-Allow-Origin": "*"},
            json={
                "ok": True,
                "results": [
                    {"index": at, "id": event["id"], "status": event["label"]}
                    for at, event in enumerate(json.loads(route.request.post_data or "")["events"])
                    if event["act"] == "note"
                ],
            },
        ),
    )
    page = await visitor.open(case.page())
    await page.evaluate(
        "for (const s of ['accepted', 'duplicate', 'rejected', 'retry']) opsmantik.send('custom', 'note', s)"
    )
    await page.wait_for_function("Object.keys(localStorage).filter((key) => /_q_/.test(key)).length === 1")
    assert [event["label"] for event in waiting(await visitor.storage(page))] == ["retry"]


async def test_a_batch_refused_one_by_one_is_not_taken_apart(case: Case, visitor: Visitor) -> None:
    asked: list[int] = []

    async def refuse_all(route: Route) -> None:
        events = json.loads(route.request.post_data or "")["events"]
        asked.append(len(events))
        results = [{"index": at, "id": event["id"], "status": "rejected"} for at, event in enumerate(events)]
        await route.fulfill(
            status=422, headers={"Access-Control-Allow-Origin": "*"}, json={"ok": False, "results": results}
        )

    await visitor.context.route("**/v1/events", refuse_all)
    page = await visitor.open(case.page())
    await page.evaluate("for (let n = 0; n < 7; n++) opsmantik.send('custom', 'note', 'n' + n)")
    await eventually(lambda: asked)
    await page.wait_for_function("!Object.keys(localStorage).some((key) => /_q_/.test(key))")
    assert sum(asked) == 8  # each was asked once, whichever batch it left in


async def test_a_full_queue_sheds_pulses_first_and_leads_last(case: Case, visitor: Visitor) -> None:
    case.answer = lambda post: (503, {"Retry-After": "60"})
    page = await visitor.open(case.page(CALL))
    await eventually(lambda: case.posts)
    await page.evaluate(
        """() => {
          for (let n = 0; n < 40; n++) opsmantik.send("conversion", "sale", "s" + n);
          for (let n = 0; n < 40; n++) opsmantik.send("interaction", "scroll_depth", "d" + n);
          for (let n = 0; n < 90; n++) opsmantik.send("custom", "note", "n" + n);
        }"""
    )
    kept = waiting(await visitor.storage(page))
    assert len(kept) == 100
    counts = Counter(event["act"] for event in kept)
    assert (counts["sale"], counts["scroll_depth"]) == (40, 0)
    assert "n89" in {event["label"] for event in kept if event["act"] == "note"}  # the oldest notes went


@pytest.mark.parametrize("refusal", [NO_STORAGE, FULL_STORAGE], ids=["throws", "full"])
async def test_refused_storage_loses_no_event(case: Case, visitor: Visitor, refusal: str) -> None:
    case.answer = lambda post: (503, {})
    page = await visitor.open(case.page(CALL + "<b id=other data-om-tel=113>Or here</b>"), before=refusal)
    await page.click("#call")
    await eventually(lambda: case.posts)
    case.answer = lambda post: (200, {})
    await eventually(lambda: case.acts("phone_call") and case.acts("view"), within=8)
    await page.click("#other")
    await eventually(lambda: len(case.acts("phone_call")) == 2)
    assert nothing_twice(case)
    assert len({event["sid"] for event in case.stored}) == 1


# What a browser may lack, and what may be there but throw.
BROKEN = {
    "no crypto": "Object.defineProperty(window, 'crypto', { value: undefined });",
    "crypto throws": "Crypto.prototype.getRandomValues = () => { throw 1; };",
    "no beacon": "Navigator.prototype.sendBeacon = undefined;",
    "beacon throws": "Navigator.prototype.sendBeacon = () => { throw 1; };",
    "no fetch": "window.fetch = undefined;",
    "fetch throws": "window.fetch = () => { throw 1; };",
    "no abort": "window.AbortController = undefined;",
    "no keepalive": "delete Request.prototype.keepalive;",
    "locks throw": "LockManager.prototype.request = () => { throw 1; };",
    "locks refuse": "LockManager.prototype.request = () => Promise.reject(1);",
    "canvas, zone and timing throw": """HTMLCanvasElement.prototype.getContext = Intl.DateTimeFormat =
        performance.getEntriesByType = () => { throw 1; };""",
    "sealed globals": """Object.freeze(history); Object.defineProperty(window, "open", { value: open });""",
}


async def test_works_in_a_browser_that_lacks_something(case: Case, visitor: Visitor) -> None:
    url = case.page(CALL)
    works = []
    for name, broken in BROKEN.items():
        case.posts.clear()
        page = await visitor.open(url, before=broken)
        await page.evaluate("call.click()")
        await eventually(lambda: case.acts("view") and case.acts("phone_call"))
        assert all(uuid.UUID(event["id"]).version == 4 for event in case.stored), name
        await page.close()
        works.append(name)
    assert works == list(BROKEN)


async def test_leaving_sends_what_is_left_as_a_beacon(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page())
    await eventually(lambda: case.acts("view"))
    await page.evaluate("opsmantik.send('custom', 'note')")
    await page.goto("about:blank")
    await eventually(lambda: case.acts("note") and case.acts("session_end"))
    (end,) = case.acts("session_end")
    assert (end["cat"], end["url"]) == ("system", case.url())


async def test_a_beacon_that_is_refused_loses_nothing(case: Case, visitor: Visitor) -> None:
    url = case.page()
    page = await visitor.open(url, before="Navigator.prototype.sendBeacon = () => false;")
    await eventually(lambda: case.acts("view"))
    await page.evaluate("opsmantik.send('custom', 'note')")
    await page.goto("about:blank")
    await eventually(lambda: case.acts("note") and case.acts("session_end"))
