"""The lead score: bounded, explained, monotone, and never against those an ad brought."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.intents.score import SessionFacts, call_breakdown, score

NAMED = {
    "nothing happened": (SessionFacts(), 0, {}),
    "a view": (SessionFacts(events=1, views=1), 2, {"activity": 2}),
    "a tap at once": (
        SessionFacts(events=2, views=1, conversions=1, taps=1),
        37,
        {"conversions": 35, "activity": 2},
    ),
    "the same, from an ad": (
        SessionFacts(events=2, views=1, conversions=1, taps=1, has_click_id=True, paid=True),
        47,
        {"conversions": 35, "ad_click": 10, "activity": 2},
    ),
    "the same, from an ad without an id": (
        SessionFacts(events=2, views=1, conversions=1, taps=1, paid=True),
        45,
        {"conversions": 35, "ad_click": 8, "activity": 2},
    ),
    "a reader who taps": (
        SessionFacts(events=6, views=2, conversions=1, taps=1, active_sec=70, max_scroll=90, cta_hovers=2),
        58,
        {"conversions": 35, "activity": 6, "scroll": 9, "attention": 6, "hovers": 2},
    ),
    "taps that were not counted as conversions": (SessionFacts(taps=2), 41, {"conversions": 41}),
    "a tracker that reports only duration": (SessionFacts(duration_sec=60), 4, {"attention": 4}),
    "a form half filled": (SessionFacts(form_focus_sec=12), 3, {"form": 3}),
    "a returning visitor": (SessionFacts(previous_visits=1), 3, {"returning": 3}),
    "everything": (
        SessionFacts(99, 9, 9, 9, 999, 999, 100, 99, 99, 9, True, True),
        100,
        {
            "conversions": 45,
            "ad_click": 10,
            "activity": 10,
            "scroll": 10,
            "attention": 10,
            "hovers": 5,
            "form": 5,
            "returning": 5,
        },
    ),
    "nonsense below zero": (SessionFacts(-5, -5, -5, -5, -5, -5, -5, -5, -5, -5), 0, {}),
}


@pytest.mark.parametrize(("facts", "total", "parts"), NAMED.values(), ids=NAMED.keys())
def test_a_session_scores(facts, total, parts):
    result = score(facts)
    assert result.total == total
    assert dict(result.parts) == parts


numbers = st.integers(-10, 2000)
sessions = st.builds(
    SessionFacts,
    events=numbers,
    conversions=numbers,
    taps=numbers,
    views=numbers,
    duration_sec=numbers,
    active_sec=numbers,
    max_scroll=numbers,
    cta_hovers=numbers,
    form_focus_sec=numbers,
    previous_visits=numbers,
    has_click_id=st.booleans(),
    paid=st.booleans(),
)
COUNTS = [name for name in SessionFacts.__struct_fields__ if name not in ("has_click_id", "paid")]


@given(sessions)
def test_a_score_is_between_0_and_100_and_the_sum_of_its_parts(facts):
    result = score(facts)
    assert 0 <= result.total <= 100
    assert result.total == sum(points for _, points in result.parts)
    assert all(points > 0 for _, points in result.parts)


@given(sessions, st.sampled_from(COUNTS), st.integers(1, 500))
def test_more_engagement_never_lowers_a_score(facts, field, more):
    grown = msgspec.structs.replace(facts, **{field: getattr(facts, field) + more})
    assert score(grown).total >= score(facts).total


@given(sessions)
def test_an_ad_never_lowers_a_score_and_a_click_id_never_less_than_an_ad(facts):
    totals = [
        score(msgspec.structs.replace(facts, has_click_id=click_id, paid=paid)).total
        for click_id, paid in ((False, False), (False, True), (True, False), (True, True))
    ]
    assert totals == sorted(totals)
    assert totals[0] < totals[1]


@pytest.mark.parametrize(
    ("counts", "raw", "final", "capped"),
    [
        ((0, 0, 0), 0, 0, False),
        ((1, 2, 50), 80, 80, False),
        ((2, 4, 40), 100, 100, False),
        ((3, 5, 50), 135, 100, True),
        ((-1, -1, -1), 0, 0, False),
    ],
)
def test_a_matched_calls_breakdown_has_the_keys_that_reports_read(counts, raw, final, capped):
    conversions, interactions, bonus = (max(0, count) for count in counts)
    assert call_breakdown(*counts) == {
        "conversionPoints": 20 * conversions,
        "interactionPoints": 5 * interactions,
        "bonuses": bonus,
        "cappedAt100": capped,
        "rawScore": raw,
        "finalScore": final,
    }
