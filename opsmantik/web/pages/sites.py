"""The list of sites, each with its pulse, and adding one."""

from __future__ import annotations

import unicodedata
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.response import Redirect
from phonenumbers import SUPPORTED_REGIONS

from opsmantik import clock
from opsmantik.dashboard.cards.sites_pulse import Health, SitePulse, sites_pulse
from opsmantik.errors import Unprocessable
from opsmantik.people.capabilities import Capability
from opsmantik.sites import domain
from opsmantik.sites import store as sites
from opsmantik.sites.store import SiteCard
from opsmantik.web.api import READS
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import form_of
from opsmantik.web.rendering import PageRequest, View, page, view_of

SORTS: Final = ("attention", "name")
MANY: Final = 8
"""From so many sites on there is a box to search in."""
MOST: Final = 300
"""More are not shown at once: who runs the platform may see thousands, and searches."""
LONGEST_SEARCH: Final = 100
DEFAULTS = {"domain": "", "name": "", "time_zone": "Europe/Istanbul", "region": "TR", "currency": "TRY"}


@get("/", opt=needs(Capability.ACCOUNT))
async def home() -> Redirect:
    """To the sites."""
    return Redirect("/sites", status_code=303)


class Row(NamedTuple):
    """A site in the list, its pulse, and how its people see times and money there."""

    site: SiteCard
    pulse: SitePulse
    see: View
    health: Health


@get("/sites", opt=READS)
async def list_sites(request: PageRequest) -> Response[Any]:
    """Every site that the asker may see, each with its today in its own time zone: two statements, however many.

    ``q`` searches names and domains; ``sort`` is attention (what needs somebody first) or name.
    """
    view = view_of(request)
    q = " ".join(request.query_params.get("q", "").replace("\x00", "").split())[:LONGEST_SEARCH]
    sort = request.query_params.get("sort", SORTS[0])
    sort = sort if sort in SORTS else SORTS[0]
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        known = await sites.list_sites(connection, person)
        found = [site for site in known if not q or _plain(q) in _plain(f"{site.name} {site.domain}")]
        on = [site for site in found if site.disabled_at is None]
        shown = on[:MOST]
        days = {
            site.id: clock.site_day(site.time_zone, clock.today(site.time_zone, view.now)) for site in shown
        }
        pulses = await sites_pulse(connection, days, view.now)
    rows = [
        Row(
            site,
            pulses[site.id],
            View(view.language, view.now, site.time_zone),
            pulses[site.id].health(view.now),
        )
        for site in shown
    ]
    if sort == "attention":
        rows.sort(key=_attention)
    return page(
        request, "sites.html", view=view, rows=rows, off=[site for site in found if site.disabled_at is not None],
        known=len(known), beyond=len(on) - len(shown), q=q, sort=sort, sorts=SORTS, searches=len(known) >= MANY,
        address="/sites?" + urlencode({"q": q, "sort": sort}),
    )  # fmt: skip


def _attention(row: Row) -> tuple[int, int, int, str]:
    """A tracker that fell silent, then refused origins, then what waits; of equal ones where most comes in."""
    trouble = {"silent": 0, "never": 2}.get(row.health, 3)
    if row.pulse.is_blocked:
        trouble = min(trouble, 1)
    return trouble, -row.pulse.waiting_week, -row.pulse.leads, row.site.name.lower()


def _plain(text: str) -> str:
    """Without case and without the dots and marks that are easily left out: "İstanbul" is found by "istanbul"."""
    parts = unicodedata.normalize("NFKD", text.replace("ı", "i").replace("I", "i")).lower()
    return "".join(each for each in parts if not unicodedata.combining(each))


def _new_site_page(
    request: PageRequest, fields: dict[str, str], problems: dict[str, str], status: int
) -> Response[Any]:
    view = view_of(request)
    regions = sorted((view.country(code), code) for code in SUPPORTED_REGIONS)
    return page(
        request, "new_site.html", view=view, status=status, fields=fields, problems=problems,
        zones=sorted(clock.zone_names()), regions=regions,
    )  # fmt: skip


@get("/sites/new", opt=needs(Capability.SITES))
async def show_new_site(request: PageRequest) -> Response[Any]:
    """The form for a new site."""
    return _new_site_page(request, DEFAULTS, {}, 200)


def _problems(fields: dict[str, str], view: View) -> dict[str, str]:
    """What cannot be taken, by field, in the reader's words."""
    found = {}
    try:
        domain.read_domain(fields["domain"])
    except Unprocessable:
        found["domain"] = view.words("new_site.bad_domain")
    if fields["time_zone"] not in clock.zone_names():
        found["time_zone"] = view.words("new_site.bad_time_zone")
    if fields["region"] not in SUPPORTED_REGIONS:
        found["region"] = view.words("new_site.bad_region")
    if not (len(fields["currency"]) == 3 and fields["currency"].isascii() and fields["currency"].isalpha()):
        found["currency"] = view.words("new_site.bad_currency")
    return found


@post("/sites", opt=needs(Capability.SITES))
async def create_site(request: PageRequest) -> Response[Any]:
    """Create it, then show its page, where the snippet is."""
    form = await form_of(request)
    fields = {name: form.get(name, default).strip() for name, default in DEFAULTS.items()}
    fields["currency"] = fields["currency"].upper()
    problems = _problems(fields, view_of(request))
    if problems:
        return _new_site_page(request, fields, problems, 422)
    site_id = await sites.create_site(request.app.state.database, asker(request), sites.new_site(**fields))
    return Redirect(f"/sites/{site_id}", status_code=303)


HANDLERS = [home, list_sites, show_new_site, create_site]
