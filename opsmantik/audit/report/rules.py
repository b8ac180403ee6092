"""Sections 5 and 7 of the first report: policies with their gaps, and foreign keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from opsmantik.audit.report import told
from opsmantik.audit.report.document import Block, Heading, Items, Text
from opsmantik.audit.report.facts import Facts, Table, Usage
from opsmantik.audit.report.words import listed, several, some

COMMANDS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")


def policy_gaps(facts: Facts, usage: Usage, tables: list[Table]) -> Iterator[Block]:
    for table in tables:
        yield Heading(f"`{table.title}`")
        secured = "yes" if table.secured else "no"
        forced = "for its owner too" if table.forced else "not for its owner"
        bound = f"**RLS enabled:** {secured}{f', {forced}' if table.secured else ''}."
        yield Text(
            f"{bound} **Granted:** {listed(table.grants) if table.grants else 'to nobody but its owner'}."
        )
        own = facts.policies.get(table.oid, ())
        if own:
            yield Items([
                f"`{p.name}`: {p.command} for {listed(p.roles)}{'' if p.is_permissive else ' (restrictive)'}"
                + (f"; sees `{_short(p.using)}`" if p.using else "")
                + (f"; writes `{_short(p.checks)}`" if p.checks else "")
                for p in own
            ])  # fmt: skip
        yield Text(f"**Coverage:** {_covered(facts, table)}")
    yield Heading("RLS gap analysis")
    yield from _gaps(facts, usage, tables)
    yield from told.group_blocks(facts.audit, "tenancy")


def _short(expression: str) -> str:
    words = " ".join(expression.split()).replace("`", "'")
    return words if len(words) <= 160 else f"{words[:157]}..."


def _covered(facts: Facts, table: Table) -> str:
    own = facts.policies.get(table.oid, ())
    granted = {grant.partition(" ")[0] for grant in table.grants}
    if not table.secured:
        open_to = [command for command in COMMANDS if command in granted]
        return (
            f"none is needed by row: {listed(open_to)} {'is' if len(open_to) == 1 else 'are'} granted on the whole table."
            if open_to
            else ("nobody but its owner reaches it.")
        )
    lacking = [c for c in COMMANDS if c in granted and not any(p.command in (c, "ALL") for p in own)]
    if lacking:
        return f"**{listed(lacking)} granted without a policy**: no row is seen or written that way."
    closed = [c for c in COMMANDS if c not in granted]
    rest = f"; {listed(closed)} granted to nobody but its owner" if closed else ""
    return f"every granted command has its policy{rest}."


def _gaps(facts: Facts, usage: Usage, tables: list[Table]) -> Iterator[Block]:
    """Commands without a policy: may nobody run them, and if so, what writes?"""
    lines = []
    for table in tables:
        own = facts.policies.get(table.oid, ())
        lacking = [c for c in COMMANDS[1:] if not any(p.command in (c, "ALL") for p in own)]
        if not table.secured or not lacking:
            continue
        writers = sorted({p.name for p in usage.places if p.is_function and table.full_name in p.writes})
        by = f"it is written by {some(writers, 4)}" if writers else "no function of the database writes it"
        if usage.has_no_grammar:
            by = "which functions write it was not read"
        lines.append(f"`{table.title}`: {listed(lacking)} without a policy; {by}.")
    if lines:
        yield Items(lines)
    else:
        yield Text(
            "No table with row security lacks a policy for writing; where a policy is the owner's, as functions write for"
            " everybody else, it is told above."
        )
    open_ones = [t.title for t in tables if not t.secured and _is_tenants(facts, t)]
    yield Text(
        f"Tables with `site_id` and without row security: {some(open_ones, 12)}."
        if open_ones
        else "Every table with a `site_id` has row security."
    )


def _is_tenants(facts: Facts, table: Table) -> bool:
    return any(column.name == "site_id" for column in facts.columns.get(table.oid, ()))


def foreign_keys(facts: Facts, tables: list[Table]) -> Iterator[Block]:
    every = [key for table in tables for key in facts.keys.get(table.oid, ())]
    if not every:
        yield Text("No table refers to another by a foreign key.")
        return
    for table in tables:
        own = facts.keys.get(table.oid, ())
        if own:
            yield Heading(f"From `{table.title}`")
            yield Items([
                f"`{table.title}.({', '.join(k.columns)})` → `{k.other_name}.({', '.join(k.others)})`"
                f" (ON DELETE {k.on_delete}){'' if k.is_validated else ', **not validated**'}"
                for k in own
            ])  # fmt: skip
    loose = [key.name for key in every if not key.is_validated]
    alone = [t.title for t in tables if not facts.keys.get(t.oid) and not _is_referred(every, t)]
    yield Text(
        f"**Result:** {several(len(every), 'relationship')}, "
        + (f"not validated: {some(loose)}." if loose else "all validated.")
        + (f" Tables that neither refer nor are referred to: {some(alone, 20)}." if alone else "")
    )


def _is_referred(keys: Iterable[object], table: Table) -> bool:
    return any(getattr(key, "other", None) == table.oid for key in keys)
