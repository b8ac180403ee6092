"""Every figure equals what its rows add up to, counted by statements that know nothing of counters.

The world is random and lies where days are odd: around the night on which Berlin's clocks go back and the end of the
month, with events that come days after their visit, leads without one, repeated taps, and decisions days later. Some
of it waits in the journal, so both halves of every figure are looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from opsmantik.clock import Period, period
from opsmantik.dashboard.cards.breakdown import DIMENSIONS, breakdown
from opsmantik.dashboard.cards.command_centre import Figures, command_centre
from opsmantik.dashboard.cards.timeline import timeline
from opsmantik.dashboard.cards.watchdog import watchdog
from opsmantik.db.connect import Database
from tests.dashboard.world import Asker, insert, new_site

pytestmark = pytest.mark.slow

ZONE = "Europe/Berlin"
BEGAN, DAYS = datetime(2026, 10, 22, 12, tzinfo=UTC), 12
VISITS = 500
CPC = Decimal("2.75")
MINUTE = timedelta(minutes=1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asker(app_database: Database, owner: Any) -> Asker:
    user, site = await new_site(owner, time_zone=ZONE, assumed_cpc=CPC)
    await lay(owner, site, random.Random(20261122))
    return Asker(app_database, user, site, ZONE)


async def lay(owner: Any, site: UUID, chance: random.Random) -> None:
    for month in (10, 11, 12):
        await owner.execute("SELECT make_month($1)", datetime(2026, month, 1).date())
    sessions = [visit(site, chance) for _ in range(VISITS)]
    keys = [{name: row[name] for name in ("site_id", "id", "created_month")} for row in sessions]
    events = [happening(row, chance) for row in sessions for _ in range(chance.randrange(5))]
    leads = [lead(site, chance.choice([*sessions, None]), chance) for _ in range(VISITS // 3)]
    for tap in chance.sample(leads, 20):
        others = [x for x in leads if x is not tap and x["merged_into"] is None]
        if all(x["merged_into"] != tap["id"] for x in leads):
            tap["merged_into"] = chance.choice(others)["id"]
    async with owner.transaction():
        await insert(owner, "session_keys", *keys)
        await insert(owner, "sessions", *sessions)
        await insert(owner, "events", *events)
        await insert(owner, "calls", *sorted(leads, key=lambda row: row["merged_into"] is not None))
        await insert(owner, "conversions", *(conversion(row, chance) for row in chance.sample(leads, 60)))
    await owner.execute("SELECT rebuild_counters($1)", site)
    for row in chance.sample([x for x in leads if x["merged_into"] is None], 30):
        await decide(owner, site, row["id"], chance.choice(("sealed", "junk", "conversion", "pending")))


def moment(chance: random.Random) -> datetime:
    return BEGAN + timedelta(seconds=chance.randrange(DAYS * 86_400))


def visit(site: UUID, chance: random.Random) -> dict[str, Any]:
    at, paid = moment(chance), chance.random() < 0.4
    return {
        "site_id": site, "created_month": at.date().replace(day=1), "id": uuid4(), "created_at": at, "started_at": at,
        "last_event_at": at, "first_key": 1, "exit_key": 1, "source_key": 1, "attribution": {}, "is_paid": paid,
        "attribution_source": chance.choice(("Paid (UTM)", "Paid Social") if paid else ("Organic", "Direct", "Referral")),
        "channel": chance.choice(("paid_search", "paid_social", "organic_search", "direct")),
        "has_click_id": paid and chance.random() < 0.5, "device_type": chance.choice(("mobile", "desktop", None)),
        "city": chance.choice(("Berlin", "Köln", "Bonn", None)), "district": chance.choice(("Mitte", "Süd", None)),
        "utm_campaign": chance.choice(("spring", "autumn", None)), "utm_term": chance.choice((*"abcdefgh", None, None)),
        "matchtype": chance.choice(("e", "p", None)), "max_scroll_percentage": chance.randrange(101),
        "entry_page": chance.choice(("https://a.example", "https://a.example/x?y=1#z", "https://a.example/b/c", None)),
        "fingerprint": chance.choice([*(f"v{n}" for n in range(60)), None]),
    }  # fmt: skip


def happening(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    at = row["created_at"] + chance.choice((MINUTE, 40 * MINUTE, timedelta(days=2))) * chance.random()
    category, action = chance.choice((
        ("interaction", "view"), ("conversion", "form_submit"), ("conversion", "phone_call"), ("interaction", "whatsapp"),
        ("interaction", "form_submit"),
    ))  # fmt: skip
    return {
        "site_id": row["site_id"], "session_month": row["created_month"], "id": uuid4(), "session_id": row["id"],
        "created_at": at, "occurred_at": at, "event_category": category, "event_action": action,
    }  # fmt: skip


def lead(site: UUID, row: dict[str, Any] | None, chance: random.Random) -> dict[str, Any]:
    at = (row["created_at"] if row else moment(chance)) + chance.random() * 30 * MINUTE
    status = chance.choice(("intent", "pending", "sealed", "junk", "suspicious", "conversion"))
    waits = status in ("intent", "pending")
    source = chance.choice(("click", "click", "click", "form", "api"))
    return {
        "site_id": site, "id": uuid4(), "created_at": at, "occurred_at": at, "updated_at": at, "status": status,
        "source": source, "intent_stamp": uuid4().hex, "intent_target": "tel:1",
        "intent_action": "form" if source == "form" else chance.choice(("phone", "whatsapp")),
        "matched_session_id": row and row["id"], "matched_session_month": row and row["created_month"],
        "click_id": (g := chance.choice(("g", None))), "click_id_kind": g and "gclid",
        "confirmed_at": None if waits else at + chance.random() * timedelta(days=3),
        "is_automatic": not waits and chance.random() < 0.3,
        "sale_amount": chance.choice((None, Decimal("99.90"), Decimal(1000))),
        "currency": chance.choice(("TRY", "TRY", "EUR")), "merged_into": None,
    }  # fmt: skip


def conversion(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {
        "site_id": row["site_id"], "id": uuid4(), "call_id": row["id"], "order_id": uuid4().hex, "reason": "because",
        "state": chance.choice(("held", "queued", "sent", "accepted", "matched", "failed", "retracted", "skipped")),
        "due_at": row["created_at"], "occurred_at": row["created_at"], "currency": "TRY",
        "consent": "granted", "consent_at": row["created_at"],
    }  # fmt: skip


async def decide(owner: Any, site: UUID, lead_id: UUID, status: str) -> None:
    """A decision that waits in the journal."""
    async with owner.transaction():
        before = await owner.fetchval("SELECT call_entries($1, ARRAY[$2::uuid], -1)::text", site, lead_id)
        await owner.execute(
            "UPDATE calls SET status = $3, is_automatic = false,"
            " confirmed_at = CASE WHEN $3 <> 'pending' THEN created_at + interval '5 hours' END"
            " WHERE site_id = $1 AND id = $2",
            site, lead_id, status,
        )  # fmt: skip
        await owner.execute(
            "INSERT INTO counter_journal (site_id, entries, changed_at)"
            " VALUES ($1, $3::text::counter_entry[] || call_entries($1, ARRAY[$2::uuid], 1), now())",
            site, lead_id, before,
        )  # fmt: skip


# Where rows are counted: site $1, [$2, $3), only ads $4.
VISITS_OF = "FROM sessions s WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3 AND (s.is_paid OR NOT $4)"
EVENTS_OF = (
    "FROM events e JOIN sessions s ON s.site_id = e.site_id AND s.id = e.session_id"
    " WHERE e.site_id = $1 AND e.created_at >= $2 AND e.created_at < $3 AND (s.is_paid OR NOT $4)"
)
LEADS_OF = (
    "FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.id = c.matched_session_id"
    " WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.merged_into IS NULL"
    " AND (coalesce(s.is_paid, false) OR NOT $4)"
)
DECIDED_OF = LEADS_OF.replace("c.created_at", "c.confirmed_at")
CLICKED = "(c.click_id IS NOT NULL OR coalesce(s.has_click_id, false))"
SEALED = "c.status IN ('sealed', 'conversion')"
MONEY = f"coalesce(sum(c.sale_amount) FILTER (WHERE {SEALED} AND c.currency = 'TRY'), 0)"
COUNTED = {
    "sessions": f"SELECT count(*) {VISITS_OF}",
    "paid_sessions": f"SELECT count(*) {VISITS_OF} AND s.is_paid",
    "sessions_with_click_id": f"SELECT count(*) {VISITS_OF} AND s.has_click_id",
    "visitors": f"SELECT count(DISTINCT (s.fingerprint, (s.created_at AT TIME ZONE '{ZONE}')::date)) {VISITS_OF}"
    " AND s.fingerprint IS NOT NULL",
    "events": f"SELECT count(*) {EVENTS_OF}",
    "conversion_events": f"SELECT count(*) {EVENTS_OF} AND e.event_category = 'conversion'",
    "forms": f"SELECT count(*) {EVENTS_OF} AND e.event_category = 'conversion' AND e.event_action = 'form_submit'",
    "leads": f"SELECT count(*) {LEADS_OF}",
    "leads_with_click_id": f"SELECT count(*) {LEADS_OF} AND {CLICKED}",
    "phone_leads": f"SELECT count(*) {LEADS_OF} AND c.intent_action = 'phone'",
    "whatsapp_leads": f"SELECT count(*) {LEADS_OF} AND c.intent_action = 'whatsapp'",
    "form_leads": f"SELECT count(*) {LEADS_OF} AND c.intent_action = 'form'",
    "waiting": f"SELECT count(*) {LEADS_OF} AND c.status IN ('intent', 'pending')",
    "sealed": f"SELECT count(*) {LEADS_OF} AND {SEALED}",
    "junk": f"SELECT count(*) {LEADS_OF} AND c.status = 'junk'",
    "suspicious": f"SELECT count(*) {LEADS_OF} AND c.status = 'suspicious'",
    "auto_approved": f"SELECT count(*) {LEADS_OF.replace('NOT $4', 'true OR $4')} AND {SEALED} AND c.is_automatic",
    "sealed_amount": f"SELECT {MONEY} {LEADS_OF}",
    "budget_saved": f"SELECT round(count(*) * {CPC}, 2) {LEADS_OF} AND c.status = 'junk'",
    "mean_scroll": f"SELECT round(avg(s.max_scroll_percentage), 1) {LEADS_OF}",
}
DECIDED = {
    "leads": f"SELECT count(*) {DECIDED_OF}",
    "sealed": f"SELECT count(*) {DECIDED_OF} AND {SEALED}",
    "junk": f"SELECT count(*) {DECIDED_OF} AND c.status = 'junk'",
    "suspicious": f"SELECT count(*) {DECIDED_OF} AND c.status = 'suspicious'",
    "automatic": f"SELECT count(*) {DECIDED_OF} AND c.is_automatic",
    "sealed_amount": f"SELECT {MONEY} {DECIDED_OF}",
    "response_seconds": "SELECT round(avg(extract(epoch FROM c.confirmed_at - c.created_at)::bigint))"
    f" {DECIDED_OF} AND NOT c.is_automatic",
}
LEDGER = (
    "SELECT v.state, count(*) FROM conversions v JOIN calls c ON c.id = v.call_id WHERE v.site_id = $1"
    + (" AND c.created_at >= $2 AND c.created_at < $3 AND c.merged_into IS NULL GROUP BY 1")
)

RANGES = {
    "one day": ("2026-10-24", "2026-10-25"),
    "the day of 25 hours": ("2026-10-25", "2026-10-26"),
    "all of it": ("2026-10-22", "2026-11-04"),
    "the days around the end of the month": ("2026-10-31", "2026-11-02"),
    "parts of the first and the last day": ("2026-10-23T13:17:05+02:00", "2026-11-01T08:41:00+01:00"),
    "the last day a part": ("2026-10-28", "2026-10-30T23:59:59.5+01:00"),
    "the hour that comes twice": ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
    "over midnight and the end of the month": ("2026-10-31T20:00:00+01:00", "2026-11-01T04:00:00+01:00"),
    "within a day": ("2026-10-26T09:00:00+01:00", "2026-10-26T21:00:00+01:00"),
}


def over(name: str) -> Period:
    start, end = RANGES[name]
    now = datetime(2026, 12, 1, tzinfo=UTC)
    days = [x if "T" in x else period(ZONE, now, day=x).over.start.isoformat() for x in (start, end)]
    return period(ZONE, now, start=days[0], end=days[1])


@pytest.mark.parametrize("ads_only", [False, True], ids=["all traffic", "ads"])
@pytest.mark.parametrize("name", RANGES)
async def test_the_command_centre_equals_the_rows(
    asker: Asker, owner: Any, name: str, ads_only: bool
) -> None:
    asked = over(name)
    within = (asker.site_id, *asked.over)
    figures: Figures = (await asker.ask(command_centre, asked, ads_only=ads_only)).figures
    for figure, sql in COUNTED.items():
        expected = await owner.fetchval(sql, *within, ads_only)
        assert getattr(figures, figure) == expected, figure
    for figure, sql in DECIDED.items():
        assert getattr(figures.decided, figure) == await owner.fetchval(sql, *within, ads_only), figure
    assert figures.conversion_rate == quotient(figures.sealed, figures.sessions)
    others = await owner.fetch(
        f"SELECT c.currency, sum(c.sale_amount), count(*) {LEADS_OF} AND {SEALED} AND c.sale_amount IS NOT NULL"
        " AND c.currency <> 'TRY' GROUP BY 1",
        *within, ads_only,
    )  # fmt: skip
    assert [(x.currency, x.amount, x.leads) for x in figures.other_amounts] == [tuple(row) for row in others]
    states = dict(await owner.fetch(LEDGER, *within))
    assert {state: getattr(figures.ledger, state) for state in states} == states
    assert figures.ledger.uploaded == states.get("accepted", 0) + states.get("matched", 0)
    assert figures.ledger.matchable == await owner.fetchval(
        f"SELECT count(*) {LEADS_OF} AND {SEALED} AND {CLICKED}", *within, False
    )


def quotient(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(Decimal("0.0001"), ROUND_HALF_UP) if whole else None


@pytest.mark.parametrize("ads_only", [False, True], ids=["all traffic", "ads"])
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("all of it", "day"), ("all of it", "week"), ("parts of the first and the last day", "day"),
        ("parts of the first and the last day", "week"), ("the day of 25 hours", "hour"),
        ("the days around the end of the month", "hour"), ("over midnight and the end of the month", "hour"),
    ],
)  # fmt: skip
async def test_every_bucket_equals_the_rows(
    asker: Asker, owner: Any, name: str, step: str, ads_only: bool
) -> None:
    asked = over(name)
    found = await asker.ask(timeline, asked, ads_only=ads_only, granularity=step)
    figures = ("sessions", "visitors", "events", "conversion_events", "leads", "leads_with_click_id", "waiting", "sealed",
               "junk", "sealed_amount")  # fmt: skip
    for bucket in found.buckets:
        within = asker.site_id, max(bucket.start, asked.over.start), min(bucket.end, asked.over.end), ads_only
        assert {f: getattr(bucket, f) for f in figures} == {
            f: await owner.fetchval(COUNTED[f], *within) for f in figures
        }, bucket.start
        if step != "hour":
            assert {f: getattr(bucket.decided, f) for f in ("sealed", "junk", "sealed_amount", "response_seconds")} == {
                f: await owner.fetchval(DECIDED[f], *within)
                for f in ("sealed", "junk", "sealed_amount", "response_seconds")
            }  # fmt: skip
    starts = [bucket.start for bucket in found.buckets]
    assert starts[1:] == [bucket.end for bucket in found.buckets][:-1]  # they touch, and miss nothing
    assert starts[0] <= asked.over.start and found.buckets[-1].end >= asked.over.end
    if name == "the day of 25 hours":
        assert len(found.buckets) == 25


def page(url: str | None) -> str | None:
    return url and (urlsplit(url).path or "/")


def place(row: Any) -> str | None:
    return f"{row['city'] or ''}/{row['district'] or ''}" if row["city"] or row["district"] else None


VALUES: dict[str, Callable[[Any], str | None]] = {
    "source": lambda row: row["attribution_source"],
    "channel": lambda row: row["channel"],
    "device": lambda row: row["device_type"],
    "city": lambda row: row["city"],
    "place": place,
    "campaign": lambda row: row["utm_campaign"],
    "keyword": lambda row: row["utm_term"],
    "matchtype": lambda row: row["matchtype"],
    "page": lambda row: page(row["entry_page"]),
    "hour": lambda row: row["hour"],
}
OF_THE_VISIT = (
    "s.attribution_source, s.channel, s.device_type, s.city, s.district, s.utm_campaign, s.utm_term, s.matchtype,"
    " s.entry_page"
)


@pytest.mark.parametrize("ads_only", [False, True], ids=["all traffic", "ads"])
@pytest.mark.parametrize("name", ["all of it", "parts of the first and the last day", "within a day"])
async def test_every_breakdown_equals_the_rows(asker: Asker, owner: Any, name: str, ads_only: bool) -> None:
    asked = over(name)
    within = asker.site_id, *asked.over, ads_only
    hour = f"to_char(%s.created_at AT TIME ZONE '{ZONE}', 'ID HH24') AS hour"
    visits = await owner.fetch(
        f"SELECT {OF_THE_VISIT}, {hour % 's'}, s.is_paid, s.has_click_id {VISITS_OF}", *within
    )
    leads = await owner.fetch(
        f"SELECT {OF_THE_VISIT}, {hour % 'c'}, {CLICKED} AS clicked, {SEALED} AS sealed, c.status,"
        f" CASE WHEN {SEALED} AND c.currency = 'TRY' THEN c.sale_amount END AS amount {LEADS_OF}",
        *within,
    )
    found = await asker.ask(breakdown, asked, ads_only=ads_only, dimension=DIMENSIONS, limit=None)
    for part in found.dimensions:
        expected: dict[str | None, list[Any]] = {}
        value = VALUES[part.dimension]
        for row in visits:
            of = expected.setdefault(value(row), [0, 0, 0, 0, 0, 0, 0, 0])
            of[0], of[1], of[2] = of[0] + 1, of[1] + row["is_paid"], of[2] + row["has_click_id"]
        for row in leads:
            of = expected.setdefault(value(row), [0, 0, 0, 0, 0, 0, 0, 0])
            more = (1, row["clicked"], row["sealed"], row["status"] == "junk", row["amount"] or 0)
            of[3:] = [old + new for old, new in zip(of[3:], more, strict=True)]
        assert {
            row.value: [
                row.sessions, row.paid_sessions, row.sessions_with_click_id, row.leads, row.leads_with_click_id,
                row.sealed, row.junk, row.sealed_amount,
            ]
            for row in part.rows
        } == expected, part.dimension  # fmt: skip
        assert all(row.share == quotient(row.sessions, len(visits)) for row in part.rows)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_rows_and_rest_are_the_whole_whatever_the_limit(asker: Asker, limit: int) -> None:
    asked = over("all of it")
    found = await asker.ask(breakdown, asked, dimension=DIMENSIONS, limit=limit)
    whole = await asker.ask(breakdown, asked, dimension=DIMENSIONS, limit=None)
    for part, all_of_it in zip(found.dimensions, whole.dimensions, strict=True):
        cut = len(all_of_it.rows) if part.dimension == "hour" else limit
        assert part.rows == all_of_it.rows[:cut]
        assert (part.rest.values if part.rest else 0) == len(all_of_it.rows[cut:])
        rows = [*part.rows, *([part.rest] if part.rest else [])]
        for measure in ("sessions", "leads", "sealed", "junk", "sealed_amount"):
            assert sum(getattr(row, measure) for row in rows) == getattr(found.total, measure)


@pytest.mark.parametrize("ads_only", [False, True], ids=["all traffic", "ads"])
@pytest.mark.parametrize("name", RANGES)
async def test_the_watchdog_equals_the_rows(asker: Asker, owner: Any, name: str, ads_only: bool) -> None:
    asked = over(name)
    within = asker.site_id, *asked.over, ads_only
    found = await asker.ask(watchdog, asked, ads_only=ads_only)
    assert found.tap_events == await owner.fetchval(
        f"SELECT count(*) {EVENTS_OF} AND s.created_at >= $2 AND s.created_at < $3"
        " AND e.event_action IN ('phone_call', 'whatsapp')",
        *within,
    )
    made = (
        "FROM calls c LEFT JOIN sessions s ON s.id = c.matched_session_id AND s.is_paid AND s.created_at >= $2"
        " AND s.created_at < $3 WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.source = 'click'"
        " AND (s.id IS NOT NULL OR NOT $4)"
    )
    assert found.tap_intents == await owner.fetchval(f"SELECT count(*) {made}", *within)
    assert found.waiting_intents == await owner.fetchval(
        f"SELECT count(*) {made} AND c.status IN ('intent', 'pending') AND c.merged_into IS NULL", *within
    )
