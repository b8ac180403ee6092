"""The check of dependencies finds what it is there for; it runs with every lint."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[1] / "requirements"
_spec = importlib.util.spec_from_file_location("check_dependencies", HERE / "check.py")
assert _spec is not None and _spec.loader is not None
check: Any = importlib.util.module_from_spec(_spec)
sys.modules["check_dependencies"] = check
_spec.loader.exec_module(check)

LOCK = "jinja2==3.1.6 \\\n    --hash=sha256:aa\n    # via litestar\n"
KEPT = "jinja2\tBSD\n"
ADVISORY = '[[advisory]]\npackage = "Jinja2"\naffected = "<3.1.6"\nid = "CVE-1"\nwhat = "a hole"\n'


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts files of a test's own where the check looks."""

    def put(lock: str = LOCK, kept: str = KEPT, advisories: str = ADVISORY) -> list[str]:
        for name in ("run.txt", "dev.txt"):
            (tmp_path / name).write_text(lock)
        (tmp_path / "licences.tsv").write_text(kept)
        (tmp_path / "advisories.toml").write_text(advisories)
        monkeypatch.setattr(check, "HERE", tmp_path)
        monkeypatch.setattr(check, "LICENCES", tmp_path / "licences.tsv")
        monkeypatch.setattr(check, "ADVISORIES", tmp_path / "advisories.toml")
        found: list[str] = check.complaints()
        return found

    return put


def test_what_is_kept_and_locked_now_is_in_order() -> None:
    assert check.complaints() == []


def test_a_good_lock_has_no_complaint(lay: Any) -> None:
    assert lay() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lock": LOCK.replace("    --hash=sha256:aa\n", "").replace(" \\", "")}, "has no hash"),
        ({"lock": LOCK.replace("3.1.6", "3.1.5")}, "CVE-1, a hole"),
        ({"kept": ""}, "no line of licences.tsv"),
        ({"kept": "jinja2\tGPL-3.0-only\n"}, "not among those"),
        ({"kept": "jinja2\tMIT\n"}, "says 'BSD' of itself"),
        ({"kept": "jinja2\t?\n"}, "by hand"),
        ({"kept": KEPT + "gone\tMIT\n"}, "in no lock"),
    ],
)
def test_each_fault_is_named(lay: Any, change: dict[str, str], words: str) -> None:
    assert any(words in line for line in lay(**change))


def test_a_line_that_is_no_pin_is_not_passed_over(lay: Any) -> None:
    with pytest.raises(ValueError, match="is no pin"):
        lay(lock="jinja2>=3\n")


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True), ("MIT OR GPL-3.0-only", True), ("MIT AND GPL-3.0-only", False), ("AGPL-3.0-only", False),
        ("(Apache-2.0 OR BSD-3-Clause) AND PSF-2.0", True), ("MIT License", True), ("?", False),
    ],
)  # fmt: skip
def test_an_expression_is_met_by_one_of_an_or_and_all_of_an_and(expression: str, allowed: bool) -> None:
    assert check.is_allowed(expression) is allowed
