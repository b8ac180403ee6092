"""Endpoints of the first generation that its dashboards and scripts call, over the same functions as everything else.

What they lacked they have here: whoever may not decide is refused, a lead that somebody decided about meanwhile is a
409 that says who it was, a junked lead takes its conversion back with it, and health is not well without a database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib import metadata
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post, route

from opsmantik.dashboard.asked import asked_site, site_of_lead
from opsmantik.dashboard.cards.intent import intent
from opsmantik.dashboard.cards.site_status import site_status
from opsmantik.dashboard.rows import Intent
from opsmantik.decisions import auto
from opsmantik.decisions.decide import Decision, decide
from opsmantik.errors import Malformed, MergedTap, MoveRefused, NotFound
from opsmantik.intents.status import (
    SEALED,
    WAITING,
    Action,
    Stage,
    Status,
    action_towards,
    from_first_generation,
    to_first_generation,
)
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, READS, body_of, reply, uuid_of
from opsmantik.web.decisions import DECIDES
from opsmantik.web.guard import asker
from opsmantik.web.rendering import PageRequest

_VERSION: Final = metadata.version("opsmantik")
_BY_STATUS: Final = "marked by its status"


class SealBody(msgspec.Struct):
    """What a seal may carry; ``version`` is that of the lead on the asker's screen."""

    sale_amount: Decimal | None = None
    currency: str | None = None
    note: str | None = None
    sale_at: datetime | None = None
    version: int | None = None


class StatusBody(msgspec.Struct):
    """The status that a lead is to have: a word of the first generation's, or one of ours."""

    status: str | None
    note: str | None = None
    reason: str | None = None
    version: int | None = None


class ApproveBody(msgspec.Struct, rename={"site": "siteId", "hours": "minAgeHours"}):
    """Which site, and how old leads must be; with ``preview`` they are only listed."""

    site: str | None = None
    site_id: str | None = None
    hours: int | None = None
    min_age_hours: int | None = None
    limit: int = auto.DEFAULT_MOST
    preview: bool = False


@post("/api/calls/{call_id:str}/seal", opt=DECIDES, status_code=200)
async def seal(request: PageRequest) -> Response[Any]:
    """Seal a lead, with the sale's amount where there is one. 409 where it is decided already."""
    body = await body_of(request, SealBody)
    if body.sale_amount is not None and not (body.sale_amount.is_finite() and body.sale_amount >= 0):
        raise Malformed(reason="sale_amount is a number, 0 or more")
    lead_id = uuid_of(request.path_params["call_id"], "lead")
    site_id = await _site_of(request, lead_id)
    decision = Decision(
        action=Action.SEAL, amount=body.sale_amount, currency=body.currency, note=body.note, sale_at=body.sale_at,
        version=body.version,
    )  # fmt: skip
    await decide(request.app.state.database, asker(request), site_id, lead_id, decision)
    request.app.state.collect.notices.changed(site_id, False)
    return reply(request, {"success": True, "call": _told(await _lead(request, site_id, lead_id))}, NOW)


@route("/api/intents/{intent_id:str}/status", http_method=["POST", "PATCH"], opt=DECIDES, status_code=200)
async def set_status(request: PageRequest) -> Response[Any]:
    """Move a lead to a status, by the one act that leads there. One that it has already changes nothing."""
    body = await body_of(request, StatusBody)
    wanted, stage = _wanted(body.status)
    lead_id = uuid_of(request.path_params["intent_id"], "lead")
    site_id = await _site_of(request, lead_id)
    lead = await _lead(request, site_id, lead_id)
    decision = _towards(lead, wanted, stage, body)
    if decision is not None:
        await decide(request.app.state.database, asker(request), site_id, lead_id, decision)
        request.app.state.collect.notices.changed(site_id, False)
        lead = await _lead(request, site_id, lead_id)
    return reply(request, {"success": True, "changed": decision is not None, "intent": _told(lead)}, NOW)


@post("/api/jobs/auto-approve", opt=DECIDES, status_code=200)
async def auto_approve(request: PageRequest) -> Response[Any]:
    """Seal what waited long enough and carries no risk, where the site has switched that on; or list it."""
    body = await body_of(request, ApproveBody)
    name = body.site or body.site_id
    if not name:
        raise Malformed(reason="siteId is missing")
    database = request.app.state.database
    async with database.as_person(asker(request)) as (connection, person):
        site = await asked_site(connection, person, name)
    if site is None:
        raise NotFound(what="site")
    hours = body.hours if body.hours is not None else body.min_age_hours
    swept = await auto.approve(
        database, asker(request), site.id, hours=hours, limit=body.limit, preview=body.preview
    )
    if swept.calls and not swept.preview:
        request.app.state.collect.notices.changed(site.id, False)
    found = {
        "success": True, "preview": swept.preview, "approved": len(swept.calls), "call_ids": swept.calls,
        "min_age_hours": swept.after,
    }  # fmt: skip
    return reply(request, found, NOW)


@get("/api/sites/{site_name:str}/status", opt=READS)
async def show_status(request: PageRequest) -> Response[Any]:
    """Whether the site receives: within the last ten minutes, or since when it has not."""
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
        if site is None:
            raise NotFound(what="site")
        found = await site_status(connection, site)
    last = found.last_event
    told = {
        "site_id": site.id,
        "status": "RECEIVING" if found.traffic == "receiving" else "NO_TRAFFIC",
        "traffic": found.traffic,
        "last_event_at": found.last_event_at,
        "quiet_since": found.quiet_since,
        "last_session_id": last.session_id if last else None,
        "last_source": last.source if last else None,
        "last_category": last.category if last else None,
        "last_action": last.action if last else None,
        "last_label": last.label if last else None,
        "as_of": found.as_of,
    }
    return reply(request, told, NOW)


@get("/api/health", opt={"public": True, "probe": True})
async def health(request: PageRequest) -> Response[Any]:
    """Whether this process can do its work; not well, and 503, without its database."""
    reasons = await request.app.state.readiness.reasons()
    told = {
        "ok": not reasons, "ts": datetime.now(UTC), "version": _VERSION,
        "db": "down" if any(reason["code"].startswith("database") for reason in reasons) else "ok", "reasons": reasons,
    }  # fmt: skip
    return Response(
        msgspec.json.encode(told),
        status_code=503 if reasons else 200,
        media_type="application/json",
        headers=NOW,
    )


async def _site_of(request: PageRequest, lead_id: UUID) -> UUID:
    async with request.app.state.database.as_person(asker(request, Capability.READ)) as (connection, person):
        site_id = await site_of_lead(connection, person, lead_id)
    if site_id is None:
        raise NotFound(what="lead")
    return site_id


async def _lead(request: PageRequest, site_id: UUID, lead_id: UUID) -> Intent:
    async with request.app.state.database.as_person(asker(request, Capability.READ)) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        if site is None:
            raise NotFound(what="lead")
        found = await intent(connection, site, intent_id=lead_id)
    if found.merged_into is not None:
        raise MergedTap(lead=found.merged_into)
    return found.intent


def _told(lead: Intent) -> dict[str, Any]:
    conversion = lead.conversion
    return {
        "id": lead.id,
        "status": to_first_generation(lead.status),
        "present_status": lead.status,
        "stage": lead.stage,
        "version": lead.version,
        "sale_amount": lead.sale_amount,
        "currency": lead.currency,
        "note": lead.note,
        "confirmed_at": lead.decided_at,
        "confirmed_by": lead.decided_by,
        "conversion_state": conversion.state if conversion else None,
        "conversion_reason": conversion.reason if conversion else None,
    }


def _wanted(word: str | None) -> tuple[Status, Stage | None]:
    """What the word means. Raises :class:`~opsmantik.errors.Malformed` for one that means nothing."""
    try:
        return from_first_generation(word)
    except KeyError:
        pass
    try:
        return Status(str(word)), None
    except ValueError:
        raise Malformed(
            reason=f"status {str(word)[:40]!r} is none; write intent, confirmed or junk"
        ) from None


def _towards(lead: Intent, wanted: Status, stage: Stage | None, body: StatusBody) -> Decision | None:
    """The decision that leads there; None where the lead is there already."""
    version = body.version if body.version is not None else lead.version
    same = next((group for group in (WAITING, SEALED) if wanted in group), (wanted,))
    if lead.status in same:
        if stage is None or stage == lead.stage:
            return None
        return Decision(action=Action.STAGE, stage=stage, note=body.note, version=version)
    action = action_towards(lead.status, wanted)
    if action is None:
        raise MoveRefused(status=lead.status, wanted=str(wanted), reason="no act leads there")
    return Decision(
        action=action, note=body.note, version=version, stage=stage if action is Action.SEAL else None,
        reason=(body.reason or _BY_STATUS) if action is Action.JUNK else None,
    )  # fmt: skip


HANDLERS: Final = [seal, set_status, auto_approve, show_status, health]
