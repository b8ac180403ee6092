"""The contracts over HTTP: what is asked, what is answered, to whom, and when nothing needs to be answered again."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from opsmantik.dashboard.contracts import CONTRACTS, Contract
from tests.ingest.conftest import CHROME
from tests.shapes import check
from tests.web.world import ORGANIC, PAID, Programs, World

NAMES = [contract.name for contract in CONTRACTS]


@pytest.fixture
async def asker(signed_in: Any, make_world: Any) -> tuple[Programs, World]:
    """Somebody who looks at their own site."""
    browser, user_id = await signed_in()
    return Programs(browser), await make_world(user_id)


def address(contract: Contract, world: World, **ids: Any) -> str:
    """The contract's path with ids of this world, or with others."""
    known = {
        "intent_id": world.ids.get("waiting"), "session_id": world.ids.get("paid"), "visitor": "visitor-1", **ids,
    }  # fmt: skip
    return f"{world.path}/{contract.path.format(**known)}"


def question(contract: Contract, world: World) -> dict[str, str]:
    return dict(world.range) if contract.ranged else {}


# Every contract.


@pytest.mark.parametrize("contract", CONTRACTS, ids=NAMES)
async def test_an_answer_has_the_keys_and_types_that_it_always_had(
    reader: tuple[Programs, World], contract: Contract
) -> None:
    programs, world = reader
    answer = await programs.get(address(contract, world), question(contract, world))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    check(found, f"rest_{contract.name}")
    assert found["sequence"] >= 0
    as_of = datetime.fromisoformat(found["as_of"])
    assert as_of.tzinfo is not None and abs(as_of - datetime.now(as_of.tzinfo)) < timedelta(minutes=1)
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("contract", CONTRACTS, ids=NAMES)
async def test_the_public_id_names_the_site_too(reader: tuple[Programs, World], contract: Contract) -> None:
    programs, world = reader
    public_id = world.site.public_id
    for name in (public_id, f"{public_id[:8]}-{public_id[8:]}", public_id.upper()):
        path = address(contract, world).replace(str(world.site.id), name)
        assert (await programs.get(path, question(contract, world))).status_code == 200


@pytest.mark.parametrize("contract", CONTRACTS, ids=NAMES)
async def test_a_stranger_is_told_to_sign_in(
    web: Any, reader: tuple[Programs, World], contract: Contract
) -> None:
    _, world = reader
    answer = await Programs(web.browser()).get(address(contract, world), question(contract, world))
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_signed_in"


@pytest.mark.parametrize("contract", CONTRACTS, ids=NAMES)
async def test_a_site_of_somebody_else_reads_like_one_that_is_not_there(
    reader: tuple[Programs, World], neighbour: tuple[Programs, World], contract: Contract
) -> None:
    """Whatever one asks of it, wrong ids included."""
    (_, world), (other, _) = reader, neighbour
    path = address(contract, world)
    answers = [
        await other.get(path.replace(str(world.site.id), str(name)), question(contract, world))
        for name in (world.site.id, world.site.public_id, uuid4(), "x")
    ]
    assert {answer.status_code for answer in answers} == {404}
    told = [{k: v for k, v in answer.json().items() if k != "instance"} for answer in answers]
    assert told[0] == told[1] == told[2] == told[3]
    assert told[0]["detail"] == "There is no such site."


@pytest.mark.parametrize("contract", [c for c in CONTRACTS if "_id" in c.path], ids=lambda c: c.name)
async def test_what_belongs_to_another_site_is_not_there(
    reader: tuple[Programs, World], neighbour: tuple[Programs, World], contract: Contract
) -> None:
    (programs, mine), (_, theirs) = reader, neighbour
    names = {"intent_id": theirs.ids["waiting"], "session_id": theirs.ids["paid"]}
    for ids in (names, {"intent_id": uuid4(), "session_id": uuid4()}, {"intent_id": "x", "session_id": "x"}):
        answer = await programs.get(address(contract, mine, **ids))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("contract", CONTRACTS, ids=NAMES)
async def test_a_parameter_that_the_contract_does_not_know_is_refused(
    reader: tuple[Programs, World], contract: Contract
) -> None:
    programs, world = reader
    answer = await programs.get(address(contract, world), {**question(contract, world), "ads-only": "1"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "there is no parameter 'ads-only' here" in answer.json()["detail"]


@pytest.mark.parametrize("contract", CONTRACTS, ids=NAMES)
async def test_only_get_is_answered(reader: tuple[Programs, World], contract: Contract) -> None:
    programs, world = reader
    answer = await programs.post(address(contract, world), {})
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


# What is refused, and how.

PROBLEMS = {
    "a day that is none": ("intents", {"day": "tomorrow"}, 400, "bad_range"),
    "two ways at once": ("intents", {"day": "today", "range": "7d"}, 400, "bad_range"),
    "a range without an end": ("intents", {"from": "2026-02-01T00:00:00Z"}, 400, "bad_range"),
    "a naive instant": ("intents", {"from": "2026-02-01T00:00:00", "to": "2026-02-02T00:00:00Z"}, 400, "bad_range"),
    "a reversed range": (
        "intents", {"from": "2026-02-03T00:00:00Z", "to": "2026-02-02T00:00:00Z"}, 400, "bad_range",
    ),
    "more than six months": (
        "sessions", {"from": "2026-01-01T00:00:00Z", "to": "2026-08-01T00:00:00Z"}, 400, "bad_range",
    ),
    "a range where there is none": ("status", {"day": "today"}, 400, "malformed"),
    "a parameter twice": ("intents", [("limit", "1"), ("limit", "2")], 400, "malformed"),
    "a limit of nothing": ("intents", {"limit": "0"}, 400, "malformed"),
    "a limit too large": ("intents", {"limit": "501"}, 400, "malformed"),
    "a limit that is no number": ("intents", {"limit": "²"}, 400, "malformed"),
    "a truth that is none": ("intents", {"ads_only": "maybe"}, 400, "malformed"),
    "a status that is none": ("intents", {"status": "intent,won"}, 400, "malformed"),
    "a cursor of somebody's own": ("intents", {"cursor": "abc"}, 400, "malformed"),
    "a cursor with signs of its own": ("intents", {"cursor": "é" * 32}, 400, "malformed"),
    "a search with NUL": ("intents", {"q": "a\x00b"}, 400, "malformed"),
    "a search without end": ("intents", {"q": "a" * 201}, 400, "malformed"),
    "an address that is none": ("nothing", {}, 404, "not_found"),
    "a lead that is none": ("intents/abc", {}, 404, "not_found"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "query", "status", "code"), PROBLEMS.values(), ids=PROBLEMS.keys())
async def test_a_refusal_is_a_problem_document(
    reader: tuple[Programs, World], path: str, query: Any, status: int, code: str
) -> None:
    programs, world = reader
    answer = await programs.get(f"{world.path}/{path}?{urlencode(query)}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail", "code", "instance"}
    assert (problem["status"], problem["code"], problem["instance"]) == (status, code, f"{world.path}/{path}")
    assert problem["title"] in ("Bad Request", "Not Found") and len(problem["detail"]) > 10


# Who has the answer.


def without_moment(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "as_of"}


@pytest.mark.parametrize("contract", [c for c in CONTRACTS if c.timeless], ids=lambda c: c.name)
async def test_who_has_the_answer_is_not_sent_it_again(
    reader: tuple[Programs, World], contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, world = reader
    path, asked = address(contract, world), question(contract, world)
    first = await programs.get(path, asked)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    again = await programs.get(path, asked, if_none_match=f'"x", {tag}')
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["cache-control"] == "private, no-cache"

    await world.touch()
    changed = await programs.get(path, asked, if_none_match=tag)
    assert changed.status_code == 200 and changed.headers["etag"] != tag
    assert changed.json()["sequence"] == first.json()["sequence"] + 1


async def test_the_contract_is_not_asked_when_the_number_decides(
    reader: tuple[Programs, World], web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, world = reader
    first = await programs.get(f"{world.path}/intents", world.range)
    read: list[str] = []
    monkeypatch.setattr(
        "opsmantik.dashboard.cards.recent_intents.intent_of", lambda record: read.append(record["id"])
    )
    again = await programs.get(f"{world.path}/intents", world.range, if_none_match=first.headers["etag"])
    assert again.status_code == 304 and read == []


async def test_another_question_has_another_tag(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    asked: list[dict[str, str]] = [
        {}, {"ads_only": "true"}, {"limit": "10"}, {"status": "junk"}, {"q": "vinç"}, {"captured_by": "form"},
    ]  # fmt: skip
    ranges = [world.range, {"from": world.start.isoformat(), "to": world.at(23).isoformat()}]
    tags = [
        (await programs.get(f"{world.path}/intents", {**over, **more})).headers["etag"]
        for over in ranges
        for more in asked
    ]
    assert len(set(tags)) == len(tags)
    same = await programs.get(f"{world.path}/intents", {**world.range, "ads_only": "0", "limit": "50"})
    assert same.headers["etag"] == tags[0]


async def test_settings_of_the_site_and_the_askers_role_change_the_tag(
    asker: tuple[Programs, World], signed_in: Any
) -> None:
    programs, world = asker
    other, user_id = await signed_in()
    await world.member(user_id, "analyst")
    tag = (await programs.get(f"{world.path}/intents", world.range)).headers["etag"]
    theirs = (await Programs(other).get(f"{world.path}/intents", world.range)).headers["etag"]
    await world.owner.execute(
        "UPDATE sites SET currency = 'EUR', updated_at = now() WHERE id = $1", world.site.id
    )
    changed = (await programs.get(f"{world.path}/intents", world.range)).headers["etag"]
    assert len({tag, theirs, changed}) == 3


async def test_what_depends_on_the_time_of_day_has_no_tag(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    for path in ("status", "visitors/visitor-1/sessions"):
        assert "etag" not in (await programs.get(f"{world.path}/{path}")).headers


async def test_a_long_answer_is_packed_for_who_can_unpack_it(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    packed = await programs.get(f"{world.path}/intents", world.range, accept_encoding="gzip")
    plain = await programs.get(f"{world.path}/intents", world.range, accept_encoding="identity")
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert without_moment(packed.json()) == without_moment(plain.json())
    assert "Accept-Encoding" in plain.headers["vary"] and "Cookie" in plain.headers["vary"]


# The leads.


async def leads(programs: Programs, world: World, **asked: str) -> list[str]:
    """The names of the leads that are answered, in order."""
    answer = await programs.get(f"{world.path}/intents", {**world.range, **asked})
    assert answer.status_code == 200, answer.text
    names = {str(value): name for name, value in world.ids.items()}
    return [names[item["id"]] for item in answer.json()["items"]]


FILTERS: dict[str, tuple[dict[str, str], list[str]]] = {
    "all of them, newest first, repeated taps folded": ({}, ["call", "form", "sealed", "junk", "waiting"]),
    "paid visits only": ({"ads_only": "true"}, ["form", "sealed", "waiting"]),
    "a status": ({"status": "junk"}, ["junk"]),
    "several statuses": ({"status": "sealed,junk,conversion"}, ["sealed", "junk"]),
    "several statuses of paid visits": ({"status": "sealed,junk,intent", "ads_only": "1"}, ["form", "sealed", "waiting"]),
    "how it was captured": ({"captured_by": "form,api"}, ["call", "form"]),
    "by keyword, in any case": ({"q": "KIRALIK"}, ["form", "sealed", "waiting"]),
    "by place": ({"q": "kadıköy"}, ["form", "sealed", "waiting"]),
    "by note": ({"q": "called"}, ["sealed"]),
    "by page": ({"q": "/vinc"}, ["waiting"]),
    "by number": ({"q": "532123"}, ["call", "form", "sealed", "junk", "waiting"]),
    "signs mean themselves": ({"q": "%"}, []),
    "no lead of that kind": ({"status": "suspicious"}, []),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "found"), FILTERS.values(), ids=FILTERS.keys())
async def test_leads_are_narrowed(
    reader: tuple[Programs, World], asked: dict[str, str], found: list[str]
) -> None:
    assert await leads(*reader, **asked) == found


async def test_the_range_is_half_open(asker: tuple[Programs, World]) -> None:
    programs, world = asker
    await world.lead("first", world.start, "organic")
    await world.lead("before", world.start - timedelta(microseconds=1), "organic")
    await world.lead("last", world.end - timedelta(microseconds=1), "organic")
    await world.lead("after", world.end, "organic")
    found = await leads(programs, world, status="intent")
    assert found == ["last", "call", "form", "waiting", "first"]


async def test_without_a_range_it_is_the_sites_own_today(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True, time_zone="Asia/Kathmandu")
    found = (await Programs(browser).get(f"{world.path}/intents")).json()["range"]
    assert found["time_zone"] == "Asia/Kathmandu"
    start, end = datetime.fromisoformat(found["from"]), datetime.fromisoformat(found["to"])
    assert end - start == timedelta(hours=24) and start.minute == 15


async def test_a_lead_says_what_is_known_of_it(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    items = {
        item["id"]: item
        for item in (await programs.get(f"{world.path}/intents", world.range)).json()["items"]
    }
    waiting = items[str(world.ids["waiting"])]
    assert waiting["tap_count"] == 2
    assert waiting["has_click_id"] is True and waiting["click_id"] is None  # the visit's
    assert waiting["is_paid"] is True
    assert waiting["score_parts"] == {"conversion": 20}
    assert waiting["risks"] == []
    assert waiting["session"]["id"] == str(world.ids["paid"])
    assert waiting["session"]["utm_term"] == "kiralık vinç"
    assert waiting["conversion"] is None
    sealed = items[str(world.ids["sealed"])]
    assert (sealed["sale_amount"], sealed["currency"], sealed["tap_count"]) == (1500.5, "TRY", 1)
    assert sealed["conversion"]["state"] == "accepted"
    junk = items[str(world.ids["junk"])]
    assert junk["risks"] == ["no_click_id", "short_visit", "few_events", "organic"]
    assert junk["junk_reason"] == "spam"
    call = items[str(world.ids["call"])]
    assert (call["session"], call["is_paid"], call["risks"]) == (None, False, ["no_click_id"])


async def test_a_lead_without_any_other_is_an_empty_page_with_a_state(
    signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    for path in ("intents", "leads", "sessions"):
        found = (await Programs(browser).get(f"{world.path}/{path}", world.range)).json()
        assert (found["items"], found["next_cursor"], found["sequence"]) == ([], None, 0)


PAGED = {
    "leads": ("intents", {}, lambda item: item["id"]),
    "leads of some statuses": ("intents", {"status": "intent,pending,sealed"}, lambda item: item["id"]),
    "leads and conversions": ("leads", {}, lambda item: item["id"]),
    "visits": ("sessions", {}, lambda item: item["session"]["id"]),
}


@pytest.mark.parametrize(("path", "asked", "name"), PAGED.values(), ids=PAGED.keys())
async def test_pages_hold_every_row_once_while_others_come_in(
    signed_in: Any, make_world: Any, path: str, asked: dict[str, str], name: Any
) -> None:
    """Rows of one instant, which only their ids tell apart, lie across the pages' ends."""
    browser, user_id = await signed_in()
    programs, world = Programs(browser), await make_world(user_id, empty=True)
    for n in range(11):
        at = world.at(1 + n // 4)
        await world.visit(f"v{n}", at, PAID if n % 2 else ORGANIC)
        await world.lead(f"l{n}", at, f"v{n}", status="sealed" if n % 3 else "intent")
        if path == "leads":
            await world.event(f"e{n}", at, f"v{n}", "form_submit", event_category="conversion")
    query = {**world.range, **asked}
    whole = [name(item) for item in (await programs.get(f"{world.path}/{path}", query)).json()["items"]]
    assert len(whole) == len(set(whole)) == (22 if path == "leads" else 11)

    seen, cursor, pages = [], None, 0
    while True:
        page = (
            await programs.get(
                f"{world.path}/{path}", {**query, "limit": "3"} | ({"cursor": cursor} if cursor else {})
            )
        ).json()
        seen += [name(item) for item in page["items"]]
        assert len(page["items"]) <= 3
        pages += 1
        # Newer than all that is left, and older than all that has been seen.
        await world.visit(f"new{pages}", world.at(20), PAID)
        await world.lead(f"newlead{pages}", world.at(20), f"new{pages}")
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == whole


async def test_the_last_page_that_is_full_is_the_last(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    page = (await programs.get(f"{world.path}/intents", {**world.range, "limit": "5"})).json()
    assert len(page["items"]) == 5 and page["next_cursor"] is None


# One lead.


async def test_one_lead_is_explained(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    found = (await programs.get(f"{world.path}/intents/{world.ids['waiting']}")).json()
    assert found["attribution"] | {"clicked_at": ""} == {
        "source": "First Click (Paid)", "channel": "paid_search", "is_paid": True, "rule": "google_click_id",
        "evidence": {"gclid": "Cj0KCQiA-1"}, "losers": ["paid_utm"], "referrer": "https://www.google.com/",
        "clicked_at": "", "last_touch": None, "window_days": 90,
    }  # fmt: skip
    click = found["ad_click"]
    assert (click["kind"], click["id"], click["age_seconds"]) == ("gclid", "Cj0KCQiA-1", 360)
    assert click["in_window"] and click["is_reportable"] and found["undoable"] is None
    assert [tap["id"] for tap in found["taps"]] == [str(world.ids["waiting"]), str(world.ids["again"])]
    assert (found["consent_analytics"], found["consent_marketing"]) == (True, True)
    assert found["actions"] == []
    tap = (await programs.get(f"{world.path}/intents/{world.ids['again']}")).json()
    assert tap["merged_into"] == str(world.ids["waiting"])
    call = (await programs.get(f"{world.path}/intents/{world.ids['call']}")).json()
    assert call["attribution"] is None and call["intent"]["session"] is None


async def test_one_lead_has_its_log_with_who_did_what(asker: tuple[Programs, World]) -> None:
    programs, world = asker
    path = f"/api/calls/{world.ids['waiting']}/seal"
    assert (await programs.post(path, {"sale_amount": 250, "note": "spoke"})).status_code == 200
    found = (await programs.get(f"{world.path}/intents/{world.ids['waiting']}")).json()
    assert found["intent"]["status"] == "sealed"
    (act,) = found["actions"]
    assert (act["action"], act["actor_name"], act["from_status"], act["to_status"]) == (
        "seal", "Ayşe", "intent", "sealed",
    )  # fmt: skip
    assert act["before"]["status"] == "intent" and act["note"] == "spoke"
    check(found, "rest_intent")


# Leads and conversions, visits, one visit, its steps, its visitor.


async def test_conversions_stand_beside_the_leads(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    found = (await programs.get(f"{world.path}/leads", world.range)).json()["items"]
    names = {str(value): name for name, value in world.ids.items()}
    assert {(item["type"], names[item["id"]]) for item in found} == {
        ("call", "waiting"), ("call", "sealed"), ("call", "junk"), ("call", "form"), ("call", "call"),
        ("conversion", "tap"), ("conversion", "sent"),
    }  # fmt: skip
    assert [item["created_at"] for item in found] == sorted(
        (item["created_at"] for item in found), reverse=True
    )
    paid = (await programs.get(f"{world.path}/leads", {**world.range, "ads_only": "1"})).json()["items"]
    assert {names[item["id"]] for item in paid} == {"waiting", "sealed", "form", "tap", "sent"}
    waiting = (await programs.get(f"{world.path}/leads", {**world.range, "status": "intent"})).json()["items"]
    assert {names[item["id"]] for item in waiting} == {"waiting", "form", "call"}
    blog = (await programs.get(f"{world.path}/leads", {**world.range, "q": "/BLOG"})).json()["items"]
    assert {names[item["id"]] for item in blog} == {"junk"}


async def test_a_conversion_of_a_visit_of_the_month_before_is_in_the_list(
    signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    month = world.start.replace(day=1, hour=0)
    await world.visit("late", month - timedelta(minutes=5), PAID)
    await world.event("tap", month + timedelta(minutes=5), "late", "phone_call", event_category="conversion")
    asked = {"from": month.isoformat(), "to": (month + timedelta(hours=1)).isoformat()}
    found = (await Programs(browser).get(f"{world.path}/leads", asked)).json()["items"]
    assert [item["id"] for item in found] == [str(world.ids["tap"])]


async def test_visits_come_newest_first_with_the_score_of_their_lead(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    found = (await programs.get(f"{world.path}/sessions", world.range)).json()["items"]
    assert [(item["session"]["id"], item["lead_score"]) for item in found] == [
        (str(world.ids["organic"]), 55), (str(world.ids["paid"]), 55),
    ]  # fmt: skip
    paid = (await programs.get(f"{world.path}/sessions", {**world.range, "ads_only": "1"})).json()["items"]
    assert [item["session"]["id"] for item in paid] == [str(world.ids["paid"])]


async def test_heartbeats_are_no_steps_of_a_visit(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    found = (await programs.get(f"{world.path}/sessions/{world.ids['paid']}/timeline")).json()["items"]
    assert [item["event_action"] for item in found] == ["form_submit", "phone_call", "scroll_depth", "view"]
    assert found[2]["flags"] == ["clock_corrected"] and found[2]["event_value"] == 50


async def test_heartbeats_make_a_visit_longer_and_nothing_else(signed_in: Any, own_site: Any) -> None:
    """Through the door: a view, then two minutes of life, then a goodbye."""
    browser, user_id = await signed_in()
    programs, site = Programs(browser), await own_site(user_id)
    now, session = int(time.time() * 1000), str(uuid4())
    events = [
        {"id": str(uuid4()), "ts": now - 150_000 + ms, "sid": session, "vid": "v", "cat": "system", "act": act, "url": "https://shop.example/"}
        for act, ms in (("view", 0), ("heartbeat", 60_000), ("heartbeat", 120_000), ("session_end", 125_000))
    ]  # fmt: skip
    sent = await programs.http.post(
        "/v1/events", content=json.dumps({"site": site.public_id, "sent": now, "events": events}),
        headers={"content-type": "text/plain", "origin": "https://shop.example", "user-agent": CHROME},
    )  # fmt: skip
    assert sent.status_code == 200, sent.text
    path = f"/api/v1/sites/{site.id}/sessions/{session}"
    visit = (await programs.get(path)).json()["session"]
    assert (visit["event_count"], visit["total_duration_sec"]) == (1, 125)
    assert [item["event_action"] for item in (await programs.get(f"{path}/timeline")).json()["items"]] == [
        "view"
    ]


async def test_steps_are_in_the_order_of_their_happening(signed_in: Any, make_world: Any) -> None:
    """Not of their arrival: an outbox sends at once what took minutes."""
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    await world.visit("paid", world.at(1), PAID)
    for n in (3, 1, 2, 5, 4):
        await world.event(f"e{n}", world.at(9), "paid", f"step{n}", occurred_at=world.at(1 + n / 60))
    path, seen, cursor = f"{world.path}/sessions/{world.ids['paid']}/timeline", [], None
    while True:
        page = (
            await Programs(browser).get(path, {"limit": "2"} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [item["event_action"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["step5", "step4", "step3", "step2", "step1"]


async def test_a_visit_without_steps_is_there_all_the_same(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    found = (await programs.get(f"{world.path}/sessions/{world.ids['organic']}/timeline")).json()
    assert found["items"] == [] and found["next_cursor"] is None


async def test_a_visitor_has_the_visits_of_six_months(asker: tuple[Programs, World]) -> None:
    programs, world = asker
    await world.visit("long ago", world.start - timedelta(days=190), PAID)
    await world.insert("visitors", {
        "site_id": world.site.id, "id": "visitor-1", "first_seen_at": world.start, "last_seen_at": world.end, "visits": 3,
    })  # fmt: skip
    found = (await programs.get(f"{world.path}/visitors/visitor-1/sessions")).json()
    assert [item["session"]["id"] for item in found["items"]] == [
        str(world.ids["paid"]),
        str(world.ids["earlier"]),
    ]
    assert found["visits"] == 3
    nobody = (await programs.get(f"{world.path}/visitors/nobody/sessions")).json()
    assert (nobody["items"], nobody["visits"], nobody["first_seen_at"]) == ([], 0, None)


# Does it receive?


async def test_a_site_says_whether_it_receives_and_since_when_not(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    programs, world = Programs(browser), await make_world(user_id, empty=True)
    never = (await programs.get(f"{world.path}/status")).json()
    assert (never["traffic"], never["quiet_since"], never["last_event"]) == ("never", None, None)
    await world.visit("paid", world.at(1), PAID)
    await world.event("view", world.at(1), "paid", "view", event_label="Vinç")
    await world.event("beat", world.at(1.1), "paid", "heartbeat", event_category="system")
    for age, traffic in ((timedelta(minutes=11), "quiet"), (timedelta(minutes=9), "receiving")):
        at = await world.owner.fetchval("SELECT now() - $1::interval", age)
        await world.owner.execute(
            "INSERT INTO counter_journal (site_id, changed_at, last_event_at) VALUES ($1, now(), $2)",
            world.site.id,
            at,
        )
        found = (await programs.get(f"{world.path}/status")).json()
        assert found["traffic"] == traffic
        assert datetime.fromisoformat(found["last_event_at"]) == at
        assert (found["quiet_since"] is not None) == (traffic == "quiet")
        assert (found["last_event"]["action"], found["last_event"]["source"]) == (
            "view",
            "First Click (Paid)",
        )


async def test_the_list_of_sites_holds_ones_own(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    mine = await make_world(user_id, name="Vinç Kiralama")
    await make_world((await signed_in())[1], name="Secret")
    programs = Programs(browser)
    answer = await programs.get("/api/v1/sites")
    (site,) = answer.json()["items"]
    assert (site["id"], site["role"], site["owner_email"]) == (str(mine.site.id), "owner", None)
    check(answer.json(), "rest_sites")
    assert (await programs.get("/api/v1/sites", {"q": "VINÇ k"})).json()["items"][0][
        "name"
    ] == "Vinç Kiralama"
    assert (await programs.get("/api/v1/sites", {"q": "secret"})).json() == {"items": [], "as_of": None}
    assert (await programs.get("/api/v1/sites", {"day": "today"})).status_code == 400


async def test_whoever_runs_the_platform_sees_every_site_and_its_owner(
    signed_in: Any, make_world: Any
) -> None:
    browser, _ = await signed_in(role="admin")
    _, owner_id = await signed_in()
    world = await make_world(owner_id, name="Theirs " + uuid4().hex)
    found = (await Programs(browser).get("/api/v1/sites", {"limit": "1000"})).json()["items"]
    (site,) = [site for site in found if site["id"] == str(world.site.id)]
    assert site["role"] == "platform_admin"
    assert site["owner_email"] == f"{owner_id.hex}@example.com"
    assert (await Programs(browser).get(f"{world.path}/intents", world.range)).status_code == 200


async def test_many_ask_at_once(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    answers = await asyncio.gather(*(programs.get(f"{world.path}/intents", world.range) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["etag"] for answer in answers}) == 1
