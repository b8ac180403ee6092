"""The batches in which a site's conversions leave, and what somebody who carries one by hand does with it: make it, take
its file, and say what became of it. What that means stands in upkeep/exporting.py."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard import paging
from opsmantik.dashboard.cards import ledger
from opsmantik.errors import Malformed, NotNow
from opsmantik.people.capabilities import Capability
from opsmantik.upkeep import exporting
from opsmantik.web.api import READS
from opsmantik.web.conversion_words import words_for
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.conversions import TAB, way_of
from opsmantik.web.pages.site_frame import site_of, site_page
from opsmantik.web.rendering import PageRequest, view_of

SENDS: Final = needs(Capability.EXPORT)
HERE: Final = "/sites/{site_id:uuid}/conversions/batches"
ONE: Final = HERE + "/{batch_id:uuid}"
ANSWERS: Final = ("accepted", "failed")
REFUSALS: Final = ("other_way", "switched_off", "answered", "no_file", "cancelled")


@get(HERE, opt=READS)
async def show_batches(request: PageRequest) -> Response[Any]:
    """All of them, newest first."""
    cursor = request.query_params.get("cursor")
    async with site_of(request) as (connection, site):
        found = await ledger.batches(connection, site, cursor=paging.read(cursor) if cursor else None)
        way = await way_of(connection, site, view_of(request).now)
    return site_page(
        request, "conversion_batches.html", site, TAB, view_name="batches", found=found, way=way,
        here=f"/sites/{site.id}/conversions", cursor=cursor, problem=_problem(request), **words_for(site),
    )  # fmt: skip


@get(ONE, opt=READS)
async def show_batch(request: PageRequest) -> Response[Any]:
    """One batch, how its conversions ended, and a page of them; ``after`` begins behind that position."""
    async with site_of(request) as (connection, site):
        found = await ledger.batch(connection, site, request.path_params["batch_id"], after=_after(request))
        way = await way_of(connection, site, view_of(request).now)
    batch = found.batch
    return site_page(
        request, "conversion_batch.html", site, TAB, view_name="batches", found=found, batch=batch, way=way,
        here=f"/sites/{site.id}/conversions", problem=_problem(request),
        is_carried=batch.adapter == "file" and batch.state in ("open", "sent"),
        has_file=batch.adapter in ("file", "script") and batch.state != "cancelled", **words_for(site),
    )  # fmt: skip


@post(HERE, opt=SENDS)
async def make_batch(request: PageRequest) -> Redirect:
    """Gather what is due into a batch of one kind, for somebody to carry."""
    form = await form_of(request)
    kind = form.get("kind", "")
    path = f"/sites/{request.path_params['site_id']}/conversions"
    try:
        async with site_of(request, write=True) as (connection, site):
            if kind not in ("new", "restate", "retract"):
                raise Malformed(reason="a batch is of one kind: new, restate or retract")
            batch_id = await exporting.make(connection, site.id, kind=kind)  # type: ignore[arg-type]
    except NotNow as refused:
        return _told(f"{path}/batches", refused)
    return Redirect(f"{path}/batches/{batch_id}" if batch_id else f"{path}/next?nothing", status_code=303)


@post(f"{ONE}/file", opt=SENDS, status_code=200)
async def take_file(request: PageRequest) -> Response[Any] | Redirect:
    """The batch's file, as often as it is wanted: the same every time, and counted."""
    batch_id: UUID = request.path_params["batch_id"]
    try:
        async with site_of(request, write=True) as (connection, site):
            found = await exporting.download(connection, site.id, batch_id)
    except NotNow as refused:
        return _told(f"/sites/{request.path_params['site_id']}/conversions/batches/{batch_id}", refused)
    return Response(
        found.file.body, media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{found.file.name}"', "cache-control": "no-store"},
    )  # fmt: skip


@post(f"{ONE}/answer", opt=SENDS)
async def answer_batch(request: PageRequest) -> Redirect:
    """Whoever carried it says what became of all that has no answer yet."""
    form = await form_of(request)
    rest = form.get("outcome", "")
    path = f"/sites/{request.path_params['site_id']}/conversions/batches/{request.path_params['batch_id']}"
    try:
        async with site_of(request, write=True) as (connection, site):
            if rest not in ANSWERS:
                raise Malformed(reason=f"an answer is one of {', '.join(ANSWERS)}")
            await exporting.answer(
                connection, site.id, request.path_params["batch_id"], [], rest=rest,  # type: ignore[arg-type]
            )  # fmt: skip
    except NotNow as refused:
        return _told(path, refused)
    return Redirect(path, status_code=303)


@post(f"{ONE}/cancel", opt=SENDS)
async def cancel_batch(request: PageRequest) -> Redirect:
    """It was never carried anywhere."""
    path = f"/sites/{request.path_params['site_id']}/conversions/batches/{request.path_params['batch_id']}"
    try:
        async with site_of(request, write=True) as (connection, site):
            await exporting.cancel(connection, site.id, request.path_params["batch_id"])
    except NotNow as refused:
        return _told(path, refused)
    return Redirect(path, status_code=303)


def _told(path: str, refused: NotNow) -> Redirect:
    kind = refused.details.get("kind")
    return Redirect(f"{path}?problem={kind if kind in REFUSALS else 'other_way'}", status_code=303)


def _problem(request: PageRequest) -> str | None:
    found = request.query_params.get("problem")
    return found if found in REFUSALS else None


def _after(request: PageRequest) -> int:
    text = request.query_params.get("after", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


HANDLERS: Final = [show_batches, show_batch, make_batch, take_file, answer_batch, cancel_batch]
