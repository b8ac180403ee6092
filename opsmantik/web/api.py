"""``GET /api/v1/sites/{site}/…``: the contracts over HTTP, and the list of sites that one may ask about.

A site is named by its id or its public id; one that is not the asker's is answered as one that is not there. Who asks
is settled before (web/guard.py). An answer carries a validator made of all that it depends on: whoever sends it back
is told that nothing has changed, by the site's number alone, and the contract is not asked. Refusals are problem
documents (web/failures.py).
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from opsmantik.clock import Period
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.cards.sites_list import sites_list
from opsmantik.dashboard.contracts import CONTRACTS, SITES, Contract
from opsmantik.errors import Malformed, NotFound
from opsmantik.people.capabilities import Capability
from opsmantik.web import parameters
from opsmantik.web.guard import asker, needs
from opsmantik.web.rendering import WORTH_PACKING, PageRequest

PREFIX: Final = "/api/v1/sites"
READS: Final = needs(Capability.READ)
# The headers of an answer that is true for its own moment alone.
NOW: Final = {"cache-control": "no-store"}
# Amounts are JSON numbers, with the decimals that they have.
_encode = msgspec.json.Encoder(decimal_format="number").encode
# Another version may answer the same question otherwise.
_VERSION = metadata.version("opsmantik")
# The browser may keep an answer, and must ask whether it is still true.
_KEEP: Final = {
    "cache-control": "private, no-cache",
    "vary": "Accept-Encoding, Authorization, Cookie, X-Api-Key",
}


T = TypeVar("T")


async def answer(contract: Contract, request: PageRequest) -> Response[Any]:
    """Ask the contract, unless the asker has its present answer.

    Raises :class:`~opsmantik.errors.Malformed` and :class:`~opsmantik.errors.BadRange` for what cannot be asked so, and
    :class:`~opsmantik.errors.NotFound` for a site that is not there or not the asker's: no word which.
    """
    words, values = parameters.read(contract, request.query_params.multi_items(), request.path_params)
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
        if site is None:
            raise NotFound(what="site")
        asked = parameters.period(words, site.time_zone, datetime.now(UTC)) if contract.ranged else None
        tag = _tag(contract, site, site.sequence, asked, values)
        if contract.timeless and _has(request, tag):
            return Response(b"", status_code=304, headers=_KEEP | {"etag": tag})
        found = await contract.ask(connection, site, *([asked] if asked is not None else []), **values)
    tag = _tag(contract, site, found.sequence, asked, values)
    return reply(request, found, {"etag": tag} if contract.timeless else {})


async def body_of(request: PageRequest, kind: type[T]) -> T:
    """The body as JSON; an empty one is an object without anything in it. Raises :class:`~opsmantik.errors.Malformed`."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise Malformed(reason=str(wrong)) from None


def uuid_of(text: str, what: str) -> UUID:
    """The id. Raises :class:`~opsmantik.errors.NotFound` for a text that can name nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(what=what) from None


def reply(request: PageRequest, found: Any, headers: Mapping[str, str]) -> Response[Any]:
    """The answer as JSON, packed where that is worth it."""
    body, sent = _encode(found), {**_KEEP, **headers}
    if len(body) >= WORTH_PACKING and "gzip" in request.headers.get("accept-encoding", ""):
        body, sent["content-encoding"] = gzip.compress(body, 1, mtime=0), "gzip"
    return Response(body, media_type="application/json", headers=sent)


def _tag(
    contract: Contract, site: AskedSite, sequence: int, asked: Period | None, values: Mapping[str, Any]
) -> str:
    """Weak, because as_of differs between answers that say the same. The range goes in as instants, so that
    yesterday's "today" is another question; the site's settings, because money and days follow them."""
    parts = (
        _VERSION, contract.name, site.id, site.role, sequence, site.updated_at, asked.over if asked else None,
        sorted(values.items()),
    )  # fmt: skip
    return f'W/"{blake2b(repr(parts).encode(), digest_size=12).hexdigest()}"'


def _has(request: PageRequest, tag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return any(known.strip().removeprefix("W/") == tag.removeprefix("W/") for known in given.split(","))


def _handler(contract: Contract) -> HTTPRouteHandler:
    path = contract.path.replace("}", ":str}")

    async def handle(request: PageRequest) -> Response[Any]:
        return await answer(contract, request)

    handle.__name__ = contract.name
    handle.__doc__ = contract.summary
    make: Callable[[Callable[[PageRequest], Awaitable[Response[Any]]]], HTTPRouteHandler]
    make = get(f"{PREFIX}/{{site_name:str}}/{path}", opt=READS)
    return make(handle)


@get(PREFIX, opt=READS)
async def show_sites(request: PageRequest) -> Response[Any]:
    """The sites that the asker may see."""
    _, values = parameters.read(SITES, request.query_params.multi_items(), {})
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        found = await sites_list(connection, person, **values)
    return reply(request, found, {})


HANDLERS: Final = [show_sites, *map(_handler, CONTRACTS)]
