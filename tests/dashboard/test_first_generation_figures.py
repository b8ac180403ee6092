"""The first generation's figures: its keys, its decimals, and the figures of the contracts that they translate."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from opsmantik import clock
from opsmantik.dashboard.cards.breakdown import breakdown
from opsmantik.dashboard.cards.command_centre import command_centre
from opsmantik.dashboard.cards.timeline import timeline
from opsmantik.dashboard.cards.watchdog import watchdog
from opsmantik.dashboard.contracts import PROCEDURES
from opsmantik.db.connect import Database
from opsmantik.errors import InvalidDimension
from tests.dashboard.small_world import CPC, END, START, ZONE, at, lay
from tests.dashboard.world import Asker, World, new_site
from tests.shapes import check

SHAPES = Path(__file__).parent / "shapes"
P0, STATS = "get_command_center_p0_stats_v2", "get_dashboard_stats"
encode = msgspec.json.Encoder(decimal_format="number").encode


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asker(app_database: Database, owner: Any) -> Asker:
    user, site = await new_site(owner, time_zone=ZONE, assumed_cpc=CPC)
    await lay(World(owner, site))
    return Asker(app_database, user, site, ZONE)


async def call(asker: Asker, name: str, ads_only: bool = True, asked: Any = None, **arguments: Any) -> str:
    """The answer as it is sent."""
    asked = asked or asker.over(START, END)
    found = await asker.ask(PROCEDURES[name].call, asked, ads_only=ads_only, **arguments)
    text: str = encode(found).decode()
    return text


def read(text: str) -> Any:
    """With numbers as they are written, so that 0.5000 is not 0.5."""
    return json.loads(text, parse_float=str, parse_int=int)


def echo(asker: Asker, ads_only: bool) -> dict[str, Any]:
    return {
        "site_id": str(asker.site_id), "date_from": "2026-11-09T21:00:00Z", "date_to": "2026-11-11T21:00:00Z",
        "ads_only": ads_only,
    }  # fmt: skip


async def test_the_command_centre_counts_what_taps_made(asker: Asker) -> None:
    of_ads = {
        "queue_pending": 1, "sealed": 1, "junk": 0, "total_leads": 2, "gclid_leads": 1, "auto_approved": 1,
        "oci_uploaded": 2, "oci_failed": 1, "oci_matchable_sealed": 2, "assumed_cpc": "3.50", "currency": "TRY",
        "estimated_budget_saved": "0.00", "projected_revenue": 1000, "avg_scroll_depth": "70.0", "inbox_zero_now": False,
    }  # fmt: skip
    of_all = of_ads | {
        "sealed": 2, "junk": 1, "total_leads": 5, "estimated_budget_saved": "3.50", "projected_revenue": 1500,
        "avg_scroll_depth": "40.0",
    }  # fmt: skip
    assert read(await call(asker, P0)) == echo(asker, True) | of_ads
    assert read(await call(asker, P0, ads_only=False)) == echo(asker, False) | of_all
    older = "get_command_center_p0_stats_v1"
    added = {"projected_revenue", "total_leads", "gclid_leads", "avg_scroll_depth"}
    assert read(await call(asker, older)) == {
        k: v for k, v in (echo(asker, True) | of_ads).items() if k not in added
    }
    assert PROCEDURES[older].successor == P0


async def test_the_stats_count_what_waits_by_taps_and_what_is_sealed_by_anything(asker: Asker) -> None:
    found = read(await call(asker, STATS, ads_only=False))
    assert found == echo(asker, False) | {
        "ads_sessions": 5, "total_sessions": 5, "high_intent": 1, "total_calls": 1, "phone_click_intents": 1,
        "whatsapp_click_intents": 0, "sealed": 3, "confirmed_calls": 3, "cvr": "0.6000", "conversion_rate": "0.6000",
        "total_events": 9, "last_event_at": "2026-11-11T10:00:00Z", "forms": 1, "forms_enabled": True,
        "unique_visitors": 4, "last_call_at": "2026-11-11T11:00:00Z",
    }  # fmt: skip


async def test_of_nothing_it_answers_zeros(asker: Asker) -> None:
    """Equal bounds are a range of nothing there, not a refusal."""
    nothing = clock.first_generation_period(ZONE, START, START)
    stats = read(await call(asker, STATS, asked=nothing))
    assert (stats["cvr"], stats["total_sessions"], stats["total_events"]) == (0, 0, 0)
    tiles = read(await call(asker, P0, asked=nothing))
    assert (tiles["inbox_zero_now"], tiles["total_leads"], tiles["avg_scroll_depth"]) == (True, 0, None)
    assert read(await call(asker, "get_dashboard_timeline", asked=nothing, granularity="auto")) == []
    assert read(await call(asker, "get_dashboard_breakdown", asked=nothing, dimension="city")) == []
    p4 = read(await call(asker, "get_dashboard_breakdown_p4", asked=nothing))
    assert (p4["total_sessions"], p4["sources"], p4["devices"]) == (0, [], [])
    v1 = read(await call(asker, "get_dashboard_breakdown_v1", asked=nothing))
    assert v1 == {
        "total_sessions": 0,
        "sources": [{"name": "Other", "count": 0, "pct": 0}],
        "locations": [],
        "devices": [],
    }
    assert read(await call(asker, "get_intent_ratio_watchdog", asked=nothing))["ratio"] is None


async def test_the_timeline_leaves_out_empty_buckets_and_goes_by_the_sites_clock(asker: Asker) -> None:
    asked = asker.over(at(8, "0:00"), END)
    days = read(
        await call(asker, "get_dashboard_timeline", asked=asked, ads_only=False, granularity="fortnight")
    )
    assert days == [
        {"date": "2026-11-09 00:00:00+03", "label": "09/11", "visitors": 1, "events": 0, "calls": 1, "intents": 0,
         "conversions": 1},
        {"date": "2026-11-10 00:00:00+03", "label": "10/11", "visitors": 3, "events": 6, "calls": 3, "intents": 1,
         "conversions": 2},
        {"date": "2026-11-11 00:00:00+03", "label": "11/11", "visitors": 1, "events": 3, "calls": 4, "intents": 1,
         "conversions": 3},
    ]  # fmt: skip
    hours = read(await call(asker, "get_dashboard_timeline", granularity="auto"))
    assert [(hour["date"], hour["label"]) for hour in hours] == [
        ("2026-11-10 08:00:00+03", "08:00"), ("2026-11-10 10:00:00+03", "10:00"), ("2026-11-11 12:00:00+03", "12:00"),
    ]  # fmt: skip
    weeks = read(await call(asker, "get_dashboard_timeline", asked=asked, granularity="week"))
    assert [(week["date"], week["visitors"]) for week in weeks] == [("2026-11-09 00:00:00+03", 3)]


async def test_an_offset_with_minutes_is_written_whole(app_database: Database, owner: Any) -> None:
    user, site = await new_site(owner, time_zone="Asia/Kathmandu")
    world = World(owner, site)
    visit = await world.session(at(10, "10:00"))
    await world.event(visit, at(10, "10:00"))
    await world.count()
    there = Asker(app_database, user, site, "Asia/Kathmandu")
    (hour,) = read(await call(there, "get_dashboard_timeline", ads_only=False, granularity="hour"))
    assert (hour["date"], hour["label"]) == ("2026-11-10 12:00:00+05:45", "12:00")


async def test_the_breakdown_of_one_dimension(asker: Asker) -> None:
    name = "get_dashboard_breakdown"
    assert read(await call(asker, name, ads_only=False, dimension="city")) == [
        {"dimension_value": "İstanbul", "count": 3, "percentage": "60.00"},
        {"dimension_value": "Ankara", "count": 1, "percentage": "20.00"},
        {"dimension_value": "Unknown", "count": 1, "percentage": "20.00"},
    ]
    assert read(await call(asker, name, dimension="source")) == [
        {"dimension_value": "Paid Social", "count": 2, "percentage": "66.67"},
        {"dimension_value": "First Click (Paid)", "count": 1, "percentage": "33.33"},
    ]
    for wrong in ("country", None):
        with pytest.raises(InvalidDimension) as refused:
            await call(asker, name, dimension=wrong)
        assert refused.value.message == f"Invalid dimension: {wrong}. Must be source, device, or city"


async def test_the_breakdown_in_which_ads_means_a_click_id(asker: Asker) -> None:
    name = "get_dashboard_breakdown_p4"
    row = {"count": 1, "percentage": "100.00"}
    assert read(await call(asker, name)) == echo(asker, True) | {
        "total_sessions": 1, "sources": [{"label": "First Click (Paid)", **row}],
        "locations": [{"label": "Kadıköy", **row}], "devices": [{"label": "Mobile", **row}],
    }  # fmt: skip
    found = read(await call(asker, name, ads_only=False))
    assert [(x["label"], x["count"]) for x in found["locations"]] == [
        ("İstanbul", 2), ("Ankara", 1), ("Kadıköy", 1), ("Unknown", 1),
    ]  # fmt: skip
    assert [(x["label"], x["percentage"]) for x in found["devices"]] == [
        ("Mobile", "60.00"), ("Desktop", "20.00"), ("Unknown", "20.00"),
    ]  # fmt: skip


async def test_the_breakdown_by_kind_of_source_does_not_call_all_ads_google(asker: Asker) -> None:
    name = "get_dashboard_breakdown_v1"
    assert read(await call(asker, name))["sources"] == [
        {"name": "Paid Social", "count": 2, "pct": "66.7"},
        {"name": "Google Ads", "count": 1, "pct": "33.3"},
        {"name": "Other", "count": 0, "pct": "0.0"},
    ]
    found = read(await call(asker, name, ads_only=False))
    assert [(x["name"], x["count"]) for x in found["sources"]] == [
        ("Paid Social", 2), ("Direct/Unknown", 1), ("Google Ads", 1), ("Organic", 1),
    ]  # fmt: skip
    assert set(found) == {"total_sessions", "sources", "locations", "devices"}


async def test_beyond_five_sources_and_eight_places_there_is_other(
    app_database: Database, owner: Any
) -> None:
    user, site = await new_site(owner)
    world = World(owner, site)
    for n in range(10):
        for _ in range(n // 4 + 1):
            await world.session(at(10, "10:00"), attribution_source=f"Source {n}", city=f"City {n}")
    await world.count()
    there = Asker(app_database, user, site)
    found = read(await call(there, "get_dashboard_breakdown_p4", ads_only=False))
    assert [(x["label"], x["count"]) for x in found["sources"]] == [
        ("Other", 6), ("Source 8", 3), ("Source 9", 3), ("Source 4", 2), ("Source 5", 2), ("Source 6", 2),
    ]  # fmt: skip
    assert [(x["label"], x["count"]) for x in found["locations"]][-3:] == [
        ("Other", 2), ("City 0", 1), ("City 1", 1),
    ]  # fmt: skip
    assert sum(x["count"] for x in found["locations"]) == found["total_sessions"] == 18
    assert len(found["locations"]) == 9


async def test_the_watchdog_asks_for_leads_that_wait(asker: Asker) -> None:
    found = read(await call(asker, "get_intent_ratio_watchdog"))
    assert found == echo(asker, True) | {
        "phone_events_anycat_ads_only": 1, "click_intents_ads_only": 1, "ratio": "1.0000",
    }  # fmt: skip


@pytest.mark.parametrize("name", [
    P0, STATS, "get_command_center_p0_stats_v1", "get_dashboard_timeline", "get_dashboard_breakdown",
    "get_dashboard_breakdown_p4", "get_dashboard_breakdown_v1", "get_intent_ratio_watchdog",
])  # fmt: skip
async def test_a_calls_shape_is_that_of_its_snapshot(asker: Asker, name: str) -> None:
    more = {
        "get_dashboard_timeline": {"granularity": "day"},
        "get_dashboard_breakdown": {"dimension": "source"},
    }
    check(json.loads(await call(asker, name, ads_only=False, **more.get(name, {}))), name, SHAPES)


ASKED: dict[str, tuple[Any, dict[str, Any]]] = {
    "command_centre": (command_centre, {"compare": True}),
    "command_centre_alone": (command_centre, {}),
    "timeline": (timeline, {"granularity": "day"}),
    "timeline_hours": (timeline, {"granularity": "hour"}),
    "breakdown": (breakdown, {"dimension": ["place", "hour"], "limit": 1}),
    "watchdog": (watchdog, {}),
}


@pytest.mark.parametrize("name", ASKED)
async def test_a_contracts_shape_is_that_of_its_snapshot(asker: Asker, name: str) -> None:
    """With all that it may hold: a range before, a rest."""
    ask, values = ASKED[name]
    found = await asker.ask(ask, asker.over(START, END), **values)
    check(json.loads(encode(found)), name, SHAPES)


def test_money_keeps_its_decimals() -> None:
    assert encode({"a": Decimal("0.1250"), "b": Decimal("0")}) == b'{"a":0.1250,"b":0}'
    assert read('{"a":0.1250}') == {"a": "0.1250"}
