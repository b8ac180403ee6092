"""A site's overview: what a range brought, how it went, what waits, and what it came by.

The page comes with its figures, its trend and the leads that wait; the breakdowns, below, come by a second request, so
that the first paint does not wait for them. All figures of an answer are of one snapshot. web/stream.py tells the page
when to look again.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, get

from opsmantik import clock
from opsmantik.clock import Period
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.breakdown import DIMENSIONS, breakdown
from opsmantik.dashboard.cards.command_centre import command_centre
from opsmantik.dashboard.cards.timeline import Granularity, Timeline, timeline
from opsmantik.dashboard.cards.waiting_leads import waiting_leads
from opsmantik.dashboard.overview import compare, is_open, points
from opsmantik.errors import NotFound
from opsmantik.sites import limits
from opsmantik.web import overview
from opsmantik.web.api import READS
from opsmantik.web.looking import Looking
from opsmantik.web.pages.site_frame import looking_at, site_of, site_page
from opsmantik.web.rendering import PageRequest, view_of

# What the page shows, in its order; "city" is a part of "place".
PANELS: Final = ("source", "campaign", "keyword", "channel", "place", "page", "device", "matchtype")
ROWS, ALL_ROWS = 6, 500
# Days: the trend goes by hours up to so many and by days up to so many; a part of so many is told by hours.
HOURS_UP_TO, DAYS_UP_TO, FINE_UP_TO = 2, 62, 7


def _looking(request: PageRequest, site: AskedSite) -> Looking:
    """The range, scope and comparison; what narrows down leads does not narrow down figures."""
    return msgspec.structs.replace(looking_at(request, site), filters={})


async def _figures(request: PageRequest, connection: Any, site: AskedSite, look: Looking) -> dict[str, Any]:
    """What the template of the cards needs."""
    view, paid = view_of(request, site.time_zone), look.paid
    step, fine = _steps(look.period)
    earlier = clock.previous(look.period) if look.compare else None
    found = await command_centre(connection, site, look.period, ads_only=paid, compare=look.compare)

    async def line_of(asked: Period | None, by: Granularity) -> Timeline | None:
        return await timeline(connection, site, asked, ads_only=paid, granularity=by) if asked else None

    now, before = (
        await timeline(connection, site, look.period, ads_only=paid, granularity=step),
        await line_of(earlier, step),
    )
    lines = now, before
    if fine != step and earlier and is_open(found):
        lines = (
            await timeline(connection, site, look.period, ads_only=paid, granularity=fine),
            await line_of(earlier, fine),
        )
    compared, line = compare(found, *lines), points(now, before)
    # An import may bring visits and no word on when the last event came.
    is_new = not (found.last_event_at or found.last_lead_at or found.figures.sessions or found.figures.leads)
    return {
        "look": look, "is_new": is_new, "found": found, "compared": compared, "step": step,
        "tiles": overview.tiles(view, site, look, found, compared),
        "rows": overview.trend_rows(view, step, line), "ends": _ends(look, site, view.now),
        "range_name": overview.range_name(view, look), "until": overview.until(view, compared, found),
        "before_days": overview.days_of(view, found.previous.range) if found.previous else "",
    }  # fmt: skip


def _picker(request: PageRequest, site: AskedSite, look: Looking, path: str = "") -> dict[str, Any]:
    """What look.html needs, on a page at this path below the site's own."""
    own = f"/sites/{site.id}{path}"
    return {"look_path": own, "presets": overview.presets(view_of(request, site.time_zone), look, own)}


def _steps(asked: Period) -> tuple[Granularity, Granularity]:
    """How long a bucket of the trend is, and one of those by which a range that is not over is compared.

    The trend has no more bars than a phone has room for. The weeks of two ranges do not begin at the same place in
    them; their days and hours do.
    """
    days = len(asked.days)
    step: Granularity = "hour" if days <= HOURS_UP_TO else "day" if days <= DAYS_UP_TO else "week"
    return step, "hour" if days <= FINE_UP_TO else "day"


def _ends(look: Looking, site: AskedSite, now: Any) -> int | None:
    """When the address will mean another range, in seconds since the epoch; None for a range that stays what it is."""
    if not look.preset:
        return None
    day = look.last if look.preset == "range=month" else clock.today(site.time_zone, now)
    return int(clock.site_day(site.time_zone, day).end.timestamp())


@get("/sites/{site_id:uuid}", opt=READS)
async def show_site(request: PageRequest) -> Response[Any]:
    """The whole page. Raises :class:`~opsmantik.errors.BadRange` for a range that cannot be had."""
    async with site_of(request, snapshot=True) as (connection, site):
        look = _looking(request, site)
        known = await _figures(request, connection, site, look)
        known["leads"] = await waiting_leads(connection, site.id, ads_only=look.paid)
        known["quota"] = await limits.quota(connection, site.id)
    known |= _picker(request, site, look)
    return site_page(request, "site.html", site, "overview", whole=True, hide_compare=False, **known)


@get("/sites/{site_id:uuid}/cards/figures", opt=READS)
async def show_figures(request: PageRequest) -> Response[Any]:
    """Tiles and trend alone, for a page that was told of a change."""
    async with site_of(request, snapshot=True) as (connection, site):
        known = await _figures(request, connection, site, _looking(request, site))
    return site_page(request, "overview_cards.html", site, "overview", whole=False, **known)


@get("/sites/{site_id:uuid}/cards/waiting", opt=READS)
async def show_waiting(request: PageRequest) -> Response[Any]:
    """The newest leads that wait, alone."""
    async with site_of(request) as (connection, site):
        look = _looking(request, site)
        leads = await waiting_leads(connection, site.id, ads_only=look.paid)
    return site_page(request, "waiting_leads.html", site, "overview", leads=leads, look=look)


@get("/sites/{site_id:uuid}/cards/breakdowns", opt=READS)
async def show_breakdowns(request: PageRequest) -> Response[Any]:
    """What visits and leads came by: the first rows of each, and the hours of the week."""
    async with site_of(request) as (connection, site):
        look = _looking(request, site)
        found = await breakdown(
            connection, site, look.period, ads_only=look.paid, dimension=(*PANELS, "hour"), limit=ROWS
        )
    parts = {part.dimension: part for part in found.dimensions}
    hours = parts.pop("hour").rows
    return site_page(
        request, "overview_breakdowns.html", site, "overview", look=look, found=found, parts=parts,
        cells={(row.weekday, row.hour): row for row in hours},
        most={"leads": max((r.leads for r in hours), default=0), "sessions": max((r.sessions for r in hours), default=0)},
    )  # fmt: skip


@get("/sites/{site_id:uuid}/breakdown/{dimension:str}", opt=READS)
async def show_breakdown(request: PageRequest) -> Response[Any]:
    """All rows of one breakdown, as a page. Raises :class:`~opsmantik.errors.NotFound` for one that there is not."""
    name: str = request.path_params["dimension"]
    if name not in PANELS or name not in DIMENSIONS:
        raise NotFound(what="page")
    async with site_of(request) as (connection, site):
        look = _looking(request, site)
        found = await breakdown(
            connection, site, look.period, ads_only=look.paid, dimension=(name,), limit=ALL_ROWS
        )
    return site_page(
        request, "breakdown.html", site, "overview", look=look, found=found, part=found.dimensions[0], panels=PANELS,
        hide_compare=True, **_picker(request, site, look, f"/breakdown/{name}"),
    )  # fmt: skip


HANDLERS = [show_site, show_figures, show_waiting, show_breakdowns, show_breakdown]
