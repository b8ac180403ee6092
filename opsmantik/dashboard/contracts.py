"""The contracts: every read of a site that OpsMantik answers, each defined once.

Both doors (REST and the first generation's calls), the description of the interface and the documentation are made
from this list. A contract's function is called as ``ask(connection, site, asked, **parameters)``, without ``asked``
where it is about no range; the connection is one of ``Database.as_person``, after ``asked_site``, whose plans are
generic. Its answer is a Struct whose fields are the keys of the JSON, ``as_of`` and ``sequence`` among them.

A definition here is the one sentence in which docs/contracts.md defines a figure, and the test of that figure quotes
it. A deviation says where a first-generation call now answers otherwise than it did, and why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from opsmantik.dashboard import first_generation_figures as first_figures
from opsmantik.dashboard import first_generation_rows as first
from opsmantik.dashboard.cards import activity as activities
from opsmantik.dashboard.cards import breakdown as breakdowns
from opsmantik.dashboard.cards import command_centre as figures
from opsmantik.dashboard.cards import timeline as timelines
from opsmantik.dashboard.cards import watchdog as watchdogs
from opsmantik.dashboard.cards.intent import IntentDetails, intent
from opsmantik.dashboard.cards.lead_list import LeadList, lead_list
from opsmantik.dashboard.cards.newest_sessions import Visits, newest_sessions
from opsmantik.dashboard.cards.recent_intents import RecentIntents, recent_intents
from opsmantik.dashboard.cards.session_details import SessionDetails, session_details
from opsmantik.dashboard.cards.session_timeline import SessionTimeline, session_timeline
from opsmantik.dashboard.cards.site_status import SiteStatus, site_status
from opsmantik.dashboard.cards.sites_list import SitesList, sites_list
from opsmantik.dashboard.cards.visitor_sessions import VisitorSessions, visitor_sessions
from opsmantik.dashboard.procedures import Procedure
from opsmantik.intents.status import Action, Status

Kind = Literal["integer", "boolean", "text", "uuid", "choice", "choices", "cursor"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a contract, in the query unless it is part of the path."""

    name: str
    kind: Kind
    description: str
    in_path: bool = False
    default: Any = None
    least: int | None = None
    most: int | None = None
    """Of an integer the largest value, of a text its longest length."""
    choices: tuple[str, ...] = ()


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """One read."""

    name: str
    path: str
    """Below /api/v1/sites/{site}/; parts in braces are parameters."""
    summary: str
    ask: Callable[..., Awaitable[Any]]
    answer: type[msgspec.Struct]
    parameters: tuple[Parameter, ...] = ()
    ranged: bool = False
    """Whether it is about a range; then it takes day, range, from and to, and none of them means today."""
    timeless: bool = True
    """Whether the answer changes only when the site does. If so, who has it need not be sent it again."""
    definitions: Mapping[str, str] = MappingProxyType({})
    procedures: tuple[str, ...] = ()
    """The first generation's calls that translate it."""
    deviations: tuple[str, ...] = ()


ADS_ONLY: Final = Parameter(
    name="ads_only", kind="boolean", default=False,
    description="Only paid traffic: visits whose source the attribution ladder calls paid, and what came of them.",
)  # fmt: skip
CURSOR: Final = Parameter(
    name="cursor", kind="cursor", description="Where the page before ended: its next_cursor. Without it the first page."
)  # fmt: skip


def limit(default: int, most: int) -> Parameter:
    """How many rows a page has at most."""
    return Parameter(
        name="limit", kind="integer", default=default, least=1, most=most, description="Rows of a page."
    )


def search(description: str) -> Parameter:
    """A part of a text, in any case."""
    return Parameter(name="q", kind="text", most=200, description=description)


def in_path(name: str, description: str, kind: Kind = "uuid") -> Parameter:
    """A part of the path."""
    return Parameter(name=name, kind=kind, in_path=True, most=64, description=description)


STATUS: Final = Parameter(
    name="status", kind="choices", choices=tuple(Status),
    description="Only leads of these statuses, separated by commas.",
)  # fmt: skip

VISIT_FILTERS: Final[tuple[Parameter, ...]] = (
    *(
        Parameter(
            name=name, kind="text", most=300, description=f"Only visits whose {what}, as breakdown has it; - for none.",
        )
        for name, what in (
            ("source", "source is this"), ("channel", "channel is this"), ("campaign", "campaign is this"),
            ("keyword", "keyword is this"), ("matchtype", "match type is this"),
            ("place", "place (city/district) or city is this"), ("device", "device is this"),
            ("page", "first page is this"),
        )
    ),
    Parameter(
        name="click", kind="choice", choices=("yes", "no"), description="Only visits with a Google click id, or without.",
    ),
    Parameter(
        name="weekday", kind="integer", least=1, most=7, description="Only visits that began on this day of the week by"
        " the site's clock; 1 is Monday.",
    ),
    Parameter(
        name="hour", kind="integer", least=0, most=23, description="Only visits that began in this hour of the day by the"
        " site's clock.",
    ),
)  # fmt: skip

_PAGES: Final = (
    "REST answers pages, by a cursor over (created_at, id); rows of the same instant are ordered by id."
)
_STATUSES: Final = (
    "Nothing sealed disappears from the list: it held only intent, confirmed and junk. Statuses go by the first"
    " generation's words: intent for what waits, confirmed for what is sealed or converted."
)

_OWN_TIME: Final = (
    "An event or a lead counts by its own time. The calls left out what belonged to a visit that began before the range,"
    " or by a calendar month before it: where a visit began is no word about when its lead came in."
)
_PAID: Final = (
    "Paid traffic is what the attribution ladder calls paid, by medium and by hosts. A part of a word used to do: organic"
    " visits with utm_source=google were ads."
)

CONTRACTS: Final[tuple[Contract, ...]] = (
    Contract(
        name="command_centre",
        path="command-centre",
        summary="Every figure of a range, in one snapshot",
        ask=figures.command_centre,
        answer=figures.CommandCentre,
        ranged=True,
        parameters=(
            ADS_ONLY,
            Parameter(
                name="compare", kind="boolean", default=False,
                description="With the same figures of the range before.",
            ),
        ),
        definitions=figures.DEFINITIONS,
        procedures=(
            "get_command_center_p0_stats_v2", "get_command_center_p0_stats_v1", "get_dashboard_stats",
        ),
        deviations=(
            _OWN_TIME,
            _PAID,
            "Sealed means sealed or converted, in every figure, and waiting means intent or pending.",
            "A tap that repeats another is no lead: it is counted in no figure.",
            "Money in another currency than the site's is left out: the sum of different currencies is no amount.",
            "unique_visitors is the number of visitors; it was a constant 0.",
            "last_event_at and last_call_at are the site's, of any day and all traffic: they say whether anything comes in,"
            " and to find the last event of a range means to read its events.",
            "auto_approved, oci_matchable_sealed, oci_uploaded and oci_failed count leads however they were captured, and"
            " leads that carry a click id without a visit: what is uploaded does not depend on either.",
            "get_dashboard_stats has one signature; the one without p_ads_only made every call with three arguments fail.",
        ),
    ),
    Contract(
        name="timeline",
        path="timeline",
        summary="A range hour by hour, day by day or week by week",
        ask=timelines.timeline,
        answer=timelines.Timeline,
        ranged=True,
        parameters=(
            ADS_ONLY,
            Parameter(
                name="granularity", kind="choice", choices=("auto", "hour", "day", "week"), default="auto",
                description="How long a bucket is; auto goes by the length of the range.",
            ),
        ),
        definitions=timelines.DEFINITIONS,
        procedures=("get_dashboard_timeline",),
        deviations=(
            "The range is half-open; it was closed at both ends.",
            _OWN_TIME,
            "Buckets are the site's own hours, days and weeks, and are written by its clock; they were cut by the clock of"
            " the connection.",
            "visitors of a week are those of its days, added up: the counters hold days. Of hours and days as before.",
            "intents counts all that waits: intent and pending.",
            "calls and conversions leave out repeated taps.",
        ),
    ),
    Contract(
        name="breakdown",
        path="breakdown",
        summary="What visits and leads of a range came by",
        ask=breakdowns.breakdown,
        answer=breakdowns.Breakdown,
        ranged=True,
        parameters=(
            ADS_ONLY,
            Parameter(
                name="dimension", kind="choices", choices=breakdowns.DIMENSIONS, default=("source",),
                description="What to break down by; several are separated by commas, and are of one snapshot.",
            ),
            limit(20, 500),
        ),
        definitions=breakdowns.DEFINITIONS,
        procedures=("get_dashboard_breakdown", "get_dashboard_breakdown_p4", "get_dashboard_breakdown_v1"),
        deviations=(
            "The range of get_dashboard_breakdown is half-open; it was closed at both ends.",
            _PAID,
            "get_dashboard_breakdown_v1 names the sources of ad traffic as it names those of all traffic; it called all of"
            " it Google Ads, paid social included.",
            "Direct visits have a name of their own now, and are Direct/Unknown in get_dashboard_breakdown_v1.",
            "Names with equal counts come by the alphabet.",
        ),
    ),
    Contract(
        name="watchdog",
        path="watchdog",
        summary="Whether taps become leads",
        ask=watchdogs.watchdog,
        answer=watchdogs.Watchdog,
        ranged=True,
        parameters=(ADS_ONLY,),
        definitions=watchdogs.DEFINITIONS,
        procedures=("get_intent_ratio_watchdog",),
        deviations=(
            "The range is half-open; it was closed at both ends.",
            "Every action that is taken for a tap counts as one: tel_click, whatsapp_click and wa_click beside the four"
            " that were asked for.",
            "click_intents_ads_only leaves out repeated taps and what was decided, as before; GET /watchdog also says how"
            " many leads taps made at all (tap_intents), which is what the ratio there is made of.",
        ),
    ),
    Contract(
        name="recent_intents",
        path="intents",
        summary="The newest leads of a range, each with its visit and its conversion",
        ask=recent_intents,
        answer=RecentIntents,
        ranged=True,
        parameters=(
            ADS_ONLY,
            STATUS,
            Parameter(
                name="captured_by", kind="choices", choices=("click", "form", "api", "manual"),
                description="Only leads that were captured so, separated by commas.",
            ),
            search("Only leads whose number, target, page, note, keyword, campaign or place holds this, in any case."),
            limit(50, 500),
            CURSOR,
        ),
        definitions={
            "items": "Leads by the time at which they came in, newest first; a tap that repeats another of the same visit"
            " within half an hour is no lead of its own.",
            "tap_count": "How many taps the lead stands for, its own included.",
            "has_click_id": "Whether the tap or its visit carries a Google click id (gclid, wbraid or gbraid).",
            "is_paid": "Whether the visit's source is a paid one; false for a lead without a visit.",
            "risks": "Why the lead may be none, or cannot be reported: no_click_id, short_visit (3 seconds or less),"
            " few_events (one or none), organic (its source's name says so).",
            "conversion": "The lead's row in the ledger of conversions that is not taken back, if it has one.",
        },
        procedures=("get_recent_intents_v2", "get_recent_intents_v1"),
        deviations=(
            _PAGES,
            _STATUSES,
            "The range is half-open and checked as everywhere; it was closed at both ends, unchecked, and answered {} for"
            " one that is reversed.",
            "One row a lead: a repeated tap is folded into its lead, and a visit exists once.",
            "ai_score, ai_summary, ai_tags, engagement_score, visitor_rank and oci_batch_id are null: nothing writes them.",
        ),
    ),
    Contract(
        name="intent",
        path="intents/{intent_id}",
        summary="One lead, with why its source is what it is, its taps and all that was done to it",
        ask=intent,
        answer=IntentDetails,
        parameters=(in_path("intent_id", "The lead's id."),),
        definitions={
            "attribution": "The rule of the ladder that won, the values that it won by, and the rules that matched and"
            " lost.",
            "taps": "Every tap that is this lead, oldest first.",
            "actions": "Every act on the lead, newest first, with who did it and what was there before.",
            "undoable": "The act that an undo would take back: the latest, unless it is an undo itself; what the platform"
            " answered is no act of anybody's.",
            "ad_click": "The one click that a conversion of this lead would name, and its age when the lead came in.",
            "withdrawn": "The lead's latest conversion that was taken back, where none stands now.",
        },
    ),
    Contract(
        name="activity",
        path="activity",
        summary="What was done about leads, newest first",
        ask=activities.activity,
        answer=activities.Activity,
        ranged=True,
        parameters=(
            Parameter(name="actor", kind="uuid", description="Only what this person did."),
            Parameter(
                name="by", kind="choice", choices=("person", "rule", "key"),
                description="Only what people did, or the site's own rules, or programs by a key.",
            ),
            Parameter(
                name="action", kind="choices", choices=tuple(Action),
                description="Only these acts, separated by commas.",
            ),
            Parameter(
                name="undoable", kind="boolean", default=False, description="Only what an undo would take back now."
            ),
            limit(50, 500),
            CURSOR,
        ),
        definitions={
            "items": "Acts on the site's leads by the time at which they were done, newest first.",
            "is_undoable": "Whether an undo of the lead would take back this act: it is the lead's latest, and neither an"
            " undo nor what the platform answered.",
            "actors": "The people among the newest 2,000 acts of the range.",
        },
    ),
    Contract(
        name="lead_list",
        path="leads",
        summary="Leads of every kind, beside the events that count as conversions",
        ask=lead_list,
        answer=LeadList,
        ranged=True,
        parameters=(
            ADS_ONLY,
            STATUS,
            search("Only what has this in its page's address, in any case."),
            limit(50, 500),
            CURSOR,
        ),
        definitions={
            "items": "Leads of any kind and conversion events of the site's visits, by the time at which they came in,"
            " newest first.",
            "score": "A lead's score from 0 to 100; of a conversion event its value, 0 where it has none.",
        },
        procedures=("get_dashboard_intents",),
        deviations=(
            "The range is half-open; it was closed at both ends.",
            "More than 10,000 rows are refused, not cut: page through GET /leads, or ask for a shorter range.",
            "Only visits of the same site are looked at; the call joined them by id alone.",
            "Sealed is every lead that is sealed or converted, however it is called there.",
        ),
    ),
    Contract(
        name="newest_sessions",
        path="sessions",
        summary="The newest visits of a range",
        ask=newest_sessions,
        answer=Visits,
        ranged=True,
        parameters=(ADS_ONLY, *VISIT_FILTERS, limit(50, 500), CURSOR),
        definitions={
            "items": "Visits by the time at which their first event came in, newest first; each filter that is given leaves"
            " those that breakdown counts under that value.",
            "lead_score": "The score of the visit's best lead; null where it has none.",
        },
    ),
    Contract(
        name="session_details",
        path="sessions/{session_id}",
        summary="One visit",
        ask=session_details,
        answer=SessionDetails,
        parameters=(in_path("session_id", "The visit's id."),),
        definitions={
            "event_count": "Events of the visit; heartbeats and goodbyes are none.",
            "total_duration_sec": "From the visit's first sign of life to its last, heartbeats included.",
        },
        procedures=("get_session_details",),
    ),
    Contract(
        name="session_timeline",
        path="sessions/{session_id}/timeline",
        summary="What happened in one visit, latest first",
        ask=session_timeline,
        answer=SessionTimeline,
        parameters=(in_path("session_id", "The visit's id."), limit(100, 500), CURSOR),
        definitions={
            "items": "The visit's events by the time of their happening, latest first; heartbeats and goodbyes are none.",
        },
        procedures=("get_session_timeline",),
        deviations=("created_at is the moment of the happening: what a device had to hold back came in all at once.",),
    ),
    Contract(
        name="visitor_sessions",
        path="visitors/{visitor}/sessions",
        summary="One visitor's visits of the last six months",
        ask=visitor_sessions,
        answer=VisitorSessions,
        timeless=False,
        parameters=(in_path("visitor", "The visitor's id.", "text"), ADS_ONLY, limit(20, 100), CURSOR),
        definitions={
            "items": "The visitor's visits that began within the last 184 days, newest first.",
            "visits": "How many visits of theirs there ever were.",
        },
        procedures=("get_sessions_by_fingerprint",),
        deviations=("Visits of the last 184 days; it read all months.",),
    ),
    Contract(
        name="site_status",
        path="status",
        summary="Whether the site receives, and what came last",
        ask=site_status,
        answer=SiteStatus,
        timeless=False,
        definitions={
            "traffic": "receiving: something came in within the last ten minutes, a heartbeat too; quiet: not since"
            " quiet_since; never: nothing ever has.",
            "last_event": "The newest event of the site's twenty newest visits of the last two days before it fell quiet.",
        },
    ),
)  # fmt: skip

SITES: Final = Contract(
    name="sites",
    path="",
    summary="The sites that the asker may see, newest first",
    ask=sites_list,
    answer=SitesList,
    timeless=False,
    parameters=(
        search("Only sites whose name, domain or public id holds this, in any case."),
        limit(50, 1000),
        Parameter(
            name="offset",
            kind="integer",
            default=0,
            least=0,
            most=1_000_000,
            description="Rows to pass over.",
        ),
    ),
    definitions={"traffic": "As in the contract site_status."},
    procedures=("admin_sites_list",),
)
"""Not about one site, so it stands beside the list and is asked with the person instead."""

PROCEDURES: Final[Mapping[str, Procedure]] = MappingProxyType(
    {procedure.name: procedure for procedure in (*first_figures.PROCEDURES, *first.PROCEDURES)}
)
"""The first generation's calls that read one site."""


def contract(name: str) -> Contract:
    """The contract of this name."""
    return next(found for found in CONTRACTS if found.name == name)
