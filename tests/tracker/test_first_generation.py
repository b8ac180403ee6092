"""What the tracker before this one left on the visitor's device: its stuck queue, its ids, itself."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.tracker.double import CALL, SITE, Case, eventually, quiet
from tests.tracker.visitor import Visitor

pytestmark = pytest.mark.browser


def first_generation(label: str, site: str = SITE, **more: object) -> dict[str, object]:
    return {
        "id": f"old-{label}",
        "ts": 1_790_000_000_000,
        "attempts": 7,
        "payload": {
            "s": site,
            "u": "https://example.com/?gclid=Old-Click",
            "sid": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
            "sm": "2026-11-01",
            "ec": "conversion",
            "ea": "phone_call",
            "el": label,
            "ev": None,
            "r": "",
            "meta": {"fp": "k3j2h1", "gclid": "Old-Click", "intent_stamp": "x-y-tel-z"},
            **more,
        },
    }


async def leave_old_queue(visitor: Visitor, case: Case, items: list[dict[str, object]]) -> None:
    case.pages["blank"] = "<!doctype html><link rel=icon href=data:,>"
    page = await visitor.open(case.url("blank"))
    await page.evaluate(
        "items => { items.forEach((item, at) => item.ts = Date.now() - 36e5 + at);"
        " localStorage.setItem('opsmantik_outbox_v2', JSON.stringify(items)) }",
        items,
    )
    await page.close()


async def test_a_first_generation_queue_is_drained_converted(case: Case, visitor: Visitor) -> None:
    other = first_generation("tel:3", site="99999999-2222-4333-8444-555555555555")
    items = [first_generation("tel:1"), first_generation("tel:2", s=SITE.replace("-", "")), other]
    await leave_old_queue(visitor, case, items)
    url = case.page()
    tabs = [await visitor.open(url) for _ in range(2)]
    await eventually(lambda: len(case.acts("phone_call")) == 2)
    await quiet(case)
    assert len(case.stored) == len({event["id"] for event in case.stored})
    old = case.acts("phone_call")[0]
    age = await tabs[0].evaluate("Date.now()") - old["ts"]
    assert 35e5 < age < 37e5
    assert old["cat"] == "conversion"
    assert old["sid"] == "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    assert old["vid"] == "k3j2h1"
    assert old["url"] == "https://example.com/?gclid=Old-Click"
    assert old["click"]["gclid"] == "Old-Click"
    assert old["meta"]["intent_stamp"] == "x-y-tel-z"
    # Another site's items on the same origin are not ours to send.
    assert json.loads((await visitor.storage(tabs[0]))["opsmantik_outbox_v2"])[0]["id"] == other["id"]


async def test_a_first_generation_queue_goes_unchanged_to_its_own_endpoint(
    case: Case, visitor: Visitor
) -> None:
    items = [first_generation("tel:1"), first_generation("tel:2")]
    await leave_old_queue(visitor, case, items)
    page = await visitor.open(
        case.page(attributes=f'data-site-id="{SITE}" data-api="/c/{case.number}/api/sync"')
    )
    await eventually(lambda: len(case.posts) == 3)
    sent = [post.body for post in case.posts if "ec" in post.body]
    assert sent == [item["payload"] for item in items]
    assert {post.path for post in case.posts} == {f"/c/{case.number}/api/sync"}
    assert "opsmantik_outbox_v2" not in await visitor.storage(page)


async def test_ids_of_the_first_generation_go_on(case: Case, visitor: Visitor) -> None:
    sid = str(uuid.uuid4())
    before = f"sessionStorage.opmantik_session_sid ||= '{sid}'; localStorage.opmantik_session_fp ||= 'k3j2h1'"
    page = await visitor.open(case.page(), before=before)
    await eventually(lambda: case.stored)
    assert (case.stored[0]["sid"], case.stored[0]["vid"]) == (sid, "k3j2h1")
    assert (await visitor.storage(page))["opmantik_session_sid"] == sid


async def test_a_first_generation_session_id_that_is_no_uuid_is_replaced(
    case: Case, visitor: Visitor
) -> None:
    await visitor.open(case.page(), before="sessionStorage.opmantik_session_sid = 'abc'")
    await eventually(lambda: case.stored)
    assert uuid.UUID(case.stored[0]["sid"]).version == 4


async def test_a_first_generation_tracker_on_the_page_is_left_in_charge(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(
        case.page(CALL, head="<script>window.opmantik = { _initialized: true }</script>")
    )
    await page.click("#call")
    await quiet(case)
    assert case.posts == []
