"""docs/decisions.md says what the code does: every word is there, and the table of moves is the table of moves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opsmantik.conversions.ledger import Skip, Withdrawal
from opsmantik.intents.status import MOVES, Action, Stage, Status
from opsmantik.intents.suspicion import Suspicion

PAGE = (Path(__file__).parents[2] / "docs" / "decisions.md").read_text()


@pytest.mark.parametrize(
    "words", [Status, Action, Stage, Skip, Withdrawal, Suspicion], ids=lambda e: e.__name__
)
def test_every_word_is_explained(words: type) -> None:
    assert [word for word in words if not re.search(rf"\b{word}\b", PAGE)] == []


def test_the_table_of_moves_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (`[a-z`, ]+`) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    seen = set()
    for acts, sources, target in rows:
        for act in re.findall(r"`([a-z]+)`", acts):
            seen.add(act)
            if act == "undo":
                continue
            named = set(re.findall("|".join(Status), sources))
            if sources.startswith("all"):
                named = set(Status) - named
            wanted = {status: status if target == "stays" else target.split(";")[0] for status in named}
            assert MOVES[Action(act)] == wanted, act
    assert seen == set(Action)
