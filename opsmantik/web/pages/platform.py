"""For whoever runs the installation: its accounts, and the log of what was changed about it.

Who runs it is not decided here but on the server (``opsmantik user``): no page can give that away.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard import acts
from opsmantik.errors import Conflict, Malformed
from opsmantik.people import members
from opsmantik.people.capabilities import Capability
from opsmantik.web.acts import said
from opsmantik.web.guard import asker, needs, recently
from opsmantik.web.login import form_of
from opsmantik.web.rendering import PageRequest, page, view_of

RUNS: Final = needs(Capability.PLATFORM)
PEOPLE: Final = "/admin/people"
PAGE: Final = 50


def _after(request: PageRequest) -> UUID | None:
    text = request.query_params.get("after")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Malformed(reason="that is no place in the list") from None


async def _people_page(
    request: PageRequest, *, status: int = 200, problem: tuple[UUID, str] | None = None
) -> Response[Any]:
    async with request.app.state.database.as_person(asker(request)) as (connection, _):
        found = await members.accounts(connection, _after(request), PAGE + 1)
    return page(
        request, "admin_people.html", status=status, accounts=found[:PAGE], has_more=len(found) > PAGE,
        problem=problem, part="people",
    )  # fmt: skip


@get(PEOPLE, opt=RUNS)
async def show_people(request: PageRequest) -> Response[Any]:
    """All accounts, newest first."""
    return await _people_page(request)


@post(f"{PEOPLE}/{{user_id:uuid}}", opt=RUNS)
async def switch_account(request: PageRequest) -> Response[Any]:
    """Close somebody's account, which ends their sign-ins, or open it again."""
    recently(request, PEOPLE)
    user_id: UUID = request.path_params["user_id"]
    enabled = (await form_of(request)).get("enabled") == "1"
    try:
        async with request.app.state.database.as_person(asker(request), write=True) as (connection, _):
            await members.set_account_enabled(connection, user_id, enabled=enabled)
    except Conflict:
        problem = view_of(request).words("admin.not_oneself")
        return await _people_page(request, status=422, problem=(user_id, problem))
    return Redirect(PEOPLE, status_code=303)


@get("/admin/log", opt=RUNS)
async def show_platform_log(request: PageRequest) -> Response[Any]:
    """What was changed about the installation, newest first. Times are UTC: it has no zone of its own."""
    async with request.app.state.database.as_person(asker(request)) as (connection, _):
        found = await acts.platform_acts(connection, _after(request))
    view = view_of(request)
    return page(request, "admin_log.html", view=view, log=found, said=partial(said, view.words), part="log")


HANDLERS: Final = [show_people, switch_account, show_platform_log]
