"""Which of Google's requests carries which conversions of a batch, as one line of text that is kept with the batch.

    5b0c…                        all of them
    77ae…:1-125 9f13…:126-250 5b0c…     these, those, and the first request all others

A position belongs to the first request that names it; one without positions names all. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from opsmantik.conversions.adapters import Item

LONGEST: Final = 20_000
"""Characters that the ledger keeps."""
LONGEST_ID: Final = 40
"""Google's are UUIDs; one that is longer can be kept where it is the only one."""
_ID = re.compile(r"[A-Za-z0-9_./=+-]{1,120}")


class Part(msgspec.Struct, frozen=True):
    """One request and the positions that it names; ``None``: all that no earlier one names."""

    id: str
    named: str | None = None

    def names(self, position: int) -> bool:
        """Whether this is among what it names."""
        return self.named is None or any(first <= position <= last for first, last in _runs(self.named))

    def __str__(self) -> str:
        return self.id if self.named is None else f"{self.id}:{self.named}"


def is_id(text: object) -> bool:
    """Whether this can be kept as the id of a request."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def read(text: str | None) -> list[Part]:
    """The requests of a batch."""
    parts = []
    for word in (text or "").split():
        request, colon, named = word.partition(":")
        parts.append(Part(request, named if colon else None))
    return parts


def write(parts: Sequence[Part]) -> str:
    """One line; see :func:`fits`."""
    return " ".join(map(str, parts))


def fits(parts: Sequence[Part], named: str) -> bool:
    """Whether one more request that names this can be kept."""
    return len(write(parts)) + len(named) + LONGEST_ID + 2 <= LONGEST


def name(items: Sequence[Item], present: Collection[int]) -> str:
    """The positions of ``items`` in as few words as possible. ``present``: all that are still without an outcome."""
    wanted = {item.position for item in items}
    runs: list[list[int]] = []
    open_run = False
    for position in sorted(present):
        if position not in wanted:
            open_run = False
        elif open_run:
            runs[-1][1] = position
        else:
            runs.append([position, position])
            open_run = True
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def shares(parts: Sequence[Part], items: Sequence[Item]) -> tuple[list[tuple[Part, list[Item]]], list[Item]]:
    """Each request with what it carries, and what none carries. Requests that carry nothing any more are left out."""
    carried: dict[int, list[Item]] = {}
    left = []
    for item in items:
        owner = next((n for n, part in enumerate(parts) if part.names(item.position)), None)
        if owner is None:
            left.append(item)
        else:
            carried.setdefault(owner, []).append(item)
    return [(parts[n], carried[n]) for n in sorted(carried)], left


def _runs(named: str) -> list[tuple[int, int]]:
    runs = []
    for run in named.split(","):
        first, dash, last = run.partition("-")
        if first.isdecimal() and (last.isdecimal() or not dash):
            runs.append((int(first), int(last if dash else first)))
    return runs
