"""Signing in with an account elsewhere, and linking one to one's own.

A provider vouches for an identity, not for an account here. A known one opens its account, as the password does (with the
second factor, where there is one). An unknown one opens nothing: its e-mail address may be an account's, but providers let
people claim addresses, and addresses pass from one person to the next, with the mailbox or with a Google Workspace domain.
So whoever says "that account is mine" signs in to it once in the way it knows, and then confirms the link. Nobody gets an
account here by having one elsewhere: that takes an invite.

Between leaving and coming back the browser keeps what has begun in a sealed cookie; that the answer belongs to it is what
keeps an attacker from signing somebody in as himself.
"""

from __future__ import annotations

import hmac
import time
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import structlog
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from opsmantik.errors import NotFound
from opsmantik.people import identities
from opsmantik.people import store as people
from opsmantik.people.capabilities import Capability
from opsmantik.people.oidc import ATTEMPT_SECONDS, Attempt, Client, Identity, OidcRefused, Refusal
from opsmantik.web import guard, login, sealed_cookies
from opsmantik.web.guard import needs, recently
from opsmantik.web.rendering import page

log = structlog.get_logger()

PageRequest = Request[Any, Any, Any]
PUBLIC: Final = {"public": True}
MINE: Final = "/account/identities"
INVITE: Final = "/invite/"
STATUS: Final = {
    Refusal.UNREACHABLE: 502, Refusal.STATE: 400, Refusal.TAKEN: 409, Refusal.OTHER_PERSON: 409,
}  # fmt: skip


class Proven(msgspec.Struct, frozen=True, array_like=True):
    """An identity that a provider has just vouched for in this browser, and that opens no account yet."""

    identity: Identity
    following: str
    at: int


def proven(request: PageRequest) -> Proven | None:
    """The identity with which this browser came back within the last minutes; for the pages that may link it."""
    found = sealed_cookies.opened(request, "identity", Proven)
    return found if found and 0 <= time.time() - found.at + 1 <= ATTEMPT_SECONDS else None


@get("/sign-in/{provider:str}", opt=PUBLIC)
async def go(request: PageRequest) -> Response[Any]:
    """To the provider. A link and not a form: it changes nothing here, and forms may not lead away from this server."""
    following = guard.safe_next(request.query_params.get("next"))
    return await _go(request, _client(request), following)


@get(MINE + "/add/{provider:str}", opt=needs(Capability.ACCOUNT))
async def go_and_link(request: PageRequest) -> Response[Any]:
    """To the provider, to come back with an identity for the account of whoever is signed in."""
    recently(request)
    return await _go(request, _client(request), MINE, linking=str(request.state.person.user_id))


async def _go(request: PageRequest, client: Client, following: str, *, linking: str = "") -> Response[Any]:
    try:
        address, attempt = await client.begin(_redirect_uri(request, client), following, linking=linking)
    except OidcRefused as refused:
        return _refused(request, client, refused, following)
    cookie = _sealed(request, "oidc", attempt)
    return Redirect(address, status_code=303, cookies=[cookie])


@get("/sign-in/{provider:str}/callback", opt=PUBLIC)
async def come_back(request: PageRequest) -> Response[Any]:
    """The provider's answer. Whatever is wrong with it is said in words."""
    client = _client(request)
    attempt = sealed_cookies.opened(request, "oidc", Attempt)
    pairs = list(request.query_params.multi_items())
    answer = dict(pairs)
    begun = (
        attempt is not None
        and attempt.provider == client.provider.key
        and len(pairs) == len(answer)
        and hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode())
        and request.app.state.oidc.spend(attempt)
    )
    if attempt is None or not begun:  # the cookie stays: what was begun may still come back
        return _refused(request, client, OidcRefused(Refusal.STATE), "/")
    try:
        identity = await client.finish(attempt, answer, _redirect_uri(request, client))
        answered = await _linking(request, client, attempt, identity) if attempt.linking else None
        answered = answered or await _entering(request, client, attempt, identity)
    except OidcRefused as refused:
        answered = _refused(request, client, refused, attempt.following)
    answered.cookies.append(sealed_cookies.gone(request, "oidc"))
    return answered


async def _entering(
    request: PageRequest, client: Client, attempt: Attempt, identity: Identity
) -> Response[Any]:
    """Into the account that it opens; else what the person can do about it."""
    state, before = request.app.state, request.state.person
    holder = await identities.use(state.database, identity)
    if holder is not None:
        if holder.disabled:
            raise OidcRefused(Refusal.DISABLED)
        answer = await login.let_in(request, holder.user_id, method="oidc", following=attempt.following)
        if before is not None:  # another sign-in takes its place
            await people.end_sign_in(state.database, before.token)
        return answer
    kept = Proven(identity, attempt.following, int(time.time()))
    if identity.is_verified:
        account = await people.account_by_email(state.database, identity.email)
        if account is not None and account.disabled:
            raise OidcRefused(Refusal.DISABLED)
        if account is not None and before is not None:
            return _keep(request, kept, f"{MINE}/link")
        if account is not None:
            sign_in = login.sign_in_address(f"{MINE}/link")
            return page(
                request, "oidc_link_needed.html", cookies=[_sealed(request, "identity", kept)],
                name=client.provider.name, email=identity.email, sign_in=sign_in,
            )  # fmt: skip
    if attempt.following.startswith(INVITE):  # the invite decides what becomes of it
        return _keep(request, kept, attempt.following)
    raise OidcRefused(Refusal.UNKNOWN if identity.is_verified else Refusal.UNVERIFIED)


async def _linking(
    request: PageRequest, client: Client, attempt: Attempt, identity: Identity
) -> Response[Any] | None:
    """To the page that links it to the account which it was fetched for."""
    person = request.state.person
    if person is None or str(person.user_id) != attempt.linking:
        raise OidcRefused(Refusal.OTHER_PERSON)
    return _keep(request, Proven(identity, attempt.following, int(time.time())), f"{MINE}/link")


@get(MINE, opt=needs(Capability.ACCOUNT))
async def show_identities(request: PageRequest) -> Response[Any]:
    """Which accounts elsewhere open this one, and which could."""
    done = next((word for word in ("linked", "unlinked", "last") if word in request.query_params), None)
    return await _identities_page(request, done=done)


async def _identities_page(request: PageRequest, *, done: str | None, status: int = 200) -> Response[Any]:
    state = request.app.state
    found = await identities.of(state.database, guard.asker(request))
    return page(
        request, "identities.html", status=status, identities=found, names=state.oidc.issuers,
        providers=state.oidc.listed, done=done,
    )  # fmt: skip


@get(MINE + "/link", opt=needs(Capability.ACCOUNT))
async def show_link(request: PageRequest) -> Response[Any]:
    """Ask whether this identity shall open this account: nobody's is linked without a form of ours having been sent."""
    recently(request)
    found = proven(request)
    if found is None:
        return Redirect(MINE, status_code=303)
    name = request.app.state.oidc.issuers.get(found.identity.issuer, found.identity.issuer)
    return page(request, "oidc_link.html", name=name, identity=found.identity)


@post(MINE + "/link", opt=needs(Capability.ACCOUNT))
async def link(request: PageRequest) -> Response[Any]:
    """Link it, and go on to where the person wanted to go."""
    recently(request, f"{MINE}/link")
    found = proven(request)
    if found is None:
        return Redirect(MINE, status_code=303)
    state = request.app.state
    outcome = await identities.link(state.database, guard.asker(request), found.identity)
    if outcome == "taken":
        name = state.oidc.issuers.get(found.identity.issuer, found.identity.issuer)
        answer: Response[Any] = _refusal_page(request, Refusal.TAKEN, name, MINE)
    else:
        following = guard.safe_next(found.following)
        answer = Redirect(f"{MINE}?linked" if following in ("/", MINE) else following, status_code=303)
    answer.cookies.append(sealed_cookies.gone(request, "identity"))
    return answer


@post(MINE + "/{identity_id:uuid}/unlink", opt=needs(Capability.ACCOUNT))
async def unlink(request: PageRequest) -> Response[Any]:
    """Let it open this account no more."""
    recently(request, MINE)
    state, identity_id = request.app.state, request.path_params["identity_id"]
    issuers = list(state.oidc.issuers)
    outcome = await identities.unlink(state.database, guard.asker(request), identity_id, issuers)
    if outcome == "missing":
        raise NotFound(what="linked account")
    if outcome == "last":
        return await _identities_page(request, done="last", status=409)
    return Redirect(f"{MINE}?unlinked", status_code=303)


def _client(request: PageRequest) -> Client:
    found: Client | None = request.app.state.oidc.clients.get(request.path_params["provider"])
    if found is None:
        raise NotFound(what="page")
    return found


def _redirect_uri(request: PageRequest, client: Client) -> str:
    """The one address to which this provider may send people: the provider compares it letter by letter."""
    return f"{request.app.state.settings.base_url}/sign-in/{client.provider.key}/callback"


def _refused(request: PageRequest, client: Client, refused: OidcRefused, following: str) -> Response[Any]:
    log.warning(
        "oidc.refused", provider=client.provider.key, reason=refused.refusal.value, detail=refused.detail
    )
    return _refusal_page(request, refused.refusal, client.provider.name, following)


def _refusal_page(request: PageRequest, refusal: Refusal, name: str, following: str) -> Response[Any]:
    query = "" if following == "/" else "?" + urlencode({"next": following})
    back = MINE if request.state.person is not None else f"/sign-in{query}"
    return page(
        request,
        "oidc_refused.html",
        status=STATUS.get(refusal, 403),
        reason=refusal.value,
        name=name,
        back=back,
    )


def _keep(request: PageRequest, kept: Proven, path: str) -> Response[Any]:
    return Redirect(path, status_code=303, cookies=[_sealed(request, "identity", kept)])


def _sealed(request: PageRequest, purpose: str, value: object) -> Cookie:
    return sealed_cookies.sealed(request, purpose, value, ATTEMPT_SECONDS)


HANDLERS = [go, come_back, show_identities, go_and_link, show_link, link, unlink]
