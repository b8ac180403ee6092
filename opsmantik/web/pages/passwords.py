"""A new password for somebody who has forgotten theirs: a link by mail, good once and for an hour.

The answer is the same whether there is such an account, and so is the time: what there is to do is done after it.
"""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import TooManyRequests, Unprocessable
from opsmantik.people import account_store
from opsmantik.people.passwords import check_new_password
from opsmantik.people.sign_in import counted
from opsmantik.web import guard
from opsmantik.web.letters import password_link, told
from opsmantik.web.login import PUBLIC, client_of, form_of, too_many
from opsmantik.web.rendering import PageRequest, page, view_of


def _forgot_page(request: PageRequest, **context: Any) -> Response[Any]:
    given = {"email": "", "sent": False, "problem": None, **context}
    return page(request, "forgot.html", can_mail=request.app.state.mailer.is_on, **given)


@get("/forgot", opt=PUBLIC)
async def show_forgot(request: PageRequest) -> Response[Any]:
    """The form; where no mail can be sent, whom to ask."""
    return _forgot_page(request)


@post("/forgot", opt=PUBLIC)
async def do_forgot(request: PageRequest) -> Response[Any]:
    """Say that a link is on its way, and then see whether there is anybody to send it to."""
    state, form = request.app.state, await form_of(request)
    email = form.get("email", "").strip()[:254]
    if not state.mailer.is_on:
        return _forgot_page(request)
    try:
        await counted(state.attempts, email, client_of(request), "mail")
    except TooManyRequests as slow:
        problem, headers = too_many(request, slow)
        return _forgot_page(request, status=429, email=email, problem=problem, headers=headers)
    answer = _forgot_page(request, email=email, sent=True)
    answer.background = password_link(request, email)
    return answer


@get("/reset/{link:str}", opt=PUBLIC)
async def show_reset(request: PageRequest) -> Response[Any]:
    """The form for the new password, for whoever holds the link. Looking at it does not use it up."""
    link: str = request.path_params["link"]
    email = await account_store.password_link(request.app.state.database, link)
    if email is None:
        return page(request, "link_closed.html", status=404)
    return page(request, "reset.html", link=link, email=email, problem=None)


@post("/reset/{link:str}", opt=PUBLIC)
async def do_reset(request: PageRequest) -> Response[Any]:
    """Set it, and end every sign-in; the next one is with the new password (and the second factor, as ever)."""
    state, form, link = request.app.state, await form_of(request), request.path_params["link"]
    email = await account_store.password_link(state.database, link)  # before the work of hashing
    if email is None:
        return page(request, "link_closed.html", status=404)
    password = form.get("new_password", "")
    try:
        check_new_password(password, email=email)
    except Unprocessable:
        problem = view_of(request).words("set_up.bad_password")
        return page(request, "reset.html", status=422, link=link, email=email, problem=problem)
    kept, address = await state.passwords.hash(password), guard.peer_address(request, state.settings)
    if not await account_store.use_password_link(state.database, link, kept, address):
        return page(request, "link_closed.html", status=404)
    answer = Redirect("/sign-in?reset", status_code=303)
    answer.background = told(request, email, "password")
    return answer


HANDLERS = [show_forgot, do_forgot, show_reset, do_reset]
