"""What a sealed lead is worth to an ad platform: the row of the ledger, or why it will not be sent.

Enters: facts about the lead, its ad click and its site.  Leaves: one row. Every sealed lead has one, so that
"sealed = sent + explained" can be checked for any day.

Two promises to the platform. The order id is made of the lead alone, so sending it again is never a second
conversion. It names exactly one click id, because Google refuses a conversion that carries two.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec


class Skip(enum.StrEnum):
    """Why a sealed lead is not sent. Closed, and in the order in which they are looked for."""

    NO_CLICK_ID = "no_click_id"
    TEST_CLICK = "test_click"
    NO_CONSENT = "no_consent"
    TOO_OLD = "too_old"
    VALUE_UNKNOWN = "value_unknown"


class Withdrawal(enum.StrEnum):
    """Why a row was taken back: the act that ended the seal."""

    UNDONE = "undone"
    JUNKED = "junked"
    SUSPECTED = "suspected"
    RESTORED = "restored"


STAGE_WEIGHT: Final = "stage_weight"
"""The reason of a row whose value is no amount but its stage's weight."""
AFTER_SENDING: Final = "_after_sending"
"""Ends the reason of a row that was taken back when the platform had it: there it still has to be taken back."""
REVISED: Final = "revised"
"""The reason of a move by which value or time of a row changed and its state did not."""

LONGEST_CLICK_AGE: Final = timedelta(days=90)
"""Google takes no conversion for an older click."""
AFTER_CLICK: Final = timedelta(seconds=1)
"""A conversion must not precede its click, and times are sent in whole seconds."""
WITHOUT_CLICK: Final = frozenset({"meta", "webhook"})
"""Adapters that take a conversion without the id of an ad click: one finds people by contact data, one is the site's."""
EACH_CYCLE: Final = timedelta(seconds=1)
"""Google takes a click and a second once, also under another order id: a lead that is sealed again is a second later."""
Weights = Mapping[str | None, Decimal | None]
WEIGHTS: Final[Mapping[str | None, Decimal]] = MappingProxyType(
    {None: Decimal(10), "contacted": Decimal(10), "offered": Decimal(50), "won": Decimal(100)}
)
"""By stage: what stands in for an amount that nobody gave, where the site has said nothing else. A seal without a stage
has at least been contacted."""
NO_STAGE: Final = "none"
"""The name, in a site's settings, of a seal without a stage."""

# Real ids begin with the platform's own letters (Cj0K, EAIa, ...); these are typed by hand to try a page.
_TEST_CLICK = re.compile(r"(?:test|demo|fake|dummy|sample|example)", re.IGNORECASE)

ClickKind = Literal["gclid", "wbraid", "gbraid"]


class Click(NamedTuple):
    """One ad click: kind of id, id, and when it was made."""

    kind: ClickKind
    id: str
    at: datetime


class SealedLead(msgspec.Struct, frozen=True, kw_only=True):
    """What the row is made from. Times are aware."""

    call_id: UUID
    cycle: int
    """1 for the lead's first row; one more for each that was taken back."""
    amount: Decimal | None
    currency: str
    stage: str | None
    tapped_at: datetime
    decided_at: datetime
    sale_at: datetime | None
    click: Click | None
    consent_marketing: bool | None
    consent_mode: str
    conversion_time: str
    """The site's policy: intent or decision."""
    undo_minutes: int
    needs_click: bool = True
    """Whether the platform finds people by ad clicks; see :data:`WITHOUT_CLICK`."""
    weights: Weights = WEIGHTS
    """The site's; see :func:`weights_of`."""
    now: datetime


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger, as it is first written. ``reason`` is a :class:`Skip`, ``stage_weight`` or None."""

    order_id: str
    state: Literal["held", "skipped"]
    reason: str | None
    due_at: datetime
    occurred_at: datetime
    value: Decimal | None
    """None: nobody gave an amount, and the site wants nothing to stand in for it."""
    currency: str
    click_id: str | None
    click_id_kind: ClickKind | None
    clicked_at: datetime | None


def row_of(lead: SealedLead) -> Row:
    """The row of a lead that is sealed now, or was sealed and is changed."""
    due_at = lead.now + timedelta(minutes=lead.undo_minutes)
    skip = skip_of(lead, due_at)
    # Whoever said no to marketing has no click id kept for it either.
    click = None if skip is Skip.NO_CONSENT else lead.click
    value, estimated = worth_of(lead)
    return Row(
        order_id=order_id(lead.call_id, lead.cycle),
        state="skipped" if skip else "held",
        reason=str(skip) if skip else estimated,
        due_at=due_at,
        occurred_at=occurred_at(lead),
        value=value,
        currency=lead.currency,
        click_id=click.id if click else None,
        click_id_kind=click.kind if click else None,
        clicked_at=click.at if click else None,
    )


def worth_of(lead: SealedLead) -> tuple[Decimal | None, str | None]:
    """The value, and its reason where it is no amount. An amount of nothing is an amount."""
    if lead.amount is not None:
        return lead.amount, None
    weight = lead.weights[lead.stage]
    return weight, STAGE_WEIGHT if weight is not None else Skip.VALUE_UNKNOWN


def weights_of(given: Any) -> Weights:
    """The weights as a site's settings (``stage_weights``) have them: a number by stage, or null for a stage that is not
    reported without an amount. What is not there, or is no number, is as in :data:`WEIGHTS`."""
    if not isinstance(given, Mapping):
        return WEIGHTS
    return MappingProxyType({stage: _weight(given, stage) for stage in WEIGHTS})


def _weight(given: Mapping[str, Any], stage: str | None) -> Decimal | None:
    name = stage or NO_STAGE
    if name in given and given[name] is None:
        return None
    try:
        weight = Decimal(str(given.get(name)))
    except InvalidOperation:
        return WEIGHTS[stage]
    return weight if weight.is_finite() and weight >= 0 else WEIGHTS[stage]


def skip_of(lead: SealedLead, due_at: datetime) -> Skip | None:
    """Why this lead must not be sent; None if it may. Age is measured at the earliest moment of sending."""
    if lead.click is None and lead.needs_click:
        return Skip.NO_CLICK_ID
    if lead.click is not None and _TEST_CLICK.match(lead.click.id):
        return Skip.TEST_CLICK
    if lead.consent_marketing is False or (
        lead.consent_marketing is None and lead.consent_mode == "required"
    ):
        return Skip.NO_CONSENT
    if due_at - (lead.click.at if lead.click else lead.tapped_at) > LONGEST_CLICK_AGE:
        return Skip.TOO_OLD
    return Skip.VALUE_UNKNOWN if worth_of(lead)[0] is None else None


def order_id(call_id: UUID, cycle: int) -> str:
    """The key that makes sending exactly-once. Says nothing about any person; at most 64 characters."""
    return f"om-{call_id.hex}-{cycle}"


def occurred_at(lead: SealedLead) -> datetime:
    """When the conversion happened: at the sale where its date is known, else by the site's policy.

    Never before the tap, and after the ad click: Google refuses a conversion that precedes its click.
    """
    moment = lead.sale_at or (lead.decided_at if lead.conversion_time == "decision" else lead.tapped_at)
    moment = max(moment, lead.tapped_at) + (lead.cycle - 1) * EACH_CYCLE
    return max(moment, lead.click.at + AFTER_CLICK) if lead.click else moment


def one_click(
    own: tuple[str | None, str | None],
    visit: Mapping[ClickKind, str | None],
    *,
    visit_clicked_at: datetime | None,
    tapped_at: datetime,
) -> Click | None:
    """The one click to report: the lead's own, else its visit's; of several gclid, else wbraid, else gbraid.

    ``own`` is the kind and the id that came with the tap itself. Its time is the visit's where that knows the same
    click, else the tap's, which is certainly not before it.
    """
    ordered = [(kind, visit.get(kind)) for kind in ("gclid", "wbraid", "gbraid")]
    found = [Click(kind, value, visit_clicked_at or tapped_at) for kind, value in ordered if value]  # type: ignore[arg-type]
    kind, value = own
    if kind is None or value is None:
        return found[0] if found else None
    same = visit_clicked_at is not None and any(click.id == value for click in found)
    at = visit_clicked_at if same and visit_clicked_at is not None else tapped_at
    return Click(kind, value, at)  # type: ignore[arg-type]
