"""What is said of an installation: a table of what is known, and of what is said first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsmantik.dashboard.cards.install_state import (
    ENOUGH_ADS,
    RECEIVES_WITHIN,
    Facts,
    Stranger,
    findings,
    is_old,
    state_of,
)
from opsmantik.web.language import LANGUAGES, catalogue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FRESH = {
    "last_event_at": NOW - timedelta(minutes=1),
    "visits": 10,
    "consent_said": 10,
    "trackers": ["1.0.0"] * 10,
}
STRANGER = Stranger("https://other.example", 3, NOW)

# What is known; what is said, in order.
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing at all": ({}, ["nothing"]),
    "all is well": (FRESH, ["fine"]),
    "silent for three days": ({**FRESH, "last_event_at": NOW - RECEIVES_WITHIN - timedelta(seconds=1)}, ["quiet"]),
    "a night without a visitor": ({**FRESH, "last_event_at": NOW - timedelta(hours=14)}, ["fine"]),
    "switched off": ({"disabled": True}, ["disabled"]),
    "switched off, with all else well": ({**FRESH, "disabled": True}, ["disabled"]),
    "only an origin that is not allowed": (
        {"strangers": [STRANGER], "refused_recently": {"origin_refused": 3}}, ["wrong_origin"],
    ),
    "an origin whose name was not kept": (
        {"nameless_origins": 2, "refused_recently": {"origin_refused": 2}}, ["wrong_origin"],
    ),
    "the origin was allowed since, and nothing came": ({"refused_recently": {"origin_refused": 3}}, ["nothing"]),
    "one origin is refused beside others that work": (
        {**FRESH, "stored_recently": 5, "strangers": [STRANGER]}, ["wrong_origin"],
    ),
    "consent is required and none given": ({"refused_recently": {"no_consent": 4}}, ["no_consent"]),
    "some decline, others agree": ({**FRESH, "stored_recently": 5, "refused_recently": {"no_consent": 9}}, ["fine"]),
    "nobody agrees any more": ({**FRESH, "refused_recently": {"no_consent": 9}}, ["no_consent"]),
    "the quota is used up": ({**FRESH, "stored_recently": 1, "refused_recently": {"over_quota": 9}}, ["over_quota"]),
    "nothing can be read": ({"refused_recently": {"malformed": 4}}, ["unreadable"]),
    "the database takes none of it": ({"refused_recently": {"unstorable": 1}}, ["unreadable"]),
    "most of it cannot be read": (
        {**FRESH, "stored_recently": 2, "refused_recently": {"malformed": 3}}, ["unreadable"],
    ),
    "a little of it cannot be read": (
        {**FRESH, "stored_recently": 20, "refused_recently": {"malformed": 1}}, ["fine"],
    ),
    "in too much haste": ({**FRESH, "stored_recently": 20, "refused_recently": {"rate_limited": 1}}, ["too_fast"]),
    "bots alone": ({"refused_recently": {"bot": 4}}, ["nothing", "only_bots"]),
    "bots in a quiet hour": ({**FRESH, "refused_recently": {"bot": 4}}, ["only_bots"]),
    "bots beside people": ({**FRESH, "stored_recently": 1, "refused_recently": {"bot": 4}}, ["fine"]),
    "the first generation's tracker": ({**FRESH, "trackers": [None] * 3}, ["old_tracker"]),
    "an old tracker in half of the visits": ({**FRESH, "trackers": [None, "1.0.0"]}, ["fine"]),
    "an old tracker in most visits": ({**FRESH, "trackers": ["0.9.9", None, "1.0.0"]}, ["old_tracker"]),
    "ads without click ids": ({**FRESH, "ad_visits": ENOUGH_ADS}, ["no_click_ids"]),
    "too few ads to tell": ({**FRESH, "ad_visits": ENOUGH_ADS - 1}, ["fine"]),
    "ads with one click id": ({**FRESH, "ad_visits": 50, "ad_clicks": 1}, ["fine"]),
    "no word on consent, and none is wanted": ({**FRESH, "consent_said": 0}, ["fine", "no_consent_word"]),
    "no word on consent where one is wanted": (
        {**FRESH, "consent_said": 0, "consent_mode": "legacy"}, ["no_consent_word"],
    ),
    "no visit, so no word": ({**FRESH, "visits": 0, "consent_said": 0}, ["fine"]),
    "everything at once: what keeps all out comes first": (
        {
            "disabled": True, "strangers": [STRANGER], "trackers": [None], "visits": 9, "ad_visits": 9,
            "last_event_at": NOW, "refused_recently": {"rate_limited": 1, "no_consent": 2, "bot": 1},
        },
        [
            "disabled", "wrong_origin", "no_consent", "too_fast", "only_bots", "old_tracker", "no_click_ids",
            "no_consent_word",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("known", "said"), CASES.values(), ids=CASES.keys())
def test_what_hurts_most_is_said_first(known: dict[str, Any], said: list[str]) -> None:
    assert [finding.name for finding in findings(Facts(now=NOW, **known))] == said


def test_every_finding_is_reached_by_a_case_and_has_its_words() -> None:
    names = {name for _, said in CASES.values() for name in said}
    for language in LANGUAGES:
        words = catalogue(language)
        for part in ("title", "what", "do"):
            assert {
                key.removeprefix(f"verify.{part}_") for key in words if key.startswith(f"verify.{part}_")
            } == names


def test_numbers_are_those_of_what_is_said() -> None:
    facts = Facts(now=NOW, strangers=[STRANGER, Stranger("https://b.example", 4, NOW)])
    assert findings(facts)[0].n == 7
    assert findings(Facts(now=NOW, **{**FRESH, "ad_visits": 8}))[0].n == 8


STATES = {
    "nothing": (None, 0, [], "missing"),
    "only refused": (None, 3, [], "refused"),
    "long silent": (NOW - timedelta(days=4), 0, [], "quiet"),
    "old": (NOW, 0, [None], "outdated"),
    "receiving": (NOW, 5, ["1.0.0"], "receiving"),
}


@pytest.mark.parametrize(("last", "refused", "trackers", "state"), STATES.values(), ids=STATES.keys())
def test_the_state_in_one_word(last: Any, refused: int, trackers: list[str | None], state: str) -> None:
    assert state_of(last, NOW, refused, trackers) == state


@pytest.mark.parametrize(
    ("version", "old"),
    [
        (None, True),
        ("", True),
        ("0.9", True),
        ("x", True),
        ("1.0.0", False),
        ("1.2", False),
        ("10.0.0", False),
    ],
)
def test_which_trackers_are_old(version: str | None, old: bool) -> None:
    assert is_old(version) is old
