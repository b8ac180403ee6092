"""The leads of a site, all that it ever had: searched, narrowed down, kept as views, decided in bulk, taken away as a file.

The page is a table of fifty rows; leads.js asks for the next fifty as somebody scrolls, and for the list again as they
type. Without it the same links and forms do. What the address says is web/looking.py's; what it finds, the card's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect, Stream

from opsmantik import clock
from opsmantik.dashboard import paging, views
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.breakdown import breakdown
from opsmantik.dashboard.cards.lead_search import (
    COUNTED,
    LeadPage,
    Wanted,
    lead_count,
    lead_rows,
    lead_search,
    matching,
)  # fmt: skip
from opsmantik.dashboard.paging import Cursor
from opsmantik.decisions import bulk
from opsmantik.decisions.bulk import Batch, Seen
from opsmantik.decisions.case import Decision
from opsmantik.errors import BadRange, Malformed, NotFound, Unprocessable
from opsmantik.intents.status import Action
from opsmantik.people.capabilities import Capability
from opsmantik.web import lead_table, looking
from opsmantik.web.api import READS, body_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.lead_table import CHOICES, since, wanted_of, who_decided
from opsmantik.web.login import form_of
from opsmantik.web.looking import EVERYTHING, FILTERS, Looking
from opsmantik.web.pages.site_frame import looking_at, may, site_of, site_page
from opsmantik.web.rendering import PageRequest, view_of

HERE: Final = "/sites/{site_id:uuid}/leads"
DECIDES: Final = needs(Capability.DECIDE)
# Values that the form offers for filters with many: those of most visits, of as far back as figures go.
OFFERED: Final = ("source", "channel", "campaign", "keyword", "matchtype", "place", "page")
MOST_OFFERED: Final = 40
MOST_NEW: Final = 200
"""Rows that a list which is open takes in at its head; then it is time to load it again."""
MOST_IDS: Final = 100
LARGEST: Final = 1024 * 1024
"""Bytes of a list of leads to decide about: bulk.MOST of them, each with its version."""
PRESETS: Final = ("range=all", *looking.PRESETS)


class Bulk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One decision about many leads: those named, or all that match an address.

    ``expected`` and ``until`` are what the asker saw: how many matched, and when. If it is no longer so many, nothing is
    done. ``confirmed``: that it is meant, for an act that needs it.
    """

    action: Action
    leads: list[Seen] | None = None
    query: str | None = None
    expected: int | None = None
    until: datetime | None = None
    reason: str | None = None
    note: str | None = None
    confirmed: bool = False


async def _found(
    request: PageRequest, connection: Any, site: AskedSite, look: Looking, cursor: str | None = None
) -> tuple[Wanted, LeadPage]:
    wanted = wanted_of(look)
    return wanted, await lead_search(connection, site, wanted, cursor=paging.read(cursor) if cursor else None)


def _context(site: AskedSite, look: Looking, found: LeadPage, **more: Any) -> dict[str, Any]:
    """What every part of the list needs."""
    here = f"/sites/{site.id}/leads"
    cursor = paging.written(found.next_cursor) if found.next_cursor else None
    return {
        "look": look, "here": here, "base": f"/sites/{site.id}", "found": found, "next_cursor": cursor,
        "by_decided": look.filters.get("by") == "decided", "who_decided": who_decided,
        "narrowed": {
            name: look.filters[name] for name in FILTERS if look.filters.get(name, "all") not in ("all", "captured")
        },
        "whole": look.link(here, range="all", scope=None, compare=None, **dict.fromkeys(FILTERS)),
        # The last row that a refresh of the list's head must still bring: what lies behind it is other pages' business.
        "tail": paging.written(Cursor(found.items[-1].at, found.items[-1].id)) if found.items else None, **more,
    }  # fmt: skip


@get(HERE, opt=READS)
async def show_leads(request: PageRequest) -> Response[Any]:
    """The page; with ``HX-Request`` what is found alone. ``cursor`` begins after the row that it names."""
    cursor = request.query_params.get("cursor")
    is_part = "hx-request" in request.headers
    async with site_of(request) as (connection, site):
        look = looking_at(request, site, is_list=True)
        wanted, found = await _found(request, connection, site, look, cursor)
        count: int | None = len(found.items)
        if found.next_cursor or cursor:
            count = await lead_count(connection, site, wanted)
        more = {} if is_part else await _bar(request, connection, site, look)
    context = _context(
        site, look, found, count=count, counted=COUNTED, is_first=not cursor, most=bulk.MOST, until=found.as_of.isoformat(),
        choices=CHOICES, presets=[preset.split("=") for preset in PRESETS], **more,
    )  # fmt: skip
    return site_page(request, "leads_found.html" if is_part else "leads.html", site, "leads", **context)


async def _bar(request: PageRequest, connection: Any, site: AskedSite, look: Looking) -> dict[str, Any]:
    """What the filters offer, and the views that are kept."""
    now = view_of(request).now
    today = clock.today(site.time_zone, now)
    words = {"first": str(today - (clock.LONGEST_DAYS - 1) * clock.ONE_DAY), "last": str(today)}
    longest = looking.read(words, site.time_zone, now)
    found = await breakdown(connection, site, longest.period, dimension=OFFERED, limit=MOST_OFFERED)
    user_id: UUID | None = request.state.person.user_id
    return {
        "offered": {part.dimension: [row.value or "-" for row in part.rows if row.leads] for part in found.dimensions},
        "kept": await views.saved_views(connection, site.id, user_id), "changes_all": may(site, Capability.WRITE),
        "problem": request.query_params.get("problem") if request.query_params.get("problem") in _PROBLEMS else None,
        "most_views": views.MOST, "longest_name": views.LONGEST_NAME,
    }  # fmt: skip


@get(f"{HERE}/rows", opt=READS)
async def show_rows(request: PageRequest) -> Response[Any]:
    """Rows alone: the page after ``cursor``; those from the newest to ``tail``; or these (``ids``) as they are now."""
    asked = request.query_params
    async with site_of(request) as (connection, site):
        look = looking_at(request, site, is_list=True)
        if "ids" in asked:
            found = await lead_rows(connection, site, _ids(asked["ids"]))
        elif "tail" in asked:
            found = await _head(connection, site, wanted_of(look), paging.read(asked["tail"]))
        else:
            _, found = await _found(request, connection, site, look, asked.get("cursor"))
    answer = site_page(request, "leads_rows.html", site, "leads", **_context(site, look, found))
    if found.next_cursor is not None:
        answer.headers["x-next-cursor"] = paging.written(found.next_cursor)
    return answer


async def _head(connection: Any, site: AskedSite, wanted: Wanted, tail: Cursor) -> LeadPage:
    """The list from its newest row to that one, so that no row falls between it and the pages that follow."""
    found = await lead_search(connection, site, since(wanted, tail.at), limit=MOST_NEW)
    return msgspec.structs.replace(found, items=[row for row in found.items if (row.at, row.id) >= tail])


def _ids(text: str) -> list[UUID]:
    try:
        ids = [UUID(each) for each in text.split(",")]
    except ValueError:
        raise Malformed(reason="ids are names of leads, separated by commas") from None
    if len(ids) > MOST_IDS:
        raise Malformed(reason=f"at most {MOST_IDS} ids at once")
    return ids


# The file.


@get(f"{HERE}.csv", opt=READS)
async def export_leads(request: PageRequest) -> Stream:
    """All that is found, in the order of the list, as it comes. Whoever may read the leads may take them away: the
    site's log says who did, how many, and by which filters, never what was searched for."""
    bom = request.query_params.get("bom") == "1"
    async with site_of(request, write=True) as (connection, site):
        look = looking_at(request, site, is_list=True)
        wanted = wanted_of(look)
        count = await lead_count(connection, site, wanted)
        await views.note_export(
            connection, site.id,
            {
                "n": count if count is not None else f"> {COUNTED}", "filters": sorted(look.filters), "paid": look.paid,
                "range": look.preset or f"{look.first} {look.last}",
            },
        )  # fmt: skip
    name = f"leads-{site.domain}-{clock.today(site.time_zone, view_of(request).now)}.csv"
    return Stream(
        _file(request, wanted, bom=bom), media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{_plain(name)}"', "cache-control": "no-store"},
    )  # fmt: skip


async def _file(request: PageRequest, wanted: Wanted, *, bom: bool) -> AsyncIterator[bytes]:
    """Each page in a transaction of its own: a reader who is slow must not hold one."""
    async with site_of(request) as (_, site):
        pass

    async def pages() -> AsyncIterator[LeadPage]:
        cursor: Cursor | None = None
        while True:
            async with site_of(request) as (connection, site):
                found = await lead_search(connection, site, wanted, limit=1000, cursor=cursor)
            yield found
            cursor = found.next_cursor
            if cursor is None:
                return

    async for part in lead_table.csv_of(view_of(request, site.time_zone), site, pages(), bom=bom):
        yield part


def _plain(name: str) -> str:
    return "".join(each if each.isascii() and (each.isalnum() or each in "-.") else "-" for each in name)


# Deciding about many.


@post(f"{HERE}/decisions", opt=DECIDES, status_code=200, request_max_body_size=LARGEST)
async def decide_many(request: PageRequest) -> Stream | Response[Any]:
    """One decision about many leads, told batch by batch as it is done: a line of JSON each, the first how many it is.

    What is not meant for many, not confirmed, or no longer what the asker saw, is refused, and nothing is done: 422, and
    ``kind`` for the page to say it by.
    """
    try:
        async with site_of(request) as (connection, site):
            asked = await body_of(request, Bulk)
            leads = await _leads(request, connection, site, asked)
        batches = _batches(request, site, asked, leads)
        first = await anext(batches, Batch([], []))
    except Unprocessable as refused:
        problem = {"code": refused.code, "detail": refused.message, "kind": refused.details.get("kind")}
        return Response(problem, status_code=refused.status)
    return Stream(_told(request, site.id, len(leads), first, batches), media_type="application/x-ndjson")


def _batches(request: PageRequest, site: AskedSite, asked: Bulk, leads: list[Seen]) -> AsyncIterator[Batch]:
    database, who = request.app.state.database, asker(request)
    if asked.action is Action.UNDO:
        return bulk.undo_many(database, who, site.id, leads)
    if asked.action is Action.SEAL and not asked.confirmed:
        raise Unprocessable(reason="sealing many without an amount has to be confirmed", kind="confirm")
    decision = Decision(action=asked.action, reason=asked.reason, note=asked.note)
    return bulk.decide_many(database, who, site.id, leads, decision)


async def _leads(request: PageRequest, connection: Any, site: AskedSite, asked: Bulk) -> list[Seen]:
    if (asked.leads is None) == (asked.query is None):
        raise Malformed(reason="leads or a query says which leads, one of them")
    if asked.leads is not None:
        if len(asked.leads) > bulk.MOST:
            raise Unprocessable(reason=f"at most {bulk.MOST} leads are decided at once", kind="many")
        return asked.leads
    look = looking.read(
        dict(parse_qsl(asked.query or "")), site.time_zone, view_of(request).now, is_list=True
    )
    until = asked.until if asked.until is not None and asked.until.tzinfo else datetime.now(UTC)
    leads = await matching(connection, site, wanted_of(look), most=bulk.MOST + 1, until=until)
    if len(leads) > bulk.MOST:
        raise Unprocessable(reason=f"at most {bulk.MOST} leads are decided at once", kind="many")
    if asked.expected is not None and asked.expected != len(leads):
        raise Unprocessable(reason=f"{len(leads)} leads match now, not {asked.expected}", kind="other_count")
    return leads


async def _told(
    request: PageRequest, site_id: UUID, of: int, first: Batch, batches: AsyncIterator[Batch]
) -> AsyncIterator[bytes]:
    yield msgspec.json.encode({"of": of}) + b"\n"
    notices = request.app.state.collect.notices
    try:
        yield msgspec.json.encode(first) + b"\n"
        notices.changed(site_id, False)
        async for batch in batches:
            notices.changed(site_id, False)
            yield msgspec.json.encode(batch) + b"\n"
    except (
        Exception
    ):  # the answer has begun: what was done stays done, and the last line says that it was not all
        yield b'{"broken":true}\n'
        raise


# Views.

_PROBLEMS: Final = ("taken", "many", "name")


def _query(text: str, site: AskedSite, request: PageRequest) -> str:
    """What an address says, in its own words and order; nothing else that may stand in it."""
    asked = dict(parse_qsl(text[: views.LONGEST_QUERY]))
    try:
        return looking.read(asked, site.time_zone, view_of(request).now, is_list=True).query(compare=None)
    except BadRange:
        return looking.read(
            {**asked, **EVERYTHING}, site.time_zone, view_of(request).now, is_list=True
        ).query()


def _name(form: Mapping[str, str]) -> str:
    return " ".join(form.get("name", "").replace("\x00", "").split())[: views.LONGEST_NAME]


def _back(site_id: UUID, query: str, problem: str | None = None) -> Redirect:
    query = "&".join(part for part in (query, f"problem={problem}" if problem else "") if part)
    return Redirect(f"/sites/{site_id}/leads{'?' if query else ''}{query}", status_code=303)


@post(f"{HERE}/views", opt=READS)
async def keep_view(request: PageRequest) -> Redirect:
    """Keep what the list shows under a name."""
    form = await form_of(request)
    name = _name(form)
    async with site_of(request, write=True) as (connection, site):
        query = _query(form.get("query", ""), site, request)
        outcome = (
            await views.keep(connection, site.id, name, query, shared=form.get("shared") == "on")
            if name
            else "name"
        )
    return _back(site.id, query, None if outcome == "kept" else outcome)


@post(f"{HERE}/views/{{view_id:uuid}}", opt=READS)
async def change_view(request: PageRequest) -> Redirect:
    """Another name for it, or other people. Raises :class:`~opsmantik.errors.NotFound` for one that is not theirs."""
    form, view_id = await form_of(request), request.path_params["view_id"]
    name = _name(form)
    async with site_of(request, write=True) as (connection, site):
        query = _query(form.get("query", ""), site, request)
        outcome = (
            await views.change(connection, site.id, view_id, name, shared=form.get("shared") == "on")
            if name
            else "name"
        )
    if outcome == "none":
        raise NotFound(what="view")
    return _back(site.id, query, None if outcome == "kept" else outcome)


@post(f"{HERE}/views/{{view_id:uuid}}/remove", opt=READS)
async def remove_view(request: PageRequest) -> Redirect:
    """Take it away. Raises :class:`~opsmantik.errors.NotFound` for one that is not theirs."""
    form = await form_of(request)
    async with site_of(request, write=True) as (connection, site):
        query = _query(form.get("query", ""), site, request)
        if not await views.remove(connection, site.id, request.path_params["view_id"]):
            raise NotFound(what="view")
    return _back(site.id, query)


HANDLERS: Final = [
    show_leads, show_rows, export_leads, decide_many, keep_view, change_view, remove_view,
]  # fmt: skip
