"""``/api/oci/…``: conversions as files at the first generation's addresses, and Google's own fetching.

    GET  /api/oci/pull/{site}.csv              Google's scheduled import, with a password of the site's (basic auth);
         /api/oci/pull/{site}-adjustments.csv  what is put right or taken back, which never shares a file with what is new
    GET  /api/oci/export                       the file of the latest open batch; marks nothing
    POST /api/oci/export                       preview, or make, a batch

What the first generation lacked: a GET that only reads, and an answer about what became of the file. For scripts see
web/oci_script.py.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from uuid import UUID

import msgspec
import structlog
from litestar import Response, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.types import ASGIApp

from opsmantik.conversions import batches
from opsmantik.conversions.adapters import Kind
from opsmantik.conversions.batches import BatchRow, PullRoute
from opsmantik.conversions.google_ads_csv import File
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.errors import DatabaseUnavailable, Malformed, NotFound, NotNow, TooManyRequests
from opsmantik.people.store import token_hash
from opsmantik.upkeep import exporting
from opsmantik.web.api import NOW, PREFIX, body_of, reply
from opsmantik.web.batches_api import EXPORTS, SHOWN, Preview, file_answer, preview_of
from opsmantik.web.guard import asker, peer_address
from opsmantik.web.rendering import PageRequest

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
log = structlog.get_logger()

ADJUSTMENTS: Final = "-adjustments"
PIECE: Final = 64 * 1024
SEND_SECONDS: Final = 60.0
CHALLENGE: Final = {"www-authenticate": 'Basic realm="conversions", charset="UTF-8"'}


# Google's own fetching.


@get("/api/oci/pull/{file_name:str}", opt={"public": True})
async def pull(request: PageRequest) -> ASGIApp:
    """What Google is to fetch. It may come any number of times; nothing changes by it but the note that it was here."""
    state, file_name = request.app.state, request.path_params["file_name"]
    public_id, is_csv = file_name.removesuffix(".csv"), file_name.endswith(".csv")
    adjustments = public_id.endswith(ADJUSTMENTS)
    public_id = public_id.removesuffix(ADJUSTMENTS)
    if not is_csv:
        raise NotFound(what="file; its name ends with .csv")
    door = exporting.Pull(state.database, state.keyring)
    route = await _opened(request, door, public_id)
    if route is None:
        raise NotAuthorizedException(headers=CHALLENGE)
    file, batch_ids = await door.feed(route, adjustments=adjustments)
    return cast("ASGIApp", Handing(door, route, file, batch_ids))


async def _opened(request: PageRequest, door: exporting.Pull, public_id: str) -> PullRoute | None:
    """The route that the request's password opens. Guesses from one network are slowed down."""
    user, password = _basic(request.headers.get("authorization", ""))
    if not user:  # a client that asks first what is wanted
        return None
    tries, address = request.app.state.key_tries, peer_address(request, request.app.state.settings)
    kept = token_hash(f"pull:{user}:{password}")
    wait = tries.wait(address, kept)
    if wait:
        raise TooManyRequests(retry_after=math.ceil(wait))
    named = user.replace("-", "").lower() == public_id.replace("-", "").lower()
    found = await door.opened(public_id.replace("-", "").lower(), password)
    if found is None or not named:
        tries.refused(address, kept)
        return None
    tries.accepted(kept)
    return found


class Handing:
    """The answer that hands a file over, and notes it behind the last byte. Whoever hangs up before has not fetched it."""

    def __init__(self, door: exporting.Pull, route: PullRoute, file: File, batch_ids: Sequence[UUID]) -> None:
        self._door, self._route, self._file, self._batch_ids = door, route, file, batch_ids

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        gone = asyncio.create_task(_until_gone(receive))
        try:
            whole = await self._sent(send, gone)
        finally:
            gone.cancel()
        if whole and self._batch_ids:
            try:
                await self._door.fetched(self._route, self._batch_ids)
            except DatabaseUnavailable:  # then it is handed out once more, which does no harm
                log.warning("conversions.pull_not_noted", site=str(self._route.site_id))

    async def _sent(self, send: Send, gone: asyncio.Task[None]) -> bool:
        """Whether all of it was taken by the connection."""
        body, file = self._file.body, self._file
        headers = [
            (b"content-type", b"text/csv; charset=utf-8"), (b"content-length", b"%d" % len(body)),
            (b"content-disposition", f'attachment; filename="{file.name}"'.encode()), (b"cache-control", b"no-store"),
            (b"x-opsmantik-rows", b"%d" % file.rows),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for start in range(0, len(body), PIECE):
            if gone.done():
                return False
            end = start + PIECE
            # With its last byte the answer is over: whoever has that may hang up at once.
            message = {"type": "http.response.body", "body": body[start:end], "more_body": end < len(body)}
            await asyncio.wait_for(send(message), SEND_SECONDS)
            await asyncio.sleep(0)
        return True


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _basic(header: str) -> tuple[str, str]:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


# The first generation's file.


class ExportBody(msgspec.Struct, frozen=True, rename={"site": "siteId"}):
    """Which site, of what, and whether it is only to be looked at."""

    site: str
    kind: Kind | None = None
    preview: bool = False
    limit: int = exporting.MOST_IN_A_FILE


class Export(msgspec.Struct, frozen=True):
    """A batch and where to go on with it, or what it would hold; neither where nothing is due."""

    batch: BatchRow | None
    preview: Preview | None
    file: str | None
    """GET: the file."""
    acknowledge: str | None
    """POST: what became of it."""
    cancel: str | None
    """POST: nothing of it was uploaded."""


@get("/api/oci/export", opt=EXPORTS)
async def export_file(request: PageRequest) -> Response[Any]:
    """The file of the latest open batch. It is made by POST, and nothing is marked by having it."""
    async with site_named(request, request.query_params.get("siteId"), write=True) as (connection, site):
        await exporting.route_for(connection, site.id, "file")
        batch_id = await batches.newest_open(connection, site.id)
        if batch_id is None:
            raise NotNow(
                reason="no batch is open; POST /api/oci/export with siteId makes one of what is due, and with"
                ' "preview": true shows it before',
                kind="no_batch",
            )
        found = await exporting.download(connection, site.id, batch_id)
    return file_answer(found)


@post("/api/oci/export", opt=EXPORTS, status_code=200)
async def make_export(request: PageRequest) -> Response[Any]:
    """Make a batch of what is due, or preview it."""
    body = await body_of(request, ExportBody)
    if not 1 <= body.limit <= exporting.MOST_IN_A_FILE:
        raise Malformed(reason=f"limit is a whole number from 1 to {exporting.MOST_IN_A_FILE}")
    async with site_named(request, body.site, write=True) as (connection, site):
        if body.preview:
            await exporting.route_for(connection, site.id, "file")
            shown = min(body.limit, SHOWN)
            due = await exporting.preview(connection, site.id, kind=body.kind, limit=shown)
            return reply(request, Export(None, preview_of(due, shown), None, None, None), NOW)
        batch_id = await exporting.make(connection, site.id, kind=body.kind, limit=body.limit)
        if batch_id is None:
            return reply(request, Export(None, None, None, None, None), NOW)
        made = await batches.one_batch(connection, site.id, batch_id)
    request.app.state.collect.notices.changed(site.id, False)
    one = f"{PREFIX}/{site.id}/conversions/batches/{batch_id}"
    return reply(request, Export(made, None, f"{one}/file", f"{one}/acknowledge", f"{one}/cancel"), NOW)


@asynccontextmanager
async def site_named(
    request: PageRequest, name: str | None, *, write: bool = False
) -> AsyncIterator[tuple[Any, AskedSite]]:
    """The asker's transaction, and the site that the request names."""
    if not name:
        raise Malformed(reason="siteId is missing")
    async with request.app.state.database.as_person(asker(request), write=write) as (connection, person):
        site = await asked_site(connection, person, name)
        if site is None:
            raise NotFound(what="site")
        yield connection, site


HANDLERS: Final = [pull, export_file, make_export]
TYPES: Final = (ExportBody, Export)
