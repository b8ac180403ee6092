"""The frame of a site's settings: which parts there are, who may open them, and the page around each.

Each part is a module of its own beside this one, with a template that extends ``settings.html`` and words in
``words/*/<part>.toml``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from litestar import Response, get

from opsmantik.dashboard.asked import AskedSite
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import READS
from opsmantik.web.pages.site_frame import may, site_of, site_page
from opsmantik.web.rendering import PageRequest

settings_of = site_of
"""The asker's transaction and the site, for a part of the settings."""


class Part(NamedTuple):
    """One part of the settings: its name in the words, what opening it needs, and under which heading it stands.

    Its path is that below /sites/{id}; ``settings/{name}`` where it says none.
    """

    name: str
    needs: Capability
    group: str
    path: str = ""


class Group(NamedTuple):
    """A heading of the list, and the parts under it that the asker may open: name and path of each."""

    name: str
    parts: list[tuple[str, str]]


# The headings in their order: what makes the site, who works with it, what leaves it, what keeps it safe.
GROUPS: Final = ("site", "people", "out", "safety")
# Within a heading first what everybody needs, then what is rare.
PARTS: Final[tuple[Part, ...]] = (
    Part("general", Capability.WRITE, "site"),
    Part("values", Capability.WRITE, "site"),
    Part("rules", Capability.WRITE, "site"),
    Part("origins", Capability.WRITE, "site"),
    Part("install", Capability.READ, "site", "install"),
    Part("health", Capability.READ, "site", "health"),
    Part("members", Capability.MEMBERS, "people"),
    Part("notifications", Capability.READ, "people"),
    Part("membership", Capability.READ, "people"),
    Part("ownership", Capability.OWN, "people"),
    Part("conversions", Capability.EXPORT, "out"),
    Part("sharing", Capability.WRITE, "out"),
    Part("webhooks", Capability.WRITE, "out"),
    Part("keys", Capability.KEYS, "out"),
    Part("refused", Capability.TEND, "safety"),
    Part("limits", Capability.WRITE, "safety"),
    Part("privacy", Capability.ERASE, "safety"),
    Part("log", Capability.WRITE, "safety"),
)


def settings_page(
    request: PageRequest, part: str, site: AskedSite, *, status: int = 200, **context: Any
) -> Response[Any]:
    """A part's page, with the way to the other parts that this asker may open."""
    return site_page(
        request, f"settings_{part}.html", site, "settings", status=status, part=part, groups=open_to(site), **context,
    )  # fmt: skip


def open_to(site: AskedSite) -> list[Group]:
    """The list of parts as this asker has it; no heading over nothing."""
    found = []
    for name in GROUPS:
        open_parts = [part for part in PARTS if part.group == name and may(site, part.needs)]
        if open_parts:
            paths = [(part.name, part.path or f"settings/{part.name}") for part in open_parts]
            found.append(Group(name, paths))
    return found


@get("/sites/{site_id:uuid}/settings", opt=READS)
async def show_settings(request: PageRequest) -> Response[Any]:
    """All parts that are the asker's to open, each with what it is for."""
    async with settings_of(request) as (_, site):
        pass
    return settings_page(request, "index", site)


HANDLERS: Final = [show_settings]
