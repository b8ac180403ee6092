"""One event of the present format: everything typed, with an id and a time of its own."""

from __future__ import annotations

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
    read_time,
    small,
    whole,
    word,
)


class Click(msgspec.Struct, gc=False):
    gclid: str | None = None
    wbraid: str | None = None
    gbraid: str | None = None
    url: str | None = None
    ref: str | None = None
    at: float | None = None


class Pulse(msgspec.Struct, gc=False):
    scroll: float = 0
    hovers: float = 0
    focus: float = 0
    active: float = 0


class Environment(msgspec.Struct, gc=False):
    lang: str | None = None
    tz: str | None = None
    sw: float | None = None
    sh: float | None = None
    dpr: float | None = None
    mem: float | None = None
    cores: float | None = None
    gpu: str | None = None
    net: str | None = None


class Consent(msgspec.Struct, gc=False):
    analytics: bool | None = None
    marketing: bool | None = None


class Item(msgspec.Struct, gc=False):
    """One event of the present format."""

    id: UUID
    cat: str
    act: str
    url: str
    ts: float | str | None = None
    sid: str | None = None
    vid: str | None = None
    label: str | None = None
    value: float | None = None
    ref: str | None = None
    title: str | None = None
    click: Click | None = None
    pulse: Pulse | None = None
    env: Environment | None = None
    consent: Consent | None = None
    meta: dict[str, Any] | None = None


_item = msgspec.json.Decoder(Item)


def read_item(raw: bytes, arrival: Arrival, body_flags: tuple[str, ...]) -> Event | Drop:
    """One event of the present format."""
    try:
        item = _item.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
        return Drop(Reason.MALFORMED, str(wrong)[:200])
    flags = list(body_flags)
    client_ms = None
    if item.ts is not None:
        client_ms = read_time(item.ts)
        if client_ms is None:
            return Drop(Reason.MALFORMED, "ts is neither an epoch nor an ISO 8601 time with an offset")
    meta = item.meta
    if meta is not None:
        if len(meta) > MAX_META_KEYS:
            return Drop(Reason.MALFORMED, f"meta has more than {MAX_META_KEYS} keys")
        if not bounded(meta, flags):
            return Drop(Reason.MALFORMED, TOO_MUCH)
    if item.title:
        meta = {**(meta or {}), "title": cut(item.title, MAX_LABEL, flags)}
    event = Event(
        arrival=arrival,
        id=item.id,
        session_id=None,
        session_text=item.sid[:128] if item.sid else None,
        client_ms=client_ms,
        category=cut(item.cat, MAX_WORD, flags) or "interaction",
        action=cut(item.act, MAX_WORD, flags),
        label=cut(item.label, MAX_LABEL, flags) if item.label is not None else None,
        value=item.value,
        url=cut(item.url, MAX_URL, flags),
        referrer=cut(item.ref, MAX_URL, flags) if item.ref else None,
        visitor=item.vid[:64] if item.vid else None,
        meta=meta,
        raw=raw,
        flags=flags,
    )
    click = item.click
    if click is not None:
        event.click_ids = (click.gclid, click.wbraid, click.gbraid)
        event.click_url = cut(click.url, MAX_URL, flags) if click.url else None
        event.click_referrer = cut(click.ref, MAX_URL, flags) if click.ref else None
        event.click_ms = read_time(click.at) if click.at is not None else None
    pulse = item.pulse
    if pulse is not None:
        event.pulse = (
            small(pulse.scroll, 100),
            small(pulse.hovers, 100_000),
            small(pulse.focus, 864_000),
            small(pulse.active, 864_000),
        )
    env = item.env
    if env is not None:
        event.environment = (
            word(env.lang),
            word(env.tz),
            env.mem,
            whole(env.cores),
            whole(env.sw),
            whole(env.sh),
            env.dpr,
            word(env.gpu, 200),
            word(env.net),
        )
    if item.consent is not None:
        event.consent = (item.consent.analytics, item.consent.marketing)
    return event
