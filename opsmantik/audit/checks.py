"""The checks: one file of SQL each, read as data.

A file's comments say what it is::

    -- No event lies in another month than its session.
    -- group: integrity
    -- level: error
    -- given: plans

The first line is its title, the sentence that holds when nothing is found. ``level`` is the highest that a finding of it
can have. ``given`` names something that the program knows and the database does not (audit/given.py); the statement gets
it as ``$1``, JSON. Then, after comments that say why, comes the statement. Its rows are the findings, all of the same
columns: name, level, object, detail, figure, remedy, cache_key. The name is the file's own.

Where databases differ, a file holds several statements, each under a line that says what it needs::

    -- when: public.sessions(created_month, created_at); server >= 15; extension pg_trgm; role opsmantik_app

The first whose needs are met is the one that is run; where there is none, the check does not apply. A statement may be
led by others, each ended by a line ``-- then``: they are run before it, in the same transaction, which is rolled back.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

HERE: Final = Path(__file__).parent / "checks"
Level = Literal["info", "warn", "error"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
GROUPS: Final = (
    "integrity", "tenancy", "indexes", "partitions", "performance", "contracts", "meaning",
)  # fmt: skip
COLUMNS: Final = ("name", "level", "object", "detail", "figure", "remedy", "cache_key")
_FILE = re.compile(r"(\d{4})_([a-z][a-z0-9_]*)")
_FIELD = re.compile(r"^-- (group|level|given): (.+)$", re.MULTILINE)
_WHEN = re.compile(r"^-- when: (.+)$\n", re.MULTILINE)
_THEN = re.compile(r"^-- then$\n", re.MULTILINE)


class Variant(msgspec.Struct, frozen=True):
    """One way to ask, and what a database must have for it."""

    needs: tuple[str, ...]
    statements: tuple[str, ...]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check."""

    number: int
    name: str
    title: str
    group: str
    level: Level
    given: str | None
    variants: tuple[Variant, ...]

    @property
    def stem(self) -> str:
        """The name of its file, of its page and of its test."""
        return f"{self.number:04}_{self.name}"


@cache
def all_checks(directory: Path = HERE) -> tuple[Check, ...]:
    """Every check, by number. Raises ``ValueError`` for a file that is not as the module says."""
    found = tuple(_read(path) for path in sorted(directory.glob("*.sql")))
    if len({check.number for check in found}) != len(found) or len({c.name for c in found}) != len(found):
        raise ValueError("two checks have one number or one name")
    return found


def _read(path: Path) -> Check:
    named = _FILE.fullmatch(path.stem)
    if named is None:
        raise ValueError(f"{path.name} is not NNNN_name.sql")
    text = path.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    fields = dict(_FIELD.findall(text))
    if not first.startswith("-- ") or fields.get("group") not in GROUPS or fields.get("level") not in LEVELS:
        raise ValueError(f"{path.name} does not begin with its title, group and level")
    return Check(
        number=int(named[1]), name=named[2], title=first.removeprefix("-- "), group=fields["group"],
        level=fields["level"], given=fields.get("given"), variants=_variants(text),
    )  # fmt: skip


def _variants(text: str) -> tuple[Variant, ...]:
    parts = _WHEN.split(text)
    if len(parts) == 1:
        return (Variant((), _statements(text)),)
    return tuple(
        Variant(tuple(need.strip() for need in needs.split(";")), _statements(statement))
        for needs, statement in zip(parts[1::2], parts[2::2], strict=True)
    )


def _statements(text: str) -> tuple[str, ...]:
    return tuple(part.strip().rstrip(";") for part in _THEN.split(text))
