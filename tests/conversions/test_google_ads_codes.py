"""Conversions by the Google Ads API: what each of its answers about one conversion makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from opsmantik.conversions import google_ads_errors
from opsmantik.conversions.adapters import Outcome, Trouble, Why
from opsmantik.conversions.google_ads_errors import SIX_HOURS, UNKNOWN_AGAIN
from opsmantik.conversions.hashing import hashed_phone
from tests.conversions.google import google_ads_codes
from tests.conversions.google.google_ads_world import World, batch, item
from tests.conversions.google.server import Fault

CODES: dict[str, tuple[str, str, float | None]] = {
    "ORDER_ID_ALREADY_IN_USE": ("accepted", "order_id_already_in_use", None),
    "CLICK_CONVERSION_ALREADY_EXISTS": ("accepted", "click_conversion_already_exists", None),
    "TOO_RECENT_EVENT": ("failed", "too_recent_event", SIX_HOURS),
    "TOO_RECENT_CONVERSION_ACTION": ("failed", "too_recent_conversion_action", SIX_HOURS),
    **{
        code: ("failed", code.lower(), None)
        for code in (
            "UNPARSEABLE_GCLID", "UNPARSEABLE_WBRAID", "UNPARSEABLE_GBRAID", "EXPIRED_EVENT", "CONVERSION_PRECEDES_EVENT",
            "EVENT_NOT_FOUND", "CLICK_NOT_FOUND", "ORDER_ID_CONTAINS_PII", "GBRAID_WBRAID_BOTH_SET",
            "INVALID_CUSTOMER_FOR_CLICK", "UNAUTHORIZED_CUSTOMER", "CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY",
            "CONVERSION_TRACKING_NOT_ENABLED_AT_IMPRESSION_TIME",
            "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
        )
    },
    "A_CODE_OF_NEXT_YEAR": ("failed", "a_code_of_next_year", UNKNOWN_AGAIN[0]),
}  # fmt: skip


@pytest.mark.parametrize(("code", "found"), CODES.items(), ids=CODES.keys())
async def test_what_a_code_means(world: World, code: str, found: tuple[str, str, float | None]) -> None:
    one, other = item(1), item(2)
    world.ads.refuse(one.order_id, code, message=f"No: {code}.")
    refused, taken = (await world.send(one, other)).outcomes
    assert (refused.outcome, refused.reason, refused.seconds) == found
    assert refused.detail == (None if found[0] == "accepted" else f"No: {code}.")
    assert taken == Outcome(2, "accepted")


SETUP = [
    "NO_CONVERSION_ACTION_FOUND", "INVALID_CONVERSION_ACTION_TYPE", "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
    "ORDER_ID_NOT_PERMITTED_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
    "EXTERNAL_ATTRIBUTION_DATA_NOT_SET_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
]  # fmt: skip


@pytest.mark.parametrize("code", SETUP)
async def test_what_somebody_has_to_put_right_stops_the_site(world: World, code: str) -> None:
    one, other = item(1), item(2)
    world.ads.refuse(one.order_id, code)
    world.ads.refuse(other.order_id, "EVENT_NOT_FOUND")
    with pytest.raises(Trouble) as stopped:
        await world.send(one, other)
    assert (stopped.value.why, stopped.value.reason) == (Why.SETUP, code.lower())
    assert not world.account.held, "nothing arrived, so the batch may be dissolved"


@pytest.mark.parametrize("known_by", ["taken now", "there already"])
async def test_what_google_took_is_known_although_others_need_setting_up(world: World, known_by: str) -> None:
    one, other = item(1), item(2)
    world.ads.refuse(one.order_id, "INVALID_CONVERSION_ACTION_TYPE")
    if known_by == "there already":
        world.ads.refuse(other.order_id, "ORDER_ID_ALREADY_IN_USE")
    refused, taken = (await world.send(one, other)).outcomes
    assert (refused.outcome, refused.seconds) == ("failed", SIX_HOURS) and taken.outcome == "accepted"


async def test_an_unknown_code_is_tried_a_few_times(world: World) -> None:
    waits = []
    for attempts in range(5):
        one = item(attempts=attempts)
        world.ads.refuse(one.order_id, "A_CODE_OF_NEXT_YEAR")
        waits.append((await world.outcome(one)).seconds)
    assert waits == [*UNKNOWN_AGAIN, None, None]


async def test_google_s_own_faults_are_tried_again_soon(world: World) -> None:
    one = item()
    world.ads.refuse(one.order_id, "TRANSIENT_ERROR", family="internalError")
    found = await world.outcome(one)
    assert (found.outcome, found.reason, found.seconds) == ("failed", "transient_error", 900)


HASH_CODES = [
    "CLICK_NOT_FOUND", "INVALID_USER_IDENTIFIER", "UNSUPPORTED_USER_IDENTIFIER",
    "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
    "EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION_NOT_PERMITTED_WITH_USER_IDENTIFIER",
]  # fmt: skip


@pytest.mark.parametrize("code", HASH_CODES)
async def test_hashes_never_cost_what_the_click_earns(world: World, code: str) -> None:
    one, other = item(1, phone="+905321234567"), item(2)
    world.ads.refuse(one.order_id, code)
    answer = await world.send(one, other, with_hashes=True)
    assert answer.outcomes == [Outcome(1, "accepted"), Outcome(2, "accepted")]
    first, second = world.ads.uploads
    assert "userIdentifiers" in first["conversions"][0]
    (alone,) = second["conversions"]
    assert alone["gclid"] == one.click_id and "userIdentifiers" not in alone


async def test_where_the_second_try_is_not_answered_the_batch_stays(world: World) -> None:
    one = item(phone="+905321234567")
    world.ads.refuse(one.order_id, "CLICK_NOT_FOUND")
    world.server.faults.extend([None, Fault("status", 429)])
    with pytest.raises(Trouble) as lost:
        await world.send(one, item(2), with_hashes=True)
    assert (lost.value.why, lost.value.reason) == (Why.UNSURE, "quota"), "some of it has arrived"


async def test_the_same_batch_again_is_harmless(world: World) -> None:
    items = [item(n) for n in range(1, 4)]
    again = batch(*items)
    await world.adapter.send(again, world.grant)
    total = world.account.total
    answer = await world.adapter.send(again, world.grant)
    assert [o.outcome for o in answer.outcomes] == ["accepted"] * 3 and world.account.total == total == 3703.5


async def test_nothing_of_a_visitor_is_kept_of_google_s_words(world: World) -> None:
    one = item(phone="+905321234567")
    hashed = hashed_phone("+905321234567")
    message = f"The gclid '{one.click_id}' of {hashed} is from elsewhere."
    world.ads.refuse(one.order_id, "EVENT_NOT_FOUND", message=message)
    found = await world.outcome(one, with_hashes=True)
    assert found.detail == "The gclid '…' of … is from elsewhere."


SEVERAL: dict[str, tuple[list[str], str]] = {
    "it is there, whatever else": (["EVENT_NOT_FOUND", "ORDER_ID_ALREADY_IN_USE"], "order_id_already_in_use"),
    "never, however early": (["TOO_RECENT_EVENT", "EXPIRED_EVENT"], "expired_event"),
    "what is known counts": (["A_CODE_OF_NEXT_YEAR", "TOO_RECENT_EVENT"], "too_recent_event"),
}


@pytest.mark.parametrize(("codes", "reason"), SEVERAL.values(), ids=SEVERAL.keys())
async def test_of_several_codes_one_decides(world: World, codes: list[str], reason: str) -> None:
    place = {"fieldPathElements": [{"fieldName": "conversions", "index": 0}]}
    errors = [
        {"errorCode": {"conversionUploadError": code}, "message": "No.", "location": place} for code in codes
    ]
    body = {"results": [{}], "partialFailureError": {"details": [{"errors": errors}]}}
    world.server.faults.append(Fault("status", 200, body=body))
    assert (await world.outcome(item())).reason == reason


async def test_errors_without_a_place_are_about_those_without_a_result(world: World) -> None:
    status = {
        "details": [
            {"errors": [{"errorCode": {"conversionUploadError": "EVENT_NOT_FOUND"}, "message": "No."}]}
        ]
    }
    body = {"results": [{"gclid": "x"}, {}], "partialFailureError": status}
    world.server.faults.append(Fault("status", 200, body=body))
    taken, refused = (await world.send(item(1), item(2))).outcomes
    assert taken.outcome == "accepted"
    assert (refused.outcome, refused.reason) == ("failed", "event_not_found")


UNREADABLE: dict[str, Any] = {
    "nothing": None, "no object": [], "no results": {}, "too few": {"results": [{"gclid": "x"}]},
    "no list": {"results": {"gclid": "x"}},
}  # fmt: skip


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_an_answer_that_does_not_tell_is_none(world: World, body: Any) -> None:
    world.server.faults.append(Fault("status", 200, body=body))
    with pytest.raises(Trouble) as lost:
        await world.send(item(1), item(2))
    assert (lost.value.why, lost.value.reason) == (Why.UNSURE, "unreadable")


def test_the_classes_name_codes_of_the_definition_alone() -> None:
    assert set(google_ads_errors.UPLOAD) <= google_ads_codes.UPLOAD
    assert set(google_ads_errors.ADJUSTMENT) <= google_ads_codes.ADJUSTMENT
