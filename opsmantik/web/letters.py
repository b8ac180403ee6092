"""What is mailed to people about their own account: links, and word that something was changed.

Always after the answer has gone out: how long a mail server takes tells nobody whether there was anything to send.
"""

from __future__ import annotations

from typing import Literal

import structlog
from litestar.background_tasks import BackgroundTask

from opsmantik.errors import MailFailed
from opsmantik.mail import Mailer
from opsmantik.people import account_store
from opsmantik.web.language import Words
from opsmantik.web.rendering import PageRequest, view_of

Changed = Literal["password", "email", "second_factor_on", "second_factor_off"]

log = structlog.get_logger()


async def send(mailer: Mailer, address: str, subject: str, text: str) -> None:
    """Send it; a mail server that refuses is a line in the log, since nobody waits for the answer any more."""
    try:
        await mailer.send(address, subject, text)
    except MailFailed as failed:
        log.warning("mail.failed", code=failed.code, reason=failed.details["reason"])


def told(request: PageRequest, address: str, what: Changed) -> BackgroundTask | None:
    """Word that something about this account was changed: whoever did not do it themselves learns of it."""
    mailer: Mailer = request.app.state.mailer
    if not mailer.is_on:
        return None
    words = view_of(request).words
    changes: dict[Changed, str] = {
        "password": words("letter.changed_password"),
        "email": words("letter.changed_email"),
        "second_factor_on": words("letter.second_factor_on"),
        "second_factor_off": words("letter.second_factor_off"),
    }
    text = words("letter.changed", what=changes[what], base_url=request.app.state.settings.base_url)
    return BackgroundTask(send, mailer, address, words("letter.changed_subject"), text)


def email_link(request: PageRequest, address: str, token: str) -> BackgroundTask:
    """The link that makes this address the account's."""
    words = view_of(request).words
    link = f"{request.app.state.settings.base_url}/account/email/{token}"
    text = words("letter.email", link=link)
    return BackgroundTask(send, request.app.state.mailer, address, words("letter.email_subject"), text)


def password_link(request: PageRequest, address: str) -> BackgroundTask:
    """The link to a new password, if somebody signs in with this address."""
    return BackgroundTask(_password_link, request, address)


async def _password_link(request: PageRequest, address: str) -> None:
    state = request.app.state
    offered = await account_store.offer_password_link(state.database, address)
    if offered is None:
        return
    words = Words(offered.language or view_of(request).language)
    link = f"{state.settings.base_url}/reset/{offered.token}"
    await send(
        state.mailer, offered.email, words("letter.password_subject"), words("letter.password", link=link)
    )
