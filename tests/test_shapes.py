"""The snapshots' own rules: a key more is welcome, a key less or another type is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.shapes import WRITE, check, differences, merged, shape_of

KNOWN = {
    "id": "a",
    "n": 1,
    "at": None,
    "tags": ["x"],
    "rows": [{"name": "b", "amount": 1.5}, {"name": None, "amount": 2}],
}

CHANGES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the same": (KNOWN, []),
    "other values": ({**KNOWN, "id": "z", "n": 2.5}, []),
    "a key more": ({**KNOWN, "more": True}, []),
    "a key more in a row": ({**KNOWN, "rows": [{"name": "b", "amount": 1, "more": 1}]}, []),
    "no rows": ({**KNOWN, "rows": []}, []),
    "null where it was null before": ({**KNOWN, "rows": [{"name": None, "amount": 1}]}, []),
    "a key less": ({k: v for k, v in KNOWN.items() if k != "n"}, ["n is gone"]),
    "a key less in a row": ({**KNOWN, "rows": [{"name": "b"}]}, ["rows[].amount is gone"]),
    "another type": ({**KNOWN, "n": "1"}, ["n is string, was number"]),
    "a truth for a number": ({**KNOWN, "n": True}, ["n is boolean, was number"]),
    "null where it never was": ({**KNOWN, "id": None}, ["id is null, was string"]),
    "an object for an array": ({**KNOWN, "rows": {}}, ["rows is object, was array"]),
    "another type in an array": ({**KNOWN, "tags": ["x", 1]}, ["tags[] is number, was string"]),
    "a value where there never was one": ({**KNOWN, "at": "2026-11-01"}, ["at is string, was null"]),
}


@pytest.mark.parametrize(("value", "found"), CHANGES.values(), ids=CHANGES.keys())
def test_what_differs_is_said(value: dict[str, Any], found: list[str]) -> None:
    assert sorted(set(differences(value, shape_of(KNOWN)))) == found


def test_the_whole_answer_may_have_become_something_else() -> None:
    assert list(differences([], shape_of(KNOWN))) == ["the answer is array, was object"]
    assert list(differences([{"a": 1}], shape_of([{"a": "1"}]))) == ["[].a is number, was string"]


def test_a_snapshot_takes_in_what_it_is_shown_and_forgets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match="no snapshot"):
        check({"a": 1}, "new", tmp_path)
    monkeypatch.setenv(WRITE, "1")
    check({"a": 1, "b": [{"c": 1}]}, "new", tmp_path)
    check({"a": None, "b": [{"d": "x"}]}, "new", tmp_path)
    monkeypatch.delenv(WRITE)
    check({"a": None, "b": [{"c": 2, "d": "x"}]}, "new", tmp_path)
    with pytest.raises(AssertionError, match=r"b\[\]\.c is gone"):
        check({"a": 1, "b": [{"d": "x"}]}, "new", tmp_path)
    with pytest.raises(AssertionError, match="a is string, was null or number"):
        check({"a": "1", "b": []}, "new", tmp_path)


def test_two_shapes_together_allow_what_either_allowed() -> None:
    both = merged(shape_of({"a": []}), shape_of({"a": [1], "b": None}))
    assert list(differences({"a": [1], "b": None}, both)) == []
    assert list(differences({"a": ["x"], "b": None}, both)) == ["a[] is string, was number"]


def test_what_only_some_rows_have_need_not_be_there() -> None:
    known = shape_of([{"id": 1, "meta": {"a": 1}}, {"id": 2, "meta": {}}])
    assert list(differences([{"id": 3, "meta": {"b": "x"}}], known)) == []
    assert list(differences([{"id": 3, "meta": {"a": "x"}}], known)) == ["[].meta.a is string, was number"]
    assert list(differences([{"meta": {}}], known)) == ["[].id is gone"]
    again = merged(known, shape_of([{"id": 1, "meta": {"a": 1}}]))
    assert list(differences([{"id": 3, "meta": {}}], again)) == []
