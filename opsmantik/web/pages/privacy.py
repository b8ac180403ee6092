"""A site's privacy: what is kept, on what ground and for how long; and whatever is known of one person."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import Conflict, NotFound, OpsMantikError, TooManyRequests, Unprocessable
from opsmantik.event import new_id
from opsmantik.people.capabilities import Capability
from opsmantik.privacy import erasure, export, store
from opsmantik.privacy.certificate import is_genuine
from opsmantik.privacy.erasure import Preview
from opsmantik.privacy.subject import Kind
from opsmantik.web.guard import needs, recently
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.privacy import as_file, erase, keeper, seals, subject_of
from opsmantik.web.rendering import PageRequest, page, view_of

KEEPS: Final = needs(Capability.ERASE)
PART: Final = "privacy"
HERE: Final = "/sites/{site_id:uuid}/settings/privacy"
MODES: Final = ("required", "implied", "legacy")
LEAST_MONTHS, MOST_MONTHS = 2, 60
PREVIEWED: Final = 25
"""The months of the preview for a site that keeps its rows for ever."""


class Wanted(msgspec.Struct, frozen=True):
    """What somebody asks about, as they wrote it."""

    kind: str = "phone"
    value: str = ""
    with_taps: bool = False


async def _page(
    request: PageRequest,
    *,
    status: int = 200,
    wanted: Wanted | None = None,
    found: Preview | None = None,
    problem: str = "",
    bad_months: bool = False,
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        known = await store.site_privacy(connection, site.id)
        expiring = await store.expiring(connection, site.id, known.retention_months or PREVIEWED)
        done = await store.erasures(connection, site.id)
    totals: dict[str, int] = {}
    for size in found.rows if found else ():
        totals[size.name] = totals.get(size.name, 0) + size.n
    return settings_page(
        request, PART, site, status=status, known=known, modes=MODES, kinds=list(Kind), expiring=expiring, done=done,
        archived=request.app.state.settings.archive == "on",
        wanted=wanted or Wanted(), found=found, totals=totals, problem=problem, bad_months=bad_months,
        bounds=(LEAST_MONTHS, MOST_MONTHS), said=request.query_params.get("done", ""), most=store.MOST_AN_HOUR,
    )  # fmt: skip


@get(HERE, opt=KEEPS)
async def show_privacy(request: PageRequest) -> Response[Any]:
    """The settings, what goes next, the search for a person, and the erasures so far."""
    return await _page(request)


@post(HERE, opt=KEEPS)
async def set_privacy(request: PageRequest) -> Response[Any]:
    """Change the site's policy."""
    form = await form_of(request)
    months: int | None = None
    if form.get("retention") != "forever":
        text = form.get("months", "").strip()
        months = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
        if not LEAST_MONTHS <= months <= MOST_MONTHS:
            return await _page(request, status=422, bad_months=True)
    mode = form.get("consent_mode", "")
    if mode not in MODES:
        raise Unprocessable(reason="there is no such policy")
    async with settings_of(request, write=True) as (connection, site):
        await store.change(connection, site.id, new_id(), mode, form.get("keep_ip") == "yes", months)
    return Redirect(f"/sites/{site.id}/settings/privacy?done=saved", status_code=303)


@post(f"{HERE}/person", opt=KEEPS)
async def about_person(request: PageRequest) -> Response[Any]:
    """What is known of somebody: looked at, handed out or erased, by the button. Never in an address: those are kept in
    logs and histories."""
    form = await form_of(request)
    wanted = Wanted(form.get("kind", ""), form.get("value", "")[:300], form.get("with_taps") == "yes")
    if form.get("do") in ("export", "erase"):
        recently(request, f"/sites/{request.path_params['site_id']}/settings/privacy")
    site_id = request.path_params["site_id"]
    try:
        async with keeper(request, str(site_id)) as (connection, site):
            subject = await subject_of(connection, site.id, wanted.kind, wanted.value, wanted.with_taps)
            if form.get("do") == "export":
                document = await export.export(connection, site.id, subject, seals(request))
                return as_file(document, f"person-{site.public_id}.json")
            if form.get("do") != "erase":
                found = await erasure.preview(connection, site.id, subject)
        if form.get("do") != "erase":
            return await _page(request, wanted=wanted, found=found)
        await erase(request, site_id, subject)
    except (Unprocessable, TooManyRequests, Conflict) as refused:
        return await _page(request, status=refused.status, wanted=wanted, problem=_problem(refused, wanted))
    return Redirect(f"/sites/{site_id}/settings/privacy?done=erased#erasures", status_code=303)


def _problem(refused: OpsMantikError, wanted: Wanted) -> str:
    """The refusal by the last part of its words' key."""
    if isinstance(refused, TooManyRequests):
        return "too_often"
    if isinstance(refused, Conflict):
        return "not_finished"
    if "visits belong" in str(refused.details.get("reason")):
        return "too_many"
    return wanted.kind if wanted.kind in list(Kind) else Kind.PHONE


@get(f"{HERE}/erasures/{{erasure_id:uuid}}", opt=KEEPS)
async def show_certificate(request: PageRequest) -> Response[Any]:
    """A certificate, to be printed; with ``?as=json`` the signed text itself."""
    erasure_id = request.path_params["erasure_id"]
    async with settings_of(request) as (connection, site):
        certificate = await store.certificate(connection, site.id, erasure_id)
    if certificate is None:
        raise NotFound(what="finished erasure")
    if request.query_params.get("as") == "json":
        return as_file(certificate, f"erasure-{erasure_id}.json")
    return page(
        request, "erasure_certificate.html", view=view_of(request, site.time_zone), site=site, erasure_id=erasure_id,
        told=msgspec.json.decode(certificate), is_genuine=is_genuine(certificate, seals(request)),
    )  # fmt: skip


HANDLERS: Final = [show_privacy, set_privacy, about_person, show_certificate]
