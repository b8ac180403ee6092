"""Conversions that Google has: putting them right, and taking them back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from opsmantik.conversions.adapters import Batch, Item, Outcome, Trouble, Why
from opsmantik.conversions.google_ads import stamp
from opsmantik.conversions.google_ads_errors import SIX_HOURS, UNKNOWN_AGAIN
from tests.conversions.google.google_ads_world import ACTION, CUSTOMER, DAY, NOW, World, batch, item


async def held(world: World, **changes: Any) -> Item:
    """A conversion that Google has."""
    one = item(**changes)
    assert (await world.outcome(one)).outcome == "accepted"
    world.ads.uploads.clear()
    return one


def changed(one: Item, value: str = "99.90", **more: Any) -> Item:
    return Item(**{f: getattr(one, f) for f in one.__struct_fields__} | {"value": Decimal(value)} | more)


async def test_a_restatement_field_by_field(world: World) -> None:
    one = await held(world)
    assert await world.outcome(changed(one), kind="restate", created_at=NOW) == Outcome(1, "accepted")
    assert world.ads.uploads == [
        {
            "partialFailure": True,
            "conversionAdjustments": [
                {
                    "conversionAction": f"customers/{CUSTOMER}/conversionActions/{ACTION}", "orderId": one.order_id,
                    "adjustmentDateTime": stamp(NOW, "Europe/Istanbul"), "adjustmentType": "RESTATEMENT",
                    "restatementValue": {"adjustedValue": 99.9, "currencyCode": "TRY"},
                }
            ],
        }
    ]  # fmt: skip
    assert world.account.total == 99.9


async def test_a_retraction_has_no_value_and_needs_no_click(world: World) -> None:
    one = await held(world)
    gone = changed(one, "0", click_id=None, click_id_kind=None, consent="denied")
    assert await world.outcome(gone, kind="retract") == Outcome(1, "accepted")
    (row,) = world.ads.uploads[0]["conversionAdjustments"]
    assert row["adjustmentType"] == "RETRACTION" and "restatementValue" not in row
    assert str(one.click_id) not in str(world.ads.uploads) and world.account.total == 0


async def test_each_later_adjustment_has_a_later_time_and_the_same_batch_the_same(world: World) -> None:
    one = await held(world)
    first = batch(changed(one, "10"), kind="restate", created_at=NOW)
    for again in (first, Batch(**{f: getattr(first, f) for f in first.__struct_fields__} | {"attempts": 2})):
        (found,) = (await world.adapter.send(again, world.grant)).outcomes
        assert found.outcome == "accepted"
    assert world.account.total == 10 and len(world.account.held[ACTION, one.order_id].adjusted) == 1
    later = NOW + timedelta(seconds=1)
    assert (await world.outcome(changed(one, "20"), kind="restate", created_at=later)).outcome == "accepted"
    assert world.account.total == 20


async def test_two_restatements_in_one_second_are_not_taken_for_one(world: World) -> None:
    one = await held(world)
    await world.outcome(changed(one, "10"), kind="restate", created_at=NOW)
    found = await world.outcome(
        changed(one, "20"), kind="restate", created_at=NOW + timedelta(milliseconds=500)
    )
    assert (found.outcome, found.reason, found.seconds) == ("failed", "restatement_already_exists", 2)
    assert world.account.total == 10


async def test_an_adjustment_lies_after_its_conversion(world: World) -> None:
    one = await held(world, occurred_at=NOW - timedelta(seconds=5))
    found = await world.outcome(changed(one), kind="restate", created_at=NOW - timedelta(minutes=1))
    assert found.outcome == "accepted"


ADJUSTED: dict[str, tuple[str, str, str, float | None]] = {
    "CONVERSION_NOT_FOUND": ("retract", "gone", "conversion_not_found", None),
    "TOO_RECENT_CONVERSION": ("restate", "failed", "too_recent_conversion", SIX_HOURS),
    "TOO_RECENT_CONVERSION_ACTION": ("restate", "failed", "too_recent_conversion_action", SIX_HOURS),
    "CONVERSION_EXPIRED": ("restate", "failed", "conversion_expired", None),
    "TOO_MANY_ADJUSTMENTS": ("restate", "failed", "too_many_adjustments", None),
    "ORDER_ID_CONTAINS_PII": ("retract", "failed", "order_id_contains_pii", None),
    "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE": (
        "restate", "failed", "cannot_restate_conversion_action_that_always_uses_default_conversion_value", None,
    ),
    "A_CODE_OF_NEXT_YEAR": ("retract", "failed", "a_code_of_next_year", UNKNOWN_AGAIN[0]),
}  # fmt: skip


@pytest.mark.parametrize(("code", "found"), ADJUSTED.items(), ids=ADJUSTED.keys())
async def test_what_a_code_means_of_an_adjustment(
    world: World, code: str, found: tuple[str, str, str, float | None]
) -> None:
    one = await held(world)
    world.ads.refuse(one.order_id, code)
    kind, *rest = found
    outcome = await world.outcome(changed(one), kind=kind)
    assert [outcome.outcome, outcome.reason, outcome.seconds] == rest


async def test_what_was_retracted_already_is_done_or_gone(world: World) -> None:
    one = await held(world)
    await world.outcome(changed(one, "0"), kind="retract")
    again = await world.outcome(changed(one, "0"), kind="retract", attempts=2)
    assert (again.outcome, again.reason) == ("accepted", "conversion_already_retracted")
    assert (await world.outcome(changed(one), kind="restate")).outcome == "gone"


async def test_what_google_took_today_may_only_not_be_found_yet(world: World) -> None:
    one = item(sent_at=datetime.now(UTC) - timedelta(hours=2))
    found = await world.outcome(changed(one), kind="restate")
    assert (found.outcome, found.seconds) == ("failed", SIX_HOURS)
    assert (await world.outcome(changed(one, sent_at=NOW - 2 * DAY), kind="restate")).outcome == "gone"


async def test_google_adjusts_nothing_that_it_knows_by_a_wbraid(world: World) -> None:
    one = await held(world, click_id_kind="wbraid")
    found = await world.outcome(changed(one, "0"), kind="retract")
    assert (found.outcome, found.reason, found.seconds) == ("failed", "wbraid_not_adjustable", None)
    assert not world.ads.uploads


async def test_setting_up_stops_adjustments_too(world: World) -> None:
    one = await held(world)
    world.account.actions[ACTION].status = "REMOVED"
    with pytest.raises(Trouble) as stopped:
        await world.outcome(changed(one), kind="restate")
    assert (stopped.value.why, stopped.value.reason) == (Why.SETUP, "no_conversion_action_found")
