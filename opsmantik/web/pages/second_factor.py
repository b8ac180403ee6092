"""One's own second factor: setting it up with an authenticator, recovery codes, switching it off."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import NotFound, TooManyRequests
from opsmantik.people import second_factor
from opsmantik.people import second_factor_store as factors
from opsmantik.people.attempts import Attempt
from opsmantik.people.capabilities import Capability
from opsmantik.people.second_factor import Code
from opsmantik.people.sign_in import counted
from opsmantik.web import guard
from opsmantik.web.guard import asker, needs
from opsmantik.web.letters import told
from opsmantik.web.login import client_of, form_of, session_cookie, too_many
from opsmantik.web.rendering import PageRequest, page, view_of

HERE = "/account/second-factor"
OWN = needs(Capability.ACCOUNT)


async def _own(request: PageRequest) -> factors.Factor | None:
    state = request.app.state
    return await factors.own(state.database, state.keyring, asker(request))


def _page(
    request: PageRequest,
    factor: factors.Factor | None,
    problem: tuple[str, str] | None = None,
    **context: Any,
) -> Response[Any]:
    """``problem``: beside which form, and what."""
    secret = second_factor.spelled(factor.secret) if factor and factor.confirmed_at is None else ""
    return page(
        request, "second_factor.html",
        factor=factor, secret=secret, problem_at=(problem or ("", ""))[0], problem=(problem or ("", ""))[1], **context,
    )  # fmt: skip


@get(HERE, opt=OWN)
async def show_second_factor(request: PageRequest) -> Response[Any]:
    """Off, being set up, or on. A secret that is being set up is shown to who has just shown who they are."""
    factor = await _own(request)
    if factor is not None and factor.confirmed_at is None:
        guard.recently(request)
    return _page(request, factor)


@post(f"{HERE}/begin", opt=OWN)
async def begin_second_factor(request: PageRequest) -> Response[Any]:
    """A new secret, of which a code has to come back."""
    guard.recently(request, back=HERE)
    await factors.begin(request.app.state.database, request.app.state.keyring, asker(request))
    return Redirect(HERE, status_code=303)


@get(f"{HERE}/qr.svg", opt=OWN)
async def show_qr(request: PageRequest) -> Response[bytes]:
    """The picture for the authenticator; a file of its own, since no page may hold a picture or a style in itself."""
    guard.recently(request, back=HERE)
    factor = await _own(request)
    if factor is None or factor.confirmed_at is not None:
        raise NotFound(what="picture")
    host = urlsplit(request.app.state.settings.base_url).hostname or ""
    svg = second_factor.picture(factor.secret, request.state.person.email, host)
    return Response(svg, media_type="image/svg+xml", headers={"cache-control": "no-store"})


async def _typed(request: PageRequest, factor: factors.Factor | None) -> tuple[Attempt, Code | None]:
    """The code of the form, if it may be one of this factor's. Counted as an attempt: guessing is slowed."""
    form, state = await form_of(request), request.app.state
    attempt = await counted(state.attempts, request.state.person.email, client_of(request), "code")
    return attempt, factor.read(form.get("code", "")) if factor else None


async def _refused(request: PageRequest, form: str, slow: TooManyRequests | None = None) -> Response[Any]:
    if slow is not None:
        problem, headers = too_many(request, slow)
        return _page(request, await _own(request), (form, problem), status=429, headers=headers)
    return _page(request, await _own(request), (form, view_of(request).words("code.wrong")), status=422)


@post(f"{HERE}/confirm", opt=OWN)
async def confirm_second_factor(request: PageRequest) -> Response[Any]:
    """The authenticator works: from now on it is asked for. The recovery codes are shown in this answer alone."""
    guard.recently(request, back=HERE)
    state, person, factor = request.app.state, request.state.person, await _own(request)
    if factor is None or factor.confirmed_at is not None:
        return Redirect(HERE, status_code=303)
    try:
        attempt, code = await _typed(request, factor)
    except TooManyRequests as slow:
        return await _refused(request, "confirm", slow)
    codes, token = second_factor.new_recovery_codes(), None
    if code is not None and code.step is not None:
        token = await factors.confirm(state.database, asker(request), factor, code, codes, person.token)
    if token is None:
        return await _refused(request, "confirm")
    await state.attempts.succeeded(attempt)
    request.state.person = msgspec.structs.replace(person, token=token)
    answer = page(request, "recovery_codes.html", codes=codes, cookies=[session_cookie(request, token)])
    answer.background = told(request, person.email, "second_factor_on")
    return answer


@post(f"{HERE}/recovery-codes", opt=OWN)
async def renew_recovery_codes(request: PageRequest) -> Response[Any]:
    """Ten new ones, against a code; the old ones are worth nothing any more."""
    guard.recently(request, back=HERE)
    state, codes = request.app.state, second_factor.new_recovery_codes()
    try:
        attempt, code = await _typed(request, await _own(request))
    except TooManyRequests as slow:
        return await _refused(request, "codes", slow)
    if code is None or not await factors.renew_codes(state.database, asker(request), code, codes):
        return await _refused(request, "codes")
    await state.attempts.succeeded(attempt)
    return page(request, "recovery_codes.html", codes=codes)


@post(f"{HERE}/off", opt=OWN)
async def drop_second_factor(request: PageRequest) -> Response[Any]:
    """Switch it off: for who has just given the password, and gives a code now."""
    guard.recently(request, back=HERE)
    state = request.app.state
    try:
        attempt, code = await _typed(request, await _own(request))
    except TooManyRequests as slow:
        return await _refused(request, "off", slow)
    if code is None or not await factors.drop(state.database, asker(request), code):
        return await _refused(request, "off")
    await state.attempts.succeeded(attempt)
    answer = Redirect(HERE, status_code=303)
    answer.background = told(request, request.state.person.email, "second_factor_off")
    return answer


HANDLERS = [
    show_second_factor, begin_second_factor, show_qr, confirm_second_factor, renew_recovery_codes, drop_second_factor,
]  # fmt: skip
