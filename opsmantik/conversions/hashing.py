"""E-mail addresses and phone numbers as ad platforms compare them: normalised, then SHA-256, never in the clear.

The rules are Google's for enhanced conversions, which others share: https://developers.google.com/data-manager/api/
devguides/concepts/formatting. Dots and +suffixes are dropped at Gmail alone: elsewhere they may name somebody else.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

GMAIL: Final = frozenset({"gmail.com", "googlemail.com"})

# E.164: at most 15 digits, the first is never 0. The shortest numbers that anybody has are longer than 6.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_BETWEEN_DIGITS = re.compile(r"[\s().\-/]")


def normalised_email(text: str) -> str | None:
    """Lower case, no whitespace, at Gmail no dots and no +suffix; ``None`` for what is no address."""
    local, at, domain = "".join(text.split()).lower().partition("@")
    if domain in GMAIL:
        local = local.partition("+")[0].replace(".", "")
    if not at or not local or "@" in domain or "." not in domain.strip("."):
        return None
    return f"{local}@{domain}"


def normalised_phone(text: str) -> str | None:
    """E.164 with its plus; ``None`` for what is no such number. No country is ever guessed."""
    number = _BETWEEN_DIGITS.sub("", text)
    return number if _E164.fullmatch(number) else None


def hashed_email(text: str) -> str | None:
    """SHA-256 of the normalised address, in lower-case hex."""
    normal = normalised_email(text)
    return _hash(normal) if normal else None


def hashed_phone(text: str, *, plus: bool = True) -> str | None:
    """SHA-256 of the number in E.164, in lower-case hex; without its ``plus`` for platforms that compare digits alone."""
    normal = normalised_phone(text)
    return _hash(normal if plus else normal[1:]) if normal else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
