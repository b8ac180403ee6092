"""Nothing that an erasure was asked about is left, anywhere; and every figure is what the rows say, before and after."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from opsmantik.cli import logs
from opsmantik.decisions.decide import Decision, decide
from opsmantik.errors import Conflict, TooManyRequests, Unprocessable
from opsmantik.event import Event
from opsmantik.intents.status import Action
from opsmantik.privacy import erasure, store
from opsmantik.privacy.certificate import is_genuine
from opsmantik.privacy.registry import ERASED, NOBODYS
from opsmantik.privacy.subject import Kind, Seals, Subject
from opsmantik.settings import Settings
from opsmantik.upkeep.folding import fold_all
from opsmantik.upkeep.subjects import read_subject
from tests.counters.test_counters import decide_some, history, write
from tests.counters.world import Traffic, site_of
from tests.ingest.conftest import now_ms, serve
from tests.privacy.conftest import KEYRING, SEALS, Keeper, dumped, places_of, rows_of

pytestmark = pytest.mark.slow

PHONE = "+905321112233"
SPELLINGS = ("+905321112233", "905321112233", "0532 111 22 33", "(0532) 111-22-33", "532%20111%2022%2033")
EMAIL = "Ayse.Yilmaz@example.org"
HASH = hashlib.sha256(EMAIL.lower().encode()).hexdigest()


class Person:
    """A visitor of the site whose visit, lead and notes say who they are."""

    def __init__(self, name: str) -> None:
        self.vid = f"visitor-{name}-{uuid4().hex[:8]}"
        self.sid = str(uuid4())
        self.gclid = f"Cj0KCQ{uuid4().hex}"
        self.token = f"token{uuid4().hex}"
        self.note = f"note {uuid4().hex}"

    @property
    def needles(self) -> list[str]:
        return [self.vid, self.sid, self.sid.replace("-", ""), self.gclid, self.token, self.note]


async def visit(door: Any, site: Any, item: Any, person: Person, **meta: Any) -> None:
    """Pages with a token in the address, a tap and a form with their own words, and a refused event of theirs."""
    page = f"https://shop.example/{person.token}?gclid={person.gclid}&utm_campaign={person.token}"
    common = {"sid": person.sid, "vid": person.vid}
    events = [
        item(**common, url=page),
        item(**common, cat="conversion", act="phone_call", label="tel:02125550101", url=page),
        item(**common, cat="conversion", act="form_submit", label="contact", url=page, meta=meta),
        item(**common, act="heartbeat", cat="system", url=page, pulse={"active": 20}),
    ]
    answer = await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), "events": events})
    assert [r["status"] for r in answer.json()["results"]] == ["accepted"] * 4
    await door.post(
        "/v1/events", {"site": site.public_id, "sent": now_ms(), **item(**common, id="no uuid", url=page)}
    )


async def seal_and_note(keeper: Keeper, person: Person) -> None:
    lead = await keeper.owner.fetchval(
        "SELECT id FROM calls WHERE site_id = $1 AND matched_session_id = $2 AND source = 'click'",
        keeper.site.id,
        UUID(person.sid),
    )
    note = Decision(action=Action.NOTE, note=person.note)
    await decide(keeper.database, keeper.site.user_id, keeper.site.id, lead, note)
    seal = Decision(action=Action.SEAL, amount=Decimal("1500"))
    await decide(keeper.database, keeper.site.user_id, keeper.site.id, lead, seal)


SUBJECTS = {
    "a number, as somebody writes it": (Kind.PHONE, "(0532) 111 22 33"),
    "a number, as a link": (Kind.PHONE, "tel:+90 532 111 22 33"),
    "an address": (Kind.EMAIL, EMAIL),
    "the hash of an address": (Kind.EMAIL, HASH.upper()),
    "a visitor": (Kind.VISITOR, "vid"),
    "a visit": (Kind.SESSION, "sid"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "text"), SUBJECTS.values(), ids=SUBJECTS)
async def test_nothing_of_the_person_is_left_anywhere(
    door: Any, make_site: Any, make_keeper: Any, item: Any, database: Any, owner: Any, kind: Kind, text: str
) -> None:
    site = await make_site()
    keeper: Keeper = make_keeper(site)
    person, other = Person("a"), Person("b")
    await visit(door, site, item, person, phone="0532 111 22 33", email=EMAIL, hashed=HASH)
    await visit(door, site, item, other, phone="0533 999 88 77")
    await seal_and_note(keeper, person)
    await seal_and_note(keeper, other)
    before = await places_of(owner, person.needles)
    assert {place.split(":")[0].split("_20")[0] for place in before} >= {
        "sessions", "parts.sessions", "calls", "visitors", "rejected_events", "conversions",
    } - {"sessions"}  # fmt: skip

    subject = read_subject(kind, {"vid": person.vid, "sid": person.sid}.get(text, text), "TR")
    found = await keeper.preview(subject)
    assert (found["sessions"], found["events"], found["calls"], found["rejected_events"]) == (1, 3, 2, 1)
    certificate = await keeper.erase(subject)

    values = [*person.needles, HASH, EMAIL, "5321112233", "0532 111 22 33"]
    assert await places_of(owner, values) == []
    text = dumped(database.admin)
    assert other.vid in text, "the search finds what is there"
    assert [value for value in values if value.lower() in text] == []
    assert await keeper.unequal() == []
    assert await rows_of(owner, "counter_journal", site.id) == 0
    assert await keeper.preview(subject) == {}
    told = msgspec.json.decode(certificate)
    assert told["erased"] | {"call_signatures": 0} == {
        "sessions": 1, "session_keys": 1, "events": 3, "calls": 2, "intent_actions": 2, "conversions": 1,
        "conversion_moves": 1, "visitors": 1, "rejected_events": 1, "call_signatures": 0,
    }  # fmt: skip
    # The other one is as before.
    assert await rows_of(owner, "sessions", site.id) == 1
    assert await rows_of(owner, "events", site.id) == 3
    assert await rows_of(owner, "calls", site.id) == 2
    assert await rows_of(owner, "rejected_events", site.id) == 1


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_number_is_found_in_any_spelling(
    door: Any, make_site: Any, make_keeper: Any, item: Any, spelling: str
) -> None:
    site = await make_site()
    await visit(door, site, item, Person("x"), words=f"call me: {spelling}, thanks")
    assert (await make_keeper(site).preview(read_subject(Kind.PHONE, PHONE, "TR")))["sessions"] == 1


@pytest.mark.parametrize("other", ["0532 111 22 34", "153211122339", "53211122", "0905321112233 4"])
async def test_no_other_number_is_found(
    door: Any, make_site: Any, make_keeper: Any, item: Any, other: str
) -> None:
    site = await make_site()
    await visit(door, site, item, Person("x"), words=f"call me: {other}, thanks")
    found = await make_keeper(site).preview(read_subject(Kind.PHONE, PHONE, "TR"))
    assert found == {}


async def test_a_number_that_visitors_tap_is_not_theirs(
    door: Any, make_site: Any, make_keeper: Any, item: Any
) -> None:
    """The client's own number: whoever asks to erase it would erase every caller."""
    site = await make_site()
    keeper = make_keeper(site)
    for name in ("a", "b"):
        await visit(door, site, item, Person(name))
    own = read_subject(Kind.PHONE, "0212 555 01 01", "TR")
    assert await keeper.preview(own) == {}
    async with keeper.transactions() as connection:
        assert (await erasure.preview(connection, site.id, own)).taps == 2
    with_taps = read_subject(Kind.PHONE, "0212 555 01 01", "TR", with_taps=True)
    assert (await keeper.preview(with_taps))["sessions"] == 2


async def test_a_reported_call_is_its_callers(make_site: Any, make_keeper: Any, owner: Any) -> None:
    site = await make_site()
    keeper = make_keeper(site)
    at = await owner.fetchval("SELECT now()")
    await owner.execute(
        "INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number, currency)"
        " VALUES ($1, $2, $3, $3, $3, 'api', $4, 'TRY')",
        site.id, uuid4(), at, PHONE,
    )  # fmt: skip
    await owner.execute("SELECT rebuild_counters($1)", site.id)
    await keeper.erase(read_subject(Kind.PHONE, "0090 532 111 22 33", "TR"))
    assert await rows_of(owner, "calls", site.id) == 0
    assert await keeper.unequal() == []


async def test_one_visit_of_several_goes_alone(
    door: Any, make_site: Any, make_keeper: Any, item: Any, owner: Any
) -> None:
    site = await make_site()
    keeper = make_keeper(site)
    first, again = Person("a"), Person("a")
    again.vid = first.vid
    await visit(door, site, item, first)
    await visit(door, site, item, again)
    await keeper.erase(read_subject(Kind.SESSION, first.sid, "TR"))
    assert await places_of(owner, [first.sid, first.gclid, first.token]) == []
    row = await owner.fetchrow("SELECT id, visits FROM visitors WHERE site_id = $1", site.id)
    assert (row["id"], row["visits"]) == (first.vid, 1)
    assert await keeper.unequal() == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_counters_equal_a_recount_after_random_erasures(
    app_database: Any, owner: Any, make_site: Any, make_keeper: Any, seed: int
) -> None:
    zone = ("Europe/Istanbul", "Asia/Kathmandu", "America/New_York")[seed]
    made = await make_site(time_zone=zone)
    site, chance = site_of(made, zone), random.Random(seed)
    keeper = make_keeper(made)
    traffic = Traffic(site, seed)
    await write(app_database, traffic.batches(history(traffic, 50)), connections=3)
    await decide_some(owner, site, traffic.chance)
    if seed:
        await fold_all(app_database)
    visitors = [
        r["id"] for r in await owner.fetch("SELECT id FROM visitors WHERE site_id = $1 ORDER BY id", site.id)
    ]
    sessions = [
        r["id"] for r in await owner.fetch("SELECT id FROM sessions WHERE site_id = $1 ORDER BY id", site.id)
    ]
    chosen = [Subject(kind=Kind.VISITOR, value=v) for v in chance.sample(visitors, 3)]
    chosen += [Subject(kind=Kind.SESSION, value=str(s)) for s in chance.sample(sessions, 4)]
    for subject in chosen:
        await keeper.erase(subject)
        assert await keeper.unequal() == [], subject
        assert await places_of(owner, [subject.value]) == []
    assert await rows_of(owner, "sessions", site.id) > 0


@pytest.mark.slow
async def test_ingest_and_erasure_of_the_same_visit_at_once(
    door: Any, make_site: Any, make_keeper: Any, item: Any, owner: Any
) -> None:
    """Nothing fails, nothing half is left, and what came after is whole."""
    site = await make_site()
    keeper = make_keeper(site)
    person = Person("a")
    subject = read_subject(Kind.VISITOR, person.vid, "TR")
    stop = asyncio.Event()
    sent = 0

    async def browse() -> None:
        nonlocal sent
        while not stop.is_set():
            events = [
                item(sid=person.sid, vid=person.vid),
                item(
                    sid=person.sid,
                    vid=person.vid,
                    cat="conversion",
                    act="whatsapp",
                    label="https://wa.me/905000000012",
                ),
            ]
            answer = await door.post(
                "/v1/events", {"site": site.public_id, "sent": now_ms(), "events": events}
            )
            assert [r["status"] for r in answer.json()["results"]] == ["accepted"] * 2, answer.text
            sent += 2

    browsing = [asyncio.create_task(browse()) for _ in range(3)]
    for _ in range(6):
        await asyncio.sleep(0.1)
        with suppress(Conflict):  # they keep coming; it goes on later
            await keeper.erase(subject)
    stop.set()
    await asyncio.gather(*browsing)
    assert sent > 20
    assert await rows_of(owner, "rejected_events", site.id) == 0
    assert await keeper.unequal() == []
    for row in await store.unfinished(owner, timedelta()):
        await erasure.resume(keeper.transactions, row[0], row[1], KEYRING, SEALS)
    assert await keeper.unequal() == []
    left = await owner.fetchval(
        "SELECT count(*) FROM sessions s WHERE s.site_id = $1 AND s.event_count <>"
        " (SELECT count(*) FROM events e WHERE e.site_id = s.site_id AND e.session_month = s.created_month"
        " AND e.session_id = s.id)",
        site.id,
    )
    assert left == 0, "a visit that is there is there with all of its events"


async def test_an_event_that_waits_for_an_erased_visit_begins_a_new_one(
    door: Any, make_site: Any, item: Any, owner: Any
) -> None:
    """It has seen the visit's key, and finds it gone: no fault of the event's, so it is not set aside."""
    site = await make_site()
    sid = str(uuid4())
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **item(sid=sid)})
    async with owner.transaction():
        for table, column in (("events", "session_id"), ("sessions", "id"), ("session_keys", "id")):
            await owner.execute(
                f"DELETE FROM {table} WHERE site_id = $1 AND {column} = $2", site.id, UUID(sid)
            )
        late = item(sid=sid)
        posting = asyncio.create_task(
            door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **late})
        )
        await asyncio.sleep(0.4)
        assert not posting.done()
    answer = await posting
    assert [r["status"] for r in answer.json()["results"]] == ["accepted"], answer.text
    rows = await owner.fetch("SELECT id FROM events WHERE site_id = $1", site.id)
    assert [str(row["id"]) for row in rows] == [late["id"]]
    assert await rows_of(owner, "rejected_events", site.id) == 0


async def test_an_erasure_that_was_cut_off_goes_on(
    door: Any, make_site: Any, make_keeper: Any, item: Any, owner: Any, monkeypatch: Any
) -> None:
    """Also when the rows that led from one to the next are gone."""
    site = await make_site()
    keeper = make_keeper(site)
    person, again = Person("a"), Person("a")
    again.vid = person.vid
    await visit(door, site, item, person, phone=PHONE)
    await visit(door, site, item, again)
    subject = read_subject(Kind.PHONE, PHONE, "TR")
    original = store.erase_rest

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("cut off")

    monkeypatch.setattr(store, "erase_rest", broken)
    with pytest.raises(RuntimeError):
        await keeper.erase(subject)
    monkeypatch.setattr(store, "erase_rest", original)
    assert await keeper.preview(subject) != {} or await rows_of(owner, "visitors", site.id) == 1
    [(site_id, erasure_id)] = await store.unfinished(owner, timedelta())
    kept = await owner.fetchrow("SELECT * FROM erasures WHERE id = $1", erasure_id)
    assert PHONE[3:] not in str(dict(kept)) and kept["subject"] is not None
    certificate = await erasure.resume(keeper.transactions, site_id, erasure_id, KEYRING, SEALS)
    assert await places_of(owner, [*person.needles, *again.needles]) == []
    assert msgspec.json.decode(certificate)["erased"]["sessions"] == 2
    assert await keeper.unequal() == []
    assert await erasure.resume(keeper.transactions, site_id, erasure_id, KEYRING, SEALS) == certificate


async def test_the_certificate_is_signed_and_names_nobody(
    door: Any, make_site: Any, make_keeper: Any, item: Any, owner: Any
) -> None:
    site = await make_site()
    keeper = make_keeper(site)
    person = Person("a")
    await visit(door, site, item, person, phone=PHONE)
    await seal_and_note(keeper, person)
    await owner.execute(
        "UPDATE conversions SET state = 'sent', consent_at = due_at WHERE site_id = $1", site.id
    )
    await owner.execute("SELECT rebuild_counters($1)", site.id)
    order = await owner.fetchval("SELECT order_id FROM conversions WHERE site_id = $1", site.id)
    certificate = await keeper.erase(read_subject(Kind.PHONE, PHONE, "TR"))
    told = msgspec.json.decode(certificate)
    assert told["sent_conversions"] == {"count": 1, "order_ids": [order]}
    assert told["subject"]["kind"] == "phone" and len(told["subject"]["hmac_sha256"]) == 64
    assert told["outside"] == ["backups", "ad_platforms", "mail_and_webhooks", "visitors_device"]
    assert is_genuine(certificate, SEALS)
    assert not is_genuine(certificate.replace(b'"sessions":1', b'"sessions":2'), SEALS)
    assert not is_genuine(certificate, Seals("t" * 40))
    assert [n for n in [*person.needles, "5321112233"] if n.encode() in certificate] == []
    acts = await owner.fetch("SELECT action, subject, detail FROM site_acts WHERE site_id = $1", site.id)
    assert [row["action"] for row in acts] == ["privacy.erase"]
    assert "532" not in str(acts[0]["subject"]).partition(" ")[0] and acts[0]["detail"] == {}


async def test_ten_an_hour_and_no_more(make_site: Any, make_keeper: Any, owner: Any) -> None:
    site = await make_site()
    keeper = make_keeper(site)
    for n in range(10):
        await keeper.erase(Subject(kind=Kind.VISITOR, value=f"nobody-{n}"))
    with pytest.raises(TooManyRequests):
        await keeper.erase(Subject(kind=Kind.VISITOR, value="nobody"))
    assert await rows_of(owner, "erasures", site.id) == 10


async def test_more_than_one_person_s_visits_are_refused(
    make_site: Any, make_keeper: Any, monkeypatch: Any, door: Any, item: Any
) -> None:
    site = await make_site()
    monkeypatch.setattr(erasure, "MOST_VISITS", 1)
    one, two = Person("a"), Person("a")
    two.vid = one.vid
    await visit(door, site, item, one)
    await visit(door, site, item, two)
    with pytest.raises(Unprocessable, match="2 visits belong to that"):
        await make_keeper(site).erase(Subject(kind=Kind.VISITOR, value=one.vid))


@pytest.mark.parametrize("role", ["operator", "analyst", None])
async def test_others_can_neither_find_nor_erase(
    make_site: Any, app_database: Any, owner: Any, role: str | None
) -> None:
    """The second wall: a transaction that sees the site, but whose role does not allow it."""
    site, stranger = await make_site(), await make_site()
    if role is not None:
        await owner.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)",
            site.id,
            stranger.user_id,
            role,
        )
    for statement, values in (
        ("SELECT find_person($1, 'visitor', 'x', NULL, false)", ()),
        ("SELECT person_sizes($1, '{}', '{}', '{}', '{}', '{}')", ()),
        ("SELECT begin_erasure($1, $2, 'visitor', sha256('x'), false, 'x', 'k', 10)", (uuid4(),)),
        ("SELECT note_privacy($1, $2, 'privacy.export', 'x', 10)", (uuid4(),)),
        ("SELECT erase_visits($1, $2, '2026-11-01', '{}')", (uuid4(),)),
        ("SELECT erase_rest($1, $2, '{}', '{}', '{}', '{}')", (uuid4(),)),
        ("SELECT erasure_row($1, $2)", (uuid4(),)),
        ("SELECT finish_erasure($1, $2, 'x')", (uuid4(),)),
        ("SELECT change_privacy($1, $2, 'legacy', false, 2)", (uuid4(),)),
        ("SELECT retention_preview($1, 2)", ()),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with app_database.as_person(stranger.user_id, write=True) as (connection, _):
                await connection.execute(statement, site.id, *values)


async def test_every_table_with_a_site_is_on_the_list(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'site_id'"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    )
    assert {row["name"] for row in rows} == set(ERASED) | set(NOBODYS), (
        "say how an erasure reaches it: privacy/registry.py"
    )
    assert not set(ERASED) & set(NOBODYS)


async def test_a_logged_traceback_quotes_no_value(owner: Any) -> None:
    """PostgreSQL puts what it cannot read into its errors, and the driver what it cannot send."""
    value = uuid4().hex
    try:
        try:
            await owner.execute("SELECT set_config('lock_timeout', $1, true)", value)
        except asyncpg.PostgresError as refused:
            assert value in str(refused)
            await owner.execute("SELECT $1::integer", value)
    except (asyncpg.DataError, ValueError) as refused:
        assert value in str(refused)
        said = logs.told(refused)
    assert value not in said and "DataError" in said and "InvalidParameterValueError 22023" in said, said


async def test_logs_hold_nothing_of_a_visitor(
    make_site: Any, item: Any, app_database: Any, capsys: Any, make_keeper: Any, monkeypatch: Any
) -> None:
    """Everything at its loudest: good events, a refused one, one that cannot be stored, one that breaks the door."""
    logs.configure("debug")
    door, stop = await serve(app_database, Settings(rate_limit_per_minute=0))
    try:
        site = await make_site()
        await door.collect.registry.refresh()
        person = Person("a")
        await visit(door, site, item, person, phone="0532 111 22 33", email=EMAIL)
        original = door.collect.pipeline.run

        def poison(event: Any) -> Any:
            if event.label == "bomb":
                raise ValueError("cannot be read")
            found = original(event)
            if isinstance(found, Event) and event.label == "poison":
                found.address = person.token  # no address: PostgreSQL quotes it
            return found

        monkeypatch.setattr(door.collect.pipeline, "run", poison)
        for label in ("poison", "bomb"):
            body = item(vid=person.vid, label=label, url=f"https://shop.example/{person.token}")
            await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **body})
        await make_keeper(site).erase(Subject(kind=Kind.VISITOR, value=person.vid))
    finally:
        await stop()
        monkeypatch.undo()
        logs.configure("info")
    said = "".join(capsys.readouterr())
    assert "ingest.unstorable" in said and "collect.failed" in said, said[-2000:]
    values = [*person.needles, "5321112233", "111 22 33", EMAIL, "127.0.0"]
    assert [value for value in values if value.lower() in said.lower()] == []
    assert json.dumps(said)  # it is text
