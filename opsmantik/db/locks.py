"""Which locks a statement takes, and what it does to a table while it has them. Pure: from the statement's text alone.

The levels are those of PostgreSQL's documentation ("Explicit Locking", and each command's own page), read with
PostgreSQL's own grammar. What a text cannot say (whether a function is volatile, how a column is stored now) is left
open as a question, which the catalogue answers (forecast.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum, StrEnum
from importlib import import_module
from typing import Any, Final

import msgspec

_library: Any = import_module("postgast")  # by name, as type checkers cannot read its stubs
_pg: Any = import_module("postgast.pg_query_pb2")


class Lock(IntEnum):
    """PostgreSQL's table locks, from the weakest."""

    NONE = 0
    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def words(self) -> str:
        return self.name.replace("_", " ") if self else "none"

    @property
    def stops(self) -> str:
        """Who stands still while it is held."""
        if self is Lock.ACCESS_EXCLUSIVE:
            return "reads and writes"
        return "writes" if self >= Lock.SHARE else "nobody"


class Work(StrEnum):
    """What is done with the table's rows under the lock."""

    NOTHING = "nothing"
    SCANS = "scans"
    BUILDS = "builds an index"
    WRITES = "writes rows"
    REWRITES = "rewrites"
    UNKNOWN = "shows when it runs"


class Ask(msgspec.Struct, frozen=True):
    """What only the catalogue can say; if the answer is no, ``then`` is what is done instead.

    ``volatile``: is one of ``names`` (functions) volatile? ``retype``: is column ``names[0]`` stored otherwise than as
    type ``names[1]``? ``nullable``: is there no valid check that ``names[0]`` is not null? ``missing``: is the index
    ``names[0]`` not there yet?
    """

    what: str
    names: tuple[str, ...]
    then: Work = Work.NOTHING


class Taken(msgspec.Struct, frozen=True):
    """One lock that a statement takes."""

    table: str
    lock: Lock
    work: Work = Work.NOTHING
    ask: Ask | None = None


class Statement(msgspec.Struct, frozen=True):
    """A statement of a file, and its locks."""

    line: int
    text: str
    """Its beginning, on one line."""
    taken: tuple[Taken, ...]
    makes: tuple[str, ...] = ()
    """Tables that it makes: nobody can wait for those."""
    opaque: str = ""
    """The text of a block whose statements only show when it runs."""


_T: Final = _pg.AlterTableType
_C: Final = _pg.ConstrType
_NO_WORK: Final = {"AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions", "AT_SetRelOptions", "AT_ResetRelOptions",
                   "AT_ClusterOn", "AT_DropCluster"}  # fmt: skip
_TRIGGERS: Final = {
    f"AT_{verb}Trig{which}" for verb in ("Enable", "Disable") for which in ("", "All", "User")
} | {"AT_EnableAlwaysTrig", "AT_EnableReplicaTrig"}
_REWRITES: Final = {
    "AT_SetLogged",
    "AT_SetUnLogged",
    "AT_SetAccessMethod",
    "AT_SetTableSpace",
    "AT_SetExpression",
}


def statements(sql: str) -> list[Statement]:
    """Those of a file, in their order. Raises ``ValueError`` for what PostgreSQL's grammar does not take."""
    try:
        tree = _library.parse(sql)
    except _library.PgQueryError as wrong:
        raise ValueError(str(wrong)) from wrong
    raw = sql.encode()  # the grammar counts in bytes
    found = []
    for each in tree.stmts:
        text = raw[
            each.stmt_location : each.stmt_location + each.stmt_len if each.stmt_len else None
        ].decode()
        begin = _skip_comments(text)
        line = raw[: each.stmt_location].decode().count("\n") + text[:begin].count("\n") + 1
        node = _library.unwrap_node(each.stmt)
        kind = type(node).__name__
        found.append(
            Statement(
                line=line,
                text=" ".join(text[begin:].split())[:120],
                taken=tuple(_taken(kind, node)),
                makes=tuple(_made(kind, node)),
                opaque=text[begin:] if kind in ("DoStmt", "CallStmt") or _calls(kind, node) else "",
            )
        )
    return found


def _skip_comments(text: str) -> int:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text.startswith("--", at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text.startswith("/*", at):
            end = text.find("*/", at)
            at = len(text) if end < 0 else end + 2
        else:
            break
    return at


def _name(relation: Any) -> str:
    return f"{relation.schemaname}.{relation.relname}" if relation.schemaname else str(relation.relname)


def _dotted(node: Any) -> str:
    """A list of names, as DROP and COMMENT have them."""
    inner = _library.unwrap_node(node) if type(node).__name__ == "Node" else node
    items = getattr(inner, "items", None)
    if items is None:
        return str(getattr(inner, "sval", ""))
    return ".".join(_library.unwrap_node(item).sval for item in items)


def _calls(kind: str, node: Any) -> bool:
    """Whether it is a bare ``SELECT f()``: what that does, f alone knows. set_config does nothing to a table."""
    if kind != "SelectStmt":
        return False
    return bool(functions(node) - {"set_config", "pg_catalog.set_config", "now", "current_setting"})


def functions(node: Any) -> set[str]:
    """Names of the functions that are called somewhere in it."""
    return {
        ".".join(_library.unwrap_node(part).sval for part in each.funcname)
        for each in _walk(node)
        if type(each).__name__ == "FuncCall"
    }


def _walk(node: Any) -> Iterator[Any]:
    inner = _library.unwrap_node(node) if type(node).__name__ == "Node" else node
    yield inner
    for field, value in inner.ListFields():
        if field.message_type is None:
            continue
        for child in value if field.is_repeated else (value,):
            if type(child).__name__ != "Node" or child.WhichOneof("node"):
                yield from _walk(child)


def _relations(node: Any) -> list[str]:
    return [_name(each) for each in _walk(node) if type(each).__name__ == "RangeVar"]


def _made(kind: str, node: Any) -> Iterator[str]:
    if kind == "CreateStmt":
        yield _name(node.relation)
    elif kind == "CreateTableAsStmt":
        yield _name(node.into.rel)


def _taken(kind: str, node: Any) -> Iterator[Taken]:
    if kind == "AlterTableStmt":
        if node.objtype in (_pg.OBJECT_TABLE, _pg.OBJECT_MATVIEW):
            for command in node.cmds:
                yield from _altered(_name(node.relation), _library.unwrap_node(command))
        elif node.objtype == _pg.OBJECT_VIEW:
            yield Taken(_name(node.relation), Lock.ACCESS_EXCLUSIVE)
    elif kind == "IndexStmt":
        ask = Ask("missing", (str(node.idxname),)) if node.if_not_exists else None
        lock = Lock.SHARE_UPDATE_EXCLUSIVE if node.concurrent else Lock.SHARE
        yield Taken(_name(node.relation), lock, Work.BUILDS, ask)
    elif kind == "CreateStmt":
        yield from _created(node)
    elif kind == "DropStmt":
        yield from _dropped(node)
    elif kind in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
        target = _name(node.relation)
        yield Taken(target, Lock.ROW_EXCLUSIVE, Work.WRITES)
        yield from (Taken(t, Lock.ACCESS_SHARE) for t in set(_relations(node)) - {target})
    elif kind in ("SelectStmt", "CreateTableAsStmt"):
        made = set(_made(kind, node))
        yield from (Taken(t, Lock.ACCESS_SHARE) for t in sorted(set(_relations(node)) - made))
    else:
        yield from _other(kind, node)


def _other(kind: str, node: Any) -> Iterator[Taken]:
    if kind in ("CreatePolicyStmt", "AlterPolicyStmt"):
        yield Taken(_name(node.table), Lock.ACCESS_EXCLUSIVE)
    elif kind == "CreateTrigStmt":
        yield Taken(_name(node.relation), Lock.SHARE_ROW_EXCLUSIVE)
    elif kind == "RuleStmt":
        yield Taken(_name(node.relation), Lock.ACCESS_EXCLUSIVE)
    elif kind == "ViewStmt" and node.replace:
        yield Taken(_name(node.view), Lock.ACCESS_EXCLUSIVE)
    elif kind == "TruncateStmt":
        yield from (Taken(_name(_library.unwrap_node(r)), Lock.ACCESS_EXCLUSIVE) for r in node.relations)
    elif kind == "LockStmt":
        yield from (Taken(_name(_library.unwrap_node(r)), Lock(node.mode)) for r in node.relations)
    elif kind == "RenameStmt" and node.relation.relname:
        weak = node.rename_type == _pg.OBJECT_INDEX
        yield Taken(_name(node.relation), Lock.SHARE_UPDATE_EXCLUSIVE if weak else Lock.ACCESS_EXCLUSIVE)
    elif kind in ("AlterObjectSchemaStmt", "AlterOwnerStmt") and node.relation.relname:
        yield Taken(_name(node.relation), Lock.ACCESS_EXCLUSIVE)
    elif kind == "CommentStmt" and node.objtype in (_pg.OBJECT_TABLE, _pg.OBJECT_COLUMN):
        name = _dotted(node.object)
        table = name.rpartition(".")[0] if node.objtype == _pg.OBJECT_COLUMN else name
        yield Taken(table, Lock.SHARE_UPDATE_EXCLUSIVE)
    elif kind == "VacuumStmt":
        for each in node.rels:
            yield Taken(_name(_library.unwrap_node(each).relation), Lock.SHARE_UPDATE_EXCLUSIVE, Work.SCANS)
    elif kind == "ReindexStmt" and node.relation.relname:
        yield Taken(_name(node.relation), Lock.SHARE, Work.BUILDS)
    elif kind == "GrantStmt" and node.objtype == _pg.OBJECT_TABLE and node.targtype == _pg.ACL_TARGET_OBJECT:
        yield from (Taken(_name(_library.unwrap_node(r)), Lock.ACCESS_SHARE) for r in node.objects)
    elif kind == "RefreshMatViewStmt":
        yield Taken(
            _name(node.relation), Lock.EXCLUSIVE if node.concurrent else Lock.ACCESS_EXCLUSIVE, Work.REWRITES
        )
    elif kind == "ClusterStmt" and node.relation.relname:
        yield Taken(_name(node.relation), Lock.ACCESS_EXCLUSIVE, Work.REWRITES)


def _created(node: Any) -> Iterator[Taken]:
    """A new table is nobody's yet; what it refers to and what it becomes a part of is somebody's."""
    for parent in node.inh_relations:
        lock = Lock.ACCESS_EXCLUSIVE if node.HasField("partbound") else Lock.SHARE_UPDATE_EXCLUSIVE
        yield Taken(_name(_library.unwrap_node(parent)), lock)
    for each in _walk(node):
        if type(each).__name__ == "Constraint" and each.contype == _C.CONSTR_FOREIGN:
            yield Taken(_name(each.pktable), Lock.SHARE_ROW_EXCLUSIVE)


def _dropped(node: Any) -> Iterator[Taken]:
    kind = node.remove_type
    for each in node.objects:
        name = _dotted(each)
        if kind in (_pg.OBJECT_TABLE, _pg.OBJECT_VIEW, _pg.OBJECT_MATVIEW):
            yield Taken(name, Lock.ACCESS_EXCLUSIVE)
        elif kind == _pg.OBJECT_INDEX:  # an index by its name: the catalogue knows its table
            yield Taken(name, Lock.SHARE_UPDATE_EXCLUSIVE if node.concurrent else Lock.ACCESS_EXCLUSIVE)
        elif kind in (_pg.OBJECT_POLICY, _pg.OBJECT_TRIGGER, _pg.OBJECT_RULE):
            yield Taken(name.rpartition(".")[0], Lock.ACCESS_EXCLUSIVE)


def _altered(table: str, command: Any) -> Iterator[Taken]:
    """One part of an ALTER TABLE. What is not named here takes the strongest lock, as PostgreSQL's own default is."""
    what = _T.Name(command.subtype)
    strongest = Lock.ACCESS_EXCLUSIVE
    if what == "AT_AddColumn":
        yield from _column(table, _def(command))
    elif what == "AT_AddConstraint":
        yield from _constraint(table, _def(command), is_new=False)
    elif what == "AT_ValidateConstraint":
        yield Taken(table, Lock.SHARE_UPDATE_EXCLUSIVE, Work.SCANS)
    elif what == "AT_AlterColumnType":
        wanted = _def(command)
        names = [_library.unwrap_node(n).sval for n in wanted.type_name.names]
        yield Taken(
            table, strongest, Work.REWRITES, Ask("retype", (str(command.name), names[-1]), Work.NOTHING)
        )
    elif what == "AT_SetNotNull":
        yield Taken(table, strongest, Work.SCANS, Ask("nullable", (str(command.name),)))
    elif what in ("AT_AttachPartition", "AT_DetachPartition"):
        yield from _partition(table, what, _def(command))
    elif what in _NO_WORK or what == "AT_DetachPartitionFinalize":
        yield Taken(table, Lock.SHARE_UPDATE_EXCLUSIVE)
    elif what in _TRIGGERS:
        yield Taken(table, Lock.SHARE_ROW_EXCLUSIVE)
    else:
        yield Taken(table, strongest, Work.REWRITES if what in _REWRITES else Work.NOTHING)


def _def(command: Any) -> Any:
    return _library.unwrap_node(getattr(command, "def"))


def _partition(table: str, what: str, command: Any) -> Iterator[Taken]:
    if what == "AT_AttachPartition":
        yield Taken(table, Lock.SHARE_UPDATE_EXCLUSIVE)
        yield Taken(_name(command.name), Lock.ACCESS_EXCLUSIVE, Work.SCANS)
        return
    lock = Lock.SHARE_UPDATE_EXCLUSIVE if command.concurrent else Lock.ACCESS_EXCLUSIVE
    yield Taken(table, lock)
    yield Taken(_name(command.name), lock)


def _column(table: str, column: Any) -> Iterator[Taken]:
    """ADD COLUMN: a constant or stable default is kept once and costs nothing; a volatile one is asked for each row."""
    constraints = [_library.unwrap_node(each) for each in column.constraints]
    kinds = {each.contype for each in constraints}
    defaults = [each for each in constraints if each.contype == _C.CONSTR_DEFAULT]
    called = sorted(set().union(*(functions(each.raw_expr) for each in defaults)))
    serial = str(_library.unwrap_node(column.type_name.names[-1]).sval).endswith("serial")
    if kinds & {_C.CONSTR_GENERATED, _C.CONSTR_IDENTITY} or serial:
        yield Taken(table, Lock.ACCESS_EXCLUSIVE, Work.REWRITES)
    elif called:
        yield Taken(table, Lock.ACCESS_EXCLUSIVE, Work.REWRITES, Ask("volatile", tuple(called)))
    else:
        bare = _C.CONSTR_NOTNULL in kinds and not defaults
        yield Taken(table, Lock.ACCESS_EXCLUSIVE, Work.SCANS if bare else Work.NOTHING)
    for each in constraints:
        if each.contype in (_C.CONSTR_CHECK, _C.CONSTR_UNIQUE, _C.CONSTR_PRIMARY, _C.CONSTR_FOREIGN):
            yield from _constraint(table, each, is_new=not defaults)


def _constraint(table: str, constraint: Any, *, is_new: bool) -> Iterator[Taken]:
    """``is_new``: of a column that is new and empty, of which only a check has to look at the rows."""
    kind = constraint.contype
    is_checked = not constraint.skip_validation
    if kind == _C.CONSTR_FOREIGN:
        work = Work.SCANS if is_checked and not is_new else Work.NOTHING
        yield Taken(table, Lock.SHARE_ROW_EXCLUSIVE, work)
        yield Taken(_name(constraint.pktable), Lock.SHARE_ROW_EXCLUSIVE)
    elif kind in (_C.CONSTR_UNIQUE, _C.CONSTR_PRIMARY, _C.CONSTR_EXCLUSION):
        yield Taken(table, Lock.ACCESS_EXCLUSIVE, Work.NOTHING if constraint.indexname else Work.BUILDS)
    else:
        yield Taken(table, Lock.ACCESS_EXCLUSIVE, Work.SCANS if is_checked else Work.NOTHING)
