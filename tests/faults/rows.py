"""A row of the matrix: what is injected, what must hold, and how both are done."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

State = Literal["held", "not held", "not run"]
Namespace = Literal["mount", "net"]
ROOM = ("/usr/sbin", "/sbin")
"""Where programs of administrators lie, which PATH may lack."""


class Outcome(msgspec.Struct):
    """What came of a row. ``figure``: what was measured, in words and numbers; ``why``: what did not hold."""

    figure: str
    why: list[str] = []
    kills: int = 0
    lost: int = 0  # acknowledged events that are not stored
    raw: dict[str, Any] = {}

    @property
    def held(self) -> bool:
        return not self.why


class Result(msgspec.Struct):
    """A row as it was run last."""

    name: str
    state: State
    figure: str
    date: str
    seconds: float
    kills: int = 0
    lost: int = 0
    why: list[str] = []
    raw: dict[str, Any] = {}


class Given(NamedTuple):
    """What a row works with: a directory on a disk, and how many kills the whole run shall have."""

    directory: Path
    kills: int


class Row(NamedTuple):
    """One line of the matrix. ``needs``: programs; ``apart``: namespaces of its own that it must have, which only root can
    make; ``limit``: seconds after which it is ended."""

    name: str
    injected: str
    must: str
    run: Callable[[Given], Outcome]
    needs: tuple[str, ...]
    apart: tuple[Namespace, ...]
    limit: float

    def missing(self) -> list[str]:
        """The programs that are not on this machine."""
        return [program for program in self.needs if find(program) is None]


ROWS: dict[str, Row] = {}


def row(
    name: str,
    *,
    injected: str,
    must: str,
    needs: tuple[str, ...] = (),
    apart: tuple[Namespace, ...] = (),
    limit: float = 180,
) -> Callable[[Callable[[Given], Outcome]], Callable[[Given], Outcome]]:
    """Put a function into the matrix."""

    def put(run: Callable[[Given], Outcome]) -> Callable[[Given], Outcome]:
        assert name not in ROWS
        ROWS[name] = Row(name, injected, must, run, needs, apart, limit)
        return run

    return put


def find(program: str) -> str | None:
    """Where a program lies."""
    return shutil.which(program) or next(
        (found for room in ROOM if (found := shutil.which(f"{room}/{program}"))), None
    )
