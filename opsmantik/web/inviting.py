"""An invite from the doors: made in the asker's transaction, mailed after the commit, and there to be copied whatever
becomes of the mail."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog

from opsmantik.dashboard.asked import AskedSite
from opsmantik.errors import Forbidden, MailFailed
from opsmantik.people import invites
from opsmantik.people.invites import Sent
from opsmantik.people.store import SignedIn
from opsmantik.web.guard import asker
from opsmantik.web.rendering import PageRequest, view_of

log = structlog.get_logger()
# A name that somebody chose stands in a mail of ours: long enough to be known by, too short to be a message.
LONGEST_NAME = 60


def link_of(request: PageRequest, invite_id: UUID, turn: int) -> str:
    """The address that takes an invite up; the same each time, until a new turn."""
    state = request.app.state
    return f"{state.settings.base_url}/invite/{state.invite_links.token(invite_id, turn)}"


async def mail_invite(request: PageRequest, site: AskedSite, sent: Sent) -> bool:
    """Mail the link in the inviter's language, and remember that it was. False: it was not, and must be copied."""
    state, view = request.app.state, view_of(request, site.time_zone)
    if not state.mailer.is_on:
        return False
    person: SignedIn = request.state.person
    values: dict[str, Any] = {"site": short(site.name), "inviter": short(person.name or person.email)}
    text = view.words(
        "invite.mail_text", **values, role=view.words.get(f"roles.{sent.role}", sent.role),
        link=link_of(request, sent.id, sent.turn),
    )  # fmt: skip
    try:
        await state.mailer.send(sent.email, view.words("invite.mail_subject", **values), text)
    except MailFailed as failed:
        log.warning(
            "invites.not_mailed", site=str(site.id), invite=str(sent.id), reason=failed.details["reason"]
        )
        return False
    with suppress(Forbidden):  # who sent it may have lost the right meanwhile; the mail is out all the same
        async with state.database.as_person(asker(request), write=True) as (connection, _):
            await invites.note_sent(connection, site.id, sent)
    return True


def short(name: str) -> str:
    """A name as it may stand in a line of a mail."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
