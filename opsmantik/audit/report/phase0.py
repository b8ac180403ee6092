"""``opsmantik audit report phase0``: the whole database in ten sections, and nothing left to be filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from opsmantik.audit.report import rules, storage, told, touch_list
from opsmantik.audit.report.document import Block, Document, Grid, Heading, Items, Section, Text
from opsmantik.audit.report.facts import Facts, Table, Usage
from opsmantik.audit.report.words import day, listed, number, several, share, size

# The order in which one looks at this schema; others follow by size.
BUSY: Final = (
    "Table", "Whole scans", "Index scans", "Share of whole", "Added", "Changed", "Hot", "Removed", "Dead", "Vacuumed",
    "Analysed",
)  # fmt: skip
FIRST: Final = ("sessions", "events", "calls", "sites", "profiles", "site_members", "user_credentials")


def phase0(facts: Facts, usage: Usage) -> Document:
    """The report. What does not apply to a database says so in a sentence."""
    tables = _ordered(facts)
    return Document(
        title=f"Phase 0 audit report: {facts.server.name}",
        facts=[
            ("Date", f"{facts.server.at:%Y-%m-%d %H:%M} UTC"),
            (
                "Purpose",
                "The database as it is: its tables, indexes, partitions, policies, columns and how it performs",
            ),
            ("Server", f"PostgreSQL {facts.server.server}, asked as `{facts.server.role}`, only read"),
            ("Status", "Complete: every figure is of this run"),
        ],
        sections=[
            Section("Executive summary", list(_summary(facts, usage, tables))),
            Section("1. Table audit map", list(storage.table_map(facts, tables))),
            Section("2. Row estimates", list(storage.row_estimates(facts, tables))),
            Section("3. Index analysis", list(storage.index_analysis(facts, tables))),
            Section("4. Partition strategy verification", list(storage.partition_strategy(facts, tables))),
            Section("5. RLS policy gap analysis", list(rules.policy_gaps(facts, usage, tables))),
            Section("6. Touch list: column usage analysis", list(touch_list.columns(facts, usage, tables))),
            Section("7. Foreign key relationships", list(rules.foreign_keys(facts, tables))),
            Section("8. Query performance indicators", list(_performance(facts, tables))),
            Section("9. Codebase column usage analysis", list(touch_list.codebase(facts, usage))),
            Section("10. Recommendations", list(_recommendations(facts, usage))),
            Section("Next steps", list(_next(facts))),
        ],
    )


def _ordered(facts: Facts) -> list[Table]:
    def place(table: Table) -> tuple[int, int, str]:
        known = table.schema == "public" and table.name in FIRST
        return (FIRST.index(table.name) if known else len(FIRST), -facts.bytes(table), table.title)

    return sorted(facts.whole(), key=place)


def _summary(facts: Facts, usage: Usage, tables: list[Table]) -> Iterator[Block]:
    split = [table for table in tables if table.kind == "p"]
    parts = sum(len(facts.parts(table)) for table in split)
    indexes = [index for table in tables for index in facts.indexes.get(table.oid, ())]
    rows = sum(facts.rows(table) for table in tables)
    yield Text(
        f"`{facts.server.name}` takes {size(facts.server.bytes)}. It has {several(len(tables), 'table')},"
        f" {len(split)} of them partitioned ({several(parts, 'partition')}), with about {several(rows, 'row')}, and"
        f" {several(len(indexes), 'index', 'indexes')} of {size(sum(index.bytes for index in indexes))}."
    )
    yield Text(told.summary(facts.audit))
    found = told.tasks(facts.audit)
    counts = [f"{sum(task.priority == p for task in found)} {p}" for p in told.PRIORITIES.values()]
    yield Text(
        f"To be done: {listed(counts)}. What and how: section 10 and `opsmantik audit report backlog`."
    )
    yield Text(
        "Rows are what the planner believes since a table was last analysed; scans and writes are counted since"
        f" {day(facts.server.since, 'the server began to count')}. A partitioned table's figures are the sums of its"
        " partitions'."
    )
    if not facts.is_ours:
        yield Text(
            "This database is not one of this program's. It was only read; what is known of the program's own code is left"
            " out, and each section says so where it matters."
        )


def _performance(facts: Facts, tables: list[Table]) -> Iterator[Block]:
    s = facts.server
    yield Items([
        f"Blocks found in memory: {share(s.hit, s.hit + s.read)} of {number(s.hit + s.read)} read",
        f"Transactions: {number(s.commits)} committed, {number(s.rollbacks)} rolled back; {s.deadlocks} deadlocks",
        f"Temporary files: {size(s.temp_bytes)}",
        f"Counted since: {day(s.since, 'the server was set up')}",
    ])  # fmt: skip
    yield Grid(
        BUSY,
        [_busy(facts, table) for table in tables],
        frozenset(range(1, 9)), "Scans, writes and dead rows by table",
    )  # fmt: skip
    yield Text(
        "A small table is always read whole, as that is quicker; what counts is the share of the large ones. Dead rows wait"
        " for vacuum, which comes at a fifth of a table."
    )
    yield from told.group_blocks(facts.audit, "performance")
    slow = [f for r in facts.audit.results if r.name == "slowest_statements" for f in r.findings]
    if slow:
        yield Heading("Slowest statements")
        yield Items([f"{f.detail}" for f in slow])


def _busy(facts: Facts, table: Table) -> tuple[str, ...]:
    leaves = facts.leaves(table)

    def total(name: str) -> int:
        return sum(getattr(leaf, name) for leaf in leaves)

    def last(name: str) -> str:
        when = [getattr(leaf, name) for leaf in leaves if getattr(leaf, name)]
        return day(max(when)) if when else "never"

    whole, by_index = total("seq_scan"), total("idx_scan")
    return (
        f"`{table.title}`", number(whole), number(by_index),
        share(whole, whole + by_index) if whole + by_index else "not read",
        number(total("added")), number(total("changed")),
        share(total("hot"), total("changed")) if total("changed") else "none changed",
        number(total("removed")),
        f"{number(total('dead'))} ({share(total('dead'), total('dead') + total('live'))})" if total("dead") else "0",
        last("vacuumed"), last("analysed"),
    )  # fmt: skip


def _recommendations(facts: Facts, usage: Usage) -> Iterator[Block]:
    results = facts.audit.results
    yield Heading("Strengths")
    groups = dict.fromkeys(result.group for result in results)
    good = []
    for group in groups:
        own = [r for r in results if r.group == group and r.outcome in ("clean", "found")]
        clean = sum(r.outcome == "clean" for r in own)
        if own and clean == len(own):
            good.append(
                f"**{group.capitalize()}**: all of {several(clean, 'check')} that apply are in order."
            )
        elif clean:
            good.append(
                f"**{group.capitalize()}**: {clean} of {several(len(own), 'check')} that apply are in order."
            )
    yield Items(good) if good else Text("No check of this run is in order.")
    yield Heading("Areas for improvement")
    areas = [f"`{r.stem}` could not be asked: {r.reason}" for r in results if r.outcome == "unknown"] + list(
        touch_list.unused(facts, usage)
    )
    yield Items(areas) if areas else Text("Nothing beside what is listed below.")
    yield Heading("Priorities")
    found = told.tasks(facts.audit)
    for priority, meaning in told.MEANS.items():
        due = [task for task in found if task.priority == priority]
        yield Text(
            f"**{priority}** · {meaning}: {several(len(due), 'finding') if due else 'nothing was found'}."
        )
        if due:
            yield Grid(
                ("ID", "Object", "Finding", "Remedy"),
                [(t.id, f"`{t.finding.object}`", t.finding.detail, t.finding.remedy) for t in due],
                label=f"Findings {priority}",
            )


def _next(facts: Facts) -> Iterator[Block]:
    where = "" if facts.is_ours else " --dsn …"
    yield Items([
        f"Work through the backlog, P0 first: `opsmantik audit report backlog{where}` has the plan, how to go back and how"
        " to verify.",
        f"Ask again after each step: `opsmantik audit{where}`; one check alone: `opsmantik audit{where} --only NNNN`.",
        "Write this report again after a release, and keep both: what has grown, and what is no longer used, is seen by"
        " comparing them.",
    ], in_order=True)  # fmt: skip
