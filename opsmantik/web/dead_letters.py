"""Refused events over HTTP, at the first generation's addresses: to look at, to let in again, and who did.

For those who run a site: what was refused is what a visitor's browser sent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, get, post

from opsmantik.dashboard.asked import asked_site
from opsmantik.errors import Malformed, NotFound, Unprocessable
from opsmantik.ingest import dead_letters, readmission
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, reply, uuid_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.rendering import PageRequest


@get("/api/sync/dlq/list", opt=needs(Capability.TEND))
async def list_dead_letters(request: PageRequest) -> Response[Any]:
    """Refused events, newest first, of the sites that the asker runs."""
    limit = _number(request, "limit", 50, 1, dead_letters.MOST)
    offset = _number(request, "offset", 0, 0, 10_000_000)
    named = request.query_params.get("siteDbId") or request.query_params.get("siteId")
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        sites = await dead_letters.sites_to_tend(connection, person)
        if named:
            site = await asked_site(connection, person, named)
            if site is None or site.id not in sites:
                raise NotFound(what="site")
            sites = [site.id]
        found = await dead_letters.dead_letters(connection, sites, limit=limit, offset=offset)
    items = [_letter(letter) for letter in found]
    return reply(request, {"items": items, "limit": limit, "offset": offset}, NOW)


@post("/api/sync/dlq/replay", opt=needs(Capability.TEND, program=True), status_code=200)
async def replay_dead_letter(request: PageRequest) -> Response[Any]:
    """Let a refused event in. 409 where it is in already, 422 where it is refused again; both are remembered."""
    state = request.app.state
    rejected_id = uuid_of(request.query_params.get("id", ""), "refused event")
    tried = await readmission.replay(state.database, asker(request), rejected_id, state.collect.doors())
    if tried.error is not None:
        raise Unprocessable(reason=f"it is refused again ({tried.outcome}): {tried.error}")
    told = {
        "ok": True, "dlq_id": rejected_id, "outcome": tried.outcome, "replay_count": tried.replay_count,
        "last_replay_at": tried.last_replay_at,
    }  # fmt: skip
    return reply(request, told, NOW)


@get("/api/sync/dlq/audit", opt=needs(Capability.TEND))
async def list_replays(request: PageRequest) -> Response[Any]:
    """Who tried to let what in, newest first; of one event where ``dlqId`` names it."""
    named = request.query_params.get("dlqId")
    rejected_id = uuid_of(named, "refused event") if named else None
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        sites = await dead_letters.sites_to_tend(connection, person)
        found = await dead_letters.replays(connection, sites, rejected_id)
    items = [
        {
            "id": one.id, "dlq_id": one.rejected_id, "replayed_by_user_id": one.actor,
            "replayed_by_email": one.actor_email, "replayed_at": one.at, "replay_count_after": one.replay_count,
            "error_if_failed": one.error, "outcome": one.outcome, "site_id": one.site_id,
        }
        for one in found
    ]  # fmt: skip
    return reply(request, {"items": items}, NOW)


def _number(request: PageRequest, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Malformed(reason=f"{name} is a whole number")
    return min(max(int(text), least), most)


def _letter(letter: dead_letters.DeadLetter) -> dict[str, Any]:
    """A refused event by the first generation's keys, and what is known beyond them."""
    try:
        payload = msgspec.json.decode(letter.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = letter.payload.decode("utf-8", "replace")
    return {
        "id": letter.id, "received_at": letter.received_at, "site_id": letter.site_id, "qstash_message_id": None,
        "dedup_event_id": None, "stage": letter.door, "error": letter.detail or letter.reason,
        "reason": letter.reason, "payload": payload, "replay_count": letter.replay_count,
        "last_replay_at": letter.last_replay_at, "last_replay_error": letter.last_replay_error,
        "replayed_at": letter.replayed_at, "origin": letter.origin, "user_agent": letter.user_agent,
    }  # fmt: skip


HANDLERS: Final = [list_dead_letters, replay_dead_letter, list_replays]
