"""Texts in the program's modules that are statements, and the names that belong to a function alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

HOLE: Final = '"?"'
_SQL: Final = re.compile(r"\s*(?:--.*\n\s*)*(?:SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|COPY)\s")

Constants = dict[str, list[ast.expr]]


def assigned(nodes: Iterable[ast.AST]) -> Constants:
    """The texts that names stand for, wherever in these they get them."""
    found: Constants = {}
    for node in nodes:
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value is not None
            and spelled(node.value, {}) is not None
        ):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def spelled(node: ast.AST, constants: Constants) -> str | None:
    """What a text says, with a hole where something is put in that nobody knows; None if it is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.FormattedValue):
        known = constants.get(node.value.id, []) if isinstance(node.value, ast.Name) else []
        return spelled(known[0], {}) if len(known) == 1 else HOLE
    if isinstance(node, ast.JoinedStr):
        return "".join(spelled(part, constants) or "" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = spelled(node.left, constants), spelled(node.right, constants)
        return None if sides == (None, None) else "".join(HOLE if side is None else side for side in sides)
    return None


def sql_texts(node: ast.AST, constants: Constants) -> Iterator[tuple[int, str]]:
    """Every text that begins as a statement does, with its line; of texts put together the whole one."""
    if isinstance(node, ast.expr):
        text = spelled(node, constants)
        if text is not None:
            if _SQL.match(text):
                yield node.lineno, text
            return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from sql_texts(child, constants)


def local_names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """What a function, given by all its parts, takes or makes for itself: such a name is not that of something outside."""
    found = set()
    for each in nodes:
        if isinstance(each, ast.arg):
            found.add(each.arg)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
    return frozenset(found)
