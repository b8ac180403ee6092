"""The cards' figures, from rows laid by hand: what counts, what does not, and that they agree with each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik import clock
from opsmantik.clock import Period
from opsmantik.dashboard import cards
from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards.command_centre import command_centre
from opsmantik.dashboard.cards.newest_intents import newest_intents
from opsmantik.dashboard.cards.sites_pulse import sites_pulse
from opsmantik.dashboard.cards.waiting_leads import waiting_leads
from opsmantik.db.connect import Database
from opsmantik.db.sql import queries
from opsmantik.intents.status import WAITING

ZONE = "Europe/Istanbul"
DAY = clock.site_day(ZONE, date(2026, 11, 1))  # begins in October, by UTC
NOON = DAY.start + timedelta(hours=12)
Lay = Callable[..., Awaitable[Any]]


@pytest.fixture
def lay_session(owner: Any) -> Lay:
    """One session, counted as its writer would; columns as keywords."""

    async def lay(site_id: UUID, at: datetime, **columns: Any) -> tuple[UUID, date]:
        session_id, month = uuid4(), at.astimezone(UTC).date().replace(day=1)
        await owner.execute("SELECT make_month($1)", month)
        row = {
            "site_id": site_id, "created_month": month, "id": session_id, "created_at": at, "started_at": at,
            "last_event_at": at, "first_key": 1, "exit_key": 1, "source_key": 1, "attribution_source": "Organic",
            "channel": "organic_search", "is_paid": False, "attribution": {},
            "has_click_id": any(columns.get(kind) for kind in ("gclid", "wbraid", "gbraid")), **columns,
        }  # fmt: skip
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        async with owner.transaction():  # the session and its key each need the other, at the commit
            await owner.execute(
                "INSERT INTO session_keys (site_id, id, created_month) VALUES ($1, $2, $3)",
                site_id,
                session_id,
                month,
            )
            await owner.execute(f"INSERT INTO sessions ({', '.join(row)}) VALUES ({places})", *row.values())
            await owner.execute(
                "INSERT INTO counter_journal (site_id, entries, changed_at)"
                " SELECT s.site_id, ARRAY[session_entry(s, 1)], now() FROM sessions s WHERE s.site_id = $1 AND s.id = $2",
                site_id,
                session_id,
            )
        return session_id, month

    return lay


@pytest.fixture
def lay_lead(owner: Any) -> Lay:
    """One lead, counted as its writer would; columns as keywords, ``session`` as lay_session gave it."""

    async def lay(site_id: UUID, at: datetime, session: Any = None, **columns: Any) -> UUID:
        lead_id = uuid4()
        row = {
            "site_id": site_id, "id": lead_id, "created_at": at, "occurred_at": at, "updated_at": at,
            "intent_action": "phone", "intent_target": "tel:+905321234567", "intent_stamp": lead_id.hex,
            "phone_number": "+905321234567", "currency": "TRY", **columns,
        }  # fmt: skip
        if session is not None:
            row |= {"matched_session_id": session[0], "matched_session_month": session[1]}
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        async with owner.transaction():
            await owner.execute(f"INSERT INTO calls ({', '.join(row)}) VALUES ({places})", *row.values())
            await owner.execute(
                "INSERT INTO counter_journal (site_id, entries, changed_at)"
                " VALUES ($1, call_entries($1, ARRAY[$2::uuid], 1), now())",
                site_id,
                lead_id,
            )
        return lead_id

    return lay


def day_of(zone: str, day: date) -> Period:
    return clock.period(zone, datetime(2026, 12, 1, tzinfo=UTC), day=day.isoformat())


async def figures(
    database: Database, user_id: UUID, site_id: UUID, day: date = date(2026, 11, 1), zone: str = ZONE
) -> tuple[int, ...]:
    """Sessions, leads, those with a click id, those that wait: nothing at all of a site that is not the asker's."""
    async with database.as_person(user_id) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        if site is None:
            return ()
        seen = (await command_centre(connection, site, day_of(zone, day))).figures
    return seen.sessions, seen.leads, seen.leads_with_click_id, seen.waiting


def test_each_card_is_a_file_of_words_and_one_of_questions_and_a_shown_one_has_a_third() -> None:
    home = Path(cards.__file__).parent
    stems = {
        suffix: {path.stem for path in home.glob(f"*{suffix}") if path.stem != "__init__"}
        for suffix in (".py", ".sql", ".html")
    }
    assert stems[".py"] == stems[".sql"] > stems[".html"] != set()
    for stem in stems[".sql"]:
        names = queries(home / f"{stem}.sql").names()
        assert any(name.startswith(stem) for name in names), stem
        assert stem not in stems[".html"] or names == [stem]


async def test_a_site_without_events_has_zeros_and_no_invented_times(
    app_database: Database, make_site: Any
) -> None:
    site = await make_site()
    async with app_database.as_person(site.user_id) as (connection, person):
        asked = await asked_site(connection, person, str(site.id))
        assert asked is not None
        seen = await command_centre(connection, asked, day_of(ZONE, date(2026, 11, 1)), compare=True)
        assert await newest_intents(connection, site.id) == await waiting_leads(connection, site.id) == []
    found = seen.figures
    assert (found.sessions, found.leads, found.leads_with_click_id, found.waiting, seen.sequence) == (
        0,
        0,
        0,
        0,
        0,
    )
    assert found.conversion_rate is None and found.decided.response_seconds is None
    assert seen.last_event_at is None and seen.last_lead_at is None
    assert abs(seen.as_of - datetime.now(UTC)) < timedelta(minutes=1)


async def test_the_day_is_half_open_and_may_lie_in_two_months(
    app_database: Database, make_site: Any, lay_session: Lay, lay_lead: Lay
) -> None:
    site = await make_site()
    instants = [
        DAY.start - timedelta(microseconds=1), DAY.start, NOON, DAY.end - timedelta(microseconds=1), DAY.end,
    ]  # fmt: skip
    for at in instants:
        await lay_lead(site.id, at, await lay_session(site.id, at))
    assert await figures(app_database, site.user_id, site.id) == (3, 3, 0, 3)
    yesterday, tomorrow = date(2026, 10, 31), date(2026, 11, 2)
    assert await figures(app_database, site.user_id, site.id, yesterday) == (1, 1, 0, 1)
    assert await figures(app_database, site.user_id, site.id, tomorrow) == (1, 1, 0, 1)


STATUSES = {"intent": 1, "pending": 1, "sealed": 0, "junk": 0, "suspicious": 0, "conversion": 0}


@pytest.mark.parametrize(("status", "waiting"), STATUSES.items())
async def test_a_lead_waits_while_nobody_has_decided(
    app_database: Database, make_site: Any, lay_lead: Lay, status: str, waiting: int
) -> None:
    site = await make_site()
    await lay_lead(site.id, NOON, status=status)
    assert await figures(app_database, site.user_id, site.id) == (0, 1, 0, waiting)


CLICKS = {
    "on the lead": ({"click_id": "abc", "click_id_kind": "gclid"}, {}, "gclid"),
    "on its visit": ({}, {"wbraid": "abc"}, "wbraid"),
    "on both, the lead's is shown": ({"click_id": "a", "click_id_kind": "gbraid"}, {"gclid": "b"}, "gbraid"),
    "on neither": ({}, {}, None),
}


@pytest.mark.parametrize(("lead", "visit", "kind"), CLICKS.values(), ids=CLICKS.keys())
async def test_a_click_id_may_be_on_the_lead_or_on_its_visit(
    app_database: Database, make_site: Any, lay_session: Lay, lay_lead: Lay,
    lead: dict[str, Any], visit: dict[str, Any], kind: str | None,
) -> None:  # fmt: skip
    site = await make_site()
    await lay_lead(site.id, NOON, await lay_session(site.id, NOON, **visit), **lead)
    assert (await figures(app_database, site.user_id, site.id))[2] == (1 if kind else 0)
    async with app_database.as_person(site.user_id) as (connection, _):
        rows = [*await newest_intents(connection, site.id), *await waiting_leads(connection, site.id)]
    assert [row.click_id_kind for row in rows] == [kind, kind]


async def test_another_sites_rows_are_not_counted_even_for_one_who_may_see_both(
    app_database: Database, owner: Any, make_site: Any, lay_session: Lay, lay_lead: Lay
) -> None:
    ours, theirs = await make_site(), await make_site()
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id) VALUES ($1, $2)", theirs.id, ours.user_id
    )
    await lay_lead(theirs.id, NOON, await lay_session(theirs.id, NOON))
    assert await figures(app_database, ours.user_id, ours.id) == (0, 0, 0, 0)
    assert await figures(app_database, ours.user_id, theirs.id) == (1, 1, 0, 1)
    async with app_database.as_person(ours.user_id) as (connection, _):
        assert await newest_intents(connection, ours.id) == await waiting_leads(connection, ours.id) == []


async def test_row_security_hides_a_site_that_is_not_the_askers(
    app_database: Database, make_site: Any, lay_session: Lay, lay_lead: Lay
) -> None:
    ours, theirs = await make_site(), await make_site()
    await lay_lead(theirs.id, NOON, await lay_session(theirs.id, NOON))
    assert await figures(app_database, ours.user_id, theirs.id) == ()
    async with app_database.as_person(ours.user_id) as (connection, _):
        assert await newest_intents(connection, theirs.id) == await waiting_leads(connection, theirs.id) == []
        assert (await sites_pulse(connection, {theirs.id: DAY}))[theirs.id].leads == 0


async def test_those_that_wait_are_listed_newest_first_whatever_their_day_and_nothing_else(
    app_database: Database, make_site: Any, lay_session: Lay, lay_lead: Lay
) -> None:
    site = await make_site()
    statuses = ("intent", "sealed", "pending", "junk", "suspicious", "conversion")
    laid = []
    for n in range(24):
        at = DAY.start + timedelta(hours=2 * n - 12)  # some of the day before, some of the day after
        session = await lay_session(site.id, at, is_paid=n % 4 == 0)
        laid.append(
            (await lay_lead(site.id, at, session, status=statuses[n % 6]), statuses[n % 6], n % 4 == 0)
        )
    waiting = [lead for lead, status, _ in reversed(laid) if status in WAITING]
    paid = [lead for lead, status, is_paid in reversed(laid) if status in WAITING and is_paid]
    async with app_database.as_person(site.user_id) as (connection, _):
        assert [row.id for row in await waiting_leads(connection, site.id, rows=50)] == waiting
        assert [row.id for row in await waiting_leads(connection, site.id, rows=3)] == waiting[:3]
        assert [row.id for row in await waiting_leads(connection, site.id, ads_only=True)] == paid != []


async def test_the_newest_come_first_and_no_more_than_asked_for(
    app_database: Database, make_site: Any, lay_lead: Lay
) -> None:
    site = await make_site()
    laid = [await lay_lead(site.id, NOON + timedelta(minutes=n)) for n in (3, 1, 4, 2, 5)]
    async with app_database.as_person(site.user_id) as (connection, _):
        rows = await newest_intents(connection, site.id, rows=3)
    assert [row.id for row in rows] == [laid[4], laid[2], laid[0]]


async def test_a_lead_carries_what_brought_it_and_nothing_that_is_not_known(
    app_database: Database, make_site: Any, lay_session: Lay, lay_lead: Lay
) -> None:
    site = await make_site()
    session = await lay_session(
        site.id, NOON, utm_term="kiralık vinç", utm_campaign="ist-vinc", gclid="g", city="İstanbul",
        district="Kadıköy", country="TR", device_type="mobile", device_os="Android", browser="Chrome",
        attribution_source="First Click (Paid)", channel="paid_search", previous_visit_count=2,
    )  # fmt: skip
    breakdown = {"scroll": 7, "conversions": 35, "bonuses": 0, "cappedAt100": False}
    await lay_lead(site.id, NOON, session, lead_score=42, score_breakdown=breakdown)
    await lay_lead(site.id, NOON - timedelta(hours=1))
    async with app_database.as_person(site.user_id) as (connection, _):
        rich, bare = await newest_intents(connection, site.id)
        listed = await waiting_leads(connection, site.id)
    assert (rich.keyword, rich.campaign, rich.attribution_source) == (
        "kiralık vinç",
        "ist-vinc",
        "First Click (Paid)",
    )
    assert (rich.city, rich.district, rich.device_type, rich.previous_visits) == (
        "İstanbul",
        "Kadıköy",
        "mobile",
        2,
    )
    assert (rich.lead_score, rich.score_parts) == (42, (("conversions", 35), ("scroll", 7)))
    assert {bare.keyword, bare.campaign, bare.attribution_source, bare.city, bare.device_type} == {None}
    assert (bare.previous_visits, bare.score_parts) == (0, ())
    assert [(each.keyword, each.campaign, each.district, each.previous_visits) for each in listed] == [
        ("kiralık vinç", "ist-vinc", "Kadıköy", 2), (None, None, None, 0),
    ]  # fmt: skip


async def test_a_repeated_tap_is_a_tap_of_its_lead_and_no_lead(
    app_database: Database, make_site: Any, lay_lead: Lay
) -> None:
    site = await make_site()
    lead = await lay_lead(site.id, NOON)
    for minutes in (1, 2):
        await lay_lead(site.id, NOON + timedelta(minutes=minutes), merged_into=lead)
    other = await lay_lead(site.id, NOON + timedelta(hours=1))
    assert await figures(app_database, site.user_id, site.id) == (0, 2, 0, 2)
    async with app_database.as_person(site.user_id) as (connection, _):
        lists = await newest_intents(connection, site.id), await waiting_leads(connection, site.id)
    for rows in lists:
        assert [(row.id, row.tap_count) for row in rows] == [(other, 1), (lead, 3)]


async def test_the_pulse_counts_each_sites_own_day_and_agrees_with_the_figures(
    app_database: Database, owner: Any, make_site: Any, lay_lead: Lay
) -> None:
    east, west = await make_site(time_zone="Asia/Kathmandu"), await make_site(time_zone="Pacific/Honolulu")
    await owner.execute("INSERT INTO site_members (site_id, user_id) VALUES ($1, $2)", west.id, east.user_id)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for hours in range(-30, 1):
        for site in (east, west):
            await lay_lead(site.id, now + timedelta(hours=hours), status="sealed" if hours % 2 else "intent")
    days = {
        site.id: clock.site_day(zone, clock.today(zone, now))
        for site, zone in ((east, "Asia/Kathmandu"), (west, "Pacific/Honolulu"))
    }
    assert days[east.id] != days[west.id]
    async with app_database.as_person(east.user_id) as (connection, _):
        pulses = await sites_pulse(connection, days)
    for site, zone in ((east, "Asia/Kathmandu"), (west, "Pacific/Honolulu")):
        _, leads, _, waiting = await figures(
            app_database, east.user_id, site.id, clock.today(zone, now), zone
        )
        assert (pulses[site.id].leads, pulses[site.id].waiting) == (leads, waiting)
    assert (pulses[east.id].leads, pulses[west.id].leads) == (18, 3)  # since 18:15, and since 10:00, UTC
