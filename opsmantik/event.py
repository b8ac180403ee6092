"""The words that all rooms share: a site, an arrival, an event, and why an event was set aside."""

from __future__ import annotations

import enum
import os
import re
import time
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

# Order keys count milliseconds from here, so that 40 bits of them last until 2054.
KEY_EPOCH_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z
KEY_TIE_BITS = 21
KEY_RANK_SHIFT = 61

_SUBDOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")


class Reason(enum.StrEnum):
    """Every reason for which an event may be refused or set aside. Closed: the books balance over it."""

    UNKNOWN_SITE = "unknown_site"
    SITE_DISABLED = "site_disabled"
    ORIGIN_REFUSED = "origin_refused"
    RATE_LIMITED = "rate_limited"
    BOT = "bot"
    NO_CONSENT = "no_consent"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNSTORABLE = "unstorable"
    OVER_QUOTA = "over_quota"


class Drop(msgspec.Struct, frozen=True):
    """An event that will not be stored, and why. A value, not an exception: it is counted like any other."""

    reason: Reason
    detail: str | None = None


class Site(msgspec.Struct, frozen=True):
    """What the ingest doors must know of a site."""

    id: UUID
    public_id: str
    domain: str
    time_zone: str
    region: str
    currency: str
    consent_mode: str
    attribution_window_days: int
    disabled: bool
    origins: frozenset[str]
    # what stands around the star of an origin that covers all subdomains: ("https://", ".example.com")
    wildcards: tuple[tuple[str, str], ...] = ()
    bots: frozenset[str] = frozenset()  # automatic visitors that are let in, by name
    rate_per_minute: int | None = None  # for one client; None: as the installation has it
    over_quota: bool = False  # past its hard cap: only leads are taken
    keep_ip: bool = True

    def admits(self, origin: str) -> bool:
        """Whether a browser may post for this site from there."""
        return origin in self.origins or (bool(self.wildcards) and self.origin_entry(origin) is not None)

    def origin_entry(self, origin: str) -> str | None:
        """The origin of the site's list that this one falls under: itself, or one with a star."""
        if origin in self.origins:
            return origin
        for start, end in self.wildcards:
            name = origin[len(start) : -len(end)]
            if name and origin.startswith(start) and origin.endswith(end) and _SUBDOMAIN.fullmatch(name):
                return f"{start}*{end}"
        return None


class Arrival(msgspec.Struct, gc=False):
    """One request at a door: what its events have in common."""

    door: str
    site: Site | None
    origin: str | None
    ip: str
    user_agent: str
    received_ms: int
    # Only history that is written afterwards (demo, imports) sets this: live events take the database's clock.
    received_at: datetime | None = None
    place: Any = None
    sent_ms: int | None = None
    tracker: str | None = None
    first_generation: bool = False


class Intent(msgspec.Struct, gc=False):
    """A tap on a phone or WhatsApp link, or a form sent: a lead that waits for a decision."""

    action: str  # phone, whatsapp, form
    source: str  # click, form
    target: str
    number: str | None
    stamp: str
    click_id: str | None = None
    click_id_kind: str | None = None


class Event(msgspec.Struct, gc=False):
    """One thing that happened on a site, on its way through the pipeline. Steps fill in what they find."""

    arrival: Arrival
    id: UUID
    session_id: UUID | None
    session_text: str | None
    client_ms: int | None
    category: str
    action: str
    label: str | None
    value: float | None
    url: str
    referrer: str | None
    visitor: str | None
    meta: dict[str, Any] | None
    raw: bytes
    flags: list[str]
    # what the tracker remembered of the last ad click: ids, landing page and referrer, and when
    click_ids: tuple[str | None, str | None, str | None] | None = None
    click_url: str | None = None
    click_referrer: str | None = None
    click_ms: int | None = None
    stamp: str | None = None
    # running totals: scroll percent, CTA hovers, seconds of form focus, seconds of visible time
    pulse: tuple[int, int, int, int] = (0, 0, 0, 0)
    environment: tuple[Any, ...] | None = None
    consent: tuple[bool | None, bool | None] | None = None
    # for events without an id of their own: the ids of the same body in the windows before and after, and the
    # windows' length (two bodies may be written in another order than they came in)
    near_ids: tuple[UUID, UUID] | None = None
    repeat_sec: int | None = None
    # put by the pipeline
    is_pulse: bool = False
    occurred_ms: int = 0
    key: int = 0
    device: Any = None
    place: Any = None
    address: str | None = None  # the network that it came from, where the site keeps it
    campaign: Any = None
    fresh_campaign: bool = False
    referrer_host: str | None = None
    origin_source: Any = None
    assisted_source: Any = None
    intent: Intent | None = None


def order_key(milliseconds: int, identity: UUID) -> int:
    """A number that sorts events by time, and events of the same millisecond by their id."""
    return max(milliseconds - KEY_EPOCH_MS, 0) << KEY_TIE_BITS | (identity.int & 0x1FFFFF)


def new_id() -> UUID:
    """A UUID version 7: its first 48 bits are the time, so rows made together lie together."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80 | random
    return UUID(int=(value & ~(0xF << 76) & ~(0x3 << 62)) | 0x7 << 76 | 0x2 << 62)
