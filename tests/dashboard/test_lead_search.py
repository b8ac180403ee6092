"""What the search of leads finds is what the rows say: under random traffic, before the fold and after it; and it reads
no more than it has to, however many leads there are."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.clock import Range
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.cards.lead_search import Wanted, lead_count, lead_search, search_of
from opsmantik.dashboard.paging import Cursor
from opsmantik.db.connect import Database
from opsmantik.ingest.writer import Writer
from opsmantik.upkeep.folding import fold_all
from tests.counters.test_counters import BEGAN, history, write
from tests.counters.world import Traffic, site_of
from tests.plans import KINDS, readings


@pytest.mark.parametrize(
    ("text", "number"),
    [("0532 123 45 67", "5321234567"), ("+90 (532) 123-45-67", "905321234567"), ("0090532", "90532"), ("0532", "532"),
     ("532", "532"), ("05", None), ("12", None), ("vinç 532", None), ("2026", "2026"), ("", None)],
)  # fmt: skip
def test_a_number_is_found_however_it_is_written(text: str, number: str | None) -> None:
    assert search_of(text).get("number") == number


FOLDED = {
    "KIRALIK VİNÇ": "kiralik vinc", "kiralık vinç": "kiralik vinc", "Ümraniye Şişli": "umraniye sisli",
    "i\u0307stanbul": "istanbul", "ÇAĞRI": "cagri", "gün": "gun",
}  # fmt: skip


@pytest.mark.parametrize(("text", "folded"), FOLDED.items())
async def test_letters_that_people_mix_up_are_one(owner: Any, text: str, folded: str) -> None:
    assert await owner.fetchval("SELECT search_text($1)", text) == folded


# Truth.

SLOW = """
    SELECT c.id, c.created_at, c.confirmed_at, c.status, c.intent_action AS action, c.source AS captured_by,
        coalesce(s.is_paid, false) AS is_paid, c.click_id IS NOT NULL OR coalesce(s.has_click_id, false) AS click,
        coalesce(s.attribution_source, '') AS source, coalesce(s.channel, '') AS channel,
        coalesce(s.utm_campaign, '') AS campaign, coalesce(s.utm_term, '') AS keyword,
        coalesce(s.device_type, '') AS device,
        coalesce(split_part(split_part(s.entry_page, 'shop.example', 2), '?', 1), '') AS page,
        concat_ws(' ', c.phone_number, c.intent_target, c.note, s.utm_term, s.utm_campaign) AS text
    FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
        AND s.id = c.matched_session_id
    WHERE c.site_id = $1 AND c.merged_into IS NULL
"""
ASKED = {
    "all": (Wanted(), lambda r, z: True),
    "paid": (Wanted(paid=True), lambda r, z: r["is_paid"]),
    "waiting": (Wanted(statuses=("intent", "pending")), lambda r, z: r["status"] in ("intent", "pending")),
    "junk": (Wanted(statuses=("junk",)), lambda r, z: r["status"] == "junk"),
    "click": (Wanted(click=True), lambda r, z: r["click"]),
    "no click": (Wanted(click=False), lambda r, z: not r["click"]),
    "source": (Wanted(keys={"source": "Organic Social"}), lambda r, z: r["source"] == "Organic Social"),
    "no keyword": (Wanted(keys={"keyword": "-"}), lambda r, z: r["keyword"] == ""),
    "campaign": (Wanted(keys={"campaign": "vinc"}), lambda r, z: r["campaign"] == "vinc"),
    "device": (Wanted(keys={"device": "mobile"}), lambda r, z: r["device"] == "mobile"),
    "page": (Wanted(keys={"page": "/vinc"}), lambda r, z: r["page"] == "/vinc"),
    "action": (Wanted(keys={"action": "whatsapp"}), lambda r, z: r["action"] == "whatsapp"),
    "weekday": (Wanted(weekday=6), lambda r, z: r["created_at"].astimezone(z).isoweekday() == 6),
    "hour": (Wanted(hour=1), lambda r, z: r["created_at"].astimezone(z).hour == 1),
    "hour of the decision": (
        Wanted(hour=3, decided=True), lambda r, z: r["confirmed_at"] and r["confirmed_at"].astimezone(z).hour == 3,
    ),
    "range": (
        Wanted(over=Range(BEGAN + timedelta(days=1), BEGAN + timedelta(days=4))),
        lambda r, z: BEGAN + timedelta(days=1) <= r["created_at"] < BEGAN + timedelta(days=4),
    ),
    "words": (Wanted(search="KIRALIK vin"), lambda r, z: "kiralik" in r["text"] and "vin" in r["text"]),
    "number": (Wanted(search="0500 000"), lambda r, z: "500000" in r["text"]),
    "both": (
        Wanted(search="kir", statuses=("junk", "sealed"), click=True),
        lambda r, z: "kir" in r["text"] and r["status"] in ("junk", "sealed") and r["click"],
    ),
}  # fmt: skip


async def decide(owner: Any, site_id: UUID, chance: random.Random) -> None:
    """Through the door of decisions, as the owner: whoever works by themselves."""
    rows = await owner.fetch(
        "SELECT id, version, created_at FROM calls WHERE site_id = $1 AND merged_into IS NULL ORDER BY id",
        site_id,
    )
    for row in chance.sample(rows, len(rows) // 2):
        status = chance.choice(("sealed", "junk", "pending"))
        changes = {"status": status, "note": chance.choice((None, "kiralık, 0533 111 22 33", "%_'\\"))}
        changes["confirmed_at"] = None if status == "pending" else row["created_at"] + timedelta(hours=3)
        await owner.execute(
            "SELECT decide_intent($1, $2, $3, $4, 'rule', 'seal', NULL, NULL, $5, NULL)",
            site_id, row["id"], row["version"], uuid4(), changes,
        )  # fmt: skip


async def found_is_true(database: Database, owner: Any, member: UUID, site_id: UUID) -> None:
    rows = await owner.fetch(SLOW, site_id)
    async with database.as_person(member) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        assert site is not None
        zone = ZoneInfo(site.time_zone)
        for name, (wanted, holds) in ASKED.items():
            wanted_rows = [r for r in rows if holds(r, zone) and (not wanted.decided or r["confirmed_at"])]
            column = "confirmed_at" if wanted.decided else "created_at"
            expected = [
                r["id"] for r in sorted(wanted_rows, key=lambda r: (r[column], r["id"]), reverse=True)
            ]
            got: list[UUID] = []
            cursor = None
            while True:
                page = await lead_search(connection, site, wanted, limit=7, cursor=cursor)
                got += [item.id for item in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert got == expected, name
            assert await lead_count(connection, site, wanted) == len(expected), name
            assert await lead_count(connection, site, wanted, most=1) == (
                len(expected) if len(expected) < 2 else None
            )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_what_is_found_is_what_the_rows_say(
    app_database: Database, owner: Any, make_site: Any, seed: int
) -> None:
    """Duplicates, disorder, late ad clicks, merged taps, decisions, an erasure; folds anywhere in between."""
    zone = ("Europe/Istanbul", "Asia/Kathmandu", "Europe/Berlin")[seed]
    made = await make_site(time_zone=zone)
    site = site_of(made, zone)
    traffic = Traffic(site, seed)
    batches = traffic.batches(history(traffic, 40))
    for part in (batches[: len(batches) // 2], batches[len(batches) // 2 :]):
        await write(app_database, part, connections=3)
        await found_is_true(app_database, owner, made.user_id, site.id)
        await fold_all(app_database)
        await decide(owner, site.id, traffic.chance)
        await found_is_true(app_database, owner, made.user_id, site.id)
    await fold_all(app_database)
    await found_is_true(app_database, owner, made.user_id, site.id)
    assert await owner.fetch("SELECT lead_search_differences($1)", site.id) == []
    gone = await owner.fetchval("SELECT expire_calls($1, $2, 5)", site.id, BEGAN + timedelta(days=20))
    assert gone >= 5, "five leads, and the taps that repeat them"
    await found_is_true(app_database, owner, made.user_id, site.id)
    assert await owner.fetch("SELECT lead_search_differences($1)", site.id) == []


@pytest.mark.slow
async def test_writers_and_folds_at_once_leave_it_true(
    app_database: Database, owner: Any, make_site: Any
) -> None:
    made = await make_site()
    site = site_of(made)
    traffic = Traffic(site, 5, visitors=3)
    events = [e for _ in range(20) for e in traffic.visit(datetime.now(UTC) - timedelta(hours=2), live=True)]
    traffic.chance.shuffle(events)
    writers = [Writer(app_database, lambda *_: None, window_ms=0) for _ in range(3)]
    for writer in writers:
        await writer.start()
    done = asyncio.Event()

    async def fold() -> None:
        while not done.is_set():
            await fold_all(app_database)

    folding = asyncio.create_task(fold())
    for first in range(0, len(events), 9):
        await asyncio.gather(*(writers[n % 3].write([e]) for n, e in enumerate(events[first : first + 9])))
    done.set()
    await folding
    for writer in writers:
        await writer.stop()
    await found_is_true(app_database, owner, made.user_id, site.id)
    await fold_all(app_database)
    assert await owner.fetch("SELECT lead_search_differences($1)", site.id) == []
    # A row that is wrong is told of, and put right.
    await owner.execute("UPDATE lead_search SET keyword = 'wrong', words = '' WHERE site_id = $1", site.id)
    wrong = await owner.fetch("SELECT lead_search_differences($1)", site.id)
    assert (
        len(wrong) == await owner.fetchval("SELECT count(*) FROM lead_search WHERE site_id = $1", site.id) > 0
    )
    assert await owner.fetchval("SELECT gather_leads($1)", site.id) == len(wrong)
    assert await owner.fetchval("SELECT gather_leads($1)", site.id) == 0
    await found_is_true(app_database, owner, made.user_id, site.id)


async def test_a_site_is_read_by_whoever_may_and_by_nobody_else(
    app_database: Database, owner: Any, make_site: Any
) -> None:
    mine, other = await make_site(), await make_site()
    statement = (
        "SELECT * FROM search_leads($1, '{}', false, 'UTC', '-infinity', 'infinity', 'infinity', $2, 5)"
    )
    async with app_database.as_person(mine.user_id) as (connection, _):
        assert await connection.fetch(statement, mine.id, uuid4()) == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(statement, other.id, uuid4())
    async with app_database.as_sites([other.id]) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval(
                "SELECT count_leads($1, '{}', false, 'UTC', '-infinity', 'infinity', 5)", other.id
            )


# What it reads.

LEADS = 60_000
OTHERS = 20_000  # enough to show wherever they are read, too
LAY = """
    INSERT INTO lead_search (site_id, call_id, created_at, decided_at, status, action, captured_by, is_paid,
        has_click_id, source, channel, campaign, keyword, matchtype, place, device, page, words)
    SELECT $1, gen_random_uuid(), at, CASE WHEN n % 400 > 0 THEN at + interval '1 h' END,
        CASE WHEN n % 400 = 0 THEN 'intent' WHEN n % 3 = 0 THEN 'junk' ELSE 'sealed' END, 'phone', 'click',
        n % 2 = 0, n % 2 = 0,
        'Organic', 'organic_search', CASE WHEN n < 25000 THEN 'old' ELSE 'k' || n % 20 END, 'keyword ' || n % 500, 'e',
        'City/' || n % 30, 'mobile', '/p' || n % 10,
        'tel:+90532' || lpad((n * 7919 % 10000000)::text, 7, '0') || ' keyword vinc' || n % 500
    FROM (SELECT n, now() - interval '600 days' + n * interval '14 min' AS at FROM generate_series(1, $2::bigint) n) x
"""


class Laid(NamedTuple):
    member: UUID
    site_id: UUID


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def laid(database: Any, owner: Any) -> Laid:
    """Many leads of one site, and a third as many of another one's, as far as the search knows of them."""
    member, sites = uuid4(), [uuid4(), uuid4()]
    admin = await asyncpg.connect(database.admin)
    try:
        await admin.execute("SET session_replication_role = replica")
        await admin.execute(
            "INSERT INTO users (id, email) VALUES ($1, $2)", member, f"{member.hex}@example.com"
        )
        await admin.execute("INSERT INTO profiles (id) VALUES ($1)", member)
        for site_id, leads in zip(sites, (LEADS, OTHERS), strict=True):
            await admin.execute(
                "INSERT INTO sites (id, user_id, public_id, name, domain) VALUES ($1, $2, $3, 'Shop', 'shop.example')",
                site_id, member, site_id.hex,
            )  # fmt: skip
            await admin.execute(LAY, site_id, leads)
        await admin.execute("VACUUM ANALYZE lead_search")
    finally:
        await admin.close()
    return Laid(member, sites[0])


# What is asked, how many are on the page, how many there are, and how many buffers the page and the count may read.
PLANS: dict[str, tuple[Wanted, int, int | None, int, int]] = {
    "all": (Wanted(), 50, None, 200, 1200),
    "the half that is paid": (Wanted(paid=True), 50, 30_000, 250, 4500),
    "few that wait": (Wanted(statuses=("intent", "pending")), 50, 150, 3000, 1400),
    "a campaign": (Wanted(keys={"campaign": "k7"}), 50, 1750, 2500, 3500),
    "one that is over, of many leads": (Wanted(keys={"campaign": "old"}), 50, 24_999, 8500, 4500),
    "a keyword": (Wanted(keys={"keyword": "keyword 77"}), 50, 120, 3000, 1400),
    "a place of a campaign": (Wanted(keys={"campaign": "k7", "place": "City/17"}), 50, None, 3000, 2000),
    "a keyword that there is not": (Wanted(keys={"keyword": "none"}), 0, 0, 600, 600),
    "a number": (Wanted(search="0532 006 33 52"), 1, 1, 600, 600),
    "what is nowhere": (Wanted(search="zzzzzz"), 0, 0, 600, 600),
    "a word of many": (Wanted(search="vinc"), 50, None, 250, 4500),
    "a word of few": (Wanted(search="vinc499"), 50, 120, 3000, 1400),
    "a word's beginning of none": (Wanted(search="qx"), 0, 0, 600, 600),
    "by the decision": (Wanted(decided=True, statuses=("junk",)), 50, 19_950, 300, 4500),
    "an hour of the week": (Wanted(weekday=3, hour=14), 50, None, 3500, 2500),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "rows", "count", "page_reads", "count_reads"), PLANS.values(), ids=PLANS.keys()
)
async def test_a_page_and_a_count_read_what_they_need(
    app_database: Database,
    laid: Laid,
    wanted: Wanted,
    rows: int,
    count: int | None,
    page_reads: int,
    count_reads: int,
) -> None:
    async with app_database.as_person(laid.member) as (connection, person):
        site = await asked_site(connection, person, str(laid.site_id))
        assert site is not None
        asked = arguments(site, wanted)
        for kind in KINDS:
            page = (await readings(connection, PAGE, *asked, *END, 50))[kind]
            counted = (await readings(connection, COUNT, *asked, 50_000))[kind]
            assert page.plan["Actual Rows"] == rows, kind
            assert page.buffers <= page_reads and counted.buffers <= count_reads, (
                kind,
                page.buffers,
                counted.buffers,
            )
        if count is not None:
            assert await lead_count(connection, site, wanted) == count
        deep = Cursor(datetime.now(UTC) - timedelta(days=500), UUID(int=0))
        read = (await readings(connection, PAGE, *asked, deep.at, deep.id, 50))["custom"]
        assert read.buffers <= 9000, "deep down it is no dearer"


OVER = "coalesce($5::timestamptz, '-infinity'), coalesce($6::timestamptz, 'infinity')"
PAGE = f"SELECT * FROM search_leads($1, $2, $3, $4, {OVER}, $7, $8, $9)"
COUNT = f"SELECT count_leads($1, $2, $3, $4, {OVER}, $7)"
END = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


def arguments(site: AskedSite, wanted: Wanted) -> tuple[Any, ...]:
    """As constants of a statement: the wanted as its JSON."""
    import msgspec

    from opsmantik.dashboard.cards import lead_search as card

    asked, *rest = card._asked(site, wanted)
    return site.id, msgspec.json.encode(asked).decode(), *rest
