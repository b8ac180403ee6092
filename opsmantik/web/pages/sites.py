"""The list of sites, each with its pulse, and adding one."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect
from phonenumbers import SUPPORTED_REGIONS

from opsmantik import clock
from opsmantik.dashboard.cards.sites_pulse import sites_pulse
from opsmantik.errors import Unprocessable
from opsmantik.people.capabilities import Capability
from opsmantik.sites import domain
from opsmantik.sites import store as sites
from opsmantik.web.api import READS
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import form_of
from opsmantik.web.rendering import PageRequest, View, page, view_of

DEFAULTS = {"domain": "", "name": "", "time_zone": "Europe/Istanbul", "region": "TR", "currency": "TRY"}


@get("/", opt=needs(Capability.ACCOUNT))
async def home() -> Redirect:
    """To the sites."""
    return Redirect("/sites", status_code=303)


@get("/sites", opt=READS)
async def list_sites(request: PageRequest) -> Response[Any]:
    """Every site that the asker may see, with its leads of today, in its own time zone."""
    view = view_of(request)
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        found = await sites.list_sites(connection, person)
        days = {
            site.id: clock.site_day(site.time_zone, clock.today(site.time_zone, view.now)) for site in found
        }
        pulses = await sites_pulse(connection, days)
    rows = [(site, pulses[site.id], View(view.language, view.now, site.time_zone)) for site in found]
    return page(request, "sites.html", view=view, rows=rows)


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
