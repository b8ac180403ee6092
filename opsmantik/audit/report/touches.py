"""Which columns a statement reads and writes, by PostgreSQL's own grammar (postgast wraps libpg_query).

A name belongs to the innermost part of the statement in which a table has it, as PostgreSQL itself has it. Whole rows
(``c.*``, ``to_jsonb(c)``, a variable of a table's type) are told apart: they read every column and name none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from opsmantik.audit.report.grammar import PgQueryError, parse, pg, unwrap_node

Columns = Mapping[str, frozenset[str]]
"""Of each table and view, by schema and name: ``public.calls``."""

WHOLE: Final = "*"


class Touch(NamedTuple):
    """One column, or :data:`WHOLE` rows, of one table."""

    table: str
    column: str
    writes: bool


@dataclass
class Touched:
    """What a statement touches, and the functions that it calls by name."""

    columns: set[Touch] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)

    def add(self, other: Touched) -> None:
        """Take in what another touches."""
        self.columns |= other.columns
        self.calls |= other.calls


class UnreadableError(ValueError):
    """PostgreSQL's grammar does not know it."""


@dataclass
class _Source:
    """An entry of FROM: a table, or something with columns of its own (None: nobody knows which)."""

    alias: str
    table: str | None = None
    outputs: frozenset[str] | None = None


@dataclass
class _Scope:
    parent: _Scope | None
    queries: dict[str, frozenset[str] | None]
    sources: list[_Source] = field(default_factory=list)


def touched(sql: str, columns: Columns, rows: Mapping[str, str] | None = None) -> Touched:
    """What a text of statements touches. ``rows`` are variables that hold whole rows: their table by their name.

    Raises :class:`UnreadableError`.
    """
    try:
        tree = parse(sql)
    except PgQueryError as error:
        raise UnreadableError(str(error)) from None
    walk = _Walk(columns, rows or {})
    for raw in tree.stmts:
        walk.statement(unwrap_node(raw.stmt), _Scope(None, {}))
    return walk.found


class _Walk:
    def __init__(self, columns: Columns, rows: Mapping[str, str]) -> None:
        self.found = Touched()
        self._columns = columns
        self._rows = rows
        self._by_name: dict[str, str] = {}
        for name in sorted(columns, key=lambda name: not name.startswith("public.")):
            self._by_name.setdefault(name.partition(".")[2], name)

    # Statements. Each answers the names of its columns, or None.

    def statement(self, node: Any, parent: _Scope) -> frozenset[str] | None:
        scope = _Scope(parent, dict(parent.queries))
        for cte in node.with_clause.ctes if _has(node, "with_clause") else ():
            self._cte(cte.common_table_expr, scope, recursive=node.with_clause.recursive)
        if isinstance(node, pg.SelectStmt):
            return self._select(node, scope)
        if isinstance(node, pg.InsertStmt | pg.UpdateStmt | pg.DeleteStmt | pg.MergeStmt):
            return self._change(node, scope)
        if isinstance(node, pg.CopyStmt) and _has(node, "relation"):
            self._copied(node)
        self._parts(node, scope)
        return None

    def _cte(self, cte: Any, scope: _Scope, *, recursive: bool) -> None:
        given = frozenset(_text(name) for name in cte.aliascolnames) or None
        if recursive:
            query = unwrap_node(cte.ctequery)
            first = query.larg if isinstance(query, pg.SelectStmt) and _has(query, "larg") else None
            scope.queries[cte.ctename] = given or (None if first is None else self.statement(first, scope))
        made = self.statement(unwrap_node(cte.ctequery), scope)
        scope.queries[cte.ctename] = given or made

    def _select(self, node: Any, scope: _Scope) -> frozenset[str] | None:
        if _has(node, "larg"):
            made = self.statement(node.larg, scope)
            self.statement(node.rarg, scope)
            # What orders the whole names columns of the result.
            return made
        for item in node.from_clause:
            self._from(unwrap_node(item), scope)
        self._parts(node, scope, leave={"from_clause", "with_clause"})
        return self._outputs(node.target_list, scope)

    def _change(self, node: Any, scope: _Scope) -> frozenset[str] | None:
        table = self._table(node.relation, scope)
        scope.sources.append(_Source(node.relation.alias.aliasname or node.relation.relname, table))
        for part in ("from_clause", "using_clause"):
            for item in getattr(node, part, ()):
                self._from(unwrap_node(item), scope)
        if isinstance(node, pg.MergeStmt):
            self._from(unwrap_node(node.source_relation), scope)
        if isinstance(node, pg.InsertStmt):
            self._inserted(node, table, scope)
            # What would have been written: it names no column that is there.
            scope.sources.append(_Source("excluded", outputs=frozenset()))
        self._targets(getattr(node, "target_list", ()), table)
        for clause in getattr(node, "merge_when_clauses", ()):
            self._targets(clause.merge_when_clause.target_list, table)
        if _has(node, "on_conflict_clause"):
            self._targets(node.on_conflict_clause.target_list, table)
            for element in node.on_conflict_clause.infer.index_elems:
                self._read(table, element.index_elem.name)
        leave = {"relation", "cols", "from_clause", "using_clause", "source_relation", "with_clause"}
        self._parts(node, scope, leave={*leave, "select_stmt"})
        return self._outputs(node.returning_clause.exprs, scope)

    def _inserted(self, node: Any, table: str | None, scope: _Scope) -> None:
        self._targets(node.cols, table)
        if not node.cols and table is not None:
            self.found.columns.add(Touch(table, WHOLE, True))
        if _has(node, "select_stmt"):
            self.statement(unwrap_node(node.select_stmt), _Scope(scope.parent, scope.queries))

    def _copied(self, node: Any) -> None:
        table = self._by_name.get(node.relation.relname)
        if table is not None:
            named = [_text(name) for name in node.attlist] or [WHOLE]
            self.found.columns |= {Touch(table, name, bool(node.is_from)) for name in named}

    def _targets(self, targets: Iterable[Any], table: str | None) -> None:
        for target in targets:
            name = target.res_target.name
            if table is not None and name in self._columns[table]:
                self.found.columns.add(Touch(table, name, True))

    def _outputs(self, targets: Iterable[Any], scope: _Scope) -> frozenset[str] | None:
        names: set[str] = set()
        for target in targets:
            value = unwrap_node(target.res_target.val)
            if target.res_target.name:
                names.add(target.res_target.name)
            elif isinstance(value, pg.ColumnRef):
                last = unwrap_node(value.fields[-1])
                if isinstance(last, pg.A_Star):
                    behind = self._behind(value, scope)
                    if behind is None:
                        return None
                    names |= behind
                else:
                    names.add(last.sval)
            elif isinstance(value, pg.FuncCall):
                names.add(_text(value.funcname[-1]))
        return frozenset(names)

    def _behind(self, star: Any, scope: _Scope) -> frozenset[str] | None:
        alias = _text(star.fields[-2]) if len(star.fields) > 1 else None
        names: set[str] = set()
        for source in scope.sources:
            if alias in (None, source.alias):
                has = self._columns.get(source.table) if source.table else source.outputs
                if has is None:
                    return None
                names |= has
        return frozenset(names)

    # FROM.

    def _from(self, item: Any, scope: _Scope) -> None:
        if isinstance(item, pg.JoinExpr):
            for side in (item.larg, item.rarg):
                self._from(unwrap_node(side), scope)
            for name in item.using_clause:
                for source in scope.sources:
                    self._read(source.table, _text(name))
            if _has(item, "quals"):
                self._part(item.quals, scope)
            return
        alias = item.alias.aliasname if hasattr(item, "alias") else ""
        given = (
            frozenset(_text(name) for name in item.alias.colnames) if hasattr(item, "alias") else frozenset()
        )
        if isinstance(item, pg.RangeVar):
            if not item.schemaname and item.relname in scope.queries:
                made = given or scope.queries[item.relname]
                scope.sources.append(_Source(alias or item.relname, outputs=made))
            else:
                scope.sources.append(_Source(alias or item.relname, self._table(item, scope), given))
        elif isinstance(item, pg.RangeSubselect):
            made = self.statement(unwrap_node(item.subquery), scope)
            scope.sources.append(_Source(alias, outputs=given or made))
        elif isinstance(item, pg.RangeTableSample):
            self._from(unwrap_node(item.relation), scope)
        else:
            self._parts(item, scope, leave={"alias"})
            listed = frozenset(each.column_def.colname for each in getattr(item, "coldeflist", ()))
            scope.sources.append(_Source(alias, outputs=given or listed or None))

    def _table(self, relation: Any, scope: _Scope) -> str | None:
        if relation.schemaname:
            name = f"{relation.schemaname}.{relation.relname}"
            return name if name in self._columns else None
        return self._by_name.get(relation.relname)

    # Expressions.

    def _parts(self, node: Any, scope: _Scope, leave: Iterable[str] = ()) -> None:
        for descriptor, value in node.ListFields():
            if descriptor.name not in leave and descriptor.message_type is not None:
                for each in value if _is_many(value) else (value,):
                    self._part(each, scope)

    def _part(self, node: Any, scope: _Scope) -> None:
        node = unwrap_node(node) if isinstance(node, pg.Node) else node
        if isinstance(node, pg.SelectStmt | pg.InsertStmt | pg.UpdateStmt | pg.DeleteStmt):
            self.statement(node, scope)
        elif isinstance(node, pg.ColumnRef):
            self._named(node, scope)
        elif isinstance(node, pg.A_Indirection):
            self._field(node, scope)
        else:
            if isinstance(node, pg.FuncCall):
                self.found.calls.add(_text(node.funcname[-1]))
            self._parts(node, scope)

    def _field(self, node: Any, scope: _Scope) -> None:
        """``(c).status``: a field of a row."""
        holder, first = unwrap_node(node.arg), unwrap_node(node.indirection[0])
        if isinstance(holder, pg.ColumnRef) and len(holder.fields) == 1 and isinstance(first, pg.String):
            table = self._row_of(_text(holder.fields[0]), scope)
            if table is not None:
                self._read(table, first.sval)
                return
        self._parts(node, scope)

    def _row_of(self, name: str, scope: _Scope | None) -> str | None:
        while scope is not None:
            for source in scope.sources:
                if source.alias == name:
                    return source.table
            scope = scope.parent
        return self._rows.get(name)

    def _named(self, node: Any, scope: _Scope) -> None:
        fields = [unwrap_node(each) for each in node.fields]
        names = [WHOLE if isinstance(each, pg.A_Star) else each.sval for each in fields]
        if names == [WHOLE]:
            for source in scope.sources:
                self._read(source.table, WHOLE)
        elif len(names) == 1:
            self._unqualified(names[0], scope)
        elif (table := self._row_of(names[-2], scope)) is not None:
            self._read(table, names[-1])
        elif len(names) == 2 and (table := self._row_of(names[0], scope)) is not None:
            self._read(table, names[1])

    def _unqualified(self, name: str, start: _Scope) -> None:
        scope: _Scope | None = start
        while scope is not None:
            holders = [s.table for s in scope.sources if s.table and name in self._columns[s.table]]
            if holders:
                for table in holders:
                    self._read(table, name)
                return
            if any(source.table is None and name in (source.outputs or ()) for source in scope.sources):
                return
            scope = scope.parent
        self._read(self._row_of(name, start), WHOLE)

    def _read(self, table: str | None, column: str) -> None:
        if table is not None and (column == WHOLE or column in self._columns[table]):
            self.found.columns.add(Touch(table, column, False))


def _has(node: Any, name: str) -> bool:
    return name in node.DESCRIPTOR.fields_by_name and node.HasField(name)


def _is_many(value: Any) -> bool:
    return not hasattr(value, "ListFields")


def _text(node: Any) -> str:
    return str(unwrap_node(node).sval)


def row_types(declared: str, columns: Columns) -> Iterator[tuple[str, str]]:
    """The variables of a text of declarations, or of arguments, whose type is a table's row: name and table."""
    for name, kind in _DECLARED.findall(declared):
        table = kind if "." in kind else f"public.{kind}"
        if table in columns:
            yield name, table


_DECLARED: Final = re.compile(
    r"\b([a-z_][a-z0-9_]*)\s+(?:constant\s+)?((?:[a-z_]+\.)?[a-z_][a-z0-9_]*)(?:%rowtype)?\s*(?=[;,):=]|DEFAULT|$)",
    re.IGNORECASE,
)
