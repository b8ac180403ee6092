"""Connecting a site with Google: by somebody's consent (OAuth 2.0 with PKCE), or by a service account's key.

Whoever connects a site lends it their access. The tokens are kept with them, sealed (people/credentials.py), and are used
only while they may hand out the site's conversions (upkeep/grants.py). Google sends everybody back to one address, so the
browser keeps, sealed, for which site and by whom it was begun.

The page that shows all this is the site's settings about where conversions go; it uses :func:`begin_address`,
:func:`connection_of`, :func:`findings` and :func:`notice_of`, and the templates ``connect_google.html`` and
``connect_findings.html``.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import structlog
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from litestar import Request, Response, get, post
from litestar.response import Redirect

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Finding, Trouble, Why
from opsmantik.conversions.google_auth import (
    ADS,
    DATA_MANAGER,
    SCOPES,
    Granted,
    as_kept,
    read_service_account,
)
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.errors import NotFound, SealBroken, Unprocessable
from opsmantik.people import credentials, members
from opsmantik.people.capabilities import Capability
from opsmantik.people.credentials import Tokens
from opsmantik.people.oidc import ATTEMPT_SECONDS
from opsmantik.upkeep.grants import PROVIDER
from opsmantik.web import guard, sealed_cookies
from opsmantik.web.guard import needs, recently
from opsmantik.web.login import form_of
from opsmantik.web.pages.site_frame import site_of
from opsmantik.web.rendering import page

log = structlog.get_logger()

PageRequest = Request[Any, Any, Any]
HERE: Final = "/connect/google/{site_id:uuid}"
CALLBACK: Final = "/connect/google/callback"
SENDS: Final = needs(Capability.EXPORT)
COOKIE: Final = "google"
SCOPE_OF: Final = {"data_manager": DATA_MANAGER, "google_ads": ADS}
"""The adapters that Google opens, and what each needs."""
NOTICES: Final = (
    "connected", "disconnected", "not_revoked", "key_kept", "choose_first", "key_unreadable", "key_of_another_type",
    "key_without_email", "key_without_private_key",
)  # fmt: skip
WELL: Final = ("connected", "disconnected", "key_kept")
Reason = Literal["state", "denied", "other_person", "scope", "no_refresh", "refused", "unreachable", "site"]
STATUS: Final[dict[str, int]] = {"state": 400, "unreachable": 502, "site": 409, "other_person": 409}


class Begun(msgspec.Struct, frozen=True, array_like=True):
    """What has begun in this browser, until it comes back."""

    state: str
    verifier: str
    site: UUID
    person: UUID
    began_at: int


class Connection(msgspec.Struct, frozen=True):
    """How a site is connected. ``name``: whose connection, or the service account's address."""

    way: Literal["none", "mine", "person", "service_account", "broken"]
    name: str
    begin: str | None
    """Where to begin; None: this installation has no OAuth client."""
    redirect_uri: str
    """What has to stand in that client at Google."""


class Refused(Exception):  # noqa: N818 - a refusal, which a page says in words
    """It goes no further."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


# For the page of the settings.


def begin_address(site_id: UUID) -> str:
    """Where a link leads that connects this site."""
    return f"/connect/google/{site_id}"


def settings_address(site_id: UUID, notice: str = "") -> str:
    """The page of the settings that shows the connection."""
    return f"/sites/{site_id}/settings/conversions" + (f"?google={notice}" if notice else "")


def notice_of(request: PageRequest) -> tuple[str, bool] | None:
    """What has just happened: its name in the words, and whether it is well."""
    said = request.query_params.get("google", "")
    return (said, said in WELL) if said in NOTICES else None


async def connection_of(request: PageRequest, connection: Any, site: AskedSite) -> Connection:
    """How this site is connected, for those who may hand out its conversions; inside their transaction."""
    state = request.app.state
    sealed, person = await store.secret(connection, site.id)
    way: Any = "none"
    name = ""
    if sealed is not None:
        try:
            text = state.keyring.open(sealed, store.SECRET, site.id).decode()
            way, name = "service_account", read_service_account(text).client_email
        except (SealBroken, Unprocessable):
            way = "broken"
    elif person is not None:
        way = "mine" if person == request.state.person.user_id else "person"
        people = await members.people_of(connection, site.id) if way == "person" else []
        name = next((found.name or found.email for found in people if found.user_id == person), "")
    can_begin = state.platforms.auth.client_id is not None
    return Connection(way, name, begin_address(site.id) if can_begin else None, _redirect_uri(request))


async def findings(request: PageRequest) -> Sequence[Finding]:
    """The connection test of the site in the address: what is there and what is missing. Nothing is sent.

    Raises :class:`~opsmantik.errors.NotFound` where the site's conversions go nowhere, or a person carries them.
    """
    state = request.app.state
    async with site_of(request) as (connection, site):
        route = await store.route(connection, site.id)
        sealed, person = await store.secret(connection, site.id)
    adapter = state.platforms.adapters.get(route.adapter) if route else None
    if route is None or adapter is None:
        raise NotFound(what="destination")
    try:
        found = await adapter.check(route.destination, state.grants.of(site.id, sealed, person))
    except Trouble as trouble:
        code = "connected" if trouble.why is Why.NOT_CONNECTED else "reached"
        return [Finding(code, False, trouble.reason)]
    # Only who sends hashes needs what they need.
    return [
        one for one in found if route.with_hashes or one.code not in ("enhanced_conversions", "data_terms")
    ]


# By consent.


@get(HERE, opt=SENDS)
async def begin(request: PageRequest) -> Response[Any]:
    """To Google. A link and not a form: it changes nothing here, and forms may not lead away from this server."""
    recently(request)
    async with site_of(request) as (connection, site):
        route = await store.route(connection, site.id)
    client_id = request.app.state.platforms.auth.client_id
    if route is None or route.adapter not in SCOPE_OF or client_id is None:
        return Redirect(settings_address(site.id, "choose_first"), status_code=303)
    begun = Begun(
        secrets.token_urlsafe(32), secrets.token_urlsafe(48), site.id, request.state.person.user_id, int(time.time())
    )  # fmt: skip
    query = {
        "client_id": client_id, "redirect_uri": _redirect_uri(request), "response_type": "code", "scope": " ".join(SCOPES),
        "state": begun.state, "code_challenge": create_s256_code_challenge(begun.verifier),
        "code_challenge_method": "S256",
        # A refresh token comes with an explicit consent only, and each time.
        "access_type": "offline", "prompt": "consent",
    }  # fmt: skip
    address = f"{request.app.state.settings.google_auth_url}?{urlencode(query)}"
    cookie = sealed_cookies.sealed(request, COOKIE, begun, ATTEMPT_SECONDS)
    return Redirect(address, status_code=303, cookies=[cookie])


@get(CALLBACK, opt=needs(Capability.ACCOUNT))
async def come_back(request: PageRequest) -> Response[Any]:
    """Google's answer. Whatever is wrong with it is said in words."""
    begun = sealed_cookies.opened(request, COOKIE, Begun)
    pairs = list(request.query_params.multi_items())
    answer = dict(pairs)
    is_ours = (
        begun is not None
        and len(pairs) == len(answer)
        and hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode())
        and request.app.state.oidc.answers.spend(begun.state, begun.began_at)
    )
    if begun is None or not is_ours:  # the cookie stays: what was begun may still come back
        return _refused_page(request, Refused("state"), None)
    try:
        await _connect(request, begun, answer)
        answered: Response[Any] = Redirect(settings_address(begun.site, "connected"), status_code=303)
    except Refused as refused:
        answered = _refused_page(request, refused, begun.site)
    answered.cookies.append(sealed_cookies.gone(request, COOKIE))
    return answered


async def _connect(request: PageRequest, begun: Begun, answer: dict[str, str]) -> None:
    """Keep what was granted, and let the site use it. Raises :class:`Refused`, and 404 or 403 as every page does."""
    state = request.app.state
    if request.state.person.user_id != begun.person:
        raise Refused("other_person")
    if "error" in answer or not answer.get("code"):
        raise Refused(
            "denied" if answer.get("error") == "access_denied" else "refused", answer.get("error", "")[:60]
        )
    who = msgspec.structs.replace(guard.asker(request, Capability.EXPORT), only=begun.site)
    async with state.database.as_person(who) as (connection, person):
        await _site(connection, person, begun.site)
        route = await store.route(connection, begun.site)
    if route is None or route.adapter not in SCOPE_OF:
        raise Refused("site")
    granted = await _granted(request, begun, answer["code"])
    if SCOPE_OF[route.adapter] not in granted.scopes:
        raise Refused("scope")
    if granted.refresh is None:
        raise Refused("no_refresh")
    tokens = Tokens(granted.token.access, granted.refresh, granted.token.expires_at)
    await credentials.keep(state.database, state.keyring, who, PROVIDER, tokens)
    async with state.database.as_person(who, write=True) as (connection, person):
        await _site(connection, person, begun.site)
        await store.put_secret(connection, state.keyring, begun.site, None, mine=True)


async def _granted(request: PageRequest, begun: Begun, code: str) -> Granted:
    try:
        found: Granted = await request.app.state.platforms.auth.exchange(
            code, begun.verifier, _redirect_uri(request)
        )
    except Trouble as trouble:
        reason: Reason = "refused" if trouble.why is Why.NOT_CONNECTED else "unreachable"
        raise Refused(reason, str(trouble)) from None
    return found


async def _site(connection: Any, person: Any, site: UUID) -> AskedSite:
    found = await asked_site(connection, person, str(site))
    if found is None:
        raise NotFound(what="site")
    return found


@post(HERE + "/disconnect", opt=SENDS)
async def disconnect(request: PageRequest) -> Response[Any]:
    """Let the site use nothing any more. Where it was the asker's own connection and no other site of theirs uses it, it
    ends at Google too."""
    state, me = request.app.state, request.state.person.user_id
    async with site_of(request, write=True) as (connection, site):
        sealed, person = await store.secret(connection, site.id)
        if await store.route(connection, site.id) is not None:
            await store.put_secret(connection, state.keyring, site.id, None)
    if sealed is not None or person != me:
        return Redirect(settings_address(site.id, "disconnected"), status_code=303)
    who = guard.asker(request)
    async with state.database.as_person(who) as (connection, seen):
        if await store.lends(connection, seen.sites, me):
            return Redirect(settings_address(site.id, "disconnected"), status_code=303)
    return Redirect(settings_address(site.id, await _end(request)), status_code=303)


async def _end(request: PageRequest) -> str:
    """Throw the asker's tokens away, and tell Google; what to say about it."""
    state, who = request.app.state, guard.asker(request)
    try:
        tokens = await credentials.read(state.database, state.keyring, who, PROVIDER)
    except SealBroken:
        tokens = None
    await credentials.forget(state.database, who, PROVIDER)
    token = tokens.refresh or tokens.access if tokens else None
    is_known = token is not None and await state.platforms.auth.revoke(token)
    return "disconnected" if is_known else "not_revoked"


# By a service account.


@post(HERE + "/service-account", opt=SENDS)
async def put_service_account(request: PageRequest) -> Response[Any]:
    """Keep a service account's key for this site, sealed. Of the file only what is needed is kept."""
    site_id: UUID = request.path_params["site_id"]
    recently(request, settings_address(site_id))
    text = (await form_of(request)).get("key", "")
    async with site_of(request, write=True) as (connection, site):
        route = await store.route(connection, site.id)
        if route is None or route.adapter not in SCOPE_OF:
            return Redirect(settings_address(site.id, "choose_first"), status_code=303)
        try:
            account = read_service_account(text)
        except Unprocessable as refused:
            return Redirect(settings_address(site.id, str(refused.details["kind"])), status_code=303)
        await store.put_secret(connection, request.app.state.keyring, site.id, as_kept(account))
    return Redirect(settings_address(site.id, "key_kept"), status_code=303)


def _redirect_uri(request: PageRequest) -> str:
    """The one address to which Google may send people for this: it compares it letter by letter."""
    return f"{request.app.state.settings.base_url}{CALLBACK}"


def _refused_page(request: PageRequest, refused: Refused, site: UUID | None) -> Response[Any]:
    log.warning("google.refused", reason=refused.reason, detail=refused.detail)
    back = settings_address(site) if site else "/sites"
    return page(
        request, "connect_refused.html", status=STATUS.get(refused.reason, 403), reason=refused.reason, back=back
    )  # fmt: skip


HANDLERS: Final = [begin, come_back, disconnect, put_service_account]
