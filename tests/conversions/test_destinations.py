"""Destinations as people write them: what is kept of it, and what is told to be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from opsmantik.conversions.destinations import ADAPTERS, FIELDS, read_destination

GOOD: dict[str, tuple[Any, dict[str, str], dict[str, str]]] = {
    "as Google shows it": (
        "data_manager", {"account_id": "123-456-7890", "action_id": "987 654 321"},
        {"account_id": "1234567890", "action_id": "987654321"},
    ),
    "through a manager": (
        "data_manager", {"account_id": "1234567890", "action_id": "1", "login_account_id": " 098\u2013765\u20134321 "},
        {"account_id": "1234567890", "action_id": "1", "login_account_id": "0987654321"},
    ),
    "what is not asked for is left out": (
        "google_ads", {"customer_id": "1234567890", "action_id": "1", "account_id": "9", "secret": "x"},
        {"customer_id": "1234567890", "action_id": "1"},
    ),
    "a file": ("file", {"conversion_name": " Sealed Lead ", "pull": ""}, {"conversion_name": "Sealed Lead"}),
    "a file that Google fetches": (
        "file", {"conversion_name": "Talep (onaylı)", "pull": "daily"},
        {"conversion_name": "Talep (onaylı)", "pull": "daily"},
    ),
    "a script": ("script", {"conversion_name": "Sealed Lead", "pull": "daily"}, {"conversion_name": "Sealed Lead"}),
    "Meta": ("meta", {"dataset_id": "123", "event_name": "Lead"}, {"dataset_id": "123", "event_name": "Lead"}),
    "a webhook": ("webhook", {"url": "https://crm.example/in"}, {"url": "https://crm.example/in"}),
}  # fmt: skip
BAD: dict[str, tuple[Any, dict[str, str], dict[str, str]]] = {
    "nothing": ("data_manager", {}, {"account_id": "missing", "action_id": "missing"}),
    "nine digits": ("data_manager", {"account_id": "123-456-789", "action_id": "1"}, {"account_id": "account"}),
    "letters": ("google_ads", {"customer_id": "1234567890", "action_id": "ctId=9"}, {"action_id": "number"}),
    "other digits": ("meta", {"dataset_id": "\u0661\u0662\u0663"}, {"dataset_id": "number"}),
    "a formula": ("file", {"conversion_name": "=1+1"}, {"conversion_name": "name"}),
    "a line break": ("script", {"conversion_name": "a\nb"}, {"conversion_name": "name"}),
    "another pace": ("file", {"conversion_name": "a", "pull": "weekly"}, {"pull": "pull"}),
    "an event with a blank": ("meta", {"dataset_id": "1", "event_name": "My lead"}, {"event_name": "word"}),
    "no address": ("webhook", {"url": "crm.example"}, {"url": "url"}),
}  # fmt: skip


@pytest.mark.parametrize(("adapter", "given", "kept"), GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_kept_plainly(adapter: Any, given: dict[str, str], kept: dict[str, str]) -> None:
    assert read_destination(adapter, given) == (kept, {})


@pytest.mark.parametrize(("adapter", "given", "problems"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_told_by_its_field(
    adapter: Any, given: dict[str, str], problems: dict[str, str]
) -> None:
    assert read_destination(adapter, given)[1] == problems


def test_every_way_has_fields() -> None:
    assert FIELDS.keys() == set(ADAPTERS)
