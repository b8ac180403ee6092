"""The log of what was changed about a site: who, when, what, in words and in the site's time."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from litestar import Response, get

from opsmantik.dashboard import acts
from opsmantik.people.capabilities import Capability
from opsmantik.web.acts import said
from opsmantik.web.guard import needs
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, view_of


@get("/sites/{site_id:uuid}/settings/log", opt=needs(Capability.WRITE))
async def show_log(request: PageRequest) -> Response[Any]:
    """Newest first, by the page."""
    async with settings_of(request) as (connection, site):
        found = await acts.site_acts(connection, site.id, request.query_params.get("cursor"))
    words = view_of(request).words
    return settings_page(request, "log", site, log=found, said=partial(said, words))


HANDLERS: Final = [show_log]
