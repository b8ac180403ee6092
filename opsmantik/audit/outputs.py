"""A report as other people and programs read it: JSON, Markdown, a page, SARIF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from opsmantik.audit.checks import GROUPS
from opsmantik.audit.findings import Finding, Report, Result

_SARIF_LEVELS: Final = {"error": "error", "warn": "warning", "info": "note"}


def as_json(report: Report) -> str:
    """Everything, in the shape of :class:`~opsmantik.audit.findings.Report`, with the counts by level."""
    whole = {**msgspec.to_builtins(report), "counts": counts(report)}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def as_markdown(report: Report) -> str:
    """For a wiki, a ticket or a terminal."""
    return "\n".join(_markdown(report)) + "\n"


def as_html(report: Report) -> str:
    """One page that needs nothing from anywhere."""
    template = _environment().get_template("report.html")
    groups = {group: [r for r in report.results if r.group == group] for group in GROUPS}
    return template.render(report=report, groups=groups, counts=counts(report), ledger=ledger(report))


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0: findings as results, checks as rules, what was accepted as suppressed; what is only told is left out."""
    rules = [_rule(result) for result in report.results]
    results = [
        _sarif_result(index, finding)
        for index, result in enumerate(report.results)
        for finding in result.findings
        if finding.level != "info"
    ]
    unknown = [
        {
            "descriptor": {"id": result.name, "index": index},
            "level": "error",
            "message": {"text": result.reason or ""},
        }
        for index, result in enumerate(report.results)
        if result.outcome == "unknown"
    ]
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "OpsMantik audit", "version": report.program, "rules": rules}},
                "invocations": [{"executionSuccessful": not unknown, "toolExecutionNotifications": unknown}],
                "results": results,
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


WRITERS: Final[dict[str, Callable[[Report], str]]] = {
    "json": as_json, "markdown": as_markdown, "html": as_html, "sarif": as_sarif,
}  # fmt: skip


def counts(report: Report) -> dict[str, int]:
    """How many findings of each level stand, how many are accepted, and how the checks went."""
    outcomes = [result.outcome for result in report.results]
    return {
        "error": report.count("error"),
        "warn": report.count("warn"),
        "info": report.count("info"),
        "accepted": sum(f.accepted is not None for r in report.results for f in r.findings),
        "checks": len(outcomes),
        "clean": outcomes.count("clean"),
        "unknown": outcomes.count("unknown"),
        "not_applicable": outcomes.count("not_applicable"),
    }


def ledger(report: Report) -> list[tuple[Result, Finding]]:
    """What stands, worst first."""
    found = [(r, f) for r in report.results for f in r.findings if f.level != "info" and f.accepted is None]
    return sorted(found, key=lambda pair: pair[1].level != "error")


def figure(value: float | None) -> str:
    """A figure as it is read: whole ones without a point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _markdown(report: Report) -> Iterator[str]:
    n = counts(report)
    yield f"# Audit of {report.database}"
    yield ""
    yield (
        f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC, PostgreSQL {report.server}, OpsMantik {report.program}:"
        f" {n['checks']} checks in {report.seconds:.1f} s. **errors: {n['error']}, warnings: {n['warn']}**,"
        f" {n['accepted']} accepted, {n['unknown']} not answered, {n['not_applicable']} not applicable."
    )
    if found := ledger(report):
        yield "\n## What is wrong\n"
        yield "| Level | Check | Object | What | Figure | Remedy |"
        yield "|---|---|---|---|---:|---|"
        for result, row in found:
            cells = (row.level, result.stem, f"`{row.object}`", row.detail, figure(row.figure), row.remedy)
            yield f"| {' | '.join(map(_cell, cells))} |"
    for title, words in (
        ("Accepted until a day that is over", report.expired),
        ("Accepted and not found", report.unused),
    ):
        if words:
            yield f"\n## {title}\n"
            yield from (f"- {_cell(each)}" for each in words)
    yield "\n## Checks\n"
    yield "| Check | It says | Result | Seconds |"
    yield "|---|---|---|---:|"
    for result in report.results:
        how = result.outcome.replace("_", " ") + (f": {result.reason}" if result.reason else "")
        yield f"| {result.stem} | {_cell(result.title)} | {_cell(how)} | {result.seconds:.2f} |"
    told = [(result, row) for result in report.results for row in result.findings if row.level == "info"]
    if told:
        yield "\n## Figures\n"
        yield "| Check | Object | What | Figure |"
        yield "|---|---|---|---:|"
        for result, row in told:
            yield f"| {result.stem} | `{_cell(row.object)}` | {_cell(row.detail)} | {figure(row.figure)} |"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _rule(result: Result) -> dict[str, Any]:
    return {
        "id": result.name,
        "name": "".join(word.capitalize() for word in result.name.split("_")),
        "shortDescription": {"text": result.title},
        "defaultConfiguration": {"level": _SARIF_LEVELS[result.level]},
        "properties": {"tags": [result.group]},
    }


def _sarif_result(index: int, row: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": row.name,
        "ruleIndex": index,
        "level": _SARIF_LEVELS[row.level],
        "message": {"text": f"{row.object}: {row.detail} {row.remedy}".strip()},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": row.object}]}],
        "partialFingerprints": {"cacheKey/v1": row.cache_key},
    }
    if row.accepted is not None:
        found["suppressions"] = [{"kind": "external", "justification": row.accepted}]
    return found


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("opsmantik.audit", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["figure"] = figure
    return made
