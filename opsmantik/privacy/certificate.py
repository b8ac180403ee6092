"""What an erasure leaves behind: who asked, when, what went, and what is beyond our reach; signed.

Canonical JSON (sorted keys, no blanks) with ``signature``: HMAC-SHA256 of the same text without it, by a key of this
installation. It names the subject by a keyed hash only, so it can be kept as long as anybody asks for it.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from opsmantik.privacy.store import ErasureRow, SitePrivacy
from opsmantik.privacy.subject import Seals

VERSION: Final = 1
OUTSIDE: Final = ("archive", "backups", "ad_platforms", "mail_and_webhooks", "visitors_device")
"""Where else something may be, by the words for it. From here nobody can erase it, but for the first: archived months,
named as long as they are still to be gone through, which takes hours at most."""


def signed(row: ErasureRow, site: SitePrivacy, seals: Seals, finished_at: datetime) -> bytes:
    """The certificate of a finished erasure."""
    facts = told(row, site, finished_at)
    return canonical({**facts, "signature": seals.signature(canonical(facts))})


def told(row: ErasureRow, site: SitePrivacy, finished_at: datetime) -> dict[str, Any]:
    """What it says."""
    tables: Counter[str] = Counter()
    months: dict[str, Counter[str]] = {}
    for part in row.parts:
        month = part["month"][:7] if part["month"] else "none"
        tables.update(part["counts"])
        months.setdefault(month, Counter()).update(part["counts"])
    return {
        "version": VERSION,
        "id": row.id,
        "site": {"id": site.id, "public_id": site.public_id, "name": site.name, "domain": site.domain},
        "requested_by": row.requested_name,
        "requested_at": _instant(row.at),
        "finished_at": _instant(finished_at),
        "subject": {
            "kind": row.kind, "hmac_sha256": row.subject_hash.hex(), "with_taps": row.with_taps,
        },
        "erased": dict(tables),
        "erased_by_month": {month: dict(counts) for month, counts in months.items()},
        "sent_conversions": {"count": len(row.sent_orders), "order_ids": sorted(row.sent_orders)},
        "outside": [place for place in OUTSIDE if place != "archive" or row.archived],
    }  # fmt: skip


def is_genuine(certificate: bytes, seals: Seals) -> bool:
    """Whether this installation signed it, and nobody has changed it since."""
    try:
        facts = msgspec.json.decode(certificate)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    if not isinstance(facts, dict) or not isinstance(signature := facts.pop("signature", None), str):
        return False
    return seals.is_signed(canonical(facts), signature)


def canonical(facts: dict[str, Any]) -> bytes:
    """The one way to write these facts."""
    return msgspec.json.encode(facts, order="sorted")


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
