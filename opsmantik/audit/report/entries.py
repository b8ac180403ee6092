"""Where the program begins: its routes, commands and jobs, and what each is called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from opsmantik.audit.report.modules import PROGRAM, Module

ROUTES: Final = {"get", "post", "put", "patch", "delete", "route"}
SERVER: Final = "the server itself"
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Entries:
    """The beginnings in these modules."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self.modules = modules
        listed = modules[f"{PROGRAM}.cli"].parts.get("COMMANDS") if f"{PROGRAM}.cli" in modules else None
        self._commands: dict[str, tuple[str, str]] = (
            ast.literal_eval(listed) if isinstance(listed, ast.Dict) else {}
        )

    def labels(self, module: Module, part: str, node: Function) -> Iterator[str]:
        """What a function is, if it is a beginning: ``GET /sites``, ``opsmantik audit list``."""
        room = module.path.partition("/")[0]
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                yield from self._decorated(module, room, node.name, decorator)
        if room == "cli" and (name := self._listed(module, part)):
            yield f"opsmantik {name}"
        if room == "web" and (paths := _outside(module, part)):
            yield f"{'POST' if 'collect' in module.name else 'GET'} {', '.join(paths)}"
        if (
            module.name == f"{PROGRAM}.web.app"
            and part.startswith("Application.")
            and not part.endswith("__call__")
        ):
            yield SERVER

    def _decorated(self, module: Module, room: str, name: str, decorator: ast.Call) -> Iterator[str]:
        verb = ast.unparse(decorator.func).rpartition(".")[2]
        if verb in ROUTES and room == "web":
            for path in self._paths(decorator, module):
                yield f"{_verb(verb, decorator)} {re.sub(r':[a-z]+}', '}', path)}"
        elif verb in ("command", "callback") and room == "cli":
            given = decorator.args[0] if decorator.args else None
            own = given.value if isinstance(given, ast.Constant) else name.replace("_", "-")
            group = self._listed(module, "app") or module.name.rpartition(".")[2]
            yield f"opsmantik {group} {own!s}" if verb == "command" else f"opsmantik {group}"

    def jobs(self, module: Module) -> Iterator[tuple[str, ast.Call]]:
        """The jobs that a module lists, by name."""
        for call in ast.walk(module.tree) if "Job(" in module.text else ():
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Job") and len(call.args) > 2:
                name = call.args[0]
                if isinstance(name, ast.Constant):
                    yield f"job {name.value!s}", call

    def _listed(self, module: Module, part: str) -> str | None:
        own = module.name.rpartition(".")[2]
        return next((name for name, where in self._commands.items() if tuple(where) == (own, part)), None)

    def _paths(self, decorator: ast.Call, module: Module) -> list[str]:
        """The addresses of a route: one, or a list of them."""
        if not decorator.args:
            return ["/"]
        given = decorator.args[0]
        listed = given.elts if isinstance(given, ast.List | ast.Tuple) else [given]
        return [self._spelled(each, module) for each in listed]

    def _spelled(self, node: ast.expr, module: Module) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(self._spelled(each, module) for each in node.values)
        if isinstance(node, ast.FormattedValue):
            return self._spelled(node.value, module)
        if isinstance(node, ast.BinOp):
            return self._spelled(node.left, module) + self._spelled(node.right, module)
        if isinstance(node, ast.Name):
            known = module.constants.get(node.id, [])
            if len(known) == 1:
                return self._spelled(known[0], module)
            source, name = module.imports.get(node.id, ("", ""))
            if source in self.modules:
                return self._spelled(ast.Name(name), self.modules[source])
        return "{" + ast.unparse(node) + "}"


def _verb(verb: str, decorator: ast.Call) -> str:
    if verb != "route":
        return verb.upper()
    methods = next((word.value for word in decorator.keywords if word.arg == "http_method"), None)
    return (
        "/".join(str(each.value) for each in ast.walk(methods) if isinstance(each, ast.Constant))
        if methods
        else "ANY"
    )


def _outside(module: Module, part: str) -> list[str]:
    """The addresses of a class that answers outside of the framework. All its methods belong to them: what it takes in
    may be worked on by a task that it has started before."""
    call = module.parts.get(f"{part.rpartition('.')[0]}.__call__")
    if isinstance(call, ast.FunctionDef | ast.AsyncFunctionDef) and call.args.args[-1].arg == "send":
        return _places(module)
    return []


def _places(module: Module) -> list[str]:
    """The addresses that a module outside of the framework answers: the paths that it compares with."""
    found = {
        each.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Compare | ast.Set | ast.Dict)
        for each in ast.walk(node)
        if isinstance(each, ast.Constant)
        and isinstance(each.value, str)
        and re.fullmatch(r"/[a-z0-9/-]+", each.value)
    }
    return sorted(found)
