"""The first generation's calls that answer rows, as translations of the contracts.

The keys, and the words in them, are that generation's. What a row is, and which rows there are, is the contracts' word.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.clock import Period, Range
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.lead_list import LeadEntry, lead_list
from opsmantik.dashboard.cards.recent_intents import RecentIntents, recent_intents
from opsmantik.dashboard.cards.session_details import session_details
from opsmantik.dashboard.cards.session_timeline import session_timeline
from opsmantik.dashboard.cards.visitor_sessions import visitor_sessions
from opsmantik.dashboard.procedures import ADS, SITE, SITE_RANGE_ADS, Argument, Procedure
from opsmantik.dashboard.rows import Intent, Session
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.intents.status import SEALED, WAITING, from_first_generation, to_first_generation

MOST_ROWS: Final = 10_000
_PAGE: Final = 1_000
_DAY: Final = timedelta(days=1)


class RecentIntentV1(msgspec.Struct, frozen=True, kw_only=True):
    """A row of get_recent_intents_v1."""

    id: UUID
    created_at: datetime
    intent_action: str | None
    intent_target: str | None
    intent_stamp: str | None
    intent_page_url: str | None
    matched_session_id: UUID | None
    lead_score: int
    status: str
    click_id: str | None
    oci_status: str | None
    oci_status_updated_at: datetime | None
    oci_uploaded_at: datetime | None
    oci_batch_id: str | None
    oci_error: str | None
    attribution_source: str | None
    gclid: str | None
    wbraid: str | None
    gbraid: str | None
    total_duration_sec: int | None
    event_count: int | None
    oci_matchable: bool
    risk_reasons: list[str]
    risk_level: str
    oci_stage: str


class RecentIntentV2(RecentIntentV1, frozen=True, kw_only=True):
    """A row of get_recent_intents_v2."""

    estimated_value: Decimal | None
    page_url: str | None
    currency: str
    utm_term: str | None
    utm_campaign: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_content: str | None
    matchtype: str | None
    ads_network: str | None
    ads_placement: str | None
    device_type: str | None
    device_os: str | None
    browser: str | None
    browser_language: str | None
    device_memory: float | None
    hardware_concurrency: int | None
    screen_width: int | None
    screen_height: int | None
    pixel_ratio: float | None
    gpu_renderer: str | None
    connection_type: str | None
    max_scroll_percentage: int | None
    cta_hover_count: int | None
    form_focus_duration: int | None
    total_active_seconds: int | None
    engagement_score: int | None
    is_returning: bool | None
    visitor_rank: str | None
    previous_visit_count: int
    referrer_host: str | None
    city: str | None
    district: str | None
    telco_carrier: str | None
    isp_asn: str | None
    is_proxy_detected: bool
    ai_score: int | None
    ai_summary: str | None
    ai_tags: list[str] | None


_OCI_STATUS: Final = {
    "held": "sealed", "queued": "sealed", "sent": "uploading", "accepted": "uploaded", "matched": "uploaded",
    "failed": "failed", "skipped": "skipped",
}  # fmt: skip
_REASONS_V1: Final = {
    "no_click_id": "High Risk: Click ID yok (GCLID/WBRAID/GBRAID bulunamadı)",
    "short_visit": "High Risk: Sitede 3 saniye (veya daha az) kaldı",
    "few_events": "High Risk: Tek etkileşim (event_count<=1)",
    "organic": "High Risk: Attribution Organic görünüyor",
}
_REASONS_V2: Final = {
    "no_click_id": "High Risk: Click ID yok",
    "short_visit": "High Risk: 3sn altı kalış",
    "few_events": "High Risk: Düşük etkileşim",
    "organic": "High Risk: Organic trafik",
}
_HIGH_RISK: Final = {"no_click_id", "short_visit", "few_events"}
_OF_SESSION: Final = tuple(
    field for field in RecentIntentV2.__struct_fields__ if field in set(Session.__struct_fields__) - {"id", "created_at"}
)  # fmt: skip


def _lead(lead: Intent, reasons: dict[str, str]) -> dict[str, Any]:
    """What both versions say of a lead, and of its visit."""
    conversion = lead.conversion
    oci_status = _OCI_STATUS.get(conversion.state) if conversion else None
    stage = "pending"
    if lead.status in SEALED:
        uploaded = oci_status == "uploaded"
        stage = ("matched" if lead.has_click_id else "uploaded") if uploaded else "sealed"
    session = {field: getattr(lead.session, field, None) for field in _OF_SESSION}
    return session | {
        "id": lead.id,
        "created_at": lead.created_at,
        "intent_action": lead.action,
        "intent_target": lead.target,
        "intent_stamp": lead.stamp,
        "intent_page_url": lead.page_url,
        "matched_session_id": lead.session.id if lead.session else None,
        "lead_score": lead.lead_score,
        "status": to_first_generation(lead.status),
        "click_id": lead.click_id,
        "oci_status": oci_status,
        "oci_status_updated_at": conversion.updated_at if conversion else None,
        "oci_uploaded_at": conversion.sent_at if conversion and oci_status == "uploaded" else None,
        "oci_batch_id": None,
        "oci_error": conversion.reason if conversion and oci_status in ("failed", "skipped") else None,
        "oci_matchable": lead.has_click_id,
        "risk_reasons": [reasons[risk] for risk in lead.risks],
        "risk_level": "high" if _HIGH_RISK & set(lead.risks) else "low",
        "oci_stage": stage,
    }


def _row_v1(lead: Intent) -> RecentIntentV1:
    known = _lead(lead, _REASONS_V1)
    return RecentIntentV1(**{field: known[field] for field in RecentIntentV1.__struct_fields__})


def _row_v2(lead: Intent, site: AskedSite) -> RecentIntentV2:
    known = _lead(lead, _REASONS_V2)
    page = lead.page_url or (lead.session.entry_page if lead.session else None)
    known |= {
        "intent_page_url": page,
        "page_url": page,
        "click_id": lead.click_id or known["gclid"] or known["wbraid"] or known["gbraid"],
        "currency": site.currency,
        "estimated_value": lead.estimated_value,
        "previous_visit_count": known["previous_visit_count"] or 0,
        "is_proxy_detected": bool(known["is_proxy_detected"]),
        # Nothing writes these here: they are there for dashboards that read them, and empty.
        **dict.fromkeys(("engagement_score", "visitor_rank", "ai_score", "ai_summary", "ai_tags")),
    }
    return RecentIntentV2(**known)


async def _taps(
    connection: Any, site: AskedSite, asked: Period | Range, ads_only: bool, rows: int
) -> RecentIntents:
    rows = min(max(rows, 1), 500)
    return await recent_intents(connection, site, asked, ads_only=ads_only, captured_by=["click"], limit=rows)


async def get_recent_intents_v2(
    connection: Any, site: AskedSite, asked: Period, *, limit: int, ads_only: bool
) -> list[RecentIntentV2]:
    """Taps of the range, newest first; at least one row and at most 500 are answered."""
    page = await _taps(connection, site, asked, ads_only, limit)
    return [_row_v2(lead, site) for lead in page.items]


async def get_recent_intents_v1(
    connection: Any,
    site: AskedSite,
    *,
    since: datetime | None,
    minutes_lookback: int,
    limit: int,
    ads_only: bool,
) -> list[RecentIntentV1]:
    """Taps since then, without an end: the newest that there are."""
    now: datetime = await connection.fetchval("SELECT now()")
    start = since or now - timedelta(minutes=min(max(minutes_lookback, 1), 1440))
    page = await _taps(connection, site, Range(start, max(start, now) + _DAY), ads_only, limit)
    return [_row_v1(lead) for lead in page.items]


class DashboardIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A row of get_dashboard_intents."""

    id: str
    type: str
    timestamp: datetime
    status: str
    sealed_at: datetime | None
    page_url: str
    city: str | None
    district: str | None
    device_type: str | None
    matched_session_id: UUID | None
    confidence_score: Decimal
    phone_number: str | None
    event_category: str | None
    event_action: str | None


def _entry(entry: LeadEntry) -> DashboardIntent:
    is_call = entry.type == "call"
    return DashboardIntent(
        id=str(entry.id) if is_call else f"conv-{entry.id}",
        type=entry.type,
        timestamp=entry.created_at,
        status=to_first_generation(entry.status) if entry.status else "confirmed",
        sealed_at=entry.decided_at if is_call else entry.created_at,
        page_url=entry.page_url or "",
        city=entry.city,
        district=entry.district,
        device_type=entry.device_type,
        matched_session_id=entry.session_id,
        confidence_score=entry.score,
        phone_number=entry.phone_number,
        event_category=entry.event_category,
        event_action=entry.event_action,
    )


def _statuses(asked: str | None) -> list[str] | None:
    """The statuses that the first generation's word stands for; none for a word that it did not have."""
    if asked is None:
        return None
    if asked in ("pending", "sealed"):
        return list(WAITING if asked == "pending" else SEALED)
    try:
        status, _ = from_first_generation(asked)
    except KeyError:
        return []
    return list(next((group for group in (WAITING, SEALED) if status in group), (status,)))


async def get_dashboard_intents(
    connection: Any, site: AskedSite, asked: Period, *, status: str | None, search: str | None, ads_only: bool
) -> list[DashboardIntent]:
    """Everything of the range, page by page. Raises :class:`~opsmantik.errors.Unprocessable` where that is too much."""
    statuses = _statuses(status)
    if statuses == []:
        return []
    rows: list[DashboardIntent] = []
    cursor = None
    while True:
        page = await lead_list(
            connection, site, asked, ads_only=ads_only, status=statuses, q=search, limit=_PAGE, cursor=cursor,
            events=status in (None, "sealed"),
        )  # fmt: skip
        rows += [_entry(entry) for entry in page.items]
        if page.next_cursor is None:
            return rows
        if len(rows) >= MOST_ROWS:
            raise Unprocessable(reason=f"it would answer more than {MOST_ROWS} rows; ask for a shorter range")
        cursor = paging.read(page.next_cursor)


class FirstSession(msgspec.Struct, frozen=True, kw_only=True):
    """The row of get_session_details."""

    id: UUID
    site_id: UUID
    created_at: datetime
    created_month: date
    city: str | None
    district: str | None
    device_type: str | None
    attribution_source: str
    gclid: str | None
    fingerprint: str | None


async def get_session_details(connection: Any, site: AskedSite, *, session_id: UUID) -> list[FirstSession]:
    """One row for a paid visit of the site, else none."""
    try:
        found = await session_details(connection, site, session_id=session_id)
    except NotFound:
        return []
    visit = found.session
    if not visit.is_paid:
        return []
    known = {
        field: getattr(visit, field) for field in FirstSession.__struct_fields__ if hasattr(visit, field)
    }
    return [FirstSession(**known, site_id=site.id, created_month=found.created_month)]


class FirstHappening(msgspec.Struct, frozen=True, kw_only=True):
    """A row of get_session_timeline."""

    id: UUID
    created_at: datetime
    event_category: str
    event_action: str
    event_label: str | None
    url: str | None
    metadata: dict[str, Any]


async def get_session_timeline(
    connection: Any, site: AskedSite, *, session_id: UUID, limit: int
) -> list[FirstHappening]:
    """The events of a paid visit, latest first; of any other none."""
    rows = min(max(limit, 1), 500)
    try:
        page = await session_timeline(connection, site, session_id=session_id, limit=rows)
    except NotFound:
        return []
    return [
        FirstHappening(
            id=event.id, created_at=event.occurred_at, event_category=event.event_category,
            event_action=event.event_action, event_label=event.event_label, url=event.url,
            metadata=event.metadata or {},
        )
        for event in page.items if page.is_paid
    ]  # fmt: skip


class FirstVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A row of get_sessions_by_fingerprint."""

    id: UUID
    created_at: datetime
    attribution_source: str
    device_type: str | None
    city: str | None
    lead_score: int


async def get_sessions_by_fingerprint(
    connection: Any, site: AskedSite, *, fingerprint: str, limit: int
) -> list[FirstVisit]:
    """The visitor's paid visits, newest first."""
    if not fingerprint:
        return []
    page = await visitor_sessions(
        connection, site, visitor=fingerprint, ads_only=True, limit=min(max(limit, 1), 50)
    )
    return [
        FirstVisit(
            id=visit.session.id, created_at=visit.session.created_at,
            attribution_source=visit.session.attribution_source, device_type=visit.session.device_type,
            city=visit.session.city, lead_score=visit.lead_score or 0,
        )
        for visit in page.items
    ]  # fmt: skip


_SESSION: Final = Argument("p_session_id", "uuid", description="The visit's id.")


def _limit(default: int, most: int) -> Argument:
    return Argument(
        "p_limit", "integer", default, f"Rows, 1 to {most}; numbers beyond are taken as the nearest."
    )


PROCEDURES: Final = (
    Procedure(
        name="get_recent_intents_v2", contract="recent_intents", call=get_recent_intents_v2, answer=list[RecentIntentV2],
        summary="Taps of a range with their visits, newest first",
        arguments=(*SITE_RANGE_ADS, _limit(200, 500)),
    ),
    Procedure(
        name="get_recent_intents_v1", contract="recent_intents", call=get_recent_intents_v1, answer=list[RecentIntentV1],
        summary="The newest taps", successor="get_recent_intents_v2",
        arguments=(
            SITE,
            Argument("p_since", "instant", None, "Since when; without it by p_minutes_lookback."),
            Argument("p_minutes_lookback", "integer", 60, "Minutes back from now, 1 to 1440."),
            _limit(200, 500),
            ADS,
        ),
    ),
    Procedure(
        name="get_dashboard_intents", contract="lead_list", call=get_dashboard_intents, answer=list[DashboardIntent],
        summary="Leads of every kind and conversion events, newest first",
        arguments=(
            *SITE_RANGE_ADS,
            Argument("p_status", "text", None, "pending, sealed, or a status."),
            Argument("p_search", "text", None, "A part of the page's address, in any case."),
        ),
    ),
    Procedure(
        name="get_session_details", contract="session_details", call=get_session_details, answer=list[FirstSession],
        summary="One paid visit", arguments=(SITE, _SESSION),
    ),
    Procedure(
        name="get_session_timeline", contract="session_timeline", call=get_session_timeline, answer=list[FirstHappening],
        summary="The events of one paid visit, latest first", arguments=(SITE, _SESSION, _limit(100, 500)),
    ),
    Procedure(
        name="get_sessions_by_fingerprint", contract="visitor_sessions", call=get_sessions_by_fingerprint,
        answer=list[FirstVisit], summary="A visitor's paid visits, newest first",
        arguments=(SITE, Argument("p_fingerprint", "text", description="The visitor's id."), _limit(20, 50)),
    ),
)  # fmt: skip
