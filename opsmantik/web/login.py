"""Signing in and out, and the first administrator of an empty installation.

Whoever has proved who they are, by whatever method, comes in by :func:`let_in`, which asks for the second factor where
there is one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import ClientException
from litestar.response import Redirect

from opsmantik.errors import NotSignedIn, TooManyRequests, Unprocessable
from opsmantik.people import first_admin
from opsmantik.people import second_factor_store as factors
from opsmantik.people import store as people
from opsmantik.people.passwords import check_new_password
from opsmantik.people.sign_in import Client, counted, sign_in
from opsmantik.sessions.place import truncate_ip
from opsmantik.web import guard, watch
from opsmantik.web.rendering import page, view_of

PageRequest = Request[Any, Any, Any]
PUBLIC = {"public": True}
DEVICE_SECONDS = 400 * 24 * 3600  # as long as browsers keep any cookie


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


def confirm_address(path: str) -> str:
    """The page that asks once more who it is, and leads to this path."""
    return f"/confirm?next={quote(guard.safe_next(path), safe='/')}"


def client_of(request: PageRequest) -> Client:
    """The browser that asks, as attempts are counted and sign-ins are listed."""
    settings = request.app.state.settings
    address = guard.peer_address(request, settings)
    return Client(
        address, truncate_ip(address), request.headers.get("user-agent", ""),
        guard.cookie_value(request, settings, "device"),
    )  # fmt: skip


def session_cookie(request: PageRequest, token: str) -> Cookie:
    """The cookie that holds a sign-in."""
    seconds = int(people.LIFETIME.total_seconds())
    return guard.cookie(request, request.app.state.settings, "session", token, seconds)


async def let_in(
    request: PageRequest, user_id: UUID, *, method: people.Method, following: str
) -> Response[Any]:
    """Sign in whoever has proved to be this person, or ask for their second factor; then on to ``following``.

    Raises :class:`~opsmantik.errors.NotSignedIn` if there is no such account, or it is switched off.
    """
    client = client_of(request)
    entry = await people.let_in(
        request.app.state.database, user_id, method=method, user_agent=client.user_agent, address=client.place
    )
    return await _entered(request, entry, following, method)


async def _entered(
    request: PageRequest, entry: people.Entry | None, following: str, method: str
) -> Response[Any]:
    settings = request.app.state.settings
    if entry is None:
        watch.kept_out(request, method, reason="switched_off")
        raise NotSignedIn
    if entry.whole:
        return await _signed_in_answer(request, entry.token, following, method)
    watch.came_in(request, f"{method}, code wanted")
    half = guard.cookie(request, settings, "half", entry.token, int(people.HALF.total_seconds()))
    return Redirect(_code_address(following), status_code=303, cookies=[half])


async def _signed_in_answer(request: PageRequest, token: str, following: str, method: str) -> Response[Any]:
    """On to the page that was asked for, with the cookie that opens it, and the one that tells this browser from those
    that guess."""
    state = request.app.state
    cookies = [session_cookie(request, token)]
    request.state.person = person = await people.signed_in(state.database, token)
    watch.came_in(request, method)
    if person is not None:
        had = guard.cookie_value(request, state.settings, "device")
        device = state.attempts.remember(had, person.email)
        cookies.append(guard.cookie(request, state.settings, "device", device, DEVICE_SECONDS))
    return Redirect(following, status_code=303, cookies=cookies)


def too_many(request: PageRequest, slow: TooManyRequests) -> tuple[str, dict[str, str]]:
    """What one who guesses reads, and the header that says the same to programs."""
    return view_of(request).words("sign_in.wait", n=slow.retry_after), {"retry-after": str(slow.retry_after)}


async def _sign_in_page(request: PageRequest, *, status: int = 200, **context: Any) -> Response[Any]:
    state = request.app.state
    fields = {"email": "", "following": "/", "problem": None, "done": None, **context}
    return page(
        request, "sign_in.html", status=status, nobody=not await people.has_users(state.database),
        can_mail=state.mailer.is_on, providers=state.oidc.listed, **fields,
    )  # fmt: skip


@get("/sign-in", opt=PUBLIC)
async def show_sign_in(request: PageRequest) -> Response[Any]:
    """The form; whoever is signed in already goes on at once."""
    following = guard.safe_next(request.query_params.get("next"))
    if request.state.person is not None:
        return Redirect(following, status_code=303)
    done = view_of(request).words("reset.done") if "reset" in request.query_params else None
    return await _sign_in_page(request, following=following, done=done)


@post("/sign-in", opt=PUBLIC)
async def do_sign_in(request: PageRequest) -> Response[Any]:
    """Check the password; the answer does not tell which of account and password was wrong."""
    state = request.app.state
    form = await form_of(request)
    email, following = form.get("email", "").strip()[:254], guard.safe_next(form.get("next"))
    try:
        entry = await sign_in(
            state.database, state.passwords, state.attempts,
            email=email, password=form.get("password", ""), client=client_of(request),
        )  # fmt: skip
    except TooManyRequests as slow:
        watch.kept_out(request, "password", account=email, reason="too_many")
        problem, headers = too_many(request, slow)
        return await _sign_in_page(
            request, status=429, email=email, following=following, problem=problem, headers=headers
        )
    if entry is None:
        watch.kept_out(request, "password", account=email)
        problem = view_of(request).words("sign_in.wrong")
        return await _sign_in_page(request, status=422, email=email, following=following, problem=problem)
    return await _entered(request, entry, following, "password")


def _code_address(following: str) -> str:
    return "/sign-in/code" if following == "/" else f"/sign-in/code?next={quote(following, safe='/')}"


@get("/sign-in/code", opt=PUBLIC)
async def show_code(request: PageRequest) -> Response[Any]:
    """The form for the code, for whoever had the password right within the last minutes."""
    state, following = request.app.state, guard.safe_next(request.query_params.get("next"))
    if request.state.person is not None:
        return Redirect(following, status_code=303)
    half = guard.cookie_value(request, state.settings, "half")
    if await factors.waiting(state.database, state.keyring, half) is None:
        return Redirect(sign_in_address(following), status_code=303)
    return page(request, "sign_in_code.html", following=following, problem=None)


@post("/sign-in/code", opt=PUBLIC)
async def do_code(request: PageRequest) -> Response[Any]:
    """Check the code: of the authenticator, or one for recovery. Then it is a whole sign-in, with another token."""
    state, form = request.app.state, await form_of(request)
    following = guard.safe_next(form.get("next"))
    half = guard.cookie_value(request, state.settings, "half")
    waiting = await factors.waiting(state.database, state.keyring, half)
    if waiting is None:
        return Redirect(sign_in_address(following), status_code=303)
    try:
        attempt = await counted(state.attempts, waiting.email, client_of(request), "code")
    except TooManyRequests as slow:
        watch.kept_out(request, "code", account=waiting.email, reason="too_many")
        problem, headers = too_many(request, slow)
        return page(
            request, "sign_in_code.html", status=429, following=following, problem=problem, headers=headers
        )
    code = waiting.factor.read(form.get("code", ""))
    token = await factors.pass_with(state.database, half, code) if code else None
    if token is None:
        watch.kept_out(request, "code", account=waiting.email)
        problem = view_of(request).words("code.wrong")
        return page(request, "sign_in_code.html", status=422, following=following, problem=problem)
    await state.attempts.succeeded(attempt)
    answer = await _signed_in_answer(request, token, following, "code")
    answer.set_cookie(guard.cookie(request, state.settings, "half", "", 0))
    return answer


@post("/sign-out", opt=PUBLIC)
async def sign_out(request: PageRequest) -> Response[Any]:
    """End this browser's sign-in, in the database too."""
    state = request.app.state
    if request.state.person is not None:
        await people.end_sign_in(state.database, request.state.person.token)
        watch.left(request)
    gone = guard.cookie(request, state.settings, "session", "", 0)
    clear = {"clear-site-data": '"cache", "storage"'}  # not the cookies: the device's own stays
    return Redirect("/sign-in", status_code=303, cookies=[gone], headers=clear)


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
    return await let_in(request, user_id, method="link", following="/")


HANDLERS = [show_sign_in, do_sign_in, show_code, do_code, sign_out, show_set_up, do_set_up]
