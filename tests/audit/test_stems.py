"""A check, its page and its planted fault have one name, and each is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opsmantik.audit.checks import HERE as CHECKS
from opsmantik.audit.checks import all_checks
from opsmantik.audit.given import GIVEN
from tests.audit.case import HERE as CASES

PAGES = Path(__file__).parents[2] / "docs" / "checks"
HEADINGS = ["What it looks for", "Why it matters", "How to mend it", "Example"]


def stems(directory: Path, suffix: str) -> set[str]:
    return {path.stem for path in directory.glob(f"[0-9]*{suffix}")}


def test_every_check_has_a_page_and_a_fault():
    found = stems(CHECKS, ".sql")
    assert stems(PAGES, ".md") == found
    assert stems(CASES, ".sql") == found


def test_every_given_is_known_and_used():
    assert {check.given for check in all_checks() if check.given} == set(GIVEN)


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.stem)
def test_a_page_says_what_the_check_says(check):
    text = (PAGES / f"{check.stem}.md").read_text()
    assert text.startswith(f"# {check.stem}\n\n{check.title}\n")
    assert f"Group: {check.group}. Level: {check.level}." in text
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert len(part.strip()) > 30


@pytest.mark.parametrize("path", sorted(CHECKS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_check_names_itself_and_orders_nothing(path):
    text = path.read_text()
    assert f"'{path.stem[5:]}' AS name" in text
    # It only reads: the words of a statement that does not stand in no check, outside of the remedies' texts.
    outside = re.sub(r"'(?:[^']|'')*'|--.*|\$\w*\$", "", text)
    assert not re.search(r"\b(INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|TRUNCATE|LOCK|VACUUM)\b", outside)
