"""What a site's owner does: hand it over to one of its administrators, and switch it off and on.

Whoever does it has just proved who they are (web/guard.py, ``recently``).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import NotFound, Unprocessable
from opsmantik.people import members
from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import needs, recently
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, view_of

OWNS: Final = needs(Capability.OWN)
HERE: Final = "/sites/{site_id:uuid}/settings/ownership"


def _address(request: PageRequest) -> str:
    return f"/sites/{request.path_params['site_id']}/settings/ownership"


async def _ownership_page(
    request: PageRequest, *, status: int = 200, problem: str | None = None
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        people = await members.people_of(connection, site.id)
        offer = await members.offer_of(connection, site.id)
        disabled_at = await members.switched_off_at(connection, site.id)
    owner = next((person for person in people if person.role == "owner"), None)
    candidates = [person for person in people if person.role == "admin" and not person.disabled]
    return settings_page(
        request, "ownership", site, status=status, owner=owner, candidates=candidates, offer=offer,
        disabled_at=disabled_at, problem=problem,
    )  # fmt: skip


@get(HERE, opt=OWNS)
async def show_ownership(request: PageRequest) -> Response[Any]:
    """Whose the site is, whom it is offered to, and whether it takes events."""
    recently(request)
    return await _ownership_page(request)


@post(f"{HERE}/offer", opt=OWNS)
async def offer(request: PageRequest) -> Response[Any]:
    """Offer the site to one of its administrators; it is theirs once they take it."""
    recently(request, _address(request))
    form = await form_of(request)
    try:
        async with settings_of(request, write=True) as (connection, site):
            await members.offer(connection, site.id, _uuid(form.get("user_id", "")))
    except Unprocessable:
        return await _ownership_page(
            request, status=422, problem=view_of(request).words("ownership.bad_choice")
        )
    return Redirect(_address(request), status_code=303)


@post(f"{HERE}/withdraw", opt=OWNS)
async def withdraw(request: PageRequest) -> Response[Any]:
    """Take the offer back; one that is gone already is no surprise."""
    async with settings_of(request, write=True) as (connection, site):
        with suppress(NotFound):
            await members.withdraw_offer(connection, site.id)
    return Redirect(_address(request), status_code=303)


@post(f"{HERE}/switch", opt=OWNS)
async def switch(request: PageRequest) -> Response[Any]:
    """Off: its doors take no event. On: they do."""
    recently(request, _address(request))
    on = (await form_of(request)).get("on") == "1"
    async with settings_of(request, write=True) as (connection, site):
        await members.switch_site(connection, site.id, on=on)
    return Redirect(_address(request), status_code=303)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Unprocessable(reason="that names nobody") from None


HANDLERS: Final = [show_ownership, offer, withdraw, switch]
