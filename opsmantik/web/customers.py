"""``POST /api/customers/invite``, as programs of the first generation call it. It answers with the link, as it did then,
and the invite is mailed too where a mail server is set. No account is made before somebody takes the invite up, and the
answer does not tell whether there is one."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, post

from opsmantik.dashboard.asked import asked_site
from opsmantik.errors import Malformed, NotFound
from opsmantik.people import invites
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, body_of, reply
from opsmantik.web.guard import asker, needs
from opsmantik.web.inviting import link_of, mail_invite
from opsmantik.web.rendering import PageRequest

# The roles of the first generation, and of its later years, by ours.
ROLES: Final = {"viewer": "analyst", "editor": "operator", "billing": "analyst"}


class InviteBody(msgspec.Struct, rename={"site": "siteId"}):
    """Whom to invite to which site; without a role, to look only."""

    email: str
    site_id: str | None = None
    site: str | None = None
    role: str = "viewer"


@post("/api/customers/invite", opt=needs(Capability.MEMBERS, program=True), status_code=200)
async def invite_customer(request: PageRequest) -> Response[Any]:
    """Invite an address to a site."""
    state, body = request.app.state, await body_of(request, InviteBody)
    name = body.site_id or body.site
    if not name:
        raise Malformed(reason="site_id is missing")
    async with state.database.as_person(asker(request), write=True) as (connection, person):
        site = await asked_site(connection, person, name)
        if site is None:
            raise NotFound(what="site")
        role = ROLES.get(body.role, body.role)
        sent = await invites.invite(connection, state.invite_links, site.id, body.email, role)
    mailed = await mail_invite(request, site, sent)
    told = {
        "success": True, "message": "Invited by mail." if mailed else "Invited. Send them the link.",
        "login_url": link_of(request, sent.id, sent.turn), "mailed": mailed,
        "invite": {"id": sent.id, "email": sent.email, "role": sent.role, "site_id": site.id},
    }  # fmt: skip
    return reply(request, told, NOW)


HANDLERS: Final = [invite_customer]
