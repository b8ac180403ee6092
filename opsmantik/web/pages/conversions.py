"""The conversions of a site: the ledger, every sealed lead accounted for day by day, and what leaves next.

Whoever may see the site may look; who may hand conversions over may have them tried again, or keep them from leaving. The
batches are in conversion_batches.py, where they go in conversion_route.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik import clock
from opsmantik.conversions import store
from opsmantik.conversions.ledger import AFTER_SENDING, Skip, Withdrawal
from opsmantik.conversions.store import Provider, Route
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards import ledger
from opsmantik.errors import Malformed
from opsmantik.people.capabilities import Capability
from opsmantik.web import ledger_look, looking
from opsmantik.web.api import READS
from opsmantik.web.conversion_words import words_for
from opsmantik.web.guard import needs
from opsmantik.web.ledger_look import BY, CHIPS, LedgerLook
from opsmantik.web.login import form_of
from opsmantik.web.pages.site_frame import site_of, site_page
from opsmantik.web.rendering import PageRequest, view_of

SENDS: Final = needs(Capability.EXPORT)
HERE: Final = "/sites/{site_id:uuid}/conversions"
TAB: Final = "conversions"
# Reasons that the form offers; those of a platform are reached from the rows that have them.
REASONS: Final = (
    *(str(skip) for skip in Skip), "dropped", "stage_weight", *(str(one) for one in Withdrawal),
    *(f"{one}{AFTER_SENDING}" for one in Withdrawal),
)  # fmt: skip
ACTS: Final = ("retry", "drop")
PRESETS: Final = ("day=today", "range=7d", "range=30d", "range=month")


class Way(msgspec.Struct, frozen=True):
    """What keeps a site's conversions from leaving, if anything does."""

    route: Route | None
    provider: Provider | None
    """The platform's circuit, where it is open or switched off."""
    resting: bool


async def way_of(connection: Any, site: AskedSite, now: datetime) -> Way:
    """How the site's conversions leave now."""
    route = await store.route(connection, site.id)
    known = {one.provider: one for one in await store.providers(connection)}
    found = known.get(route.adapter) if route else None
    shut = found if found is not None and (not found.is_on or is_later(found.open_until, now)) else None
    return Way(route, shut, route is not None and is_later(route.not_before, now))


def is_later(at: datetime, now: datetime) -> bool:
    """Whether it is still to come; what has no zone is the database's -infinity."""
    return at.tzinfo is not None and at > now


def _look(request: PageRequest, site: AskedSite) -> LedgerLook:
    return ledger_look.read(dict(request.query_params), site.time_zone, view_of(request).now)


def _did(request: PageRequest) -> tuple[str, int] | None:
    """What was just done, as the address says it: only words and a number."""
    query = request.query_params
    did, count = query.get("did", ""), query.get("n", "")
    return (
        (did, int(count))
        if did in ACTS and count.isascii() and count.isdecimal() and len(count) < 7
        else None
    )


@get(HERE, opt=READS)
async def show_ledger(request: PageRequest) -> Response[Any]:
    """A page of the ledger; ``cursor`` begins after the row that it names."""
    cursor = request.query_params.get("cursor")
    async with site_of(request) as (connection, site):
        look = _look(request, site)
        found = await ledger.ledger(
            connection, site, look.asked, cursor=paging.read(cursor) if cursor else None
        )
        moves = await ledger.moves(connection, site, [row.id for row in found.items])
        way = await way_of(connection, site, found.as_of)
    return site_page(
        request, "conversions.html", site, TAB, view_name="ledger", look=look, found=found, moves=moves, way=way,
        here=f"/sites/{site.id}/conversions", cursor=cursor, filters=list(CHIPS), states=CHIPS, reasons=REASONS, by=BY,
        did=_did(request), **words_for(site),
    )  # fmt: skip


@get(f"{HERE}/{{conversion_id:uuid}}", opt=READS)
async def show_conversion(request: PageRequest) -> Response[Any]:
    """One conversion: all its moves, and every batch that carried it."""
    async with site_of(request) as (connection, site):
        found = await ledger.one(connection, site, request.path_params["conversion_id"])
        way = await way_of(connection, site, found.as_of)
    return site_page(
        request, "conversion.html", site, TAB, view_name="ledger", found=found, row=found.conversion, way=way,
        here=f"/sites/{site.id}/conversions", did=_did(request), **words_for(site),
    )  # fmt: skip


@get(f"{HERE}/days", opt=READS)
async def show_days(request: PageRequest) -> Response[Any]:
    """Sealed = accepted + explained, and the reasons."""
    query = dict(request.query_params)
    if not any(query.get(name, "").strip() for name in looking.RANGE_WORDS):
        query["range"] = "30d"
    async with site_of(request) as (connection, site):
        look = looking.read(query, site.time_zone, view_of(request).now)
        first, last = look.first, look.last
        over = clock.site_day(site.time_zone, first).start, clock.site_day(site.time_zone, last).end
        found = await ledger.parity(connection, site, clock.Range(*over))
        way = await way_of(connection, site, found.as_of)
    return site_page(
        request, "conversion_days.html", site, TAB, view_name="days", look=look, found=found, way=way,
        here=f"/sites/{site.id}/conversions", presets=[preset.split("=") for preset in PRESETS], **words_for(site),
    )  # fmt: skip


@get(f"{HERE}/next", opt=READS)
async def show_next(request: PageRequest) -> Response[Any]:
    """What would leave now. Nothing is made by looking."""
    async with site_of(request) as (connection, site):
        way = await way_of(connection, site, view_of(request).now)
        found = await ledger.next_batch(connection, site, way.route.adapter if way.route else None)
    return site_page(
        request, "conversion_next.html", site, TAB, view_name="next", found=found, way=way,
        here=f"/sites/{site.id}/conversions", nothing="nothing" in request.query_params, **words_for(site),
    )  # fmt: skip


# What is done about them.


@post(f"{HERE}/{{conversion_id:uuid}}/retry", opt=SENDS)
async def retry_one(request: PageRequest) -> Redirect:
    """Try it again now."""
    return await _do_one(request, "retry")


@post(f"{HERE}/{{conversion_id:uuid}}/drop", opt=SENDS)
async def drop_one(request: PageRequest) -> Redirect:
    """Keep it from leaving."""
    return await _do_one(request, "drop")


async def _do_one(request: PageRequest, do: str) -> Redirect:
    conversion_id: UUID = request.path_params["conversion_id"]
    async with site_of(request, write=True) as (connection, site):
        await ledger.one(connection, site, conversion_id)
        count = await _do(connection, site, do, [conversion_id])
    return Redirect(f"/sites/{site.id}/conversions/{conversion_id}?did={do}&n={count}", status_code=303)


@get(f"{HERE}/act", opt=SENDS)
async def ask_all(request: PageRequest) -> Response[Any]:
    """Asks whether it is meant: how many of those that the list shows it is about."""
    return await _ask_all(request, request.query_params.get("do", ""), dict(request.query_params))


@post(f"{HERE}/act", opt=SENDS, status_code=200)
async def do_all(request: PageRequest) -> Response[Any] | Redirect:
    """Do it about all that the list shows, if they are still as many as the asker saw."""
    form = await form_of(request)
    do, query = form.get("do", ""), form.get("query", "")[:1000]
    expected = form.get("expected", "")
    async with site_of(request, write=True) as (connection, site):
        _check_act(do)
        look = ledger_look.read(dict(parse_qsl(query)), site.time_zone, view_of(request).now)
        _, able = await _able(connection, site, look, do)
        if str(len(able)) == expected:
            count = await _do(connection, site, do, able)
            path = look.link(f"/sites/{site.id}/conversions", did=do, n=str(count))
            return Redirect(path, status_code=303)
    return await _ask_all(request, do, dict(parse_qsl(query)), changed=True)


async def _ask_all(
    request: PageRequest, do: str, query: dict[str, str], *, changed: bool = False
) -> Response[Any]:
    async with site_of(request) as (connection, site):
        _check_act(do)
        look = ledger_look.read(query, site.time_zone, view_of(request).now)
        ids, able = await _able(connection, site, look, do)
    return site_page(
        request, "conversion_act.html", site, TAB, status=409 if changed else 200, view_name="ledger", do=do, look=look,
        here=f"/sites/{site.id}/conversions", n=len(able), all=len(ids), changed=changed,
        query=look.link("").removeprefix("?"), way=None, **words_for(site),
    )  # fmt: skip


def _check_act(do: str) -> None:
    if do not in ACTS:
        raise Malformed(reason=f"what is done is one of {', '.join(ACTS)}")


async def _able(connection: Any, site: AskedSite, look: LedgerLook, do: str) -> tuple[list[UUID], list[UUID]]:
    """All that the list shows, and those of them that this can be done about."""
    ids = await ledger.matching(connection, site, look.asked)
    return ids, await ledger.able(connection, site, ids, retry=do == "retry")


async def _do(connection: Any, site: AskedSite, do: str, ids: list[UUID]) -> int:
    return await (store.retry if do == "retry" else store.drop)(connection, site.id, ids)


HANDLERS: Final = [show_ledger, show_days, show_next, ask_all, do_all, show_conversion, retry_one, drop_one]
