"""Mail, where a server for it is set: plain text, since what we write is mostly a link and three sentences; and beside it
HTML with pictures of its own for what is read as a table. Nothing in a mail is fetched from anywhere.

Enters: the settings. Leaves: a message that the server has taken, or an error that says why not. Whoever calls decides
what happens without mail: every link that would be mailed can be copied too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from types import MappingProxyType
from typing import cast
from urllib.parse import unquote, urlsplit

import aiosmtplib

from opsmantik.errors import MailFailed
from opsmantik.settings import Settings

SECONDS = 10.0
# On these names nobody sits between us and the server.
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_PART = r"[^@\s\x00-\x1f\x7f,;:<>()\[\]\\\"]"
_ONE_ADDRESS = re.compile(rf"{_PART}{{1,64}}@{_PART}{{1,189}}")


class Mailer:
    """Sends mail for this installation."""

    def __init__(self, settings: Settings) -> None:
        self._url = urlsplit(settings.smtp_url) if settings.smtp_url else None
        self._host = urlsplit(settings.base_url).hostname or "localhost"
        self._from = settings.mail_from or f"OpsMantik <opsmantik@{self._host}>"

    @property
    def is_on(self) -> bool:
        """Whether there is a mail server to hand anything to."""
        return self._url is not None

    async def send(
        self,
        address: str,
        subject: str,
        text: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        html: str = "",
        pictures: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Hand a message to the mail server, with more headers of ours if need be; nothing happens where none is set.
        ``html`` says the same as the text; in it ``<img src="cid:NAME">`` shows the picture (PNG) of that name.
        A password goes to another machine only encrypted: whoever sits between could take STARTTLS out of its offer.

        Raises :class:`~opsmantik.errors.MailFailed` when it does not take it.
        """
        if self._url is None:
            return
        url, user = self._url, self._url.username
        tls = url.scheme == "smtps"
        must_encrypt = bool(user) and not tls and url.hostname not in _THIS_MACHINE
        try:
            await aiosmtplib.send(
                self._message(address, subject, text, headers, html, pictures),
                hostname=url.hostname,
                port=url.port or (465 if tls else 587),
                username=unquote(user) if user else None,
                password=unquote(url.password) if url.password else None,
                use_tls=tls,
                start_tls=True if must_encrypt else None,
                timeout=SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError, MessageError) as refused:
            raise MailFailed(address=address, reason=str(refused)[:200]) from None

    def _message(
        self,
        address: str,
        subject: str,
        text: str,
        headers: Mapping[str, str],
        html: str,
        pictures: Mapping[str, bytes],
    ) -> EmailMessage:
        if not _ONE_ADDRESS.fullmatch(address):
            raise ValueError("that is not one address")
        message = EmailMessage()
        name, sender = parseaddr(self._from)
        message["From"] = Address(name, addr_spec=sender)
        message["To"] = Address(addr_spec=address)
        message["Subject"] = " ".join(subject.split())  # a line break would begin another header
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = headers.get("Message-ID") or make_msgid(domain=self._host)
        message["Auto-Submitted"] = "auto-generated"
        for header, value in headers.items():
            if header != "Message-ID":
                message[header] = value
        message.set_content(text)
        if html:
            message.add_alternative(html, subtype="html")
            body = message.get_body(("html",))
            for name, picture in pictures.items():
                # Inline, so that programs show it where it is and not among the attached files.
                cast("EmailMessage", body).add_related(
                    picture, "image", "png", cid=f"<{name}>", disposition="inline", filename=f"{name}.png"
                )
        return message
