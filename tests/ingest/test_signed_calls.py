"""Signed reports of calls: who may make up a lead (nobody), and how often one call is one lead (once)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from msgspec.structs import asdict

from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards.intent import intent
from opsmantik.db.connect import Asker, Database
from opsmantik.errors import BadSignature, StaleSignature
from opsmantik.ingest.signature import sign, verify
from opsmantik.keyring import Keyring, key_of, new_key
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.settings import Settings
from opsmantik.sites import call_secrets
from opsmantik.upkeep.purge import purge
from tests.ingest.conftest import Door, serve

pytestmark = pytest.mark.slow

V1, V2 = "/api/call-event", "/api/call-event/v2"
KEYRING = Keyring([key_of(bytes.fromhex(new_key()))])


# Whether it was signed. Pure.

SECRET, OTHER, NOW = b"om_calls_one", b"om_calls_two", 1_795_000_000
BODY = b'{"site_id":"x","phone_number":"+905321234567"}'
GOOD = sign(SECRET, NOW, BODY)


def test_the_signature_is_the_one_that_openssl_makes() -> None:
    # printf '1795000000.{"site_id":"x","phone_number":"+905321234567"}' | openssl dgst -sha256 -hmac om_calls_one
    assert GOOD == "sha256=a36a53def4242f804f9ae5a3a272e67b590a4b59560de7e54a63b967863e7b0f"
    assert verify([SECRET], str(NOW).encode(), GOOD.encode(), BODY, NOW) == bytes.fromhex(GOOD[7:])


def _flipped(place: int) -> str:
    digits = list(GOOD)
    digits[place] = f"{int(digits[place], 16) ^ 1:x}"  # one bit
    return "".join(digits)


REFUSED: dict[str, tuple[Any, ...]] = {
    "one bit off at the front": (_flipped(7), NOW, BODY, NOW),
    "one bit off at the end": (_flipped(70), NOW, BODY, NOW),
    "another body": (GOOD, NOW, BODY + b" ", NOW),
    "another time": (GOOD, NOW + 1, BODY, NOW),
    "another secret": (sign(OTHER, NOW, BODY), NOW, BODY, NOW),
    "cut short": (GOOD[:-1], NOW, BODY, NOW),
    "too long": (GOOD + "0", NOW, BODY, NOW),
    "without its name": (GOOD[7:], NOW, BODY, NOW),
    "by another name": (GOOD.replace("sha256", "sha1"), NOW, BODY, NOW),
    "none": (None, NOW, BODY, NOW),
    "empty": ("", NOW, BODY, NOW),
    "no time": (GOOD, None, BODY, NOW),
    "a time that is none": (GOOD, "now", BODY, NOW),
    "a time with a sign": (GOOD, f"+{NOW}", BODY, NOW),
    "a time with a space": (GOOD, f" {NOW}", BODY, NOW),
    "a time in other digits": (GOOD, "١٧٩٥", BODY, NOW),
    "301 seconds old": (GOOD, NOW, BODY, NOW + 301),
    "301 seconds ahead": (GOOD, NOW, BODY, NOW - 301),
}


@pytest.mark.parametrize(("given", "stamp", "body", "now"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused(given: str | None, stamp: Any, body: bytes, now: int) -> None:
    error = StaleSignature if abs(now - NOW) > 300 else BadSignature
    with pytest.raises(error):
        verify(
            [SECRET], str(stamp).encode() if stamp is not None else None,
            given.encode() if given is not None else None, body, now,
        )  # fmt: skip


TAKEN = {
    "300 seconds old": (GOOD, [SECRET], NOW + 300),
    "300 seconds ahead": (GOOD, [SECRET], NOW - 300),
    "by the next secret": (GOOD, [OTHER, SECRET], NOW),
    "in capitals": ("sha256=" + GOOD[7:].upper(), [SECRET], NOW),
}


@pytest.mark.parametrize(("given", "secrets", "now"), TAKEN.values(), ids=TAKEN.keys())
def test_it_is_taken(given: str, secrets: list[bytes], now: int) -> None:
    assert verify(secrets, str(NOW).encode(), given.encode(), BODY, now)


def test_a_site_without_a_secret_takes_no_signature_not_even_that_of_nothing() -> None:
    for secret in (b"", bytes(32)):
        with pytest.raises(BadSignature):
            verify([], str(NOW).encode(), sign(secret, NOW, BODY).encode(), BODY, NOW)


# At the door.


class Pbx:
    """A telephone system of one site."""

    def __init__(self, door: Door, site: Any, secret: str) -> None:
        self.door = door
        self.site = site
        self.secret = secret

    def body(self, **fields: Any) -> bytes:
        given = {"site_id": self.site.public_id, "phone_number": "0532 123 45 67", **fields}
        return json.dumps({name: value for name, value in given.items() if value is not None}).encode()

    def headers(self, body: bytes, at: float | None = None, secret: str | None = None) -> dict[str, str]:
        stamp = str(int(time.time() if at is None else at))
        signature = sign((secret or self.secret).encode(), stamp, body)
        return {"x-opsmantik-timestamp": stamp, "x-opsmantik-signature": signature}

    async def send(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return await self.door.client.post(
            V2, content=body, headers={"content-type": "application/json", **headers}
        )

    async def report(
        self, at: float | None = None, secret: str | None = None, **fields: Any
    ) -> httpx.Response:
        body = self.body(**fields)
        return await self.send(body, self.headers(body, at, secret))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def door(app_database: Database) -> AsyncIterator[Door]:
    door, stop = await serve(app_database, Settings(rate_limit_per_minute=0), KEYRING)
    yield door
    await stop()


def manager(site: Any) -> Asker:
    return Asker(site.user_id, roles_with(Capability.KEYS))


@pytest.fixture
def make_pbx(app_database: Database, door: Door, make_site: Any) -> Callable[..., Any]:
    async def make(**columns: Any) -> Pbx:
        site = await make_site(**columns)
        async with app_database.as_person(manager(site), write=True) as (connection, _):
            secret = await call_secrets.make_call_secret(connection, KEYRING, site.id)
        await door.collect.registry.refresh()
        return Pbx(door, site, secret)

    return make


async def visit(door: Door, site: Any, item: Any, query: str = "", **changes: Any) -> UUID:
    session = uuid4()
    event = item(sid=str(session), url=f"https://shop.example/{query}", **changes)
    answer = await door.post("/v1/events", {"site": site.public_id, "sent": event["ts"], "events": [event]})
    assert answer.status_code == 200, answer.text
    return session


async def calls(owner: Any, site: Any) -> list[Any]:
    found: list[Any] = await owner.fetch(
        "SELECT * FROM calls WHERE site_id = $1 AND source = 'api' ORDER BY created_at", site.id
    )
    return found


async def test_a_signed_call_is_a_lead_with_what_the_telephone_system_says_of_it(
    make_pbx: Any, owner: Any, item: Any, door: Door
) -> None:
    pbx = await make_pbx()
    session = await visit(door, pbx.site, item, "?gclid=Cj0KCQiA-abcdef", vid="visitor-7")
    answer = await pbx.report(
        fingerprint="visitor-7", event_id="pbx-1", direction="inbound", status="answered", duration_seconds=95
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["session_id"]) == ("matched", str(session))
    assert told["lead_score"] > 0
    [call] = await calls(owner, pbx.site)
    assert (str(call["id"]), call["phone_number"]) == (told["call_id"], "+905321234567")
    assert (call["call_direction"], call["call_outcome"], call["call_seconds"]) == ("inbound", "answered", 95)
    assert (call["click_id"], call["click_id_kind"]) == ("Cj0KCQiA-abcdef", "gclid")
    assert call["lead_score"] == told["lead_score"]
    assert await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", pbx.site.id) == []


async def test_without_a_visit_it_is_a_lead_that_says_it_is_unmatched(make_pbx: Any, owner: Any) -> None:
    pbx = await make_pbx()
    told = (await pbx.report()).json()
    assert (told["status"], told["session_id"], told["lead_score"]) == ("unmatched", None, 0)
    [call] = await calls(owner, pbx.site)
    assert call["matched_session_id"] is None and call["matched_fingerprint"] is None


async def test_the_click_id_finds_the_visit_before_the_device_does(
    make_pbx: Any, owner: Any, item: Any, door: Door
) -> None:
    pbx = await make_pbx()
    clicked = await visit(door, pbx.site, item, "?wbraid=Cl0KCQiA-wbraid", vid="visitor-1")
    await visit(door, pbx.site, item, vid="visitor-2")
    told = (await pbx.report(wbraid="Cl0KCQiA-wbraid", fingerprint="visitor-2")).json()
    assert told["session_id"] == str(clicked)
    unknown = (await pbx.report(gclid="Cj0KCQiA-never-seen", phone_number="05321112233")).json()
    assert unknown["status"] == "unmatched"
    [_, call] = await calls(owner, pbx.site)
    assert (call["click_id"], call["click_id_kind"]) == ("Cj0KCQiA-never-seen", "gclid")


async def test_a_call_is_not_matched_to_a_visit_that_began_after_it(
    make_pbx: Any, item: Any, door: Door
) -> None:
    pbx = await make_pbx()
    await visit(door, pbx.site, item, vid="visitor-1")
    minutes_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600))
    assert (await pbx.report(fingerprint="visitor-1", called_at=minutes_ago)).json()["status"] == "unmatched"
    assert (await pbx.report(fingerprint="visitor-1", event_id="now")).json()["status"] == "matched"


TIMES = {
    "a minute ago": (-60, -60),
    "two days ago": (-172_800, -172_800),
    "eight days ago": (-691_200, 0),
    "in 1970": (-time.time(), 0),
    "a minute ahead": (60, 0),
    "tomorrow": (86_400, 0),
}


@pytest.mark.parametrize(("offset", "kept"), TIMES.values(), ids=TIMES.keys())
async def test_a_call_that_says_it_was(make_pbx: Any, owner: Any, offset: float, kept: float) -> None:
    pbx = await make_pbx()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(time.time() + offset, 0)))
    assert (await pbx.report(called_at=stamp)).status_code == 200
    [call] = await calls(owner, pbx.site)
    assert abs(call["occurred_at"].timestamp() - (time.time() + kept)) < 5


UNREADABLE: dict[str, dict[str, Any]] = {
    "no number": {"phone_number": None},
    "an empty number": {"phone_number": ""},
    "a number of spaces": {"phone_number": "   "},
    "a number that is a number": {"phone_number": 905321234567},
    "a misspelt field": {"fingerprnt": "x"},
    "a status that there is not": {"status": "ringing"},
    "a negative duration": {"duration_seconds": -1},
    "a time without a zone": {"called_at": "2026-11-22T10:00:00"},
    "too long an id": {"event_id": "x" * 101},
    "no site": {"site_id": None},
}


@pytest.mark.parametrize("fields", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_signed_body_is_refused_for(make_pbx: Any, owner: Any, fields: dict[str, Any]) -> None:
    pbx = await make_pbx()
    answer = await pbx.report(**fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text
    assert await calls(owner, pbx.site) == []


async def test_what_cannot_be_a_body_is_refused(make_pbx: Any) -> None:
    pbx = await make_pbx()
    for body, status in ((b"", 400), (b"null", 400), (b"[]", 400), (b"{", 400), (b"x" * 65_537, 413)):
        assert (await pbx.send(body, pbx.headers(body))).status_code == status
    assert (await pbx.door.client.get(V2)).status_code == 405


async def test_a_wrong_signature_is_refused_and_leaves_nothing(make_pbx: Any, owner: Any) -> None:
    pbx, other = await make_pbx(), await make_pbx()
    body = pbx.body()
    right = pbx.headers(body)
    off = right["x-opsmantik-signature"]
    off = off[:-1] + f"{int(off[-1], 16) ^ 1:x}"
    wrong: dict[str, tuple[dict[str, str], str]] = {
        "off one bit": ({**right, "x-opsmantik-signature": off}, "bad_signature"),
        "unsigned": ({}, "bad_signature"),
        "another site's": (pbx.headers(body, secret=other.secret), "bad_signature"),
        "301 seconds old": (pbx.headers(body, at=time.time() - 301), "stale_signature"),
        "301 seconds ahead": (pbx.headers(body, at=time.time() + 302), "stale_signature"),
    }
    for name, (headers, code) in wrong.items():
        answer = await pbx.send(body, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code), name
    assert await calls(owner, pbx.site) == []
    assert await owner.fetchval("SELECT count(*) FROM call_signatures WHERE site_id = $1", pbx.site.id) == 0
    assert (await pbx.send(body, right)).status_code == 200


async def test_a_site_that_is_not_there_and_one_without_a_secret(make_pbx: Any, make_site: Any) -> None:
    pbx = await make_pbx()
    assert (await pbx.report(site_id="0" * 32)).status_code == 404
    assert (await pbx.report(site_id=(await make_site()).public_id)).status_code == 401


async def test_another_site_s_key_and_my_visitor_are_not_matched(
    make_pbx: Any, owner: Any, item: Any, door: Door
) -> None:
    mine, theirs = await make_pbx(), await make_pbx()
    await visit(door, mine.site, item, "?gclid=Cj0KCQiA-mine-mine", vid="visitor-1")
    told = (await theirs.report(fingerprint="visitor-1", gclid="Cj0KCQiA-mine-mine")).json()
    assert (told["status"], told["session_id"], told["lead_score"]) == ("unmatched", None, 0)
    assert await calls(owner, mine.site) == []


async def test_the_same_signature_again_is_answered_as_the_first_time_and_does_nothing(
    make_pbx: Any, owner: Any, item: Any, door: Door
) -> None:
    pbx = await make_pbx()
    body = pbx.body(fingerprint="visitor-1")
    headers = pbx.headers(body, at=time.time() - 200)
    first = await pbx.send(body, headers)
    # What would change the answer, if it were made anew.
    await visit(door, pbx.site, item, vid="visitor-1")
    again = [await pbx.send(body, headers) for _ in range(3)]
    assert [(answer.status_code, answer.json()) for answer in again] == [(200, first.json())] * 3
    assert len(await calls(owner, pbx.site)) == 1


@pytest.mark.parametrize("n", [2, 30])
async def test_at_the_same_moment_it_is_one_call(make_pbx: Any, owner: Any, n: int) -> None:
    pbx = await make_pbx()
    body = pbx.body(event_id="pbx-1")
    headers = pbx.headers(body)
    answers = await asyncio.gather(*(pbx.send(body, headers) for _ in range(n)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, answers[0].json())] * n
    [call] = await calls(owner, pbx.site)
    assert answers[0].json()["call_id"] == str(call["id"])
    assert await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", pbx.site.id) == []


async def test_an_event_id_is_one_call_however_often_it_is_signed(make_pbx: Any, owner: Any) -> None:
    pbx, other = await make_pbx(), await make_pbx()
    stamps = [time.time() - back for back in (0, 20, 40)]
    answers = await asyncio.gather(*(pbx.report(at=at, event_id="pbx-1") for at in stamps))
    assert len({answer.json()["call_id"] for answer in answers}) == 1
    assert len(await calls(owner, pbx.site)) == 1
    # Another call of the same number is another call; and another site's ids are its own.
    await pbx.report(event_id="pbx-2")
    assert len(await calls(owner, pbx.site)) == 2
    assert (await other.report(event_id="pbx-1")).json()["call_id"] not in {
        a.json()["call_id"] for a in answers
    }


async def test_without_an_event_id_a_number_within_a_minute_is_one_call(make_pbx: Any, owner: Any) -> None:
    pbx = await make_pbx()
    for back in (0, 10, 20):
        await pbx.report(at=time.time() - back)
    await pbx.report(phone_number="05321112233")
    assert len(await calls(owner, pbx.site)) == 2


async def test_both_secrets_are_good_and_a_removed_one_is_not(
    make_pbx: Any, app_database: Database, door: Door
) -> None:
    pbx = await make_pbx()
    async with app_database.as_person(manager(pbx.site), write=True) as (connection, _):
        following = await call_secrets.make_call_secret(connection, KEYRING, pbx.site.id)
        kept = await call_secrets.call_secrets(connection, pbx.site.id)
    assert [one.place for one in kept] == ["current", "next"]
    await door.collect.registry.refresh()
    assert (await pbx.report(event_id="a")).status_code == 200
    assert (await pbx.report(event_id="b", secret=following)).status_code == 200
    async with app_database.as_person(manager(pbx.site), write=True) as (connection, _):
        await call_secrets.remove_call_secret(connection, pbx.site.id, kept[0].id)
        assert [one.place for one in await call_secrets.call_secrets(connection, pbx.site.id)] == ["current"]
    await door.collect.registry.refresh()
    assert (await pbx.report(event_id="c")).status_code == 401
    assert (await pbx.report(event_id="d", secret=following)).status_code == 200


async def test_a_new_secret_is_known_to_the_door_without_being_told(
    make_pbx: Any, app_database: Database
) -> None:
    pbx = await make_pbx()
    async with app_database.as_person(manager(pbx.site), write=True) as (connection, _):
        following = await call_secrets.make_call_secret(connection, KEYRING, pbx.site.id)
    for _ in range(100):
        if (await pbx.report(secret=following)).status_code == 200:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within five seconds")


async def test_a_secret_that_cannot_be_opened_makes_callers_wait_and_refuses_nobody_for_good(
    app_database: Database, make_pbx: Any
) -> None:
    pbx = await make_pbx()
    other, stop = await serve(
        app_database, Settings(rate_limit_per_minute=0), Keyring([key_of(bytes.fromhex(new_key()))])
    )
    try:
        answer = await Pbx(other, pbx.site, pbx.secret).report()
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert (await other.client.post(V2, content=pbx.body())).status_code == 401
    finally:
        await stop()


async def test_unsigned_reports_can_be_refused(
    make_pbx: Any, app_database: Database, door: Door, owner: Any
) -> None:
    pbx = await make_pbx()
    unsigned = {"site_id": pbx.site.public_id, "phone_number": "05321234567", "fingerprint": "x"}
    assert (await door.client.post(V1, json=unsigned)).status_code == 200
    for allowed, status in ((False, 403), (True, 200)):
        async with app_database.as_person(manager(pbx.site), write=True) as (connection, _):
            await call_secrets.allow_unsigned_calls(connection, pbx.site.id, allowed)
        await door.collect.registry.refresh()
        answer = await door.client.post(V1, json=unsigned)
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["code"] == "unsigned_calls_off" and "/v2" in answer.json()["error"]
        assert (await pbx.report(event_id=f"allowed {allowed}")).status_code == 200
    acts = await owner.fetch("SELECT action FROM site_acts WHERE site_id = $1 ORDER BY at, id", pbx.site.id)
    assert [act["action"] for act in acts] == [
        "call_secrets.make", "call_secrets.refuse_unsigned", "call_secrets.allow_unsigned",
    ]  # fmt: skip


async def test_a_site_that_is_switched_off_and_a_foreign_page_are_refused(
    make_pbx: Any, owner: Any, door: Door
) -> None:
    pbx = await make_pbx()
    body = pbx.body()
    assert (await pbx.send(body, {**pbx.headers(body), "origin": "https://evil.example"})).status_code == 403
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", pbx.site.id)
    await door.collect.registry.refresh()
    assert (await pbx.report()).status_code == 403


async def test_without_the_database_the_caller_is_told_to_come_back_and_nothing_is_half_done(
    make_pbx: Any, owner: Any, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = await make_pbx()
    body = pbx.body()
    headers = pbx.headers(body)
    away = Database("postgresql://nobody@127.0.0.1:1/nowhere")
    with monkeypatch.context() as patch:
        patch.setattr(door.collect, "_database", away)
        answer = await pbx.send(body, headers)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    # The same request once it is back: not taken for a replay of one that was never stored.
    assert (await pbx.send(body, headers)).status_code == 200
    assert len(await calls(owner, pbx.site)) == 1


async def test_signatures_are_forgotten_when_they_are_good_no_more(make_pbx: Any, owner: Any) -> None:
    pbx = await make_pbx()
    for event_id in ("a", "b"):
        await pbx.report(event_id=event_id)
    await owner.execute(
        "UPDATE call_signatures SET received_at = now() - interval '16 minutes' WHERE (site_id, signature) IN"
        " (SELECT site_id, signature FROM call_signatures WHERE site_id = $1 LIMIT 1)",
        pbx.site.id,
    )
    gone = await purge(owner)
    assert gone["call_signatures"] == 1
    assert await owner.fetchval("SELECT count(*) FROM call_signatures WHERE site_id = $1", pbx.site.id) == 1


async def test_what_was_said_of_a_call_is_shown_with_its_lead(make_pbx: Any, app_database: Database) -> None:
    pbx = await make_pbx()
    said = {"direction": "outbound", "status": "busy", "duration_seconds": 0}
    told = (await pbx.report(event_id="a", **said)).json()
    bare = (await pbx.report(event_id="b")).json()
    shown = []
    async with app_database.as_person(manager(pbx.site)) as (connection, person):
        site = await asked_site(connection, person, str(pbx.site.id))
        assert site is not None
        for one in (told, bare):
            found = await intent(connection, site, intent_id=UUID(one["call_id"]))
            shown.append(asdict(found.call) if found.call else None)
    assert shown == [said, None]
