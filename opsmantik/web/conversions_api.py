"""``/api/v1/sites/{site}/conversions…``: the ledger, what is done about its rows, and where they go, for programs.

What the ledger says of a row stands in dashboard/cards/ledger.py, the batches are in batches_api.py. No secret is in any
answer; what opens a platform is set on the screens.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post, put

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Finding
from opsmantik.conversions.destinations import HASHING, read_destination
from opsmantik.conversions.store import AdapterName, Route
from opsmantik.dashboard import paging
from opsmantik.dashboard.cards import ledger
from opsmantik.errors import Malformed, NotFound, Unprocessable
from opsmantik.people.capabilities import Capability
from opsmantik.web import ledger_look
from opsmantik.web.api import NOW, PREFIX, READS, body_of, reply, uuid_of
from opsmantik.web.guard import needs
from opsmantik.web.ledger_look import BY
from opsmantik.web.pages import connect_google
from opsmantik.web.rendering import PageRequest
from opsmantik.web.webhooks_api import site_of

EXPORTS: Final = needs(Capability.EXPORT, program=True)
HERE: Final = f"{PREFIX}/{{site_name:str}}/conversions"
MOST_NAMED: Final = 1000


class NamedConversions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Conversions by their ids, at most 1,000."""

    conversions: list[UUID]


class DoneConversions(msgspec.Struct, frozen=True):
    """About how many something was done. The others could not be treated so: nothing happened to them."""

    count: int


class ConversionRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Where a site's conversions go."""

    adapter: AdapterName
    destination: dict[str, str]
    """By the adapter's own names."""
    with_hashes: bool
    is_on: bool
    """The site's switch: off, and nothing leaves."""
    has_secret: bool
    """Whether there is a secret of the site's own; the secret itself is never shown."""
    has_connection: bool
    """Whether somebody's own connection is used."""
    trouble: str | None
    """What somebody has to put right before anything leaves."""
    trouble_at: datetime | None
    not_before: datetime | None
    """The platform has asked to be left alone until then."""


class NewConversionRoute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where they are to go. An account's number may be written 123-456-7890."""

    adapter: AdapterName
    destination: dict[str, str]
    with_hashes: bool = False
    is_on: bool = True


class ConversionCheck(msgspec.Struct, frozen=True):
    """What a connection test found; a line that is not well says what is missing."""

    is_well: bool
    findings: list[Finding]


@get(HERE, opt=READS)
async def list_conversions(request: PageRequest) -> Response[Any]:
    """A page of the ledger, newest first."""
    query = request.query_params
    cursor, limit = query.get("cursor"), _limit(query.get("limit"))
    _refuse_unknown(query)
    async with site_of(request) as (connection, site):
        look = ledger_look.read(dict(query), site.time_zone, datetime.now(UTC))
        found = await ledger.ledger(
            connection, site, look.asked, limit=limit, cursor=paging.read(cursor) if cursor else None
        )
    return reply(request, found, NOW)


@get(f"{HERE}/{{conversion_id:str}}", opt=READS)
async def show_conversion(request: PageRequest) -> Response[Any]:
    """One conversion with its moves and batches."""
    async with site_of(request) as (connection, site):
        conversion_id = uuid_of(request.path_params["conversion_id"], "conversion")
        found = await ledger.one(connection, site, conversion_id)
    return reply(request, found, NOW)


@post(f"{HERE}/retry", opt=EXPORTS, status_code=200)
async def retry_conversions(request: PageRequest) -> Response[Any]:
    """Have them tried again now: what was refused, and corrections that were."""
    async with site_of(request, write=True) as (connection, site):
        count = await store.retry(connection, site.id, await _named(request))
    return reply(request, DoneConversions(count), NOW)


@post(f"{HERE}/drop", opt=EXPORTS, status_code=200)
async def drop_conversions(request: PageRequest) -> Response[Any]:
    """Keep from leaving what has not left."""
    async with site_of(request, write=True) as (connection, site):
        count = await store.drop(connection, site.id, await _named(request))
    return reply(request, DoneConversions(count), NOW)


@get(f"{HERE}/route", opt=needs(Capability.EXPORT))
async def show_route(request: PageRequest) -> Response[Any]:
    """Where they go. 404 where nobody has said so yet."""
    async with site_of(request) as (connection, site):
        found = await store.route(connection, site.id)
    return reply(request, _shown(found), NOW)


@put(f"{HERE}/route", opt=EXPORTS)
async def put_route(request: PageRequest) -> Response[Any]:
    """Say where they go. 409 while a batch is under way by another adapter."""
    async with site_of(request):
        pass  # before anything is said about what they sent: it is their site
    body = await body_of(request, NewConversionRoute)
    destination, problems = read_destination(body.adapter, body.destination)
    unknown = sorted(body.destination.keys() - destination.keys() - problems.keys())
    if problems or any(body.destination[name] for name in unknown):
        wrong = {**dict.fromkeys(unknown, "unknown"), **problems}
        said = ", ".join(f"{name} ({why})" for name, why in wrong.items())
        raise Unprocessable(
            reason=f"of the destination this is wrong: {said}", kind="destination", fields=wrong
        )
    if body.with_hashes and body.adapter not in HASHING:
        raise Unprocessable(reason=f"{body.adapter} carries no hashed contact data", kind="with_hashes")
    if "url" in destination:
        destination["url"] = await request.app.state.outbound.check(destination["url"])
    async with site_of(request, write=True) as (connection, site):
        await store.set_route(
            connection, site.id, body.adapter, destination, with_hashes=body.with_hashes, is_on=body.is_on
        )
        found = await store.route(connection, site.id)
    return reply(request, _shown(found), NOW)


@post(f"{HERE}/route/check", opt=EXPORTS, status_code=200)
async def check_route(request: PageRequest) -> Response[Any]:
    """Try the connection; nothing is sent. 404 where a person or a script carries the batches."""
    async with site_of(request) as (_, site):
        request.path_params["site_id"] = site.id
    found = list(await connect_google.findings(request))
    return reply(request, ConversionCheck(all(one.is_well for one in found), found), NOW)


def _shown(route: Route | None) -> ConversionRoute:
    if route is None:
        raise NotFound(what="destination")
    rests = route.not_before.tzinfo is not None and route.not_before > datetime.now(UTC)
    return ConversionRoute(
        adapter=route.adapter, destination={name: str(value) for name, value in route.destination.items()},
        with_hashes=route.with_hashes, is_on=route.is_on, has_secret=route.has_secret,
        has_connection=route.connected_by is not None, trouble=route.trouble, trouble_at=route.trouble_at,
        not_before=route.not_before if rests else None,
    )  # fmt: skip


async def _named(request: PageRequest) -> list[UUID]:
    ids = (await body_of(request, NamedConversions)).conversions
    if len(ids) > MOST_NAMED:
        raise Unprocessable(reason=f"at most {MOST_NAMED} conversions at once", kind="many")
    return ids


def _refuse_unknown(query: Any) -> None:
    """A program that misspells a filter must not take all rows for some."""
    for state in filter(None, query.get("state", "").split(",")):
        if state not in ledger.STATES:
            raise Malformed(reason=f"state is one or several of {', '.join(ledger.STATES)}")
    if query.get("click") not in (None, *ledger.KINDS):
        raise Malformed(reason=f"click is one of {', '.join(ledger.KINDS)}")
    if query.get("by") not in (None, *BY):
        raise Malformed(reason=f"by is one of {', '.join(BY)}")


def _limit(text: str | None) -> int:
    if text is None:
        return ledger.PAGE
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= ledger.MOST):
        raise Malformed(reason=f"limit is a whole number from 1 to {ledger.MOST}")
    return int(text)


HANDLERS: Final = [
    list_conversions, show_conversion, retry_conversions, drop_conversions, show_route, put_route, check_route,
]  # fmt: skip
