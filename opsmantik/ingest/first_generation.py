"""One event of the first generation: types as its tracker sends them, loosely read; an identity made here."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.event import Arrival, Drop, Event, Reason
from opsmantik.ingest.mending import (
    MAX_LABEL,
    MAX_META_KEYS,
    MAX_URL,
    MAX_WORD,
    TOO_MUCH,
    bounded,
    cut,
    number,
    small,
    text,
    whole,
    word,
)

# The same body again within this time is the same view; reloads later than that count.
REPEAT_SEC = 20


class FirstGeneration(msgspec.Struct, gc=False):
    """One event of the first generation: types as its tracker sends them, loosely read."""

    s: Any = None
    u: Any = None
    url: Any = None
    sid: Any = None
    ec: Any = None
    ea: Any = None
    el: Any = None
    ev: Any = None
    r: Any = None
    meta: Any = None


_first = msgspec.json.Decoder(FirstGeneration)


def read_first_generation(raw: bytes, arrival: Arrival, body_flags: tuple[str, ...]) -> Event | Drop:
    """One event of the first generation. It has no id and no time of its own, so its body stands for it."""
    try:
        item = _first.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
        return Drop(Reason.MALFORMED, str(wrong)[:200])
    url = item.url if type(item.url) is str and item.url else item.u
    if type(url) is not str or not url:
        return Drop(Reason.MALFORMED, "the page's url is missing")
    flags = list(body_flags)
    meta = item.meta if type(item.meta) is dict else {}
    if len(meta) > MAX_META_KEYS:
        return Drop(Reason.MALFORMED, f"meta has more than {MAX_META_KEYS} keys")
    if not bounded(meta, flags):
        return Drop(Reason.MALFORMED, TOO_MUCH)
    category = text(item.ec, MAX_WORD) or "interaction"
    action = text(item.ea, MAX_WORD) or "view"
    label = text(item.el, MAX_LABEL)
    value = item.ev if type(item.ev) in (int, float) and abs(item.ev) < 1e15 else None
    sid = text(item.sid, 128)
    stamp = text(meta.get("intent_stamp"), 128)
    event = Event(
        arrival=arrival,
        id=UUID(int=0),
        session_id=None,
        session_text=sid,
        client_ms=stamp_time(stamp) if stamp else None,
        category=category,
        action=(text(meta.get("intent_action"), MAX_WORD) or action) if category == "conversion" else action,
        label=label,
        value=float(value) if value is not None else None,
        url=cut(url, MAX_URL, flags),
        referrer=text(item.r, MAX_URL),
        visitor=text(meta.get("fp"), 64),
        meta={k: v for k, v in meta.items() if k not in _TAKEN} or None,
        raw=raw,
        flags=flags,
    )
    event.stamp = stamp
    ids = (text(meta.get("gclid"), 512), text(meta.get("wbraid"), 512), text(meta.get("gbraid"), 512))
    if any(ids):
        event.click_ids = ids
    scroll = meta.get("scroll_pct")
    if action == "scroll_depth" and value is not None:
        scroll = max(value, scroll if type(scroll) in (int, float) else 0)
    event.pulse = (
        small(scroll, 100),
        small(meta.get("cta_hovers"), 100_000),
        small(meta.get("focus_dur"), 864_000),
        small(meta.get("active_sec"), 864_000),
    )
    event.environment = (
        word(meta.get("lan")),
        None,
        number(meta.get("mem")),
        whole(meta.get("con")),
        whole(meta.get("sw")),
        whole(meta.get("sh")),
        number(meta.get("dpr")),
        word(meta.get("gpu"), 200),
        word(meta.get("con_type")),
    )
    identify(event, sid, label)
    return event


def identify(event: Event, sid: str | None, label: str | None) -> None:
    """Give a first-generation event the id that its resends will have too.

    Resends are byte-identical, seconds to days later. A conversion's body says when it happened, so the body is
    its identity for ever. Scroll depth counts once a session and threshold, whatever the exact percentage. All
    else may honestly happen twice with the same body (a reload): there the same body within REPEAT_SEC is the
    same event, so the id holds the number of the window, and those before and after are looked up.
    """
    site = event.arrival.site
    seed = site.id.bytes if site is not None else b""
    if event.category == "conversion":
        event.id = body_id(event.raw, seed, b"once")
    elif event.action == "scroll_depth":
        event.id = body_id(f"{sid}|{label}".encode(), seed, b"scroll")
    else:
        window = event.arrival.received_ms // (REPEAT_SEC * 1000)
        event.id = body_id(event.raw, seed, b"%d" % window)
        event.near_ids = (
            body_id(event.raw, seed, b"%d" % (window - 1)),
            body_id(event.raw, seed, b"%d" % (window + 1)),
        )
        event.repeat_sec = REPEAT_SEC


def body_id(body: bytes, site: bytes, kind: bytes) -> UUID:
    """A UUID (version 8: made by a rule of ours) that is the same for the same body on the same site."""
    digest = blake2b(body, digest_size=16, key=site, person=kind[:16]).digest()
    value = int.from_bytes(digest, "big")
    return UUID(int=(value & ~(0xF << 76) & ~(0x3 << 62)) | 0x8 << 76 | 0x2 << 62)


# What has a column of its own is not kept a second time among the event's metadata.
_TAKEN = frozenset(
    [
        "fp",
        "gclid",
        "wbraid",
        "gbraid",
        "lan",
        "mem",
        "con",
        "sw",
        "sh",
        "dpr",
        "gpu",
        "con_type",
        "scroll_pct",
        "cta_hovers",
        "focus_dur",
        "active_sec",
        "intent_stamp",
        "intent_action",
    ]
)


def stamp_time(stamp: str) -> int | None:
    """The time of the click that a first-generation stamp begins with: milliseconds, in decimal or base 36."""
    head = stamp.partition("-")[0]
    try:
        value = int(head) if len(head) == 13 and head.isdigit() else int(head, 36)
    except ValueError:
        return None
    return value if 1_000_000_000_000 < value < 4_000_000_000_000 else None
