"""One lead, whole: its visit, why its source is what it is, its taps, its conversion, and all that was done to it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.rows import Intent, intent_of
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

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


class Tap(msgspec.Struct, frozen=True):
    """One tap of a lead."""

    id: UUID
    created_at: datetime
    occurred_at: datetime
    action: str | None
    target: str | None
    page_url: str | None


class Act(msgspec.Struct, frozen=True):
    """One line of the log of acts. ``before`` holds what the act changed, as it was."""

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


async def intent(connection: Any, site: AskedSite, *, intent_id: UUID) -> IntentDetails:
    """The lead. Raises :class:`~opsmantik.errors.NotFound` where the site has none of this id."""
    row = await connection.fetchrow(SQL.intent, site.id, intent_id)
    if row is None:
        raise NotFound(what="lead")
    lead = intent_of(row)
    report = row["call_direction"], row["call_outcome"], row["call_seconds"]
    return IntentDetails(
        intent=lead,
        merged_into=row["merged_into"],
        attribution=_explained(lead, row),
        consent_analytics=row["consent_analytics"],
        consent_marketing=row["consent_marketing"],
        taps=[Tap(*tap) for tap in await connection.fetch(SQL.taps, site.id, intent_id)],
        actions=[Act(*act) for act in await connection.fetch(SQL.actions, site.id, intent_id)],
        as_of=row["as_of"],
        sequence=row["sequence"],
        call=None if report == (None, None, None) else CallReport(*report),
    )


def _explained(lead: Intent, row: Any) -> Attribution | None:
    if lead.session is None:
        return None
    verdict: dict[str, Any] = row["attribution"] or {}
    return Attribution(
        source=lead.session.attribution_source,
        channel=lead.session.channel,
        is_paid=lead.session.is_paid,
        rule=verdict.get("rule"),
        evidence=verdict.get("evidence") or {},
        losers=list(verdict.get("losers") or ()),
        referrer=row["referrer"],
        clicked_at=row["click_at"],
        last_touch=row["last_touch"],
    )
