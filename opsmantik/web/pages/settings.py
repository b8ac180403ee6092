"""The frame of a site's settings: which parts there are, who may open them, and the page around each.

Each part is a module of its own beside this one, with a template that extends ``settings.html`` and words in
``words/*/<part>.toml``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from litestar import Response, get
from litestar.response import Redirect

from opsmantik.dashboard.asked import AskedSite
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import READS
from opsmantik.web.pages.site_frame import may, site_of, site_page
from opsmantik.web.rendering import PageRequest

settings_of = site_of
"""The asker's transaction and the site, for a part of the settings."""


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


def settings_page(
    request: PageRequest, part: str, site: AskedSite, *, status: int = 200, **context: Any
) -> Response[Any]:
    """A part's page, with the way to the other parts that this asker may open."""
    return site_page(
        request, f"settings_{part}.html", site, "settings", status=status,
        part=part, parts=_open_to(site), **context,
    )  # fmt: skip


def _open_to(site: AskedSite) -> list[str]:
    return [other.name for other in PARTS if may(site, other.needs)]


@get("/sites/{site_id:uuid}/settings", opt=READS)
async def show_settings(request: PageRequest) -> Redirect:
    """To the first part that is the asker's to open."""
    async with settings_of(request) as (_, site):
        parts = _open_to(site)
    site_id: UUID = site.id
    return Redirect(f"/sites/{site_id}/settings/{parts[0]}", status_code=303)


HANDLERS: Final = [show_settings]
