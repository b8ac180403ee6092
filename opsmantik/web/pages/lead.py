"""One lead: its permanent page, and the same as a drawer over a list.

Enters: the lead's address; with ``HX-Request`` only what is in the drawer is answered. All of it is one transaction of few
statements: the lead, its taps, its acts, its visit's steps, the visitor, the visitor's visits, and its rows of the ledger.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, get
from litestar.response import Redirect

from opsmantik.dashboard.cards import ledger
from opsmantik.dashboard.cards.intent import Act, IntentDetails, intent
from opsmantik.dashboard.cards.session_timeline import session_timeline
from opsmantik.dashboard.rows import Intent, VisitLead
from opsmantik.intents.status import SEALED, STARS, Action, Stage, after, stars_of
from opsmantik.web.api import READS
from opsmantik.web.conversion_words import words_for
from opsmantik.web.pages import record
from opsmantik.web.pages.site_frame import site_of, site_page
from opsmantik.web.rendering import PageRequest, view_of

# In the order in which they stand on the screen: what is decided most often first.
OFFERED: Final = (Action.SEAL, Action.JUNK, Action.RESTORE, Action.PEND, Action.SUSPECT)


@get("/sites/{site_id:uuid}/leads/{lead_id:uuid}", opt=READS)
async def show_lead(request: PageRequest) -> Response[Any]:
    """The lead's page. A tap that was folded into a lead leads to that lead, which then says so."""
    lead_id: UUID = request.path_params["lead_id"]
    is_part = "hx-request" in request.headers
    steps = record.asked_for(request, "steps", record.FIRST_STEPS, record.MOST_STEPS)
    visits = record.asked_for(request, "visits", record.FIRST_VISITS, record.MOST_VISITS)
    folded = _uuid(request.query_params.get("tap"))
    async with site_of(request) as (connection, site):
        found = await intent(connection, site, intent_id=lead_id)
        if found.merged_into is not None:
            path = f"/sites/{site.id}/leads/{found.merged_into}?tap={lead_id}"
            if not is_part:
                return Redirect(path, status_code=303)
            folded = lead_id
            found = await intent(connection, site, intent_id=found.merged_into)
        lead = found.intent
        timeline = history = None
        if lead.session is not None:
            timeline = await session_timeline(connection, site, session_id=lead.session.id, limit=steps)
        visitor = lead.session.fingerprint if lead.session is not None else lead.visitor
        history = await record.history_of(connection, site, visitor, visits)
        rows = await ledger.of_lead(connection, site, lead.id)
    return site_page(
        request,
        "lead_drawer.html" if is_part else "lead.html",
        site,
        "leads",
        found=found,
        lead=lead,
        visit=lead.session,
        timeline=timeline,
        pages=record.pages_of(timeline.items, _taps(found)) if timeline is not None else [],
        steps=steps,
        more_steps=min(steps + record.MORE_STEPS, record.MOST_STEPS),
        history=history,
        visits=visits,
        most_visits=record.MOST_VISITS,
        folded=next((tap for tap in found.taps if tap.id == folded and tap.id != lead.id), None),
        can=[str(action) for action in OFFERED if _offers(lead.status, action)],
        is_sealed=lead.status in SEALED,
        undoes=next((act for act in found.actions if act.id == found.undoable), None),
        latest=_latest(found.actions),
        ledger=rows,
        **words_for(site),
        stages=[str(stage) for stage in Stage],
        stars=list(STARS),
        given_stars=None if lead.quality is None else stars_of(lead.quality),
        is_callers=is_callers(lead),
        digits="".join(each for each in lead.phone_number or "" if each.isdigit()),
        typed_amount=_typed(request, lead),
        changes_of=record.changes_of,
        line_of=record.line_of,
        path_of=record.path_of,
    )


def is_callers(lead: Intent) -> bool:
    """Whether the number is the customer's own: a telephone system or a person told it. That of a tap is the number
    that was tapped, one of the site's: a browser does not tell its visitor's."""
    return lead.captured_by in ("api", "manual")


def _typed(request: PageRequest, lead: Intent) -> str:
    """The amount as the reader would type it: its sign or code stands in a field of its own."""
    if lead.sale_amount is None:
        return ""
    said = view_of(request).money(lead.sale_amount, lead.currency)
    return "".join(each for each in said if each.isdigit() or each in ".,")


def _offers(status: str, action: Action) -> bool:
    to = after(status, action)
    return to is not None and to != status


def _latest(actions: list[Act]) -> Act | None:
    return actions[0] if actions else None


def _taps(found: IntentDetails) -> list[VisitLead]:
    """The taps that are this lead, for the steps to name it."""
    lead = found.intent
    return [
        VisitLead(
            id=lead.id, occurred_at=tap.occurred_at, action=tap.action, captured_by=lead.captured_by,
            status=lead.status, lead_score=lead.lead_score,
        )
        for tap in found.taps
    ]  # fmt: skip


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


HANDLERS: Final = [show_lead]
