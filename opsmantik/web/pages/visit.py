"""One visit, whether a lead came of it or not: what happened in it, what brought it, and its visitor's other visits.

In a drawer, with ``HX-Request``, as well as on a page of its own; one transaction of four statements.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, get

from opsmantik.dashboard import paging
from opsmantik.dashboard.cards.session_details import session_details
from opsmantik.dashboard.cards.session_timeline import session_timeline
from opsmantik.web.api import READS
from opsmantik.web.pages import record
from opsmantik.web.pages.site_frame import site_of, site_page
from opsmantik.web.rendering import PageRequest


@get("/sites/{site_id:uuid}/sessions/{session_id:uuid}", opt=READS)
async def show_visit(request: PageRequest) -> Response[Any]:
    """The visit's page. ``cursor`` shows what happened before the row that it names."""
    session_id: UUID = request.path_params["session_id"]
    steps = record.asked_for(request, "steps", record.FIRST_STEPS, record.MOST_STEPS)
    visits = record.asked_for(request, "visits", record.FIRST_VISITS, record.MOST_VISITS)
    cursor = request.query_params.get("cursor")
    async with site_of(request) as (connection, site):
        found = await session_details(connection, site, session_id=session_id)
        timeline = await session_timeline(
            connection,
            site,
            session_id=session_id,
            limit=steps,
            cursor=paging.read(cursor) if cursor else None,
        )
        history = await record.history_of(connection, site, found.session.fingerprint, visits)
    return site_page(
        request,
        "visit_drawer.html" if "hx-request" in request.headers else "visit.html",
        site,
        "live",
        found=found,
        visit=found.session,
        timeline=timeline,
        pages=record.pages_of(timeline.items, found.leads),
        steps=steps,
        more_steps=min(steps + record.MORE_STEPS, record.MOST_STEPS),
        cursor=cursor,
        history=history,
        visits=visits,
        most_visits=record.MOST_VISITS,
        changes_of=record.changes_of,
        line_of=record.line_of,
        path_of=record.path_of,
    )


HANDLERS: Final = [show_visit]
