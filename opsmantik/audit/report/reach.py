"""The program's own SQL, and who asks it: from routes, pages, commands and jobs down to each statement.

The modules are read as text, from the package as it is installed; none is imported or run. A call is followed where it
can be told whose it is: a name that a module makes or imports, a method of the same class, a method that few classes
have. What is only looked up while the program runs (a table of calls, a list of jobs) is followed to all that it holds.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

import msgspec

from opsmantik.audit.report.entries import Entries
from opsmantik.audit.report.modules import PROGRAM, Module, program_files
from opsmantik.audit.report.texts import local_names, sql_texts

# What asks a database of another generation, or any, and the descriptions themselves: no part of what the program does.
ELSEWHERE: Final = (
    "adopt/old.sql", "adopt/faults.sql", "audit/checks/", "audit/report/", "db/schema.sql", "db/migrations/",
    "db/functions/",
)  # fmt: skip
# They describe the others, and ask for nothing.
DESCRIBE: Final = {"GET /api/docs", "GET /api/openapi.json"}
_NAMED: Final = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\s*$", re.MULTILINE)
# Methods of everything: that one of ours has such a name says nothing.
_COMMON: Final = {
    *dir(dict), *dir(list), *dir(str), *dir(set), "close", "connect", "execute", "executemany", "fetch", "fetchrow",
    "fetchval", "start", "stop", "write", "read", "open", "run", "send", "set", "warning", "info", "error", "exception",
}  # fmt: skip
_MANY: Final = 4


class Code(msgspec.Struct, frozen=True):
    """The program's statements, and what leads to them."""

    statements: dict[str, str]
    """SQL by place: ``dashboard/cards/queue.queue_leads`` of a file of queries, ``upkeep/runner.LEASE`` of a module."""
    entries: dict[str, frozenset[str]]
    """Places of statements by what asks them: ``GET /sites/{site_id}/queue``, ``opsmantik audit``, ``job purge``."""

    def asked_by(self) -> dict[str, list[str]]:
        """Entries by the place of the statement."""
        found: dict[str, list[str]] = {place: [] for place in self.statements}
        for entry, places in sorted(self.entries.items()):
            for place in places:
                found[place].append(entry)
        return found


@cache
def code() -> Code:
    """Read all of it, once."""
    return _Program(files(PROGRAM)).code()


class _Way(NamedTuple):
    """How an attribute is met: called, or given to a call."""

    is_run: bool
    is_handed: bool


class _Program:
    def __init__(self, root: Traversable) -> None:
        self.modules: dict[str, Module] = {}
        self.statements: dict[str, str] = {}
        self.files: dict[str, list[str]] = defaultdict(list)
        for path, file in program_files(root):
            if path.startswith(ELSEWHERE):
                continue
            if path.endswith(".sql"):
                stem = path.removesuffix(".sql")
                parts = _NAMED.split(file.read_text(encoding="utf-8"))
                for name, sql in zip(parts[1::2], parts[2::2], strict=True):
                    self.statements[f"{stem}.{name}"] = sql
                    self.files[path].append(f"{stem}.{name}")
            else:
                name = f"{PROGRAM}.{path.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")
                self.modules[name] = Module(name, path, file.read_text(encoding="utf-8"))
        self.by_method: dict[str, list[str]] = defaultdict(list)
        for module in self.modules.values():
            for names in module.methods.values():
                for method, part in names.items():
                    self.by_method[method].append(f"{module.name}:{part}")
        self.handlers: set[str] = set()

    def code(self) -> Code:
        entries = dict(self._entries())
        self.handlers = {start for starts in entries.values() for start in starts if ":" in start}
        edges = {
            f"{module.name}:{part}": set(self._refers(module, part, node))
            for module in self.modules.values()
            for part, node in module.parts.items()
        }
        reached = {entry: self._reached(starts, edges) for entry, starts in entries.items()}
        return Code(self.statements, {entry: places for entry, places in reached.items() if places})

    def _reached(self, starts: set[str], edges: dict[str, set[str]]) -> frozenset[str]:
        seen, ahead = set(starts), list(starts)
        while ahead:
            for place in edges.get(ahead.pop(), ()):
                # A list of routes names the routes; it does not call them.
                if place not in seen and place not in self.handlers:
                    seen.add(place)
                    ahead.append(place)
        return frozenset(place for place in seen if place in self.statements)

    # Where it begins.

    def _entries(self) -> Iterator[tuple[str, set[str]]]:
        beginnings = Entries(self.modules)
        found: dict[str, set[str]] = defaultdict(set)
        for module in self.modules.values():
            for part, node in module.parts.items():
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    for label in set(beginnings.labels(module, part, node)) - DESCRIBE:
                        found[label].add(f"{module.name}:{part}")
            for label, call in beginnings.jobs(module):
                found[label] |= set(self._names(module, list(ast.walk(call)), "", frozenset()))
        yield from found.items()

    # What a part refers to.

    def _refers(self, module: Module, part: str, node: ast.AST) -> Iterator[str]:
        for number, (line, sql) in enumerate(sql_texts(node, module.constants)):
            label = f"{module.path.removesuffix('.py')}.{part}" + (f" ({line})" if number else "")
            self.statements.setdefault(label, sql)
            yield label
        nodes = list(ast.walk(node))
        local = (
            local_names(nodes) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else frozenset()
        )
        yield from self._names(module, nodes, part.partition(".")[0], local)

    def _names(
        self, module: Module, nodes: list[ast.AST], holder: str, local: frozenset[str]
    ) -> Iterator[str]:
        bases = {id(each.value) for each in nodes if isinstance(each, ast.Attribute)}
        calls = [each for each in nodes if isinstance(each, ast.Call)]
        run = {id(call.func) for call in calls}
        handed = {
            id(part) for call in calls for part in (*call.args, *(word.value for word in call.keywords))
        }
        for each in nodes:
            if isinstance(each, ast.Attribute):
                yield from self._attribute(
                    module, each, holder, local, _Way(id(each) in run, id(each) in handed)
                )
            elif isinstance(each, ast.Name) and each.id not in local:
                yield from self._object(module.name, each.id)
            if id(each) not in bases and (file := self._file(module, each)):
                # A file of queries under another name, or to be picked from: any of them.
                yield from self.files[file]

    def _attribute(
        self, module: Module, node: ast.Attribute, holder: str, local: frozenset[str], way: _Way
    ) -> Iterator[str]:
        file = self._file(module, node.value)
        if file is not None:
            place = f"{file.removesuffix('.sql')}.{node.attr}"
            if place in self.statements:
                yield place
            return
        if isinstance(node.value, ast.Name):
            if node.value.id in ("self", "cls") and node.attr in module.methods.get(holder, {}):
                yield f"{module.name}:{holder}.{node.attr}"
                return
            if node.value.id not in local and (inner := self._module_of(module, node.value.id)):
                yield from self._object(inner, node.attr)
                return
        # Whose method it is nobody says: of a class that the module can know of, called or handed on, or a property.
        known = [place for place in self.by_method.get(node.attr, ()) if self._may_be(module, place, way)]
        if node.attr in _COMMON:
            yield from (place for place in known if place.rpartition(".")[0] in self._classes(module))
        elif len(known) <= _MANY:
            yield from known

    def _may_be(self, module: Module, place: str, way: _Way) -> bool:
        home, _, part = place.partition(":")
        fits = not way.is_run if part in self.modules[home].properties else way.is_run or way.is_handed
        return fits and home in self._known_to(module.name)

    @cache  # noqa: B019 - as long as the program is read
    def _known_to(self, name: str) -> frozenset[str]:
        """The modules that a module imports, and those that they import."""
        seen, ahead = {name}, [name]
        while ahead:
            for source, inner in self.modules[ahead.pop()].imports.values():
                for found in {source, f"{source}.{inner}"} & self.modules.keys() - seen:
                    seen.add(found)
                    ahead.append(found)
        return frozenset(seen)

    @cache  # noqa: B019 - as long as the program is read
    def _classes(self, module: Module) -> frozenset[str]:
        """The classes that a module knows by name."""
        own = {f"{module.name}:{name}" for name in module.methods}
        taken = {f"{source}:{name}" for source, name in module.imports.values()}
        return frozenset(own | taken)

    def _module_of(self, module: Module, name: str) -> str | None:
        source, inner = module.imports.get(name, ("", ""))
        return f"{source}.{inner}" if f"{source}.{inner}" in self.modules else None

    def _object(self, module: str, name: str, depth: int = 0) -> Iterator[str]:
        """A name of a module: what it makes itself, or what it has from another."""
        found = self.modules.get(module)
        if found is None or depth > 3:
            return
        if name in found.parts:
            yield f"{module}:{name}"
            for method in ("__init__", "__call__", "__aenter__"):
                if method in found.methods.get(name, {}):
                    yield f"{module}:{name}.{method}"
        if name in found.imports and found.imports[name] != (module, name):
            yield from self._object(*found.imports[name], depth + 1)

    def _file(self, module: Module, node: ast.AST) -> str | None:
        """The file of queries that is meant: ``SQL`` of this module, or of one that it imports."""
        if isinstance(node, ast.Name):
            if node.id in module.queries:
                return module.queries[node.id]
            source, name = module.imports.get(node.id, ("", ""))
            return self.modules[source].queries.get(name) if source in self.modules else None
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            inner = self._module_of(module, node.value.id)
            return self.modules[inner].queries.get(node.attr) if inner else None
        return None
