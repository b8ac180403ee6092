"""What docs/reliability.md says of the last run is what the run left, and the matrix is whole."""

from __future__ import annotations

from tests.faults import page
from tests.faults.matrix import ROWS
from tests.faults.rows import Outcome, Result


def test_the_table_is_made_of_the_results() -> None:
    text = page.PAGE.read_text()
    assert page.with_table(text, page.render(page.kept())) == text, (
        "run `make faults`, or write the page anew"
    )


def test_every_row_was_run_and_no_other_is_told_of() -> None:
    assert [result.name for result in page.kept()] == list(ROWS)
    assert {path.stem for path in page.RESULTS.glob("*.json")} == set(ROWS)


def test_every_row_says_what_it_does_and_what_has_to_hold() -> None:
    assert [row.name for row in ROWS.values() if not row.injected or not row.must or row.limit > 900] == []


def test_the_kills_of_a_whole_run_are_two_hundred_at_least() -> None:
    results = page.kept()
    assert sum(result.kills for result in results) >= 200
    assert sum(result.lost for result in results) == 0


def test_what_did_not_hold_is_said_with_its_reason() -> None:
    name = next(iter(ROWS))
    assert Outcome("fine").held and not Outcome("not fine", ["it leaked"]).held
    table = page.render([Result(name, "not held", "1 | 2", "2026-01-01 00:00 UTC", 1.0, why=["it leaked"])])
    assert "**not held**: it leaked" in table and "1 / 2" in table
