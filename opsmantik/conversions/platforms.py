"""The platforms that a worker serves, made ready from the settings. Whoever adds one adds a line here, a module beside it,
its name in adapters.py, and its words for the screens."""

from __future__ import annotations

from typing import Final

from opsmantik.conversions.adapters import Adapter
from opsmantik.conversions.google_ads import GoogleAds
from opsmantik.conversions.google_auth import Client, GoogleAuth
from opsmantik.conversions.google_data_manager import DataManager
from opsmantik.conversions.http import Http
from opsmantik.conversions.meta import Meta
from opsmantik.conversions.signed_webhook import SignedWebhook
from opsmantik.outbound import Rules
from opsmantik.settings import Settings

WEBHOOK_SECONDS: Final = 10.0
"""Somebody else's server, of which nobody knows how fast it is; Google's and Meta's have a minute."""


class Platforms:
    """The adapters, and Google's sign-in, over two clients."""

    def __init__(self, settings: Settings) -> None:
        rules = Rules(settings.webhook_networks)
        self._http = Http(rules)
        self._hooks = Http(rules, WEBHOOK_SECONDS)
        self.auth = GoogleAuth(
            self._http,
            Client(
                settings.google_client_id, settings.google_client_secret, settings.google_token_url,
                settings.google_revoke_url,
            ),
        )  # fmt: skip
        self.adapters: dict[str, Adapter] = {
            adapter.name: adapter
            for adapter in (
                DataManager(self._http, settings.data_manager_url),
                GoogleAds(self._http, settings.google_ads_url),
                Meta(self._http, settings.meta_url),
                SignedWebhook(self._hooks),
            )
        }

    async def close(self) -> None:
        """Let go of what is open."""
        await self._http.close()
        await self._hooks.close()
