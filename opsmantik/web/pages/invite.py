"""/invite/{token}: what an invite is for, and taking it up. Public: whoever holds the link may not have an account yet.

The address that it was written to is whose it is: a link alone makes nobody a member under another name.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import Unprocessable
from opsmantik.people import invites
from opsmantik.people import store as people
from opsmantik.people.capabilities import Capability
from opsmantik.people.passwords import check_new_password
from opsmantik.web import guard
from opsmantik.web.guard import needs
from opsmantik.web.login import PUBLIC, form_of, let_in, sign_in_address
from opsmantik.web.rendering import PageRequest, page, view_of

HERE: Final = "/invite/{token:str}"


def _token(request: PageRequest) -> str:
    token: str = request.path_params["token"]
    return token


async def _invite_page(
    request: PageRequest, *, status: int = 200, name: str = "", problem: str | None = None
) -> Response[Any]:
    """The page of a link: 404 for one that never was, or that a new one replaced; 410 for one that is good no more."""
    token = _token(request)
    async with request.app.state.database.connection() as connection:
        told = await invites.told_by(connection, token)
    if told is None or told.state != "open":
        state = told.state if told else "unknown"
        return page(request, "invite_closed.html", status=410 if told else 404, state=state)
    person: people.SignedIn | None = request.state.person
    reader = "other" if person else "sign_in" if told.has_account else "new"
    if person is not None and person.email == told.email:
        reader = "same"
    return page(
        request, "invite.html", status=status, told=told, reader=reader, token=token, name=name, problem=problem,
        sign_in=sign_in_address(request.url.path.removesuffix("/join").removesuffix("/accept")),
    )  # fmt: skip


@get(HERE, opt=PUBLIC)
async def show_invite(request: PageRequest) -> Response[Any]:
    """Who invites to what; then the button, the sign-in, or the form for an account. Looking at it changes nothing."""
    return await _invite_page(request)


@post(f"{HERE}/accept", opt=needs(Capability.ACCOUNT))
async def accept(request: PageRequest) -> Response[Any]:
    """Take it up as whoever is signed in."""
    who = guard.asker(request)
    async with request.app.state.database.as_person(who, write=True) as (connection, _):
        outcome, site_id = await invites.accept(connection, _token(request))
    if site_id is None:
        return await _invite_page(request, status=403 if outcome == "other" else 200)
    return Redirect(f"/sites/{site_id}", status_code=303)


@post(f"{HERE}/join", opt=PUBLIC)
async def join(request: PageRequest) -> Response[Any]:
    """Make an account for the invited address, a member of the site, and sign it in."""
    state, view, form = request.app.state, view_of(request), await form_of(request)
    name, password = form.get("name", "").strip()[:200], form.get("password", "")
    async with state.database.connection() as connection:
        told = await invites.told_by(connection, _token(request))  # before the work of hashing
    if told is None or told.state != "open" or told.has_account or request.state.person is not None:
        return await _invite_page(request)
    try:
        check_new_password(password, email=told.email)
    except Unprocessable:
        problem = view.words("set_up.bad_password")
        return await _invite_page(request, status=422, name=name, problem=problem)
    kept = await state.passwords.hash(password)
    async with state.database.connection() as connection:
        outcome, site_id, user_id = await invites.join(
            connection, _token(request), name=name, password_hash=kept,
            address=guard.peer_address(request, state.settings),
        )  # fmt: skip
    if outcome != "joined":
        return await _invite_page(request)
    return await let_in(request, user_id, method="invite", following=f"/sites/{site_id}")


HANDLERS: Final = [show_invite, accept, join]
