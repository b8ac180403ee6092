"""The Google Ads API: what happens to a whole batch, and the connection test."""

from __future__ import annotations

from typing import Any

import pytest

from opsmantik.conversions.adapters import Trouble, Why
from tests.conversions.google.google_ads_server import Action, whole
from tests.conversions.google.google_ads_world import ACTION, TO, Opened, World, item
from tests.conversions.google.server import Fault


def failure(status: int, code: str, family: str) -> Fault:
    return Fault("status", status, body=whole(status, code, family, "No.").body)


def before_the_api(status: int, word: str, reason: str) -> Fault:
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
    }
    error = {"code": status, "message": "No.", "status": word, "details": [detail]}
    return Fault("status", status, body={"error": error})


WHOLE: dict[str, tuple[Fault, Why, str]] = {
    "no permission": (
        failure(403, "USER_PERMISSION_DENIED", "authorizationError"), Why.SETUP, "user_permission_denied",
    ),
    "not let in": (
        failure(403, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "notAllowlistedError"),
        Why.SETUP, "customer_not_allowlisted_for_this_feature",
    ),
    "the project has no production access": (
        failure(403, "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", "authorizationError"),
        Why.SETUP, "cloud_project_not_approved_for_production",
    ),
    "plain permission": (
        Fault("status", 403, body={"error": {"status": "PERMISSION_DENIED", "message": "No."}}),
        Why.SETUP, "permission_denied",
    ),
    "the API is switched off": (
        before_the_api(403, "PERMISSION_DENIED", "SERVICE_DISABLED"), Why.SETUP, "service_disabled",
    ),
    "a scope was unticked": (
        before_the_api(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), Why.NOT_CONNECTED, "scope_missing",
    ),
    "the version is gone": (failure(400, "UNSUPPORTED_VERSION", "requestError"), Why.SETUP, "unsupported_version"),
    "no customer": (failure(400, "INVALID_CUSTOMER_ID", "requestError"), Why.SETUP, "invalid_customer_id"),
    "not read": (
        Fault("status", 400, body={"error": {"status": "INVALID_ARGUMENT", "message": "No."}}),
        Why.SETUP, "invalid_argument",
    ),
    "nothing there": (Fault("status", 404), Why.SETUP, "http_404"),
    "too much": (Fault("status", 429), Why.BUSY, "quota"),
    "a quota without its status": (failure(400, "RESOURCE_EXHAUSTED", "quotaError"), Why.BUSY, "quota"),
    "prohibited": (failure(403, "ACCESS_PROHIBITED", "quotaError"), Why.SETUP, "access_prohibited"),
    "broken": (Fault("status", 503), Why.UNSURE, "broken"),
    "its own fault": (failure(400, "INTERNAL_ERROR", "internalError"), Why.UNSURE, "internal_error"),
    "broke off": (Fault("before"), Why.UNSURE, "no_answer"),
    "broke off after it was done": (Fault("after"), Why.UNSURE, "no_answer"),
    "half an answer": (Fault("half"), Why.UNSURE, "no_answer"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "why", "reason"), WHOLE.values(), ids=WHOLE.keys())
async def test_what_happens_to_a_whole_batch(world: World, fault: Fault, why: Why, reason: str) -> None:
    world.server.faults.append(fault)
    with pytest.raises(Trouble) as trouble:
        await world.send(item())
    assert (trouble.value.why, trouble.value.reason) == (why, reason)


async def test_an_account_that_is_not_let_in_is_told_by_the_real_answer(world: World) -> None:
    world.account.is_allow_listed = False
    with pytest.raises(Trouble) as trouble:
        await world.send(item())
    assert trouble.value.reason == "customer_not_allowlisted_for_this_feature"


WAITS: dict[str, tuple[dict[str, str], Any, float | None]] = {
    "by the header": ({"retry-after": "7"}, None, 7),
    "by the details of a quota": (
        {},
        whole(
            429, "RESOURCE_EXHAUSTED", "quotaError", "Too many requests.",
            details={"quotaErrorDetails": {"rateScope": "ACCOUNT", "rateName": "Requests", "retryDelay": "32.5s"}},
        ).body,
        32.5,
    ),
    "by RetryInfo": (
        {},
        {"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}]}},
        30,
    ),
    "not at all": ({}, {"error": {"message": "No."}}, None),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "body", "seconds"), WAITS.values(), ids=WAITS.keys())
async def test_how_long_google_wants_to_be_left_alone(
    world: World, headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    world.server.faults.append(Fault("status", 429, headers, body))
    with pytest.raises(Trouble) as busy:
        await world.send(item())
    assert (busy.value.why, busy.value.seconds) == (Why.BUSY, seconds)


async def test_a_token_that_ended_early_is_replaced_once(world: World) -> None:
    world.grant = Opened(world.tokens, first="ya29.ended")
    assert (await world.outcome(item())).outcome == "accepted"
    assert world.grant.asked == [False, True]


UNAUTHENTICATED = {
    "revoked": (failure(401, "OAUTH_TOKEN_REVOKED", "authenticationError"), "revoked"),
    "refused": (before_the_api(401, "UNAUTHENTICATED", "ACCESS_TOKEN_INVALID"), "token_refused"),
    "nobody of Google Ads": (failure(401, "NOT_ADS_USER", "authenticationError"), "not_ads_user"),
    "without a word": (Fault("status", 401), "token_refused"),
}


@pytest.mark.parametrize(("fault", "reason"), UNAUTHENTICATED.values(), ids=UNAUTHENTICATED.keys())
async def test_a_token_that_is_refused_twice_is_no_connection(
    world: World, fault: Fault, reason: str
) -> None:
    world.server.faults.extend([fault, fault])
    with pytest.raises(Trouble) as trouble:
        await world.send(item())
    assert (trouble.value.why, trouble.value.reason) == (Why.NOT_CONNECTED, reason)


# The connection test.


async def findings(world: World) -> dict[str, tuple[bool, str]]:
    return {f.code: (f.is_well, f.detail) for f in await world.adapter.check(TO, world.grant)}


async def test_where_all_is_well_nothing_is_sent(world: World) -> None:
    assert await findings(world) == {
        "connected": (True, ""), "account": (True, ""), "conversion_account": (True, ""), "action": (True, "Sealed lead"),
        "action_type": (True, ""), "action_enabled": (True, ""), "data_terms": (True, ""),
        "enhanced_conversions": (True, ""), "allow_listed": (True, ""),
    }  # fmt: skip
    assert [upload.get("validateOnly") for upload in world.ads.uploads] == [True] and not world.account.held


MISSING: dict[str, tuple[dict[str, Any], str, str]] = {
    "terms": ({"has_terms": False}, "data_terms", ""),
    "enhanced conversions": ({"is_enhanced": False}, "enhanced_conversions", ""),
    "the list": ({"is_allow_listed": False}, "allow_listed", "customer_not_allowlisted_for_this_feature"),
    "another account keeps them": ({"conversion_customer": "5550000000"}, "conversion_account", "5550000000"),
    "no action": ({"actions": {}}, "action", ""),
    "another type": ({"actions": {ACTION: Action(ACTION, type="WEBPAGE")}}, "action_type", "WEBPAGE"),
    "a hidden one": ({"actions": {ACTION: Action(ACTION, status="HIDDEN")}}, "action_enabled", "HIDDEN"),
    "no permission": ({"managers": {"5555555555"}}, "account", "user_permission_denied"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "detail"), MISSING.values(), ids=MISSING.keys())
async def test_what_is_missing_is_found(
    world: World, changes: dict[str, Any], code: str, detail: str
) -> None:
    for name, value in changes.items():
        setattr(world.account, name, value)
    found = await findings(world)
    assert found[code] == (False, detail)
    assert [name for name, (is_well, _) in found.items() if not is_well] == [code]


async def test_without_a_connection_nothing_else_is_asked(world: World) -> None:
    world.grant = Opened(world.tokens, scopes=("another",))
    assert await findings(world) == {"connected": (False, "scope_missing")}


async def test_where_google_does_not_answer_the_test_says_so(world: World) -> None:
    world.server.faults.append(Fault("status", 503))
    assert await findings(world) == {"connected": (True, ""), "reached": (False, "broken")}
