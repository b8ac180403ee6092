"""One site: the figures of its day and its newest leads. web/stream.py tells the page when to look again."""

from __future__ import annotations

from typing import Any, cast

from litestar import Response, get

from opsmantik import clock
from opsmantik.dashboard.cards.newest_intents import SHOWS, Show, newest_intents
from opsmantik.dashboard.cards.tiles import tiles
from opsmantik.sites import limits
from opsmantik.sites import store as sites
from opsmantik.web.api import READS
from opsmantik.web.pages.site_frame import site_of, site_page
from opsmantik.web.rendering import PageRequest, view_of

WHOLE = {"tiles", "intents"}


def _show(request: PageRequest) -> Show:
    asked = request.query_params.get("show", "newest")
    return cast("Show", asked) if asked in SHOWS else "newest"


async def _answer(request: PageRequest, template: str, needs: set[str]) -> Response[Any]:
    """A page or card about one site: all its figures in one transaction, over the site's own today.

    Raises :class:`~opsmantik.errors.NotFound` for a site that is not there or not the asker's: no word which.
    """
    state, show = request.app.state, _show(request)
    known: dict[str, Any] = {"show": show}
    async with site_of(request) as (connection, site):
        today = clock.today(site.time_zone, view_of(request).now)
        over = clock.site_day(site.time_zone, today)
        if "tiles" in needs:
            known["tiles"] = await tiles(connection, site.id, over)
        if needs == WHOLE:
            known["quota"] = await limits.quota(connection, site.id)
        if "intents" in needs:
            known["intents"] = await newest_intents(connection, site.id, show, over)
    snippet = sites.snippet(state.settings.base_url, site.public_id)
    return site_page(request, template, site, "overview", today=today, over=over, snippet=snippet, **known)


@get("/sites/{site_id:uuid}", opt=READS)
async def show_site(request: PageRequest) -> Response[Any]:
    """The whole page."""
    return await _answer(request, "site.html", WHOLE)


@get("/sites/{site_id:uuid}/cards/tiles", opt=READS)
async def show_tiles(request: PageRequest) -> Response[Any]:
    """The tiles alone, for a page that was told of a change."""
    return await _answer(request, "tiles.html", {"tiles"})


@get("/sites/{site_id:uuid}/cards/newest-intents", opt=READS)
async def show_newest_intents(request: PageRequest) -> Response[Any]:
    """The newest leads alone."""
    return await _answer(request, "newest_intents.html", {"intents"})


HANDLERS = [show_site, show_tiles, show_newest_intents]
