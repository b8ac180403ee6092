"""A site's people: their roles, and the invites that are open. For those who manage members.

Whether an invited address has an account here is not told to whoever invites it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import AlreadyMember, Conflict, NotFound, NotToBeChanged, TooManyInvites, Unprocessable
from opsmantik.people import invites, members
from opsmantik.people.capabilities import GRANTABLE, Capability
from opsmantik.people.invites import Sent
from opsmantik.web.guard import needs
from opsmantik.web.inviting import link_of, mail_invite
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, view_of

MANAGES: Final = needs(Capability.MEMBERS)
HERE: Final = "/sites/{site_id:uuid}/settings/members"
# Whoever is invited sees leads and decides about them; more has to be chosen.
USUAL: Final = "operator"
NOTHING: Final[Mapping[str, str]] = {}


async def _members_page(
    request: PageRequest,
    *,
    status: int = 200,
    email: str = "",
    role: str = USUAL,
    problems: Mapping[str, str] = NOTHING,
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        people = await members.people_of(connection, site.id)
        waiting = await invites.open_invites(connection, site.id)
    links = {invite.id: link_of(request, invite.id, invite.turn) for invite in waiting}
    return settings_page(
        request, "members", site, status=status, people=people, waiting=waiting, links=links, roles=GRANTABLE,
        email=email, role=role, problems=problems, is_mail_on=request.app.state.mailer.is_on,
    )  # fmt: skip


def _back(request: PageRequest) -> Response[Any]:
    return Redirect(f"/sites/{request.path_params['site_id']}/settings/members", status_code=303)


@get(HERE, opt=MANAGES)
async def show_members(request: PageRequest) -> Response[Any]:
    """Who belongs to the site, who is invited, and the form to invite."""
    return await _members_page(request)


@post(f"{HERE}/invite", opt=MANAGES)
async def invite(request: PageRequest) -> Response[Any]:
    """Invite an address; the same is answered whether it has an account."""
    form, words = await form_of(request), view_of(request).words
    email, role = form.get("email", "").strip()[:254], form.get("role", "")
    try:
        async with settings_of(request, write=True) as (connection, site):
            links = request.app.state.invite_links
            sent = await invites.invite(connection, links, site.id, email, role)
    except TooManyInvites as slow:
        return await _too_many(request, slow, email, role)
    except AlreadyMember:
        problem = words("members.already_member")
    except Unprocessable:
        problem = words("members.bad_email")
    else:
        await mail_invite(request, site, sent)
        return _back(request)
    return await _members_page(request, status=422, email=email, role=role, problems={"email": problem})


async def _too_many(
    request: PageRequest, slow: TooManyInvites, email: str = "", role: str = USUAL
) -> Response[Any]:
    minutes = -(-(slow.retry_after or 1) // 60)
    problem = view_of(request).words("members.too_many", n=minutes)
    answer = await _members_page(request, status=429, email=email, role=role, problems={"email": problem})
    answer.headers["retry-after"] = str(slow.retry_after)
    return answer


@post(f"{HERE}/invites/{{invite_id:uuid}}/resend", opt=MANAGES)
async def resend(request: PageRequest) -> Response[Any]:
    """A new link and seven more days; the old link dies."""
    invite_id: UUID = request.path_params["invite_id"]
    sent: Sent | None = None
    try:
        async with settings_of(request, write=True) as (connection, site):
            with suppress(NotFound, Conflict):  # the page shows how it is now
                sent = await invites.resend(connection, request.app.state.invite_links, site.id, invite_id)
    except TooManyInvites as slow:
        return await _too_many(request, slow)
    if sent is not None:
        await mail_invite(request, site, sent)
    return _back(request)


@post(f"{HERE}/invites/{{invite_id:uuid}}/revoke", opt=MANAGES)
async def revoke(request: PageRequest) -> Response[Any]:
    """Take an invite back; one that is gone already is no surprise."""
    async with settings_of(request, write=True) as (connection, site):
        with suppress(NotFound):
            await invites.revoke(connection, site.id, request.path_params["invite_id"])
    return _back(request)


@post(f"{HERE}/{{user_id:uuid}}/role", opt=MANAGES)
async def change_role(request: PageRequest) -> Response[Any]:
    """Give a member another role."""
    form, user_id = await form_of(request), request.path_params["user_id"]
    try:
        async with settings_of(request, write=True) as (connection, site):
            await members.set_role(connection, site.id, user_id, form.get("role", ""))
    except NotToBeChanged as refused:
        return await _refused(request, user_id, refused)
    return _back(request)


@post(f"{HERE}/{{user_id:uuid}}/remove", opt=MANAGES)
async def remove(request: PageRequest) -> Response[Any]:
    """Take a member away."""
    user_id: UUID = request.path_params["user_id"]
    try:
        async with settings_of(request, write=True) as (connection, site):
            await members.remove(connection, site.id, user_id)
    except NotToBeChanged as refused:
        return await _refused(request, user_id, refused)
    return _back(request)


async def _refused(request: PageRequest, user_id: UUID, refused: NotToBeChanged) -> Response[Any]:
    if refused.details["why"] == "gone":  # the page shows it
        return _back(request)
    words = view_of(request).words
    problem = words("members.oneself") if refused.details["why"] == "oneself" else words("members.owner")
    return await _members_page(request, status=422, problems={str(user_id): problem})


HANDLERS: Final = [show_members, invite, resend, revoke, change_role, remove]
