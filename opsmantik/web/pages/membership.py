"""One's own place on a site: the role, what it allows, going, and the site itself where its owner offers it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard.asked import AskedSite
from opsmantik.errors import NotToBeChanged
from opsmantik.people import members
from opsmantik.people.capabilities import ROLES, Capability
from opsmantik.web.api import READS
from opsmantik.web.guard import recently
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, view_of

HERE: Final = "/sites/{site_id:uuid}/settings/membership"
# What a role allows, as it is said to whoever holds it.
SAID: Final = (
    Capability.READ, Capability.DECIDE, Capability.WRITE, Capability.TEND, Capability.EXPORT, Capability.MEMBERS,
    Capability.KEYS, Capability.ERASE, Capability.OWN,
)  # fmt: skip


async def _membership_page(
    request: PageRequest, *, part: str = "membership", status: int = 200, problem: str | None = None
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        offer = await members.offer_of(connection, site.id)
    if offer is not None and offer.offered_to != request.state.person.user_id:
        offer = None
    held = ROLES.get(site.role, frozenset())
    may = [capability.name.lower() for capability in SAID if capability in held]
    return settings_page(request, part, site, status=status, offer=offer, may=may, problem=problem)


@get(HERE, opt=READS)
async def show_membership(request: PageRequest) -> Response[Any]:
    """One's role here, and the way out."""
    return await _membership_page(request)


@post(f"{HERE}/leave", opt=READS)
async def leave(request: PageRequest) -> Response[Any]:
    """Go. The owner cannot before the site is somebody else's."""
    try:
        async with settings_of(request, write=True) as (connection, site):
            await members.leave(connection, site.id)
    except NotToBeChanged as refused:
        words = view_of(request).words
        owner = refused.details["why"] == "owner"
        problem = words("membership.owner_stays") if owner else words("membership.no_member")
        return await _membership_page(request, status=422, problem=problem)
    return Redirect("/sites", status_code=303)


@get(f"{HERE}/ownership", opt=READS)
async def show_offer(request: PageRequest) -> Response[Any]:
    """The site as it is offered to whoever asks, to take or to decline."""
    recently(request)
    return await _membership_page(request, part="offer")


@post(f"{HERE}/ownership", opt=READS)
async def answer_offer(request: PageRequest) -> Response[Any]:
    """Take the site, or decline it."""
    accept = (await form_of(request)).get("answer") == "accept"
    if accept:
        recently(request, f"/sites/{request.path_params['site_id']}/settings/membership/ownership")
    async with settings_of(request, write=True) as (connection, site):
        done = await members.answer_offer(connection, site.id, accept=accept)
    if not done:
        problem = view_of(request).words("membership.offer_gone")
        return await _membership_page(request, status=422, problem=problem)
    return Redirect(_after(site, accept), status_code=303)


def _after(site: AskedSite, accepted: bool) -> str:
    return f"/sites/{site.id}/settings/{'ownership' if accepted else 'membership'}"


HANDLERS: Final = [show_membership, leave, show_offer, answer_offer]
