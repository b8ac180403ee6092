"""What a webhook is told: the form of each message, as a receiver may rely on it.

The messages are made in the transaction of what they tell (db/functions/offer_webhooks.sql); a test holds each real one
against these types. A field is never taken away and never changes its meaning within a ``payload_version``; new ones may
come, so receivers must pass over what they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

PAYLOAD_VERSION: Final = 1
CREATED: Final = "lead.created"
DECIDED: Final = "lead.decided"
MOVED: Final = "conversion.state_changed"
TEST: Final = "webhook.test"
EVENTS: Final = (CREATED, DECIDED, MOVED)
"""What a webhook can be set to be told. A test is sent to each that is asked for one."""


class LinksData(msgspec.Struct, frozen=True):
    """Where to look further; whoever follows needs an account or a key."""

    site: str
    """The site's page."""
    lead: str | UnsetType = UNSET
    """The lead over the API."""


class LeadData(msgspec.Struct, frozen=True, kw_only=True):
    """The lead as it stood when it happened. Absent is not the same as null: what is null is not known."""

    site: str
    """The site's public id."""
    lead_id: UUID
    version: int
    """Grows with every change of the lead: of two messages the one with the larger number is the later, whichever came
    first."""
    status: Literal["intent", "pending", "sealed", "junk", "suspicious", "conversion"]
    captured_at: datetime
    captured_by: Literal["click", "form", "api", "manual"]
    action: Literal["phone", "whatsapp", "form"] | None
    source: str | None
    """As the attribution ladder names it; with channel, campaign and keyword null where no visit is known."""
    channel: str | None
    campaign: str | None
    keyword: str | None
    is_paid: bool
    click_id_kind: Literal["gclid", "wbraid", "gbraid"] | None
    score: int
    """0 to 100."""
    suspicion: list[str]
    """The rules that found it suspicious."""
    stage: Literal["contacted", "offered", "won"] | None
    amount: Decimal | None
    """Of the sale, as a JSON number."""
    currency: str
    decided_at: datetime | None
    links: LinksData
    phone_number: str | UnsetType | None = UNSET
    """Only where the webhook was made with it."""
    click_id: str | UnsetType | None = UNSET
    """Only where the webhook was made with it; null for visitors who did not agree to marketing."""


class DecisionData(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to the lead."""

    action: Literal[
        "pend", "seal", "junk", "suspect", "restore", "convert", "note", "quality", "stage", "sale", "undo"
    ]
    by: Literal["person", "rule", "key"]
    """Never who."""
    from_status: str
    to_status: str


class DecidedLeadData(LeadData, frozen=True, kw_only=True):
    """The lead after the act, and the act."""

    decision: DecisionData


class ConversionData(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion after it moved."""

    id: UUID
    order_id: str
    """The exactly-once key towards the ad platform."""
    from_state: str | None
    """Null for one that is new; the same as ``state`` where only value or time changed."""
    state: Literal["held", "queued", "sent", "accepted", "matched", "failed", "retracted", "skipped"]
    reason: str | None
    value: Decimal | None
    currency: str
    occurred_at: datetime
    due_at: datetime
    """Not sent to the platform before."""


class MovedLeadData(LeadData, frozen=True, kw_only=True):
    """The lead, and its conversion."""

    conversion: ConversionData


class TestData(msgspec.Struct, frozen=True):
    """A test tells nothing."""

    site: str
    links: LinksData


class LeadCreated(msgspec.Struct, frozen=True, tag="lead.created", tag_field="type"):
    """A new lead, a second after it came in, when it has been judged: with its score, and what is suspicious about it."""

    timestamp: datetime
    payload_version: int
    data: LeadData


class LeadDecided(msgspec.Struct, frozen=True, tag="lead.decided", tag_field="type"):
    """A lead's status, stage or sale changed, by a person or by a rule; an undo is such an act too."""

    timestamp: datetime
    payload_version: int
    data: DecidedLeadData


class ConversionStateChanged(msgspec.Struct, frozen=True, tag="conversion.state_changed", tag_field="type"):
    """What is reported to the ad platform about a lead moved on."""

    timestamp: datetime
    payload_version: int
    data: MovedLeadData


class WebhookTest(msgspec.Struct, frozen=True, tag="webhook.test", tag_field="type"):
    """Somebody pressed the button."""

    timestamp: datetime
    payload_version: int
    data: TestData


Message = LeadCreated | LeadDecided | ConversionStateChanged | WebhookTest


def as_sent(payload: Mapping[str, Any], base_url: str) -> bytes:
    """The body: the message as it was kept, its links with the address of this installation in front."""
    data: dict[str, Any] = dict(payload["data"])
    data["links"] = {name: base_url + path for name, path in data.get("links", {}).items()}
    return msgspec.json.encode({**payload, "data": data})
