"""Sections 6 and 9 of the first report: columns with who touches them, and what touches which columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from opsmantik.audit.report.document import Block, Grid, Heading, Items, Text
from opsmantik.audit.report.facts import NOTHING, PAGES, Column, Facts, Place, Table, Usage, Use
from opsmantik.audit.report.words import code, number, several, some

MOST: Final = 4
TITLES: Final = (
    "Column", "Type", "Keys and indexes", "Filled", "Values", "Read by", "Written by", "Routes, pages, commands, jobs",
    "In the database",
)  # fmt: skip
MOSTLY: Final = 0.9
NO_SOURCE: Final = (
    "Which query, route or page of its program uses a column cannot be told: the program's source is not here. What is told"
    " is what the database itself holds: functions, views, policies, checks, triggers, keys and indexes."
)
NO_GRAMMAR: Final = (
    "Statements were not read: the package `postgast`, PostgreSQL's own grammar, is not installed."
)


def columns(facts: Facts, usage: Usage, tables: Sequence[Table]) -> Iterator[Block]:
    """By table: each column, how filled it is, and what uses it."""
    yield Text(
        "Filled: how many in a hundred rows have a value, from the planner's statistics; where row security hides those,"
        " from a sample of some pages. Values: how many different ones; ≥ where only a part was looked at. Reads and"
        " writes are those of the program's own SQL and of the database's functions; after them, what leads there."
    )
    if not facts.is_ours:
        yield Text(NO_SOURCE)
    if usage.has_no_grammar:
        yield Text(NO_GRAMMAR)
    if facts.hidden:
        yield Text(f"How filled these are is hidden from `{facts.server.role}`: {some(facts.hidden, 20)}.")
    for table in tables:
        own = facts.columns.get(table.oid, ())
        yield Heading(f"Columns of `{table.title}` ({len(own)})")
        if not own:
            yield Text("It has none.")
            continue
        yield Grid(
            TITLES,
            [_row(facts, usage, table, column) for column in own],
            frozenset({3, 4}), f"Columns of {table.title}",
        )  # fmt: skip
        yield Text(f"**Usage pattern:** {_pattern(facts, usage, table)}")
    if usage.unread:
        yield Heading("What could not be read")
        yield Text("Statements and functions whose columns are not in the lists above:")
        yield Items(usage.unread)


def _row(facts: Facts, usage: Usage, table: Table, column: Column) -> tuple[str, ...]:
    use = usage.columns.get((table.full_name, column.name), NOTHING)
    leans = facts.leans.get((table.oid, column.name), ())
    nothing = "not known" if usage.has_no_grammar else "nothing" if facts.is_ours else "no function here"
    reads = some(use.reads, MOST) or (f"in whole rows: {some(use.in_rows, 3)}" if use.in_rows else nothing)
    leads = "none" if facts.is_ours and not usage.has_no_grammar else "not known"
    return (
        f"`{column.name}`", f"{column.type}{'' if column.is_required else ', optional'}",
        _in_keys(facts, table, column), filled(facts, table, column), _values(facts, table, column),
        reads, some(use.writes, 3) or ("made by the database" if column.is_generated else nothing),
        some(use.entries, 3) or leads, some(leans, 3) or "nothing",
    )  # fmt: skip


def filled(facts: Facts, table: Table, column: Column) -> str:
    """In a hundred rows."""
    if column.nulls is not None:
        return f"{100 * (1 - column.nulls):.1f} %"
    if column.is_required:
        return "100.0 %" if facts.rows(table) else "no rows"
    if table.title in facts.hidden:
        return "hidden"
    return "not analysed" if facts.rows(table) else "no rows"


def _values(facts: Facts, table: Table, column: Column) -> str:
    if column.distinct_values is None:
        return "not counted" if facts.rows(table) else "no rows"
    part = column.is_sampled and sum(leaf.pages for leaf in facts.leaves(table)) > PAGES
    return f"{'≥ ' if part else ''}{number(column.distinct_values)}"


def _in_keys(facts: Facts, table: Table, column: Column) -> str:
    own = facts.indexes.get(table.oid, ())
    words = []
    if any(i.is_primary and column.name in i.columns for i in own):
        words.append("PK")
    if any(column.name in key.columns for key in facts.keys.get(table.oid, ())):
        words.append("FK")
    if table.key and column.name in table.key:
        words.append("partition key")
    indexed = [
        i.name
        for i in own
        if not i.is_primary and (column.name in i.columns or column.name in (i.condition or ""))
    ]
    if indexed:
        words.append(f"indexed ({len(indexed)})")
    return ", ".join(words) or "no key"


def is_unused(facts: Facts, use: Use, table: Table, column: Column) -> bool:
    """Whether nothing names it, takes its rows whole, or stands on it in the database."""
    return not (use.reads or use.writes or use.in_rows or _stands(facts, table, column))


def _stands(facts: Facts, table: Table, column: Column) -> bool:
    """Whether something in the database itself needs it."""
    return bool(facts.leans.get((table.oid, column.name))) or _in_keys(facts, table, column) != "no key"


def _pattern(facts: Facts, usage: Usage, table: Table) -> str:
    idle, unread, empty = _idle(facts, usage, table)
    if usage.has_no_grammar:
        return "not known, as statements were not read."
    words = []
    if idle:
        words.append(f"**nothing {'' if facts.is_ours else 'in the database itself '}uses** {code(*idle)}.")
    if unread:
        words.append(f"Written, and read by nothing that names it: {code(*unread)}.")
    if empty:
        words.append(f"Never filled: {code(*empty)}.")
    whole = (
        "every column is used by a statement, a function or the database itself."
        if facts.is_ours
        else ("every column is used by a function or by the database itself.")
    )
    return " ".join(words) or whole


def _idle(facts: Facts, usage: Usage, table: Table) -> tuple[list[str], list[str], list[str]]:
    """Columns that nothing uses, that are only written, and that no row fills."""
    idle, unread, empty = [], [], []
    for column in facts.columns.get(table.oid, ()):
        use = usage.columns.get((table.full_name, column.name), NOTHING)
        if is_unused(facts, use, table, column):
            idle.append(column.name)
        elif use.writes and not (use.reads or use.in_rows or _stands(facts, table, column)):
            unread.append(column.name)
        if column.nulls == 1 and facts.rows(table):
            empty.append(column.name)
    return idle, unread, empty


def unused(facts: Facts, usage: Usage) -> Iterator[str]:
    """A sentence for each table with columns that nothing uses."""
    if usage.has_no_grammar:
        yield NO_GRAMMAR
        return
    for table in facts.whole():
        idle = _idle(facts, usage, table)[0]
        if idle:
            where = "of the program or the database" if facts.is_ours else "in the database"
            yield (
                f"`{table.title}`: nothing {where} uses {code(*idle)}. Ask who else reads"
                f" {'it' if len(idle) == 1 else 'them'}, before {'it goes' if len(idle) == 1 else 'they go'}."
            )


def codebase(facts: Facts, usage: Usage) -> Iterator[Block]:
    """What touches which columns: by route, page, command and job; by statement; by function."""
    if usage.has_no_grammar:
        yield Text(NO_GRAMMAR)
        return
    statements = [place for place in usage.places if not place.is_function]
    functions = [place for place in usage.places if place.is_function]
    if facts.is_ours:
        yield Text(
            f"{several(len(statements), 'statement')} of the program and {several(len(functions), 'function')} of the"
            f" database, reached from {len(usage.entries)} routes, pages, commands and jobs. Columns are those that a"
            " statement names; `*` stands for whole rows."
        )
        yield Heading("From routes, pages, commands and jobs")
        common = _common(usage)
        yield Text(
            "Whoever is signed in is known by these; they are left out below, where they stand for no more than that:"
            f" {_tables(common) or 'none'}."
        )
        yield Grid(
            ("What asks", "Columns that it touches"),
            [
                (f"`{entry}`", _tables(_beside(tables, common)) or "only those")
                for entry, tables in usage.entries.items()
            ],
            label="From routes, pages, commands and jobs",
        )
        yield Heading("From queries and statements")
        yield Grid(
            ("Statement", "Reads", "Writes", "Asked by"),
            [(*_touches(p), some(p.entries, 3) or "nothing that could be followed") for p in statements],
            label="From queries and statements",
        )
    else:
        yield Text(NO_SOURCE)
    yield Heading("From functions of the database")
    if not functions:
        yield Text("It has no functions in SQL or PL/pgSQL.")
        return
    titles = ("Function", "Reads", "Writes", "Asked by") if facts.is_ours else ("Function", "Reads", "Writes")
    yield Grid(
        titles,
        [
            (*_touches(p), some(p.entries, 3) or "other functions, policies or nothing")[: len(titles)]
            for p in functions
        ],
        label="From functions of the database",
    )


def _touches(place: Place) -> tuple[str, str, str]:
    return f"`{place.name}`", _tables(place.reads) or "no table itself", _tables(place.writes) or "nothing"


def _common(usage: Usage) -> dict[str, list[str]]:
    """What nearly every route touches: who asks, and what they may see."""
    routes = [tables for entry, tables in usage.entries.items() if entry.partition(" ")[0].isupper()]
    counts = Counter(
        (table, column) for tables in routes for table, columns in tables.items() for column in columns
    )
    found: dict[str, list[str]] = {}
    for (table, column), times in sorted(counts.items()):
        if times >= MOSTLY * len(routes):
            found.setdefault(table, []).append(column)
    return found


def _beside(tables: Mapping[str, Sequence[str]], common: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Without what is common, if it has all of that."""
    if any(set(columns) - set(tables.get(table, ())) for table, columns in common.items()):
        return {table: list(columns) for table, columns in tables.items()}
    left = {
        table: [name for name in columns if name not in common.get(table, ())]
        for table, columns in tables.items()
    }
    return {table: columns for table, columns in left.items() if columns}


def _tables(tables: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(
        f"`{table.removeprefix('public.')}`: {', '.join(names)}" for table, names in tables.items()
    )
