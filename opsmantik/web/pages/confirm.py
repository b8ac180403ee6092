"""Once more who it is, before something dangerous (``guard.recently``): the password, and a code where there is a second
factor. Whoever has neither, because another provider vouches for them, signs in anew."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import TooManyRequests
from opsmantik.people import second_factor_store as factors
from opsmantik.people import store as people
from opsmantik.people.capabilities import Capability
from opsmantik.people.second_factor import Code
from opsmantik.people.sign_in import counted, is_own_password
from opsmantik.web import guard
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import client_of, form_of, session_cookie, sign_in_address, too_many
from opsmantik.web.rendering import PageRequest, page, view_of


async def _asked_for(request: PageRequest) -> tuple[bool, factors.Factor | None]:
    """Whether there is a password to ask for, and the second factor."""
    state, person = request.app.state, request.state.person
    account = await people.account_by_email(state.database, person.email)
    factor = await factors.own(state.database, state.keyring, asker(request))
    return (
        account is not None and account.password_hash is not None,
        factor if factor and factor.confirmed_at else None,
    )


def _page(request: PageRequest, has_password: bool, has_factor: bool, **context: Any) -> Response[Any]:
    given = {"following": "/", "problem": None, **context}
    return page(request, "confirm.html", has_password=has_password, has_factor=has_factor, **given)


@get("/confirm", opt=needs(Capability.ACCOUNT))
async def show_confirm(request: PageRequest) -> Response[Any]:
    """The form."""
    has_password, factor = await _asked_for(request)
    following = guard.safe_next(request.query_params.get("next"))
    return _page(request, has_password, factor is not None, following=following)


@post("/confirm", opt=needs(Capability.ACCOUNT))
async def do_confirm(request: PageRequest) -> Response[Any]:
    """Check what is asked for; the browser gets another token, and goes on."""
    state, person, form = request.app.state, request.state.person, await form_of(request)
    following = guard.safe_next(form.get("next"))
    has_password, factor = await _asked_for(request)
    if not has_password and factor is None:
        await people.end_sign_in(state.database, person.token)
        gone = guard.cookie(request, state.settings, "session", "", 0)
        return Redirect(sign_in_address(following), status_code=303, cookies=[gone])
    try:
        token = await _confirmed(request, form, has_password, factor)
    except TooManyRequests as slow:
        problem, headers = too_many(request, slow)
        return _page(
            request, has_password, factor is not None,
            status=429, following=following, problem=problem, headers=headers,
        )  # fmt: skip
    if token is None:
        problem = view_of(request).words("confirm.wrong")
        return _page(
            request, has_password, factor is not None, status=422, following=following, problem=problem
        )
    return Redirect(following, status_code=303, cookies=[session_cookie(request, token)])


async def _confirmed(
    request: PageRequest, form: dict[str, str], has_password: bool, factor: factors.Factor | None
) -> str | None:
    state, person, client = request.app.state, request.state.person, client_of(request)
    if has_password:
        password = form.get("password", "")
        if not await is_own_password(
            state.database, state.passwords, state.attempts, person, password, client
        ):
            return None
    code: Code | None = None
    if factor is not None:
        attempt = await counted(state.attempts, person.email, client, "code")
        code = factor.read(form.get("code", ""))
        if code is None:
            return None
    token = await factors.confirm_sign_in(state.database, asker(request), person.token, code)
    if token is not None and factor is not None:
        await state.attempts.succeeded(attempt)
    return token


HANDLERS = [show_confirm, do_confirm]
