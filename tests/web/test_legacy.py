"""Endpoints of the first generation: their shapes, over the present functions, with the checks that they lacked."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.ingest.drops import KEPT
from tests.shapes import check
from tests.web.world import ORGANIC, PAID, Programs, World

pytestmark = pytest.mark.slow


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> tuple[Programs, World]:
    """An owner at their own site."""
    browser, user_id = await signed_in()
    return Programs(browser), await make_world(user_id)


async def member(signed_in: Any, world: World, role: str) -> Programs:
    browser, user_id = await signed_in()
    await world.member(user_id, role)
    return Programs(browser)


async def stored(world: World, lead: str) -> dict[str, Any]:
    return dict(
        await world.owner.fetchrow(
            "SELECT * FROM calls WHERE site_id = $1 AND id = $2", world.site.id, world.ids[lead]
        )
    )


# Seal.


def seal_path(world: World, lead: str = "waiting") -> str:
    return f"/api/calls/{world.ids[lead]}/seal"


async def test_a_lead_is_sealed_with_its_amount(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    answer = await programs.post(seal_path(world), {"sale_amount": 1250.5, "currency": "TRY", "extra": 1})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["success"] is True
    call = found["call"]
    assert (call["id"], call["status"], call["sale_amount"], call["currency"]) == (
        str(world.ids["waiting"]), "confirmed", 1250.5, "TRY",
    )  # fmt: skip
    assert call["confirmed_by"] == str(world.site.user_id) and call["confirmed_at"]
    assert call["conversion_state"] == "held"
    check(found, "legacy_seal")
    row = await stored(world, "waiting")
    assert (row["status"], str(row["sale_amount"])) == ("sealed", "1250.5")


async def test_an_empty_seal_is_one_without_an_amount(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    for lead, body in (("waiting", None), ("form", {"sale_amount": None})):
        answer = await programs.post(seal_path(world, lead), body)
        assert (answer.status_code, answer.json()["call"]["sale_amount"]) == (200, None)


async def test_the_desk_hears_of_a_seal(
    desk: tuple[Programs, World], web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, world = desk
    told: list[Any] = []
    monkeypatch.setattr(
        web.app.collect.notices, "changed", lambda site, intents: told.append((site, intents))
    )
    await programs.post(seal_path(world), {})
    await programs.post(seal_path(world), {})  # 409: nothing happened
    assert told == [(world.site.id, False)]


SEALS: dict[str, tuple[str, Any, int, str]] = {
    "a negative amount": ("waiting", {"sale_amount": -1}, 400, "malformed"),
    "an amount that is none": ("waiting", {"sale_amount": "much"}, 400, "malformed"),
    "an amount without end": ("waiting", b'{"sale_amount": "Infinity"}', 400, "malformed"),
    "a currency that is none": ("waiting", {"sale_amount": 1, "currency": "lira"}, 422, "unprocessable"),
    "no object": ("waiting", [], 400, "malformed"),
    "no JSON": ("waiting", b"{", 400, "malformed"),
    "a lead that is sealed": ("sealed", {"sale_amount": 1}, 409, "move_refused"),
    "a lead that is junk": ("junk", {}, 409, "move_refused"),
    "a tap that is part of another lead": ("again", {}, 409, "merged_tap"),
    "a version that is past": ("waiting", {"version": 7}, 409, "conflict"),
    "a sale before the tap": ("waiting", {"sale_at": "2020-01-01T00:00:00Z"}, 422, "unprocessable"),
}


@pytest.mark.parametrize(("lead", "body", "status", "code"), SEALS.values(), ids=SEALS.keys())
async def test_a_seal_that_cannot_be_is_refused_and_changes_nothing(
    reader: tuple[Programs, World], lead: str, body: Any, status: int, code: str
) -> None:
    programs, world = reader
    before = await stored(world, lead)
    answer = await programs.post(seal_path(world, lead), body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"] == answer.json()["detail"]  # what scripts of before show
    assert await stored(world, lead) == before


async def test_who_lost_the_race_is_told_who_won_it(desk: tuple[Programs, World], signed_in: Any) -> None:
    programs, world = desk
    other = await member(signed_in, world, "operator")
    answers = await asyncio.gather(programs.post(seal_path(world), {}), other.post(seal_path(world), {}))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    lost = next(answer.json() for answer in answers if answer.status_code == 409)
    assert lost["code"] == "conflict" and "Ayşe sealed this lead" in lost["detail"]
    assert (lost["conflict"]["status"], lost["conflict"]["action"]) == ("sealed", "seal")


WHO = {"owner": 200, "admin": 200, "operator": 200, "analyst": 403, "stranger": 404, "nobody": 401}


@pytest.mark.parametrize(("who", "status"), WHO.items())
@pytest.mark.parametrize("path", ["seal", "status"])
async def test_who_may_decide(
    desk: tuple[Programs, World], signed_in: Any, web: Any, who: str, status: int, path: str
) -> None:
    programs, world = desk
    if who in ("admin", "operator", "analyst"):
        programs = await member(signed_in, world, who)
    elif who != "owner":
        programs = Programs((await signed_in())[0] if who == "stranger" else web.browser())
    if path == "seal":
        answer = await programs.post(seal_path(world), {})
    else:
        answer = await programs.post(f"/api/intents/{world.ids['waiting']}/status", {"status": "junk"})
    assert answer.status_code == status, answer.text
    assert (await stored(world, "waiting"))["status"] == (
        ("sealed" if path == "seal" else "junk") if status == 200 else "intent"
    )


@pytest.mark.parametrize("lead", ["x", "0b9c8d7e-0000-4000-8000-000000000001"])
async def test_a_lead_that_is_none_is_not_there(reader: tuple[Programs, World], lead: str) -> None:
    programs, _ = reader
    assert (await programs.post(f"/api/calls/{lead}/seal", {})).status_code == 404
    assert (await programs.post(f"/api/intents/{lead}/status", {"status": "junk"})).status_code == 404


# Status.

MOVES: dict[str, tuple[str, dict[str, Any], str, str, bool]] = {
    "a waiting lead is junk": ("waiting", {"status": "junk"}, "junk", "junk", True),
    "with a reason": ("waiting", {"status": "junk", "reason": "wrong_number"}, "junk", "junk", True),
    "confirmed is sealed": ("waiting", {"status": "confirmed"}, "sealed", "confirmed", True),
    "so are qualified and real": ("waiting", {"status": "qualified"}, "sealed", "confirmed", True),
    "by its present word": ("waiting", {"status": "sealed"}, "sealed", "confirmed", True),
    "won is a stage of what is sealed": ("sealed", {"status": "won"}, "sealed", "confirmed", True),
    "and seals what is not": ("waiting", {"status": "won"}, "sealed", "confirmed", True),
    "suspicious": ("waiting", {"status": "suspicious"}, "suspicious", "suspicious", True),
    "cancelled is junk": ("sealed", {"status": "cancelled"}, "junk", "junk", True),
    "intent restores": ("junk", {"status": "intent"}, "pending", "intent", True),
    "null does too": ("sealed", {"status": None}, "pending", "intent", True),
    "what it is already": ("waiting", {"status": "intent"}, "intent", "intent", False),
    "what it is already, in another word": ("sealed", {"status": "real"}, "sealed", "confirmed", False),
}


@pytest.mark.parametrize(("lead", "body", "status", "word", "changed"), MOVES.values(), ids=MOVES.keys())
async def test_a_lead_is_moved_by_the_act_that_leads_there(
    desk: tuple[Programs, World],
    lead: str,
    body: dict[str, Any],
    status: str,
    word: str,
    changed: bool,
) -> None:
    programs, world = desk
    method = "PATCH" if body.get("status") in ("sealed", None) else "POST"  # either is as good
    answer = await programs.post(f"/api/intents/{world.ids[lead]}/status", body, method=method)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["intent"]["status"], found["changed"]) == (word, changed)
    check(found, "legacy_status")
    row = await stored(world, lead)
    assert row["status"] == status
    logged = await world.owner.fetchval(
        "SELECT count(*) FROM intent_actions WHERE call_id = $1", world.ids[lead]
    )
    assert logged == (1 if changed else 0)


async def test_a_junked_lead_takes_its_conversion_back(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    await programs.post(f"/api/intents/{world.ids['sealed']}/status", {"status": "junk"})
    state = await world.owner.fetchval(
        "SELECT state FROM conversions WHERE call_id = $1", world.ids["sealed"]
    )
    assert state == "retracted"


STATUSES: dict[str, tuple[str, Any, int]] = {
    "a word that is none": ("waiting", {"status": "lost"}, 400),
    "a number": ("waiting", {"status": 1}, 400),
    "nothing": ("waiting", {}, 400),
    "what only the platform says": ("waiting", {"status": "conversion"}, 409),
    "from junk to sealed, past restoring": ("junk", {"status": "confirmed"}, 409),
    "a version that is past": ("waiting", {"status": "junk", "version": 9}, 409),
}


@pytest.mark.parametrize(("lead", "body", "status"), STATUSES.values(), ids=STATUSES.keys())
async def test_a_status_that_cannot_be_is_refused(
    reader: tuple[Programs, World], lead: str, body: Any, status: int
) -> None:
    programs, world = reader
    before = await stored(world, lead)
    answer = await programs.post(f"/api/intents/{world.ids[lead]}/status", body)
    assert answer.status_code == status, answer.text
    assert await stored(world, lead) == before


# Auto-approve.


async def test_stale_leads_are_listed_and_sealed(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    programs, world = Programs(browser), await make_world(user_id, empty=True)
    await world.visit("paid", world.at(1), PAID)
    await world.lead("old", world.at(1.1), "paid")
    await world.visit("short", world.at(1), ORGANIC)
    await world.lead("risky", world.at(1.2), "short")
    await world.count()
    asked = {"siteId": str(world.site.id), "limit": 10}
    off = await programs.post("/api/jobs/auto-approve", asked)
    assert (off.status_code, off.json()["code"]) == (422, "unprocessable")
    listed = (await programs.post("/api/jobs/auto-approve", {**asked, "preview": True})).json()
    assert (listed["call_ids"], listed["preview"]) == ([str(world.ids["old"])], True)
    assert (await stored(world, "old"))["status"] == "intent"

    await world.owner.execute("UPDATE sites SET auto_approve_hours = 24 WHERE id = $1", world.site.id)
    analyst = await member(signed_in, world, "analyst")
    assert (await analyst.post("/api/jobs/auto-approve", asked)).status_code == 403
    stranger = Programs((await signed_in())[0])
    assert (await stranger.post("/api/jobs/auto-approve", asked)).status_code == 404
    found = (await programs.post("/api/jobs/auto-approve", asked)).json()
    assert (found["approved"], found["call_ids"]) == (1, [str(world.ids["old"])])
    check(found, "legacy_auto_approve")
    row = await stored(world, "old")
    assert (row["status"], row["is_automatic"]) == ("sealed", True)
    assert (await stored(world, "risky"))["status"] == "intent"


# Does the site receive, is the server well?


async def test_a_site_is_receiving_or_quiet_since(desk: tuple[Programs, World], signed_in: Any) -> None:
    programs, world = desk
    for name in (world.site.id, world.site.public_id):
        found = (await programs.get(f"/api/sites/{name}/status")).json()
        assert (found["status"], found["traffic"], found["last_event_at"]) == ("NO_TRAFFIC", "never", None)
    for minutes, status in ((90, "NO_TRAFFIC"), (1, "RECEIVING")):
        at = await world.owner.fetchval("SELECT now() - $1::interval", timedelta(minutes=minutes))
        await world.owner.execute(
            "INSERT INTO counter_journal (site_id, changed_at, last_event_at) VALUES ($1, now(), $2)",
            world.site.id,
            at,
        )
        found = (await programs.get(f"/api/sites/{world.site.id}/status")).json()
        assert found["status"] == status
        assert datetime.fromisoformat(found["last_event_at"]) == at
        assert (found["quiet_since"] == found["last_event_at"]) == (status == "NO_TRAFFIC")
        assert (found["last_category"], found["last_action"]) == ("conversion", "form_submit")
        assert found["last_session_id"] == str(world.ids["paid"])
        check(found, "legacy_site_status")
    other = Programs((await signed_in())[0])
    assert (await other.get(f"/api/sites/{world.site.id}/status")).status_code == 404


async def test_health_needs_no_sign_in(web: Any) -> None:
    answer = await web.browser().get("/api/health")
    assert (answer.status_code, answer.json()["ok"], answer.json()["db"]) == (200, True, "ok")
    check(answer.json(), "legacy_health")


@pytest.mark.slow
async def test_without_its_database_the_server_is_not_well(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("opsmantik.web.health.refuse_unsafe_role", refuse)
    answer = await web.browser().get("/api/health")
    assert (answer.status_code, answer.json()["ok"], answer.json()["db"]) == (503, False, "down")
    assert answer.json()["reasons"][0]["code"] == "database_unavailable"


# Refused events.


def tap(world: World, **changes: Any) -> dict[str, Any]:
    """A tap as the present tracker sends it, refused on the third hour of the world."""
    ms = int(world.at(3).timestamp() * 1000)
    return {
        "id": str(uuid4()), "ts": ms - 1000, "sid": str(uuid4()), "vid": "visitor-9", "cat": "conversion",
        "act": "phone_call", "label": "tel:+905321234567", "url": "https://shop.example/?gclid=Cj0KCQiA-9", **changes,
    }  # fmt: skip


async def counted(world: World, outcome: str) -> int:
    n: int = await world.owner.fetchval(
        "SELECT coalesce(sum(n), 0)::integer FROM ingest_counts WHERE site_id = $1 AND outcome = $2",
        world.site.id,
        outcome,
    )
    return n


async def replay(programs: Programs, rejected: UUID) -> Any:
    return await programs.post(f"/api/sync/dlq/replay?id={rejected}")


async def test_a_refused_event_is_let_in_once_at_its_own_time(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    event = tap(world)
    rejected = await world.refused(event)
    answer = await replay(programs, rejected)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["outcome"], answer.json()["replay_count"]) == ("stored", 1)
    check(answer.json(), "legacy_dlq_replay")
    row = await world.owner.fetchrow("SELECT * FROM events WHERE id = $1", UUID(event["id"]))
    assert row["created_at"] == world.at(3) and row["flags"] == ["readmitted"]
    lead = await world.owner.fetchrow("SELECT * FROM calls WHERE event_id = $1", UUID(event["id"]))
    assert (lead["phone_number"], lead["created_at"]) == ("+905321234567", world.at(3))

    again = await replay(programs, rejected)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert "it was let in at" in again.json()["detail"]
    assert await world.owner.fetchval("SELECT count(*) FROM events WHERE id = $1", UUID(event["id"])) == 1


async def test_two_who_let_the_same_event_in_store_it_once(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    event = tap(world)
    rejected = await world.refused(event)
    answers = await asyncio.gather(*(replay(programs, rejected) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert any(answer.status_code == 200 for answer in answers)
    assert await world.owner.fetchval("SELECT count(*) FROM events WHERE id = $1", UUID(event["id"])) == 1
    assert (
        await world.owner.fetchval("SELECT count(*) FROM calls WHERE event_id = $1", UUID(event["id"])) == 1
    )


async def test_the_books_move_the_event_to_what_became_of_it(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    await world.owner.execute(
        "INSERT INTO counter_journal (site_id, tally, changed_at) VALUES ($1, ARRAY[ROW($1, 'bot', 1, $2)::tally_draft],"
        " now())",
        world.site.id,
        world.at(3),
    )
    await replay(programs, await world.refused(tap(world)))
    assert (await counted(world, "bot"), await counted(world, "stored")) == (0, 1)


async def test_the_counters_are_true_after_a_replay(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    await replay(programs, await world.refused(tap(world)))
    assert await world.owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", world.site.id) == []


FIRST = {
    "ec": "conversion", "ea": "phone_call", "el": "tel:05321234567", "u": "https://shop.example/", "r": "",
    "sid": "0b8e6a1e-8f0e-4a86-b6a4-3a3c6b0d7a11", "meta": {"fp": "abc", "gclid": None},
}  # fmt: skip


async def test_an_event_of_the_first_generation_is_let_in_too(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    body = {"s": world.site.public_id, **FIRST}
    twice = [await world.refused(body, door="sync"), await world.refused(body, door="sync")]
    outcomes = [(await replay(programs, rejected)).json()["outcome"] for rejected in twice]
    assert outcomes == ["stored", "duplicate"]  # a resend: the same body is the same event


REFUSED_AGAIN = {
    "what cannot be read": (b"{", "malformed", "malformed"),
    "nothing": (b"", "malformed", "nothing of it was kept"),
    "an event without what it needs": ({"act": "view"}, "malformed", "malformed"),
}


@pytest.mark.parametrize(("payload", "reason", "words"), REFUSED_AGAIN.values(), ids=REFUSED_AGAIN.keys())
async def test_what_is_refused_again_is_said_and_remembered(
    desk: tuple[Programs, World], payload: Any, reason: str, words: str
) -> None:
    programs, world = desk
    rejected = await world.refused(payload, reason=reason)
    answer = await replay(programs, rejected)
    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")
    assert words in answer.json()["detail"]
    row = await world.owner.fetchrow("SELECT * FROM rejected_events WHERE id = $1", rejected)
    assert (row["replay_count"], row["replayed_at"]) == (1, None) and row["last_replay_error"]
    assert (
        await world.owner.fetchval("SELECT count(*) FROM rejected_events WHERE site_id = $1", world.site.id)
        == 1
    )


async def test_what_the_database_cannot_hold_is_not_kept_twice(
    desk: tuple[Programs, World], web: Any, monkeypatch: Any
) -> None:
    programs, world = desk
    rejected = await world.refused(tap(world), reason="unstorable")

    async def refuse(*_: Any) -> None:
        raise ValueError("out of range")

    monkeypatch.setattr(web.app.collect.writer, "write_within", refuse)
    answer = await replay(programs, rejected)
    assert (answer.status_code, "out of range" in answer.json()["detail"]) == (422, True)
    assert (
        await world.owner.fetchval("SELECT count(*) FROM rejected_events WHERE site_id = $1", world.site.id)
        == 1
    )


async def test_refused_events_are_listed_newest_first_by_the_keys_of_before(
    desk: tuple[Programs, World],
) -> None:
    programs, world = desk
    rejected = [
        await world.refused({"act": "view"}, received_at=world.at(hour), detail=f"hour {hour}")
        for hour in (1, 3, 2)
    ]
    await world.refused(b"\xff not JSON", received_at=world.at(0), reason="malformed", detail=None)
    await replay(programs, rejected[0])
    found = (await programs.get("/api/sync/dlq/list", {"limit": "3", "siteDbId": str(world.site.id)})).json()
    assert [item["error"] for item in found["items"]] == ["hour 3", "hour 2", "hour 1"]
    assert set(found["items"][0]) >= {
        "id", "received_at", "site_id", "qstash_message_id", "dedup_event_id", "stage", "error", "payload",
        "replay_count", "last_replay_at", "last_replay_error",
    }  # fmt: skip
    assert (found["items"][0]["payload"], found["items"][0]["stage"]) == ({"act": "view"}, "v1")
    assert found["items"][2]["replay_count"] == 1
    check(found, "legacy_dlq_list")
    rest = (await programs.get("/api/sync/dlq/list", {"offset": "3"})).json()
    assert [(item["error"], item["payload"]) for item in rest["items"]] == [("malformed", "\ufffd not JSON")]
    assert (await programs.get("/api/sync/dlq/list", {"limit": "x"})).status_code == 400
    assert (await programs.get("/api/sync/dlq/list", {"limit": "9999"})).json()["limit"] == 200


async def test_who_tried_what_is_kept(desk: tuple[Programs, World], signed_in: Any) -> None:
    programs, world = desk
    admin = await member(signed_in, world, "admin")
    first, second = await world.refused(tap(world)), await world.refused(b"{", reason="malformed")
    await replay(programs, first)
    await replay(admin, second)
    await replay(admin, second)
    found = (await programs.get("/api/sync/dlq/audit")).json()
    assert [(item["dlq_id"], item["replay_count_after"]) for item in found["items"]] == [
        (str(second), 2), (str(second), 1), (str(first), 1),
    ]  # fmt: skip
    assert found["items"][2]["replayed_by_user_id"] == str(world.site.user_id)
    assert found["items"][2]["replayed_by_email"] == f"{world.site.user_id.hex}@example.com"
    assert (found["items"][2]["error_if_failed"], found["items"][2]["outcome"]) == (None, "stored")
    assert found["items"][0]["error_if_failed"]
    check(found, "legacy_dlq_audit")
    one = (await programs.get("/api/sync/dlq/audit", {"dlqId": str(first)})).json()
    assert len(one["items"]) == 1


@pytest.mark.parametrize("role", ["operator", "analyst", "stranger", "neighbour", "nobody"])
async def test_refused_events_are_for_those_who_run_the_site(
    desk: tuple[Programs, World], signed_in: Any, make_world: Any, web: Any, role: str
) -> None:
    """They hold what a visitor's browser sent."""
    _, world = desk
    rejected = await world.refused(tap(world))
    if role in ("operator", "analyst"):
        programs, status = await member(signed_in, world, role), 403
    elif role == "nobody":
        programs, status = Programs(web.browser()), 401
    else:
        browser, user_id = await signed_in()
        programs, status = Programs(browser), 403
        if role == "neighbour":
            await make_world(user_id, empty=True)
            status = 404
    assert (await replay(programs, rejected)).status_code == status
    one = await programs.get("/api/sync/dlq/list", {"siteDbId": str(world.site.id)})
    assert one.status_code == status
    listed = await programs.get("/api/sync/dlq/list")
    assert str(rejected) not in listed.text
    assert str(rejected) not in (await programs.get("/api/sync/dlq/audit")).text
    assert await world.owner.fetchval("SELECT replay_count FROM rejected_events WHERE id = $1", rejected) == 0


async def test_whoever_runs_the_platform_sees_them_all(desk: tuple[Programs, World], signed_in: Any) -> None:
    _, world = desk
    rejected = await world.refused(tap(world))
    admin = Programs((await signed_in(role="admin"))[0])
    assert str(rejected) in (await admin.get("/api/sync/dlq/list", {"limit": "200"})).text
    assert (await replay(admin, rejected)).json()["outcome"] == "stored"


def test_what_is_kept_can_be_let_in() -> None:
    """Reasons whose payloads are kept; each has a test above of what becomes of it."""
    assert {str(reason) for reason in KEPT} == {
        "malformed", "unstorable", "bot", "origin_refused", "over_quota",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/api/calls/x/seal", "/api/intents/x/status", "/api/sync/dlq/replay?id=x"])
async def test_a_form_of_another_site_does_nothing(reader: tuple[Programs, World], path: str) -> None:
    programs, _ = reader
    answer = await programs.http.post(path, data={"status": "junk"})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_json")
    forged = await programs.http.post(path, headers={"origin": "https://evil.example"})
    assert forged.status_code == 403


async def test_what_a_scripted_page_sends_without_a_body_is_taken(
    desk: tuple[Programs, World], web: Any
) -> None:
    """fetch(…, {method: "POST"}) has no content type, and names its origin."""
    programs, world = desk
    answer = await programs.http.post(
        f"/api/sync/dlq/replay?id={await world.refused(tap(world))}", headers={"origin": web.base_url}
    )
    assert answer.status_code == 200
