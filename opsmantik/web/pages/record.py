"""What the page of a lead and the page of a visit have in common: the steps of a visit, folded, and its history.

Enters: what the contracts answered. Leaves: the same, in the order and grouping in which people read it. No figure
is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from opsmantik.attribution.targets import PHONE_ACTIONS, WHATSAPP_ACTIONS, read_target, tap_channel
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.intent import Act
from opsmantik.dashboard.cards.session_timeline import Happening
from opsmantik.dashboard.cards.visitor_sessions import VisitorSessions, visitor_sessions
from opsmantik.dashboard.rows import VisitLead
from opsmantik.web.rendering import PageRequest

SAME_WITHIN: Final = timedelta(seconds=2)
"""Identical events so close together are one, told with how often it happened."""
FIRST_STEPS: Final = 40
MOST_STEPS: Final = 500
MORE_STEPS: Final = 100
FIRST_VISITS: Final = 8
MOST_VISITS: Final = 100
LONGEST_LABEL: Final = 120

# What an event's action is called on the screen, where it is not called by its own name.
_KINDS: Final[Mapping[str, str]] = {
    "view": "view", "page_view": "view", "pageview": "view", "scroll_depth": "scroll", "scroll": "scroll",
    "cta_hover": "hover", "hover_intent": "hover", "form_submit": "form", "form_start": "form_start",
    "form_focus": "form_start", "click": "click", "outbound_click": "outbound", "download": "download",
    **dict.fromkeys(PHONE_ACTIONS, "phone"), **dict.fromkeys(WHATSAPP_ACTIONS, "whatsapp"),
}  # fmt: skip
LOUD: Final = frozenset({"phone", "whatsapp", "form"})
"""The steps that became, or could become, a lead."""


class Step(msgspec.Struct, kw_only=True):
    """One thing that happened, or the same several times in a row. ``at`` is the latest, ``first`` the earliest."""

    kind: str
    action: str
    at: datetime
    first: datetime
    label: str | None
    number: str | None
    """The number that was tapped, where the link itself says of which country it is."""
    value: str | None
    flags: list[str]
    key: tuple[Any, ...]
    times: int = 1
    lead: UUID | None = None

    @property
    def is_loud(self) -> bool:
        """Whether it stands out: a tap or a form."""
        return self.kind in LOUD


class Page(msgspec.Struct):
    """Steps on one page of the site, latest first, as long as the visitor stayed on it."""

    url: str | None
    path: str | None
    steps: list[Step]


def pages_of(items: Iterable[Happening], leads: Sequence[VisitLead] = ()) -> list[Page]:
    """The steps of a visit by the page that they happened on, latest first, identical ones folded."""
    pages: list[Page] = []
    for item in items:
        step = _step(item, leads)
        path = path_of(item.url)
        if not pages or pages[-1].path != path:
            pages.append(Page(item.url, path, []))
        steps = pages[-1].steps
        if steps and steps[-1].key == step.key and steps[-1].first - step.at <= SAME_WITHIN:
            steps[-1].times += 1
            steps[-1].first = step.at
            steps[-1].lead = steps[-1].lead or step.lead
        else:
            steps.append(step)
    return pages


def _step(item: Happening, leads: Sequence[VisitLead]) -> Step:
    channel = tap_channel(item.event_action, item.event_label)
    kind = channel or _KINDS.get(item.event_action, "other")
    value = None if item.event_value is None else f"{item.event_value.normalize():f}"
    label = (item.event_label or "").strip()[:LONGEST_LABEL] or None
    return Step(
        kind=kind,
        action=item.event_action,
        at=item.occurred_at,
        first=item.occurred_at,
        label=label,
        number=_number(channel, item.event_label or ""),
        value=value,
        flags=item.flags,
        key=(item.event_category, item.event_action, item.event_label, item.event_value, path_of(item.url)),
        lead=_lead_of(item, kind, leads) if kind in LOUD else None,
    )


def _number(channel: str | None, label: str) -> str | None:
    if channel is None or (channel == "phone" and "+" not in label):
        return None
    target = read_target(label)
    return target.number if target is not None else None


def _lead_of(item: Happening, kind: str, leads: Sequence[VisitLead]) -> UUID | None:
    """The lead that this tap became: the one of its kind and moment."""
    return next(
        (
            lead.id
            for lead in leads
            if (lead.action or kind) == kind and abs(lead.occurred_at - item.occurred_at) < SAME_WITHIN
        ),
        None,
    )


def path_of(url: str | None) -> str | None:
    """The page's path, as people name a page of their own site; without the parameters that ads write."""
    if not url:
        return None
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return url[:LONGEST_LABEL]


def asked_for(request: PageRequest, name: str, first: int, most: int) -> int:
    """How many rows the address asks for: ``first`` unless it says more, and never more than ``most``."""
    text = request.query_params.get(name, "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else first
    return max(first, min(number, most))


async def history_of(
    connection: Any, site: AskedSite, visitor: str | None, visits: int
) -> VisitorSessions | None:
    """The visits of the same device; nothing where nobody knows which it was."""
    if not visitor:
        return None
    return await visitor_sessions(connection, site, visitor=visitor, limit=visits)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an act made of one thing; amounts each with the currency that it had."""

    name: str
    before: Any
    after: Any
    currency: str
    currency_before: str


# What a log's line tells, in its order; of the rest the act itself is the word.
_TOLD: Final = ("status", "stage", "sale_amount", "sale_at", "quality", "junk_reason", "suspicion", "note")


def changes_of(act: Act, currency: str) -> list[Change]:
    """What the act changed, by the names of :data:`_TOLD`; ``currency`` is the lead's now."""
    after = act.after or {}
    now = str(after.get("currency") or currency)
    was = str(act.before.get("currency") or now)
    return [
        Change(
            name=name, before=_value(name, act.before[name]), after=_value(name, after.get(name)), currency=now,
            currency_before=was,
        )
        for name in _TOLD
        if name in act.before and (act.before[name] != after.get(name) or (name == "sale_amount" and was != now))
    ]  # fmt: skip


def line_of(act: Act) -> str | None:
    """The words of an act's line, where they are not those of a note or reason that it changed."""
    after = act.after or {}
    return None if act.note in (after.get("note"), after.get("junk_reason")) else act.note


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "sale_amount":
        return Decimal(str(value))
    return datetime.fromisoformat(value) if name == "sale_at" else value
