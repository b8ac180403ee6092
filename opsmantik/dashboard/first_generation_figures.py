"""The first generation's calls that answer figures, as translations of the contracts.

The keys, and how many decimals a number has, are that generation's. What is counted is the contracts' word; where that
is no longer what a call used to say, the list of contracts says so, and why. Each translation is a function of the
contract's answer alone; the ``get_`` functions ask the contract for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik import clock
from opsmantik.clock import Period
from opsmantik.dashboard.asked import AskedSite, Over
from opsmantik.dashboard.cards.breakdown import Breakdown, Row, breakdown
from opsmantik.dashboard.cards.command_centre import CommandCentre, LeadCount, command_centre
from opsmantik.dashboard.cards.timeline import Bucket, Timeline, timeline
from opsmantik.dashboard.cards.watchdog import Watchdog, watchdog
from opsmantik.dashboard.figures import ratio, rounded
from opsmantik.dashboard.procedures import ADS, FROM, SITE, SITE_RANGE_ADS, TO, Argument, Procedure
from opsmantik.errors import InvalidDimension
from opsmantik.intents.status import SEALED, WAITING

NONE: Final = Decimal(0)  # what there is nothing to divide by was written as 0, without decimals


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked."""

    site_id: UUID
    date_from: datetime
    date_to: datetime
    ads_only: bool


class P0StatsV1(Echo, frozen=True, kw_only=True):
    """The answer of get_command_center_p0_stats_v1."""

    queue_pending: int
    sealed: int
    junk: int
    auto_approved: int
    oci_uploaded: int
    oci_failed: int
    oci_matchable_sealed: int
    assumed_cpc: Decimal
    currency: str
    estimated_budget_saved: Decimal
    inbox_zero_now: bool


class P0StatsV2(P0StatsV1, frozen=True, kw_only=True):
    """The answer of get_command_center_p0_stats_v2."""

    total_leads: int
    gclid_leads: int
    projected_revenue: Decimal
    avg_scroll_depth: Decimal | None


def _echo(site_id: UUID, range: Over, ads_only: bool) -> dict[str, Any]:
    return {"site_id": site_id, "date_from": range.start, "date_to": range.end, "ads_only": ads_only}


def _taps(found: CommandCentre) -> list[LeadCount]:
    """The leads that taps made: "click" leads."""
    return [lead for lead in found.figures.leads_by if lead.captured_by == "click"]


def _count(leads: Iterable[LeadCount], *statuses: str) -> int:
    return sum(lead.leads for lead in leads if lead.status in statuses)


def p0_stats_v2(site_id: UUID, found: CommandCentre) -> P0StatsV2:
    """The command centre's tiles: what taps made."""
    taps, ledger = _taps(found), found.figures.ledger
    pending, junk = _count(taps, *WAITING), _count(taps, "junk")
    return P0StatsV2(
        **_echo(site_id, found.range, found.ads_only),
        queue_pending=pending,
        sealed=_count(taps, *SEALED),
        junk=junk,
        total_leads=sum(lead.leads for lead in taps),
        gclid_leads=sum(lead.leads_with_click_id for lead in taps),
        auto_approved=found.figures.auto_approved,
        oci_uploaded=ledger.uploaded,
        oci_failed=ledger.failed,
        oci_matchable_sealed=ledger.matchable,
        assumed_cpc=found.assumed_cpc,
        currency=found.currency,
        estimated_budget_saved=rounded(junk * found.assumed_cpc, 2),
        projected_revenue=sum((lead.sealed_amount for lead in taps), NONE),
        avg_scroll_depth=ratio(
            sum(lead.scroll_percent for lead in taps), sum(lead.scrolled for lead in taps), 1
        ),
        inbox_zero_now=pending == 0,
    )


def p0_stats_v1(site_id: UUID, found: CommandCentre) -> P0StatsV1:
    """The same without what v2 added."""
    newer = p0_stats_v2(site_id, found)
    return P0StatsV1(**{field: getattr(newer, field) for field in P0StatsV1.__struct_fields__})


class DashboardStats(Echo, frozen=True, kw_only=True):
    """The answer of get_dashboard_stats."""

    ads_sessions: int
    total_sessions: int
    high_intent: int
    total_calls: int
    phone_click_intents: int
    whatsapp_click_intents: int
    sealed: int
    confirmed_calls: int
    cvr: Decimal
    conversion_rate: Decimal
    total_events: int
    last_event_at: datetime | None
    forms: int
    forms_enabled: bool
    unique_visitors: int
    last_call_at: datetime | None


def dashboard_stats(site_id: UUID, found: CommandCentre) -> DashboardStats:
    """Traffic, what waits, and what was sealed however it was captured."""
    figures = found.figures
    waiting = [lead for lead in _taps(found) if lead.status in WAITING]
    high_intent, rate = _count(waiting, *WAITING), figures.conversion_rate
    return DashboardStats(
        **_echo(site_id, found.range, found.ads_only),
        ads_sessions=figures.sessions,
        total_sessions=figures.sessions,
        high_intent=high_intent,
        total_calls=high_intent,
        phone_click_intents=sum(lead.leads for lead in waiting if lead.action == "phone"),
        whatsapp_click_intents=sum(lead.leads for lead in waiting if lead.action == "whatsapp"),
        sealed=figures.sealed,
        confirmed_calls=figures.sealed,
        cvr=rate if rate is not None else NONE,
        conversion_rate=rate if rate is not None else NONE,
        total_events=figures.events,
        last_event_at=found.last_event_at,
        forms=figures.forms,
        forms_enabled=found.forms_enabled,
        unique_visitors=figures.visitors,
        last_call_at=found.last_lead_at,
    )


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket of get_dashboard_timeline."""

    date: str
    label: str
    visitors: int
    events: int
    calls: int
    intents: int
    conversions: int


def dashboard_timeline(found: Timeline) -> list[TimelineEntry]:
    """The buckets in which something happened; times as the database writes them, by the site's clock."""
    entries = [_entry(bucket, found) for bucket in found.buckets]
    return [entry for entry in entries if entry.visitors or entry.events or entry.calls or entry.conversions]


def _entry(bucket: Bucket, found: Timeline) -> TimelineEntry:
    start = bucket.start.astimezone(clock.zone(found.range.time_zone))
    offset = f"{start:%z}"
    return TimelineEntry(
        date=f"{start:%Y-%m-%d %H:%M:%S}{offset[:3]}" + (f":{offset[3:5]}" if offset[3:5] != "00" else ""),
        label=f"{start:%H:%M}" if found.granularity == "hour" else f"{start:%d/%m}",
        visitors=bucket.visitors,
        events=bucket.events,
        calls=bucket.leads,
        intents=bucket.waiting,
        conversions=bucket.conversion_events + bucket.sealed,
    )


class DimensionCount(msgspec.Struct, frozen=True, kw_only=True):
    """A row of get_dashboard_breakdown."""

    dimension_value: str
    count: int
    percentage: Decimal


def dashboard_breakdown(found: Breakdown) -> list[DimensionCount]:
    """Visits by the values of one dimension, all of them."""
    return [
        DimensionCount(dimension_value=name, count=count, percentage=_percent(count, found.total.sessions, 2))
        for name, count in _grouped(
            found.dimensions[0].rows, lambda row: row.value or "Unknown", _visits
        ).items()
    ]


class LabelCount(msgspec.Struct, frozen=True, kw_only=True):
    """A row of get_dashboard_breakdown_p4."""

    label: str
    count: int
    percentage: Decimal


class BreakdownP4(Echo, frozen=True, kw_only=True):
    """The answer of get_dashboard_breakdown_p4."""

    total_sessions: int
    sources: list[LabelCount]
    locations: list[LabelCount]
    devices: list[LabelCount]


def breakdown_p4(site_id: UUID, found: Breakdown, ads_only: bool) -> BreakdownP4:
    """From the breakdown of all traffic by source, place and device, all rows: here "ads" means a click id."""
    counted = _with_click_id if ads_only else _visits
    total = counted(found.total)
    source, place, device = (part.rows for part in found.dimensions)
    groups = (
        _top(_grouped(source, lambda row: row.value or "Unknown", counted), 5),
        _top(_grouped(place, _location, counted), 8),
        _grouped(device, _device_p4, counted),
    )
    sources, locations, devices = (
        [LabelCount(label=name, count=n, percentage=_percent(n, total, 2)) for name, n in group.items()]
        for group in groups
    )
    return BreakdownP4(
        **_echo(site_id, found.range, ads_only),
        total_sessions=total,
        sources=sources,
        locations=locations,
        devices=devices,
    )


class NameCount(msgspec.Struct, frozen=True, kw_only=True):
    """A row of get_dashboard_breakdown_v1."""

    name: str
    count: int
    pct: Decimal


class BreakdownV1(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of get_dashboard_breakdown_v1."""

    total_sessions: int
    sources: list[NameCount]
    locations: list[NameCount]
    devices: list[NameCount]


def breakdown_v1(found: Breakdown) -> BreakdownV1:
    """From the breakdown by source, place and device, all rows."""
    total = found.total.sessions
    source, place, device = (part.rows for part in found.dimensions)
    sources = _sources_v1(source)
    if found.ads_only:
        sources.setdefault("Other", 0)
    groups = (
        sources,
        _top(_grouped(place, _location, _visits), 8),
        _grouped(device, _device_v1, _visits),
    )
    rows = (
        [NameCount(name=name, count=n, pct=_percent(n, total, 1)) for name, n in group.items()]
        for group in groups
    )
    return BreakdownV1(
        **dict(zip(("sources", "locations", "devices"), rows, strict=True)), total_sessions=total
    )


def _visits(row: Any) -> int:
    sessions: int = row.sessions
    return sessions


def _with_click_id(row: Any) -> int:
    sessions: int = row.sessions_with_click_id
    return sessions


def _grouped(
    rows: Sequence[Row], name: Callable[[Row], str], counted: Callable[[Any], int]
) -> dict[str, int]:
    """Counts by name, the largest first, then by name; without those that are none."""
    groups: dict[str, int] = {}
    for row in rows:
        groups[name(row)] = groups.get(name(row), 0) + counted(row)
    return _sorted(groups)


def _sorted(groups: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(((name, n) for name, n in groups.items() if n), key=lambda pair: (-pair[1], pair[0])))


def _top(groups: Mapping[str, int], most: int) -> dict[str, int]:
    """The first so many, the rest as Other."""
    names = list(groups)
    top = {name: groups[name] for name in names[:most]}
    for name in names[most:]:
        top["Other"] = top.get("Other", 0) + groups[name]
    return _sorted(top)


def _percent(count: int, total: int, places: int) -> Decimal:
    return rounded(Decimal(100 * count) / total, places) if total else NONE


def _location(row: Row) -> str:
    return row.district or row.city or "Unknown"


def _device_p4(row: Row) -> str:
    device = (row.value or "").lower()
    if not device:
        return "Unknown"
    if any(word in device for word in ("mobile", "phone", "tablet")):
        return "Mobile"
    return "Desktop" if "desktop" in device else "Other"


def _device_v1(row: Row) -> str:
    device = (row.value or "").lower()
    if not device:
        return "Unknown"
    return "Mobile" if "mobile" in device else "Desktop" if "desktop" in device else "Other"


def _sources_v1(rows: Sequence[Row]) -> dict[str, int]:
    groups: dict[str, int] = {}
    for row in rows:
        label = (row.value or "").lower()
        if "paid social" in label or "organic" in label:
            named = {"Paid Social" if "paid social" in label else "Organic": row.sessions}
        else:
            rest = "Direct/Unknown" if label in ("", "direct") else "Other"
            named = {"Google Ads": row.paid_sessions, rest: row.sessions - row.paid_sessions}
        for name, n in named.items():
            groups[name] = groups.get(name, 0) + n
    return _sorted(groups)


class IntentRatio(Echo, frozen=True, kw_only=True):
    """The answer of get_intent_ratio_watchdog."""

    phone_events_anycat_ads_only: int
    click_intents_ads_only: int
    ratio: Decimal | None


def intent_ratio(site_id: UUID, found: Watchdog) -> IntentRatio:
    """Taps as events, and the leads of theirs that wait."""
    return IntentRatio(
        **_echo(site_id, found.range, found.ads_only),
        phone_events_anycat_ads_only=found.tap_events,
        click_intents_ads_only=found.waiting_intents,
        ratio=ratio(found.waiting_intents, found.tap_events),
    )


async def get_command_center_p0_stats_v2(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool
) -> P0StatsV2:
    """See :func:`p0_stats_v2`."""
    return p0_stats_v2(site.id, await command_centre(connection, site, asked, ads_only=ads_only))


async def get_command_center_p0_stats_v1(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool
) -> P0StatsV1:
    """See :func:`p0_stats_v1`."""
    return p0_stats_v1(site.id, await command_centre(connection, site, asked, ads_only=ads_only))


async def get_dashboard_stats(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool
) -> DashboardStats:
    """See :func:`dashboard_stats`."""
    return dashboard_stats(site.id, await command_centre(connection, site, asked, ads_only=ads_only))


async def get_dashboard_timeline(
    connection: Any, site: AskedSite, asked: Period, *, granularity: str, ads_only: bool
) -> list[TimelineEntry]:
    """See :func:`dashboard_timeline`. Words that it does not know mean days."""
    step: Any = granularity if granularity in ("auto", "hour", "week") else "day"
    return dashboard_timeline(await timeline(connection, site, asked, ads_only=ads_only, granularity=step))


async def get_dashboard_breakdown(
    connection: Any, site: AskedSite, asked: Period, *, dimension: str | None, ads_only: bool
) -> list[DimensionCount]:
    """See :func:`dashboard_breakdown`. Raises :class:`~opsmantik.errors.InvalidDimension`."""
    if dimension not in ("source", "device", "city"):
        raise InvalidDimension(dimension=dimension)
    return dashboard_breakdown(
        await breakdown(connection, site, asked, ads_only=ads_only, dimension=[dimension], limit=None)
    )


_THREE: Final = ("source", "place", "device")


async def get_dashboard_breakdown_p4(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool
) -> BreakdownP4:
    """See :func:`breakdown_p4`."""
    return breakdown_p4(
        site.id, await breakdown(connection, site, asked, dimension=_THREE, limit=None), ads_only
    )


async def get_dashboard_breakdown_v1(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool
) -> BreakdownV1:
    """See :func:`breakdown_v1`."""
    return breakdown_v1(
        await breakdown(connection, site, asked, ads_only=ads_only, dimension=_THREE, limit=None)
    )


async def get_intent_ratio_watchdog(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool
) -> IntentRatio:
    """See :func:`intent_ratio`."""
    return intent_ratio(site.id, await watchdog(connection, site, asked, ads_only=ads_only))


PROCEDURES: Final = (
    Procedure(
        name="get_command_center_p0_stats_v2", contract="command_centre", call=get_command_center_p0_stats_v2,
        answer=P0StatsV2, summary="What taps of a range made, and what became of it", arguments=SITE_RANGE_ADS,
    ),
    Procedure(
        name="get_command_center_p0_stats_v1", contract="command_centre", call=get_command_center_p0_stats_v1,
        answer=P0StatsV1, summary="The same, with fewer figures", arguments=SITE_RANGE_ADS,
        successor="get_command_center_p0_stats_v2",
    ),
    Procedure(
        name="get_dashboard_stats", contract="command_centre", call=get_dashboard_stats, answer=DashboardStats,
        summary="Traffic of a range, what waits and what was sealed", arguments=SITE_RANGE_ADS,
    ),
    Procedure(
        name="get_dashboard_timeline", contract="timeline", call=get_dashboard_timeline, answer=list[TimelineEntry],
        summary="A range by hour, day or week, without the buckets in which nothing happened",
        arguments=(
            SITE, FROM, TO, Argument("p_granularity", "text", "auto", "auto, hour, day or week; others mean day."), ADS,
        ),
    ),
    Procedure(
        name="get_dashboard_breakdown", contract="breakdown", call=get_dashboard_breakdown, answer=list[DimensionCount],
        summary="Visits of a range by source, device or city",
        arguments=(SITE, FROM, TO, Argument("p_dimension", "text", None, "source, device or city."), ADS),
    ),
    Procedure(
        name="get_dashboard_breakdown_p4", contract="breakdown", call=get_dashboard_breakdown_p4, answer=BreakdownP4,
        summary="Visits of a range by source, place and device; ads are those with a click id", arguments=SITE_RANGE_ADS,
    ),
    Procedure(
        name="get_dashboard_breakdown_v1", contract="breakdown", call=get_dashboard_breakdown_v1, answer=BreakdownV1,
        summary="Visits of a range by kind of source, place and device", arguments=SITE_RANGE_ADS,
        successor="get_dashboard_breakdown_p4",
    ),
    Procedure(
        name="get_intent_ratio_watchdog", contract="watchdog", call=get_intent_ratio_watchdog, answer=IntentRatio,
        summary="Taps as events beside the leads of theirs that wait", arguments=SITE_RANGE_ADS,
    ),
)  # fmt: skip
