"""The frame of every page about one site: the site, who looks at it, and the way to its other pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

from litestar import Response

from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.errors import NotFound
from opsmantik.people.capabilities import ROLES, Capability
from opsmantik.web import looking
from opsmantik.web.guard import asker
from opsmantik.web.looking import Looking
from opsmantik.web.rendering import PageRequest, page, view_of


class Tab(NamedTuple):
    """One of a site's pages in its bar: its name in the words, its path below the site's own, what it needs."""

    name: str
    path: str
    icon: str
    needs: Capability = Capability.READ


# Five at most, and no more: the bar is at a phone's lower edge, under a thumb.
TABS: Final[tuple[Tab, ...]] = (
    Tab("overview", "", "overview"),
    Tab("queue", "/queue", "queue"),
    Tab("leads", "/leads", "leads"),
    Tab("live", "/live", "live"),
    Tab("settings", "/settings", "settings"),
)


@asynccontextmanager
async def site_of(request: PageRequest, *, write: bool = False) -> AsyncIterator[tuple[Any, AskedSite]]:
    """The asker's transaction, and the site that the address names; the transaction sees no other.

    Raises :class:`~opsmantik.errors.NotFound` for a site that is not there or not the asker's, and
    :class:`~opsmantik.errors.Forbidden` where their role on it does not allow what the route needs.
    """
    site_id: UUID = request.path_params["site_id"]
    async with request.app.state.database.as_person(asker(request), write=write) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        if site is None:
            raise NotFound(what="site")
        yield connection, site


def looking_at(request: PageRequest, site: AskedSite) -> Looking:
    """What the address asks to see. Raises :class:`~opsmantik.errors.BadRange`."""
    return looking.read(dict(request.query_params), site.time_zone, view_of(request).now)


def may(site: AskedSite, capability: Capability) -> bool:
    """Whether the asker's role on this site has it: for what a page offers. What is done is checked where it is done."""
    return capability in ROLES.get(site.role, frozenset())


def site_page(
    request: PageRequest, template: str, site: AskedSite, tab: str, *, status: int = 200, **context: Any
) -> Response[Any]:
    """A page of the site, or a part of one, in the site's time zone."""
    return page(
        request, template, view=view_of(request, site.time_zone), status=status, site=site, tab=tab,
        tabs=[each for each in TABS if may(site, each.needs)], decides=may(site, Capability.DECIDE), **context,
    )  # fmt: skip
