"""What Google says, in the ledger's words. The codes are those of ErrorReason and ProcessingErrorReason."""

from __future__ import annotations

from typing import Any

import pytest

from opsmantik.conversions.adapters import Kind, Trouble, Why
from opsmantik.conversions.google_answers import (
    AGAIN,
    LATER,
    LOST,
    SETUP,
    SIX_HOURS,
    THERE,
    Status,
    outcome_of,
    refusal_of,
    status_of,
    warnings_of,
)
from opsmantik.conversions.http import Reply
from tests.conversions.google.errors import Violation, no


def said(code: int, *violations: tuple[str, str], reason: str | None = None) -> Reply:
    response = no(
        code,
        "Words of Google's.",
        reason=reason,
        violations=[Violation(f, r, "Cj0Secret is wrong") for f, r in violations],
    )
    return Reply(response.status, response.body, {})


TROUBLES: dict[str, tuple[Reply, Why, str, float | None]] = {
    "401": (said(401, reason="ACCESS_TOKEN_INVALID"), Why.NOT_CONNECTED, "access_token_invalid", None),
    "401 without a word": (Reply(401, None, {}), Why.NOT_CONNECTED, "unauthenticated", None),
    "scope": (
        said(403, reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT"), Why.NOT_CONNECTED, "access_token_scope_insufficient", None,
    ),
    "account": (said(403, reason="PERMISSION_DENIED"), Why.SETUP, "permission_denied", None),
    "API switched off": (said(403, reason="SERVICE_DISABLED"), Why.SETUP, "service_disabled", None),
    "403 without a word": (Reply(403, None, {}), Why.SETUP, "permission_denied", None),
    "403 for a quota": (said(403, reason="RATE_LIMIT_EXCEEDED"), Why.BUSY, "quota", None),
    "404": (said(404), Why.SETUP, "not_found", None),
    "action": (
        said(400, ("destinations.destinations[0].product_destination_id", "INVALID_CONVERSION_ACTION_ID")),
        Why.SETUP, "invalid_conversion_action_id", None,
    ),
    "a reason that we do not know, about the destination": (
        said(400, ("destinations.destinations[0]", "NEWLY_INVENTED")), Why.SETUP, "newly_invented", None
    ),
    "terms, said about one event": (
        said(400, ("events.events[3].user_data", "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED")),
        Why.SETUP, "destination_account_enhanced_conversions_terms_not_signed", None,
    ),
    "a new action": (
        said(400, reason="CONVERSION_ACTION_TOO_RECENTLY_CREATED"),
        Why.BUSY, "conversion_action_too_recently_created", SIX_HOURS,
    ),
    "408": (Reply(408, None, {}), Why.UNSURE, "unexpected", None),
    "a page of somebody's proxy": (Reply(302, None, {}), Why.UNSURE, "unexpected", None),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "why", "reason", "seconds"), TROUBLES.values(), ids=TROUBLES)
def test_what_concerns_the_whole_batch(reply: Reply, why: Why, reason: str, seconds: float | None) -> None:
    with pytest.raises(Trouble) as caught:
        refusal_of(reply)
    assert (caught.value.why, caught.value.reason, caught.value.seconds) == (why, reason, seconds)


@pytest.mark.parametrize("reason", sorted(SETUP))
def test_what_somebody_has_to_put_right_stops_the_site_whatever_it_is_said_about(reason: str) -> None:
    for reply in (said(400, reason=reason), said(400, ("events.events[0]", reason))):
        with pytest.raises(Trouble) as caught:
            refusal_of(reply)
        assert (caught.value.why, caught.value.reason) == (Why.SETUP, reason.lower())


def test_events_that_are_named_fail_by_name() -> None:
    refusal = refusal_of(said(
        400, ("events.events[2].user_data.user_identifiers[0]", "INVALID_HEX_ENCODING"), ("events[7]", "INVALID_EVENT"),
        ("events.events[2].currency", "INVALID_CURRENCY_CODE"),
    ))  # fmt: skip
    assert refusal.events == {
        2: ("invalid_hex_encoding", "user_data.user_identifiers[0] INVALID_HEX_ENCODING"),
        7: ("invalid_event", "INVALID_EVENT"),
    }


@pytest.mark.parametrize(
    "body",
    [None, [], {"error": None}, {"error": {"details": "x"}}, {"error": {"details": [None, {"@type": 5}]}},
     {"error": {"details": [{"@type": "google.rpc.BadRequest", "fieldViolations": {"field": 1}}]}},
     {"error": {"details": [{"@type": "google.rpc.BadRequest", "fieldViolations": [{"field": 1, "reason": "a b"}]}]}}],
    ids=["none", "a list", "no error", "no details", "odd details", "odd violations", "odd fields"],
)  # fmt: skip
def test_a_refusal_that_says_nothing_is_about_all_together(body: Any) -> None:
    refusal = refusal_of(Reply(400, body, {}))
    assert (refusal.events, refusal.reason) == ({}, "refused")


def test_nothing_that_was_sent_is_quoted() -> None:
    """Google's sentences about events may have the click id or a number in them."""
    refusal = refusal_of(said(400, ("events.events[0].ad_identifiers.gclid", "INVALID_FORMAT")))
    assert "Secret" not in str(refusal)
    odd = no(
        400,
        "x",
        violations=[Violation("events.events[0].gclid='Cj0Secret'", "INVALID Cj0Secret", "Cj0Secret")],
    )
    assert "Secret" not in str(refusal_of(Reply(400, odd.body, {})))


def status(state: str, errors: dict[str, Any] | None = None, warnings: dict[str, Any] | None = None) -> Reply:
    place: dict[str, Any] = {"requestStatus": state, "eventsIngestionStatus": {"recordCount": "3"}}
    if errors is not None:
        place["errorInfo"] = {"errorCounts": [{"reason": r, "recordCount": n} for r, n in errors.items()]}
    if warnings is not None:
        place["warningInfo"] = {
            "warningCounts": [{"reason": r, "recordCount": n} for r, n in warnings.items()]
        }
    return Reply(200, {"requestStatusPerDestination": [place]}, {})


BAD = {
    "PROCESSING_ERROR_REASON_INVALID_GCLID": "2",
    "PROCESSING_ERROR_OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER": 1,
}
STATUSES: dict[str, tuple[Reply, Status]] = {
    "success": (status("SUCCESS"), Status("success")),
    "success with warnings": (
        status("SUCCESS", warnings={"PROCESSING_WARNING_REASON_INTERNAL_ERROR": "1"}),
        Status("success", {}, {"INTERNAL_ERROR": 1}),
    ),
    "processing": (status("PROCESSING"), Status("processing")),
    "unknown": (status("REQUEST_STATUS_UNKNOWN"), Status("processing")),
    "a word of the future": (status("SHELVED"), Status("processing")),
    "nothing yet": (Reply(200, {}, {}), Status("processing")),
    "no JSON": (Reply(200, None, {}), Status("processing")),
    "failed": (
        status("FAILED", BAD),
        Status("failed", {"INVALID_GCLID": 2, "OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER": 1}),
    ),
    "as the guide writes it": (status("FAILURE"), Status("failed")),
    "partial": (status("PARTIAL_SUCCESS", {"PROCESSING_ERROR_REASON_X": "x"}), Status("partial", {"X": 0})),
    "forgotten": (said(400, reason="REQUEST_TOO_OLD"), Status("lost")),
    "never heard of": (said(400, ("request_id", "INVALID_REQUEST_ID")), Status("lost")),
    "not found": (said(404, reason="NOT_FOUND"), Status("lost")),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "expected"), STATUSES.values(), ids=STATUSES)
def test_what_became_of_a_request(reply: Reply, expected: Status) -> None:
    assert status_of(reply) == expected


@pytest.mark.parametrize(
    ("reply", "why"),
    [(said(400, reason="INVALID_ARGUMENT"), Why.UNSURE), (said(401), Why.NOT_CONNECTED), (said(404), Why.SETUP),
     (said(403, reason="PERMISSION_DENIED"), Why.SETUP)],
    ids=["400", "401", "404", "403"],
)  # fmt: skip
def test_a_status_that_cannot_be_had(reply: Reply, why: Why) -> None:
    with pytest.raises(Trouble) as caught:
        status_of(reply)
    assert caught.value.why is why


OUTCOMES: dict[str, tuple[Kind, dict[str, int], str, str, float | None]] = {
    **{f"new: {reason}": ("new", {reason: 1}, "accepted", "already_there", None) for reason in sorted(THERE)},
    **{f"restate: {reason}": ("restate", {reason: 1}, "failed", reason.lower(), None) for reason in sorted(THERE)},
    **{f"again: {reason}": ("new", {reason: 1}, "failed", reason.lower(), wait) for reason, wait in AGAIN.items()},
    "retract: nothing there": ("retract", {"ORIGINAL_CONVERSIONS_NOT_FOUND": 1}, "gone", "gone", None),
    "new: nothing there": (
        "new", {"ORIGINAL_CONVERSIONS_NOT_FOUND": 1}, "failed", "original_conversions_not_found", None,
    ),
    "two reasons": ("new", {"INVALID_GCLID": 1, "EVENT_TOO_OLD": 2}, "failed", "several", None),
    "two reasons, one passes": ("new", {"INVALID_GCLID": 1, "TOO_RECENT_CLICK": 2}, "failed", "several", SIX_HOURS),
    "no reason": ("new", {}, "failed", "no_reason_given", None),
    **{
        f"for good: {reason}": ("new", {reason: 1}, "failed", reason.lower(), None)
        for reason in (
            "DUPLICATE_GCLID", "EVENT_TOO_OLD", "DENIED_CONSENT", "NO_CONSENT", "UNKNOWN_CONSENT", "INVALID_GCLID",
            "INVALID_GBRAID", "INVALID_WBRAID", "INVALID_EVENT", "INVALID_FORMAT", "CONVERSION_PRECEDES_CLICK",
            "INVALID_CLICK", "INVALID_OPERATING_ACCOUNT_FOR_CLICK", "CLICK_NOT_FOUND", "EXTERNAL_ATTRIBUTION_DATA_MISSING",
            "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID", "A_REASON_OF_THE_FUTURE",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("kind", "errors", "outcome", "reason", "seconds"), OUTCOMES.values(), ids=OUTCOMES)
def test_each_reason_has_its_class(
    kind: Kind, errors: dict[str, int], outcome: str, reason: str, seconds: float | None
) -> None:
    found = outcome_of(4, kind, errors)
    assert (found.position, found.outcome, found.reason, found.seconds) == (4, outcome, reason, seconds)


def test_the_classes_do_not_overlap() -> None:
    assert not SETUP & LATER.keys() and not SETUP & LOST and not THERE & AGAIN.keys()


def test_warnings_are_kept_as_fields_and_codes() -> None:
    body = {"requestId": "r", "fieldWarnings": [
        {"field": "events.events[0].currency", "reason": "WARNING_REASON_GENERIC", "description": "Cj0Secret"}, "odd", {},
    ]}  # fmt: skip
    assert warnings_of(body) == ["events.events[0].currency WARNING_REASON_GENERIC", ""]
    assert warnings_of(None) == [] and warnings_of({"fieldWarnings": "x"}) == []
