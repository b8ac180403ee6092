"""The program's modules as they are written: read as text from the package, none is imported or run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Final

from opsmantik.audit.report.texts import assigned

PROGRAM: Final = "opsmantik"


class Module:
    """One module: what its names are, and what each of its parts refers to."""

    def __init__(self, name: str, path: str, text: str) -> None:
        self.name, self.path = name, path
        self.tree = ast.parse(text)
        self.text = text
        nodes = list(ast.walk(self.tree))
        self.constants = assigned(nodes)
        self.imports: dict[str, tuple[str, str]] = {}
        self.queries: dict[str, str] = {}
        self.parts: dict[str, ast.AST] = {}
        self.methods: dict[str, dict[str, str]] = {}
        self.properties: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PROGRAM):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (str(node.module), alias.name)
        for node in self.tree.body:
            self._part(node)

    def _part(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.parts[node.name] = node
        elif isinstance(node, ast.ClassDef):
            self.parts[node.name] = ast.Module(
                [each for each in node.body if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)],
                [],
            )
            inner = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            self.methods[node.name] = {each.name: f"{node.name}.{each.name}" for each in inner}
            self.parts |= {f"{node.name}.{each.name}": each for each in inner}
            self.properties |= {
                f"{node.name}.{each.name}"
                for each in inner
                if any(ast.unparse(word).endswith("property") for word in each.decorator_list)
            }
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    file = _query_file(node.value, self.path)
                    if file:
                        self.queries[target.id] = file
                    self.parts[target.id] = node.value


def program_files(directory: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    """Modules and files of SQL, by their place in the package."""
    for item in sorted(directory.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            if item.name not in ("__pycache__", "integrations"):
                yield from program_files(item, f"{prefix}{item.name}/")
        elif item.name.endswith((".py", ".sql")):
            yield prefix + item.name, item


def _query_file(value: ast.expr, path: str) -> str | None:
    """``queries(Path(__file__).with_suffix(".sql"))`` or ``.with_name("queries.sql")``."""
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "queries"):
        return None
    made = value.args[0]
    if (
        isinstance(made, ast.Call)
        and isinstance(made.func, ast.Attribute)
        and isinstance(made.args[0], ast.Constant)
    ):
        given = str(made.args[0].value)
        folder, _, name = path.rpartition("/")
        own = given if made.func.attr == "with_name" else name.removesuffix(".py") + given
        return f"{folder}/{own}"
    return None
