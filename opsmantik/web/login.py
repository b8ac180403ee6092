"""Signing in and out, and the first administrator of an empty installation."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.exceptions import ClientException
from litestar.response import Redirect

from opsmantik.errors import TooManyRequests, Unprocessable
from opsmantik.people import first_admin
from opsmantik.people import store as people
from opsmantik.people.passwords import check_new_password
from opsmantik.people.sign_in import sign_in
from opsmantik.web import guard
from opsmantik.web.rendering import page, view_of

PageRequest = Request[Any, Any, Any]
PUBLIC = {"public": True}


async def form_of(request: PageRequest) -> dict[str, str]:
    """The form's fields as text; a file, or a body that is no form, is not expected anywhere."""
    fields = await request.form()
    found = {name: value for name, value in fields.items() if isinstance(value, str)}
    if len(found) > 50:
        raise ClientException
    return found


def sign_in_address(path: str) -> str:
    """The sign-in page that leads back to this path."""
    following = guard.safe_next(path)
    return "/sign-in" if following == "/" else f"/sign-in?next={quote(following, safe='/')}"


def signed_in_answer(request: PageRequest, token: str, following: str) -> Response[Any]:
    """On to the page that was asked for, with the cookie that opens it."""
    seconds = int(people.LIFETIME.total_seconds())
    cookie = guard.cookie(request, request.app.state.settings, "session", token, seconds)
    return Redirect(following, status_code=303, cookies=[cookie])


async def _sign_in_page(request: PageRequest, *, status: int = 200, **context: Any) -> Response[Any]:
    state = request.app.state
    fields = {"email": "", "following": "/", "problem": None, **context}
    return page(
        request, "sign_in.html", status=status, nobody=not await people.has_users(state.database), **fields
    )


@get("/sign-in", opt=PUBLIC)
async def show_sign_in(request: PageRequest) -> Response[Any]:
    """The form; whoever is signed in already goes on at once."""
    following = guard.safe_next(request.query_params.get("next"))
    if request.state.person is not None:
        return Redirect(following, status_code=303)
    return await _sign_in_page(request, following=following)


@post("/sign-in", opt=PUBLIC)
async def do_sign_in(request: PageRequest) -> Response[Any]:
    """Check the password; the answer does not tell which of account and password was wrong."""
    state = request.app.state
    form = await form_of(request)
    email, following = form.get("email", "").strip()[:254], guard.safe_next(form.get("next"))
    view = view_of(request)
    try:
        token = await sign_in(
            state.database, state.passwords, state.attempts,
            email=email, password=form.get("password", ""),
            address=guard.peer_address(request, state.settings),
            user_agent=request.headers.get("user-agent", ""),
        )  # fmt: skip
    except TooManyRequests as slow:
        problem = view.words("sign_in.wait", n=slow.retry_after)
        answer = await _sign_in_page(request, status=429, email=email, following=following, problem=problem)
        answer.headers["retry-after"] = str(slow.retry_after)
        return answer
    if token is None:
        problem = view.words("sign_in.wrong")
        return await _sign_in_page(request, status=422, email=email, following=following, problem=problem)
    return signed_in_answer(request, token, following)


@post("/sign-out", opt=PUBLIC)
async def sign_out(request: PageRequest) -> Response[Any]:
    """End this browser's sign-in, in the database too."""
    state = request.app.state
    if request.state.person is not None:
        await people.end_sign_in(state.database, request.state.person.token)
    gone = guard.cookie(request, state.settings, "session", "", 0)
    return Redirect("/sign-in", status_code=303, cookies=[gone])


@get("/set-up/{link:str}", opt=PUBLIC)
async def show_set_up(request: PageRequest) -> Response[Any]:
    """The form for the first administrator, for whoever holds the link."""
    link: str = request.path_params["link"]
    if not await people.first_admin_link_open(request.app.state.database, link):
        return page(request, "set_up_closed.html", status=404)
    return page(request, "set_up.html", link=link, email="", name="", problem=None)


@post("/set-up/{link:str}", opt=PUBLIC)
async def do_set_up(request: PageRequest) -> Response[Any]:
    """Make the account and sign it in."""
    state, view, link = request.app.state, view_of(request), request.path_params["link"]
    form = await form_of(request)
    email, name, password = form.get("email", ""), form.get("name", ""), form.get("password", "")
    problem = None
    try:
        first_admin.check_email(email)
    except Unprocessable:
        problem = view.words("set_up.bad_email")
    else:
        try:
            check_new_password(password, email=email)
        except Unprocessable:
            problem = view.words("set_up.bad_password")
    if problem is not None:
        return page(request, "set_up.html", status=422, link=link, email=email, name=name, problem=problem)
    if not await people.first_admin_link_open(state.database, link):  # before the work of hashing
        return page(request, "set_up_closed.html", status=404)
    user_id = await first_admin.create_first_admin(
        state.database, state.passwords, link=link, email=email, name=name, password=password
    )
    if user_id is None:
        return page(request, "set_up_closed.html", status=404)
    token = await people.open_sign_in(state.database, user_id, request.headers.get("user-agent", ""))
    return signed_in_answer(request, token, "/")


HANDLERS = [show_sign_in, do_sign_in, sign_out, show_set_up, do_set_up]
