"""``POST /api/v1/sites/{site}/intents/{intent}/decisions`` and ``…/undo``: an operator's acts, as programs and screens
send them. What an act means, and who may, is decisions/decide.py's business; here are its words of HTTP.

A lost race is 409, and says who was faster, what they did, and the lead's present version and status.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, post

from opsmantik.dashboard.asked import asked_site
from opsmantik.decisions.decide import Decided, Decision, decide, undo
from opsmantik.errors import NotFound
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, PREFIX, body_of, reply, uuid_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.rendering import PageRequest

DECIDES: Final = needs(Capability.DECIDE, program=True)


class UndoBody(msgspec.Struct, forbid_unknown_fields=True):
    """``version`` is that of the lead on the asker's screen; without one the latest act is undone, whichever it is."""

    version: int | None = None


@post(f"{PREFIX}/{{site_name:str}}/intents/{{intent_id:str}}/decisions", opt=DECIDES, status_code=200)
async def decide_intent(request: PageRequest) -> Response[Any]:
    """Decide about a lead: seal, junk, suspect, pend, restore, note, quality, stage or sale."""
    site_id, lead_id = await _lead(request)
    body = await body_of(request, Decision)
    found = await decide(request.app.state.database, asker(request), site_id, lead_id, body)
    return _told(request, site_id, found)


@post(f"{PREFIX}/{{site_name:str}}/intents/{{intent_id:str}}/undo", opt=DECIDES, status_code=200)
async def undo_decision(request: PageRequest) -> Response[Any]:
    """Take back the latest act on a lead."""
    site_id, lead_id = await _lead(request)
    body = await body_of(request, UndoBody)
    found = await undo(request.app.state.database, asker(request), site_id, lead_id, body.version)
    return _told(request, site_id, found)


def _told(request: PageRequest, site_id: UUID, decided: Decided) -> Response[Any]:
    request.app.state.collect.notices.changed(site_id, False)
    return reply(request, decided, NOW)


async def _lead(request: PageRequest) -> tuple[UUID, UUID]:
    """The site and the lead that the address names, as far as the site is the asker's."""
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
    if site is None:
        raise NotFound(what="site")
    return site.id, uuid_of(request.path_params["intent_id"], "lead")


HANDLERS: Final = [decide_intent, undo_decision]
