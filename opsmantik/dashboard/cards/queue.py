"""The queue: every lead that waits for a decision, whole, in the order in which somebody wants to decide.

Nothing drops out of it by age. Suspicious leads wait apart, and are asked for by their own status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, get_args
from uuid import UUID

import msgspec

from opsmantik.clock import Range
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.intent import CallReport
from opsmantik.dashboard.rows import Intent, intent_of
from opsmantik.db.sql import queries
from opsmantik.intents.status import WAITING, Status

SQL = queries(Path(__file__).with_suffix(".sql"))

Order = Literal["oldest", "best"]
ORDERS: Final[tuple[str, ...]] = get_args(Order)
Kind = Literal["waiting", "suspicious"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
STATUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "waiting": tuple(str(status) for status in WAITING),
    "suspicious": (str(Status.SUSPICIOUS),),
}
NARROW: Final = (
    "source", "channel", "campaign", "keyword", "matchtype", "device", "place", "page",
)  # fmt: skip
"""What narrows it down besides action, captured_by and click: keys as the breakdowns have them."""
ROWS: Final = 25
MOST_NEW: Final = 50
LATE: Final = timedelta(seconds=5)
"""How much later than its own time of capture a lead may be seen: its transaction takes a moment."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which leads, and in which order. ``filters`` are words of web/looking.py; others than these are passed over."""

    kind: Kind = "waiting"
    order: Order = "oldest"
    over: Range | None = None
    paid: bool = False
    filters: Mapping[str, str] = msgspec.field(default_factory=dict)


class Mark(msgspec.Struct, frozen=True):
    """The place of a lead in the queue: the next ones come after it."""

    lead_score: int
    created_at: datetime
    id: UUID


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One lead of the queue. ``None`` is "not known", never a guess."""

    intent: Intent
    call: CallReport | None
    referrer: str | None
    consent_marketing: bool | None


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the leads that wait, and how many do."""

    leads: list[Waiting]
    waiting: int
    mark: Mark | None
    """Of the last of these, where there may be more."""
    as_of: datetime


class State(msgspec.Struct, frozen=True):
    """How a lead stands, and what was done to it last; ``None`` where nothing was."""

    id: UUID
    status: str
    version: int
    action: str | None
    actor_kind: str | None
    actor: UUID | None
    actor_name: str | None
    at: datetime | None


async def queue(
    connection: Any,
    site: AskedSite,
    asked: Asked,
    *,
    after: Mark | None = None,
    since: datetime | None = None,
    rows: int = ROWS,
) -> Queue:
    """At most ``rows`` leads, those ``after`` the mark where one is given; ``since``: that came no earlier."""
    start, end = asked.over or (None, None)
    click = {"yes": True, "no": False}.get(asked.filters.get("click", ""))
    found = await connection.fetch(
        SQL.queue, site.id, list(STATUSES[asked.kind]), start, end, asked.filters.get("action"),
        asked.filters.get("captured_by"), True if asked.paid else None, click,
        *(asked.filters.get(name) for name in NARROW), asked.order,
        *((after.lead_score, after.created_at, after.id) if after else (None, None, None)), rows, since,
    )  # fmt: skip
    leads = [_lead(row) for row in found if row["id"] is not None]
    last = leads[-1].intent if len(leads) == rows else None
    return Queue(
        leads=leads,
        waiting=found[0]["waiting"] if found else 0,
        mark=Mark(last.lead_score, last.created_at, last.id) if last else None,
        as_of=found[0]["as_of"] if found else datetime.min,
    )


async def queue_leads(connection: Any, site: AskedSite, ids: Sequence[UUID]) -> list[Waiting]:
    """These leads, in this order, whatever has become of them; those that are not the site's are left out."""
    return [_lead(row) for row in await connection.fetch(SQL.queue_leads, site.id, list(ids))]


async def queue_states(connection: Any, site: AskedSite, ids: Sequence[UUID]) -> list[State]:
    """How these leads stand now."""
    return [State(*row) for row in await connection.fetch(SQL.queue_states, site.id, list(ids))]


async def look_at_lead(connection: Any, site_id: UUID, lead_id: UUID | None) -> list[tuple[UUID, str]]:
    """The asker looks at this lead, or at none any more. Who else looks at which: the lead, and their name.

    For the transaction of somebody who decides, which may write.
    """
    return [(row[0], row[1]) for row in await connection.fetch(SQL.look_at_lead, site_id, lead_id)]


async def looked_at(connection: Any, site_id: UUID, user_id: UUID) -> set[UUID]:
    """The leads that others than this person look at just now."""
    return {row[0] for row in await connection.fetch(SQL.looked_at, site_id, user_id)}


def _lead(row: Any) -> Waiting:
    report = row["call_direction"], row["call_outcome"], row["call_seconds"]
    return Waiting(
        intent=intent_of(row),
        call=None if report == (None, None, None) else CallReport(*report),
        referrer=row["referrer"],
        consent_marketing=row["consent_marketing"],
    )
