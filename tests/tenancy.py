"""The lint "every query names its site": what it reads of a statement, and what it asks for.

Each table or view of tenants that a statement reads or writes must have its ``site_id`` compared, in a place that
binds every row, with a parameter or with a column that is itself so compared. Row security keeps tenants apart
already; this is the second wall, for the day on which somebody weakens the first. The statements are read by
PostgreSQL's own grammar (postgast wraps libpg_query); whatever cannot be followed is a complaint, never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from postgast import PgQueryError, parse, pg_query_pb2, unwrap_node

import opsmantik

pg: Any = pg_query_pb2

DATABASE = Path(opsmantik.__file__).parent / "db"
# Compared by its own keys, it says which site is meant; reading it takes no comparison.
SITES, SITES_KEYS = "sites", frozenset({"id", "public_id"})
# Stands where a dynamic statement gets a value, or a name that nobody can know.
VALUE, UNKNOWN = "%value%", "%name%"


@dataclass
class Output:
    """The columns of a query: which of them hold nothing but sites that the statement names."""

    places: list[tuple[str, bool]] | None = field(
        default_factory=list
    )  # None: a star, so nobody knows the places
    named: dict[str, bool] = field(default_factory=dict)
    rest: bool = False  # whether the columns behind a star are all of that kind

    def holds(self, column: str) -> bool:
        return self.named.get(column, self.rest)


@dataclass
class Source:
    """One entry of a FROM clause."""

    alias: str
    relation: str | None = None  # of a table
    output: Output | None = None  # of anything else, once it is known
    bound: set[str] = field(default_factory=set)  # the columns that the statement binds
    item: Any = None  # a subquery or function, to be looked into again

    @property
    def is_tenant(self) -> bool:
        return self.relation is not None and _is_tenant(self.relation)

    def holds(self, column: str) -> bool:
        if self.relation == SITES and column in SITES_KEYS:
            return bool(self.bound & SITES_KEYS)
        return column in self.bound or (self.output is not None and self.output.holds(column))

    def columns(self) -> set[str]:
        """The columns that are known to be bound."""
        known = self.output.named if self.output is not None else {}
        return self.bound | {name for name, is_bound in known.items() if is_bound}

    def may_have(self, column: str) -> bool:
        if self.relation is not None:
            return column != "site_id" or self.is_tenant
        assert self.output is not None
        return column in self.output.named or self.output.places is None or self.output.rest


@dataclass
class Scope:
    """The names that a part of a statement can use."""

    parent: Scope | None
    variables: frozenset[str]
    queries: dict[str, Output]
    sources: list[Source] = field(default_factory=list)
    # Conditions, with the sources that each can bind (the nullable side of an outer join; None: all).
    conditions: list[tuple[Any, set[str] | None]] = field(default_factory=list)
    merged: set[str] = field(default_factory=set)  # columns of USING

    def find(self, alias: str) -> Source | None:
        found = next((source for source in self.sources if source.alias == alias), None)
        return found or (self.parent.find(alias) if self.parent else None)

    def with_column(self, column: str) -> Source | None:
        having = [source for source in self.sources if source.may_have(column)]
        if len(having) == 1 or (having and column in self.merged):
            return having[0]
        return self.parent.with_column(column) if self.parent and not having else None

    def query(self, name: str) -> Output | None:
        return self.queries.get(name) or (self.parent.query(name) if self.parent else None)

    def inner(self) -> Scope:
        return Scope(self, self.variables, {})


def complaints(sql: str, variables: Iterable[str] = ()) -> list[str]:
    """What is wrong with the statements, in words; ``variables`` of the function around them count as parameters."""
    try:
        statements = parse(sql).stmts
    except PgQueryError as error:
        return [f"cannot be read: {error}"]
    reader = Reader()
    for raw in statements:
        reader.statement(unwrap_node(raw.stmt), Scope(None, frozenset(variables), {}))
    return list(dict.fromkeys(reader.found))


class Reader:
    """Reads statements and collects complaints."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def statement(self, node: Any, scope: Scope) -> Output:
        kind = type(node).__name__
        reader = getattr(self, f"_{kind}", None)
        if reader is not None:
            output: Output = reader(node, scope)
            return output
        if kind in READING_RELATIONS:
            for relation in _relations(node):
                self.found.append(
                    f"{relation}: {kind.removesuffix('Stmt').upper()} takes the rows of all sites"
                )
        elif kind in BODIES:
            self.found.append(f"the body in a {kind} is not read here")
        elif kind not in HARMLESS and (found := [*_relations(node)]):
            self.found.append(f"{', '.join(found)}: a {kind} is not understood")
        return Output()

    # Statements.

    def _SelectStmt(self, node: Any, scope: Scope) -> Output:  # noqa: N802 - the grammar's own names
        scope = scope.inner()
        self._with(node, scope)
        if node.op != pg.SETOP_NONE:
            return self._joined(self._SelectStmt(node.larg, scope), self._SelectStmt(node.rarg, scope))
        if node.values_lists:
            return self._values(node, scope)
        self._from(node.from_clause, scope)
        self._where(node, scope)
        self._settle(scope)
        for part in (*node.target_list, *node.group_clause, node.having_clause, *node.sort_clause):
            self._expression(part, scope)
        for part in (node.limit_count, node.limit_offset, *node.window_clause, *node.distinct_clause):
            self._expression(part, scope)
        return self._outputs(node.target_list, scope)

    def _InsertStmt(self, node: Any, scope: Scope) -> Output:  # noqa: N802
        scope = scope.inner()
        self._with(node, scope)
        target = _table(node.relation)
        given = (
            self._SelectStmt(unwrap_node(node.select_stmt), scope)
            if node.HasField("select_stmt")
            else Output()
        )
        scope.sources = [target, Source("excluded", relation=target.relation)]
        if target.is_tenant:
            columns = [column.res_target.name for column in node.cols]
            if "site_id" not in columns:
                self.found.append(f"{target.relation}: the columns that are inserted do not name site_id")
            elif given.places is None and not given.rest:
                self.found.append(f"{target.relation}: nobody can tell what a star inserts as site_id")
            elif given.places is not None and not _at(given.places, columns.index("site_id")):
                self.found.append(f"{target.relation}: what is inserted as site_id is no parameter")
            for source in scope.sources:
                source.bound.add("site_id")
        if node.HasField("on_conflict_clause"):
            self._expression(node.on_conflict_clause, scope)
            self._assigned(node.on_conflict_clause.target_list, target, scope)
        scope.sources = [target]
        self._expressions(node.returning_clause.exprs, scope)
        return self._outputs(node.returning_clause.exprs, scope)

    def _UpdateStmt(self, node: Any, scope: Scope) -> Output:  # noqa: N802
        return self._changed(node, node.from_clause, scope)

    def _DeleteStmt(self, node: Any, scope: Scope) -> Output:  # noqa: N802
        return self._changed(node, node.using_clause, scope)

    def _changed(self, node: Any, others: Any, scope: Scope) -> Output:
        scope = scope.inner()
        self._with(node, scope)
        target = _table(node.relation)
        scope.sources.append(target)
        self._from(others, scope)
        self._where(node, scope)
        self._settle(scope)
        if isinstance(node, pg.UpdateStmt):
            self._expressions(node.target_list, scope)
            self._assigned(node.target_list, target, scope)
        self._expressions(node.returning_clause.exprs, scope)
        return self._outputs(node.returning_clause.exprs, scope)

    def _assigned(self, targets: Any, table: Source, scope: Scope) -> None:
        for item in targets:
            name, value = item.res_target.name, item.res_target.val
            if table.is_tenant and name == "site_id" and not self._is_bound(value, scope):
                self.found.append(f"{table.relation}: a row is given to another site")

    def _CopyStmt(self, node: Any, scope: Scope) -> Output:  # noqa: N802
        if node.HasField("query"):
            return self.statement(unwrap_node(node.query), scope)
        self.found += [f"{name}: COPY takes the rows of all sites" for name in _relations(node.relation)]
        return Output()

    def _inside(self, node: Any, scope: Scope) -> Output:
        return self.statement(unwrap_node(node.query), scope)

    def _ViewStmt(self, node: Any, scope: Scope) -> Output:  # noqa: N802
        """Whoever reads a view names its site_id: with that done, each table in it must be bound."""
        query = pg.Node()
        query.CopyFrom(node.query)
        if not _ask_for_one_site(query.select_stmt):
            self.found += [f"{name}: shown by a view without a site_id" for name in _relations(node.query)]
            return Output()
        return self._SelectStmt(query.select_stmt, scope)

    _ExplainStmt = _PrepareStmt = _DeclareCursorStmt = _CreateTableAsStmt = _inside

    # FROM.

    def _with(self, node: Any, scope: Scope) -> None:
        for item in node.with_clause.ctes:
            query, name = item.common_table_expr, item.common_table_expr.ctename
            body = unwrap_node(query.ctequery)
            names = [column.string.sval for column in query.aliascolnames]
            if node.with_clause.recursive and isinstance(body, pg.SelectStmt) and body.op != pg.SETOP_NONE:
                # What the first part holds, as far as the part that repeats agrees.
                scope.queries[name] = _renamed(Reader().statement(body.larg, scope), names)
                scope.queries[name] = _renamed(Reader().statement(body, scope), names)
            scope.queries[name] = _renamed(self.statement(body, scope), names)

    def _from(self, items: Any, scope: Scope) -> None:
        for item in items:
            self._from_item(unwrap_node(item), scope)

    def _from_item(self, item: Any, scope: Scope) -> set[str]:
        """Adds what the item brings to the scope; returns the aliases."""
        if isinstance(item, pg.JoinExpr):
            return self._join(item, scope)
        if isinstance(item, pg.RangeVar):
            query = None if item.schemaname else scope.query(item.relname)
            source = _table(item)
            if query is not None:
                names = [name.string.sval for name in item.alias.colnames]
                source = Source(source.alias, output=_renamed(query, names))
            elif source.is_tenant and item.alias.colnames:
                self.found.append(f"{source.relation}: its columns get other names")
        elif isinstance(item, pg.RangeSubselect | pg.RangeFunction):
            source = Source(item.alias.aliasname or _function_name(item), output=Output(), item=item)
        else:
            self.found += [f"{name}: read in a way that is not understood" for name in _relations(item)]
            source = Source(UNKNOWN, output=Output())
        scope.sources.append(source)
        return {source.alias}

    def _join(self, item: Any, scope: Scope) -> set[str]:
        left = self._from_item(unwrap_node(item.larg), scope)
        right = self._from_item(unwrap_node(item.rarg), scope)
        if item.HasField("alias"):
            self.found.append(f"{item.alias.aliasname}: a name for a whole join is not understood")
        sides = {pg.JOIN_INNER: None, pg.JOIN_LEFT: right, pg.JOIN_RIGHT: left}
        binds = sides.get(item.jointype, set())
        if item.HasField("quals"):
            scope.conditions.append((unwrap_node(item.quals), binds))
        columns = [column.string.sval for column in item.using_clause]
        if item.is_natural:
            columns.append("site_id")
        for column in columns:
            scope.merged.add(column)
            scope.conditions.append((_Using(column, left, right), binds))
        return left | right

    def _where(self, node: Any, scope: Scope) -> None:
        if node.HasField("where_clause"):
            scope.conditions.append((unwrap_node(node.where_clause), None))

    def _settle(self, scope: Scope) -> None:
        """Binds columns until nothing more follows, then complains of what is left."""
        before = -1
        while before != (before := sum(len(source.bound) for source in scope.sources)):
            for source in scope.sources:
                if source.item is not None:
                    source.output = Reader()._derived(source.item, scope)
                    source.bound = {name for name, is_bound in source.output.named.items() if is_bound}
            for condition, aliases in scope.conditions:
                for source, column in self._bound_by(condition, scope):
                    if source in scope.sources and (aliases is None or source.alias in aliases):
                        source.bound.add(column)
        for source in scope.sources:
            if source.item is not None:
                self._derived(source.item, scope)
            if source.is_tenant and not source.holds("site_id"):
                name = (
                    source.relation
                    if source.alias == source.relation
                    else f"{source.relation} {source.alias}"
                )
                self.found.append(f"{name}: its site_id is compared with no parameter")
        for condition, _ in scope.conditions:
            self._expression(condition, scope)

    def _derived(self, item: Any, scope: Scope) -> Output:
        names = [name.string.sval for name in item.alias.colnames]
        if isinstance(item, pg.RangeSubselect):
            around = scope if item.lateral else _without_siblings(scope)
            return _renamed(self._SelectStmt(unwrap_node(item.subquery), around), names)
        self._expression(item, scope)
        parts = [node for node in _walk(item) if isinstance(node, pg.ColumnRef | pg.ParamRef)]
        given = bool(parts) and all(self._is_bound(part, scope) for part in parts)
        return Output(None, dict.fromkeys(names, given), given)

    # Expressions.

    def _expressions(self, nodes: Any, scope: Scope) -> None:
        for node in nodes:
            self._expression(node, scope)

    def _expression(self, node: Any, scope: Scope) -> None:
        """Reads the queries inside an expression."""
        if isinstance(node, _Using):
            return
        for part in _walk(node):
            if isinstance(part, pg.SubLink):
                self._SelectStmt(unwrap_node(part.subselect), scope)

    def _bound_by(self, node: Any, scope: Scope) -> list[tuple[Source, str]]:
        """The columns that are bound in every row for which the condition is true."""
        if isinstance(node, _Using):
            return node.bound(scope)
        if isinstance(node, pg.BoolExpr) and node.boolop in (pg.AND_EXPR, pg.OR_EXPR):
            parts = [self._bound_by(unwrap_node(part), scope) for part in node.args]
            if node.boolop == pg.AND_EXPR:
                return [pair for part in parts for pair in part]
            return [pair for pair in parts[0] if all(pair in part for part in parts)]
        if isinstance(node, pg.A_Expr) and [name.string.sval for name in node.name] == ["="]:
            return self._bound_by_equality(node, scope)
        if isinstance(node, pg.SubLink) and node.sub_link_type == pg.ANY_SUBLINK:
            if node.oper_name and node.oper_name[-1].string.sval != "=":
                return []
            output = Reader()._SelectStmt(unwrap_node(node.subselect), scope)
            places = output.places or []
            return self._pairs(
                [(column, _at(places, n)) for n, column in enumerate(_row(node.testexpr))], scope
            )
        return []

    def _bound_by_equality(self, node: Any, scope: Scope) -> list[tuple[Source, str]]:
        if node.kind == pg.AEXPR_OP:
            left, right = _row(node.lexpr), _row(node.rexpr)
            sides = list(zip(left, right, strict=False)) + list(zip(right, left, strict=False))
            return self._pairs([(a, self._is_bound(b, scope)) for a, b in sides], scope)
        if node.kind == pg.AEXPR_OP_ANY:
            return self._pairs([(node.lexpr, self._is_bound(node.rexpr, scope))], scope)
        if node.kind == pg.AEXPR_IN:
            listed = all(self._is_bound(value, scope) for value in node.rexpr.list.items)
            return self._pairs([(node.lexpr, listed)], scope)
        return []

    def _pairs(self, found: list[tuple[Any, bool]], scope: Scope) -> list[tuple[Source, str]]:
        columns = [_column(node, scope) for node, is_bound in found if is_bound]
        return [column for column in columns if column is not None]

    def _is_bound(self, node: Any, scope: Scope) -> bool:
        """Whether the expression can only be a site that the statement names (or a list of such)."""
        node = unwrap_node(node)
        if isinstance(node, pg.ParamRef):
            return True
        if isinstance(node, pg.A_Const):
            return bool(node.sval.sval == VALUE)
        if isinstance(node, pg.TypeCast):
            return self._is_bound(node.arg, scope)
        if isinstance(node, pg.A_ArrayExpr):
            return bool(node.elements) and all(self._is_bound(part, scope) for part in node.elements)
        if isinstance(node, pg.FuncCall) and node.funcname[-1].string.sval == "unnest":
            return all(self._is_bound(part, scope) for part in node.args)
        if isinstance(node, pg.SubLink) and node.sub_link_type in (pg.EXPR_SUBLINK, pg.ARRAY_SUBLINK):
            output = Reader()._SelectStmt(unwrap_node(node.subselect), scope)
            return _at(output.places or [], 0)
        if isinstance(node, pg.ColumnRef | pg.A_Indirection):
            column = _column(node, scope)
            if column is not None:
                return column[0].holds(column[1])
            if isinstance(node, pg.A_Indirection):
                return self._is_bound(node.arg, scope)
            return _fields(node)[0] in scope.variables
        return False

    # What a query gives.

    def _outputs(self, targets: Any, scope: Scope) -> Output:
        output = Output()
        for item in targets:
            target = item.res_target
            value = unwrap_node(target.val)
            fields = _fields(value)
            if isinstance(value, pg.ColumnRef) and fields[-1:] == ["*"]:
                self._star(output, scope.sources if len(fields) == 1 else [scope.find(fields[0])])
                continue
            name = target.name or _name(value)
            is_bound = self._is_bound(target.val, scope)
            output.named[name] = is_bound
            if (
                row := scope.find(fields[0]) if len(fields) == 1 else None
            ):  # a whole row, with columns of its own
                output.named |= {f"{name}.{column}": True for column in row.columns()}
            if output.places is not None:
                output.places.append((name, is_bound))
        return output

    def _star(self, output: Output, sources: list[Source | None]) -> None:
        output.places = None
        for source in sources:
            if source is None:  # a record: a variable
                output.rest = True
                continue
            output.named |= dict.fromkeys(source.bound, True)
            if source.is_tenant:
                output.named.setdefault("site_id", False)
            if source.output is not None:
                output.named |= source.output.named
                output.rest |= source.output.rest and len(sources) == 1

    def _values(self, node: Any, scope: Scope) -> Output:
        rows = [[self._is_bound(value, scope) for value in row.list.items] for row in node.values_lists]
        self._expressions(node.values_lists, scope)
        places = [(f"column{n}", all(column)) for n, column in enumerate(zip(*rows, strict=True), start=1)]
        return Output(places, dict(places))

    def _joined(self, left: Output, right: Output) -> Output:
        """Of a UNION: a column is bound if it is so in both."""
        if left.places is not None and right.places is not None:
            pairs = zip(left.places, right.places, strict=False)
            places = [(name, is_bound and other) for (name, is_bound), (_, other) in pairs]
            return Output(places, dict(places))
        names = left.named.keys() | right.named.keys()
        return Output(
            None, {name: left.holds(name) and right.holds(name) for name in names}, left.rest and right.rest
        )


@dataclass
class _Using:
    """A join's USING (column), as a condition."""

    column: str
    left: set[str]
    right: set[str]

    def bound(self, scope: Scope) -> list[tuple[Source, str]]:
        having = [s for s in scope.sources if s.alias in self.left | self.right and s.may_have(self.column)]
        sides = ({s.alias for s in having} & self.left, {s.alias for s in having} & self.right)
        holding = {s.alias for s in having if s.holds(self.column)}
        found = []
        for here, there in (sides, sides[::-1]):
            if here & holding:
                found += [(s, self.column) for s in having if s.alias in there]
        return found


READING_RELATIONS = {"TruncateStmt"}
# Their statements are texts: those of functions are taken out and read one by one (tests/sql_places.py).
BODIES = {"CreateFunctionStmt", "DoStmt"}
# They change what there is, not what is in it, or take whole tables as they are meant to.
HARMLESS = {
    "AlterTableStmt", "CommentStmt", "CreatePolicyStmt", "CreateStmt", "GrantStmt", "IndexStmt", "LockStmt", "VacuumStmt",
    "VariableSetStmt",
}  # fmt: skip


@cache
def tenant_relations() -> frozenset[str]:
    """The tables and views that have a site_id, by what migrations and functions make."""
    found = set()
    for path in [*DATABASE.glob("migrations/*.sql"), *DATABASE.glob("functions/*.sql")]:
        for node in (unwrap_node(raw.stmt) for raw in parse(path.read_text()).stmts):
            if isinstance(node, pg.CreateStmt):
                columns = {part.column_def.colname for part in node.table_elts}
            elif isinstance(node, pg.ViewStmt):
                columns = set(_shown(node.query.select_stmt))
            else:
                continue
            relation = node.view if isinstance(node, pg.ViewStmt) else node.relation
            if "site_id" in columns and relation.schemaname in ("", "public"):
                found.add(relation.relname)
    return frozenset(found)


def _shown(query: Any) -> list[str]:
    """The names of a query's columns."""
    while query.op != pg.SETOP_NONE:
        query = query.larg
    return [item.res_target.name or _name(item.res_target.val) for item in query.target_list]


def _is_tenant(relation: str) -> bool:
    name = relation.rpartition(".")[2]
    # Partitions, all of which are of tenants; and a name that only running the statement would tell.
    return name in tenant_relations() or relation.startswith("parts.") or name == UNKNOWN


def _table(node: Any) -> Source:
    name = node.relname if node.schemaname in ("", "public") else f"{node.schemaname}.{node.relname}"
    return Source(node.alias.aliasname or node.relname, relation=name)


def _relations(node: Any) -> Iterator[str]:
    """The tenant relations that are named anywhere in a node."""
    for part in _walk(node, into_queries=True):
        if isinstance(part, pg.RangeVar) and _table(part).is_tenant:
            yield _table(part).relation or ""


def _walk(node: Any, into_queries: bool = False) -> Iterator[Any]:
    """All nodes below, without what is inside of queries: those have names of their own."""
    node = unwrap_node(node)
    yield node
    for descriptor, value in node.ListFields():
        if descriptor.message_type is None:
            continue
        if isinstance(node, pg.SubLink) and descriptor.name == "subselect" and not into_queries:
            continue
        if isinstance(node, pg.RangeSubselect) and descriptor.name == "subquery" and not into_queries:
            continue
        for child in value if not hasattr(value, "DESCRIPTOR") else [value]:
            yield from _walk(child, into_queries)


def _ask_for_one_site(query: Any, place: int | None = None) -> bool:
    """Adds "and what you show as site_id is $1" to each part of the query; False where a part shows none."""
    if place is None:
        shown = _shown(query)
        return "site_id" in shown and _ask_for_one_site(query, shown.index("site_id"))
    if query.op != pg.SETOP_NONE:
        return _ask_for_one_site(query.larg, place) and _ask_for_one_site(query.rarg, place)
    if place >= len(query.target_list):
        return False
    value = query.target_list[place].res_target.val
    below = [
        item for part in query.from_clause for item in _walk(part) if isinstance(item, pg.RangeSubselect)
    ]
    for item in below:  # what a subquery shows can be asked of the subquery
        if _fields(unwrap_node(value)) == [item.alias.aliasname, "site_id"]:
            _ask_for_one_site(item.subquery.select_stmt)
    both = pg.BoolExpr(boolop=pg.AND_EXPR)
    asked = both.args.add().a_expr
    asked.kind = pg.AEXPR_OP
    asked.name.add().string.sval = "="
    asked.lexpr.CopyFrom(value)
    asked.rexpr.param_ref.number = 1
    if query.HasField("where_clause"):
        both.args.add().CopyFrom(query.where_clause)
    query.where_clause.bool_expr.CopyFrom(both)
    return True


def _without_siblings(scope: Scope) -> Scope:
    return Scope(scope.parent, scope.variables, scope.queries)


def _renamed(output: Output, names: list[str]) -> Output:
    if not names:
        return output
    if output.places is None:
        return Output(None, dict.fromkeys(names, output.rest), output.rest)
    places = [(name, is_bound) for name, (_, is_bound) in zip(names, output.places, strict=False)]
    places += output.places[len(names) :]
    return Output(places, dict(places))


def _at(places: list[tuple[str, bool]], n: int) -> bool:
    return n < len(places) and places[n][1]


def _row(node: Any) -> list[Any]:
    node = unwrap_node(node)
    return list(node.args) if isinstance(node, pg.RowExpr) else [node]


def _fields(node: Any) -> list[str]:
    if not isinstance(node, pg.ColumnRef):
        return []
    return [part.string.sval if part.HasField("string") else "*" for part in node.fields]


def _column(node: Any, scope: Scope) -> tuple[Source, str] | None:
    """The column that is meant; None for a variable, and for anything that is no column."""
    node = unwrap_node(node)
    if isinstance(node, pg.A_Indirection):  # (alias).column
        inner = _fields(unwrap_node(node.arg))
        last = node.indirection[-1]
        source = scope.find(inner[0]) if inner else None
        if source is None or len(node.indirection) != 1 or not last.HasField("string"):
            return None
        return source, ".".join([*inner[1:], last.string.sval])
    names = _fields(node)
    if len(names) == 1 and (names[0] in ("site_id", *SITES_KEYS) or names[0] not in scope.variables):
        source = scope.with_column(names[0])
        return (source, names[0]) if source else None
    if len(names) in (2, 3):
        source = scope.find(names[-2])
        return (source, names[-1]) if source else None
    return None


def _name(node: Any) -> str:
    """The name that PostgreSQL gives an output column."""
    node = unwrap_node(node)
    if isinstance(node, pg.ColumnRef):
        return _fields(node)[-1]
    if isinstance(node, pg.A_Indirection) and node.indirection[-1].HasField("string"):
        return str(node.indirection[-1].string.sval)
    if isinstance(node, pg.TypeCast):
        return _name(node.arg)
    if isinstance(node, pg.FuncCall):
        return str(node.funcname[-1].string.sval)
    return "?column?"


def _function_name(item: Any) -> str:
    calls = [part for part in _walk(item) if isinstance(part, pg.FuncCall)]
    return str(calls[0].funcname[-1].string.sval) if calls else UNKNOWN
