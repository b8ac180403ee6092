"""The rows that lists are made of: a lead, the visit that it came from, and what became of its conversion.

Made from records of the view ``lead_rows`` and of ``sessions``. ``None`` is "not known", never a guess. Times are
aware, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

Risk = Literal["no_click_id", "short_visit", "few_events", "organic"]
# What the first generation warned of: no way to report the lead, a visit of a glance, a visit of a single act.
SHORT_VISIT_SECONDS: Final = 3
FEW_EVENTS: Final = 1


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One visit. Heartbeats count in its duration and activity, and nowhere else."""

    id: UUID
    created_at: datetime
    started_at: datetime
    last_event_at: datetime
    total_duration_sec: int
    event_count: int
    view_count: int
    conversion_count: int
    intent_count: int
    max_scroll_percentage: int
    cta_hover_count: int
    form_focus_duration: int
    total_active_seconds: int
    previous_visit_count: int
    is_returning: bool
    fingerprint: str | None
    entry_page: str | None
    exit_page: str | None
    referrer_host: str | None
    device_type: str | None
    device_os: str | None
    browser: str | None
    browser_language: str | None
    time_zone: str | None
    country: str | None
    city: str | None
    district: str | None
    place_source: str | None
    telco_carrier: str | None
    isp_asn: str | None
    is_proxy_detected: bool
    device_memory: float | None
    hardware_concurrency: int | None
    screen_width: int | None
    screen_height: int | None
    pixel_ratio: float | None
    gpu_renderer: str | None
    connection_type: str | None
    gclid: str | None
    wbraid: str | None
    gbraid: str | None
    has_click_id: bool
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_term: str | None
    utm_content: str | None
    matchtype: str | None
    ads_network: str | None
    ads_placement: str | None
    attribution_source: str
    channel: str
    is_paid: bool


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """The lead's row of the ledger: what is reported to the ad platform, and how far that has come."""

    state: str
    reason: str | None
    due_at: datetime
    sent_at: datetime | None
    updated_at: datetime
    value: Decimal | None
    currency: str


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One lead: a tap on a phone or WhatsApp link, a form sent, a call reported. Repeated taps are one lead."""

    id: UUID
    created_at: datetime
    occurred_at: datetime
    updated_at: datetime
    status: str
    version: int
    is_automatic: bool
    stage: str | None
    quality: int | None
    note: str | None
    junk_reason: str | None
    suspicion: list[str]
    decided_at: datetime | None
    decided_by: UUID | None
    captured_by: str
    action: str | None
    target: str | None
    stamp: str | None
    phone_number: str | None
    page_url: str | None
    visitor: str | None
    lead_score: int
    score_parts: dict[str, int]
    click_id: str | None
    click_id_kind: str | None
    has_click_id: bool
    is_paid: bool
    sale_amount: Decimal | None
    sale_at: datetime | None
    estimated_value: Decimal | None
    currency: str
    tap_count: int
    risks: list[Risk]
    session: Session | None
    conversion: Conversion | None


class VisitLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead of a visit, as far as a list of visits tells of it. A repeated tap is none of its own."""

    id: UUID
    occurred_at: datetime
    action: str | None
    captured_by: str
    status: str
    lead_score: int


_SESSION: Final = Session.__struct_fields__
# In the view the visit's columns go by their own names, but for those that the lead has too.
_OF_LEAD: Final = {
    "id": "session_id", "created_at": "session_created_at", "started_at": "session_started_at",
    "last_event_at": "session_last_event_at", "has_click_id": "session_has_click_id", "is_paid": "session_is_paid",
}  # fmt: skip
_FROM_LEAD: Final = tuple((field, _OF_LEAD.get(field, field)) for field in _SESSION)
_MADE: Final = {"suspicion", "score_parts", "risks", "session", "conversion"}
_INTENT: Final = tuple(field for field in Intent.__struct_fields__ if field not in _MADE)
_CONVERSION: Final = tuple((field, f"conversion_{field}") for field in Conversion.__struct_fields__)


def session_of(record: Mapping[str, Any]) -> Session:
    """A visit from a record of ``sessions``, whatever else is in it."""
    return Session(**{field: record[field] for field in _SESSION})


def intent_of(record: Mapping[str, Any]) -> Intent:
    """A lead from a record of ``lead_rows``."""
    session = conversion = None
    if record["session_created_at"] is not None:
        session = Session(**{field: record[column] for field, column in _FROM_LEAD})
    if record["conversion_state"] is not None:
        conversion = Conversion(**{field: record[column] for field, column in _CONVERSION})
    return Intent(
        **{field: record[field] for field in _INTENT},
        suspicion=record["suspicion"] or [],
        score_parts=score_parts(record["score_breakdown"]),
        risks=risks(record["has_click_id"], session),
        session=session,
        conversion=conversion,
    )


def visit_leads(found: Any) -> list[VisitLead]:
    """The leads of a visit from the JSON that a statement gathered them in, oldest first."""
    return msgspec.convert(found or [], list[VisitLead])


def score_parts(breakdown: Any) -> dict[str, int]:
    """What the score is made of, without the parts that gave nothing."""
    pairs = breakdown.items() if isinstance(breakdown, dict) else breakdown or ()
    return {str(name): points for name, points in pairs if type(points) is int and points}


def risks(has_click_id: bool, session: Session | None) -> list[Risk]:
    """Why this lead may be none, or cannot be reported; what is not known is no reason."""
    found: list[Risk] = [] if has_click_id else ["no_click_id"]
    if session is not None:
        if session.total_duration_sec <= SHORT_VISIT_SECONDS:
            found.append("short_visit")
        if session.event_count <= FEW_EVENTS:
            found.append("few_events")
        if "organic" in session.attribution_source.lower():
            found.append("organic")
    return found
