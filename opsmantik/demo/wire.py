"""The bodies that the demo posts: the present format's, and the first generation's."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.demo.visits import Visit

TRACKER = "1.0.0"
_encode = msgspec.json.Encoder().encode


def body(visit: Visit, event: dict[str, Any], at_ms: int, sent_ms: int) -> bytes:
    """What the visit's tracker posts of an event that its device's clock puts at ``at_ms``."""
    if visit.first_generation:
        return _first_generation(visit, event, at_ms)
    return _encode(
        {"site": visit.business.public_id, "sent": sent_ms, "v": TRACKER, "events": [{**event, "ts": at_ms}]}
    )


def _first_generation(visit: Visit, event: dict[str, Any], at_ms: int) -> bytes:
    """No id, no time: only a tap's stamp says when it was. Totals travel with taps and pulses only."""
    click, env, pulse = event.get("click") or {}, event.get("env") or {}, event.get("pulse") or {}
    meta: dict[str, Any] = {"fp": event["vid"], "gclid": click.get("gclid")}
    meta |= {old: env[new] for old, new in _ENVIRONMENT if new in env}
    if event["cat"] in ("conversion", "system"):
        meta |= {old: pulse[new] for old, new in _PULSE if new in pulse}
    if event["act"] in ("phone_call", "whatsapp"):
        meta |= {"intent_stamp": _stamp(event, at_ms), "intent_action": event["act"]}
    return _encode(
        {
            "s": visit.business.public_id,
            "u": event["url"],
            "sid": event["sid"],
            "ec": event["cat"],
            "ea": event["act"],
            "el": event.get("label") or event.get("title"),
            "ev": event.get("value"),
            "r": event.get("ref", ""),
            "meta": meta,
        }
    )


# The first generation's name, and ours.
_ENVIRONMENT = (
    ("lan", "lang"), ("mem", "mem"), ("con", "cores"), ("sw", "sw"), ("sh", "sh"), ("dpr", "dpr"),
    ("con_type", "net"),
)  # fmt: skip
_PULSE = (
    ("scroll_pct", "scroll"), ("cta_hovers", "hovers"), ("focus_dur", "focus"), ("active_sec", "active"),
)  # fmt: skip


def _stamp(event: dict[str, Any], at_ms: int) -> str:
    """Time of the tap, some randomness, the channel, and a hash of the link."""
    channel = "tel" if event["act"] == "phone_call" else "wa"
    link = blake2b(event["label"].lower().encode(), digest_size=3).hexdigest()
    return f"{at_ms}-{UUID(event['id']).hex[:4]}-{channel}-{link}"
