"""``GET /api/v1/sites/{site}/refused`` and ``POST …/refused/{id}/admit``: what a site refused, for programs."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post

from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards.refused import SPANS, refused
from opsmantik.errors import Conflict, Malformed, NotFound
from opsmantik.event import Reason
from opsmantik.ingest import readmission
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, PREFIX, reply, uuid_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.rendering import PageRequest

MOST: Final = 200


class Admission(msgspec.Struct, frozen=True):
    """``ok``: the event is in. ``outcome``: stored, pulse, duplicate; or the reason for which it was refused again, with
    ``error`` in words."""

    ok: bool
    id: UUID
    outcome: str
    error: str | None
    replay_count: int


@get(f"{PREFIX}/{{site_name:str}}/refused", opt=needs(Capability.TEND))
async def list_refused(request: PageRequest) -> Response[Any]:
    """Counts by reason, groups and examples."""
    asked = request.query_params
    unknown = set(asked) - {"span", "reason", "limit", "cursor"}
    if unknown:
        raise Malformed(reason=f"there is no parameter {min(unknown)}")
    span, reason, limit = asked.get("span", "24h"), asked.get("reason"), asked.get("limit", "50")
    if span not in SPANS:
        raise Malformed(reason=f"span is one of {', '.join(SPANS)}")
    if reason is not None and reason not in set(Reason):
        raise Malformed(reason=f"reason is one of {', '.join(sorted(Reason))}")
    if not (limit.isascii() and limit.isdecimal() and 0 < len(limit) < 4 and 0 < int(limit) <= MOST):
        raise Malformed(reason=f"limit is a whole number from 1 to {MOST}")
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
        if site is None:
            raise NotFound(what="site")
        found = await refused(
            connection, site.id, span, reason=reason, limit=int(limit), cursor=asked.get("cursor")
        )
    return reply(request, found, NOW)


@post(
    f"{PREFIX}/{{site_name:str}}/refused/{{rejected_id:str}}/admit",
    opt=needs(Capability.TEND, program=True),
    status_code=200,
)
async def admit_refused(request: PageRequest) -> Response[Any]:
    """Let one in. 409 where it is in already; one that is refused again is answered with ``ok: false``."""
    state = request.app.state
    async with state.database.as_person(asker(request)) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
    if site is None:
        raise NotFound(what="site")
    wanted = uuid_of(request.path_params["rejected_id"], "refused event")
    found = await readmission.let_in(state.database, asker(request), site.id, [wanted], state.collect.doors())
    if not found:
        raise NotFound(what="refused event")
    tried = found[0]
    if tried.outcome == readmission.ALREADY:
        raise Conflict(reason="it is in already")
    state.collect.notices.changed(site.id, True)
    told = Admission(tried.error is None, tried.rejected_id, tried.outcome, tried.error, tried.replay_count)
    return reply(request, told, NOW)


HANDLERS: Final = [list_refused, admit_refused]
