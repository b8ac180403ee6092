"""Making what clients send fit to be stored: cut, rounded, bounded, or None where it has no meaning."""

from __future__ import annotations

from datetime import datetime
from typing import Any

MAX_META_KEYS = 64
MAX_LABEL = 2048
MAX_URL = 8192
MAX_WORD = 64
MAX_META_STRING = 2048
MAX_META_KEY = 256
MAX_META_DEPTH = 8
# Of all levels of a caller's own data together.
MAX_META_VALUES = 1000
MAX_META_TEXT = 65_536
TOO_MUCH = (
    f"meta holds a number that cannot be stored, nests deeper than {MAX_META_DEPTH} levels, has a key of more than"
    f" {MAX_META_KEY} characters, or holds more than {MAX_META_VALUES} values or {MAX_META_TEXT} characters"
)


def read_time(value: float | str) -> int | None:
    """Milliseconds from an epoch (seconds or milliseconds) or an ISO 8601 time; None when it is neither."""
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return int(moment.timestamp() * 1000) if moment.tzinfo is not None else None
    seconds = float(value)
    if not -1e15 < seconds < 1e15:
        return None
    return int(seconds * 1000) if abs(seconds) < 1e11 else int(seconds)


def cut(value: str, limit: int, flags: list[str]) -> str:
    """A string of at most `limit` characters; what was cut leaves a flag."""
    if len(value) <= limit:
        return value
    if "truncated" not in flags:
        flags.append("truncated")
    return value[:limit]


def text(value: Any, limit: int) -> str | None:
    if type(value) is str:
        return value.strip()[:limit] or None
    if type(value) in (int, float):
        return str(value)[:limit]
    return None


def word(value: Any, limit: int = MAX_WORD) -> str | None:
    return value[:limit] if type(value) is str and value else None


def number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and abs(value) < 1e6 else None


def whole(value: Any) -> int | None:
    return int(value) if type(value) in (int, float) and 0 <= value < 1_000_000 else None


def small(value: Any, most: int) -> int:
    return min(max(int(value), 0), most) if type(value) in (int, float) and abs(value) < 1e15 else 0


def bounded(value: Any, flags: list[str]) -> bool:
    """True when a caller's own data can be stored; long strings in it are cut on the spot."""
    return _fits(value, flags, 0, [MAX_META_VALUES, MAX_META_TEXT])


def _fits(value: Any, flags: list[str], depth: int, room: list[int]) -> bool:
    """The same of a part of it; ``room``: how many values and characters there may still be, in all of it together."""
    if type(value) is dict or type(value) is list:
        room[0] -= len(value)
        if depth > MAX_META_DEPTH or room[0] < 0:
            return False
        for key, inner in list(value.items()) if type(value) is dict else enumerate(value):
            if type(key) is str:
                room[1] -= len(key)
                if len(key) > MAX_META_KEY:
                    return False
            if type(inner) is str:
                if len(inner) > MAX_META_STRING:
                    inner = value[key] = cut(inner, MAX_META_STRING, flags)
                room[1] -= len(inner)
            elif type(inner) is not bool and inner is not None and not _fits(inner, flags, depth + 1, room):
                return False
        return room[1] >= 0
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return True
