"""How figures are written in a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def size(value: float) -> str:
    """Bytes in the unit in which they are read best."""
    place = 0
    while value >= 1024 and place < len(_UNITS) - 1:
        value, place = value / 1024, place + 1
    return f"{value:,.0f} {_UNITS[place]}" if place == 0 or value >= 100 else f"{value:,.1f} {_UNITS[place]}"


def number(value: float) -> str:
    """With a comma between thousands."""
    return f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """In hundreds; of nothing there is no share."""
    return f"{100 * part / whole:.1f} %" if whole else "no figure yet"


def day(value: datetime | None, otherwise: str = "never") -> str:
    """A day and its minute, in UTC."""
    return f"{value:%Y-%m-%d %H:%M}" if value else otherwise


def code(*names: str) -> str:
    """Names as names: ``a``, ``b``."""
    return ", ".join(f"`{name}`" for name in names)


def some(names: Sequence[str], most: int = 6) -> str:
    """The first of these, and how many more there are."""
    shown = code(*names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def several(count: int, one: str, many: str = "") -> str:
    """``1 table``, ``2 tables``."""
    return f"{number(count)} {one if count == 1 else many or f'{one}s'}"


def listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    each = list(words)
    return f"{', '.join(each[:-1])} and {each[-1]}" if len(each) > 1 else "".join(each)
