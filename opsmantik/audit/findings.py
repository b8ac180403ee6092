"""What an audit found, and what of it has been accepted."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

import msgspec

from opsmantik.audit.checks import LEVELS, Level
from opsmantik.errors import Unprocessable

Outcome = Literal["clean", "found", "not_applicable", "unknown"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a check. ``info`` says how things are; only ``warn`` and ``error`` say that something is wrong."""

    name: str
    level: Level
    object: str
    """What it is about: schema.table, schema.table.column, a site, …"""
    detail: str
    figure: float | None
    remedy: str
    """What clears it: a statement or a command that can be run as it is, or words."""
    cache_key: str
    """The same for the same thing in every run."""
    accepted: str | None = None
    """Why it may stay, if it may."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How one check went. ``unknown``: it could not be asked; ``reason`` says why, as for one that does not apply."""

    stem: str
    name: str
    title: str
    group: str
    level: Level
    outcome: Outcome
    seconds: float
    findings: Sequence[Finding] = ()
    reason: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    program: str
    """Our version."""
    database: str
    server: str
    started_at: datetime
    seconds: float
    results: Sequence[Result]
    expired: Sequence[str] = ()
    """What was accepted until a day that is over, in words."""
    unused: Sequence[str] = ()
    """What is accepted and was not found."""

    def count(self, level: Level) -> int:
        """Findings of this level that nobody has accepted."""
        return sum(
            finding.level == level and finding.accepted is None
            for result in self.results
            for finding in result.findings
        )

    def unknown(self) -> list[Result]:
        """Checks that could not be asked."""
        return [result for result in self.results if result.outcome == "unknown"]

    def fails(self, on: Level) -> bool:
        """Whether something is found at this level or above, or could not be asked."""
        return bool(self.unknown()) or any(self.count(level) for level in LEVELS[LEVELS.index(on) :])

    def keys(self) -> set[str]:
        """What is wrong, by the findings' keys."""
        return {
            f.cache_key for r in self.results for f in r.findings if f.level != "info" and f.accepted is None
        }


class Accepted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding that may stay: of one check, about one object (``*`` stands for any part of its name), until a day."""

    check: str
    object: str = "*"
    reason: str
    until: date

    def __str__(self) -> str:
        return f"{self.check} {self.object} (until {self.until}: {self.reason})"


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of what may stay."""

    accepted: tuple[Accepted, ...] = ()


NOTHING: Final = Baseline()


def read_baseline(path: Path) -> Baseline:
    """Raises :class:`~opsmantik.errors.Unprocessable` for a file that is not as it should be."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Baseline)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as wrong:
        raise Unprocessable(reason=f"the baseline {path} cannot be read: {wrong}") from None


def accept(
    results: Iterable[Result], baseline: Baseline, today: date
) -> tuple[list[Result], list[str], list[str]]:
    """The results with what is accepted marked; what has expired; and what was not found at all."""
    valid = [each for each in baseline.accepted if each.until >= today]
    used: set[Accepted] = set()

    def marked(finding: Finding) -> Finding:
        for each in valid:
            if each.check == finding.name and fnmatchcase(finding.object, each.object):
                used.add(each)
                return msgspec.structs.replace(finding, accepted=each.reason)
        return finding

    found = [
        msgspec.structs.replace(result, findings=[marked(finding) for finding in result.findings])
        for result in results
    ]
    asked = {result.name for result in found if result.outcome in ("clean", "found")}
    expired = [str(each) for each in baseline.accepted if each.until < today]
    unused = [str(each) for each in valid if each not in used and each.check in asked]
    return found, expired, unused
