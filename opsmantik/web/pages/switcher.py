"""From one site to another, on the same page: the list that opens under the site's name in the bar."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from opsmantik.people.capabilities import ROLES
from opsmantik.sites import store as sites
from opsmantik.web.api import READS
from opsmantik.web.guard import asker
from opsmantik.web.pages.settings import PARTS
from opsmantik.web.pages.site_frame import same_page
from opsmantik.web.rendering import PageRequest, page

MOST: Final = 200


def opens(role: str, at: str) -> str:
    """The page itself, or the settings' list where this role may not open that part."""
    name = at.partition("?")[0].removeprefix("/settings/")
    part = next((part for part in PARTS if at.startswith("/settings/") and part.name == name), None)
    return "/settings" if part is not None and part.needs not in ROLES.get(role, frozenset()) else at


@get("/sites/switch", opt=READS)
async def show_switcher(request: PageRequest) -> Response[Any]:
    """The sites by name, each with the address of the page that ``at`` names."""
    path, _, query = request.query_params.get("at", "").partition("?")
    asked = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    at = same_page(f"/sites/x{path}", asked)
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        found = await sites.sites_to_open(connection, person, MOST + 1)
    rows = [(site, f"/sites/{site.id}{opens(site.role, at)}") for site in found[:MOST]]
    return page(
        request, "switcher.html", rows=rows, present=request.query_params.get("from", ""), has_more=len(found) > MOST,
    )  # fmt: skip


HANDLERS: Final = [show_switcher]
