"""What each list and each of its keys means, in the sentence of docs/contracts.md, beside the test that tries it."""

# ruff: noqa: E501 - a row a line

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opsmantik.dashboard.contracts import CONTRACTS, SITES
from tests.web import test_api, test_lead_page

DOCS = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()
# Answered by figures: tests/dashboard/test_contracts_figures.py.
FIGURES = {"command_centre", "timeline", "breakdown", "watchdog"}
ROWS = {contract.name: contract for contract in (*CONTRACTS, SITES) if contract.name not in FIGURES}

DEFINED: dict[tuple[str, str], tuple[str, Any]] = {
    ("recent_intents", "items"): (
        "Leads by the time at which they came in, newest first; a tap that repeats another of the same visit within half an"
        " hour is no lead of its own.",
        test_api.test_leads_are_narrowed,
    ),
    ("recent_intents", "tap_count"): (
        "How many taps the lead stands for, its own included.",
        test_api.test_a_lead_says_what_is_known_of_it,
    ),
    ("recent_intents", "has_click_id"): (
        "Whether the tap or its visit carries a Google click id (gclid, wbraid or gbraid).",
        test_api.test_a_lead_says_what_is_known_of_it,
    ),
    ("recent_intents", "is_paid"): (
        "Whether the visit's source is a paid one; false for a lead without a visit.",
        test_api.test_a_lead_says_what_is_known_of_it,
    ),
    ("recent_intents", "risks"): (
        "Why the lead may be none, or cannot be reported: no_click_id, short_visit (3 seconds or less), few_events (one or"
        " none), organic (its source's name says so).",
        test_api.test_a_lead_says_what_is_known_of_it,
    ),
    ("recent_intents", "conversion"): (
        "The lead's row in the ledger of conversions that is not taken back, if it has one.",
        test_api.test_a_lead_says_what_is_known_of_it,
    ),
    ("intent", "attribution"): (
        "The rule of the ladder that won, the values that it won by, and the rules that matched and lost.",
        test_api.test_one_lead_is_explained,
    ),
    ("intent", "taps"): ("Every tap that is this lead, oldest first.", test_api.test_one_lead_is_explained),
    ("intent", "actions"): (
        "Every act on the lead, newest first, with who did it and what was there before.",
        test_api.test_one_lead_has_its_log_with_who_did_what,
    ),
    ("intent", "undoable"): (
        "The act that an undo would take back: the latest, unless it is an undo itself; what the platform answered is no act"
        " of anybody's.",
        test_lead_page.test_the_log_tells_every_act_from_what_to_what_and_undoes_the_latest,
    ),
    ("intent", "ad_click"): (
        "The one click that a conversion of this lead would name, and its age when the lead came in.",
        test_api.test_one_lead_is_explained,
    ),
    ("intent", "withdrawn"): (
        "The lead's latest conversion that was taken back, where none stands now.",
        test_lead_page.test_a_seal_that_was_junked_says_that_its_report_was_taken_back,
    ),
    ("activity", "items"): (
        "Acts on the site's leads by the time at which they were done, newest first.",
        test_lead_page.test_acts_stand_newest_first_and_are_narrowed,
    ),
    ("activity", "is_undoable"): (
        "Whether an undo of the lead would take back this act: it is the lead's latest, and neither an undo nor what the"
        " platform answered.",
        test_lead_page.test_acts_stand_newest_first_and_are_narrowed,
    ),
    ("activity", "actors"): (
        "The people among the newest 2,000 acts of the range.",
        test_lead_page.test_acts_stand_newest_first_and_are_narrowed,
    ),
    ("lead_list", "items"): (
        "Leads of any kind and conversion events of the site's visits, by the time at which they came in, newest first.",
        test_api.test_conversions_stand_beside_the_leads,
    ),
    ("lead_list", "score"): (
        "A lead's score from 0 to 100; of a conversion event its value, 0 where it has none.",
        test_api.test_conversions_stand_beside_the_leads,
    ),
    ("newest_sessions", "items"): (
        "Visits by the time at which their first event came in, newest first; each filter that is given leaves"
        " those that breakdown counts under that value.",
        test_api.test_visits_come_newest_first_with_the_score_of_their_lead,
    ),
    ("newest_sessions", "lead_score"): (
        "The score of the visit's best lead; null where it has none.",
        test_api.test_visits_come_newest_first_with_the_score_of_their_lead,
    ),
    ("session_details", "event_count"): (
        "Events of the visit; heartbeats and goodbyes are none.",
        test_api.test_heartbeats_make_a_visit_longer_and_nothing_else,
    ),
    ("session_details", "total_duration_sec"): (
        "From the visit's first sign of life to its last, heartbeats included.",
        test_api.test_heartbeats_make_a_visit_longer_and_nothing_else,
    ),
    ("session_timeline", "items"): (
        "The visit's events by the time of their happening, latest first; heartbeats and goodbyes are none.",
        test_api.test_steps_are_in_the_order_of_their_happening,
    ),
    ("visitor_sessions", "items"): (
        "The visitor's visits that began within the last 184 days, newest first.",
        test_api.test_a_visitor_has_the_visits_of_six_months,
    ),
    ("visitor_sessions", "visits"): (
        "How many visits of theirs there ever were.",
        test_api.test_a_visitor_has_the_visits_of_six_months,
    ),
    ("site_status", "traffic"): (
        "receiving: something came in within the last ten minutes, a heartbeat too; quiet: not since quiet_since; never:"
        " nothing ever has.",
        test_api.test_a_site_says_whether_it_receives_and_since_when_not,
    ),
    ("site_status", "last_event"): (
        "The newest event of the site's twenty newest visits of the last two days before it fell quiet.",
        test_api.test_a_site_says_whether_it_receives_and_since_when_not,
    ),
    ("sites", "traffic"): (
        "As in the contract site_status.",
        test_api.test_the_list_of_sites_holds_ones_own,
    ),
}


@pytest.mark.parametrize(("name", "figure"), DEFINED)
def test_a_definition_reads_the_same_everywhere(name: str, figure: str) -> None:
    sentence, test = DEFINED[name, figure]
    assert ROWS[name].definitions[figure] == sentence
    assert sentence in DOCS
    assert callable(test)


def test_every_definition_is_quoted() -> None:
    assert set(DEFINED) == {
        (name, figure) for name, contract in ROWS.items() for figure in contract.definitions
    }


def test_every_deviation_is_in_the_page() -> None:
    for contract in ROWS.values():
        for sentence in contract.deviations:
            assert sentence in DOCS
