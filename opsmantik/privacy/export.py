"""All that is known of one person, as JSON: the same search as an erasure, the rows themselves. Bounded by the same rule.

Left out: order keys, by which events are merged and which say nothing that the times do not.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.event import new_id
from opsmantik.privacy import store
from opsmantik.privacy.erasure import look
from opsmantik.privacy.subject import Seals, Subject

VERSION: Final = 1
MOST_EVENTS: Final = 100_000
_KEYS: Final = frozenset(
    {
        "first_key",
        "exit_key",
        "env_key",
        "click_key",
        "utm_key",
        "source_key",
        "last_touch_key",
        "consent_key",
    }
)


async def export(connection: Any, site_id: UUID, subject: Subject, seals: Seals) -> bytes:
    """The document; docs/privacy.md says what each part is.

    Raises :class:`~opsmantik.errors.Unprocessable` for more than is one person's, and
    :class:`~opsmantik.errors.TooManyRequests` for somebody who asks too often.
    """
    hashed = seals.subject_hash(site_id, subject).hex()
    await store.note_export(connection, site_id, new_id(), f"{subject.kind} {hashed[:12]}")
    found = await look(connection, site_id, subject)
    site = await store.site_privacy(connection, site_id)
    sql, months = store.SQL, sorted(set(found.months))
    document = {
        "version": VERSION,
        "exported_at": datetime.now(UTC),
        "site": {"id": site.id, "public_id": site.public_id, "name": site.name, "domain": site.domain},
        "consent_policy": site.consent_mode,
        "subject": {"kind": subject.kind, "value": subject.value, "with_taps": subject.with_taps},
        "visitors": _rows(await connection.fetch(sql.visitors, site_id, found.visitors)),
        "sessions": _rows(await connection.fetch(sql.sessions, site_id, found.sessions)),
        "events": _rows(await connection.fetch(sql.events, site_id, found.sessions, months, MOST_EVENTS)),
        "leads": _rows(await connection.fetch(sql.calls, site_id, found.calls)),
        "decisions": _rows(await connection.fetch(sql.decisions, site_id, found.calls)),
        "conversions": _rows(await connection.fetch(sql.conversions, site_id, found.calls)),
        "conversion_moves": _rows(await connection.fetch(sql.conversion_moves, site_id, found.calls)),
        "webhook_deliveries": _rows(await connection.fetch(sql.deliveries, site_id, found.calls)),
        "refused_events": _rows(await connection.fetch(sql.rejected, site_id, found.rejected)),
    }
    return _ENCODER.encode(document)


def _rows(rows: list[Any]) -> list[dict[str, Any]]:
    """Rows as JSON says them; refused payloads as the text that they were, as far as they were one."""
    return [
        {
            name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            for name, value in row.items()
            if name not in _KEYS and name != "site_id"
        }
        for row in rows
    ]


def _word(value: Any) -> str:
    if isinstance(value, _ADDRESSES):
        return str(value)
    raise NotImplementedError(type(value).__name__)


_ADDRESSES: Final = (
    ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Interface, ipaddress.IPv6Interface,
)  # fmt: skip
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_word, decimal_format="number")
