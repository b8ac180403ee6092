"""Where a site's conversions go: the platform and its account, what opens it, whether it works, and the switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Finding
from opsmantik.conversions.destinations import ADAPTERS, BY_GOOGLE, FIELDS, HASHING, PULLS, read_destination
from opsmantik.dashboard.asked import AskedSite
from opsmantik.errors import AddressRefused, Conflict, Malformed, NotFound
from opsmantik.people.capabilities import Capability
from opsmantik.upkeep import exporting
from opsmantik.web.conversion_words import words_for
from opsmantik.web.guard import needs, recently
from opsmantik.web.login import form_of
from opsmantik.web.pages import connect_google
from opsmantik.web.pages.conversions import is_later
from opsmantik.web.pages.general import NOTHING
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, view_of
from opsmantik.webhooks.signing import new_secret

SENDS: Final = needs(Capability.EXPORT)
PART: Final = "conversions"
HERE: Final = "/sites/{site_id:uuid}/settings/conversions"
SECRETS: Final = ("meta", "webhook", "file")
DONE: Final = ("saved", "switched", "again", "secret")
LONGEST_TOKEN: Final = 1000


async def _page(
    request: PageRequest,
    *,
    status: int = 200,
    given: Mapping[str, str] = NOTHING,
    problems: Mapping[str, str] = NOTHING,
    findings: Sequence[Finding] | None = None,
    secret: str | None = None,
) -> Response[Any]:
    """The form, with ``given`` as somebody filled it in; what a test found; a secret that is shown this once."""
    async with settings_of(request) as (connection, site):
        route = await store.route(connection, site.id)
        google = await connect_google.connection_of(request, connection, site)
        known = {one.provider: one for one in await store.providers(connection)}
    now = view_of(request).now
    provider = known.get(route.adapter) if route else None
    return settings_page(
        request, PART, site, status=status, route=route, adapters=ADAPTERS, fields=FIELDS, pulls=PULLS, hashing=HASHING,
        by_google=BY_GOOGLE, given=given or _given(route), problems=problems, findings=findings, secret=secret,
        google=google, google_notice=connect_google.notice_of(request), provider=provider,
        provider_waits=provider is not None and is_later(provider.open_until, now),
        resting=route is not None and is_later(route.not_before, now),
        can_test=route is not None and route.adapter in request.app.state.platforms.adapters,
        pull_address=_pull_address(request, site), done=_done(request), **words_for(site),
    )  # fmt: skip


def _given(route: store.Route | None) -> dict[str, str]:
    """What stands in the form of a site that has a route, or of one that has none."""
    if route is None:
        return {"adapter": ADAPTERS[0]}
    values = {f"{route.adapter}.{name}": str(value) for name, value in route.destination.items()}
    return {"adapter": route.adapter, **values, **({"with_hashes": "on"} if route.with_hashes else {})}


def _pull_address(request: PageRequest, site: AskedSite) -> str:
    return f"{request.app.state.settings.base_url}/api/oci/pull/{site.public_id}.csv"


def _done(request: PageRequest) -> str | None:
    done = request.query_params.get("done")
    return done if done in DONE else None


def _back(request: PageRequest, done: str) -> Redirect:
    return Redirect(f"/sites/{request.path_params['site_id']}/settings/{PART}?done={done}", status_code=303)


@get(HERE, opt=SENDS)
async def show_route(request: PageRequest) -> Response[Any]:
    """The form, how it is connected, and what is wrong."""
    return await _page(request)


@post(HERE, opt=SENDS, status_code=200)
async def set_route(request: PageRequest) -> Response[Any] | Redirect:
    """Say where they go."""
    form = await form_of(request)
    async with settings_of(request):
        pass
    adapter = next((name for name in ADAPTERS if name == form.get("adapter")), None)
    if adapter is None:
        raise Malformed(reason=f"the way is one of {', '.join(ADAPTERS)}")
    names = ("adapter", "with_hashes", *(f"{way}.{field.name}" for way in ADAPTERS for field in FIELDS[way]))
    given = {name: form[name].strip()[:2000] for name in names if form.get(name)}
    typed = {field.name: form.get(f"{adapter}.{field.name}", "") for field in FIELDS[adapter]}
    destination, problems = read_destination(adapter, typed)
    if "url" in destination:
        try:
            destination["url"] = await request.app.state.outbound.check(destination["url"])
        except AddressRefused as refused:
            problems["url"] = f"refused_{refused.details['kind']}"
    with_hashes = "with_hashes" in form and adapter in HASHING
    if not problems:
        try:
            async with settings_of(request, write=True) as (connection, site):
                before = await store.route(connection, site.id)
                is_on = before.is_on if before is not None else True
                await store.set_route(
                    connection, site.id, adapter, destination, with_hashes=with_hashes, is_on=is_on
                )
            return _back(request, "saved")
        except Conflict:
            problems["adapter"] = "under_way"
    found = {name if name == "adapter" else f"{adapter}.{name}": why for name, why in problems.items()}
    return await _page(request, status=422, given=given, problems=found)


@post(f"{HERE}/switch", opt=SENDS)
async def switch_route(request: PageRequest) -> Redirect:
    """The site's switch. Whatever somebody had to put right counts as put right."""
    is_on = (await form_of(request)).get("is_on") == "yes"
    async with settings_of(request, write=True) as (connection, site):
        await store.switch_route(connection, site.id, is_on=is_on)
    return _back(request, "switched")


@post(f"{HERE}/again", opt=SENDS)
async def try_again(request: PageRequest) -> Redirect:
    """It has been put right: what is due may leave again."""
    async with settings_of(request, write=True) as (connection, site):
        route = await store.route(connection, site.id)
        if route is None:
            raise NotFound(what="destination")
        await store.switch_route(connection, site.id, is_on=route.is_on)
    return _back(request, "again")


@post(f"{HERE}/check", opt=SENDS, status_code=200)
async def check_route(request: PageRequest) -> Response[Any]:
    """Try the connection; nothing is sent."""
    return await _page(request, findings=await connect_google.findings(request))


@post(f"{HERE}/secret", opt=SENDS, status_code=200)
async def put_secret(request: PageRequest) -> Response[Any] | Redirect:
    """Keep Meta's access token; or make a signing secret or a password, and show it: this once."""
    recently(request, f"/sites/{request.path_params['site_id']}/settings/{PART}")
    form = await form_of(request)
    keyring = request.app.state.keyring
    async with settings_of(request, write=True) as (connection, site):
        route = await store.route(connection, site.id)
        if route is None or route.adapter not in SECRETS:
            raise NotFound(what="destination")
        if route.adapter == "file":
            shown: str | None = await exporting.make_pull_password(connection, keyring, site.id)
        elif route.adapter == "webhook":
            shown = new_secret()
            await store.put_secret(connection, keyring, site.id, shown)
        else:
            shown, token = None, form.get("token", "").strip()
            is_token = (
                token.isascii()
                and token.isprintable()
                and " " not in token
                and 0 < len(token) <= LONGEST_TOKEN
            )
            if is_token:
                await store.put_secret(connection, keyring, site.id, token)
    if shown is None:
        return (
            _back(request, "secret")
            if is_token
            else await _page(request, status=422, problems={"token": "token"})
        )
    return await _page(request, secret=shown)


HANDLERS: Final = [show_route, set_route, switch_route, try_again, check_route, put_secret]
