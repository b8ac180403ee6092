"""What a function of the database touches: its body, in SQL or PL/pgSQL, read statement by statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from opsmantik.audit.report.grammar import PgQueryError, parse, parse_plpgsql, pg, scan, unwrap_node
from opsmantik.audit.report.touches import Columns, Touch, Touched, UnreadableError, row_types, touched

# The grammar has no database to ask what a type is, and takes an array of one that it does not know for an error.
_ARRAY: Final = re.compile(r"\b[a-z_][a-z0-9_.]*\s*\[\s*\]", re.IGNORECASE)
_ATOMIC: Final = re.compile(r"^\s*BEGIN ATOMIC(.*)END\s*$", re.DOTALL | re.IGNORECASE)
# What a trigger puts into the row that is being written.
_GIVEN: Final = re.compile(r"\bnew\.([a-z_][a-z0-9_]*)\s*:?=(?!=)", re.IGNORECASE)
_HOLE: Final = '"?"'


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function as the catalogue has it."""

    name: str
    language: str
    arguments: str
    """As they are declared."""
    names: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    kind: str = "value"
    """What it returns: nothing ("void"), "trigger", several rows ("set") or a value."""
    body: str = ""


def function_touches(function: Function, columns: Columns, table: str | None = None) -> Touched:
    """What it touches, and what it calls; as a trigger, of the row of that ``table`` too.

    Raises :class:`~opsmantik.audit.report.touches.UnreadableError`."""
    rows = dict(row_types(function.arguments, columns))
    if function.language == "sql":
        found = _ATOMIC.match(function.body)
        return touched(found[1] if found else function.body, columns, rows)
    rows |= row_types(function.body, columns)
    try:
        parsed = parse_plpgsql(_declared(function))
    except PgQueryError as error:
        raise UnreadableError(str(error)) from None
    whole = Touched()
    if table is not None:
        rows |= {"new": table, "old": table}
        given = {name.lower() for name in _GIVEN.findall(function.body)} & columns[table]
        whole.columns |= {Touch(table, name, True) for name in given}
    for sql in dict.fromkeys(_statements(parsed)):
        try:
            whole.add(touched(sql, columns, rows))
        except UnreadableError:
            if _HOLE not in sql:  # with a name or a value left open it may be no statement
                raise
    return whole


def _declared(function: Function) -> str:
    """The function again, of text alone."""
    modes = function.modes or ("i",) * len(function.names)
    words = {"o": "OUT", "b": "INOUT", "t": "OUT", "v": "", "i": ""}
    given = [
        f'{words[mode]} "{name or f"argument_{place}"}" text'
        for place, (name, mode) in enumerate(zip(function.names, modes, strict=True))
    ]
    body = _ARRAY.sub("text", function.body)
    if function.kind == "trigger":
        # The reader has no words for a trigger's rows: they are variables of a block around it.
        rows = "new record; old record; tg_op text; tg_table_name text; tg_argv text"
        body = f"DECLARE {rows}; BEGIN {body.strip().rstrip(';')}; END"
    return (
        f'CREATE FUNCTION "{function.name}"({", ".join(given)}) RETURNS {_returns(function.kind, modes)} LANGUAGE plpgsql'
        f" AS $opsmantik${body}$opsmantik$"
    )


def _returns(kind: str, modes: Sequence[str]) -> str:
    made = sum(mode in ("o", "b", "t") for mode in modes)
    if kind == "set":
        return "SETOF record" if made else "SETOF text"
    if made > 1:
        return "record"
    return "void" if kind == "void" and not made else "text"


def _statements(parsed: Any) -> Iterator[str]:
    for holder in _dicts(parsed):
        if "PLpgSQL_expr" in holder:
            yield _statement(**holder["PLpgSQL_expr"])
        for key in ("query", "dynquery"):
            run = holder[key].get("PLpgSQL_expr") if isinstance(holder.get(key), dict) else None
            if run is None or (key == "query" and run.get("parseMode", 0) == 0):
                continue
            if text := _spelled(_value(_statement(**run))):
                yield text


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _dicts(child)


def _statement(query: str, parseMode: int = 0) -> str:  # noqa: N803 - as it comes
    """An expression as a statement; of an assignment what is behind its sign."""
    if parseMode == 0:
        return query
    if parseMode >= 3:
        raw, depth = query.encode(), 0
        for token in scan(query).tokens:
            text = raw[token.start : token.end]
            depth += (text in (b"[", b"(")) - (text in (b"]", b")"))
            if depth == 0 and text in (b":=", b"="):
                return "SELECT " + raw[token.end :].decode()
    return f"SELECT {query}"


def _value(sql: str) -> Any:
    return parse(sql).stmts[0].stmt.select_stmt.target_list[0].res_target.val


def _spelled(node: Any) -> str:
    """A statement that is put together while it runs, with a hole for each name and value that is put in."""
    node = unwrap_node(node)
    if isinstance(node, pg.A_Const):
        return str(node.sval.sval)
    if isinstance(node, pg.A_Expr) and node.name[0].string.sval == "||":
        return _spelled(node.lexpr) + _spelled(node.rexpr)
    if isinstance(node, pg.FuncCall) and node.funcname[-1].string.sval == "format":
        return re.sub(
            r"%(?:\d+\$)?-?\d*([LIs%])", lambda m: "%" if m[1] == "%" else _HOLE, _spelled(node.args[0])
        )
    return _HOLE
