"""One lead, whole: its visit, why its source is what it is, its taps, its conversion, and all that was done to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from opsmantik.conversions.ledger import LONGEST_CLICK_AGE, one_click
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.rows import Intent, Session, intent_of
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound
from opsmantik.intents.status import Action

SQL = queries(Path(__file__).with_suffix(".sql"))


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Why the visit is called what it is called: the rule that won, by which values, and which rules lost to it."""

    source: str
    channel: str
    is_paid: bool
    rule: str | None
    evidence: dict[str, str]
    losers: list[str]
    referrer: str | None
    clicked_at: datetime | None
    last_touch: dict[str, Any] | None
    """What brought the visitor last, where that is another source than the first."""
    window_days: int
    """For how long after an ad click the site counts a return as that ad's."""


class AdClick(msgspec.Struct, frozen=True, kw_only=True):
    """The one ad click that a conversion of this lead would name, and how old it was when the lead came."""

    kind: Literal["gclid", "wbraid", "gbraid"]
    id: str
    at: datetime
    age_seconds: int
    in_window: bool
    """Within the site's attribution window."""
    is_reportable: bool
    """Young enough for the ad platform, which takes none older than 90 days."""


class Withdrawn(msgspec.Struct, frozen=True):
    """The lead's latest row of the ledger that was taken back, where none stands now."""

    reason: str | None
    """Ends in _after_sending where the platform had it already, and has to be told."""
    at: datetime
    value: Decimal | None
    currency: str


class Tap(msgspec.Struct, frozen=True):
    """One tap of a lead."""

    id: UUID
    created_at: datetime
    occurred_at: datetime
    action: str | None
    target: str | None
    page_url: str | None


class Act(msgspec.Struct, frozen=True):
    """One line of the log of acts. ``before`` holds what the act changed, as it was, and ``after`` as it left it."""

    id: UUID
    at: datetime
    action: str
    actor_kind: Literal["person", "rule", "key"]
    actor: UUID | None
    actor_name: str | None
    from_status: str
    to_status: str
    version: int
    before: dict[str, Any]
    note: str | None
    undoes: UUID | None
    key_name: str | None
    """The key that acted, by its name and last four characters as they were then."""
    after: dict[str, Any] | None


class CallReport(msgspec.Struct, frozen=True):
    """What a telephone system said of a call."""

    direction: Literal["inbound", "outbound"] | None
    status: Literal["answered", "missed", "busy", "voicemail", "failed"] | None
    duration_seconds: int | None


class IntentDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A lead and what is known of it. Without a visit there is no attribution, and nobody knows of consent."""

    intent: Intent
    merged_into: UUID | None
    """The lead that this tap repeats; such a row is a tap, not a lead."""
    attribution: Attribution | None
    consent_analytics: bool | None
    consent_marketing: bool | None
    taps: list[Tap]
    actions: list[Act]
    as_of: datetime
    sequence: int
    call: CallReport | None
    """Null for a tap or a form, and for a call of which nothing was said."""
    ad_click: AdClick | None
    withdrawn: Withdrawn | None
    undoable: UUID | None
    """The act that an undo would take back now."""


async def intent(connection: Any, site: AskedSite, *, intent_id: UUID) -> IntentDetails:
    """The lead. Raises :class:`~opsmantik.errors.NotFound` where the site has none of this id."""
    row = await connection.fetchrow(SQL.intent, site.id, intent_id)
    if row is None:
        raise NotFound(what="lead")
    lead = intent_of(row)
    report = row["call_direction"], row["call_outcome"], row["call_seconds"]
    actions = [Act(*act) for act in await connection.fetch(SQL.actions, site.id, intent_id)]
    return IntentDetails(
        intent=lead,
        merged_into=row["merged_into"],
        attribution=explained(lead.session, row),
        consent_analytics=row["consent_analytics"],
        consent_marketing=row["consent_marketing"],
        taps=[Tap(*tap) for tap in await connection.fetch(SQL.taps, site.id, intent_id)],
        actions=actions,
        as_of=row["as_of"],
        sequence=row["sequence"],
        call=None if report == (None, None, None) else CallReport(*report),
        ad_click=_ad_click(lead, row),
        withdrawn=_withdrawn(row),
        undoable=undoable(actions),
    )


def undoable(actions: Iterable[Act]) -> UUID | None:
    """Of a lead's acts, newest first, the one that an undo takes back; what the platform answered is none."""
    latest = next((act for act in actions if act.action != Action.CONVERT), None)
    return latest.id if latest is not None and latest.action != Action.UNDO else None


def _ad_click(lead: Intent, row: Any) -> AdClick | None:
    visit = lead.session
    clicked_at = (row["click_at"] or visit.started_at) if visit is not None else None
    click = one_click(
        (lead.click_id_kind, lead.click_id),
        {"gclid": row["gclid"], "wbraid": row["wbraid"], "gbraid": row["gbraid"]},
        visit_clicked_at=clicked_at,
        tapped_at=lead.occurred_at,
    )
    if click is None:
        return None
    age = max(lead.occurred_at - click.at, timedelta(0))
    return AdClick(
        kind=click.kind, id=click.id, at=click.at, age_seconds=int(age.total_seconds()),
        in_window=age <= timedelta(days=row["window_days"]), is_reportable=age <= LONGEST_CLICK_AGE,
    )  # fmt: skip


def _withdrawn(row: Any) -> Withdrawn | None:
    if row["conversion_state"] is not None or row["withdrawn_at"] is None:
        return None
    return Withdrawn(
        row["withdrawn_reason"], row["withdrawn_at"], row["withdrawn_value"], row["withdrawn_currency"]
    )


def explained(visit: Session | None, row: Mapping[str, Any]) -> Attribution | None:
    """Why a visit has its source; ``row`` holds what the ladder said, and the site's window."""
    if visit is None:
        return None
    verdict: dict[str, Any] = row["attribution"] or {}
    return Attribution(
        source=visit.attribution_source,
        channel=visit.channel,
        is_paid=visit.is_paid,
        rule=verdict.get("rule"),
        evidence=verdict.get("evidence") or {},
        losers=list(verdict.get("losers") or ()),
        referrer=row["referrer"],
        clicked_at=row["click_at"],
        last_touch=row["last_touch"],
        window_days=row["window_days"],
    )
