"""One's own wish for a summary of a site by mail, one sent at once, and the link that ends them.

The form is on the page of the other wish, pages/notifications.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import MailFailed, NotFound, Unprocessable
from opsmantik.notifications import summary_store
from opsmantik.notifications.summary import due_day
from opsmantik.notifications.summary_store import SummaryWish
from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.notifications import PART, wish_page
from opsmantik.web.pages.settings import settings_of
from opsmantik.web.rendering import PageRequest, page, view_of

READS: Final = needs(Capability.READ)
HERE: Final = "/sites/{site_id:uuid}/settings/notifications/summary"
STOP: Final = "/stop-summary/{token:str}"


def _back(request: PageRequest, done: str) -> Redirect:
    path = f"/sites/{request.path_params['site_id']}/settings/{PART}?summary={done}#summary-title"
    return Redirect(path, status_code=303)


@post(HERE, opt=READS)
async def change_summary(request: PageRequest) -> Response[Any]:
    """Keep the wish, and the language in which it was made: summaries come in it."""
    form, view = await form_of(request), view_of(request)
    try:
        wish = SummaryWish(form.get("pace", "off"), int(form.get("hour", "8")))
        async with settings_of(request, write=True) as (connection, site):
            await summary_store.put_summary(
                connection, site.id, wish, view.language, site.time_zone, view.now
            )
    except (Unprocessable, ValueError):
        return await wish_page(request, refusal=view.words("summary.bad"))
    return _back(request, "saved")


@post(f"{HERE}/now", opt=READS)
async def send_now(request: PageRequest) -> Response[Any]:
    """The latest one, to the asker, at once: as often as once a minute."""
    state, person, view = request.app.state, request.state.person, view_of(request)
    if not state.mailer.is_on:
        return await wish_page(request, refusal=view.words("notifications.no_mail"))
    async with settings_of(request, write=True) as (connection, site):
        if not await summary_store.may_ask(connection, site.id, view.language):
            return _back(request, "wait")
        wish = await summary_store.own_summary(connection, site.id, person.user_id)
    pace = "daily" if wish.pace == "off" else wish.pace
    day = due_day(pace, 0, site.time_zone, datetime.now(UTC))
    letter = await state.summary_mail.letter(site.id, person.user_id, pace, view.language, day)
    if letter is None:  # their access ended this moment
        raise NotFound(what="site")
    try:
        await state.mailer.send(
            person.email, letter.subject, letter.text, letter.headers, letter.html, letter.pictures
        )
    except MailFailed as failed:
        reason = str(failed.details["reason"])
        return await wish_page(request, refusal=view.words("summary.not_taken", reason=reason))
    return _back(request, "sent")


def _whose(request: PageRequest) -> Any:
    found = request.app.state.stop_summaries.read(request.path_params["token"])
    if found is None:
        raise NotFound(what="link")
    return found


@get(STOP, opt={"public": True})
async def show_stop_summary(request: PageRequest) -> Response[Any]:
    """Ask once more: programs that look at links in mails must not end them."""
    _whose(request)
    return page(request, "stop_summary.html", stopped=False, token=request.path_params["token"])


# As for mail about leads (pages/notifications.py): the signature stands for the form's token (RFC 8058).
@post(STOP, opt={"public": True, "signed_link": True}, status_code=200)
async def stop_summary(request: PageRequest) -> Response[Any]:
    """No more summaries to this person about this site."""
    site_id, user_id = _whose(request)
    async with request.app.state.database.connection() as connection:
        await summary_store.end(connection, site_id, user_id)
    return page(request, "stop_summary.html", stopped=True, token=request.path_params["token"])


HANDLERS: Final = [change_summary, send_now, show_stop_summary, stop_summary]
