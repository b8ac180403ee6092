"""What figures cost: the days that they are about. Whole days touch no row of what happened; parts of days touch the
partitions that they lie in; and the first call on a connection costs what the seventh does, when PostgreSQL may have
turned to one plan for all parameters.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from opsmantik.attribution.targets import PHONE_ACTIONS, WHATSAPP_ACTIONS
from opsmantik.clock import Period, month_bounds, period, previous, site_day
from opsmantik.dashboard.cards import breakdown, command_centre, timeline, watchdog
from opsmantik.dashboard.cards.breakdown import DIMENSIONS
from opsmantik.dashboard.figures import NOTHING, parts
from opsmantik.db.connect import Database
from tests.dashboard.world import new_site
from tests.plans import KINDS, Reading, readings

pytestmark = pytest.mark.slow

ZONE = "Europe/Istanbul"
DAYS, A_DAY, LAST = 60, 200, date(2026, 11, 22)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
# Pages of a month's days, with the way to them.
BUFFERS = 60

# Visits spread over those days, four events each, a tap and a lead in twenty.
VISITS = """
    CREATE TEMP TABLE visit AS
    SELECT gen_random_uuid() AS id, at, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month, n, random() AS r
    FROM generate_series(1, {days} * {a_day}) n CROSS JOIN LATERAL (
        SELECT '{end}'::timestamptz - interval '1 day' * {days} * (1 - n::float8 / ({days} * {a_day} + 1)) AS at) t;
    INSERT INTO session_keys SELECT '{site}', id, month FROM visit;
    INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key,
        source_key, attribution_source, channel, is_paid, attribution, device_type, city, district, utm_campaign, utm_term,
        matchtype, entry_page, fingerprint)
    SELECT '{site}', month, id, at, at, at, 1, 1, 1, 'Source ' || n % 9, 'channel ' || n % 8, n % 9 < 3, '{{}}',
        (ARRAY['mobile', 'desktop', 'tablet'])[1 + n % 3], 'City ' || n % 20, 'District ' || n % 6,
        'campaign ' || n % 15, 'kiralık vinç ' || floor(power(r, 3) * 120), (ARRAY['e', 'p', 'b'])[1 + n % 3],
        'https://shop.example/page-' || n % 30, 'visitor ' || n % 7000
    FROM visit;
    INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action)
    SELECT '{site}', month, gen_random_uuid(), id, at, at, 'interaction',
        CASE WHEN e = 1 AND n % 20 = 0 THEN 'phone_call' ELSE 'view' END
    FROM visit CROSS JOIN generate_series(1, 4) e ORDER BY at;
    INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, status, source, intent_action, intent_target,
        intent_stamp, currency, matched_session_id, matched_session_month, confirmed_at)
    SELECT '{site}', gen_random_uuid(), at, at, at, (ARRAY['intent', 'sealed', 'junk', 'conversion'])[1 + n / 20 % 4],
        'click', 'phone', 'tel:1', id::text, 'TRY', id, month, CASE WHEN n / 20 % 4 > 0 THEN at + interval '1 hour' END
    FROM visit WHERE n % 20 = 0;
    DROP TABLE visit;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def site(owner: Any) -> UUID:
    """One of three sites, each with 60 days of 200 visits."""
    for month in range(9, 13):
        await owner.execute("SELECT make_month($1)", date(2026, month, 1))
    sites = [(await new_site(owner, time_zone=ZONE))[1] for _ in range(3)]
    for number, each in enumerate(sites):
        async with owner.transaction():
            a_day = A_DAY if number == 1 else A_DAY // 10
            end = site_day(ZONE, LAST).end.isoformat()
            await owner.execute(VISITS.format(site=each, end=end, days=DAYS, a_day=a_day))
    await owner.execute("ANALYZE sessions, events, calls, sites")
    for each in sites:
        await owner.execute("SELECT rebuild_counters($1)", each)
    await owner.execute("VACUUM ANALYZE counter_days")
    return sites[1]


def over(start: str, end: str) -> Period:
    return period(ZONE, NOW, start=start, end=end)


MONTH = over("2026-10-20T00:00:00+03:00", "2026-11-19T00:00:00+03:00")  # 30 days
PARTS = over("2026-10-20T09:30:00+03:00", "2026-11-18T17:00:00+03:00")
NOVEMBER = over("2026-11-05T09:30:00+03:00", "2026-11-18T17:00:00+03:00")
EDGE = over("2026-10-10T00:00:00+03:00", "2026-11-01T03:00:00+03:00")  # to November's first instant, in UTC
HOURS = over("2026-11-17T09:30:00+03:00", "2026-11-17T17:00:00+03:00")


def statements(asked: Period, *, compare: bool = False) -> dict[str, tuple[Any, ...]]:
    """What each contract about figures asks, with its parameters after the site."""
    at, before = parts(asked), parts(previous(asked)) if compare else NOTHING
    return {
        "command_centre": (command_centre.SQL.command_centre, *at, *before, compare, asked.over.end),
        "timeline_days": (timeline.SQL.timeline_days, *at, False),
        "timeline_hours": (timeline.SQL.timeline_hours, *at, False),
        "breakdown": (breakdown.SQL.breakdown, *at, True, list(DIMENSIONS), ZONE, 20),
    }


async def costs(app_database: Database, site: UUID, sql: str, *parameters: Any) -> dict[str, Reading]:
    """By either plan, as somebody who may see the site."""
    async with app_database.as_sites([site]) as connection:
        return await readings(connection, sql, site, *parameters)


@pytest.mark.parametrize("name", statements(MONTH))
async def test_whole_days_cost_their_days_and_touch_no_row(
    app_database: Database, site: UUID, name: str
) -> None:
    """Not in the plan either: to plan over every month's partition would take longer than to read the days."""
    found = await costs(app_database, site, *statements(MONTH)[name])
    for kind in KINDS:
        reading = found[kind]
        assert reading.partitions == frozenset(), kind
        assert reading.buffers <= BUFFERS, f"{kind}: {reading.buffers}"
        assert "sessions_20" not in str(reading.plan) and "events_20" not in str(reading.plan)


async def test_a_range_twice_as_long_costs_no_more_than_its_days(app_database: Database, site: UUID) -> None:
    found = await costs(app_database, site, *statements(MONTH, compare=True)["command_centre"])
    for kind in KINDS:
        assert found[kind].partitions == frozenset() and found[kind].buffers <= 2 * BUFFERS, kind


def months(asked: Period) -> set[str]:
    first, last = month_bounds(asked.over)
    return {f"{month:%Y_%m}" for month in (first, last)}


@pytest.mark.parametrize(
    "asked", [PARTS, NOVEMBER, EDGE, HOURS], ids=["a month", "half a month", "to a month's edge", "hours"]
)
@pytest.mark.parametrize("name", statements(MONTH))
async def test_parts_of_days_touch_the_visits_of_their_months(
    app_database: Database, site: UUID, name: str, asked: Period
) -> None:
    """Events may be of a visit that began months before, so theirs are bounded from above alone."""
    found = await costs(app_database, site, *statements(asked)[name])
    for kind in KINDS:
        visits = {p.removeprefix("parts.sessions_") for p in found[kind].partitions if "sessions" in p}
        events = {p.removeprefix("parts.events_") for p in found[kind].partitions if "events" in p}
        assert visits - {"default"} == months(asked), kind
        assert max(events - {"default"}) <= max(months(asked)), kind


@pytest.mark.parametrize("asked", [HOURS, NOVEMBER], ids=["hours", "half a month"])
async def test_a_part_of_a_day_does_not_read_its_month(
    app_database: Database, site: UUID, asked: Period
) -> None:
    """A visit's month leads its key, and a plan that follows it reads all of the month's visits."""
    whole = await costs(app_database, site, *statements(MONTH)["command_centre"])
    found = await costs(app_database, site, *statements(asked)["command_centre"])
    visits = A_DAY  # of one day and a little, each with its events and their visit once more
    for kind in KINDS:
        assert found[kind].buffers - whole[kind].buffers < 25 * visits, f"{kind}: {found[kind].buffers}"


@pytest.mark.parametrize("asked", [MONTH, NOVEMBER, HOURS], ids=["a month", "half a month", "hours"])
async def test_the_watchdog_reads_taps_and_what_they_belong_to(
    app_database: Database, owner: Any, site: UUID, asked: Period
) -> None:
    found = await costs(
        app_database, site, watchdog.SQL.watchdog, *asked.over, *month_bounds(asked.over), True
    )
    taps = await owner.fetchval(
        "SELECT count(*) FROM calls WHERE site_id = $1 AND created_at >= $2 AND created_at < $3",
        site, *asked.over,
    )  # fmt: skip
    for kind in KINDS:
        touched = {p.removeprefix("parts.").partition("_")[2] for p in found[kind].partitions}
        assert months(asked) <= touched <= months(asked) | {"default"}, kind
        assert found[kind].buffers < 50 + 12 * taps, f"{kind}: {found[kind].buffers} for {taps} taps"


async def test_the_index_of_taps_holds_what_ingest_takes_for_a_tap(owner: Any) -> None:
    """The query, the index and the reading of links name the same actions."""
    predicate = await owner.fetchval("SELECT pg_get_indexdef('events_taps_idx'::regclass)")
    for action in PHONE_ACTIONS | WHATSAPP_ACTIONS:
        assert f"'{action}'" in predicate and f"'{action}'" in watchdog.SQL.watchdog
    assert predicate.count("::text,") + 1 == len(PHONE_ACTIONS | WHATSAPP_ACTIONS)
