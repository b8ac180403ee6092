"""``/api/oci/…`` for a script that runs inside Google Ads: it claims a batch, uploads it, and says what became of it.

    POST /api/oci/v2/verify                 swaps the key for a token of an hour
    GET  /api/oci/google-ads-export         claims a batch (markAsExported=true), or peeks at what is due
    POST /api/oci/ack, /api/oci/ack-failed  what became of it

A claim lasts half an hour; what is not acknowledged by then is handed out again as it was. The id of each row names its
batch, so that a late acknowledgement cannot meet a later batch. Corrections are handed out like everything else: the first
generation stored them, and always sent an empty list.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, get, post

from opsmantik.conversions import google_ads_csv as google_csv
from opsmantik.conversions.adapters import Batch, Item
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.paging import Cursor
from opsmantik.errors import BodyNotSigned, Forbidden, KeyRefused, Malformed, NotFound
from opsmantik.people.store import SignedIn
from opsmantik.upkeep import exporting
from opsmantik.upkeep.exporting import Category, Receipt, Result
from opsmantik.web import oci_session
from opsmantik.web.api import NOW, body_of, reply
from opsmantik.web.batches_api import EXPORTS
from opsmantik.web.guard import presented_key
from opsmantik.web.oci import site_named
from opsmantik.web.rendering import PageRequest

LARGEST_BODY: Final = 1024 * 1024
SIGNATURE: Final = "x-opsmantik-signature"
_TRUE: Final = ("true", "1", "yes")
_CATEGORIES: Final[Mapping[str, Category]] = {
    "VALIDATION": "validation", "TRANSIENT": "transient", "AUTH": "auth", "RATE_LIMIT": "rate_limit", "UNKNOWN": "unknown",
}  # fmt: skip


class SiteBody(msgspec.Struct, frozen=True, rename={"site": "siteId"}):
    """Which site."""

    site: str


class Token(msgspec.Struct, frozen=True):
    """A token for an hour: Authorization: Bearer, at the addresses below /api/oci/."""

    session_token: str
    expires_in: int


class ScriptItem(msgspec.Struct, frozen=True, rename="camel"):
    """One conversion to upload; exactly one of the three click ids is there."""

    id: str | None
    """Names the conversion in this batch, for the acknowledgement; None where it was only looked at."""
    order_id: str
    gclid: str | None
    wbraid: str | None
    gbraid: str | None
    conversion_name: str
    conversion_time: str
    """With its offset, 2026-11-22 10:00:00+0300."""
    conversion_value: Decimal
    conversion_currency: str
    ad_user_data: Literal["GRANTED", ""]
    """Empty: the visitor has said nothing, and it leaves by the site's policy."""
    ad_personalization: Literal["GRANTED", ""]


class ScriptAdjustment(msgspec.Struct, frozen=True, rename="camel"):
    """One conversion to put right, or to take back."""

    id: str | None
    order_id: str
    conversion_name: str
    adjustment_time: str
    adjustment_type: Literal["RESTATE", "RETRACT"]
    adjusted_value: Decimal | None
    """None of one that is taken back."""
    adjusted_value_currency: str | None


class ScriptExport(msgspec.Struct, frozen=True, rename="camel"):
    """A claimed batch, or a page of what is due. A batch is of one kind: either list may be empty."""

    site_id: str
    mode: Literal["claim", "peek"]
    batch_id: UUID | None
    """None: nothing is due, or it was only looked at."""
    lease_seconds: int | None
    """What is not acknowledged by then is handed out again."""
    time_zone: str
    items: list[ScriptItem]
    adjustments: list[ScriptAdjustment]
    next_cursor: str | None
    has_next_page: bool


class AckResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one conversion."""

    id: str
    status: Literal["SUCCESS", "FAILED"]
    error_code: str | None = None
    error_message: str | None = None


class AckBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of what was claimed: by ids, or (batchId and rest) of all that has no answer yet."""

    site_id: str
    queue_ids: list[str] = []
    """Accepted."""
    skipped_ids: list[str] = []
    """The script would not upload them: they have failed, for good."""
    results: list[AckResult] = []
    batch_id: UUID | None = None
    rest: Literal["accepted"] | None = None


class AckFailedBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What could not be delivered, and why."""

    site_id: str
    queue_ids: list[str]
    error_code: str | None = None
    error_message: str | None = None
    error_category: Literal["VALIDATION", "TRANSIENT", "AUTH", "RATE_LIMIT", "UNKNOWN"] = "UNKNOWN"
    retry_after_seconds: float | None = None


class Acked(msgspec.Struct, frozen=True):
    """What was taken down: one receipt a batch. The same again has the same receipts, and changes nothing."""

    ok: bool
    receipts: list[Receipt]
    unknown: int
    """Ids that were never given out here."""


@post("/api/oci/v2/verify", opt=EXPORTS, status_code=200)
async def verify(request: PageRequest) -> Response[Any]:
    """Swap a key for a token of an hour. A token cannot be swapped for another."""
    body = await body_of(request, SiteBody)
    async with site_named(request, body.site):
        pass
    key = _held_key(request)
    if (presented_key(request.headers) or "").startswith(oci_session.PREFIX):
        raise KeyRefused
    token = oci_session.new_token(request.app.state.keyring, key)
    return reply(request, Token(token, oci_session.SECONDS), NOW)


@get("/api/oci/google-ads-export", opt=EXPORTS)
async def script_export(request: PageRequest) -> Response[Any]:
    """Claim a batch (markAsExported=true), or peek at what is due, which changes nothing."""
    asked = request.query_params
    limit, cursor = asked.get("limit", str(exporting.MOST_IN_A_CLAIM)), asked.get("cursor")
    if not (
        limit.isascii()
        and limit.isdecimal()
        and 0 < len(limit) < 5
        and 0 < int(limit) <= exporting.MOST_IN_A_CLAIM
    ):
        raise Malformed(reason=f"limit is a whole number from 1 to {exporting.MOST_IN_A_CLAIM}")
    if asked.get("markAsExported", "false").lower() in _TRUE:
        _held_key(request)  # a link that somebody clicks must claim nothing
        async with site_named(request, asked.get("siteId"), write=True) as (connection, site):
            batch = await exporting.claim(connection, site.id, limit=int(limit))
            more = await exporting.preview(connection, site.id, kind=None, limit=1)
        if batch is not None:
            request.app.state.collect.notices.changed(site.id, False)
        return reply(request, _claimed(site, batch, has_more=more is not None and more.last is not None), NOW)
    after = paging.read(cursor) if cursor else None
    async with site_named(request, asked.get("siteId")) as (connection, site):
        await exporting.route_for(connection, site.id, "script")
        due = await exporting.preview(connection, site.id, kind=None, limit=int(limit), after=after)
    last = due.last if due is not None and len(due.batch.items) == int(limit) else None
    found = _export(site, due.batch if due else None, "peek")
    following = paging.written(Cursor(*last)) if last else None
    return reply(
        request,
        msgspec.structs.replace(found, next_cursor=following, has_next_page=following is not None),
        NOW,
    )


@post("/api/oci/ack", opt=EXPORTS, status_code=200, request_max_body_size=LARGEST_BODY)
async def ack(request: PageRequest) -> Response[Any]:
    """What became of what was claimed. The same acknowledgement again changes nothing."""
    await _check_signature(request)
    body = await body_of(request, AckBody)
    said: dict[str, tuple[Literal["accepted", "failed"], str | None, str | None]] = {}
    said |= dict.fromkeys(body.queue_ids, ("accepted", None, None))
    said |= dict.fromkeys(body.skipped_ids, ("failed", "skipped_by_script", None))
    for result in body.results:
        accepted = result.status == "SUCCESS"
        said[result.id] = (
            "accepted" if accepted else "failed", None if accepted else result.error_code or "refused",
            None if accepted else result.error_message,
        )  # fmt: skip
    places, unknown = _by_batch(said)
    if body.batch_id is not None and body.rest is not None:
        places.setdefault(body.batch_id, {})
    receipts = []
    async with site_named(request, body.site_id, write=True) as (connection, site):
        for batch_id, here in places.items():
            results = [Result(place, *said[name][:2], detail=said[name][2]) for place, name in here.items()]
            rest = body.rest if batch_id == body.batch_id else None
            try:
                receipts.append(await exporting.answer(connection, site.id, batch_id, results, rest=rest))
            except NotFound:
                unknown += len(here)
    request.app.state.collect.notices.changed(site.id, False)
    return reply(request, Acked(True, receipts, unknown), NOW)


@post("/api/oci/ack-failed", opt=EXPORTS, status_code=200, request_max_body_size=LARGEST_BODY)
async def ack_failed(request: PageRequest) -> Response[Any]:
    """What could not be delivered. VALIDATION: never again. AUTH, RATE_LIMIT: again later. TRANSIENT, UNKNOWN: nobody knows
    whether it arrived, so the batch is handed out again as it is."""
    await _check_signature(request)
    body = await body_of(request, AckFailedBody)
    if body.retry_after_seconds is not None and not 0 <= body.retry_after_seconds <= 7 * 86400:
        raise Malformed(reason="retryAfterSeconds is 0 to 604800")
    places, unknown = _by_batch(dict.fromkeys(body.queue_ids))
    receipts = []
    async with site_named(request, body.site_id, write=True) as (connection, site):
        for batch_id, here in places.items():
            try:
                receipts.append(
                    await exporting.failed(
                        connection, site.id, batch_id, list(here), _CATEGORIES[body.error_category], code=body.error_code,
                        message=body.error_message, seconds=body.retry_after_seconds,
                    )
                )  # fmt: skip
            except NotFound:
                unknown += len(here)
    request.app.state.collect.notices.changed(site.id, False)
    return reply(request, Acked(True, receipts, unknown), NOW)


def _claimed(site: AskedSite, batch: Batch | None, *, has_more: bool) -> ScriptExport:
    found = _export(site, batch, "claim")
    more = batch is not None and has_more
    return msgspec.structs.replace(
        found, batch_id=batch.id if batch else None, lease_seconds=exporting.LEASE_SECONDS if batch else None,
        next_cursor=batch.id.hex if batch is not None and more else None, has_next_page=more,
    )  # fmt: skip


def _export(site: AskedSite, batch: Batch | None, mode: Literal["claim", "peek"]) -> ScriptExport:
    items = [i for i in batch.items if batch.kind != "new" or google_csv.is_usable(i)] if batch else []
    is_new = batch is not None and batch.kind == "new"
    return ScriptExport(
        site_id=site.public_id, mode=mode, batch_id=None, lease_seconds=None,
        time_zone=batch.time_zone if batch else site.time_zone,
        items=[_item(batch, i, mode) for i in items] if batch and is_new else [],
        adjustments=[_adjustment(batch, i, mode) for i in items] if batch and not is_new else [],
        next_cursor=None, has_next_page=False,
    )  # fmt: skip


def _item(batch: Batch, item: Item, mode: str) -> ScriptItem:
    ids: dict[str, str | None] = {"gclid": None, "wbraid": None, "gbraid": None}
    ids[item.click_id_kind or "gclid"] = item.click_id
    consent: Any = google_csv.consent_of(item)
    return ScriptItem(
        id=_id(batch, item) if mode == "claim" else None, order_id=item.order_id, **ids,
        conversion_name=str(batch.destination.get("conversion_name", "")),
        conversion_time=google_csv.moment(item.occurred_at, ZoneInfo(batch.time_zone)),
        conversion_value=Decimal(google_csv.amount(item.value, item.currency)), conversion_currency=item.currency,
        ad_user_data=consent, ad_personalization=consent,
    )  # fmt: skip


def _adjustment(batch: Batch, item: Item, mode: str) -> ScriptAdjustment:
    restated = batch.kind == "restate"
    kind: Any = google_csv.TYPES[batch.kind]
    return ScriptAdjustment(
        id=_id(batch, item) if mode == "claim" else None, order_id=item.order_id,
        conversion_name=str(batch.destination.get("conversion_name", "")),
        adjustment_time=google_csv.moment(batch.created_at, ZoneInfo(batch.time_zone)), adjustment_type=kind,
        adjusted_value=Decimal(google_csv.amount(item.value, item.currency)) if restated else None,
        adjusted_value_currency=item.currency if restated else None,
    )  # fmt: skip


def _id(batch: Batch, item: Item) -> str:
    return f"{batch.id.hex}.{item.position}"


def _by_batch(ids: Mapping[str, Any]) -> tuple[dict[UUID, dict[int, str]], int]:
    """The ids by batch and place, and how many of them are none of ours."""
    found: dict[UUID, dict[int, str]] = {}
    unknown = 0
    for name in ids:
        batch, _, place = name.partition(".")
        if len(batch) == 32 and place.isascii() and place.isdecimal() and len(place) < 7:
            try:
                found.setdefault(UUID(batch), {})[int(place)] = name
                continue
            except ValueError:
                pass
        unknown += 1
    return found, unknown


def _held_key(request: PageRequest) -> str:
    """The key by which the request comes. Raises :class:`~opsmantik.errors.Forbidden` for a browser."""
    person: SignedIn = request.state.person
    if person.key is None:
        raise Forbidden(reason="this is for programs with a key")
    return person.token


async def _check_signature(request: PageRequest) -> None:
    """A body that comes with a signature (HMAC-SHA256 with the key, in hexadecimal) must be the one that was signed."""
    given = request.headers.get(SIGNATURE)
    if given is None:
        return
    wanted = hmac.new(_held_key(request).encode(), await request.body(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), given.strip().lower().removeprefix("sha256=").encode()):
        raise BodyNotSigned


HANDLERS: Final = [verify, script_export, ack, ack_failed]
TYPES: Final = (
    SiteBody, Token, ScriptExport, ScriptItem, ScriptAdjustment, AckResult, AckBody, AckFailedBody, Acked,
)  # fmt: skip
