"""The table of moves, whole: every act on every status; and the first generation's words for them."""

from __future__ import annotations

import pytest

from opsmantik.intents.status import (
    SEALED,
    WAITING,
    Action,
    Stage,
    Status,
    action_towards,
    after,
    from_first_generation,
    quality_of,
    stars_of,
    to_first_generation,
)

# What each act makes of a lead; "-" is no move.
TABLE = """
            pend     seal    junk  suspect     restore  convert     note        quality     stage       sale        undo
intent      pending  sealed  junk  suspicious  -        -           intent      intent      -           -           -
pending     -        sealed  junk  suspicious  -        -           pending     pending     -           -           -
sealed      -        -       junk  suspicious  pending  conversion  sealed      sealed      sealed      sealed      -
junk        -        -       -     -           pending  -           junk        junk        -           -           -
suspicious  -        sealed  junk  -           pending  -           suspicious  suspicious  -           -           -
conversion  -        -       junk  suspicious  pending  -           conversion  conversion  conversion  conversion  -
"""
HEAD, *LINES = (line.split() for line in TABLE.strip().splitlines())
CASES = [(line[0], act, to) for line in LINES for act, to in zip(HEAD, line[1:], strict=True)]


def test_the_table_names_every_act_and_every_status() -> None:
    assert sorted(HEAD) == sorted(Action)
    assert sorted(line[0] for line in LINES) == sorted(Status)


@pytest.mark.parametrize(("status", "action", "result"), CASES, ids=lambda case: str(case))
def test_a_move(status: str, action: str, result: str) -> None:
    assert after(status, Action(action)) == (None if result == "-" else result)


def test_an_unknown_status_is_a_mistake_and_not_a_refusal() -> None:
    with pytest.raises(ValueError, match="confirmed"):
        after("confirmed", Action.SEAL)


def test_what_waits_and_what_is_sealed_are_apart_and_decided_leads_can_be_restored() -> None:
    assert WAITING == ("intent", "pending") and SEALED == ("sealed", "conversion")
    for status in Status:
        assert (after(status, Action.RESTORE) is None) == (status in WAITING)


TOWARDS = {
    ("intent", "pending"): "pend",
    ("intent", "sealed"): "seal",
    ("pending", "junk"): "junk",
    ("pending", "suspicious"): "suspect",
    ("junk", "intent"): "restore",  # the first generation's word for a lead that waits
    ("sealed", "pending"): "restore",
    ("suspicious", "sealed"): "seal",
    ("junk", "sealed"): None,  # restored first
    ("sealed", "sealed"): None,
    ("sealed", "conversion"): None,  # the platform's answer is nobody's to ask for
}


@pytest.mark.parametrize(("ends", "action"), TOWARDS.items(), ids=lambda case: str(case))
def test_the_act_that_leads_from_one_status_to_another(ends: tuple[str, str], action: str | None) -> None:
    assert action_towards(*ends) == action


def test_stars_are_twenty_points_each_and_come_back() -> None:
    assert [quality_of(stars) for stars in range(1, 6)] == [20, 40, 60, 80, 100]
    assert [stars_of(quality_of(stars)) for stars in range(1, 6)] == [1, 2, 3, 4, 5]
    assert [stars_of(quality) for quality in (0, 9, 10, 55, 100)] == [0, 0, 1, 3, 5]
    for stars in (0, 6, -1):
        with pytest.raises(ValueError, match="stars"):
            quality_of(stars)


FIRST = {
    None: ("intent", None), "intent": ("intent", None),
    "confirmed": ("sealed", None), "qualified": ("sealed", None), "real": ("sealed", None),
    "junk": ("junk", None), "suspicious": ("suspicious", None), "cancelled": ("junk", None),
    "contacted": ("sealed", "contacted"), "offered": ("sealed", "offered"), "won": ("sealed", "won"),
}  # fmt: skip


@pytest.mark.parametrize(("word", "meaning"), FIRST.items(), ids=str)
def test_the_first_generation_s_words(word: str | None, meaning: tuple[str, str | None]) -> None:
    assert from_first_generation(word) == meaning


def test_every_status_has_a_word_of_the_first_generation_that_means_it_again() -> None:
    for status in Status:
        back, stage = from_first_generation(to_first_generation(status))
        assert stage is None
        assert back == status or (status, back) in ((Status.PENDING, "intent"), (Status.CONVERSION, "sealed"))
    with pytest.raises(KeyError):
        from_first_generation("pending")
    assert {stage.value for stage in Stage} == {"contacted", "offered", "won"}
