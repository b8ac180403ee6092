"""How each site takes reports of calls: without a signature or not, and with which secrets they are signed.

Read with the sites (ingest/registry.py), and opened here: sealed in the database, in the clear in this process alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from opsmantik.errors import SealBroken
from opsmantik.keyring import Keyring, Sealed

log = structlog.get_logger()

COLUMN: Final = "call_secrets.secret"


class CallRule(msgspec.Struct, frozen=True):
    """One site's."""

    takes_unsigned: bool = True
    secrets: tuple[bytes, ...] = ()
    """The present one and the next; either is good."""
    sealed: bool = False
    """There is a secret that this process cannot open: nobody can say what it would have verified."""


USUAL: Final = CallRule()


class CallRules:
    """All sites' rules, as they were known a moment ago."""

    def __init__(self, keyring: Keyring | None) -> None:
        self._keyring = keyring
        self._rules: dict[UUID, CallRule] = {}
        self._opened: dict[tuple[UUID, bytes], bytes | None] = {}

    def of(self, site_id: UUID) -> CallRule:
        """The rule of a site; one that has never said anything takes what comes without a signature."""
        return self._rules.get(site_id, USUAL)

    def take(self, rows: Iterable[Any]) -> None:
        """What the database says now; a secret is opened once, not each time."""
        rules: dict[UUID, CallRule] = {}
        opened: dict[tuple[UUID, bytes], bytes | None] = {}
        for row in rows:
            site_id = UUID(int=row["site_id"].int)
            rule = rules.get(site_id, CallRule(takes_unsigned=row["unsigned_calls"]))
            if row["id"] is not None:
                place = UUID(int=row["id"].int), row["secret"]
                secret = self._opened.get(place) or self._open(row["key_id"], *place)
                opened[place] = secret
                rule = CallRule(
                    rule.takes_unsigned,
                    (*rule.secrets, secret) if secret is not None else rule.secrets,
                    rule.sealed or secret is None,
                )
            rules[site_id] = rule
        self._rules, self._opened = rules, opened

    def _open(self, key_id: str, secret_id: UUID, data: bytes) -> bytes | None:
        if self._keyring is None:
            return None
        try:
            return self._keyring.open(Sealed(key_id, data), COLUMN, secret_id)
        except SealBroken as broken:
            log.error("ingest.call_secret_sealed", secret=str(secret_id), error=str(broken))
            return None
