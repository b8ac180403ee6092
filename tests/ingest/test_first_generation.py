"""An unmodified first-generation tracker against this server: its bodies, its resends, and what it needs back."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import pytest

from opsmantik.ingest.first_generation import body_id, stamp_time
from tests.ingest.conftest import ORIGIN, now_ms


async def rows(owner, site, table="events"):
    return await owner.fetch(f"SELECT * FROM {table} WHERE site_id = $1", site.id)


async def test_a_view_is_stored_and_the_answer_is_2xx(door, make_site, owner, first):
    site = await make_site()
    answer = await door.post(
        "/api/sync?_ts=1763790000000", first(site.public_id), content_type="application/json"
    )
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    assert answer.json()["status"] == "stored"
    [event] = await rows(owner, site)
    assert (event["event_category"], event["event_action"], event["event_label"]) == (
        "interaction",
        "view",
        "Shop",
    )
    [session] = await rows(owner, site, "sessions")
    assert session["fingerprint"] == "1x2y3z"
    assert (session["browser_language"], session["screen_width"], session["device_memory"]) == (
        "tr-TR",
        390,
        8,
    )


@pytest.mark.parametrize("spelling", ["hex", "hyphens", "capitals"])
async def test_a_sites_id_may_be_spelled_with_hyphens_or_without(door, make_site, owner, first, spelling):
    site = await make_site()
    text = str(uuid4().__class__(site.public_id)) if spelling != "hex" else site.public_id
    text = text.upper() if spelling == "capitals" else text
    assert (await door.post("/api/sync", first(text))).json()["ok"] is True
    assert len(await rows(owner, site)) == 1


async def test_a_preflight_with_any_query_is_allowed_with_credentials(door):
    answer = await door.client.options(
        "/api/sync?_ts=1",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "content-type" in answer.headers["access-control-allow-headers"].lower()
    assert answer.headers["vary"] == "Origin"


# name, changes to the body: each is final, and each must be 2xx or the visitor's queue jams for a day
FINAL = [
    ("unknown site", {"s": "0" * 32}),
    ("no site", {"s": None}),
    ("no url", {"u": None}),
    ("url that is no string", {"u": 5}),
    ("meta with too many keys", {"meta": {f"k{n}": 1 for n in range(500)}}),
]


@pytest.mark.parametrize("change", [r[1] for r in FINAL], ids=[r[0] for r in FINAL])
async def test_what_can_never_be_stored_is_answered_with_200_and_not_ok(door, make_site, first, change):
    site = await make_site()
    answer = await door.post("/api/sync", first(site.public_id) | change)
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_a_refused_origin_can_read_its_refusal(door, make_site, owner, first):
    site = await make_site()
    answer = await door.post("/api/sync", first(site.public_id), origin="https://evil.example")
    assert (answer.status_code, answer.json()["ok"], answer.json()["reason"]) == (
        200,
        False,
        "origin_refused",
    )
    assert answer.headers["access-control-allow-origin"] == "https://evil.example"
    assert await rows(owner, site) == []


STAMP = "{:d}-ab12-tel-9f3c1d"


def tap(first, site, **changes):
    stamp = STAMP.format(now_ms() - 60_000)
    meta = {"intent_stamp": stamp, "intent_action": "phone_call"} | changes.pop("meta", {})
    return first(
        site.public_id, ec="conversion", ea="phone_call", el="tel:05000000012", ev=None, meta=meta, **changes
    )


async def test_a_tap_becomes_an_intent_at_the_time_of_its_stamp(door, make_site, owner, first):
    site = await make_site()
    body = tap(first, site, u="https://shop.example/?gclid=Cj0KCQiAo_abcdefg123&utm_term=oto+kurtarma")
    assert (await door.post("/api/sync", body)).json()["status"] == "stored"
    [call] = await rows(owner, site, "calls")
    assert (call["intent_action"], call["intent_target"], call["phone_number"]) == (
        "phone",
        "tel:+905000000012",
        "+905000000012",
    )
    assert (call["click_id"], call["click_id_kind"]) == ("Cj0KCQiAo_abcdefg123", "gclid")
    assert call["intent_stamp"] == body["meta"]["intent_stamp"]
    assert (
        abs(call["occurred_at"].timestamp() * 1000 - int(body["meta"]["intent_stamp"].split("-")[0])) < 1000
    )
    assert (call["status"], call["source"], call["matched_session_id"].hex) == (
        "intent",
        "click",
        body["sid"].replace("-", ""),
    )
    assert call["lead_score"] == sum(call["score_breakdown"].values()) > 0


async def test_resends_of_a_tap_days_later_are_duplicates(door, make_site, owner, first, monkeypatch):
    site = await make_site()
    body = tap(first, site)
    for later in (0, 15_000, 3_600_000, 6 * 86_400_000):
        monkeypatch.setattr("opsmantik.web.collect.milliseconds", lambda later=later: now_ms() + later)
        assert (await door.post("/api/sync", body)).json()["ok"] is True
    assert len(await rows(owner, site)) == 1
    assert len(await rows(owner, site, "calls")) == 1


async def test_a_second_tap_has_another_stamp_and_counts(door, make_site, owner, first):
    site = await make_site()
    body = tap(first, site)
    later = body | {"meta": body["meta"] | {"intent_stamp": STAMP.format(now_ms() - 30_000)}}
    for each in (body, later):
        assert (await door.post("/api/sync", each)).json()["status"] == "stored"
    assert len(await rows(owner, site, "calls")) == 2


async def test_a_reload_counts_but_a_resend_does_not(door, make_site, owner, first, monkeypatch):
    """The same body within 20 seconds is a resend, on whichever side of a window's edge it falls."""
    site = await make_site()
    body = first(site.public_id)
    start = now_ms() // 20_000 * 20_000 + 19_500  # half a second before an edge
    for offset, expected in ((0, "stored"), (100, "duplicate"), (900, "duplicate")):
        monkeypatch.setattr("opsmantik.web.collect.milliseconds", lambda offset=offset: start + offset)
        assert (await door.post("/api/sync", body)).json()["status"] == expected
    await owner.execute(
        "UPDATE events SET created_at = created_at - interval '21 seconds' WHERE site_id = $1", site.id
    )
    monkeypatch.setattr("opsmantik.web.collect.milliseconds", lambda: start + 21_500)
    assert (await door.post("/api/sync", body)).json()["status"] == "stored"
    assert len(await rows(owner, site)) == 2


@pytest.mark.slow
async def test_one_body_on_both_sides_of_an_edge_at_once_makes_one_row(
    door, make_site, owner, first, monkeypatch
):
    for _ in range(5):
        site = await make_site()
        body = first(site.public_id)
        times = iter([now_ms() // 20_000 * 20_000 + 20_000 + n for n in (-3, -2, -1, 0, 1, 2)] * 4)
        monkeypatch.setattr("opsmantik.web.collect.milliseconds", lambda times=times: next(times))
        answers = await asyncio.gather(*(door.post("/api/sync", body) for _ in range(24)))
        assert sorted(a.json()["status"] for a in answers) == ["duplicate"] * 23 + ["stored"]
        assert len(await rows(owner, site)) == 1


@pytest.mark.slow
async def test_scroll_counts_once_a_session_and_threshold(door, make_site, owner, first):
    site = await make_site()
    sid = str(uuid4())
    for percent in range(50, 100):
        label = "90%" if percent >= 90 else "50%"
        await door.post("/api/sync", first(site.public_id, sid=sid, ea="scroll_depth", el=label, ev=percent))
    assert len(await rows(owner, site)) == 2
    [session] = await rows(owner, site, "sessions")
    assert session["max_scroll_percentage"] == 99


async def test_heartbeats_and_goodbyes_move_the_session_and_are_no_events(
    door, make_site, owner, first, monkeypatch
):
    site = await make_site()
    sid = str(uuid4())
    start = now_ms()
    await door.post("/api/sync", first(site.public_id, sid=sid))
    for n, meta in enumerate(
        ({"active_sec": 25}, {"active_sec": 40, "scroll_pct": 70}, {"active_sec": 12}), 1
    ):
        monkeypatch.setattr("opsmantik.web.collect.milliseconds", lambda n=n: start + 30_000 * n)
        beat = first(site.public_id, sid=sid, ec="system", ea="heartbeat", el="session_active", meta=meta)
        assert (await door.post("/api/sync", beat)).json()["status"] == "pulse"
    bye = first(
        site.public_id,
        sid=sid,
        ec="system",
        ea="session_end",
        el="page_unload",
        u="https://shop.example/last",
    )
    monkeypatch.setattr("opsmantik.web.collect.milliseconds", lambda: start + 100_000)
    await door.post("/api/sync", bye)
    assert len(await rows(owner, site)) == 1
    [session] = await rows(owner, site, "sessions")
    assert session["event_count"] == 1
    assert session["total_active_seconds"] == 40  # a page that begins anew at 12 takes nothing away
    assert session["max_scroll_percentage"] == 70
    assert abs(session["total_duration_sec"] - 100) <= 1
    assert session["exit_page"] == "https://shop.example/last"


async def test_a_remembered_click_id_does_not_wipe_the_campaign(door, make_site, owner, first):
    site = await make_site()
    sid = str(uuid4())
    gclid = "Cj0KCQiAo_abcdefg123"
    landing = (
        f"https://shop.example/?gclid={gclid}&utm_source=google&utm_medium=cpc&utm_term=vin%C3%A7&matchtype=p"
    )
    await door.post("/api/sync", first(site.public_id, sid=sid, u=landing))
    await door.post(
        "/api/sync", first(site.public_id, sid=sid, u="https://shop.example/b", meta={"gclid": gclid})
    )
    [session] = await rows(owner, site, "sessions")
    assert (session["gclid"], session["utm_term"], session["matchtype"]) == (gclid, "vinç", "p")
    assert (session["attribution_source"], session["is_paid"]) == ("First Click (Paid)", True)
    assert session["entry_page"] == landing


async def test_a_session_id_of_another_site_is_another_session(door, make_site, owner, first):
    ours, theirs = await make_site(), await make_site()
    sid = str(uuid4())
    for site in (ours, theirs):
        assert (await door.post("/api/sync", first(site.public_id, sid=sid))).json()["status"] == "stored"
        [session] = await rows(owner, site, "sessions")
        assert session["event_count"] == 1


async def test_a_session_id_that_is_no_uuid_stays_one_session(door, make_site, owner, first):
    site = await make_site()
    for page in "abc":
        await door.post("/api/sync", first(site.public_id, sid="tab-17", u=f"https://shop.example/{page}"))
    [session] = await rows(owner, site, "sessions")
    assert session["event_count"] == 3


@pytest.mark.parametrize("key", ["events", "batch"])
async def test_later_trackers_send_lists(door, make_site, owner, first, key):
    site = await make_site()
    body = {key: [first(site.public_id, u=f"https://shop.example/{n}") for n in range(3)]}
    answer = await door.post("/api/sync", body)
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert [r["status"] for r in answer.json()["results"]] == ["accepted"] * 3
    assert len(await rows(owner, site)) == 3


async def test_a_month_by_the_clients_clock_is_not_believed(door, make_site, owner, first):
    site = await make_site()
    await door.post("/api/sync", first(site.public_id, sm="1999-01-01"))
    assert await owner.fetchval(
        "SELECT created_month = date_trunc('month', created_at AT TIME ZONE 'UTC')::date FROM sessions WHERE site_id = $1",
        site.id,
    )


async def test_a_title_that_names_wa_me_makes_no_lead(door, make_site, owner, first):
    site = await make_site()
    await door.post("/api/sync", first(site.public_id, el="How wa.me links work"))
    assert await rows(owner, site, "calls") == []


async def test_a_share_link_is_an_event_but_no_lead(door, make_site, owner, first):
    site = await make_site()
    await door.post(
        "/api/sync", first(site.public_id, ec="conversion", ea="whatsapp", el="https://wa.me/?text=hi")
    )
    [event] = await rows(owner, site)
    assert event["flags"] == ["no_lead_share_link"]
    assert await rows(owner, site, "calls") == []


async def test_a_form_is_a_lead_of_its_own_kind(door, make_site, owner, first):
    site = await make_site()
    await door.post("/api/sync", first(site.public_id, ec="conversion", ea="form_submit", el="callback"))
    [call] = await rows(owner, site, "calls")
    assert (call["source"], call["intent_action"], call["intent_target"]) == ("form", "form", "form:callback")


async def test_paid_interactions_are_not_renamed(door, make_site, owner, first):
    site = await make_site()
    await door.post("/api/sync", first(site.public_id, u="https://shop.example/?gclid=Cj0KCQiAo_abcdefg123"))
    [event] = await rows(owner, site)
    assert event["event_category"] == "interaction"


def test_a_body_keeps_its_id_and_another_body_has_another():
    one, two = (json.dumps({"n": n}).encode() for n in (1, 2))
    site, other = uuid4().bytes, uuid4().bytes
    assert body_id(one, site, b"once") == body_id(one, site, b"once")
    assert len({body_id(b, s, k) for b in (one, two) for s in (site, other) for k in (b"once", b"1")}) == 8


@pytest.mark.parametrize(
    ("stamp", "milliseconds"),
    [
        ("1763790000123-ab12-tel-9f3c1d", 1_763_790_000_123),
        ("mi9sxzl7-ab12-wa-9f3c1d", int("mi9sxzl7", 36)),
        ("server-made", None),
        ("", None),
        ("999-x", None),
    ],
)
def test_the_time_in_a_stamp(stamp, milliseconds):
    assert stamp_time(stamp) == milliseconds
