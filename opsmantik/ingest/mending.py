"""Making what clients send fit to be stored: cut, rounded, bounded, or None where it has no meaning."""

from __future__ import annotations

from datetime import datetime
from typing import Any

MAX_META_KEYS = 64
MAX_LABEL = 2048
MAX_URL = 8192
MAX_WORD = 64
MAX_META_STRING = 2048


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


def bounded(value: Any, flags: list[str], depth: int = 0) -> bool:
    """True when a caller's own data can be stored; long strings in it are cut on the spot."""
    if depth > 8:
        return False
    if type(value) is dict:
        for key, inner in value.items():
            if type(inner) is str:
                if len(inner) > MAX_META_STRING:
                    value[key] = cut(inner, MAX_META_STRING, flags)
            elif type(inner) is not bool and inner is not None and not bounded(inner, flags, depth + 1):
                return False
        return all(len(key) <= 256 for key in value)
    if type(value) is list:
        return len(value) <= 1000 and all(bounded(inner, flags, depth + 1) for inner in value)
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return True
