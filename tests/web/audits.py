"""A run of the audit with findings about one site, another, and no site, for the screens that show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from opsmantik.audit import store
from opsmantik.audit.checks import all_checks
from opsmantik.audit.findings import Finding, Report, Result

CHECKS = {check.name: check for check in all_checks()}


def finding(name: str, about: str, level: str = "warn", detail: str = "", kind: str = "") -> Finding:
    return Finding(
        name=name, level=level, object=about, detail=detail or f"Something is wrong with {about}.", figure=3,  # type: ignore[arg-type]
        remedy=f"Mend {name}.", cache_key=f"{name} {about} {kind}",
    )  # fmt: skip


def report(*found: Finding, ago: timedelta = timedelta(), unknown: str = "") -> Report:
    results = []
    for check in CHECKS.values():
        own = [each for each in found if each.name == check.name]
        outcome = "unknown" if check.name == unknown else "found" if own else "clean"
        results.append(
            Result(
                stem=check.stem, name=check.name, title=check.title, group=check.group, level=check.level, seconds=0.1,
                outcome=outcome, findings=own, reason="cut off" if outcome == "unknown" else None,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    at = datetime.now(UTC) - ago
    return Report(program="1", database="d", server="18", started_at=at, seconds=2.5, results=results)


async def keep_runs(owner: Any, site: UUID, other: UUID) -> None:
    """Two runs: of the first one finding is gone in the second, and two are new there."""
    both = finding("cross_tenant_references", f"site {site}", "error", f"Its visit is of site {other}.")
    gone = finding("dead_rows", "public.calls")
    new = finding("silence", f"site {site}", "warn", "Nothing has come for 5 hours.")
    others = finding("silence", f"site {other}", "warn", "Nothing has come for 9 hours.")
    days = finding("counters_against_rows", f"site {site} on 2026-11-20", "error", "2 figures differ.")
    await store.keep(owner, report(both, gone, days, ago=timedelta(days=1)))
    await store.keep(owner, report(both, new, others, days, unknown="leaks"))
