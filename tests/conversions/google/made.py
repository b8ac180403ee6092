"""Batches by hand, and what opens a fake for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from opsmantik.conversions.adapters import Batch, Item, Trouble, Why
from tests.conversions.google.tokens import Tokens

TO = {"account_id": "1234567890", "action_id": "77"}


def item(position: int = 1, **changes: Any) -> Item:
    """A conversion of an hour ago. Its order id says its position."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    fields = {
        "position": position, "conversion_id": UUID(int=position), "order_id": f"om-{position:032x}-1",
        "occurred_at": at, "value": Decimal("1500.50"), "currency": "TRY", "click_id": f"Cj0KCQiA-{position}",
        "click_id_kind": "gclid", "clicked_at": at - timedelta(hours=1), "consent": "granted", "action": "phone", **changes,
    }  # fmt: skip
    return Item(**fields)


def batch(*items: Item, **changes: Any) -> Batch:
    """A batch that is sent for the first time."""
    fields = {
        "site_id": UUID(int=1), "id": uuid4(), "kind": "new", "adapter": "data_manager", "destination": TO,
        "state": "open", "attempts": 1, "request_id": None, "created_at": datetime.now(UTC), "site_name": "Vinç",
        "public_id": "p", "time_zone": "Europe/Istanbul", "with_hashes": False, "items": items, **changes,
    }  # fmt: skip
    return Batch(**fields)


def many(n: int, **changes: Any) -> list[Item]:
    return [item(position, **changes) for position in range(1, n + 1)]


def orders(items: Iterable[Item]) -> set[str]:
    return {one.order_id for one in items}


class Given:
    """A grant: an access token of the fake's, another one when that is refused."""

    def __init__(self, tokens: Tokens, *scopes: str) -> None:
        self._tokens, self._scopes = tokens, scopes
        self._token: str | None = None
        self.asked: list[bool] = []
        self.is_gone = False

    async def token(self, *, fresh: bool = False) -> str:
        self.asked.append(fresh)
        if self.is_gone:
            raise Trouble(Why.NOT_CONNECTED, "revoked", "Token has been expired or revoked.")
        if self._token is None or fresh:
            self._token = self._tokens.access(*self._scopes)
        return self._token

    def secret(self) -> str:
        raise Trouble(Why.NOT_CONNECTED, "no_secret")
