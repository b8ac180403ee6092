"""Sections 1 to 4 of the first report: tables, rows, indexes and partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Final

from opsmantik.audit.indexes import PURPOSES
from opsmantik.audit.report import told
from opsmantik.audit.report.document import Bar, Bars, Block, Dot, Dots, Grid, Heading, Items, Text
from opsmantik.audit.report.facts import Facts, Index, Table
from opsmantik.audit.report.words import code, day, listed, number, several, share, size, some

EXPECTED: Final = ("events", "sessions", "calls", "sites")
CRITICAL: Final = ("site_id", "created_at", "created_month", "session_month", "status")
CHARTED: Final = 16
_BOUND: Final = re.compile(r"FROM \('([0-9-]+)[^']*'\) TO \('([0-9-]+)[^']*'\)")


def table_map(facts: Facts, tables: list[Table]) -> Iterator[Block]:
    yield Heading("Core tables")
    yield Grid(
        ("Table", "Size", "Rows", "Columns", "Has FK", "Type", "Notes"),
        [
            (
                f"`{t.title}`", size(facts.bytes(t)), number(facts.rows(t)), str(t.columns),
                "yes" if facts.keys.get(t.oid) else "no", _kind(t), _note(facts, t),
            )
            for t in tables
        ],
        frozenset({1, 2, 3}), "Core tables",
    )  # fmt: skip
    largest = sorted(tables, key=lambda t: -facts.bytes(t))[:CHARTED]
    yield Bars("Sizes by table", [_weight(facts, table) for table in largest], ("Rows", "Indexes"))
    yield Heading("Partition tables")
    parts = [(part, table) for table in tables for part in facts.parts(table)]
    if not parts:
        yield Text("No table is partitioned.")
        return
    yield Grid(
        ("Partition", "Parent", "Size", "Row estimate"),
        [(f"`{p.title}`", f"`{t.title}`", size(p.bytes), number(p.rows)) for p, t in parts],
        frozenset({2, 3}), "Partition tables",
    )  # fmt: skip


def _kind(table: Table) -> str:
    kind = {"p": "PARTITIONED", "m": "MATERIALIZED VIEW"}.get(table.kind, "MAIN")
    return f"{kind}, unlogged" if table.persistence == "u" else kind


def _note(facts: Facts, table: Table) -> str:
    held = {column.name for column in facts.columns.get(table.oid, ())}
    notes = [f"Partitioned by `{table.key}`" if table.key else "Not partitioned"]
    if table.name == "sites":
        notes.append("the root of the tenants")
    elif "site_id" in held:
        notes.append("a tenant's, by `site_id`")
    if table.comment:
        notes.append(table.comment)
    return "; ".join(notes)


def _weight(facts: Facts, table: Table) -> Bar:
    whole, indexes = facts.bytes(table), sum(leaf.index_bytes for leaf in facts.leaves(table))
    return Bar(table.title, (whole - indexes, indexes), size(whole))


def row_estimates(facts: Facts, tables: list[Table]) -> Iterator[Block]:
    counted = sorted(tables, key=lambda t: (-facts.rows(t), t.title))
    whole = sum(map(facts.rows, tables))
    yield Grid(
        ("Table", "Rows", "Share", "Analysed"),
        [(f"`{t.title}`", number(facts.rows(t)), share(facts.rows(t), whole), _analysed(facts, t)) for t in counted],
        frozenset({1, 2}), "Rows by table",
    )  # fmt: skip
    there = {t.name: facts.rows(t) for t in tables if t.schema == "public" and t.name in EXPECTED}
    known = [name for name in EXPECTED if name in there]
    if len(known) < 2:
        yield Text("The tables whose order is known (events, sessions, calls, sites) are not here.")
        return
    holds = all(there[one] >= there[two] for one, two in pairwise(known))
    yield Text(
        f"**Expected pattern:** {' ≥ '.join(f'`{name}`' for name in known)}."
        f" It {'holds' if holds else 'does not hold'} here."
    )


def _analysed(facts: Facts, table: Table) -> str:
    when = [leaf.analysed for leaf in facts.leaves(table) if leaf.analysed]
    return day(max(when)) if when else "never: counted as written"


def index_analysis(facts: Facts, tables: list[Table]) -> Iterator[Block]:
    whole = [(table, index) for table in tables for index in facts.indexes.get(table.oid, ())]
    yield Dots(
        "Index size against scans", "Scans", "Bytes",
        [Dot(i.name, i.scans, i.bytes, f"{size(i.bytes)}, {several(i.scans, 'scan')}") for _, i in whole],
    )  # fmt: skip
    for table in tables:
        yield Heading(f"Indexes of `{table.title}`")
        own = facts.indexes.get(table.oid, ())
        if not own:
            yield Text("It has none: every reading goes through the whole table.")
            continue
        yield Grid(
            ("Index name", "Columns", "Size", "Scans", "Purpose"),
            [
                (f"`{i.name}`", _columns(i), size(i.bytes), number(i.scans), purpose(facts, i))
                for i in sorted(own, key=lambda i: (not i.is_primary, i.name))
            ],
            frozenset({2, 3}), f"Indexes of {table.title}",
        )  # fmt: skip
        yield Text(_coverage(facts, table))
    yield Heading("Missing indexes analysis")
    yield Text(
        "**Critical columns:** what queries ask by, and the index that has each of them first or further on."
    )
    yield Items(
        [line for table in tables for line in _critical(facts, table)] or ["No table has one of them."]
    )
    yield from told.group_blocks(facts.audit, "indexes")


def _columns(index: Index) -> str:
    words = code(*index.columns)
    if index.method != "btree":
        words += f" ({index.method.upper()})"
    return f"{words} where `{index.condition}`" if index.condition else words


def purpose(facts: Facts, index: Index) -> str:
    """What it is for: as somebody has written down, or as the rule that it keeps."""
    if index.comment:
        return index.comment
    if facts.is_ours and index.name in PURPOSES:
        return PURPOSES[index.name]
    if index.is_primary:
        return "Names a row"
    if index.is_unique:
        return f"Keeps rows apart by {listed(f'`{column}`' for column in index.columns)}"
    return (
        f"Finds rows by {listed(f'`{column}`' for column in index.columns)}; what asks so is not written down"
    )


def _coverage(facts: Facts, table: Table) -> str:
    own = facts.indexes[table.oid]
    never = [i.name for i in own if not i.scans and not i.is_unique]
    broken = [i.name for i in own if not i.is_valid]
    words = f"**Coverage:** {several(len(own), 'index', 'indexes')} of {size(sum(i.bytes for i in own))}."
    words += (
        f" Not read since counting began: {some(never)}."
        if never
        else " Each that keeps no rule has been read."
    )
    return words + (f" Not valid: {code(*broken)}." if broken else "")


def _critical(facts: Facts, table: Table) -> Iterator[str]:
    for column in facts.columns.get(table.oid, ()):
        if column.name not in CRITICAL and not (table.key and column.name in table.key):
            continue
        own = facts.indexes.get(table.oid, ())
        leading = [i.name for i in own if i.columns[:1] == [column.name]]
        later = [i.name for i in own if column.name in i.columns[1:]]
        if leading:
            yield f"`{table.title}.{column.name}`: first in {some(leading, 3)}"
        elif later:
            yield f"`{table.title}.{column.name}`: further on in {some(later, 3)}"
        else:
            yield f"`{table.title}.{column.name}`: **in no index** ({several(facts.rows(table), 'row')})"


def partition_strategy(facts: Facts, tables: list[Table]) -> Iterator[Block]:
    split = [table for table in tables if table.kind == "p"]
    if not split:
        yield Text("No table is partitioned, so there is no strategy to verify.")
    for table in split:
        parts = facts.parts(table)
        yield Heading(f"Partitions of `{table.title}`")
        if not parts:
            yield Text("It has none: nothing can be stored in it.")
            continue
        yield Grid(
            ("Partition", "Range", "Status", "Size", "Row estimate"),
            [
                (f"`{p.title}`", _range(p), _status(p, facts.server.at.date()), size(p.bytes), number(p.rows))
                for p in parts
            ],
            frozenset({3, 4}), f"Partitions of {table.title}",
        )  # fmt: skip
        yield Bars(
            f"Rows by partition of {table.title}", [Bar(p.title, (p.rows,), number(p.rows)) for p in parts]
        )
        yield Text(f"**Partition key:** `{table.key}`. **Strategy:** {_strategy(parts)}.")
        yield Text(
            f"Together {several(facts.rows(table), 'row')} in {size(facts.bytes(table))}: the sums of its partitions."
        )
    yield Heading("Partition pruning verification")
    yield from told.group_blocks(facts.audit, "partitions")


def _range(part: Table) -> str:
    found = _BOUND.search(part.bounds or "")
    if found:
        return f"{found[1]} to {found[2]}"
    return "DEFAULT: what fits no other" if part.bounds == "DEFAULT" else str(part.bounds)


def _status(part: Table, today: date) -> str:
    if part.bounds == "DEFAULT":
        return "fallback, empty" if not part.rows else "fallback, with rows"
    found = _BOUND.search(part.bounds or "")
    if not found:
        return "attached"
    first, end = date.fromisoformat(found[1][:10]), date.fromisoformat(found[2][:10])
    return "ahead" if first > today else "past" if end <= today else "current"


def _strategy(parts: list[Table]) -> str:
    found = [_BOUND.search(part.bounds or "") for part in parts]
    spans = {
        (date.fromisoformat(each[2][:10]) - date.fromisoformat(each[1][:10])).days for each in found if each
    }
    if not spans:
        return "not by ranges of dates"
    return "a month each" if spans <= {28, 29, 30, 31} else f"ranges of {min(spans)} to {max(spans)} days"
