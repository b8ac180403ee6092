"""Quotas: told at 80 and 100 %, refused from 200 %, and never a lead."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from opsmantik.errors import NotFound, Unprocessable
from opsmantik.sites import limits
from opsmantik.upkeep.runner import connect
from tests.ingest.conftest import now_ms

TALLY = (
    "INSERT INTO counter_journal (site_id, tally, changed_at)"
    " VALUES ($1, ARRAY[ROW($1, $2, $3, $4)::tally_draft], now())"
)


async def used(owner: Any, site: Any, n: int, outcome: str = "stored", back: timedelta = timedelta()) -> None:
    at = await owner.fetchval("SELECT now() - $1::interval", back)
    await owner.execute(TALLY, site.id, outcome, n, at)


async def tally(owner: Any, site: Any) -> dict[str, int]:
    return dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", site.id))


def body(site: Any, item: Any, **changes: Any) -> dict[str, Any]:
    return {"site": site.public_id, "sent": now_ms(), "v": "t", **item(**changes)}


# Used of a quota of 100, and whether a view is taken.
SHARES = {
    "nothing": (0, True),
    "80 %": (80, True),
    "all": (100, True),
    "199 %": (199, True),
    "200 %": (200, False),
}


@pytest.mark.parametrize(("n", "taken"), SHARES.values(), ids=SHARES.keys())
async def test_a_view_is_taken_until_the_quota_is_used_up_twice(
    door: Any, make_site: Any, owner: Any, item: Any, n: int, taken: bool
) -> None:
    site = await make_site(monthly_quota=100)
    await used(owner, site, n)
    await door.collect.registry.refresh()
    answer = await door.post("/v1/events", body(site, item))
    assert answer.status_code == (200 if taken else 403)
    if not taken:
        [result] = answer.json()["results"]
        assert (result["status"], result["reason"]) == ("rejected", "over_quota")
        assert "retry-after" not in answer.headers, "a tracker that tries again holds back the taps behind it"


LEADS = {
    "a tap": {"cat": "conversion", "act": "phone_call", "label": "tel:+905321234567"},
    "a tap by another category": {
        "cat": "interaction",
        "act": "whatsapp",
        "label": "https://wa.me/905321234567",
    },
    "a tap by its label": {"cat": "interaction", "act": "click", "label": "tel:+905321234567"},
    "a form": {"cat": "conversion", "act": "form_submit", "label": "teklif"},
    "a form by another category": {"cat": "interaction", "act": "form_submit", "label": "teklif"},
}


@pytest.mark.parametrize("changes", LEADS.values(), ids=LEADS.keys())
async def test_a_lead_is_taken_however_far_the_site_is_over_its_quota(
    door: Any, make_site: Any, owner: Any, item: Any, changes: dict[str, Any]
) -> None:
    site = await make_site(monthly_quota=1)
    await used(owner, site, 1_000_000)
    await door.collect.registry.refresh()
    answer = await door.post("/v1/events", body(site, item, **changes))
    assert answer.status_code == 200
    assert await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", site.id) == 1
    if changes["cat"] == "conversion":
        assert await owner.fetchval("SELECT count(*) FROM calls WHERE site_id = $1", site.id) == 1


async def test_the_first_generation_is_answered_with_200_and_its_taps_are_taken(
    door: Any, make_site: Any, owner: Any, first: Any
) -> None:
    site = await make_site(monthly_quota=1)
    await used(owner, site, 2)
    await door.collect.registry.refresh()
    view = await door.post("/api/sync", first(site.public_id))
    assert (view.status_code, view.json()["ok"], view.json()["reason"]) == (200, False, "over_quota")
    changes = {
        "ec": "conversion",
        "ea": "phone_call",
        "el": "tel:05321234567",
        "meta": {"intent_stamp": "x-1"},
    }
    tap = await door.post("/api/sync", first(site.public_id, **changes))
    assert (tap.status_code, tap.json()["ok"]) == (200, True)
    assert await owner.fetchval("SELECT count(*) FROM calls WHERE site_id = $1", site.id) == 1


async def test_one_that_is_over_does_not_take_its_batch_mates_along(
    door: Any, make_site: Any, owner: Any, item: Any
) -> None:
    site = await make_site(monthly_quota=1)
    await used(owner, site, 2)
    await door.collect.registry.refresh()
    events = [item(), item(cat="conversion", act="phone_call", label="tel:+905321234567"), item()]
    answer = await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), "events": events})
    assert answer.status_code == 200
    assert [r["status"] for r in answer.json()["results"]] == ["rejected", "accepted", "rejected"]
    assert await tally(owner, site) == {"stored": 3, "over_quota": 2}
    rows = await owner.fetch("SELECT reason, payload FROM rejected_events WHERE site_id = $1", site.id)
    assert {row["reason"] for row in rows} == {"over_quota"}
    assert {json.loads(row["payload"])["id"] for row in rows} == {events[0]["id"], events[2]["id"]}


NOT_COUNTED = {
    "what was refused": ("bot", timedelta()),
    "what was there already": ("duplicate", timedelta()),
    "signs of life": ("pulse", timedelta()),
    "the month before": ("stored", timedelta(days=32)),
}


@pytest.mark.parametrize(("outcome", "back"), NOT_COUNTED.values(), ids=NOT_COUNTED.keys())
async def test_the_quota_is_of_stored_events_of_the_site_s_month(
    door: Any, make_site: Any, owner: Any, app_database: Any, outcome: str, back: timedelta
) -> None:
    site = await make_site(monthly_quota=100, time_zone="Pacific/Kiritimati")
    await used(owner, site, 5000, outcome, back)
    await used(owner, site, 7)
    await door.collect.registry.refresh()
    assert not door.collect.registry.find(site.public_id).over_quota
    async with app_database.as_person(site.user_id) as (connection, _):
        assert await limits.quota(connection, site.id) == limits.Quota(100, 7)


async def test_a_quota_that_grows_lets_views_in_within_a_second(
    door: Any, make_site: Any, owner: Any, app_database: Any, item: Any
) -> None:
    site = await make_site(monthly_quota=1)
    await used(owner, site, 2)
    await door.collect.registry.refresh()
    assert (await door.post("/v1/events", body(site, item))).status_code == 403
    wanted = limits.Limits(10, None, 30, [])
    await limits.set_limits(app_database, site.user_id, site.id, wanted)
    async with asyncio.timeout(1):
        while (await door.post("/v1/events", body(site, item))).status_code != 200:
            await asyncio.sleep(0.02)


async def test_the_site_s_log_says_once_a_month_and_share_what_was_reached(
    make_site: Any, owner: Any, database: Any, app_database: Any
) -> None:
    site = await make_site(monthly_quota=100)
    upkeep = await connect(database.owner)

    async def noted() -> list[str]:
        await upkeep.fetchval("SELECT note_quotas()")
        rows = await owner.fetch(
            "SELECT subject FROM site_acts WHERE site_id = $1 AND action = 'quota.reached' ORDER BY at, id",
            site.id,
        )
        return [row["subject"] for row in rows]

    try:
        assert await noted() == []
        await used(owner, site, 79)
        assert await noted() == []
        await used(owner, site, 1)
        assert await noted() == ["80 %"]
        assert await noted() == ["80 %"]
        await used(owner, site, 130)
        assert await noted() == ["80 %", "200 %"]
        await owner.execute(
            "UPDATE sites SET quota_noted_month = quota_noted_month - interval '1 month' WHERE id = $1",
            site.id,
        )
        assert await noted() == ["80 %", "200 %", "200 %"]
        await limits.set_limits(app_database, site.user_id, site.id, limits.Limits(200, None, 30, []))
        assert (await noted())[3:] == ["100 %"]
    finally:
        await upkeep.close()


BOUNDS = {
    "no quota of nothing": limits.Limits(0, None, 30, []),
    "no rate of nothing": limits.Limits(None, 0, 30, []),
    "no rate beyond what a server takes": limits.Limits(None, 100_001, 30, []),
    "no quarantine of no day": limits.Limits(None, None, 0, []),
    "none of a year": limits.Limits(None, None, 365, []),
}


@pytest.mark.parametrize("wanted", BOUNDS.values(), ids=BOUNDS.keys())
async def test_limits_have_bounds(app_database: Any, make_site: Any, wanted: limits.Limits) -> None:
    site = await make_site()
    with pytest.raises(Unprocessable):
        await limits.set_limits(app_database, site.user_id, site.id, wanted)


async def test_a_stranger_sets_no_limit(app_database: Any, make_site: Any) -> None:
    site, stranger = await make_site(), await make_site()
    with pytest.raises(NotFound):
        await limits.set_limits(app_database, stranger.user_id, site.id, limits.Limits(1, 1, 1, []))
