"""The Google Ads API in a test: a server that speaks it, one account there, the adapter, and what it is given to send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from opsmantik.conversions.adapters import Answer, Batch, Item, Outcome
from opsmantik.conversions.google_ads import GoogleAds
from opsmantik.conversions.http import Http
from tests.conversions.google.google_ads_server import Account, GoogleAdsServer
from tests.conversions.google.server import Server
from tests.conversions.google.tokens import ADWORDS, Tokens

CUSTOMER, ACTION = "1234567890", "987654321"
TO = {"customer_id": CUSTOMER, "action_id": ACTION}
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)


class Opened:
    """A grant whose access token is good, or becomes so when it is asked for a fresh one."""

    def __init__(
        self, tokens: Tokens, *, first: str | None = None, scopes: Sequence[str] = (ADWORDS,)
    ) -> None:
        self.tokens, self.scopes, self.first = tokens, scopes, first
        self.asked: list[bool] = []

    async def token(self, *, fresh: bool = False) -> str:
        self.asked.append(fresh)
        return self.first if self.first and not fresh else self.tokens.access(*self.scopes)

    def secret(self) -> str:
        raise AssertionError("it is not asked for")


class World:
    """Google, one account there, and the adapter that speaks to it."""

    def __init__(self, server: Server, tokens: Tokens, ads: GoogleAdsServer, http: Http) -> None:
        self.server, self.tokens, self.ads = server, tokens, ads
        self.account: Account = ads.account(CUSTOMER, ACTION)
        self.adapter = GoogleAds(http, server.url)
        self.grant = Opened(tokens)

    async def send(self, *items: Item, **changes: Any) -> Answer:
        return await self.adapter.send(batch(*items, **changes), self.grant)

    async def outcome(self, one: Item, **changes: Any) -> Outcome:
        (found,) = (await self.send(one, **changes)).outcomes
        return found


def item(position: int = 1, **changes: Any) -> Item:
    number = uuid4()
    values: dict[str, Any] = {
        "position": position, "conversion_id": number, "order_id": f"om-{number.hex}-1", "occurred_at": NOW - DAY,
        "value": Decimal("1234.50"), "currency": "TRY", "click_id": f"Cj0KCQiA-{number.hex}", "click_id_kind": "gclid",
        "clicked_at": NOW - 2 * DAY, "consent": "granted", "sent_at": NOW - 2 * DAY, "action": "phone",
    }  # fmt: skip
    return Item(**values | changes)


def batch(*items: Item, **changes: Any) -> Batch:
    values: dict[str, Any] = {
        "site_id": UUID(int=1), "id": uuid4(), "kind": "new", "adapter": "google_ads", "destination": TO, "state": "open",
        "attempts": 1, "request_id": None, "created_at": NOW, "site_name": "Vinç", "public_id": "p",
        "time_zone": "Europe/Istanbul", "with_hashes": False, "items": items,
    }  # fmt: skip
    return Batch(**values | changes)
