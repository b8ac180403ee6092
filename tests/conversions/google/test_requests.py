"""Which request carries which conversion, written down and read again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from opsmantik.conversions.google_requests import LONGEST, Part, fits, is_id, name, read, shares, write
from tests.conversions.google.made import many


def test_one_request_carries_all() -> None:
    items = many(5)
    assert shares(read("r1"), items) == ([(Part("r1"), items)], [])


def test_what_was_sent_again_belongs_to_the_later_request() -> None:
    items = many(6)
    found, left = shares(read("r3:2 r2:1-3 r1"), items)
    assert [(part.id, [i.position for i in carried]) for part, carried in found] == [
        ("r3", [2]), ("r2", [1, 3]), ("r1", [4, 5, 6]),
    ]  # fmt: skip
    assert left == []


def test_requests_with_nothing_left_to_tell_are_gone() -> None:
    found, left = shares(read("r2:1-3 r1"), many(3))
    assert [part.id for part, _ in found] == ["r2"] and left == []


def test_what_no_request_carries_is_left() -> None:
    items = many(3)
    assert shares(read(None), items) == ([], items)
    assert shares(read("r2:2"), items)[1] == [items[0], items[2]]


def test_a_line_that_nobody_wrote_names_nothing() -> None:
    assert shares(read("r1: r2:x r3:4-y r4:--"), many(2)) == ([], many(2))


@settings(max_examples=50)
@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_a_name_means_these_of_all_that_are_there(chosen: set[int], others: set[int]) -> None:
    items = many(60)
    named = name([items[n - 1] for n in sorted(chosen)], chosen | others)
    part = read(write([Part("r1", named)]))[0]
    assert {n for n in chosen | others if part.names(n)} == chosen


def test_neighbours_are_written_as_one_also_over_what_is_not_there_any_more() -> None:
    items = many(9)
    assert name([items[0], items[2], items[8]], {1, 3, 9}) == "1-9"
    assert name([items[0], items[2], items[8]], {1, 3, 5, 9}) == "1-3,9"


def test_only_what_can_be_kept_fits() -> None:
    parts = [Part("x" * 36)]
    while fits(parts, "1000-1999"):
        parts.insert(0, Part("x" * 36, "1000-1999"))
    assert len(parts) >= 5 and len(write(parts)) <= LONGEST
    assert is_id("126365e1-16d0-4c81-9de9-f362711e250a")
    assert not any(is_id(text) for text in ("", "a b", "a:b", "x" * 121, None, 5))
