"""What is mailed to a site's people: new leads, and that a webhook was switched off. In words; no number and no name of a
caller is among them.

Every mail about leads ends with a link that stops them. It is signed, so that it works without signing in, also when a mail
program follows it by itself (RFC 8058).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from opsmantik.notifications.store import Due, NewLead
from opsmantik.settings import Settings, secret
from opsmantik.upkeep.notifying import Letter
from opsmantik.web.language import LANGUAGES, Words
from opsmantik.web.rendering import View, slug
from opsmantik.webhooks.store import Keeper

MAC_BYTES = 16


class Signer:
    """Signs and reads the links that stop mail; those of one purpose stop nothing else."""

    def __init__(self, settings: Settings, purpose: bytes = b"stop-notices") -> None:
        self._key = hmac.new(secret(settings).encode(), purpose, hashlib.sha256).digest()

    def token(self, site_id: UUID, user_id: UUID) -> str:
        """For this person's mail about this site, and nothing else."""
        whose = site_id.bytes + user_id.bytes
        return base64.urlsafe_b64encode(whose + self._mac(whose)).decode()

    def read(self, token: str) -> tuple[UUID, UUID] | None:
        """Site and person; None for what was not signed here."""
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        whose, mac = raw[:32], raw[32:]
        if len(whose) != 32 or not hmac.compare_digest(mac, self._mac(whose)):
            return None
        return UUID(bytes=whose[:16]), UUID(bytes=whose[16:])

    def _mac(self, whose: bytes) -> bytes:
        return hmac.new(self._key, whose, hashlib.sha256).digest()[:MAC_BYTES]


class LeadMail:
    """Puts mails into the words of whoever reads them."""

    def __init__(self, settings: Settings, signer: Signer) -> None:
        self._base_url = settings.base_url
        self._signer = signer

    def leads(self, due: Due, leads: Sequence[NewLead]) -> Letter:
        """About one or more new leads, oldest first."""
        words, view = self._words(due.language, due.time_zone)
        stop = f"{self._base_url}/stop-mail/{self._signer.token(due.site_id, due.user_id)}"
        lines = [self._lead(words, view, due, lead) for lead in leads]
        text = words(
            "notifications.mail",
            n=len(leads), site=due.site_name, leads="\n\n".join(lines), zone=due.time_zone, stop=stop,
            wishes=f"{self._base_url}/sites/{due.site_id}/settings/notifications",
        )  # fmt: skip
        headers = {"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        return Letter(words("notifications.subject", n=len(leads), site=due.site_name), text, headers)

    def switched_off(self, keeper: Keeper) -> Letter:
        """A webhook was switched off."""
        words, _ = self._words(keeper.language, "UTC")
        gone, failing = words("webhooks.mail_gone"), words("webhooks.mail_failing")
        text = words(
            "webhooks.mail",
            host=keeper.host,
            site=keeper.site_name,
            why=gone if keeper.off_reason == "gone" else failing,
            base_url=self._base_url,
        )
        return Letter(words("webhooks.mail_subject", site=keeper.site_name), text)

    def _words(self, language: str, time_zone: str) -> tuple[Words, View]:
        view = View(language if language in LANGUAGES else LANGUAGES[0], datetime.now(UTC), time_zone)
        return view.words, view

    def _lead(self, words: Words, view: View, due: Due, lead: NewLead) -> str:
        """When, what, whence, for what, how good, and where to look."""
        source = words.get(f"source.{slug(lead.source or '')}", lead.source or "")
        campaign = lead.campaign and words("notifications.campaign", campaign=lead.campaign)
        about = [
            words.get(f"action.{lead.action}", words("action.other")), source, lead.keyword, campaign,
            words("notifications.score", score=lead.score),
        ]  # fmt: skip
        link = f"{self._base_url}/sites/{due.site_id}#lead-{lead.call_id}"
        return "\n".join([view.moment(lead.captured_at), " · ".join(part for part in about if part), link])
