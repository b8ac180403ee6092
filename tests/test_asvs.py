"""The page about OWASP ASVS names every requirement of levels 1 and 2 once, and nothing that is not there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "security" / "asvs.md"
ROW = re.compile(r"^\| (V\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (.+?) \| (.*?) \|$", re.MULTILINE)
STATES = {"met", "partly", "operator", "n/a"}
# How many requirements of levels 1 and 2 each section of ASVS 5.0.0 has.
SECTIONS = {
    "V1.1": 2, "V1.2": 9, "V1.3": 11, "V1.4": 3, "V1.5": 2, "V2.1": 3, "V2.2": 3, "V2.3": 4, "V2.4": 1, "V3.2": 2,
    "V3.3": 4, "V3.4": 6, "V3.5": 5, "V3.7": 2, "V4.1": 3, "V4.2": 1, "V4.3": 2, "V4.4": 4, "V5.1": 1, "V5.2": 3,
    "V5.3": 2, "V5.4": 3, "V6.1": 3, "V6.2": 12, "V6.3": 4, "V6.4": 4, "V6.5": 5, "V6.6": 3, "V6.8": 4, "V7.1": 3,
    "V7.2": 4, "V7.3": 2, "V7.4": 5, "V7.5": 2, "V7.6": 2, "V8.1": 2, "V8.2": 3, "V8.3": 1, "V8.4": 1, "V9.1": 3,
    "V9.2": 4, "V10.1": 2, "V10.2": 2, "V10.3": 4, "V10.5": 5, "V11.1": 2, "V11.2": 3, "V11.3": 3, "V11.4": 4,
    "V11.5": 1, "V11.6": 1, "V12.1": 3, "V12.2": 2, "V12.3": 4, "V13.1": 1, "V13.2": 5, "V13.3": 2, "V13.4": 5,
    "V14.1": 2, "V14.2": 4, "V14.3": 3, "V15.1": 3, "V15.2": 3, "V15.3": 7, "V16.1": 1, "V16.2": 5, "V16.3": 4,
    "V16.4": 3, "V16.5": 3,
}  # fmt: skip
ELSEWHERE = 23  # V10.4, V10.6, V10.7 and V17


def rows() -> list[tuple[str, ...]]:
    return ROW.findall(PAGE.read_text())


def test_every_requirement_is_there_once() -> None:
    found = [row[0] for row in rows()]
    assert len(found) == len(set(found))
    assert Counter(name.rpartition(".")[0] for name in found) == SECTIONS
    assert sum(SECTIONS.values()) + ELSEWHERE == 253


def test_each_is_in_a_state_and_what_is_met_says_by_what() -> None:
    for name, _, _, state, by in rows():
        assert state in STATES, name
        assert by or state == "operator", name


def test_the_lead_counts_them_right() -> None:
    states = Counter(row[3] for row in rows())
    text = " ".join(PAGE.read_text().split())
    for words in (
        f"Of the {len(rows())} below {states['met']} are met, {states['partly']} in part, {states['operator']} are for",
        f"and {states['n/a']} have nothing here",
    ):
        assert words in text, words


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_what_is_named_exists(row: tuple[str, ...]) -> None:
    for name in re.findall(
        r"`((?:tests|opsmantik|docs|requirements|tracker)/[\w./-]+|pyproject\.toml)`", row[4]
    ):
        assert (ROOT / name).exists(), name
