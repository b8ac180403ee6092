"""The frame of a site's settings: which parts there are, who may open them, and the page around each.

Each part is a module of its own beside this one, with a template that extends ``settings.html`` and words in
``words/*/<part>.toml``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

from litestar import Response

from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.errors import NotFound
from opsmantik.people.capabilities import ROLES, Capability
from opsmantik.web.guard import asker
from opsmantik.web.rendering import PageRequest, page, view_of


class Part(NamedTuple):
    """One part of the settings, at /sites/{id}/settings/{name}, and what opening it needs."""

    name: str
    needs: Capability


# First what makes the site work, then who works with it, then what leaves it, then what is rare.
PARTS: Final[tuple[Part, ...]] = (
    Part("origins", Capability.WRITE),
    Part("refused", Capability.TEND),
    Part("limits", Capability.WRITE),
    Part("members", Capability.MEMBERS),
    Part("notifications", Capability.READ),
    Part("webhooks", Capability.WRITE),
    Part("keys", Capability.KEYS),
    Part("privacy", Capability.ERASE),
    Part("log", Capability.WRITE),
    Part("membership", Capability.READ),
    Part("ownership", Capability.OWN),
)


@asynccontextmanager
async def settings_of(request: PageRequest, *, write: bool = False) -> AsyncIterator[tuple[Any, AskedSite]]:
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


def settings_page(
    request: PageRequest, part: str, site: AskedSite, *, status: int = 200, **context: Any
) -> Response[Any]:
    """A part's page, with the way to the other parts that this asker may open."""
    held = ROLES.get(site.role, frozenset())
    parts = [other.name for other in PARTS if other.needs in held]
    return page(
        request, f"settings_{part}.html", view=view_of(request, site.time_zone), status=status,
        site=site, part=part, parts=parts, **context,
    )  # fmt: skip
