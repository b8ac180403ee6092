"""The suite begins with what takes longest, and its table speaks of files that are there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import order

ROOT = Path(__file__).parents[1]


def test_files_come_longest_first_and_stay_together(monkeypatch: Any) -> None:
    monkeypatch.setattr(order, "read_seconds", lambda: {"a.py": 1.0, "b.py": 90.0, "c.py": 7.5})
    names = ["a.py::one", "a.py::two", "new.py::one", "b.py::one", "c.py::one[x]", "b.py::two"]
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in names]
    order.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == [
        "b.py::one", "b.py::two", "c.py::one[x]", "new.py::one", "a.py::one", "a.py::two",
    ]  # fmt: skip


def test_the_table_names_files_that_are_there() -> None:
    assert len(order.read_seconds()) > 100
    assert [path for path in order.read_seconds() if not (ROOT / path).exists()] == []


def test_every_room_has_tests_that_are_quick() -> None:
    """``make test-quick`` is to look into all of them: a package whose every test is slow would be left out."""
    rooms = {path.parent.name for path in (ROOT / "opsmantik").glob("*/__init__.py")}
    looked_into = {
        path.parent.name
        for path in (ROOT / "tests").glob("*/test_*.py")
        if "\npytestmark = pytest.mark.slow" not in path.read_text()
    }
    assert rooms - looked_into == set()
