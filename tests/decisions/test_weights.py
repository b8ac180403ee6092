"""What stands in for an amount is the site's to say; where nothing does, a lead without one is not reported."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

pytestmark = pytest.mark.slow

NONE = {"none": None, "won": 250, "offered": None}


async def settled(desk: Any, weights: dict[str, Any], **seal: Any) -> UUID:
    await desk.owner.execute(
        "UPDATE sites SET config = jsonb_build_object('stage_weights', $2::jsonb) WHERE id = $1",
        desk.site_id,
        weights,
    )
    call: UUID = await desk.lead()
    await desk.decide(call, "seal", **seal)
    return call


async def said(desk: Any, call: UUID) -> tuple[str, str | None, Decimal | None]:
    [row] = await desk.ledger(call)
    return row["state"], row["reason"], row["value"]


async def test_a_site_s_own_weight_stands_in(make_desk: Any) -> None:
    desk = await make_desk()
    call = await settled(desk, NONE, stage="won")
    assert await said(desk, call) == ("held", "stage_weight", Decimal(250))


async def test_a_lead_without_an_amount_waits_for_one(make_desk: Any) -> None:
    desk = await make_desk()
    call = await settled(desk, NONE)
    assert await said(desk, call) == ("skipped", "value_unknown", None)
    await desk.decide(call, "stage", stage="offered")
    assert await said(desk, call) == ("skipped", "value_unknown", None)
    await desk.decide(call, "sale", amount=Decimal("1200.50"))
    assert await said(desk, call) == ("held", None, Decimal("1200.50"))
    [row] = await desk.ledger(call)
    assert row["click_id"] is not None
    assert row["due_at"] > row["created_at"], "the time for taking it back begins anew"
    assert await desk.moves(call) == [
        (None, "skipped", "value_unknown"), ("skipped", "held", "revised"),
    ]  # fmt: skip
    assert await desk.miscounted() == []


async def test_an_amount_that_is_taken_away_again_stops_it(make_desk: Any) -> None:
    desk = await make_desk()
    call = await settled(desk, NONE, amount=Decimal(90))
    await desk.decide(call, "sale")
    assert await said(desk, call) == ("skipped", "value_unknown", None)
    await desk.undo(call)
    assert await said(desk, call) == ("held", None, Decimal(90))
    await desk.decide(call, "stage", stage="won")
    await desk.decide(call, "sale")
    assert await said(desk, call) == ("held", "stage_weight", Decimal(250)), "this stage has a weight"
    assert await desk.miscounted() == []


async def test_what_the_platform_has_keeps_its_value(make_desk: Any) -> None:
    desk = await make_desk()
    call = await settled(desk, NONE, amount=Decimal(90))
    await desk.owner.execute(
        "UPDATE conversions SET state = 'accepted', platform_value = 90, platform_currency = currency, consent_at = now(),"
        " due_at = now() WHERE call_id = $1", call,
    )  # fmt: skip
    await desk.owner.execute("SELECT rebuild_counters($1)", desk.site_id)
    await desk.decide(call, "sale")
    assert await said(desk, call) == ("accepted", None, Decimal(90))
    assert await desk.miscounted() == []


async def test_consent_is_asked_about_anew(make_desk: Any) -> None:
    desk = await make_desk()
    call = await settled(desk, NONE)
    await desk.owner.execute(
        "UPDATE sessions SET consent_marketing = false WHERE id = (SELECT matched_session_id FROM calls WHERE id = $1)",
        call,
    )
    await desk.decide(call, "sale", amount=Decimal(80))
    assert await said(desk, call) == ("skipped", "no_consent", Decimal(80))
    assert (await desk.ledger(call))[0]["click_id"] is None


async def test_servers_of_an_older_version_read_the_same_lead(make_desk: Any, owner: Any) -> None:
    desk = await make_desk()
    call = await settled(desk, NONE)
    old, new = [
        await owner.fetchrow(f"SELECT * FROM {name}($1, ARRAY[$2::uuid], false)", desk.site_id, call)
        for name in ("lead_cases", "lead_cases_v2")
    ]
    assert set(new.keys()) == {*old.keys(), "stage_weights", "sends_by"}
    assert [value for name, value in old.items() if name != "now"] == [
        value for name, value in new.items() if name not in ("now", "stage_weights", "sends_by")
    ]
