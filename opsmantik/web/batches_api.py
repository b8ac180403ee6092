"""``/api/v1/sites/{site}/conversions/batches…``: conversions that somebody carries to Google as files, for programs.

A batch is made by POST, after a preview where that is wanted; its file may be had any number of times, and having it
changes no conversion; what became of it is said by POST. upkeep/exporting.py has what is behind all of this.
"""

from __future__ import annotations

import base64
from typing import Any, Final, Literal, get_args
from uuid import UUID

import msgspec
from litestar import Response, get, post

from opsmantik.conversions import batches
from opsmantik.conversions import google_ads_csv as google_csv
from opsmantik.conversions.adapters import Kind
from opsmantik.conversions.batches import BatchItem, BatchRow, Due
from opsmantik.conversions.store import BatchState
from opsmantik.dashboard import paging
from opsmantik.dashboard.paging import Cursor
from opsmantik.errors import Malformed
from opsmantik.people.capabilities import Capability
from opsmantik.upkeep import exporting
from opsmantik.upkeep.exporting import Download, Receipt, Result
from opsmantik.web.api import NOW, PREFIX, body_of, reply, uuid_of
from opsmantik.web.guard import needs
from opsmantik.web.rendering import PageRequest
from opsmantik.web.webhooks_api import site_of

EXPORTS: Final = needs(Capability.EXPORT, program=True)
HERE: Final = f"{PREFIX}/{{site_name:str}}/conversions/batches"
PAGE, MOST = 50, 200
STATES: Final = get_args(BatchState)
LARGEST_BODY: Final = 4 * 1024 * 1024
SHOWN: Final = 100
"""Rows in a page of a preview."""


class NewBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a batch is made of."""

    kind: Kind | None = None
    """new, restate or retract; absent: whichever waits longest. A batch is of one kind."""
    preview: bool = False
    """Only say what it would hold."""
    limit: int = exporting.MOST_IN_A_FILE
    """At most so many conversions, 1 to 10,000."""
    cursor: str | None = None
    """Of a preview: the page after this one."""


class Preview(msgspec.Struct, frozen=True):
    """What the next batch would hold, as its file would."""

    kind: Kind
    columns: list[str]
    rows: list[list[str]]
    left_out: int
    """Rows of this page that no file can carry: a click id that no platform can have made."""
    next_cursor: str | None


class MadeBatch(msgspec.Struct, frozen=True):
    """The batch, or what it would hold; neither where nothing is due."""

    batch: BatchRow | None
    preview: Preview | None


class Batches(msgspec.Struct, frozen=True):
    """A page of batches, newest first."""

    batches: list[BatchRow]
    next_cursor: str | None


class OneBatch(msgspec.Struct, frozen=True):
    """A batch with its conversions, as they were sent."""

    batch: BatchRow
    items: list[BatchItem]


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of one conversion."""

    order_id: str
    outcome: Literal["accepted", "failed"]
    reason: str | None = None
    """Of a failed one: Google's code, or a word."""
    detail: str | None = None
    """Google's words. Anything in them that could be an id, a number or an address is not kept."""
    retry_after: float | None = None
    """Of a failed one: seconds until it is tried again; absent: never by itself."""


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a batch: of some of its conversions by order id, and of the rest."""

    results: list[Said] = []
    rest: Literal["accepted", "failed"] | None = None
    """Of all that are not named; absent: they still wait."""


@post(HERE, opt=EXPORTS, status_code=200)
async def make_batch(request: PageRequest) -> Response[Any]:
    """Make a batch of what is due, or preview it."""
    body = await body_of(request, NewBatch)
    if not 1 <= body.limit <= exporting.MOST_IN_A_FILE:
        raise Malformed(reason=f"limit is a whole number from 1 to {exporting.MOST_IN_A_FILE}")
    after = paging.read(body.cursor) if body.cursor else None
    if body.preview:
        async with site_of(request) as (connection, site):
            await exporting.route_for(connection, site.id, "file")
            shown = min(body.limit, SHOWN)
            found = await exporting.preview(connection, site.id, kind=body.kind, limit=shown, after=after)
        return reply(request, MadeBatch(None, preview_of(found, shown)), NOW)
    async with site_of(request, write=True) as (connection, site):
        batch_id = await exporting.make(connection, site.id, kind=body.kind, limit=body.limit)
        made = await batches.one_batch(connection, site.id, batch_id) if batch_id else None
    answer = reply(request, MadeBatch(made, None), NOW)
    if made is not None:
        answer.status_code = 201
        request.app.state.collect.notices.changed(site.id, False)
    return answer


@get(HERE, opt=EXPORTS)
async def list_batches(request: PageRequest) -> Response[Any]:
    """The site's batches, newest first."""
    asked = request.query_params
    state, cursor, limit = asked.get("state"), asked.get("cursor"), asked.get("limit", str(PAGE))
    if state is not None and state not in STATES:
        raise Malformed(reason=f"state is one of {', '.join(STATES)}")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 4 and 0 < int(limit) <= MOST):
        raise Malformed(reason=f"limit is a whole number from 1 to {MOST}")
    before = paging.read(cursor) if cursor else paging.FIRST_PAGE
    async with site_of(request) as (connection, site):
        found = await batches.batches(connection, site.id, before=before, state=state, limit=int(limit) + 1)
    shown = found[: int(limit)]
    more = paging.written(Cursor(shown[-1].created_at, shown[-1].id)) if len(found) > len(shown) else None
    return reply(request, Batches(shown, more), NOW)


@get(f"{HERE}/{{batch_id:str}}", opt=EXPORTS)
async def show_batch(request: PageRequest) -> Response[Any]:
    """One batch with its conversions."""
    batch_id = _batch_id(request)
    async with site_of(request) as (connection, site):
        batch = await batches.one_batch(connection, site.id, batch_id)
        items = await batches.items(connection, site.id, batch_id)
    return reply(request, OneBatch(batch, items), NOW)


@get(f"{HERE}/{{batch_id:str}}/file", opt=EXPORTS)
async def batch_file(request: PageRequest) -> Response[Any]:
    """The batch's file, as often as it is wanted. Nothing changes by it but the count of downloads."""
    batch_id = _batch_id(request)
    async with site_of(request, write=True) as (connection, site):
        found = await exporting.download(connection, site.id, batch_id)
    return file_answer(found)


@post(
    f"{HERE}/{{batch_id:str}}/acknowledge", opt=EXPORTS, status_code=200, request_max_body_size=LARGEST_BODY
)
async def acknowledge_batch(request: PageRequest) -> Response[Any]:
    """Say what became of a batch, in whole or one by one. The same answer again changes nothing."""
    batch_id, body = _batch_id(request), await body_of(request, Acknowledgement)
    if not body.results and body.rest is None:
        raise Malformed(reason="say what became of it: results by order_id, or rest for all the others")
    async with site_of(request, write=True) as (connection, site):
        places = await exporting.positions(connection, site.id, batch_id)
        results = [
            Result(places.get(s.order_id, 0), s.outcome, s.reason, s.detail, s.retry_after)
            for s in body.results
        ]
        receipt = await exporting.answer(connection, site.id, batch_id, results, rest=body.rest)
    request.app.state.collect.notices.changed(site.id, False)
    return reply(request, receipt, NOW)


@post(f"{HERE}/{{batch_id:str}}/cancel", opt=EXPORTS, status_code=200)
async def cancel_batch(request: PageRequest) -> Response[Any]:
    """Nothing of it was carried anywhere: its conversions are due again."""
    batch_id = _batch_id(request)
    async with site_of(request, write=True) as (connection, site):
        await exporting.cancel(connection, site.id, batch_id)
        batch = await batches.one_batch(connection, site.id, batch_id)
    request.app.state.collect.notices.changed(site.id, False)
    return reply(request, batch, NOW)


def file_answer(found: Download) -> Response[Any]:
    """The file, with what there is to say about it: a file that is not what it was says so."""
    file = found.file
    headers = {
        "content-type": "text/csv; charset=utf-8",
        "content-disposition": f'attachment; filename="{file.name}"',
        "etag": f'"{file.digest.hex()}"',
        "repr-digest": f"sha-256=:{base64.b64encode(file.digest).decode()}:",
        "x-opsmantik-rows": str(file.rows),
        "x-opsmantik-missing": str(found.missing),
    }
    if not found.is_as_before:
        headers["x-opsmantik-changed"] = "what this file held before has been erased or withdrawn in part"
    return Response(file.body, headers=headers, media_type="text/csv")


def preview_of(found: Due | None, limit: int) -> Preview | None:
    """A page of what is due, as its file would have it."""
    if found is None or found.last is None:
        return None
    columns = google_csv.columns_of(found.batch)
    rows = [[row[column] for column in columns] for row in google_csv.rows_of(found.batch)]
    more = paging.written(Cursor(*found.last)) if len(found.batch.items) == limit else None
    return Preview(found.batch.kind, list(columns), rows, len(found.batch.items) - len(rows), more)


def _batch_id(request: PageRequest) -> UUID:
    return uuid_of(request.path_params["batch_id"], "batch")


HANDLERS: Final = [make_batch, list_batches, show_batch, batch_file, acknowledge_batch, cancel_batch]
TYPES: Final = (
    NewBatch, Preview, MadeBatch, Batches, OneBatch, Said, Acknowledgement, BatchRow, BatchItem, Receipt,
)  # fmt: skip
