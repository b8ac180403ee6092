"""One's own wish to be told of a site's new leads by mail, in its settings, beside that for summaries
(pages/summary.py); and the link that ends such mail."""

from __future__ import annotations

from datetime import time
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.errors import NotFound, Unprocessable
from opsmantik.notifications import store, summary_store
from opsmantik.notifications.quiet import PACES
from opsmantik.notifications.store import Wish
from opsmantik.notifications.summary import PACES as SUMMARY_PACES
from opsmantik.notifications.summary import next_at
from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, page, view_of

READS: Final = needs(Capability.READ)
PART: Final = "notifications"
HERE: Final = "/sites/{site_id:uuid}/settings/notifications"
STOP: Final = "/stop-mail/{token:str}"


def _time(text: str) -> time | None:
    """A time as the browser's field writes it; None for an empty one. Raises ``ValueError``."""
    return time.fromisoformat(text).replace(second=0, microsecond=0, tzinfo=None) if text else None


async def wish_page(
    request: PageRequest, wish: Wish | None = None, *, problem: bool = False, refusal: str = ""
) -> Response[Any]:
    """The page, with what is wrong with the one form (``problem``), or in words with the other (``refusal``)."""
    async with settings_of(request) as (connection, site):
        user_id = request.state.person.user_id
        wish = wish or await store.own_wish(connection, site.id, user_id)
        summary = await summary_store.own_summary(connection, site.id, user_id)
    view = view_of(request, site.time_zone)
    due = None if summary.pace == "off" else next_at(summary.pace, summary.hour, site.time_zone, view.now)
    return settings_page(
        request, PART, site, status=422 if problem or refusal else 200, wish=wish, paces=PACES, problem=problem,
        is_mail_on=request.app.state.mailer.is_on, saved="saved" in request.query_params, summary=summary,
        summary_paces=SUMMARY_PACES, due=due, refusal=refusal, done=request.query_params.get("summary", ""),
    )  # fmt: skip


@get(HERE, opt=READS)
async def show_notifications(request: PageRequest) -> Response[Any]:
    """How one is told."""
    return await wish_page(request)


@post(HERE, opt=READS)
async def change_notifications(request: PageRequest) -> Response[Any]:
    """Keep the wish, and the language in which it was made: mails come in it."""
    form = await form_of(request)
    pace = form.get("pace", "off")
    try:
        wish = Wish(
            pace if pace in PACES else "off", _time(form.get("from", "")), _time(form.get("until", ""))
        )
        async with settings_of(request, write=True) as (connection, site):
            await store.put_wish(connection, site.id, wish, view_of(request).language)
    except (Unprocessable, ValueError):
        return await wish_page(request, Wish(pace if pace in PACES else "off"), problem=True)
    return Redirect(f"/sites/{request.path_params['site_id']}/settings/{PART}?saved", status_code=303)


def _whose(request: PageRequest) -> Any:
    found = request.app.state.stop_links.read(request.path_params["token"])
    if found is None:
        raise NotFound(what="link")
    return found


@get(STOP, opt={"public": True})
async def show_stop(request: PageRequest) -> Response[Any]:
    """Ask once more: programs that look at links in mails must not end them."""
    _whose(request)
    return page(request, "stop_mail.html", stopped=False, token=request.path_params["token"])


# The signature in the link is the proof that a form's token is elsewhere: mail programs send this by themselves, from
# wherever they are (RFC 8058).
@post(STOP, opt={"public": True, "signed_link": True}, status_code=200)
async def stop(request: PageRequest) -> Response[Any]:
    """No more mail to this person about this site."""
    site_id, user_id = _whose(request)
    async with request.app.state.database.connection() as connection:
        await store.end(connection, site_id, user_id)
    return page(request, "stop_mail.html", stopped=True, token=request.path_params["token"])


HANDLERS: Final = [show_notifications, change_notifications, show_stop, stop]
