"""``/api/v1/sites/{site}/privacy/…``: what is known of one person, handed out or erased, for programs that keep a site's
privacy. Screens do the same (web/pages/privacy.py); how whoever asks comes to their transactions stands here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post

from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.errors import NotFound
from opsmantik.people.capabilities import Capability
from opsmantik.privacy import erasure, export, store
from opsmantik.privacy.subject import Seals, Size, Subject
from opsmantik.settings import secret
from opsmantik.upkeep.subjects import read_subject
from opsmantik.web.api import NOW, PREFIX, body_of, reply, uuid_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.rendering import PageRequest

KEEPS: Final = needs(Capability.ERASE, program=True)
READS: Final = needs(Capability.ERASE)
PLACE: Final = f"{PREFIX}/{{site_name:str}}/privacy"


class SubjectBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom it is about: kind is phone, email, visitor or session; value a number in any spelling, an address or its
    SHA-256 in hex, or an id. with_taps: of a number, those who tapped it as well. preview: only say how much there is."""

    kind: str
    value: str
    with_taps: bool = False
    preview: bool = False


class FoundRows(msgspec.Struct, frozen=True):
    """How many rows belong to somebody, by table and month of the visit; taps: visits in which the number was tapped."""

    rows: list[Size]
    taps: int


class Erasures(msgspec.Struct, frozen=True):
    """The newest erasures of a site."""

    erasures: list[store.ErasureLine]


@post(f"{PLACE}/erasures", opt=KEEPS, status_code=200)
async def erase_person(request: PageRequest) -> Response[Any]:
    """Erase a person. The answer is the certificate, byte for byte as it was signed."""
    body = await body_of(request, SubjectBody)
    async with keeper(request, request.path_params["site_name"]) as (connection, site):
        subject = await subject_of(connection, site.id, body.kind, body.value, body.with_taps)
        if body.preview:
            found = await erasure.preview(connection, site.id, subject)
            return reply(request, FoundRows(found.rows, found.taps), NOW)
    return as_file(await erase(request, site.id, subject), f"erasure-{site.id}.json")


@post(f"{PLACE}/exports", opt=KEEPS, status_code=200)
async def export_person(request: PageRequest) -> Response[Any]:
    """All that is known of a person, as JSON."""
    body = await body_of(request, SubjectBody)
    async with keeper(request, request.path_params["site_name"]) as (connection, site):
        subject = await subject_of(connection, site.id, body.kind, body.value, body.with_taps)
        if body.preview:
            found = await erasure.preview(connection, site.id, subject)
            return reply(request, FoundRows(found.rows, found.taps), NOW)
        document = await export.export(connection, site.id, subject, seals(request))
    return as_file(document, f"person-{site.public_id}.json")


@get(f"{PLACE}/erasures", opt=READS)
async def list_erasures(request: PageRequest) -> Response[Any]:
    """The newest erasures; one without finished_at is under way, or was cut off and goes on by itself."""
    async with keeper(request, request.path_params["site_name"]) as (connection, site):
        found = await store.erasures(connection, site.id)
    return reply(request, Erasures(found), NOW)


@get(f"{PLACE}/erasures/{{erasure_id:str}}", opt=READS)
async def show_erasure(request: PageRequest) -> Response[Any]:
    """One certificate."""
    erasure_id = uuid_of(request.path_params["erasure_id"], "erasure")
    async with keeper(request, request.path_params["site_name"]) as (connection, site):
        found = await store.certificate(connection, site.id, erasure_id)
    if found is None:
        raise NotFound(what="finished erasure")
    return as_file(found, f"erasure-{erasure_id}.json")


@asynccontextmanager
async def keeper(request: PageRequest, site_name: str) -> AsyncIterator[tuple[Any, AskedSite]]:
    """A transaction of the asker's, who keeps this site's privacy, that sees no other site."""
    async with request.app.state.database.as_person(asker(request), write=True) as (connection, person):
        site = await asked_site(connection, person, site_name)
        if site is None:
            raise NotFound(what="site")
        yield connection, site


async def subject_of(connection: Any, site_id: UUID, kind: str, value: str, with_taps: bool) -> Subject:
    """Whom a request means, numbers read by the plan of the site's country."""
    site = await store.site_privacy(connection, site_id)
    return read_subject(kind, value, site.region, with_taps=with_taps)


async def erase(request: PageRequest, site_id: UUID, subject: Subject) -> bytes:
    """Erase, in transactions of the asker's; the certificate."""

    @asynccontextmanager
    async def transactions() -> AsyncIterator[Any]:
        async with keeper(request, str(site_id)) as (connection, _):
            yield connection

    state = request.app.state
    _, certificate = await erasure.erase(transactions, site_id, subject, state.keyring, seals(request))
    state.collect.notices.changed(site_id, True)
    return certificate


def seals(request: PageRequest) -> Seals:
    """What this installation signs with."""
    return Seals(secret(request.app.state.settings))


def as_file(content: bytes, name: str) -> Response[bytes]:
    """JSON to be kept, not shown; and nowhere on the way."""
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(content, status_code=200, media_type="application/json", headers=headers)


HANDLERS: Final = [erase_person, export_person, list_erasures, show_erasure]
