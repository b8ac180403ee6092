"""The row that a sealed lead gets in the ledger: state and reason, value, moment, click, and its order id."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from opsmantik.conversions.ledger import WEIGHTS, Click, SealedLead, one_click, order_id, row_of, weights_of

CALL = UUID("01939f00-1111-7222-8333-444455556666")
TAP = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = TAP + timedelta(hours=3)
CLICKED = TAP - timedelta(minutes=2)
CLICK = Click("gclid", "Cj0KCQiA-real_Id", CLICKED)
DAY = timedelta(days=1)


def lead(**changes: Any) -> SealedLead:
    facts: dict[str, Any] = {
        "call_id": CALL, "cycle": 1, "amount": Decimal("1500.50"), "currency": "TRY", "stage": None,
        "tapped_at": TAP, "decided_at": NOW, "sale_at": None, "click": CLICK, "consent_marketing": None,
        "consent_mode": "implied", "conversion_time": "intent", "undo_minutes": 10, "now": NOW,
    }  # fmt: skip
    return SealedLead(**facts | changes)


def clicked(at: datetime, id_: str = CLICK.id) -> dict[str, Any]:
    return {"click": Click("gclid", id_, at)}


# The click's age counts at the earliest moment of sending, ten minutes after the seal.
LIMIT = NOW + timedelta(minutes=10) - 90 * DAY

STATES: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "an amount and a click": ({}, "held", None),
    "an amount of nothing is an amount": ({"amount": Decimal(0)}, "held", None),
    "no amount": ({"amount": None}, "held", "stage_weight"),
    "no amount, and nothing that stands in for it": (
        {"amount": None, "weights": {**WEIGHTS, None: None}}, "skipped", "value_unknown",
    ),
    "an amount, where nothing would stand in for it": ({"weights": {**WEIGHTS, None: None}}, "held", None),
    "another stage's weight is missing": ({"amount": None, "weights": {**WEIGHTS, "won": None}}, "held", "stage_weight"),
    "what is worse than an unknown value is said": (
        {"amount": None, "weights": {**WEIGHTS, None: None}, "click": None}, "skipped", "no_click_id",
    ),
    "no click id": ({"click": None}, "skipped", "no_click_id"),
    "no click id, to a platform that needs none": ({"click": None, "needs_click": False}, "held", None),
    "no click id where none is needed, and no consent": (
        {"click": None, "needs_click": False, "consent_marketing": False}, "skipped", "no_consent",
    ),
    "a test click where none is needed": (clicked(CLICKED, "test-1") | {"needs_click": False}, "skipped", "test_click"),
    "no click id and no amount": ({"click": None, "amount": None}, "skipped", "no_click_id"),
    "a test click": (clicked(CLICKED, "TeSter-123"), "skipped", "test_click"),
    "an id with test inside is real": (clicked(CLICKED, "Cj0KtestQ-1"), "held", None),
    "consent refused": ({"consent_marketing": False}, "skipped", "no_consent"),
    "consent refused where it is implied": (
        {"consent_marketing": False, "consent_mode": "legacy"}, "skipped", "no_consent",
    ),
    "consent not asked where it is required": ({"consent_mode": "required"}, "skipped", "no_consent"),
    "consent given where it is required": ({"consent_marketing": True, "consent_mode": "required"}, "held", None),
    "consent not asked of an old tracker": ({"consent_mode": "legacy"}, "held", None),
    "a click of ninety days": (clicked(LIMIT), "held", None),
    "a click a moment older": (clicked(LIMIT - timedelta(seconds=1)), "skipped", "too_old"),
    "a test click comes before its consent": (
        clicked(CLICKED, "test-1") | {"consent_marketing": False}, "skipped", "test_click",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "state", "reason"), STATES.values(), ids=STATES.keys())
def test_a_sealed_lead_is_held_or_skipped(changes: dict[str, Any], state: str, reason: str | None) -> None:
    row = row_of(lead(**changes))
    assert (row.state, row.reason) == (state, reason)
    assert row.due_at == NOW + timedelta(minutes=10)


def test_who_refused_marketing_has_no_click_id_kept_for_it() -> None:
    row = row_of(lead(consent_marketing=False))
    assert (row.click_id, row.click_id_kind) == (None, None)
    assert row_of(lead()).click_id == CLICK.id


VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "the amount": ({}, "1500.50"),
    "the amount, whatever the stage": ({"stage": "offered"}, "1500.50"),
    "nothing, said in so many words": ({"amount": Decimal(0), "stage": "won"}, "0"),
    "sealed and no more": ({"amount": None}, "10"),
    "contacted": ({"amount": None, "stage": "contacted"}, "10"),
    "offered": ({"amount": None, "stage": "offered"}, "50"),
    "won": ({"amount": None, "stage": "won"}, "100"),
}


@pytest.mark.parametrize(("changes", "value"), VALUES.values(), ids=VALUES.keys())
def test_the_value_is_the_amount_or_the_stage_s_weight(changes: dict[str, Any], value: str) -> None:
    row = row_of(lead(**changes, currency="EUR"))
    assert (str(row.value), row.currency) == (value, "EUR")


def test_a_value_that_nobody_knows_is_none() -> None:
    assert row_of(lead(amount=None, weights={**WEIGHTS, None: None})).value is None


SETTINGS: dict[str, tuple[Any, dict[str | None, str | None]]] = {
    "nothing": (None, {None: "10", "contacted": "10", "offered": "50", "won": "100"}),
    "no settings at all": ([], {None: "10"}),
    "numbers, as JSON has them": (
        {"none": 1, "won": 99.5, "offered": "7.25"}, {None: "1", "won": "99.5", "offered": "7.25"},
    ),
    "nothing is to stand in": ({"none": None, "won": None}, {None: None, "won": None, "contacted": "10"}),
    "zero is a weight": ({"won": 0}, {"won": "0"}),
    "what is no number": ({"none": "a lot", "won": -5, "offered": "NaN"}, {None: "10", "won": "100", "offered": "50"}),
}  # fmt: skip


@pytest.mark.parametrize(("given", "weights"), SETTINGS.values(), ids=SETTINGS.keys())
def test_weights_are_the_site_s(given: Any, weights: dict[str | None, str | None]) -> None:
    found = weights_of(given)
    assert {stage: None if found[stage] is None else str(found[stage]) for stage in weights} == weights
    assert found.keys() == WEIGHTS.keys()


MOMENTS: dict[str, tuple[dict[str, Any], datetime]] = {
    "the tap": ({}, TAP),
    "the decision, where the site says so": ({"conversion_time": "decision"}, NOW),
    "the sale": ({"sale_at": TAP + DAY, "now": TAP + 2 * DAY}, TAP + DAY),
    "the sale, before the site's policy": (
        {"sale_at": TAP + DAY, "conversion_time": "decision", "now": TAP + 2 * DAY}, TAP + DAY,
    ),
    "a sale in the tap's minute": ({"sale_at": TAP - timedelta(seconds=40)}, TAP),
    "a tap in the click's own second": (clicked(TAP), TAP + timedelta(seconds=1)),
    "a click that came after the tap": (clicked(TAP + timedelta(minutes=5)), TAP + timedelta(minutes=5, seconds=1)),
    "no click": ({"click": None}, TAP),
    "sealed again": ({"cycle": 2}, TAP + timedelta(seconds=1)),
    "and again, by a click of the same second": ({"cycle": 3, **clicked(TAP)}, TAP + timedelta(seconds=2)),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "moment"), MOMENTS.values(), ids=MOMENTS.keys())
def test_the_moment_is_after_the_click_and_never_before_the_tap(
    changes: dict[str, Any], moment: datetime
) -> None:
    assert row_of(lead(**changes)).occurred_at == moment


def test_the_order_id_is_the_lead_s_and_says_nothing_of_a_person() -> None:
    ids = [order_id(CALL, cycle) for cycle in (1, 1, 2, 999)]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert all(re.fullmatch(r"om-[0-9a-f]{32}-\d+", id_) and len(id_) <= 64 for id_ in ids)
    assert row_of(lead(cycle=2)).order_id == ids[2]
    assert order_id(UUID(int=CALL.int + 1), 1) not in ids


GCLID, WBRAID, GBRAID = "g" * 20, "w" * 20, "b" * 20
CLICKS: dict[str, tuple[tuple[str | None, str | None], dict[str, str | None], Click | None]] = {
    "none": ((None, None), {}, None),
    "of three the gclid": (
        (None, None), {"gclid": GCLID, "wbraid": WBRAID, "gbraid": GBRAID}, Click("gclid", GCLID, CLICKED),
    ),
    "of two the wbraid": ((None, None), {"gbraid": GBRAID, "wbraid": WBRAID}, Click("wbraid", WBRAID, CLICKED)),
    "the gbraid alone": ((None, None), {"gbraid": GBRAID}, Click("gbraid", GBRAID, CLICKED)),
    "the lead's own before its visit's": (("gbraid", GBRAID), {"gclid": GCLID}, Click("gbraid", GBRAID, TAP)),
    "the lead's own, which the visit knows": (("gclid", GCLID), {"gclid": GCLID}, Click("gclid", GCLID, CLICKED)),
    "the lead's own, without a visit": (("gclid", GCLID), {}, Click("gclid", GCLID, TAP)),
    "an empty id is none": ((None, None), {"gclid": "", "gbraid": GBRAID}, Click("gbraid", GBRAID, CLICKED)),
}  # fmt: skip


@pytest.mark.parametrize(("own", "visit", "click"), CLICKS.values(), ids=CLICKS.keys())
def test_exactly_one_click_id_is_reported(own: Any, visit: Any, click: Click | None) -> None:
    assert one_click(own, visit, visit_clicked_at=CLICKED, tapped_at=TAP) == click


def test_a_visit_s_click_of_unknown_time_is_not_before_the_tap() -> None:
    assert one_click((None, None), {"gclid": GCLID}, visit_clicked_at=None, tapped_at=TAP) == Click(
        "gclid", GCLID, TAP
    )
