"""Named queries from .sql files, and the little quoting that DDL needs.

A file of queries is a row of statements, each under a line ``-- name: some_name``. Comments above a statement
say why it is shaped as it is; they stay in the text that the server logs.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\s*$", re.MULTILINE)


class Queries:
    """The statements of one file, as attributes: ``queries.newest_intents``."""

    def __init__(self, path: Path) -> None:
        parts = _NAME.split(path.read_text())
        self._statements = {
            name: text.strip().rstrip(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)
        }
        self._path = path

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"{self._path.name} has no query named {name!r}") from None

    def names(self) -> list[str]:
        return list(self._statements)


@cache
def queries(path: Path) -> Queries:
    """Read a file of named queries once."""
    return Queries(path)


def quote_literal(text: str) -> str:
    """A string as an SQL literal, for the few statements (ALTER ROLE) that take no parameters."""
    if "\x00" in text:
        raise ValueError("NUL in an SQL literal")
    return (
        "'" + text.replace("'", "''") + "'"
        if "\\" not in text
        else " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    )
