"""Every figure of a site over a range, from one snapshot: traffic, leads, money, the ledger, what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from opsmantik.clock import Period, previous
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.figures import NOTHING, parts, ratio, rounded
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound
from opsmantik.intents.status import SEALED, WAITING, Status

SQL = queries(Path(__file__).with_suffix(".sql"))


class Amount(msgspec.Struct, frozen=True):
    """Money in a currency, and of how many leads it is."""

    currency: str
    amount: Decimal
    leads: int


class LeadCount(msgspec.Struct, frozen=True, kw_only=True):
    """Leads that have all this in common. The figures about leads are these, added up."""

    status: str
    action: str | None
    captured_by: str
    is_automatic: bool
    leads: int
    leads_with_click_id: int
    sealed_amount: Decimal
    scroll_percent: int
    """How far their visits scrolled, added up over the ``scrolled`` leads of which it is known."""
    scrolled: int


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Conversions by how far they have come, of the leads captured in the range, whatever the scope."""

    held: int
    queued: int
    sent: int
    accepted: int
    matched: int
    failed: int
    retracted: int
    skipped: int
    uploaded: int
    matchable: int


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """Leads by the time of the decision about them, whenever they were captured."""

    leads: int
    sealed: int
    junk: int
    suspicious: int
    automatic: int
    sealed_amount: Decimal
    response_seconds: int | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one range and scope; each is defined below. ``None`` where there is nothing to divide by."""

    sessions: int
    paid_sessions: int
    sessions_with_click_id: int
    visitors: int
    events: int
    conversion_events: int
    forms: int
    leads: int
    leads_with_click_id: int
    phone_leads: int
    whatsapp_leads: int
    form_leads: int
    waiting: int
    sealed: int
    junk: int
    suspicious: int
    auto_approved: int
    conversion_rate: Decimal | None
    sealed_amount: Decimal
    other_amounts: list[Amount]
    budget_saved: Decimal
    mean_scroll: Decimal | None
    ledger: Ledger
    decided: Decided
    leads_by: list[LeadCount]


class Previous(msgspec.Struct, frozen=True):
    """The same of the range before."""

    range: Over
    figures: Figures


class CommandCentre(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot. Money is in ``currency``; what was captured in another is told apart from it."""

    range: Over
    ads_only: bool
    as_of: datetime
    sequence: int
    last_event_at: datetime | None
    last_lead_at: datetime | None
    currency: str
    assumed_cpc: Decimal
    forms_enabled: bool
    figures: Figures
    previous: Previous | None


async def command_centre(
    connection: Any, site: AskedSite, asked: Period, *, ads_only: bool = False, compare: bool = False
) -> CommandCentre:
    """The figures of the range; with ``compare`` those of the range before it, too (see clock.previous).

    Raises :class:`~opsmantik.errors.NotFound` for a site that the connection's asker may not see.
    """
    earlier = previous(asked) if compare and asked.days else None
    found = await connection.fetch(
        SQL.command_centre,
        site.id, *parts(asked), *(parts(earlier) if earlier else NOTHING), earlier is not None, asked.over.end,
    )  # fmt: skip
    if not found:
        raise NotFound(what="site")
    head = found[0]
    now = [cell for cell in found if cell["before"] is False]
    before = [cell for cell in found if cell["before"]]
    return CommandCentre(
        range=over(site, asked),
        ads_only=ads_only,
        as_of=head["as_of"],
        sequence=head["sequence"],
        last_event_at=head["last_event_at"],
        last_lead_at=head["last_intent_at"],
        currency=site.currency,
        assumed_cpc=site.assumed_cpc,
        forms_enabled=head["forms_enabled"],
        figures=_figures(now, site, ads_only),
        previous=Previous(over(site, earlier), _figures(before, site, ads_only)) if earlier else None,
    )


Cell = Mapping[str, Any]


def _figures(cells: Sequence[Cell], site: AskedSite, ads_only: bool) -> Figures:
    """All figures from cells of the counters."""
    scope = [cell for cell in cells if cell["is_paid"] or not ads_only]
    everything = _of(scope, "all")
    leads, of_all_traffic = _leads(_of(scope, "lead")), _leads(_of(cells, "lead"))
    decided = _of(scope, "decision")
    sessions = _sum(everything, "sessions")
    sealed = _counted(leads, SEALED)
    junk = _counted(leads, (Status.JUNK,))
    scrolled = sum(lead.scrolled for lead in leads)
    scroll = sum(lead.scroll_percent for lead in leads)
    actions = {
        action: sum(lead.leads for lead in leads if lead.action == action)
        for action in ("phone", "whatsapp", "form")
    }
    return Figures(
        sessions=sessions,
        paid_sessions=_sum([cell for cell in everything if cell["is_paid"]], "sessions"),
        sessions_with_click_id=_sum(everything, "click_sessions"),
        # Here paid traffic is no part of the other row but a count of its own: one visitor may be in both.
        visitors=_sum([cell for cell in _of(cells, "visitor") if cell["is_paid"] == ads_only], "visitors"),
        events=_sum(everything, "events"),
        conversion_events=_sum(everything, "conversions"),
        forms=_sum(everything, "forms"),
        leads=_sum(everything, "leads"),
        leads_with_click_id=_sum(everything, "click_leads"),
        phone_leads=actions["phone"],
        whatsapp_leads=actions["whatsapp"],
        form_leads=actions["form"],
        waiting=_counted(leads, WAITING),
        sealed=sealed,
        junk=junk,
        suspicious=_counted(leads, (Status.SUSPICIOUS,)),
        auto_approved=_counted([lead for lead in of_all_traffic if lead.is_automatic], SEALED),
        conversion_rate=ratio(sealed, sessions),
        sealed_amount=sum((lead.sealed_amount for lead in leads), Decimal(0)),
        other_amounts=_other_amounts(_of(scope, "currency"), site.currency),
        budget_saved=rounded(junk * site.assumed_cpc, 2),
        mean_scroll=ratio(scroll, scrolled, 1),
        ledger=_ledger(_of(cells, "conversion"), of_all_traffic),
        decided=_decided(decided),
        leads_by=leads,
    )


def _of(cells: Sequence[Cell], dimension: str) -> list[Cell]:
    return [cell for cell in cells if cell["dimension"] == dimension]


def _sum(cells: Sequence[Cell], measure: str) -> int:
    return sum(cell[measure] or 0 for cell in cells)


def _counted(leads: Sequence[LeadCount], statuses: Sequence[Status]) -> int:
    return sum(lead.leads for lead in leads if lead.status in statuses)


def _leads(cells: Sequence[Cell]) -> list[LeadCount]:
    """Leads by what they have in common. A cell's key is "status action captured_by", and "auto" after it."""
    by_key: dict[str, list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(cell["key"], []).append(cell)
    counts = []
    for key, same in sorted(by_key.items()):
        status, action, captured_by, *automatic = key.split(" ")
        counts.append(
            LeadCount(
                status=status,
                action=None if action == "-" else action,
                captured_by=captured_by,
                is_automatic=bool(automatic),
                leads=_sum(same, "leads"),
                leads_with_click_id=_sum(same, "click_leads"),
                sealed_amount=_amount(same),
                scroll_percent=_sum(same, "scroll"),
                scrolled=_sum(same, "scrolled"),
            )
        )
    return [count for count in counts if count.leads]


def _amount(cells: Sequence[Cell]) -> Decimal:
    return sum((cell["amount"] for cell in cells if cell["amount"] is not None), Decimal(0))


def _other_amounts(cells: Sequence[Cell], currency: str) -> list[Amount]:
    others = sorted({cell["key"] for cell in cells} - {currency})
    of = {other: [cell for cell in cells if cell["key"] == other] for other in others}
    return [
        Amount(other, _amount(of[other]), _sum(of[other], "leads"))
        for other in others
        if _sum(of[other], "leads")
    ]


def _ledger(cells: Sequence[Cell], leads: Sequence[LeadCount]) -> Ledger:
    states = ("held", "queued", "sent", "accepted", "matched", "failed", "retracted", "skipped")
    counts = {state: _sum([cell for cell in cells if cell["key"] == state], "leads") for state in states}
    return Ledger(
        **counts,
        uploaded=counts["accepted"] + counts["matched"],
        matchable=sum(lead.leads_with_click_id for lead in leads if lead.status in SEALED),
    )


def _decided(cells: Sequence[Cell]) -> Decided:
    leads = _leads(cells)
    by_people = [cell for cell in cells if not cell["key"].endswith(" auto")]
    mean = ratio(_sum(by_people, "seconds"), _sum(by_people, "leads"), 0)
    return Decided(
        leads=_counted(leads, tuple(Status)),
        sealed=_counted(leads, SEALED),
        junk=_counted(leads, (Status.JUNK,)),
        suspicious=_counted(leads, (Status.SUSPICIOUS,)),
        automatic=_counted([lead for lead in leads if lead.is_automatic], tuple(Status)),
        sealed_amount=_amount(cells),
        response_seconds=None if mean is None else int(mean),
    )


DEFINITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sessions": "Visits whose first event came in within the range.",
        "paid_sessions": "Those of the visits whose source is a paid one.",
        "sessions_with_click_id": "Those of the visits that carry a Google click id (gclid, wbraid or gbraid).",
        "visitors": "Devices seen, each counted once on each of the site's days in the range.",
        "events": "Events that came in within the range, whenever their visit began; heartbeats and goodbyes are none.",
        "conversion_events": "Those of the events whose category is conversion.",
        "forms": "Those of the conversion events that are a form sent.",
        "leads": "Leads that came in within the range: taps on a number or a chat, forms sent, calls reported; a repeated"
        " tap is no lead.",
        "leads_with_click_id": "Those of the leads whose tap or visit carries a Google click id.",
        "phone_leads": "Those of the leads that are taps on a telephone number.",
        "whatsapp_leads": "Those of the leads that are taps on a WhatsApp link.",
        "form_leads": "Those of the leads that are forms sent.",
        "waiting": "Those of the leads that nobody has decided about: intent or pending.",
        "sealed": "Those of the leads that are sealed or converted by now, whoever sealed them.",
        "junk": "Those of the leads that are junk by now.",
        "suspicious": "Those of the leads that are suspicious by now.",
        "auto_approved": "Sealed leads of the range that a rule sealed, whatever the scope.",
        "conversion_rate": "Sealed leads divided by visits, four decimals; null without a visit.",
        "sealed_amount": "The sale amounts of the sealed leads in the site's currency, added up.",
        "other_amounts": "The sale amounts of the sealed leads in each other currency, never converted.",
        "budget_saved": "Junk leads times the cost per click that the site assumes, two decimals.",
        "mean_scroll": "How far the visits of the leads scrolled, in percent, each lead once, one decimal; null where it"
        " is not known of any.",
        "ledger": "Conversions of the leads of the range by their state now, whatever the scope.",
        "uploaded": "Conversions that the platform has accepted or matched.",
        "matchable": "Sealed leads with a Google click id, whatever the scope: those that can be uploaded.",
        "decided": "Leads whose present status was decided within the range, whenever they came in.",
        "automatic": "Those of the decided leads that a rule decided about.",
        "response_seconds": "The mean time from a lead's arrival to the decision, of decisions taken by people within"
        " the range, in whole seconds; null without one.",
        "leads_by": "The leads by status, action, way of capture and whether a rule decided.",
        "forms_enabled": "Whether a form was sent within 365 days before the end of the range.",
        "last_event_at": "When the site's newest event came in, of any day and all traffic.",
        "last_lead_at": "When the site's newest lead came in, of any day and all traffic.",
        "previous": "The same figures of as many site days before the range, or of the same length of time where it is"
        " not made of whole days.",
    }
)
