"""What a visit of the first generation is here: pure, one row of ``sessions`` from its rows and its events there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import msgspec

from opsmantik.attribution.click_ids import EMPTY, Campaign, clean_click_id, read_url
from opsmantik.attribution.referrer import host_of
from opsmantik.attribution.source import RULES, RULES_VERSION, Evidence, attribute
from opsmantik.event import KEY_RANK_SHIFT, order_key
from opsmantik.sessions.place import truncate_ip

LABELS: Final = frozenset(rule.label for rule in RULES)
"""The words for a source that mean something here; what was shown in these words is shown on."""
RULE: Final = "adopted"
"""The rule of a source that the first generation found."""
_LONGEST: Final = 86_400
"""A visit of more seconds than this is a clock that jumped."""
_MOST: Final = 2**31 - 1
_NOWHERE: Final = frozenset({"", "unknown", "null", "none"})
_DEVICES: Final = frozenset({"desktop", "mobile", "tablet", "unknown"})
_encode = msgspec.json.Encoder().encode


class OldVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``sessions`` there, as far as it is taken over; what is missing is not known."""

    created_month: date
    created_at: datetime | None = None
    ip_address: str | None = None
    entry_page: str | None = None
    exit_page: str | None = None
    gclid: str | None = None
    wbraid: str | None = None
    gbraid: str | None = None
    total_duration_sec: int | None = None
    attribution_source: str | None = None
    device_type: str | None = None
    city: str | None = None
    district: str | None = None
    fingerprint: str | None = None
    utm_term: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_content: str | None = None
    matchtype: str | None = None
    ads_network: str | None = None
    ads_placement: str | None = None
    device_os: str | None = None
    telco_carrier: str | None = None
    browser: str | None = None
    browser_language: str | None = None
    gpu_renderer: str | None = None
    connection_type: str | None = None
    referrer_host: str | None = None
    isp_asn: str | None = None
    device_memory: int | None = None
    hardware_concurrency: int | None = None
    screen_width: int | None = None
    screen_height: int | None = None
    pixel_ratio: float | None = None
    is_returning: bool | None = None
    is_proxy_detected: bool | None = None
    max_scroll_percentage: int | None = None
    cta_hover_count: int | None = None
    form_focus_duration: int | None = None
    total_active_seconds: int | None = None
    previous_visit_count: int | None = None


class First(msgspec.Struct, frozen=True):
    """What its first event says."""

    url: str | None = None
    referrer: str | None = None
    agent: str | None = None
    fingerprint: str | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What its events and leads say of a visit."""

    first_at: datetime | None = None
    last_at: datetime | None = None
    events: int = 0
    views: int = 0
    conversions: int = 0
    taps: int = 0
    first: First = First()


COLUMNS: Final = (
    "site_id", "created_month", "id", "created_at", "started_at", "last_event_at", "total_duration_sec",
    "event_count", "view_count",
    "conversion_count", "intent_count", "max_scroll_percentage", "cta_hover_count", "form_focus_duration",
    "total_active_seconds", "previous_visit_count", "is_returning", "fingerprint", "first_key", "entry_page",
    "referrer",
    "referrer_host", "ip_address", "user_agent", "device_type", "device_os", "browser", "city", "district",
    "telco_carrier",
    "isp_asn", "is_proxy_detected", "exit_key", "exit_page", "env_key", "browser_language", "device_memory",
    "hardware_concurrency", "screen_width", "screen_height", "pixel_ratio", "gpu_renderer", "connection_type",
    "click_key",
    "click_at", "gclid", "wbraid", "gbraid", "has_click_id", "utm_key", "utm_source", "utm_medium", "utm_campaign",
    "utm_term", "utm_content", "matchtype", "ads_network", "ads_placement", "source_key", "attribution_source",
    "channel",
    "is_paid", "attribution",
)  # fmt: skip


class Visit(msgspec.Struct, frozen=True):
    """A row to write: its values in the order of :data:`COLUMNS`; ``was_at``: when its rows there began."""

    row: tuple[Any, ...]
    was_at: tuple[datetime, ...]

    @property
    def site_id(self) -> UUID:
        found: UUID = self.row[0]
        return found

    @property
    def month(self) -> date:
        found: date = self.row[1]
        return found

    @property
    def id(self) -> UUID:
        found: UUID = self.row[2]
        return found

    @property
    def created_at(self) -> datetime:
        found: datetime = self.row[3]
        return found


def visit(
    site_id: UUID,
    session_id: UUID,
    rows: Sequence[OldVisit],
    facts: Facts,
    *,
    domain: str,
    keeps_ip: bool = True,
) -> Visit:
    """The visit that these rows of one id on one site are together; none: it is made of its events alone."""
    rows = sorted(rows, key=_began)
    was_at = tuple(_began(row) for row in rows)
    created_at = was_at[0] if was_at else facts.first_at
    assert created_at is not None, "a visit has a row or an event"
    if facts.first_at is not None and facts.first_at < _month_start(created_at):
        created_at = facts.first_at
    first, old = facts.first, _joined(rows)
    started_at = min(created_at, facts.first_at or created_at)
    duration = min(max(old.total_duration_sec or 0, 0), _LONGEST)
    last_at = max(created_at, facts.last_at or created_at, started_at + timedelta(seconds=duration))
    key = order_key(_milliseconds(started_at), session_id)
    agent, environment = first.agent[:400] if first.agent else None, _environment(old)
    campaign, host = (
        _campaign(old, first),
        old.referrer_host or (host_of(first.referrer) if first.referrer else None),
    )
    utm = (
        campaign.utm_source, campaign.utm_medium, campaign.utm_campaign, campaign.utm_term, campaign.utm_content,
        campaign.matchtype, campaign.network, campaign.placement,
    )  # fmt: skip
    # Of several click ids one is left empty as often as not; none of them is told apart by time here.
    row = (
        site_id, _month_start(created_at).date(), session_id, created_at, started_at, last_at,
        int((last_at - started_at).total_seconds()),
        facts.events, facts.views, facts.conversions, facts.taps, _most(old.max_scroll_percentage, 100),
        _most(old.cta_hover_count), _most(old.form_focus_duration), _most(old.total_active_seconds),
        _most(old.previous_visit_count), bool(old.is_returning), _cut(old.fingerprint or first.fingerprint, 64), key,
        old.entry_page or first.url, first.referrer, host,
        truncate_ip(old.ip_address.partition("/")[0]) if old.ip_address and keeps_ip else None, agent,
        _device(old.device_type), old.device_os, old.browser, _place(old.city), _place(old.district),
        old.telco_carrier,
        old.isp_asn, bool(old.is_proxy_detected), order_key(_milliseconds(last_at), session_id),
        old.exit_page or old.entry_page or first.url,
        key if any(value is not None for value in environment) else None, *environment,
        key if campaign.has_click_id else None, started_at if campaign.has_click_id else None,
        campaign.gclid, campaign.wbraid, campaign.gbraid, campaign.has_click_id,
        key if any(value is not None for value in utm) else None, *utm, *_source(old, campaign, host, domain, key),
    )  # fmt: skip
    return Visit(row, was_at)


def _source(old: OldVisit, campaign: Campaign, host: str | None, domain: str, key: int) -> tuple[Any, ...]:
    """What was shown stays shown where it is a word of ours; whether an ad was paid for is said by our own ladder."""
    shown = (old.attribution_source or "").strip()
    assisted = shown == "Ads Assisted"
    found = attribute(Evidence(campaign, host, domain, earlier_ad_click=assisted))
    rank = 0 if campaign.has_campaign else 2 if found.rule == "direct" else 1
    evidence = {"attribution_source": shown, "ladder": found.rule, **found.evidence}
    ids = [(name, getattr(old, name)) for name in ("gclid", "wbraid", "gbraid")]
    refused = {name: value for name, value in ids if value and not getattr(campaign, name)}
    explained = _encode(
        {"rule": RULE, "evidence": evidence | refused, "losers": found.losers, "version": RULES_VERSION}
    )
    label = shown if shown in LABELS else found.label
    return (rank << KEY_RANK_SHIFT | key, label, found.channel, found.paid, explained)


def _campaign(old: OldVisit, first: First) -> Campaign:
    """From the row's own columns; for a visit that has no row from its first page."""
    if old is _NOTHING:
        return read_url(first.url) if first.url else EMPTY
    found = {
        "gclid": clean_click_id(old.gclid), "wbraid": clean_click_id(old.wbraid),
        "gbraid": clean_click_id(old.gbraid),
        "utm_source": _text(old.utm_source), "utm_medium": _text(old.utm_medium),
        "utm_campaign": _text(old.utm_campaign),
        "utm_term": _text(old.utm_term), "utm_content": _text(old.utm_content), "matchtype": _text(old.matchtype),
        "network": _text(old.ads_network), "placement": _text(old.ads_placement),
    }  # fmt: skip
    return Campaign(**found) if any(found.values()) else EMPTY


def _environment(old: OldVisit) -> tuple[Any, ...]:
    return (
        old.browser_language, _real(old.device_memory), _whole(old.hardware_concurrency), _whole(old.screen_width),
        _whole(old.screen_height), _real(old.pixel_ratio), old.gpu_renderer, old.connection_type,
    )  # fmt: skip


_NOTHING: Final = OldVisit(created_month=date(2020, 1, 1))
_GROWING: Final = frozenset({
    "max_scroll_percentage", "cta_hover_count", "form_focus_duration", "total_active_seconds", "total_duration_sec",
})  # fmt: skip


def _joined(rows: Sequence[OldVisit]) -> OldVisit:
    """Several rows as one: the first that says something has the say; what only grows is as large as the largest."""
    if len(rows) < 2:
        return rows[0] if rows else _NOTHING
    values: dict[str, Any] = {}
    for name in OldVisit.__struct_fields__:
        known = [value for row in rows if (value := getattr(row, name)) is not None]
        if known:
            values[name] = max(known) if name in _GROWING else known[0]
    values["exit_page"] = next((row.exit_page for row in reversed(rows) if row.exit_page), None)
    return OldVisit(**values)


def _began(row: OldVisit) -> datetime:
    return row.created_at or datetime(row.created_month.year, row.created_month.month, 1, tzinfo=UTC)


def _month_start(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _most(number: int | None, most: int = _MOST) -> int:
    return min(max(number or 0, 0), most)


def _whole(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= _MOST else None


def _real(number: float | None) -> float | None:
    return number if number is not None and 0 <= number < 1e6 else None


def _cut(text: str | None, longest: int) -> str | None:
    return text[:longest] or None if text else None


def _text(text: str | None) -> str | None:
    return text.strip()[:256] or None if text else None


def _device(word: str | None) -> str | None:
    lowered = (word or "").strip().lower()
    return lowered if lowered in _DEVICES else None


@lru_cache(maxsize=4096)
def _place(name: str | None) -> str | None:
    """A name without what an edge had encoded and nobody decoded."""
    plain = unquote(name).strip()[:100] if name else ""
    return None if plain.lower() in _NOWHERE else plain
