"""One planted fault, as its file says it: tests/audit/cases/NNNN_name.sql.

::

    -- broken
    … statements that plant it, run as a superuser with app.maintenance on
    -- beside
    … statements of a second session, which may have to wait until the fault is mended; mostly there are none
    -- finds: parts\\.sessions_2026_09
    -- also: 0007_something
    -- fixed
    … statements that mend it, or nothing: then the findings' own remedies are run, which must be statements

``finds`` are patterns, each of which one finding's object fits, and every finding fits one. ``also`` are checks that see
the same fault, rightly; all others must see nothing. A file may plant several faults, one after the other: each
``-- broken`` begins a new one on a fresh copy. ``-- only when`` names what the fault cannot be planted without.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

HERE = Path(__file__).parent / "cases"


class Case(msgspec.Struct, frozen=True):
    """One fault."""

    stem: str
    number: int
    broken: str
    beside: str
    finds: tuple[str, ...]
    also: frozenset[str]
    fixed: str
    """Empty: the remedies are run."""


def cases_of(stem: str) -> list[Case]:
    """The faults of one check. Raises ``FileNotFoundError`` where nobody has planted any."""
    text = (HERE / f"{stem}.sql").read_text()
    parts = re.split(r"^-- broken.*\n", text, flags=re.MULTILINE)[1:]
    return [_case(stem, number, part) for number, part in enumerate(parts, 1)]


def _case(stem: str, number: int, text: str) -> Case:
    broken, mark, fixed = text.partition("-- fixed\n")
    assert mark, f"{stem}: no -- fixed"
    finds = tuple(re.findall(r"^-- finds: (.+)$", broken, re.MULTILINE))
    assert finds, f"{stem}: no -- finds"
    also = frozenset(re.findall(r"^-- also: (\S+)$", broken, re.MULTILINE))
    broken, _, beside = broken.partition("-- beside\n")
    return Case(stem, number, broken, beside, finds, also, fixed.strip())
