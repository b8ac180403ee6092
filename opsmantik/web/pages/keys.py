"""Keys for programs, one's own and a site's, and what the site's telephone system signs with.

A new key or secret is on the page that answers its making, once: nothing here can show it again. To make or replace one,
whoever asks must have proved lately who they are, since a key outlives the browser that it was made in.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import Malformed, Unprocessable
from opsmantik.people import keys
from opsmantik.people.capabilities import SCOPES, Capability
from opsmantik.people.key_tokens import Key
from opsmantik.people.keys import NewKey
from opsmantik.sites import call_secrets
from opsmantik.sites import store as sites
from opsmantik.web.guard import asker, needs, recently
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, page, view_of

OWN: Final = needs(Capability.ACCOUNT)
OF_SITE: Final = needs(Capability.KEYS)
HERE: Final = "/account/keys"
THERE: Final = "/sites/{site_id:uuid}/settings/keys"
# Days that a key may live; 0: until it is revoked.
LIVES: Final = (30, 90, 365, 0)
USUAL_LIFE: Final = 90
# Hours for which a key lives on beside its successor.
GRACES: Final = (0, 1, 24, 168)
USUAL_GRACE: Final = 24


class Filled(NamedTuple):
    """What somebody wrote into the form for a new key, to be shown again beside what is wrong with it."""

    name: str = ""
    life: str = str(USUAL_LIFE)
    site: str = ""
    scopes: frozenset[str] = frozenset({Capability.READ})


UNTOUCHED: Final = Filled()


def _filled(form: dict[str, str]) -> Filled:
    ticked = frozenset(scope for scope in SCOPES if form.get(scope))
    return Filled(form.get("name", ""), form.get("life", ""), form.get("site", ""), ticked)


def _wanted(filled: Filled) -> NewKey:
    """Raises :class:`~opsmantik.errors.Unprocessable`."""
    now = datetime.now(UTC)
    if filled.life not in map(str, LIVES):
        raise Unprocessable(reason="it cannot live for so long")
    days = int(filled.life)
    expires_at = now + timedelta(days=days) if days else None
    try:
        only_site = UUID(filled.site) if filled.site else None
    except ValueError:
        raise Unprocessable(reason="there is no such site") from None
    return keys.check_new_key(filled.name, filled.scopes, expires_at, now, only_site)


def _problem(request: PageRequest, filled: Filled) -> tuple[str, str]:
    """Beside which field, and what, in the reader's words."""
    words = view_of(request).words
    if not 1 <= len(" ".join(filled.name.split())) <= keys.LONGEST_NAME:
        return "name", words("keys.bad_name")
    if not filled.scopes:
        return "scopes", words("keys.bad_scopes")
    return "form", words("keys.too_many")


def _grace(form: dict[str, str]) -> timedelta:
    hours = form.get("grace", str(USUAL_GRACE))
    if hours not in map(str, GRACES):
        raise Malformed(reason="grace is one of the choices offered")
    return timedelta(hours=int(hours))


# One's own.


async def _own_page(request: PageRequest, made: Key | None = None) -> Response[Any]:
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        rows = await keys.list_person_keys(connection, request.state.person.user_id)
        names = {site.id: site.name for site in await sites.list_sites(connection, person)}
    return page(
        request, "account_keys.html", rows=rows, names=names, made=made, base=HERE, graces=GRACES,
        usual_grace=USUAL_GRACE,
    )  # fmt: skip


async def _own_form(
    request: PageRequest, filled: Filled = UNTOUCHED, problem: tuple[str, str] = ("", ""), status: int = 200
) -> Response[Any]:
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        own = await sites.list_sites(connection, person)
    return page(
        request, "account_new_key.html", status=status, own=own, filled=filled, problem=problem, scopes=SCOPES,
        lives=LIVES, base=HERE,
    )  # fmt: skip


@get(HERE, opt=OWN)
async def show_own_keys(request: PageRequest) -> Response[Any]:
    """The keys in one's own name."""
    return await _own_page(request)


@get(f"{HERE}/new", opt=OWN)
async def show_own_key_form(request: PageRequest) -> Response[Any]:
    """The form for a new one."""
    recently(request)
    return await _own_form(request)


@post(HERE, opt=OWN, status_code=200)
async def make_own_key(request: PageRequest) -> Response[Any]:
    """Make it, and show it this once."""
    recently(request, back=f"{HERE}/new")
    filled = _filled(await form_of(request))
    try:
        made = await keys.make_person_key(request.app.state.database, asker(request), _wanted(filled))
    except Unprocessable:
        return await _own_form(request, filled, _problem(request, filled), 422)
    return await _own_page(request, made)


@post(f"{HERE}/{{key_id:uuid}}/rotate", opt=OWN, status_code=200)
async def rotate_own_key(request: PageRequest) -> Response[Any]:
    """Make its successor, and show that this once."""
    recently(request, back=HERE)
    grace = _grace(await form_of(request))
    async with request.app.state.database.as_person(asker(request), write=True) as (connection, _):
        made = await keys.rotate(connection, "person", request.path_params["key_id"], grace)
    return await _own_page(request, made)


@post(f"{HERE}/{{key_id:uuid}}/revoke", opt=OWN)
async def revoke_own_key(request: PageRequest) -> Response[Any]:
    """At once, for good."""
    async with request.app.state.database.as_person(asker(request), write=True) as (connection, _):
        await keys.revoke(connection, "person", request.path_params["key_id"])
    return Redirect(HERE, status_code=303)


# A site's.


def _there(request: PageRequest) -> str:
    return f"/sites/{request.path_params['site_id']}/settings/keys"


async def _site_page(
    request: PageRequest, made: Key | None = None, secret: str = "", problem: str = "", status: int = 200
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        rows = await keys.list_site_keys(connection, site.id)
        signing = await call_secrets.call_secrets(connection, site.id)
        unsigned = await call_secrets.takes_unsigned_calls(connection, site.id)
    return settings_page(
        request, "keys", site, status=status, rows=rows, names={}, made=made, secret=secret, problem=problem,
        base=_there(request), signing=signing, unsigned=unsigned, graces=GRACES, usual_grace=USUAL_GRACE,
        door=f"{request.app.state.settings.base_url}/api/call-event/v2",
    )  # fmt: skip


async def _site_form(
    request: PageRequest, filled: Filled = UNTOUCHED, problem: tuple[str, str] = ("", ""), status: int = 200
) -> Response[Any]:
    async with settings_of(request) as (_, site):
        pass
    return settings_page(
        request, "keys", site, status=status, filled=filled, problem=problem, scopes=SCOPES, lives=LIVES,
        base=_there(request),
    )  # fmt: skip


@get(THERE, opt=OF_SITE)
async def show_site_keys(request: PageRequest) -> Response[Any]:
    """The site's keys, and what its telephone system signs with."""
    return await _site_page(request)


@get(f"{THERE}/new", opt=OF_SITE)
async def show_site_key_form(request: PageRequest) -> Response[Any]:
    """The form for a new key."""
    recently(request)
    return await _site_form(request)


@post(THERE, opt=OF_SITE, status_code=200)
async def make_site_key(request: PageRequest) -> Response[Any]:
    """Make it, and show it this once."""
    recently(request, back=f"{_there(request)}/new")
    filled = _filled(await form_of(request))._replace(site="")
    try:
        wanted = _wanted(filled)
        async with settings_of(request, write=True) as (connection, site):
            made = await keys.make_site_key(connection, site.id, wanted)
    except Unprocessable:
        return await _site_form(request, filled, _problem(request, filled), 422)
    return await _site_page(request, made)


@post(f"{THERE}/{{key_id:uuid}}/rotate", opt=OF_SITE, status_code=200)
async def rotate_site_key(request: PageRequest) -> Response[Any]:
    """Make its successor, and show that this once."""
    recently(request, back=_there(request))
    grace = _grace(await form_of(request))
    async with settings_of(request, write=True) as (connection, site):
        made = await keys.rotate(connection, "site", request.path_params["key_id"], grace, site.id)
    return await _site_page(request, made)


@post(f"{THERE}/{{key_id:uuid}}/revoke", opt=OF_SITE)
async def revoke_site_key(request: PageRequest) -> Response[Any]:
    """At once, for good."""
    async with settings_of(request, write=True) as (connection, site):
        await keys.revoke(connection, "site", request.path_params["key_id"], site.id)
    return Redirect(_there(request), status_code=303)


@post(f"{THERE}/secrets", opt=OF_SITE, status_code=200)
async def make_secret(request: PageRequest) -> Response[Any]:
    """Make a secret to sign calls with, and show it this once."""
    recently(request, back=_there(request))
    try:
        async with settings_of(request, write=True) as (connection, site):
            secret = await call_secrets.make_call_secret(connection, request.app.state.keyring, site.id)
    except Unprocessable:
        words = view_of(request).words
        return await _site_page(request, problem=words("keys.two_secrets"), status=422)
    return await _site_page(request, secret=secret)


@post(f"{THERE}/secrets/{{secret_id:uuid}}/remove", opt=OF_SITE)
async def remove_secret(request: PageRequest) -> Response[Any]:
    """It signs no more; where there is a next one, that is the present one from now on."""
    async with settings_of(request, write=True) as (connection, site):
        await call_secrets.remove_call_secret(connection, site.id, request.path_params["secret_id"])
    return Redirect(_there(request), status_code=303)


@post(f"{THERE}/unsigned", opt=OF_SITE)
async def allow_unsigned(request: PageRequest) -> Response[Any]:
    """Take reports of calls without a signature, or refuse them."""
    allowed = (await form_of(request)).get("allowed") == "yes"
    async with settings_of(request, write=True) as (connection, site):
        await call_secrets.allow_unsigned_calls(connection, site.id, allowed)
    return Redirect(_there(request), status_code=303)


HANDLERS: Final = [
    show_own_keys, show_own_key_form, make_own_key, rotate_own_key, revoke_own_key,
    show_site_keys, show_site_key_form, make_site_key, rotate_site_key, revoke_site_key,
    make_secret, remove_secret, allow_unsigned,
]  # fmt: skip
