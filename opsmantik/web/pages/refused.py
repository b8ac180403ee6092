"""What a site refused: counts with what they mean, examples, and letting it in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard.cards.refused import SPANS, pretty, refused
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import Reason
from opsmantik.ingest import readmission
from opsmantik.people.capabilities import ROLES, Capability
from opsmantik.sessions.device import read_user_agent
from opsmantik.sites import limits, origins
from opsmantik.web.api import uuid_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest

TENDS = needs(Capability.TEND)
PATH = "/sites/{site_id:uuid}/settings/refused"
# What became of a request to let in, as numbers in the address that follows it.
TOLD = ("stored", "duplicate", "again", "left")


@get(PATH, opt=TENDS)
async def show_refused(request: PageRequest) -> Response[Any]:
    """The counts of a time, and examples of one reason or of all."""
    asked = request.query_params
    span = asked["span"] if asked.get("span") in SPANS else "24h"
    reason = asked["reason"] if asked.get("reason") in set(Reason) else None
    async with settings_of(request) as (connection, site):
        found = await refused(connection, site.id, span, reason=reason, cursor=asked.get("cursor"))
        known = await limits.limits(connection, site.id)
    rows = [
        (
            example,
            pretty(example.payload),
            read_user_agent(example.user_agent) if example.user_agent else None,
        )
        for example in found.examples
    ]
    return settings_page(
        request, "refused", site, refused=found, rows=rows, span=span, spans=list(SPANS), reason=reason, limits=known,
        may_write=Capability.WRITE in ROLES.get(site.role, frozenset()), most=readmission.MOST,
        told={name: _count(asked.get(name)) for name in TOLD} if "stored" in asked else {},
        outcome=asked.get("outcome", ""),
    )  # fmt: skip


@post(f"{PATH}/admit", opt=TENDS)
async def admit_one(request: PageRequest) -> Response[Any]:
    """Let one event in."""
    form = await form_of(request)
    site_id = await _site(request)
    state = request.app.state
    wanted = [uuid_of(form.get("id", ""), "refused event")]
    tried = await readmission.let_in(state.database, asker(request), site_id, wanted, state.collect.doors())
    if not tried:
        raise NotFound(what="refused event")
    _tell(request, site_id)
    return _back(site_id, form, outcome=tried[0].outcome)


@post(f"{PATH}/admit-all", opt=TENDS)
async def admit_all(request: PageRequest) -> Response[Any]:
    """Let in all of a reason, or of one bot or origin; at most a thousand at once."""
    form = await form_of(request)
    site_id = await _site(request)
    state = request.app.state
    reason, name = form.get("reason", ""), form.get("name") or None
    found = await readmission.let_in_all(
        state.database, asker(request), site_id, reason[:40], name, state.collect.doors()
    )
    _tell(request, site_id)
    again = sum(found.refused.values())
    return _back(site_id, form, stored=found.stored, duplicate=found.duplicate, again=again, left=found.left)


@post(f"{PATH}/allow", opt=needs(Capability.WRITE))
async def allow(request: PageRequest) -> Response[Any]:
    """Take the events of an origin or of a bot from now on; or of a bot no longer."""
    form = await form_of(request)
    site_id = await _site(request)
    database, name = request.app.state.database, form.get("name", "")
    if form.get("reason") == Reason.ORIGIN_REFUSED:
        await origins.add_origin(database, asker(request), site_id, name)
    elif form.get("reason") == Reason.BOT:
        await limits.allow_bot(
            database, asker(request), site_id, name, allowed=form.get("allowed", "yes") == "yes"
        )
    else:
        raise Unprocessable(reason="only origins and automatic visitors can be let in for good")
    return _back(site_id, form, outcome="allowed")


async def _site(request: PageRequest) -> UUID:
    async with settings_of(request) as (_, site):
        return site.id


def _tell(request: PageRequest, site_id: UUID) -> None:
    """The site's screens look again."""
    request.app.state.collect.notices.changed(site_id, True)


def _back(site_id: UUID, form: dict[str, str], **told: object) -> Redirect:
    """To the page, as it was, with what became of it."""
    kept = {"span": form["span"]} if form.get("span") in SPANS else {}
    if form.get("shown") in set(Reason):
        kept["reason"] = form["shown"]
    query = "&".join(f"{name}={value}" for name, value in {**kept, **told}.items())
    return Redirect(f"/sites/{site_id}/settings/refused?{query}", status_code=303)


def _count(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 8 else 0


HANDLERS = [show_refused, admit_one, admit_all, allow]
