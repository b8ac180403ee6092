"""A site at this moment: who is on it, what they do, and the leads that have just come in."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from opsmantik import clock
from opsmantik.dashboard.cards.live_visits import DIMENSIONS, HERE, LOOKED_AT, MINUTES, live_visits
from opsmantik.dashboard.cards.newest_intents import newest_intents
from opsmantik.dashboard.realtime import realtime
from opsmantik.web.api import READS
from opsmantik.web.pages.site_frame import looking_at, site_of, site_page
from opsmantik.web.rendering import PageRequest, view_of

LEADS: Final = 5
ROWS: Final = 5
"""Of each breakdown; the others are said to be some."""
ACTS: Final = 4
"""Of each visit; the rest is on the visit's own page."""


async def _answer(request: PageRequest, template: str, *, leads: bool, visits: bool) -> Response[Any]:
    known: dict[str, Any] = {}
    now = view_of(request).now
    async with site_of(request) as (connection, site):
        look = looking_at(request, site)
        day = clock.today(site.time_zone, now)
        over = clock.site_day(site.time_zone, day)
        if visits:
            known["live"] = await live_visits(connection, site, now, paid=look.paid)
            known["today"] = await realtime(connection, site.id, day)
        if leads:
            known["intents"] = await newest_intents(connection, site.id, rows=LEADS)
    return site_page(
        request, template, site, "live", look=look, over=over, base=f"/sites/{site.id}", rows=ROWS, acts=ACTS,
        dimensions=DIMENSIONS, here_minutes=HERE.seconds // 60, looked_hours=LOOKED_AT.seconds // 3600, minutes=MINUTES,
        **known,
    )  # fmt: skip


@get("/sites/{site_id:uuid}/live", opt=READS)
async def show_live(request: PageRequest) -> Response[Any]:
    """The whole page."""
    return await _answer(request, "live.html", leads=True, visits=True)


@get("/sites/{site_id:uuid}/cards/live", opt=READS)
async def show_live_visits(request: PageRequest) -> Response[Any]:
    """The visits alone, for a page that was told of a change."""
    return await _answer(request, "live_visits.html", leads=False, visits=True)


@get("/sites/{site_id:uuid}/cards/live-leads", opt=READS)
async def show_live_leads(request: PageRequest) -> Response[Any]:
    """The newest leads alone, a line each."""
    return await _answer(request, "live_leads.html", leads=True, visits=False)


HANDLERS: Final = [show_live, show_live_visits, show_live_leads]
