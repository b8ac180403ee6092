"""What the audit found: the whole installation's newest run for whoever runs it, one site's part of it for its people, and
the checks' own pages. What it says itself is English, whoever reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, NamedTuple

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.audit import pages, store
from opsmantik.audit.checks import GROUPS
from opsmantik.audit.findings import Finding, Report, Result
from opsmantik.audit.outputs import ledger
from opsmantik.errors import NotFound
from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import asker, needs
from opsmantik.web.rendering import PageRequest, View, page, view_of

HEALTH: Final = "/admin/health"
# One is made every day.
OLD: Final = timedelta(days=2)
SHOWN: Final = 100


class GroupLine(NamedTuple):
    """How the checks of one group went."""

    name: str
    checks: int
    errors: int
    warnings: int
    unknown: int


class Audited(NamedTuple):
    """The newest run and how it differs from the one before."""

    report: Report
    groups: list[GroupLine]
    found: list[tuple[Result, Finding]]
    """What stands, worst first; at most :data:`SHOWN`."""
    more: int
    new: frozenset[str]
    gone: list[tuple[Result, Finding]]
    unknown: list[Result]
    has_before: bool


def audited(runs: store.Runs) -> Audited | None:
    """What a screen says of the runs; None: there was none."""
    if runs.newest is None:
        return None
    report, found = runs.newest, ledger(runs.newest)
    change = store.change(runs.before, report) if runs.before else None
    gone = (
        [(r, f) for r, f in ledger(runs.before) if f.cache_key in change.gone]
        if runs.before and change
        else []
    )
    return Audited(
        report=report,
        groups=[_group(report, name) for name in GROUPS],
        found=found[:SHOWN],
        more=max(0, len(found) - SHOWN),
        new=change.new if change else frozenset(),
        gone=gone[:SHOWN],
        unknown=report.unknown(),
        has_before=change is not None,
    )


def _group(report: Report, name: str) -> GroupLine:
    results = [result for result in report.results if result.group == name]
    levels = [f.level for r in results for f in r.findings if f.accepted is None]
    unknown = sum(result.outcome == "unknown" for result in results)
    return GroupLine(name, len(results), levels.count("error"), levels.count("warn"), unknown)


def said(view: View, found: Audited | None) -> tuple[str, str]:
    """The level of the line about it, and the line."""
    if found is None:
        return "unknown", view.words("audit.never")
    report = found.report
    errors, warnings, unknown = report.count("error"), report.count("warn"), len(found.unknown)
    when = view.ago(report.started_at)
    if not errors + warnings + unknown:
        words = view.words("audit.clean", n=len(report.results), when=when)
    else:
        counts = {"errors": errors, "warnings": warnings, "unknown": unknown}
        words = view.words("audit.found", when=when, **{name: view.number(n) for name, n in counts.items()})
    if found.has_before:
        words += " " + view.words("audit.change", new=len(found.new), gone=len(found.gone))
    is_old = view.now - report.started_at > OLD
    return "broken" if errors else "look" if warnings or unknown or is_old else "fine", words


@post("/admin/health/audit", opt=needs(Capability.PLATFORM))
async def ask_for_audit(request: PageRequest) -> Redirect:
    """Have the jobs' runner make one, within two minutes."""
    async with request.app.state.database.as_person(asker(request), write=True) as (connection, _):
        answer = await store.ask(connection)
    return Redirect(f"{HEALTH}?audit={answer}#audit", status_code=303)


@get("/checks/{stem:str}", opt=needs(Capability.ACCOUNT))
async def show_check(request: PageRequest) -> Response[Any]:
    """A check's page: it says nothing of any site."""
    found = pages.page(request.path_params["stem"])
    if found is None:
        raise NotFound(what="check")
    return page(request, "check.html", view=view_of(request), check=found)


HANDLERS: Final = [ask_for_audit, show_check]
