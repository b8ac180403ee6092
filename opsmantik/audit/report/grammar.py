"""PostgreSQL's own grammar: postgast, which wraps libpg_query. Imported by name, as type checkers cannot read its stubs.

Raises ``ModuleNotFoundError`` where it is not installed; write.py says so in the report.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

_library: Any = import_module("postgast")

pg: Final[Any] = import_module("postgast.pg_query_pb2")
"""The kinds of nodes of a statement's tree."""
parse: Final[Any] = _library.parse
parse_plpgsql: Final[Any] = _library.parse_plpgsql
scan: Final[Any] = _library.scan
unwrap_node: Final[Any] = _library.unwrap_node
PgQueryError: Final[type[Exception]] = _library.PgQueryError
