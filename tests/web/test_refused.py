"""What was refused: looked at, let in as it came, and let in for good; for those who run the site."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.ingest import readmission
from tests.ingest.conftest import CHROME
from tests.shapes import check
from tests.web.browsing import Browser
from tests.web.world import Programs, World

pytestmark = pytest.mark.slow

EVIL = "https://evil.example"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
    " Mobile/15E148 Safari/604.1"
)


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> tuple[Browser, Programs, World]:
    """An owner at their own site, where nothing has happened."""
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    await world.insert("site_origins", {"site_id": world.site.id, "origin": "https://shop.example"})
    await world.web.app.collect.registry.refresh()
    return browser, Programs(browser), world


async def send(
    world: World, web: Any, *, origin: str = "https://shop.example", agent: str = CHROME, **changes: Any
) -> Any:
    """Post an event at the door, as a browser would."""
    now = int(time.time() * 1000)
    event = {
        "id": str(uuid4()), "ts": now - 2000, "sid": str(uuid4()), "vid": "visitor-9", "cat": "interaction", "act": "view",
        "url": "https://shop.example/?gclid=Cj0KCQiA-9", **changes,
    }  # fmt: skip
    body = {"site": world.site.public_id, "sent": now, "v": "1.0.0", "events": [event]}
    browser = web.browser()
    answer = await browser.http.post("/v1/events", json=body, headers={"origin": origin, "user-agent": agent})
    return event, answer


async def kept(world: World) -> list[Any]:
    rows: list[Any] = await world.owner.fetch(
        "SELECT * FROM rejected_events WHERE site_id = $1 ORDER BY received_at, id", world.site.id
    )
    return rows


async def tally(world: World) -> dict[str, int]:
    return dict(
        await world.owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", world.site.id)
    )


async def admit(programs: Programs, world: World, rejected_id: Any) -> Any:
    return await programs.post(f"{world.path}/refused/{rejected_id}/admit", {})


async def test_what_is_let_in_is_as_if_it_had_never_been_refused(
    desk: tuple[Browser, Programs, World], web: Any
) -> None:
    """Time, device, network and source of the visit; books and counters to the last one."""
    _, programs, world = desk
    event, refused = await send(world, web, origin=EVIL, agent=PHONE)
    assert refused.status_code == 403
    _, taken = await send(world, web, agent=PHONE)
    assert taken.status_code == 200
    [row] = await kept(world)
    answer = await admit(programs, world, row["id"])
    assert (answer.status_code, answer.json()["ok"], answer.json()["outcome"]) == (200, True, "stored")
    check(answer.json(), "rest_refused_admit")
    stored = await world.owner.fetchrow("SELECT * FROM events WHERE id = $1", UUID(event["id"]))
    assert stored["created_at"] == row["received_at"]
    assert abs(stored["occurred_at"].timestamp() * 1000 - event["ts"]) < 5
    assert stored["flags"] == ["readmitted"]
    visits = await world.owner.fetch(
        "SELECT device_type, device_os, browser, user_agent, ip_address, attribution_source, is_paid, gclid FROM sessions"
        " WHERE site_id = $1",
        world.site.id,
    )
    assert len(visits) == 2 and tuple(visits[0]) == tuple(visits[1])
    assert await tally(world) == {"stored": 2}
    assert await world.owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", world.site.id) == []

    again = await admit(programs, world, row["id"])
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert await tally(world) == {"stored": 2}


async def test_the_same_event_that_came_in_meanwhile_is_a_duplicate(
    desk: tuple[Browser, Programs, World], web: Any
) -> None:
    _, programs, world = desk
    event, _ = await send(world, web, origin=EVIL)
    await send(world, web, **event)
    [row] = await kept(world)
    answer = await admit(programs, world, row["id"])
    assert (answer.json()["ok"], answer.json()["outcome"]) == (True, "duplicate")
    assert await tally(world) == {"stored": 1, "duplicate": 1}


# How it was refused, what else would refuse it, and how letting it in ends.
STEPS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a bot's": ({"reason": "bot", "user_agent": BOT}, {}, "stored"),
    "a strange origin's": ({"reason": "origin_refused", "user_agent": CHROME, "origin": EVIL}, {}, "stored"),
    "one over the quota": ({"reason": "over_quota", "user_agent": CHROME}, {"monthly_quota": 1}, "stored"),
    "a bot's from a strange origin": (
        {"reason": "bot", "user_agent": BOT, "origin": EVIL},
        {},
        "origin_refused",
    ),
    "a strange origin's bot": ({"reason": "origin_refused", "user_agent": BOT, "origin": EVIL}, {}, "bot"),
    "a bot's over the quota": ({"reason": "bot", "user_agent": BOT}, {"monthly_quota": 1}, "over_quota"),
    "a bot's without consent": (
        {"reason": "bot", "user_agent": BOT},
        {"consent_mode": "required"},
        "no_consent",
    ),
    "what the database refused": ({"reason": "unstorable", "user_agent": CHROME}, {}, "stored"),
    "what the database refused, of a bot": ({"reason": "unstorable", "user_agent": BOT}, {}, "bot"),
    "from before devices were kept": ({"reason": "unstorable"}, {}, "stored"),
}


@pytest.mark.parametrize(("row", "columns", "outcome"), STEPS.values(), ids=STEPS.keys())
async def test_exactly_the_step_that_refused_is_left_out(
    desk: tuple[Browser, Programs, World],
    web: Any,
    row: dict[str, Any],
    columns: dict[str, Any],
    outcome: str,
) -> None:
    _, programs, world = desk
    for name, value in columns.items():
        await world.owner.execute(f"UPDATE sites SET {name} = $2 WHERE id = $1", world.site.id, value)
    at = await world.owner.fetchval("SELECT now()")
    if "monthly_quota" in columns:
        await world.owner.execute(TALLY, world.site.id, "stored", 2, at)
    await web.app.collect.registry.refresh()
    event = {
        "id": str(uuid4()), "sid": str(uuid4()), "cat": "interaction", "act": "view", "url": "https://shop.example/",
    }  # fmt: skip
    rejected = await world.refused(event, received_at=at, **row)
    await world.owner.execute(TALLY, world.site.id, row["reason"], 1, at)
    before = await tally(world)
    answer = await admit(programs, world, rejected)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["ok"], found["outcome"]) == (outcome == "stored", outcome)
    after = await tally(world)
    if outcome == "stored":
        assert after == {
            **{k: n for k, n in before.items() if k != row["reason"]},
            "stored": before.get("stored", 0) + 1,
        }
    else:
        assert found["error"] and after == before, "refused again is nothing new"
        check(found, "rest_refused_admit")
    assert sum(after.values()) == sum(before.values()), "everything that was received is in the books once"


TALLY = (
    "INSERT INTO counter_journal (site_id, tally, changed_at)"
    " VALUES ($1, ARRAY[ROW($1, $2, $3, $4)::tally_draft], now())"
)


async def many(world: World, n: int, reason: str = "bot", detail: str = "Googlebot") -> list[UUID]:
    at = await world.owner.fetchval("SELECT now()")
    await world.owner.execute(TALLY, world.site.id, reason, n, at)
    return [
        await world.refused(
            {"id": str(uuid4()), "sid": str(uuid4()), "cat": "interaction", "act": "view", "url": "https://shop.example/"},
            reason=reason, detail=detail, received_at=at, user_agent=BOT if reason == "bot" else CHROME,
        )
        for _ in range(n)
    ]  # fmt: skip


async def submit(browser: Browser, world: World, action: str, **fields: str) -> Any:
    token = await browser.token("/account")
    path = f"/sites/{world.site.id}/settings/refused/{action}"
    return await browser.http.post(path, data={"form_token": token, **fields})


async def test_all_of_a_reason_are_let_in_and_the_outcome_is_told_to_the_last_one(
    desk: tuple[Browser, Programs, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, _, world = desk
    monkeypatch.setattr(readmission, "AT_ONCE", 10)
    await many(world, 23)
    twice = {
        "id": str(uuid4()),
        "sid": str(uuid4()),
        "cat": "x",
        "act": "view",
        "url": "https://shop.example/",
    }
    at = await world.owner.fetchval("SELECT now()")
    for payload in (twice, twice, b"{"):
        await world.refused(payload, received_at=at, user_agent=BOT)
    await world.owner.execute(TALLY, world.site.id, "bot", 3, at)
    answer = await submit(browser, world, "admit-all", reason="bot")
    assert answer.status_code == 303
    page = await browser.get(answer.headers["location"])
    assert "Stored: 24. There already: 1. Refused again: 1." in page.text
    assert await tally(world) == {"stored": 24, "duplicate": 1, "bot": 1}
    assert await world.owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", world.site.id) == 24
    assert await world.owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", world.site.id) == []
    again = await submit(browser, world, "admit-all", reason="bot")
    assert "stored=0&duplicate=0&again=1&left=0" in again.headers["location"]


async def test_a_request_lets_in_no_more_than_it_may_and_says_what_is_left(
    desk: tuple[Browser, Programs, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, _, world = desk
    monkeypatch.setattr(readmission, "AT_ONCE", 4)
    monkeypatch.setattr(readmission, "MOST", 8)
    await many(world, 11)
    answer = await submit(browser, world, "admit-all", reason="bot")
    assert "stored=8&duplicate=0&again=0&left=3" in answer.headers["location"]
    assert "3 more wait." in (await browser.get(answer.headers["location"])).text


async def test_of_one_name_only_those_are_let_in(desk: tuple[Browser, Programs, World]) -> None:
    browser, _, world = desk
    await many(world, 2)
    await many(world, 3, detail="AhrefsBot")
    await submit(browser, world, "admit-all", reason="bot", name="AhrefsBot")
    assert await tally(world) == {"stored": 3, "bot": 2}


async def test_one_that_the_database_refuses_does_not_harm_the_others(
    desk: tuple[Browser, Programs, World], web: Any
) -> None:
    browser, _, world = desk
    await many(world, 3)
    at = await world.owner.fetchval("SELECT now()")
    poison = {
        "id": str(uuid4()),
        "sid": str(uuid4()),
        "cat": "x",
        "act": "view",
        "url": "https://x.example/",
        "value": 1e308,
    }
    await world.refused({**poison, "label": "poison"}, received_at=at, user_agent=BOT)
    writer = web.app.collect.writer
    original = writer.write_within

    async def refuse(connection: Any, events: Any) -> Any:
        if any(event.label == "poison" for event in events):
            await connection.execute("SELECT 1 / 0")
        return await original(connection, events)

    writer.write_within = refuse
    try:
        answer = await submit(browser, world, "admit-all", reason="bot")
    finally:
        del writer.write_within
    errors = [row["last_replay_error"] for row in await kept(world) if row["last_replay_error"]]
    assert errors == ["division by zero"]
    assert "stored=3&duplicate=0&again=1&left=0" in answer.headers["location"]


async def test_two_who_let_all_in_at_once_store_each_once(desk: tuple[Browser, Programs, World]) -> None:
    browser, _, world = desk
    await many(world, 30)
    await asyncio.gather(*(submit(browser, world, "admit-all", reason="bot") for _ in range(3)))
    assert await tally(world) == {"stored": 30}
    assert {row["replay_count"] for row in await kept(world)} == {1}


async def test_one_is_let_in_from_the_page(desk: tuple[Browser, Programs, World]) -> None:
    browser, _, world = desk
    [rejected] = await many(world, 1)
    answer = await submit(browser, world, "admit", id=str(rejected), span="7d")
    assert answer.headers["location"].endswith("/settings/refused?span=7d&outcome=stored")
    assert "It is in, at the time at which it came." in (await browser.get(answer.headers["location"])).text
    again = await submit(browser, world, "admit", id=str(rejected))
    assert "outcome=already" in again.headers["location"]
    assert (await submit(browser, world, "admit", id=str(uuid4()))).status_code == 404


async def test_an_origin_and_a_bot_are_let_in_for_good(
    desk: tuple[Browser, Programs, World], web: Any
) -> None:
    browser, _, world = desk
    await send(world, web, origin=EVIL)
    await send(world, web, agent=BOT)
    for reason, name in (("origin_refused", EVIL), ("bot", "Googlebot")):
        assert (await submit(browser, world, "allow", reason=reason, name=name)).status_code == 303
    await web.app.collect.registry.refresh()
    for how in ({"origin": EVIL}, {"agent": BOT}):
        _, answer = await send(world, web, **how)
        assert answer.json()["results"][0]["status"] == "accepted"
    assert await tally(world) == {"origin_refused": 1, "bot": 1, "stored": 2}
    page = (await browser.get(f"/sites/{world.site.id}/settings/refused")).text
    assert "Automatic visitors that are let in" in page
    await submit(browser, world, "allow", reason="bot", name="Googlebot", allowed="no")
    rows = await world.owner.fetch(
        "SELECT action FROM site_acts WHERE site_id = $1 ORDER BY id", world.site.id
    )
    assert [row["action"] for row in rows] == ["origins.add", "bots.allow", "bots.refuse"]
    assert (await submit(browser, world, "allow", reason="over_quota", name="x")).status_code == 422


async def test_the_page_says_how_many_why_and_shows_what_was_sent(
    desk: tuple[Browser, Programs, World], web: Any
) -> None:
    browser, _, world = desk
    await send(world, web, origin=EVIL, agent=PHONE, label="<script>alert(1)</script>")
    await send(world, web, consent={"analytics": False})
    await world.refused(b"\xff{ not JSON <b>", reason="malformed", detail="truncated")
    for language, words in (("en", "Address not allowed"), ("tr", "İzin verilmeyen adres")):
        page = await browser.get(f"/sites/{world.site.id}/settings/refused", accept_language=language)
        assert page.status_code == 200
        assert words in page.text and EVIL in page.text
        assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text
        assert "iOS" in page.text and "127.0.0.0" in page.text
    assert "No consent" in (await browser.get(f"/sites/{world.site.id}/settings/refused")).text
    assert "not JSON &lt;b&gt;" not in page.text, "that was two days ago"
    week = await browser.get(f"/sites/{world.site.id}/settings/refused?span=7d&reason=malformed")
    assert "not JSON &lt;b&gt;" in week.text


async def test_the_list_is_told_to_programs_by_the_page(desk: tuple[Browser, Programs, World]) -> None:
    _, programs, world = desk
    await many(world, 3)
    await many(world, 2, "origin_refused", EVIL)
    await many(world, 1, "no_consent")
    await world.owner.execute(
        "DELETE FROM rejected_events WHERE site_id = $1 AND reason = 'no_consent'", world.site.id
    )
    path = f"{world.path}/refused"
    found = (await programs.get(path, {"limit": "3"})).json()
    check(found, "rest_refused")
    assert {(one["reason"], one["refused"], one["kept"], one["waiting"]) for one in found["reasons"]} == {
        ("bot", 3, 3, 3), ("origin_refused", 2, 2, 2), ("no_consent", 1, 0, 0),
    }  # fmt: skip
    assert [(one["reason"], one["name"], one["waiting"]) for one in found["groups"]] == [
        ("bot", "Googlebot", 3), ("origin_refused", EVIL, 2),
    ]  # fmt: skip
    rest = (await programs.get(path, {"limit": "3", "cursor": found["next_cursor"]})).json()
    assert rest["next_cursor"] is None
    ids = [one["id"] for one in found["examples"] + rest["examples"]]
    assert len(ids) == len(set(ids)) == 5
    bots = (await programs.get(path, {"reason": "bot"})).json()
    assert {one["reason"] for one in bots["examples"]} == {"bot"} and len(bots["examples"]) == 3


ASKED = {
    "a span that is none": {"span": "1y"},
    "a reason that is none": {"reason": "x"},
    "no limit": {"limit": "0"},
    "too many": {"limit": "201"},
    "a limit in words": {"limit": "ten"},
    "a cursor that is none": {"cursor": "abc"},
    "a parameter that is none": {"site": "x"},
}


@pytest.mark.parametrize("query", ASKED.values(), ids=ASKED.keys())
async def test_what_cannot_be_asked_so_is_400(reader: tuple[Programs, World], query: dict[str, str]) -> None:
    programs, world = reader
    assert (await programs.get(f"{world.path}/refused", query)).status_code == 400


WHO = {"owner": 200, "admin": 200, "operator": 403, "analyst": 403, "stranger": 404, "nobody": 401}
# Page and the statuses of those three kinds there.
PAGES = ["refused", "origins", "limits"]


@pytest.mark.parametrize(("who", "status"), WHO.items())
async def test_who_may_look_and_let_in(
    desk: tuple[Browser, Programs, World], signed_in: Any, web: Any, who: str, status: int
) -> None:
    browser, programs, world = desk
    [rejected] = await many(world, 1)
    if who in ("admin", "operator", "analyst"):
        browser, user_id = await signed_in()
        await world.member(user_id, who)
    elif who != "owner":
        browser = (await signed_in())[0] if who == "stranger" else web.browser()
    programs = Programs(browser)
    assert (await programs.get(f"{world.path}/refused")).status_code == status
    for name in PAGES:
        page = await browser.get(f"/sites/{world.site.id}/settings/{name}")
        assert page.status_code == (303 if who == "nobody" else status), name
        form = {"origin": EVIL, "quarantine_days": "9", "id": str(rejected)}
        if who != "nobody":
            form["form_token"] = await browser.token("/account")
        actions = {"refused": ["admit", "admit-all", "allow"], "origins": ["", "remove"], "limits": [""]}[
            name
        ]
        if status != 200:
            for action in actions:
                told = await browser.http.post(
                    f"/sites/{world.site.id}/settings/{name}/{action}".rstrip("/"), data=form
                )
                assert told.status_code in (401, 403, status), (name, action, told.status_code)
                assert who == "nobody" or told.status_code == status, (name, action)
    answer = await admit(programs, world, rejected)
    assert answer.status_code == status
    assert await tally(world) == ({"stored": 1} if status == 200 else {"bot": 1})
    changed = await world.owner.fetchval("SELECT quarantine_days FROM sites WHERE id = $1", world.site.id)
    assert changed == 30


async def test_another_site_s_event_is_not_there(
    desk: tuple[Browser, Programs, World], make_world: Any, signed_in: Any
) -> None:
    browser, programs, world = desk
    _, stranger = await signed_in()
    other = await make_world(stranger, empty=True)
    [rejected] = await many(other, 1)
    assert (await admit(programs, world, rejected)).status_code == 404
    assert (await submit(browser, world, "admit", id=str(rejected))).status_code == 404
    assert await tally(other) == {"bot": 1}


# Origins and limits on their pages.


async def test_origins_are_added_allowed_and_removed_on_their_page(
    desk: tuple[Browser, Programs, World], web: Any
) -> None:
    browser, _, world = desk
    here = f"/sites/{world.site.id}/settings/origins"
    page = (await browser.get(here)).text
    assert "Nothing has come from this site yet." in page and "data-site-id" in page
    await send(world, web, origin=EVIL)
    page = (await browser.get(here)).text
    assert "Events come, and all of them are refused." in page
    assert re.search(rf'name="origin" value="{EVIL}"', page), "one press lets it in"
    answer = await browser.submit(here, here, origin=EVIL)
    assert answer.headers["location"] == f"{here}?done=added"
    page = (await browser.get(here)).text
    assert "Refused addresses" in page and "Nobody was refused." in page
    await web.app.collect.registry.refresh()
    await send(world, web, origin=EVIL, env={"lang": "tr"})
    assert "Receiving: events come in and are stored." in (await browser.get(here)).text
    async with asyncio.timeout(3):
        while page.count("No event from there yet") != 1:  # the other one has sent nothing
            await asyncio.sleep(0.1)
            page = (await browser.get(here)).text
    await browser.submit(here, f"{here}/remove", origin=EVIL)
    assert "Removed." in (await browser.get(f"{here}?done=removed")).text
    left = await world.owner.fetch("SELECT origin FROM site_origins WHERE site_id = $1", world.site.id)
    assert [row["origin"] for row in left] == ["https://shop.example"]


BAD = {
    "a path": ("https://a.example/x", "Leave out everything behind the host"),
    "a wide star": ("https://*.com.tr", "A star needs a name of your own"),
    "nothing": (" ", "Write a scheme and a host"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD.keys())
async def test_what_is_no_origin_is_said_beside_its_field(
    reader: tuple[Programs, World], text: str, words: str, signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    here = f"/sites/{world.site.id}/settings/origins"
    answer = await browser.submit(here, here, origin=text)
    assert answer.status_code == 422
    assert re.search(rf'id="origin-problem" role="alert">{words}', answer.text)


async def test_limits_are_set_and_what_is_used_is_shown(desk: tuple[Browser, Programs, World]) -> None:
    browser, _, world = desk
    here = f"/sites/{world.site.id}/settings/limits"
    answer = await browser.submit(here, here, monthly_quota="1.000", rate_per_minute="", quarantine_days="7")
    assert answer.headers["location"] == f"{here}?done=saved"
    row = await world.owner.fetchrow(
        "SELECT monthly_quota, rate_per_minute, quarantine_days FROM sites WHERE id = $1", world.site.id
    )
    assert tuple(row) == (1000, None, 7)
    at = await world.owner.fetchval("SELECT now()")
    for n, words in ((799, None), (1, "More than 80 %"), (200, "are used up."), (1000, "used up twice over")):
        await world.owner.execute(TALLY, world.site.id, "stored", n, at)
        page, site = await browser.get(here), await browser.get(f"/sites/{world.site.id}")
        assert ("Look at the limits" in site.text) == (words is not None)
        assert words is None or words in site.text
    assert "200 %" in page.text and "2,000 of 1,000 events" in page.text
    acts = await world.owner.fetch("SELECT action, detail FROM site_acts WHERE site_id = $1", world.site.id)
    assert [act["action"] for act in acts] == ["limits.change"]
    assert acts[0]["detail"]["after"] == {
        "monthly_quota": 1000,
        "rate_per_minute": None,
        "quarantine_days": 7,
    }


async def test_a_limit_that_is_none_is_said_beside_its_field(desk: tuple[Browser, Programs, World]) -> None:
    browser, _, world = desk
    here = f"/sites/{world.site.id}/settings/limits"
    for field, text in (
        ("monthly_quota", "0"), ("monthly_quota", "-5"), ("monthly_quota", "many"), ("rate_per_minute", "9999999"),
        ("quarantine_days", "91"), ("quarantine_days", ""), ("quarantine_days", "٣"),
    ):  # fmt: skip
        fields = {"monthly_quota": "", "rate_per_minute": "", "quarantine_days": "30", field: text}
        answer = await browser.submit(here, here, **fields)
        assert answer.status_code == 422, (field, text)
        assert f'id="{field}-problem"' in answer.text
