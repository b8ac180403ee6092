"""The frame of every page about one site: the site, who looks at it, and the way to its other pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode
from uuid import UUID

from litestar import Response

from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.errors import NotFound
from opsmantik.people.capabilities import ROLES, Capability
from opsmantik.sites.values import amount_chips
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


# Six at most, and no more: the bar is at a phone's lower edge, under a thumb.
TABS: Final[tuple[Tab, ...]] = (
    Tab("overview", "", "overview"),
    Tab("queue", "/queue", "queue"),
    Tab("leads", "/leads?range=all", "leads"),
    Tab("conversions", "/conversions", "conversions"),
    Tab("live", "/live", "live"),
    Tab("settings", "/settings", "settings"),
)

# What of an address means the same on another site: the range by its name or days, and the scope. Not what narrows down:
# a campaign is one site's own.
KEPT: Final = ("day", "range", "first", "last", "scope", "compare")
_BELOW: Final = re.compile(r"(?:/settings(?:/[a-z]+)?|/[a-z]+)?")


@asynccontextmanager
async def site_of(
    request: PageRequest, *, write: bool = False, snapshot: bool = False
) -> AsyncIterator[tuple[Any, AskedSite]]:
    """The asker's transaction, and the site that the address names; the transaction sees no other. With ``snapshot``
    all its statements see one state of the database.

    Raises :class:`~opsmantik.errors.NotFound` for a site that is not there or not the asker's, and
    :class:`~opsmantik.errors.Forbidden` where their role on it does not allow what the route needs.
    """
    site_id: UUID = request.path_params["site_id"]
    database, who = request.app.state.database, asker(request)
    async with database.as_person(who, write=write, snapshot=snapshot) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        if site is None:
            raise NotFound(what="site")
        yield connection, site


def looking_at(request: PageRequest, site: AskedSite, *, is_list: bool = False) -> Looking:
    """What the address asks to see; of any time, where the page ``is_list`` of rows. Raises
    :class:`~opsmantik.errors.BadRange`."""
    return looking.read(dict(request.query_params), site.time_zone, view_of(request).now, is_list=is_list)


def may(site: AskedSite, capability: Capability) -> bool:
    """Whether the asker's role on this site has it: for what a page offers. What is done is checked where it is done."""
    return capability in ROLES.get(site.role, frozenset())


def site_page(
    request: PageRequest, template: str, site: AskedSite, tab: str, *, status: int = 200, **context: Any
) -> Response[Any]:
    """A page of the site, or a part of one, in the site's time zone; with what decide_dialogs.html needs."""
    return page(
        request, template, view=view_of(request, site.time_zone), status=status, site=site, tab=tab,
        tabs=[each for each in TABS if may(site, each.needs)], decides=may(site, Capability.DECIDE),
        chips=amount_chips(site.config, site.currency),
        same_page=same_page(request.url.path, dict(request.query_params)), **context,
    )  # fmt: skip


def same_page(path: str, query: Mapping[str, str]) -> str:
    """What comes after a site's id in the address of the same page of another one.

    A lead, a visit or another thing of the one site leads to the list that it is in.
    """
    below = re.sub(r"^/sites/[^/]+", "", path)
    found = _BELOW.match(below)
    words = found[0] if found else ""
    kept = {name: query[name][:40] for name in KEPT if query.get(name)}
    return words + (f"?{urlencode(kept, quote_via=quote)}" if kept else "")
