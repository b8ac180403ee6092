"""What the contracts that answer rows really read: the partitions of their range, and as much as their page needs.

Each contract is asked as the doors ask it, as a member under row security, and every statement that it runs is run
again by a custom and by a generic plan. Half a year of one site among others: reading more than the page would show.
"""

# ruff: noqa: E501 - a row a line

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik import clock
from opsmantik.clock import Period, month_bounds
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.cards.activity import activity
from opsmantik.dashboard.cards.intent import intent
from opsmantik.dashboard.cards.lead_list import lead_list
from opsmantik.dashboard.cards.live_visits import live_visits
from opsmantik.dashboard.cards.newest_sessions import newest_sessions
from opsmantik.dashboard.cards.recent_intents import recent_intents
from opsmantik.dashboard.cards.session_details import session_details
from opsmantik.dashboard.cards.session_timeline import session_timeline
from opsmantik.dashboard.cards.site_status import site_status
from opsmantik.dashboard.cards.visitor_sessions import visitor_sessions
from opsmantik.dashboard.cards.waiting_leads import waiting_leads
from opsmantik.dashboard.paging import Cursor
from opsmantik.db.connect import Database
from tests.plans import KINDS, readings

pytestmark = pytest.mark.slow

MONTHS = [date(2030, 11, 1), date(2030, 12, 1)] + [date(2031, month, 1) for month in range(1, 9)]
SESSIONS = 24_000  # over the first half of the year, 40 % of them the site's
FILL = """
    INSERT INTO session_keys (site_id, id, created_month)
    SELECT site, id, date_trunc('month', at AT TIME ZONE 'UTC')::date FROM laid;
    INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key,
        source_key, attribution_source, channel, is_paid, attribution, has_click_id, gclid, utm_term, entry_page,
        fingerprint)
    SELECT site, date_trunc('month', at AT TIME ZONE 'UTC')::date, id, at, at, at, 1, 1, 1, 'First Click (Paid)',
        'paid_search', n % 3 > 0, '{}', n % 3 > 0, 'Cj0KCQiA' || n, 'kiralık vinç', 'https://shop.example/p' || n % 50,
        'v' || n % 6000 FROM laid;
    INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action, url)
    SELECT site, date_trunc('month', at AT TIME ZONE 'UTC')::date, gen_random_uuid(), id, at + k * interval '1 s',
        at + k * interval '1 s', CASE WHEN k = 1 AND n % 10 = 0 THEN 'conversion' ELSE 'interaction' END, 'view',
        'https://shop.example/p' || n % 50 FROM laid, generate_series(1, 3) k;
    INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, status, matched_session_id, matched_session_month,
        intent_stamp, intent_action, intent_target, currency)
    SELECT site, gen_random_uuid(), at + interval '5 s', at, at,
        CASE WHEN n % 400 = 0 THEN 'intent' WHEN n % 7 = 0 THEN 'junk' ELSE 'sealed' END, id,
        date_trunc('month', at AT TIME ZONE 'UTC')::date, n::text, 'phone', 'tel:1', 'TRY' FROM laid WHERE n % 4 = 0;
    INSERT INTO conversions (site_id, id, call_id, order_id, state, due_at, occurred_at, currency, consent, consent_at)
    SELECT site_id, gen_random_uuid(), id, id::text, 'queued', created_at, created_at, 'TRY', 'granted', created_at
    FROM calls WHERE status = 'sealed';
    INSERT INTO intent_actions (site_id, id, call_id, at, actor_kind, action, from_status, to_status, version, before)
    SELECT site_id, gen_random_uuid(), id, created_at + k * interval '1 min', 'person', CASE k WHEN 1 THEN 'seal' ELSE 'note' END,
        'intent', status, k + 1, '{"status": "intent", "note": null}' FROM calls, generate_series(1, 2) k WHERE status = 'sealed';
    INSERT INTO site_pulse (site_id, sequence, changed_at, counted_at, last_event_at)
    SELECT site, 1, now(), now(), max(at) FROM laid GROUP BY site;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def laid(database: Any, owner: Any) -> tuple[UUID, UUID]:
    """The site and somebody who may look at it, among five others."""
    user, member, sites = uuid4(), uuid4(), [uuid4() for _ in range(5)]
    for month in MONTHS:
        await owner.execute("SELECT make_month($1)", month)
    admin = await asyncpg.connect(database.admin)
    try:
        await admin.execute("SET session_replication_role = replica")  # what the keys would check is so
        for person in (user, member):
            await admin.execute(
                "INSERT INTO users (id, email) VALUES ($1, $2)", person, f"{person.hex}@example.com"
            )
            await admin.execute("INSERT INTO profiles (id) VALUES ($1)", person)
        await admin.execute(
            "INSERT INTO sites (id, user_id, public_id, name, domain) SELECT s, $1, replace(s::text, '-', ''), 'Shop',"
            " 'shop.example' FROM unnest($2::uuid[]) s",
            user,
            sites,
        )
        await admin.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'analyst')", sites[0], member
        )
        await admin.execute(
            "CREATE TEMP TABLE laid AS SELECT n, ($1::uuid[])[CASE WHEN n % 10 < 4 THEN 1 ELSE 2 + n % 4 END] AS site,"
            " gen_random_uuid() AS id, timestamptz '2031-01-01' + n * interval '650 s' AS at"
            f" FROM generate_series(1, {SESSIONS}) n",
            sites,
        )
        await admin.execute(FILL)
        await admin.execute("ANALYZE")
    finally:
        await admin.close()
    return sites[0], member


class Recorder:
    """A connection that remembers what was asked of it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._connection, name)

        async def record(sql: str, *arguments: Any) -> Any:
            self.asked.append((sql, arguments))
            return await method(sql, *arguments)

        return record


def of(start: date, end: date) -> Period:
    return clock.first_generation_period(
        "Europe/Istanbul", f"{start}T00:00:00+03:00", f"{end}T00:00:00+03:00"
    )


HALF = of(date(2031, 1, 1), date(2031, 7, 1))
MARCH = of(date(2031, 3, 5), date(2031, 4, 1))
DAY = of(date(2031, 5, 20), date(2031, 5, 21))
LATER = datetime(2031, 6, 30, 11, tzinfo=UTC)  # just before the last of the visits
WEEK = of(date(2031, 6, 23), date(2031, 7, 2))
MIDDLE = Cursor(datetime(2031, 4, 1, tzinfo=UTC), UUID(int=0))
Ask = Callable[[Any, AskedSite, dict[str, Any]], Any]

# What is asked, the range that it is about, and how many buffers all of its statements may read.
CASES: dict[str, tuple[Ask, Period | None, int]] = {
    "leads of half a year": (lambda c, s, _: recent_intents(c, s, HALF), HALF, 900),
    "leads of a day": (lambda c, s, _: recent_intents(c, s, DAY), DAY, 900),
    "leads of paid visits": (lambda c, s, _: recent_intents(c, s, HALF, ads_only=True), HALF, 1200),
    "leads that wait, few among many": (
        lambda c, s, _: recent_intents(c, s, HALF, status=["intent", "pending"]), HALF, 900,
    ),
    "leads that wait, of paid visits": (
        lambda c, s, _: recent_intents(c, s, HALF, status=["intent", "pending"], ads_only=True), HALF, 1200,
    ),
    "leads, a page further on": (lambda c, s, _: recent_intents(c, s, HALF, cursor=MIDDLE), HALF, 900),
    "leads and conversions": (lambda c, s, _: lead_list(c, s, MARCH), MARCH, 600),
    "leads and conversions of half a year": (lambda c, s, _: lead_list(c, s, HALF), HALF, 600),
    "leads and conversions, a page further on": (lambda c, s, _: lead_list(c, s, HALF, cursor=MIDDLE), HALF, 700),
    "visits": (lambda c, s, _: newest_sessions(c, s, MARCH), MARCH, 600),
    "visits of half a year": (lambda c, s, _: newest_sessions(c, s, HALF, ads_only=True), HALF, 700),
    "visits, a page further on": (lambda c, s, _: newest_sessions(c, s, HALF, cursor=MIDDLE), HALF, 600),
    "visits narrowed down": (lambda c, s, _: newest_sessions(c, s, MARCH, page="/p7", click="yes", hour=9), MARCH, 500),
    "visits that there are none of": (lambda c, s, _: newest_sessions(c, s, MARCH, campaign="none"), MARCH, 500),
    "who is on the site": (lambda c, s, _: live_visits(c, s, LATER), WEEK, 300),
    "one lead": (lambda c, s, ids: intent(c, s, intent_id=ids["lead"]), MARCH, 80),
    "what was done in half a year": (lambda c, s, _: activity(c, s, HALF), HALF, 4300),
    "what can be undone": (lambda c, s, _: activity(c, s, MARCH, undoable=True), MARCH, 1800),
    "what was done, a page further on": (lambda c, s, _: activity(c, s, HALF, cursor=MIDDLE), HALF, 4300),
    "one visit": (lambda c, s, ids: session_details(c, s, session_id=ids["session"]), MARCH, 30),
    "one visit's steps": (lambda c, s, ids: session_timeline(c, s, session_id=ids["session"]), MARCH, 30),
    "whether the site receives": (lambda c, s, _: site_status(c, s), of(date(2031, 5, 1), date(2031, 7, 1)), 150),
}  # fmt: skip


@pytest.mark.parametrize(("ask", "over", "most"), CASES.values(), ids=CASES.keys())
async def test_a_page_reads_the_partitions_of_its_range_and_what_it_shows(
    app_database: Database, laid: tuple[UUID, UUID], owner: Any, ask: Ask, over: Period, most: int
) -> None:
    site_id, member = laid
    ids = dict(
        await owner.fetchrow(
            "SELECT id AS lead, matched_session_id AS session FROM calls WHERE site_id = $1"
            " AND matched_session_month = '2031-03-01' AND created_at >= '2031-03-10' LIMIT 1",
            site_id,
        )
    )
    async with app_database.as_person(member) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        assert site is not None and site.role == "analyst"
        recorder = Recorder(connection)
        answer = await ask(recorder, site, ids)
        assert answer.sequence == 1
        read = [await readings(connection, sql, *arguments) for sql, arguments in recorder.asked]
    allowed = partitions_of(over)
    for kind in KINDS:
        scanned = frozenset().union(*(each[kind].partitions for each in read))
        assert scanned <= allowed, (kind, scanned - allowed)
        assert sum(each[kind].buffers for each in read) <= most, kind


def partitions_of(over: Period) -> set[str]:
    """Sessions of the range's months; events may lie a month before, where their visit began."""
    first, last = month_bounds(over.over)
    months = [month for month in MONTHS if first <= month <= last]
    before = (first - timedelta(days=1)).replace(day=1)
    names = {f"parts.sessions_{month:%Y_%m}" for month in months}
    return names | {f"parts.events_{month:%Y_%m}" for month in (before, *months)}


@pytest.mark.parametrize(("ads_only", "most"), [(False, 150), (True, 6000)], ids=["all", "paid"])
async def test_those_that_wait_are_found_by_their_status(
    app_database: Database, laid: tuple[UUID, UUID], ads_only: bool, most: int
) -> None:
    """Few rows, however many wait; of paid visits some hundreds are looked at, each visit by its key."""
    site_id, member = laid
    async with app_database.as_person(member) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        assert site is not None
        recorder = Recorder(connection)
        await waiting_leads(recorder, site.id, ads_only=ads_only)
        read = [await readings(connection, sql, *arguments) for sql, arguments in recorder.asked]
    for kind in KINDS:
        assert sum(each[kind].buffers for each in read) <= most, kind


async def test_a_visitors_history_reads_the_months_of_half_a_year(
    app_database: Database, laid: tuple[UUID, UUID], owner: Any
) -> None:
    site_id, member = laid
    async with app_database.as_person(member) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        assert site is not None
        recorder = Recorder(connection)
        await visitor_sessions(recorder, site, visitor="v1")
        read = [await readings(connection, sql, *arguments) for sql, arguments in recorder.asked]
    now = await owner.fetchval("SELECT now()")
    first, last = month_bounds(clock.Range(now - timedelta(days=184), now))
    for kind in KINDS:
        scanned = frozenset().union(*(each[kind].partitions for each in read))
        months = {
            name[-7:] for name in scanned if not name.endswith("_default")
        }  # it stands for months not made
        assert months and all(f"{first:%Y_%m}" <= month <= f"{last:%Y_%m}" for month in months), scanned
        assert sum(each[kind].buffers for each in read) <= 100
