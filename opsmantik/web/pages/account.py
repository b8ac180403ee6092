"""One's own account: language and appearance."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.people import store as people
from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import needs
from opsmantik.web.language import LANGUAGES, catalogue
from opsmantik.web.login import form_of
from opsmantik.web.rendering import PageRequest, page

THEMES = ("light", "dark")


@get("/account", opt=needs(Capability.ACCOUNT))
async def show_account(request: PageRequest) -> Response[Any]:
    """Who is signed in, and how they want to see things."""
    languages = [(language, catalogue(language)["name"]) for language in LANGUAGES]
    saved = "saved" in request.query_params
    return page(request, "account.html", languages=languages, themes=THEMES, saved=saved)


@post("/account", opt=needs(Capability.ACCOUNT))
async def change_account(request: PageRequest) -> Response[Any]:
    """Keep the choices; anything else than a choice offered means "as the browser has it"."""
    database, user_id = request.app.state.database, request.state.person.user_id
    form = await form_of(request)
    language, theme = form.get("language"), form.get("theme")
    await people.set_language(database, user_id, language if language in LANGUAGES else None)
    await people.set_theme(database, user_id, theme if theme in THEMES else None)
    return Redirect("/account?saved", status_code=303)


HANDLERS = [show_account, change_account]
