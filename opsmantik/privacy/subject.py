"""The person that a request is about, by the one thing that is known of them, and what belongs to them."""

from __future__ import annotations

import enum
import hashlib
import hmac
from datetime import date
from typing import Final
from uuid import UUID

import msgspec

MOST_VISITS: Final = 2000
"""More visits than one person makes. What finds more is no person: a shared device id, or the client's own number."""


class Kind(enum.StrEnum):
    """By what a person can be found."""

    PHONE = "phone"
    EMAIL = "email"
    VISITOR = "visitor"
    SESSION = "session"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to look for.

    ``value`` is the one spelling that every way to write it comes to: E.164, the SHA-256 of an address in hex, the
    visitor's id, the session's UUID. ``pattern`` finds it in texts however it is written there (PostgreSQL's regular
    expressions, without case); None where only columns of its own hold it.
    """

    kind: Kind
    value: str
    pattern: str | None = None
    with_taps: bool = False
    """Of a number: count those who tapped it as well. They are other people than the one who has it."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All that belongs to a subject, by the ids of its rows; ``months`` are those of ``sessions``, one for one."""

    sessions: list[UUID]
    months: list[date]
    calls: list[UUID]
    visitors: list[str]
    rejected: list[UUID]

    @property
    def is_empty(self) -> bool:
        return not (self.sessions or self.calls or self.visitors or self.rejected)

    def by_month(self) -> dict[date, list[UUID]]:
        """The sessions of each month, the oldest month first."""
        found: dict[date, list[UUID]] = {}
        for month, session in sorted(zip(self.months, self.sessions, strict=True)):
            found.setdefault(month, []).append(session)
        return found


class Size(msgspec.Struct, frozen=True):
    """How many rows of a table belong to somebody, in which month (None: rows that have none)."""

    name: str
    month: date | None
    n: int


class Seals:
    """What the installation's secret signs and hides for privacy; each purpose has a key of its own."""

    def __init__(self, secret: str) -> None:
        self._subjects = hmac.new(secret.encode(), b"privacy-subject", hashlib.sha256).digest()
        self._certificates = hmac.new(secret.encode(), b"privacy-certificate", hashlib.sha256).digest()

    def subject_hash(self, site_id: UUID, subject: Subject) -> bytes:
        """Names a subject without telling who it is: whoever has only the database cannot try numbers against it."""
        words = f"{site_id}|{subject.kind}|{subject.value}"
        return hmac.new(self._subjects, words.encode(), hashlib.sha256).digest()

    def signature(self, text: bytes) -> str:
        """The signature of a certificate's text, in hex."""
        return hmac.new(self._certificates, text, hashlib.sha256).hexdigest()

    def is_signed(self, text: bytes, signature: str) -> bool:
        return hmac.compare_digest(self.signature(text).encode(), signature.encode("utf-8", "replace"))
