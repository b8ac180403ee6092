"""``opsmantik audit report backlog``: what is to be done, in which order, how to go back, and how to verify it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from opsmantik.audit.checks import Check, Variant, all_checks
from opsmantik.audit.findings import Result
from opsmantik.audit.outputs import figure
from opsmantik.audit.report import told
from opsmantik.audit.report.document import (
    Bar,
    Bars,
    Block,
    Code,
    Document,
    Grid,
    Heading,
    Items,
    Section,
    Text,
)
from opsmantik.audit.report.facts import Facts
from opsmantik.audit.report.rollback import is_code, is_statement, rollback
from opsmantik.audit.report.told import Task
from opsmantik.audit.report.words import listed, several, some

STANDING: Final = (
    ("P0", "Run the checks of integrity and tenancy at each release, and once a month at least:"
        " `opsmantik audit{to} --only integrity,tenancy`; mend what is found before anything else."),
    ("P1", "Run the whole audit once a month and look at what is new: `opsmantik audit{to} --fail-on warn`."),
    ("P2", "Keep what is accepted in a file, with a reason and a day on which that ends:"
        " `opsmantik audit{to} --baseline FILE`; what has ended is told again."),
    ("P2", "Write `opsmantik audit report phase0{to}` after each release and compare it with the one before."),
)  # fmt: skip


def backlog(facts: Facts) -> Document:
    """The backlog, by priority."""
    found = told.tasks(facts.audit)
    groups = dict.fromkeys(result.group for result in facts.audit.results)
    return Document(
        title=f"Cleanup backlog: {facts.server.name}",
        facts=[
            ("Generated", f"{facts.server.at:%Y-%m-%d %H:%M} UTC"),
            ("Scope", f"{several(len(facts.audit.results), 'check')} of {listed(groups)}"),
            ("Server", f"PostgreSQL {facts.server.server}, asked as `{facts.server.role}`, only read"),
        ],
        sections=[
            Section("1. Summary", list(_summary(facts, found))),
            Section("2. Findings", list(_findings(found))),
            Section("3. Evidence (index)", list(_evidence(facts, found))),
            Section("4. Plan (ordered, smallest viable first)", list(_plan(facts, found))),
            Section("5. Verification", list(_verification(facts, found))),
            Section("6. Prioritized backlog", list(_prioritized(facts, found))),
        ],
    )


def _summary(facts: Facts, found: Sequence[Task]) -> Iterator[Block]:
    yield Text(told.summary(facts.audit))
    if not found:
        yield Text("Nothing is to be mended, and no advice stands: what follows is what keeps it so.")
    lines = []
    for group in dict.fromkeys(result.group for result in facts.audit.results):
        own = [result for result in facts.audit.results if result.group == group]
        tasks = [task for task in found if task.result.group == group]
        asked = sum(result.outcome in ("clean", "found") for result in own)
        words = f"**{group.capitalize()}**: {several(asked, 'check')} answered"
        if not tasks:
            lines.append(f"{words}, nothing to be done.")
        else:
            shown = some(list(dict.fromkeys(task.result.stem for task in tasks)), 4)
            lines.append(f"{words}, {several(len(tasks), 'item')} to be done: {shown}.")
    yield Items(lines)
    accepted = [f for r in facts.audit.results for f in r.findings if f.accepted is not None]
    if accepted:
        yield Text(f"Accepted with a reason, and left out here: {several(len(accepted), 'finding')}.")
    for result in facts.audit.unknown():
        yield Text(f"`{result.stem}` could not be asked: {result.reason}. What it would find is not known.")
    if found:
        yield Bars("Items by group", list(_bars(found)), tuple(told.MEANS))


def _bars(found: Sequence[Task]) -> Iterator[Bar]:
    for group in dict.fromkeys(task.result.group for task in found):
        own = [task.priority for task in found if task.result.group == group]
        counts = {priority: own.count(priority) for priority in told.MEANS}
        yield Bar(group, tuple(counts.values()), listed(f"{n} {name}" for name, n in counts.items() if n))


def _findings(found: Sequence[Task]) -> Iterator[Block]:
    for priority, meaning in told.MEANS.items():
        yield Heading(f"{priority}: {meaning}")
        own = [task for task in found if task.priority == priority]
        if not own:
            yield Text("Nothing was found.")
            continue
        yield Grid(
            ("ID", "Finding", "Evidence"),
            [(task.id, told.fault(task.finding), told.evidence(task)) for task in own],
            label=f"Findings {priority}",
        )


def _evidence(facts: Facts, found: Sequence[Task]) -> Iterator[Block]:
    if not found:
        yield Text(
            "There is nothing to prove. Each check that is in order is named by `opsmantik audit list`."
        )
        return
    yield Text(f"Figures of the run of {facts.audit.started_at:%Y-%m-%d %H:%M:%S} UTC.")
    yield Grid(
        ("Item", "Object", "Figure", "Query", "Explained in"),
        [
            (
                task.id, f"`{task.finding.object}`", figure(task.finding.figure) or "no figure",
                f"`opsmantik/audit/checks/{task.result.stem}.sql`", f"`docs/checks/{task.result.stem}.md`",
            )
            for task in found
        ],
        frozenset({2}), "Evidence",
    )  # fmt: skip


def _plan(facts: Facts, found: Sequence[Task]) -> Iterator[Block]:
    if not found:
        yield Text("No step is needed.")
        return
    yield Text(
        "One step a check, by priority, and within it those with the least to do first. Statements are run as the tables'"
        " owner, outside of busy hours where they change data."
    )
    for number, tasks in enumerate(_steps(found), 1):
        first = tasks[0]
        yield Heading(f"Step {number} [{first.priority}] {first.result.title.rstrip('.')}")
        yield Text(f"Items {some([task.id for task in tasks], 8)}; check `{first.result.stem}`.")
        for remedy in dict.fromkeys(task.finding.remedy for task in tasks):
            yield from _remedy(remedy, facts)
        done = "finds none of them any more" if first.priority != "P2" else "tells what is left of them"
        yield Text(f"**Verification:** `{_command(facts, first.result)}` {done}.")


def _steps(found: Sequence[Task]) -> list[list[Task]]:
    steps: dict[tuple[str, str], list[Task]] = {}
    for task in found:
        steps.setdefault((task.priority, task.result.stem), []).append(task)
    return sorted(steps.values(), key=lambda tasks: (tasks[0].priority, len(tasks), tasks[0].result.stem))


def _remedy(remedy: str, facts: Facts) -> Iterator[Block]:
    if is_statement(remedy):
        yield Code(remedy if remedy.endswith(";") else f"{remedy};")
    elif remedy.startswith(("opsmantik ", "vacuumdb ")):
        yield Code(remedy, "sh")
    else:
        yield Text(remedy)
    back = rollback(remedy, facts)
    if is_code(back):
        yield Text("**Rollback:**")
        yield Code(back)
    else:
        yield Text(f"**Rollback:** {back}")


def _strictly(result: Result) -> str:
    return "" if result.level == "info" else " --fail-on warn"


def _command(facts: Facts, result: Result) -> str:
    where = "" if facts.is_ours else " --dsn …"
    return f"opsmantik audit{where} --only {result.stem[:4]}"


def _verification(facts: Facts, found: Sequence[Task]) -> Iterator[Block]:
    if not found:
        yield Text("`opsmantik audit --fail-on warn` ends with 0.")
        return
    results = {tasks[0].result.stem: tasks[0].result for tasks in _steps(found)}
    yield Grid(
        ("Criterion", "How to check", "As it should be"),
        [
            (
                result.title.rstrip("."), f"`{_command(facts, result)}{_strictly(result)}`",
                "ends with 0, no finding" if result.level != "info" else "the advice is gone",
            )
            for result in results.values()
        ],
        label="Verification",
    )  # fmt: skip
    yield Text(
        "The queries themselves, as they were asked of this database. No row means that all is in order; rows of level info"
        " only tell. `$1` stands for what the program knows and the database does not."
    )
    known = {check.stem: check for check in all_checks()}
    for stem in results:
        check = known.get(stem)
        variant = _asked(check, facts) if check else None
        if variant is not None:
            yield Heading(f"Query of `{stem}`")
            yield Code("\n;\n".join(variant.statements))


def _asked(check: Check, facts: Facts) -> Variant | None:
    return next((variant for variant in check.variants if not facts.there.lacks(variant.needs)), None)


def _prioritized(facts: Facts, found: Sequence[Task]) -> Iterator[Block]:
    to = "" if facts.is_ours else " --dsn …"
    lines = []
    for tasks in _steps(found):
        first = tasks[0]
        objects = some(list(dict.fromkeys(task.finding.object for task in tasks)), 3)
        back = rollback(first.finding.remedy, facts)
        shown = f"`{' '.join(back.split())}`" if is_code(back) else back
        again = " (each its own, see the plan)" if len(tasks) > 1 and is_code(back) else ""
        lines.append(
            f"**[{first.priority}]** {objects}: {first.finding.detail.rstrip('.')}. `{_command(facts, first.result)}`."
            f" **Rollback:** {shown}{again}"
        )
    lines += [
        f"**[{priority}]** {words.format(to=to)} **Rollback:** not applicable, it only reads."
        for priority, words in STANDING
    ]
    yield Text("Ordered by risk, P0 to P2; those that come back with each release stand at the end.")
    yield Items(lines, in_order=True)
