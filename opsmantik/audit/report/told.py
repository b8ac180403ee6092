"""What the audit's run says, in the words of a report: what is in order, what is not, and what is to be done first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from opsmantik.audit.findings import Finding, Report, Result
from opsmantik.audit.outputs import figure
from opsmantik.audit.report.document import Block, Items, Text
from opsmantik.audit.report.words import listed, several

PRIORITIES: Final = {"error": "P0", "warn": "P1", "info": "P2"}
MEANS: Final = {
    "P0": "Data correctness, attribution, tenants apart, security",
    "P1": "Performance, operators' work, growing debt",
    "P2": "Cleanup and what is to come: told, with an advice",
}
# What says that there is nothing to do.
CONTENT: Final = ("Nothing.", "None is needed.", "")
ADVICE: Final = frozenset({"slowest_statements", "statistics_of_tables"})
"""Checks whose remedy is meant even where they only tell; with others it is for the day on which the figure is wrong."""


class Task(msgspec.Struct, frozen=True):
    """A finding with its place in the order of things to do."""

    priority: str
    number: int
    result: Result
    finding: Finding

    @property
    def id(self) -> str:
        """As it is named in both reports."""
        return f"{self.priority}-{self.number}"


def tasks(report: Report) -> list[Task]:
    """Everything to be done, by priority, then by check: errors, warnings, and what is told with an advice."""
    found: list[Task] = []
    for level, priority in PRIORITIES.items():
        numbered = [(r, f) for r in report.results for f in r.findings if f.level == level and _asks(f)]
        found += [Task(priority, number, r, f) for number, (r, f) in enumerate(numbered, 1)]
    return found


def _asks(finding: Finding) -> bool:
    if finding.accepted is not None:
        return False
    return finding.level != "info" or (finding.name in ADVICE and finding.remedy not in CONTENT)


def group_blocks(report: Report, group: str, *, only: Sequence[str] = ()) -> Iterator[Block]:
    """How the checks of one group went; ``only`` those of these names."""
    results = [r for r in report.results if r.group == group and (not only or r.name in only)]
    if not results:
        yield Text("No check of this kind was run.")
        return
    yield Items([_how(result) for result in results])


def _how(result: Result) -> str:
    words = f"**{_outcome(result)}** · {result.title.rstrip('.')} (`{result.stem}`)"
    wrong = [f for f in result.findings if f.level != "info"]
    if wrong:
        shown = "; ".join(f"`{f.object}`: {f.detail.rstrip('.')}" for f in wrong[:3])
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return f"{words}: {shown}{more}."
    return f"{words}: {result.reason}." if result.reason else f"{words}."


def _outcome(result: Result) -> str:
    if result.outcome == "found":
        known = all(f.accepted is not None for f in result.findings if f.level != "info")
        return "accepted" if known else "found"
    return {"clean": "in order", "not_applicable": "does not apply", "unknown": "not answered"}[
        result.outcome
    ]


def fault(row: Finding) -> str:
    """What is wrong, and with what."""
    return f"`{row.object}`: {_sentence(row.detail)}"


def evidence(task: Task) -> str:
    """The check that saw it, what that holds to be right, and the figure of this run."""
    row = task.finding
    seen = f" Figure: {figure(row.figure)}." if row.figure is not None else ""
    rule = "tells" if row.level == "info" else "found it against the rule"
    return f"`{task.result.stem}` {rule}: {_sentence(task.result.title)}{seen}"


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."


def summary(report: Report) -> str:
    """The run in a sentence."""
    outcomes = [result.outcome for result in report.results]
    n = {name: outcomes.count(name) for name in ("clean", "not_applicable", "unknown")}
    parts = [
        several(report.count("error"), "error"),
        several(report.count("warn"), "warning"),
        f"{n['clean']} checks in order",
        f"{n['not_applicable']} that do not apply",
        f"{n['unknown']} not answered",
    ]
    return f"The audit asked {several(len(outcomes), 'check')} in {report.seconds:.1f} s: {listed(parts)}."
