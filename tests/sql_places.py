"""Where SQL stands in the product: named queries, functions in SQL and PL/pgSQL, texts in Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from postgast import PgQueryError, deparse, parse, parse_plpgsql, pg_query_pb2, scan, split, unwrap_node

import opsmantik
from opsmantik.db.sql import queries
from tests.tenancy import UNKNOWN, VALUE, complaints

pg: Any = pg_query_pb2
HOME = Path(opsmantik.__file__).parent
# Asked of a database of the first generation, whose sites are what is to be found out; it is only read, as a whole.
ELSEWHERE = {"adopt/old.sql", "adopt/faults.sql"}


class Statement(NamedTuple):
    """One place where SQL stands, and what is wrong with it."""

    place: str
    complaints: list[str]


@cache
def statements() -> list[Statement]:
    found = [*named_queries(), *sql_functions()]
    for path in sorted(HOME.rglob("*.py")):
        found += python_statements(path.read_text(), str(path.relative_to(HOME)))
    return found


def named_queries() -> Iterator[Statement]:
    for path in sorted(HOME.rglob("*.sql")):
        place = path.relative_to(HOME)
        if place.parts[0] != "db" and str(place) not in ELSEWHERE:
            for name in queries(path).names():
                yield Statement(f"{place}: {name}", complaints(getattr(queries(path), name)))


def sql_functions() -> Iterator[Statement]:
    for path in sorted((HOME / "db" / "functions").glob("*.sql")):
        place, text = path.relative_to(HOME), path.read_text()
        for function in functions(text):
            yield Statement(f"{place}: {function.name}", function.complaints)
        for statement in split(text):
            node = unwrap_node(parse(statement).stmts[0].stmt)
            if not isinstance(node, pg.CreateFunctionStmt):
                name = node.view.relname if isinstance(node, pg.ViewStmt) else type(node).__name__
                yield Statement(f"{place}: {name}", complaints(statement))


# SQL functions.


@dataclass
class Function:
    """One CREATE FUNCTION."""

    name: str
    language: str
    is_definer: bool
    complaints: list[str]


def functions(sql: str) -> list[Function]:
    """Every function that a file makes, with what is wrong in its body."""
    return [
        _function(node)
        for raw in parse(sql).stmts
        if isinstance(node := unwrap_node(raw.stmt), pg.CreateFunctionStmt)
    ]


def _function(node: Any) -> Function:
    name = node.funcname[-1].string.sval
    options = {option.def_elem.defname: option.def_elem.arg for option in node.options}
    language = options["language"].string.sval
    definer = "security" in options and options["security"].boolean.boolval
    given = [p.function_parameter for p in node.parameters]
    inputs = [p.name for p in given if p.mode not in (pg.FUNC_PARAM_OUT, pg.FUNC_PARAM_TABLE)]
    if language == "plpgsql":
        found = _plpgsql(node, options["as"].list.items[0].string.sval, name)
    elif language == "sql" and "as" in options:
        found = complaints(options["as"].list.items[0].string.sval, [*inputs, name])
    else:
        found = [f"a body in {language} is not understood"]
    return Function(name, language, definer, found)


def _plpgsql(node: Any, body: str, name: str) -> list[str]:
    try:
        parsed = parse_plpgsql(_plain(node, body))
    except PgQueryError as error:
        return [f"cannot be read: {error}"]
    variables = {name} | {kind["refname"] for kind in _dicts(parsed) if "refname" in kind}
    found: list[str] = []
    for holder in _dicts(parsed):
        if "PLpgSQL_expr" in holder:
            found += complaints(_as_statement(**holder["PLpgSQL_expr"]), variables)
        for key in ("query", "dynquery"):
            run = holder[key].get("PLpgSQL_expr") if isinstance(holder.get(key), dict) else None
            if run is not None and (key == "dynquery" or run["parseMode"] != 0):
                found += _dynamic(_as_statement(**run))
    return list(dict.fromkeys(found))


def _plain(node: Any, body: str) -> str:
    """The function with no types of its own: the grammar has no database to ask what they are."""
    tokens = scan(body).tokens
    raw = body.encode()
    for one, two, three in reversed(list(zip(tokens, tokens[1:], tokens[2:], strict=False))):
        if (raw[two.start : two.end], raw[three.start : three.end]) == (b"[", b"]"):
            raw = raw[: one.start] + b"text" + raw[one.end :]
    tree = pg.ParseResult()
    copy = tree.stmts.add().stmt.create_function_stmt
    copy.CopyFrom(node)
    for named in [p.function_parameter.arg_type for p in copy.parameters] + [copy.return_type]:
        if len(named.names) == 1 and named.names[0].string.sval not in ("void", "trigger", "record"):
            named.names[0].string.sval = "text"
    for option in copy.options:
        if option.def_elem.defname == "as":
            option.def_elem.arg.list.items[0].string.sval = raw.decode()
    return deparse(tree)


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _dicts(child)


def _as_statement(query: str, parseMode: int = 0) -> str:  # noqa: N803 - as it comes
    if parseMode == 0:
        return query
    if parseMode >= 3:  # an assignment: what is behind its sign
        raw, depth = query.encode(), 0
        for token in scan(query).tokens:
            text = raw[token.start : token.end]
            depth += (text in (b"[", b"(")) - (text in (b"]", b")"))
            if depth == 0 and text in (b":=", b"="):
                return "SELECT " + raw[token.end :].decode()
    return f"SELECT {query}"


def _dynamic(sql: str) -> list[str]:
    """A statement that is put together while it runs: with every value and name left open, what does it say?"""
    text = _spelled(parse(sql).stmts[0].stmt.select_stmt.target_list[0].res_target.val)
    return [f"dynamic statement: {words}" for words in complaints(text)]


def _spelled(node: Any) -> str:
    node = unwrap_node(node)
    if isinstance(node, pg.A_Const):
        return str(node.sval.sval)
    if isinstance(node, pg.A_Expr) and node.name[0].string.sval == "||":
        return _spelled(node.lexpr) + _spelled(node.rexpr)
    if isinstance(node, pg.FuncCall) and node.funcname[-1].string.sval == "format":
        filled = {"L": f"'{VALUE}'", "I": f'"{UNKNOWN}"', "s": f'"{UNKNOWN}"', "%": "%"}
        return re.sub(r"%(?:\d+\$)?-?\d*([LIs%])", lambda m: filled[m[1]], _spelled(node.args[0]))
    if isinstance(node, pg.FuncCall) and node.funcname[-1].string.sval == "quote_literal":
        return f"'{VALUE}'"
    return f'"{UNKNOWN}"'


# Python.

RUN = {
    "fetch", "fetchrow", "fetchval", "fetchmany", "execute", "executemany", "cursor", "prepare", "copy_from_query",
}  # fmt: skip
COPY = {"copy_records_to_table", "copy_to_table", "copy_from_table"}
HOLE = "{hole}"


def python_statements(code: str, place: str) -> Iterator[Statement]:
    """The SQL in a module: every text that PostgreSQL can read, and all that is run, which it must be able to read."""
    tree = ast.parse(code)
    constants = assigned_texts(tree)
    texts = {id(node): (node, text) for node, text in all_texts(tree, constants)}
    must_read: set[int] = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute) or not call.args:
            continue
        run = call.args[0]
        if call.func.attr in COPY:
            yield Statement(place, [f"line {call.lineno}: {call.func.attr} names no site"])
        elif call.func.attr in RUN and id(run) in texts:
            must_read.add(id(run))
        elif call.func.attr in RUN and isinstance(run, ast.Name) and run.id in constants:
            must_read |= {id(node) for node in constants[run.id]}
        elif call.func.attr in RUN and not is_known(run, tree):
            yield Statement(place, [f"line {run.lineno}: nobody can tell what {ast.unparse(run)} says"])
    for key, (node, text) in texts.items():
        found = text_complaints(text)
        if found is None and key in must_read:
            found = ["PostgreSQL cannot read it"]
        if found is not None:
            yield Statement(place, [f"line {node.lineno}: {words}" for words in found])


def text_complaints(text: str) -> list[str] | None:
    """None if it is no statement, whether a name or a value is put into its holes."""
    for filling in (f'"{UNKNOWN}"', "$1"):
        found = complaints(text.replace(HOLE, filling))
        if not (found and found[0].startswith("cannot be read")):
            return found if text.strip() else None
    return None


def all_texts(tree: ast.AST, constants: dict[str, list[ast.expr]]) -> Iterator[tuple[ast.expr, str]]:
    """Every text of the module but docstrings; of texts put together the whole one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        text = spelled(node, constants) if isinstance(node, ast.expr) else None
        if text is not None:
            yield node, text  # type: ignore[misc]
        else:
            yield from all_texts(node, constants)


def spelled(node: ast.AST, constants: dict[str, list[ast.expr]]) -> str | None:
    """What a text says, with a hole where something is put in that nobody knows; None if it is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.FormattedValue):
        value = node.value
        if isinstance(value, ast.Name) and len(constants.get(value.id, ())) == 1:
            return spelled(constants[value.id][0], {})
        return HOLE
    if isinstance(node, ast.JoinedStr):
        return "".join(spelled(part, constants) or "" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = spelled(node.left, constants), spelled(node.right, constants)
        return None if sides == (None, None) else "".join(HOLE if side is None else side for side in sides)
    return None


def assigned_texts(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """The texts that names stand for, wherever they get them. Not of names to whose text something is added."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value
            and spelled(node.value, {}) is not None
        ):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    grown = {ast.unparse(node.target) for node in ast.walk(tree) if isinstance(node, ast.AugAssign)}
    return {name: texts for name, texts in found.items() if name not in grown}


@cache
def all_query_names() -> frozenset[str]:
    return frozenset(name for path in HOME.rglob("*.sql") for name in queries(path).names())


def is_known(run: ast.expr, tree: ast.AST) -> bool:
    """Whether what is run is read somewhere else: a named query, or a text of another module."""
    if isinstance(run, ast.Attribute):
        return run.attr in all_query_names()
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if str(node.module).startswith("opsmantik")]
    return isinstance(run, ast.Name) and any(alias.name == run.id for node in ours for alias in node.names)
