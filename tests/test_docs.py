"""The documentation says what the code does: generated pages are fresh, and what is named exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from opsmantik import settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
assert _spec is not None and _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_a_generated_page_is_fresh(name):
    assert (DOCS / name).read_text() == generate.PAGES[name](), "run `make docs`"


def test_every_setting_is_described():
    assert [v.name for v in settings.variables() if not v.description] == []


def test_every_command_that_the_readme_names_is_a_target():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named <= targets, named - targets


def test_every_link_within_the_documents_leads_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "tracker" / "README.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_every_decision_has_context_decision_and_consequences():
    for page in (DOCS / "adr").glob("*.md"):
        text = page.read_text()
        for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Enforced by**"):
            assert part in text, f"{page.name} lacks {part}"
        for test in re.findall(r"`(tests/[a-z_/]+\.py)`", text):
            assert (ROOT / test).exists(), f"{page.name} names {test}"
