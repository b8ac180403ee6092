"""What a door is sent, and what it answers: never 500, and a bad event never harms its neighbours."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from uuid import uuid4

import msgspec
import pytest

from opsmantik.errors import Malformed
from opsmantik.ingest.payload import clean, read_body
from opsmantik.settings import Settings
from tests.ingest.conftest import ORIGIN, now_ms, serve

DEEP = b'{"site":"x","meta":' + b"[" * 10_000 + b"]" * 10_000 + b"}"


def with_site(site, item, **changes):
    return {"site": site.public_id, "sent": now_ms(), "v": "t"} | item(**changes)


# name, body, status at /v1/events, words that the message must hold
UNREADABLE = [
    ("1 empty body", b"", 400, "malformed"),
    ("2 null", b"null", 400, "object"),
    ("3 a string", b'"hello"', 400, "object"),
    ("4 truncated", b'{"site":"x","even', 400, "truncated"),
    ("5 NaN", b'{"site":"x","value":NaN}', 400, "invalid"),
    ("6 deep nesting", DEEP, 400, "deep"),
    ("13 invalid UTF-8", b'{"site":"\xff\xfe"}', 400, "UTF-8"),
    ("no site", b'{"id":"1"}', 400, "site"),
    ("a list", b"[]", 400, "object"),
    (
        "6 deep nesting in objects",
        b'{"site":"x","meta":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
        400,
        "deep",
    ),
    ("6 deep nesting that never ends", b"[" * 1_000_000, 400, "malformed"),
    ("more escapes than any text needs", b'{"site":"x","a":"' + rb"\u0000" * 100_000 + b'"}', 400, "escapes"),
    ("no event in its list", b'{"site":"x","events":[]}', 404, "site"),
]


@pytest.mark.parametrize(
    ("body", "status", "words"), [r[1:] for r in UNREADABLE], ids=[r[0] for r in UNREADABLE]
)
async def test_unreadable_bodies_are_refused_with_a_reason(door, body, status, words):
    begin = time.perf_counter()
    answer = await door.post("/v1/events", body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"] or words in answer.json()["code"]
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert time.perf_counter() - begin < 1  # 10,000 brackets take no longer than the others


@pytest.mark.parametrize("body", [r[1] for r in UNREADABLE], ids=[r[0] for r in UNREADABLE])
async def test_the_first_generations_door_answers_them_with_200_and_not_ok(door, body):
    answer = await door.post("/api/sync", body)
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"


# name, changes to an item, status, and what the answer says of it
REFUSED = [
    ("16 huge integer as value", b'"value":1' + b"0" * 400, 400, "range"),
    ("16 huge integer in meta", b'"meta":{"n":1' + b"0" * 400 + b"}", 400, "number"),
    ("17 5,000 properties", b'"meta":' + json.dumps({f"k{n}": n for n in range(5000)}).encode(), 400, "keys"),
    ("a key of 257 characters", b'"meta":{"' + b"k" * 257 + b'":1}', 400, "key"),
    (
        "5,000 properties, further in",
        b'"meta":{"a":' + json.dumps({f"k{n}": n for n in range(5000)}).encode() + b"}",
        400,
        "values",
    ),
    ("lists of lists", b'"meta":{"a":' + json.dumps([[1] * 100] * 20).encode() + b"}", 400, "values"),
    (
        "a novel in pieces",
        b'"meta":{"a":' + json.dumps(["x" * 2000] * 100).encode() + b"}",
        400,
        "characters",
    ),
    ("nine levels", b'"meta":' + b'{"a":' * 10 + b"1" + b"}" * 10, 400, "nests"),
    ("30 a time that is none", b'"ts":"yesterday"', 400, "ts"),
    ("30 a time without an offset", b'"ts":"2026-11-22T10:00:00"', 400, "ts"),
    ("an id that is no UUID", b'"id":"abc"', 400, "UUID"),
    ("a value that is no number", b'"value":"ten"', 400, "float"),
]


@pytest.mark.parametrize(("change", "status", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
async def test_an_event_without_meaning_is_refused_and_kept(
    door, make_site, owner, item, change, status, words
):
    site = await make_site()
    event = {k: v for k, v in with_site(site, item).items() if f'"{k}":'.encode() not in change}
    answer = await door.post("/v1/events", json.dumps(event).encode()[:-1] + b"," + change + b"}")
    assert answer.status_code == status, answer.text
    [result] = answer.json()["results"]
    assert result["status"] == "rejected"
    assert words in result["message"]
    assert await owner.fetchval("SELECT count(*) FROM rejected_events WHERE site_id = $1", site.id) == 1
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 0


@pytest.mark.parametrize(
    "body", [DEEP, b"[" * 1_000_000, b'{"a":' * 200_000], ids=["arrays", "a megabyte of them", "objects"]
)
def test_6_deep_nesting_costs_less_than_50_ms(body):
    best = 1.0
    for _ in range(3):
        begin = time.perf_counter()
        with pytest.raises(Malformed):
            read_body(clean(body)[0])
        best = min(best, time.perf_counter() - begin)
    assert best < 0.05


async def test_a_long_string_in_a_list_is_cut_too(door, make_site, owner, item):
    site = await make_site()
    await door.post("/v1/events", with_site(site, item, meta={"a": ["x" * 3000, {"b": "y" * 3000}]}))
    row = await owner.fetchrow("SELECT metadata, flags FROM events WHERE site_id = $1", site.id)
    assert row["metadata"] == {"a": ["x" * 2048, {"b": "y" * 2048}]}
    assert row["flags"] == ["truncated"]


async def test_an_empty_list_is_refused_for_good(door, make_site, item, first):
    """The first generation's tracker would send anything else again and again."""
    site = await make_site()
    answer = await door.post("/v1/events", {"site": site.public_id, "events": []})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    legacy = await door.post("/api/sync", {"s": site.public_id, "events": []})
    assert (legacy.status_code, legacy.json()["ok"]) == (200, False)


async def test_a_large_body_counts_as_many_events(app_database, make_site, item):
    site = await make_site()
    door, stop = await serve(app_database, Settings(rate_limit_per_minute=60, rate_limit_burst=70))
    try:
        meta = {f"k{n}": "x" * 1000 for n in range(60)}
        events = [item(meta=meta) for _ in range(16)]  # a megabyte
        said = [
            (await door.post("/v1/events", {"site": site.public_id, "events": events[:15]})).status_code
            for _ in range(4)
        ]
        unreadable = [(await door.post("/v1/events", b"[" * 1_000_000)).status_code for _ in range(4)]
    finally:
        await stop()
    assert said == [200, 200, 429, 429]
    assert unreadable == [400, 400, 429, 429]


async def test_7_a_body_over_a_megabyte_is_refused_before_it_is_parsed(door):
    answer = await door.post("/v1/events", b'{"site":"' + b"x" * (1024 * 1024) + b'"}')
    assert answer.status_code == 413


async def raw_request(door, *parts: bytes, wait: float = 5) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(65_536), wait)
    except (ConnectionResetError, BrokenPipeError):
        return b""
    finally:
        writer.close()


async def test_8_an_endless_chunked_body_is_cut_off(door):
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    sent = 0
    try:
        while sent < 200 * 1024 * 1024:
            writer.write(chunk)
            sent += len(chunk)
            await asyncio.wait_for(writer.drain(), 5)
    except (ConnectionResetError, BrokenPipeError, TimeoutError):
        pass
    finally:
        writer.close()
    assert sent < 50 * 1024 * 1024


async def test_9_a_gzip_bomb_costs_no_more_than_the_cap(door):
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 100_000
    begin = time.perf_counter()
    answer = await door.post("/v1/events", bomb, content_encoding="gzip")
    assert answer.status_code == 413
    assert time.perf_counter() - begin < 1


async def test_gzip_that_is_honest_is_read(door, make_site, item):
    site = await make_site()
    body = gzip.compress(json.dumps(with_site(site, item)).encode())
    assert (await door.post("/v1/events", body, content_encoding="gzip")).status_code == 200
    assert (await door.post("/v1/events", body[:-9], content_encoding="gzip")).status_code == 400
    assert (await door.post("/v1/events", body, content_encoding="br")).status_code == 400


# name, raw JSON of a label, what is stored, flag
MENDED = [
    ("10 NUL in a value", rb'"a\u0000b"', "a\ufffdb", "nul_replaced"),
    ("12 half a surrogate pair", rb'"a\ud800b"', "a\ufffdb", "surrogate_replaced"),
    ("12 the other half", rb'"\udc00"', "\ufffd", "surrogate_replaced"),
    ("a whole pair stays", rb'"\ud83d\ude00"', "\U0001f600", None),
    ("an escaped backslash before u0000 stays", rb'"a\\u0000"', "a\\u0000", None),
    ("18 64 KB in a 2 KB field", b'"' + b"x" * 65_536 + b'"', "x" * 2048, "truncated"),
]


@pytest.mark.parametrize(("label", "stored", "flag"), [r[1:] for r in MENDED], ids=[r[0] for r in MENDED])
async def test_text_that_cannot_be_stored_is_mended_and_flagged(
    door, make_site, owner, item, label, stored, flag
):
    site = await make_site()
    event = with_site(site, item)
    body = json.dumps(event).encode()[:-1] + b',"label":' + label + b"}"
    assert (await door.post("/v1/events", body)).status_code == 200
    row = await owner.fetchrow("SELECT event_label, flags FROM events WHERE site_id = $1", site.id)
    assert row["event_label"] == stored
    assert (row["flags"] or []) == ([flag] if flag else [])


async def test_11_a_nul_in_a_key_is_mended_too(door, make_site, owner, item):
    site = await make_site()
    body = json.dumps(with_site(site, item)).encode()[:-1] + rb',"meta":{"a\u0000b":1}}'
    assert (await door.post("/v1/events", body)).status_code == 200
    row = await owner.fetchrow("SELECT metadata, flags FROM events WHERE site_id = $1", site.id)
    assert row["metadata"] == {"a\ufffdb": 1}
    assert row["flags"] == ["nul_replaced"]


async def test_14_a_byte_order_mark_is_no_harm(door, make_site, item):
    site = await make_site()
    body = b"\xef\xbb\xbf" + json.dumps(with_site(site, item)).encode()
    assert (await door.post("/v1/events", body)).status_code == 200


async def test_15_of_two_equal_keys_the_last_wins(door, make_site, owner, item):
    site = await make_site()
    body = json.dumps(with_site(site, item)).encode()[:-1] + b',"label":"first","label":"last"}'
    assert (await door.post("/v1/events", body)).status_code == 200
    assert await owner.fetchval("SELECT event_label FROM events WHERE site_id = $1", site.id) == "last"


async def test_19_an_unknown_site_is_404_and_counted(door, owner, item):
    before = await owner.fetchval("SELECT coalesce(sum(n), 0) FROM stray_tally")
    answer = await door.post("/v1/events", {"site": uuid4().hex, **item()})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_site")
    legacy = await door.post(
        "/api/sync", {"s": str(uuid4()), "u": "https://x.example/", "ec": "a", "ea": "b"}
    )
    assert (legacy.status_code, legacy.json()["ok"]) == (200, False)
    assert await owner.fetchval("SELECT sum(n) FROM stray_tally") == before + 2


async def test_20_a_disabled_site_is_403(door, make_site, owner, item):
    site = await make_site()
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", site.id)
    await door.collect.registry.refresh()
    answer = await door.post("/v1/events", with_site(site, item))
    assert (answer.status_code, answer.json()["results"][0]["reason"]) == (403, "site_disabled")


# name, Origin header, status
ORIGINS = [
    ("the site's own", "https://shop.example", 200),
    ("21 another site", "https://evil.example", 403),
    ("21 another scheme", "http://shop.example", 403),
    ("21 another port", "https://shop.example:8443", 403),
    ("21 a name that ends alike", "https://notshop.example", 403),
    ("22 null", "null", 403),
    ("none: a server or a proxy", "", 200),
]


@pytest.mark.parametrize(("origin", "status"), [r[1:] for r in ORIGINS], ids=[r[0] for r in ORIGINS])
async def test_origins(door, make_site, owner, item, origin, status):
    site = await make_site()
    answer = await door.post("/v1/events", with_site(site, item), origin=origin)
    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin", "") == origin
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == (status == 200)


async def test_22_null_may_be_allowed(door, make_site, item):
    site = await make_site(origins=("null",))
    assert (await door.post("/v1/events", with_site(site, item), origin="null")).status_code == 200


async def test_24_25_the_same_id_again_is_a_duplicate_whatever_its_body(door, make_site, owner, item):
    site = await make_site()
    event = with_site(site, item, label="first")
    for body in (event, event, event | {"label": "other"}, event | {"sid": str(uuid4())}):
        answer = await door.post("/v1/events", body)
        assert answer.status_code == 200
    assert answer.json()["results"][0]["status"] == "duplicate"
    assert await owner.fetchval("SELECT array_agg(event_label) FROM events WHERE site_id = $1", site.id) == [
        "first"
    ]
    tally = dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", site.id))
    assert tally == {"stored": 1, "duplicate": 3}


async def test_26_a_hundred_at_once_make_one_row(door, make_site, owner, item):
    site = await make_site()
    event = with_site(site, item)
    answers = await asyncio.gather(*(door.post("/v1/events", event) for _ in range(100)))
    said = sorted(a.json()["results"][0]["status"] for a in answers)
    assert said == ["accepted"] + ["duplicate"] * 99
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 1
    assert await owner.fetchval("SELECT event_count FROM sessions WHERE site_id = $1", site.id) == 1


DAY = 86_400_000
# name, ts relative to now in ms or absolute text, expected distance from now in ms, flags
TIMES = [
    ("27 the year 1970", 1000, 0, ["clock_replaced"]),
    ("28 two days ahead", ("+", 2 * DAY), 0, ["clock_clamped"]),
    ("29 thirty days old", ("+", -30 * DAY), -30 * DAY, []),
    ("an hour ago", ("+", -3_600_000), -3_600_000, []),
    ("30 ISO with an offset", "iso", -60_000, []),
    ("30 epoch seconds", "seconds", -60_000, []),
]


@pytest.mark.parametrize(("ts", "distance", "flags"), [r[1:] for r in TIMES], ids=[r[0] for r in TIMES])
async def test_times(door, make_site, owner, item, ts, distance, flags):
    site = await make_site()
    now = now_ms()
    if isinstance(ts, tuple):
        ts = now + ts[1]
    elif ts == "iso":
        ts = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now / 1000 - 60))
    elif ts == "seconds":
        ts = now // 1000 - 60
    assert (await door.post("/v1/events", with_site(site, item, ts=ts))).status_code == 200
    row = await owner.fetchrow(
        "SELECT occurred_at, created_at, flags FROM events WHERE site_id = $1", site.id
    )
    assert abs(row["occurred_at"].timestamp() * 1000 - (now + distance)) < 5_000
    assert abs(row["created_at"].timestamp() * 1000 - now) < 5_000
    assert (row["flags"] or []) == flags


async def test_a_wrong_client_clock_is_corrected_by_what_it_says_of_sending(door, make_site, owner, item):
    site = await make_site()
    wrong = now_ms() - 7_200_000
    body = {"site": site.public_id, "sent": wrong, "v": "t", **item(ts=wrong - 10_000)}
    assert (await door.post("/v1/events", body)).status_code == 200
    row = await owner.fetchrow("SELECT occurred_at, flags FROM events WHERE site_id = $1", site.id)
    assert abs(now_ms() - 10_000 - row["occurred_at"].timestamp() * 1000) < 5_000
    assert row["flags"] == ["clock_corrected"]


async def test_34_a_forwarded_address_counts_only_from_a_trusted_proxy(door, make_site, owner, item):
    site = await make_site()
    answer = await door.post("/v1/events", with_site(site, item), x_forwarded_for="203.0.113.7")
    assert answer.status_code == 200
    assert (
        str(await owner.fetchval("SELECT ip_address FROM sessions WHERE site_id = $1", site.id))
        == "127.0.0.0"
    )


async def test_35_two_content_lengths_are_refused(door):
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"
    assert b" 400 " in (await raw_request(door, head)).split(b"\r\n")[0]
    both = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert b" 400 " in (await raw_request(door, both)).split(b"\r\n")[0]


async def test_36_a_strange_click_id_is_no_click_id(door, make_site, owner, item):
    site = await make_site()
    for gclid in ("x" * 4096, "<script>alert(1)</script>", "{gclid}"):
        event = with_site(site, item, url=f"https://shop.example/?gclid={gclid}")
        assert (await door.post("/v1/events", event)).status_code == 200
    assert (
        await owner.fetchval("SELECT count(*) FROM sessions WHERE site_id = $1 AND has_click_id", site.id)
        == 0
    )
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 3


async def test_37_formulas_are_stored_as_they_are(door, make_site, owner, item):
    site = await make_site()
    label = '=HYPERLINK("https://evil.example";"x")'
    assert (await door.post("/v1/events", with_site(site, item, label=label))).status_code == 200
    assert await owner.fetchval("SELECT event_label FROM events WHERE site_id = $1", site.id) == label


async def test_one_bad_event_does_not_harm_its_batch_mates(door, make_site, owner, item):
    site = await make_site()
    events = [item() for _ in range(10)]
    events[3] = {"id": "not a uuid", "cat": "x", "act": "y", "url": "z"}
    events[7]["value"] = "ten"
    answer = await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), "events": events})
    assert answer.status_code == 200
    said = [r["status"] for r in answer.json()["results"]]
    assert [i for i, s in enumerate(said) if s == "rejected"] == [3, 7]
    assert said.count("accepted") == 8
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 8
    rows = await owner.fetch("SELECT payload FROM rejected_events WHERE site_id = $1", site.id)
    kept = sorted(msgspec.json.decode(row["payload"])["id"] for row in rows)
    assert kept == sorted([events[3]["id"], events[7]["id"]]), "not as they came"
    tally = dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", site.id))
    assert tally == {"stored": 8, "malformed": 2}


async def test_more_than_a_hundred_events_are_too_many(door, make_site, item):
    site = await make_site()
    body = {"site": site.public_id, "sent": now_ms(), "events": [item() for _ in range(101)]}
    assert (await door.post("/v1/events", body)).status_code == 400
    body["events"].pop()
    assert (await door.post("/v1/events", body)).status_code == 200


async def test_bots_get_the_answer_that_people_get_and_are_set_aside(door, make_site, owner, item):
    site = await make_site()
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    answer = await door.post("/v1/events", with_site(site, item), user_agent=agent)
    assert (answer.status_code, answer.json()["results"][0]["status"]) == (200, "accepted")
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 0
    row = await owner.fetchrow(
        "SELECT reason, detail, payload FROM rejected_events WHERE site_id = $1", site.id
    )
    assert row["reason"] == "bot" and "google" in row["detail"].lower() and b'"act"' in row["payload"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_other_methods_are_405(door, method):
    assert (await door.client.request(method, "/v1/events")).status_code == 405
