"""Who is on the site at this moment, and what they do: the screen that somebody leaves open beside their work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from opsmantik.attribution.targets import PHONE_ACTIONS, WHATSAPP_ACTIONS, read_target
from opsmantik.clock import ONE_DAY, Range, month_bounds
from opsmantik.dashboard.asked import AskedSite
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

SQL = queries(Path(__file__).with_suffix(".sql"))

HERE: Final = timedelta(minutes=5)
"""A visit whose last sign of life (heartbeats are some) is no older is on the site now."""
LOOKED_AT: Final = timedelta(hours=3)
"""Visits that began earlier are not looked at: the few that last longer would cost reading all those that do not."""
MINUTES: Final = 30
VISITS: Final = 20
EVENTS: Final = 40
QUIET: Final = 7 * ONE_DAY
"""How far back a quiet site's last visits are still shown."""
DIMENSIONS: Final = ("source", "place", "device", "page")


class Here(msgspec.Struct, frozen=True):
    """How many visits on the site now have this value, and how many of them are paid. None is "not known"."""

    value: str | None
    visits: int
    paid: int


class Minute(msgspec.Struct, frozen=True):
    """What began in one minute of the clock; ``ago`` 0 is the one under way."""

    ago: int
    visits: int
    leads: int


class Act(msgspec.Struct, frozen=True):
    """What somebody did on the site, once or several times in a row. Times are those of the happening."""

    kind: str
    """view, phone, whatsapp, form, scroll, other."""
    name: str
    """The event's own action."""
    label: str | None
    path: str | None
    value: Decimal | None
    """Of scrolling how far, in percent."""
    times: int
    first_at: datetime
    last_at: datetime


class LiveVisit(msgspec.Struct, frozen=True, kw_only=True):
    """One visit and its newest acts, newest first; ``earlier`` events lie before them."""

    visit_id: UUID
    begun_at: datetime
    last_event_at: datetime
    total_duration_sec: int
    event_count: int
    is_paid: bool
    has_click_id: bool
    attribution_source: str
    channel: str
    keyword: str | None
    campaign: str | None
    city: str | None
    district: str | None
    country: str | None
    device_type: str | None
    device_os: str | None
    previous_visit_count: int
    intent_count: int
    acts: list[Act]
    earlier: int


class LiveVisits(msgspec.Struct, frozen=True, kw_only=True):
    """``by`` has the values of each of :data:`DIMENSIONS`, most visits first. ``lag`` is how many seconds lay between
    an event's happening and its being stored: the middle one of those shown that came in within :data:`MINUTES`, None
    where none did."""

    visits: int
    paid: int
    by: dict[str, list[Here]]
    minutes: list[Minute]
    """Oldest first, all of them."""
    feed: list[LiveVisit]
    lag: float | None
    last_event_at: datetime | None
    as_of: datetime
    sequence: int

    def is_here(self, visit: LiveVisit) -> bool:
        """Whether the visit is one of those that are counted."""
        return self.as_of - visit.last_event_at <= HERE and self.as_of - visit.begun_at <= LOOKED_AT


async def live_visits(
    connection: Any, site: AskedSite, now: datetime, *, paid: bool = False, most: int = VISITS
) -> LiveVisits:
    """The site at this moment; ``now`` tells which months that may be about. Raises NotFound for no site of theirs."""
    first, last = month_bounds(Range(now - LOOKED_AT, now + ONE_DAY))
    cells = await connection.fetch(
        SQL.live_visits, site.id, now - LOOKED_AT, first, last, paid, HERE, most, now - QUIET,
        month_bounds(Range(now - QUIET, now))[0], now + ONE_DAY,
    )  # fmt: skip
    if not cells:
        raise NotFound(what="site")
    wanted = [UUID(cell["value"]) for cell in cells if cell["dimension"] == "visit"]
    rows = await connection.fetch(SQL.live_visits_acts, site.id, wanted, EVENTS) if wanted else []
    whole = next((cell for cell in cells if cell["dimension"] == "all"), None)
    return LiveVisits(
        visits=whole["visits"] if whole else 0,
        paid=whole["paid"] if whole else 0,
        by={name: _values(cells, name) for name in DIMENSIONS},
        minutes=_minutes(cells),
        feed=[_visit(list(group)) for _, group in groupby(rows, lambda row: row["visit_id"])],
        lag=_lag(rows, cells[0]["as_of"]),
        last_event_at=cells[0]["last_event_at"],
        as_of=cells[0]["as_of"],
        sequence=cells[0]["sequence"],
    )


def _values(cells: Iterable[Any], name: str) -> list[Here]:
    found = [Here(c["value"] or None, c["visits"], c["paid"]) for c in cells if c["dimension"] == name]
    return sorted(found, key=lambda here: (-here.visits, here.value or "\uffff"))


def _minutes(cells: Iterable[Any]) -> list[Minute]:
    counted = {
        (c["dimension"], int(c["value"])): c["visits"] for c in cells if c["dimension"] in ("minute", "lead")
    }
    return [
        Minute(ago, counted.get(("minute", ago), 0), counted.get(("lead", ago), 0))
        for ago in reversed(range(MINUTES))
    ]


def _lag(rows: Iterable[Any], now: datetime) -> float | None:
    fresh = [
        max(0.0, (row["created_at"] - row["occurred_at"]).total_seconds())
        for row in rows
        if row["created_at"] is not None and now - row["created_at"] <= timedelta(minutes=MINUTES)
    ]
    return median(fresh) if fresh else None


def _visit(rows: Sequence[Any]) -> LiveVisit:
    first = rows[0]
    fields = {name: first[name] for name in LiveVisit.__struct_fields__ if name not in ("acts", "earlier")}
    events = [row for row in rows if row["event_action"] is not None]
    return LiveVisit(**fields, acts=fold(events), earlier=max(0, first["event_count"] - len(events)))


def fold(events: Iterable[Any]) -> list[Act]:
    """Events, newest first, as acts: equal ones that follow each other are one, and of scrolling down a page only how
    far it got."""
    acts: list[Act] = []
    for event in events:
        act = _act(event)
        if acts and _same(acts[-1], act):
            last = acts[-1]
            values = [value for value in (last.value, act.value) if value is not None]
            acts[-1] = msgspec.structs.replace(
                last, times=last.times + 1, first_at=min(last.first_at, act.first_at),
                last_at=max(last.last_at, act.last_at), value=max(values) if values else None,
            )  # fmt: skip
        else:
            acts.append(act)
    return acts


def _same(one: Act, other: Act) -> bool:
    if one.kind != other.kind or one.path != other.path:
        return False
    return one.kind == "scroll" or (one.name, one.label, one.value) == (other.name, other.label, other.value)


def _act(event: Any) -> Act:
    name: str = event["event_action"]
    at: datetime = event["occurred_at"]
    kind = _kind(name)
    return Act(
        kind=kind, name=name, label=_label(kind, event["event_label"]), path=path_of(event["url"]),
        value=event["event_value"], times=1, first_at=at, last_at=at,
    )  # fmt: skip


def _label(kind: str, label: str | None) -> str | None:
    """Of a tap the number or account that its link leads to; the same words for links written differently."""
    if not label or kind not in ("phone", "whatsapp"):
        return label
    target = read_target(label)
    return (target.number or target.value) if target is not None else label


def _kind(action: str) -> str:
    for kind, actions in _KINDS.items():
        if action in actions:
            return kind
    return "other"


_KINDS: Final = {
    "view": frozenset({"view", "page_view", "pageview"}),
    "phone": PHONE_ACTIONS,
    "whatsapp": WHATSAPP_ACTIONS,
    "form": frozenset({"form_submit"}),
    "scroll": frozenset({"scroll", "scroll_depth"}),
}


def path_of(url: str | None) -> str | None:
    """The page without host, query and fragment, as breakdowns have it."""
    if not url:
        return None
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return None
