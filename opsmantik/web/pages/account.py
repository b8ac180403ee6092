"""One's own account: how to see things, name, e-mail address, password, and the browsers one is signed in with."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import TooManyRequests, Unprocessable
from opsmantik.notifications import store as notifications
from opsmantik.people import account_store
from opsmantik.people import second_factor_store as factors
from opsmantik.people import store as people
from opsmantik.people.capabilities import Capability
from opsmantik.people.first_admin import check_email
from opsmantik.people.passwords import check_new_password
from opsmantik.people.sign_in import is_own_password
from opsmantik.sessions.device import read_user_agent
from opsmantik.web import guard
from opsmantik.web.guard import asker, needs
from opsmantik.web.language import LANGUAGES, catalogue
from opsmantik.web.letters import email_link, told
from opsmantik.web.login import client_of, form_of, session_cookie, too_many
from opsmantik.web.rendering import PageRequest, View, page, view_of

THEMES = ("light", "dark")
DONE = ("saved", "password", "email", "mailed", "ended")
OWN = needs(Capability.ACCOUNT)


def device_words(view: View, user_agent: str | None) -> str:
    """Firefox on Windows; what is not known is left out."""
    device = read_user_agent(user_agent or "")
    if device.browser and device.os:
        return view.words("sign_ins.device", browser=device.browser, system=device.os)
    return device.browser or device.os or view.words("sign_ins.unknown")


async def _account_page(
    request: PageRequest, *, status: int = 200, problem: tuple[str, str] = ("", ""), **context: Any
) -> Response[Any]:
    """``problem``: at which field, and what."""
    state, view = request.app.state, view_of(request)
    account = await people.account_by_email(state.database, request.state.person.email)
    factor = await factors.own(state.database, state.keyring, asker(request))
    sign_ins = await account_store.sign_ins(state.database, asker(request))
    async with state.database.as_person(asker(request)) as (connection, whole):
        wishes = await notifications.own_wishes(connection, whole.sites, request.state.person.user_id)
    given = {"done": None, "new_email": "", **context}
    return page(
        request, "account.html", view=view, status=status,
        languages=[(language, catalogue(language)["name"]) for language in LANGUAGES], themes=THEMES,
        wishes=wishes, has_password=account is not None and account.password_hash is not None,
        has_factor=factor is not None and factor.confirmed_at is not None,
        sign_ins=[(each, device_words(view, each.user_agent)) for each in sign_ins],
        problem_at=problem[0], problem=problem[1], can_mail=state.mailer.is_on, providers=state.oidc.listed,
        **given,
    )  # fmt: skip


async def _slowed(request: PageRequest, field: str, slow: TooManyRequests, **context: Any) -> Response[Any]:
    words, headers = too_many(request, slow)
    return await _account_page(request, status=429, problem=(field, words), headers=headers, **context)


@get("/account", opt=OWN)
async def show_account(request: PageRequest) -> Response[Any]:
    """Who is signed in, and how they want to see things."""
    done = next((word for word in DONE if word in request.query_params), None)
    return await _account_page(request, done=done)


@post("/account", opt=OWN)
async def change_account(request: PageRequest) -> Response[Any]:
    """Keep the choices; anything else than a choice offered means "as the browser has it"."""
    database, user_id = request.app.state.database, request.state.person.user_id
    form = await form_of(request)
    language, theme = form.get("language"), form.get("theme")
    await people.set_language(database, user_id, language if language in LANGUAGES else None)
    await people.set_theme(database, user_id, theme if theme in THEMES else None)
    if "name" in form:
        await account_store.change_name(database, asker(request), form["name"])
    return Redirect("/account?saved", status_code=303)


@post("/account/password", opt=OWN)
async def change_password(request: PageRequest) -> Response[Any]:
    """Against the present one. Every other browser is signed out; this one gets another token."""
    state, person, words = request.app.state, request.state.person, view_of(request).words
    form, client = await form_of(request), client_of(request)
    try:
        check_new_password(form.get("new_password", ""), email=person.email)
    except Unprocessable:
        return await _account_page(
            request, status=422, problem=("new_password", words("set_up.bad_password"))
        )
    try:
        was = await is_own_password(
            state.database, state.passwords, state.attempts, person, form.get("password", ""), client
        )
    except TooManyRequests as slow:
        return await _slowed(request, "password", slow)
    token = None
    if was is not None:
        now = await state.passwords.hash(form["new_password"])
        token = await account_store.change_password(
            state.database, asker(request), was=was, now=now, token=person.token
        )
    if token is None:
        return await _account_page(request, status=422, problem=("password", words("account.wrong_password")))
    answer = Redirect("/account?password", status_code=303, cookies=[session_cookie(request, token)])
    answer.background = told(request, person.email, "password")
    return answer


@post("/account/email", opt=OWN)
async def change_email(request: PageRequest) -> Response[Any]:
    """Against the password. A link goes to the new address and proves it; where no mail is sent, it holds at once."""
    state, person, words = request.app.state, request.state.person, view_of(request).words
    form, client = await form_of(request), client_of(request)
    typed = form.get("email", "").strip()[:254]
    try:
        email = check_email(typed)
    except Unprocessable:
        problem = "email", words("set_up.bad_email")
        return await _account_page(request, status=422, problem=problem, new_email=typed)
    try:
        right = await is_own_password(
            state.database, state.passwords, state.attempts, person, form.get("email_password", ""), client
        )
    except TooManyRequests as slow:
        return await _slowed(request, "email_password", slow, new_email=typed)
    if right is None:
        problem = "email_password", words("account.wrong_password")
        return await _account_page(request, status=422, problem=problem, new_email=typed)
    if state.mailer.is_on:
        # The answer is the same where somebody has the address: accounts are not to be found out by it.
        token = await account_store.offer_email_link(state.database, asker(request), email)
        answer = Redirect("/account?mailed", status_code=303)
        answer.background = email_link(request, email, token) if token else None
        return answer
    if not await account_store.change_email(state.database, asker(request), email):
        problem = "email", words("account.email_taken")
        return await _account_page(request, status=422, problem=problem, new_email=typed)
    return Redirect("/account?email", status_code=303)


@get("/account/email/{link:str}", opt=OWN)
async def show_email_link(request: PageRequest) -> Response[Any]:
    """A button: programs that look into mail open links, and must change nothing."""
    link: str = request.path_params["link"]
    email = await account_store.email_link(request.app.state.database, asker(request), link)
    if email is None:
        return page(request, "link_closed.html", status=404)
    return page(request, "confirm_email.html", link=link, email=email)


@post("/account/email/{link:str}", opt=OWN)
async def use_email_link(request: PageRequest) -> Response[Any]:
    """Take the new address, and tell the old one."""
    link: str = request.path_params["link"]
    before = await account_store.use_email_link(request.app.state.database, asker(request), link)
    if before is None:
        return page(request, "link_closed.html", status=404)
    answer = Redirect("/account?email", status_code=303)
    answer.background = told(request, before, "email")
    return answer


@post("/account/sign-ins/{sign_in:uuid}/end", opt=OWN)
async def end_sign_in(request: PageRequest) -> Response[Any]:
    """Sign out one browser."""
    sign_in: UUID = request.path_params["sign_in"]
    await account_store.end_one(request.app.state.database, asker(request), sign_in)
    return Redirect("/account?ended", status_code=303)


@post("/account/sign-out-everywhere", opt=OWN)
async def sign_out_everywhere(request: PageRequest) -> Response[Any]:
    """Sign out all browsers, this one too."""
    await account_store.end_all(request.app.state.database, asker(request))
    gone = guard.cookie(request, request.app.state.settings, "session", "", 0)
    return Redirect("/sign-in", status_code=303, cookies=[gone])


HANDLERS = [
    show_account, change_account, change_password, change_email, show_email_link, use_email_link, end_sign_in,
    sign_out_everywhere,
]  # fmt: skip
