"""A site's origins: who may post for it, who tried, and whether the installation works."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard.cards.install_state import install_state
from opsmantik.dashboard.cards.refused import refused_origins
from opsmantik.errors import Unprocessable
from opsmantik.people.capabilities import Capability
from opsmantik.sites import origins
from opsmantik.sites import store as sites
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest

WRITES = needs(Capability.WRITE)
PATH = "/sites/{site_id:uuid}/settings/origins"


async def _page(request: PageRequest, status: int = 200, text: str = "", problem: str = "") -> Response[Any]:
    async with settings_of(request) as (connection, site):
        known = await origins.origins(connection, site.id)
        tried = await refused_origins(connection, site.id)
        state = await install_state(connection, site.id)
    listed = {entry.origin for entry in known}
    return settings_page(
        request, "origins", site, status=status, origins=known, install=state, text=text, problem=problem,
        tried=[group for group in tried if group.name not in listed],
        snippet=sites.snippet(request.app.state.settings.base_url, site.public_id),
        done=request.query_params.get("done", ""),
    )  # fmt: skip


@get(PATH, opt=WRITES)
async def show_origins(request: PageRequest) -> Response[Any]:
    """The list, those who were refused, and the state of the installation."""
    return await _page(request)


@post(PATH, opt=WRITES)
async def add_origin(request: PageRequest) -> Response[Any]:
    """Add one: what a person wrote, or one that was refused."""
    form = await form_of(request)
    text = form.get("origin", "")
    site_id = await _site(request)
    try:
        await origins.add_origin(request.app.state.database, asker(request), site_id, text)
    except Unprocessable as refused:
        problem = refused.details.get("problem", origins.Problem.HOST)
        return await _page(request, 422, text[: origins.LONGEST], str(problem))
    return Redirect(f"/sites/{site_id}/settings/origins?done=added", status_code=303)


@post(f"{PATH}/remove", opt=WRITES)
async def remove_origin(request: PageRequest) -> Response[Any]:
    """Take one off the list."""
    form = await form_of(request)
    site_id = await _site(request)
    await origins.remove_origin(
        request.app.state.database, asker(request), site_id, form.get("origin", "")[: origins.LONGEST]
    )
    return Redirect(f"/sites/{site_id}/settings/origins?done=removed", status_code=303)


async def _site(request: PageRequest) -> UUID:
    """The site that the address names, as far as the asker may change it."""
    async with settings_of(request) as (_, site):
        return site.id


HANDLERS = [show_origins, add_origin, remove_origin]
