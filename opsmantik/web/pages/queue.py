"""The queue: the leads that wait, card by card, for whoever decides; for an analyst the same to read.

The page brings the next cards with it, so that a decision waits for none. Then it asks for more cards, for how those
it has stand now, and, every few seconds, says which card is looked at and hears who else looks at which.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, get, post

from opsmantik import clock
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards import queue as cards
from opsmantik.dashboard.cards.queue import (
    KINDS,
    NARROW,
    ORDERS,
    Asked,
    Kind,
    Mark,
    Order,
    Queue,
    State,
    Waiting,
)
from opsmantik.errors import Malformed
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, READS, body_of, reply
from opsmantik.web.guard import needs
from opsmantik.web.looking import Looking
from opsmantik.web.pages.site_frame import looking_at, site_of, site_page
from opsmantik.web.rendering import PageRequest, View

DECIDES: Final = needs(Capability.DECIDE)
FILTERS: Final = ("action", "captured_by", "click", *NARROW)
MOST_IDS: Final = 200


class Asking(msgspec.Struct, frozen=True):
    """What the address asks for, and the addresses of the same with one thing changed."""

    look: Looking
    asked: Asked
    path: str

    def link(self, *, order: str | None = None, **changes: str | None) -> str:
        """The queue with these changes; what is usual stands in no address."""
        order = order or self.asked.order
        query = self.look.query(**changes)
        more = urlencode({"order": order}) if order != ORDERS[0] else ""
        query = "&".join(part for part in (query, more) if part)
        return f"{self.path}?{query}" if query else self.path

    @property
    def query(self) -> str:
        """The same as a query, for scripts that ask for more of it."""
        return self.link().partition("?")[2]

    @property
    def filters(self) -> dict[str, str]:
        """What narrows it down, as far as the queue knows of it."""
        return {name: value for name, value in self.look.filters.items() if name in FILTERS}

    @property
    def is_narrow(self) -> bool:
        """Whether some that wait may be left out."""
        return bool(self.filters) or self.asked.over is not None or self.asked.paid


class Looks(msgspec.Struct, forbid_unknown_fields=True):
    """The card that is looked at; none when its page is left or hidden."""

    lead: UUID | None = None


class Others(msgspec.Struct, frozen=True):
    """Who else looks at which lead."""

    others: list[tuple[UUID, str]]


class News(msgspec.Struct, frozen=True):
    """How the queue stands: how many wait, which leads are new to the page, and how those stand that it has."""

    waiting: int
    new: list[UUID]
    leads: list[State]


def _asking(request: PageRequest, site: AskedSite) -> Asking:
    """By itself the queue is all that ever waited: only a range in the address makes it less.

    Raises :class:`~opsmantik.errors.BadRange`.
    """
    look = looking_at(request, site)
    kind, order = look.filters.get("status", KINDS[0]), request.query_params.get("order", ORDERS[0])
    asked = Asked(
        kind=cast("Kind", kind if kind in KINDS else KINDS[0]),
        order=cast("Order", order if order in ORDERS else ORDERS[0]),
        over=look.period.over if look.words else None,
        paid=look.paid,
        filters=look.filters,
    )
    return Asking(look, asked, f"/sites/{site.id}/queue")


@get("/sites/{site_id:uuid}/queue", opt=READS)
async def show_queue(request: PageRequest) -> Response[Any]:
    """The page, with the first cards; the one that it opens with is nobody else's just now, if there is such a one."""
    async with site_of(request) as (connection, site):
        asking = _asking(request, site)
        found = await cards.queue(connection, site, asking.asked)
        looked = await cards.looked_at(connection, site.id, request.state.person.user_id)
    ids = [each.intent.id for each in found.leads]
    first = next((lead_id for lead_id in ids if lead_id not in looked), ids[0] if ids else None)
    return _page(request, "queue.html", site, asking, found, first)


@get("/sites/{site_id:uuid}/queue/cards", opt=READS)
async def show_cards(request: PageRequest) -> Response[Any]:
    """More cards alone: those after a lead of the queue (``after``, ``score``), or these (``ids``) as they are now."""
    async with site_of(request) as (connection, site):
        asking, after, ids = _asking(request, site), _mark(request), _ids(request)
        if ids:
            leads = await cards.queue_leads(connection, site, ids)
            found = Queue(leads=leads, waiting=0, mark=None, as_of=datetime.min)
        else:
            found = await cards.queue(connection, site, asking.asked, after=after)
    return _page(request, "queue_cards.html", site, asking, found)


@get("/sites/{site_id:uuid}/queue/state", opt=READS)
async def tell_state(request: PageRequest) -> Response[Any]:
    """How many wait, what is new ``since`` and not among ``ids``, and how those stand: JSON."""
    async with site_of(request) as (connection, site):
        asked, ids = _asking(request, site).asked, _ids(request)
        since = _moment(request.query_params.get("since", ""))
        found = await cards.queue(
            connection, site, asked, since=since - cards.LATE, rows=cards.MOST_NEW + len(ids)
        )
        states = await cards.queue_states(connection, site, ids)
    known = set(ids)
    new = [each.intent.id for each in found.leads if each.intent.id not in known][: cards.MOST_NEW]
    return reply(request, News(found.waiting, new, states), NOW)


@post("/sites/{site_id:uuid}/queue/presence", opt=DECIDES, status_code=200)
async def look_at_card(request: PageRequest) -> Response[Any]:
    """The asker looks at this card; who else looks at which."""
    async with site_of(request, write=True) as (connection, site):
        looks = await body_of(request, Looks)
        others = await cards.look_at_lead(connection, site.id, looks.lead)
    return reply(request, Others(others), NOW)


def _page(
    request: PageRequest,
    template: str,
    site: AskedSite,
    asking: Asking,
    found: Queue,
    first: UUID | None = None,
) -> Response[Any]:
    return site_page(
        request, template, site, "queue", asking=asking, found=found, first=first, after=_after(found.mark),
        there=visitors_time, page_of=page_of,
    )  # fmt: skip


def _after(mark: Mark | None) -> str:
    if mark is None:
        return ""
    return urlencode(
        {"after": paging.written(paging.Cursor(mark.created_at, mark.id)), "score": mark.lead_score}
    )


def _mark(request: PageRequest) -> Mark | None:
    """Raises :class:`~opsmantik.errors.Malformed` for a mark that is none of ours."""
    after, score = request.query_params.get("after"), request.query_params.get("score", "0")
    if not after:
        return None
    at = paging.read(after)
    if not (score.isascii() and score.isdecimal() and len(score) < 4):
        raise Malformed(reason="the score is a number")
    return Mark(int(score), at.at, at.id)


def _ids(request: PageRequest) -> Sequence[UUID]:
    """The ids that are asked about; what is none names nothing."""
    found = []
    for word in request.query_params.get("ids", "").split(",")[:MOST_IDS]:
        with contextlib.suppress(ValueError):
            found.append(UUID(word))
    return found


def _moment(text: str) -> datetime:
    """Raises :class:`~opsmantik.errors.Malformed` for what is no aware time."""
    with contextlib.suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at
    raise Malformed(reason="since is a time such as 2026-02-01T12:00:00Z")


def visitors_time(view: View, lead: Waiting) -> tuple[str, str] | None:
    """What the visitor's own clock showed at the tap, and which clock; ``None`` where it is the site's, or not known."""
    name = lead.intent.session.time_zone if lead.intent.session else None
    if not name or name == view.zone_name or name not in clock.zone_names():
        return None
    there = lead.intent.occurred_at.astimezone(ZoneInfo(name))
    if there.utcoffset() == lead.intent.occurred_at.astimezone(view.zone).utcoffset():
        return None
    return there.strftime("%H:%M"), name.rpartition("/")[2].replace("_", " ")


def page_of(url: str | None) -> str:
    """The page without its host and query, as people speak of it."""
    return (urlsplit(url).path or "/")[:200] if url else ""


HANDLERS: Final = [show_queue, show_cards, tell_state, look_at_card]
