"""Each rule finds what it is for, at its limit and not below; an ordinary lead is found by none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsmantik.intents.suspicion import RULES, LeadFacts, Suspicion, suspicions

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing known": ({}, []),
    "an ordinary tap": (
        {"session_began_at": NOON - timedelta(minutes=3), "taps_of_device": 2, "clock_shift": timedelta(minutes=9)},
        [],
    ),
    "the visit began two minutes after the call": ({"session_began_at": NOON + timedelta(minutes=2)}, []),
    "the visit began a second later than that": (
        {"session_began_at": NOON + timedelta(minutes=2) + SECOND},
        ["session_after_call"],
    ),
    "five taps of one device in a minute": ({"taps_of_device": 5}, []),
    "six": ({"taps_of_device": 6}, ["burst"]),
    "fifteen taps of one address, many devices": ({"taps_of_address": 15}, []),
    "sixteen": ({"taps_of_address": 16}, ["burst"]),
    "a robot by its own word": ({"bot": "HeadlessChrome"}, ["known_bot"]),
    "a user agent that names no robot": ({"bot": ""}, []),
    "a clock in the wrong zone": ({"clock_shift": timedelta(hours=26)}, []),
    "a clock beyond all zones": ({"clock_shift": timedelta(hours=26) + SECOND}, ["clock_impossible"]),
    "a clock as far behind": ({"clock_shift": -timedelta(days=400)}, ["clock_impossible"]),
    "all at once, in the rules' order": (
        {
            "session_began_at": NOON + timedelta(hours=1),
            "taps_of_device": 9,
            "taps_of_address": 99,
            "bot": "x",
            "clock_shift": timedelta(days=2),
        },
        ["session_after_call", "burst", "known_bot", "clock_impossible"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("known", "found"), CASES.values(), ids=CASES.keys())
def test_a_lead_is_suspicious_by(known: dict[str, Any], found: list[str]) -> None:
    assert list(suspicions(LeadFacts(happened_at=NOON, **known))) == found


def test_every_reason_has_one_rule_and_a_case() -> None:
    assert [name for name, _ in RULES] == list(Suspicion)
    assert {name for _, found in CASES.values() for name in found} == set(Suspicion)
