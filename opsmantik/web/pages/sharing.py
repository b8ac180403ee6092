"""Links to a site's figures, in its settings: making one, seeing whether it is used, revoking it.

A new link is on the page that answers its making, once: nothing here can show it again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import Unprocessable
from opsmantik.people.capabilities import Capability
from opsmantik.sites import share_links
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest

WRITES: Final = needs(Capability.WRITE)
HERE: Final = "/sites/{site_id:uuid}/settings/sharing"
# Days that a link may live; 0: until it is revoked.
LIVES: Final = ("30", "90", "365", "0")
USUAL_LIFE: Final = "90"


class Filled(NamedTuple):
    """What somebody wrote into the form, to be shown again beside what is wrong with it."""

    name: str = ""
    life: str = USUAL_LIFE
    paid_only: bool = False


UNTOUCHED: Final = Filled()


async def _page(
    request: PageRequest,
    filled: Filled = UNTOUCHED,
    *,
    made: str = "",
    problem: str = "",
    status: int = 200,
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        links = await share_links.list_links(connection, site.id)
    return settings_page(
        request, "sharing", site, status=status, links=links, filled=filled, problem=problem, lives=LIVES,
        made=f"{request.app.state.settings.base_url}/share/{made}" if made else "", most=share_links.MOST,
        revoked="revoked" in request.query_params,
    )  # fmt: skip


@get(HERE, opt=WRITES)
async def show_sharing(request: PageRequest) -> Response[Any]:
    """The links there are, and the form for another."""
    return await _page(request)


@post(HERE, opt=WRITES, status_code=200)
async def make_share_link(request: PageRequest) -> Response[Any]:
    """Make one, and show it this once."""
    form, now = await form_of(request), datetime.now(UTC)
    filled = Filled(
        share_links.plain_name(form.get("name", ""))[: share_links.LONGEST_NAME + 1],
        form.get("life", USUAL_LIFE), bool(form.get("paid_only")),
    )  # fmt: skip
    life = int(filled.life) if filled.life in LIVES else int(USUAL_LIFE)
    try:
        async with settings_of(request, write=True) as (connection, site):
            made = await share_links.make_link(
                connection, site.id, filled.name, paid_only=filled.paid_only, now=now,
                expires_at=now + timedelta(days=life) if life else None,
            )  # fmt: skip
    except Unprocessable:
        is_name = not 1 <= len(filled.name) <= share_links.LONGEST_NAME
        return await _page(request, filled, problem="bad_name" if is_name else "too_many", status=422)
    return await _page(request, made=made)


@post(f"{HERE}/{{share_id:uuid}}/revoke", opt=WRITES)
async def revoke_share_link(request: PageRequest) -> Response[Any]:
    """At once, for good."""
    async with settings_of(request, write=True) as (connection, site):
        await share_links.revoke_link(connection, site.id, request.path_params["share_id"])
    return Redirect(f"/sites/{site.id}/settings/sharing?revoked", status_code=303)


HANDLERS: Final = [show_sharing, make_share_link, revoke_share_link]
