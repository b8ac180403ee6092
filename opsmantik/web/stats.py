"""The first generation's two endpoints about a site's day: its three figures, and whether they are true."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import Any

from litestar import get

from opsmantik import clock
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.realtime import Realtime, Reconciled, realtime, reconcile
from opsmantik.errors import Malformed, NotFound
from opsmantik.web.api import READS
from opsmantik.web.guard import asker
from opsmantik.web.rendering import PageRequest

RECOUNTS_AT_ONCE = 2  # each reads a whole day; pages must not wait for them
_recounting = asyncio.Semaphore(RECOUNTS_AT_ONCE)


async def _site(request: PageRequest, connection: Any, person: Any) -> AskedSite:
    """The site that ``siteId`` names, by its id or its public id, with or without hyphens.

    Raises :class:`~opsmantik.errors.NotFound` for a site that is not there or not the asker's: no word which.
    """
    name = request.query_params.get("siteId", "")
    if not name:
        raise Malformed(reason="siteId is missing")
    site = await asked_site(connection, person, name)
    if site is None:
        raise NotFound(what="site")
    return site


def _day(asked: str, site: AskedSite) -> date:
    """A day of the site: today, yesterday, or 2026-02-01. Raises :class:`~opsmantik.errors.BadRange`."""
    return clock.period(site.time_zone, datetime.now(UTC), day=asked).days[0]


@get("/api/stats/realtime", opt=READS)
async def show_realtime(request: PageRequest) -> Realtime:
    """What the site has captured on its own today, whichever clock the asker or the server has."""
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        site = await _site(request, connection, person)
        return await realtime(connection, site.id, _day("today", site))


@get("/api/stats/reconcile", opt=READS)
async def show_reconciled(request: PageRequest) -> Reconciled:
    """Whether the counters of a day of the site (``day``, or ``date`` as it was called before) equal its rows."""
    asked = request.query_params.get("day") or request.query_params.get("date") or "today"
    async with _recounting, request.app.state.database.as_person(asker(request)) as (connection, person):
        site = await _site(request, connection, person)
        return await reconcile(connection, site.id, _day(asked, site))


HANDLERS = [show_realtime, show_reconciled]
