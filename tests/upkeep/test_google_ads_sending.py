"""From the seal through the worker to the Google Ads API and back, over a connection that somebody made and may end."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from opsmantik.conversions import store
from opsmantik.conversions.google_ads import GoogleAds
from opsmantik.conversions.google_auth import Client, GoogleAuth
from opsmantik.conversions.http import Http
from opsmantik.db.connect import Asker, Database
from opsmantik.keyring import Keyring, key_of
from opsmantik.outbound import Rules
from opsmantik.people import credentials
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.people.credentials import Tokens as Kept
from opsmantik.upkeep.grants import PROVIDER, Grants
from opsmantik.upkeep.sending import Sending
from tests.conversions.google.google_ads_server import Account, GoogleAdsServer
from tests.conversions.google.server import Fault, Server
from tests.conversions.google.tokens import ADWORDS, Tokens
from tests.desk import Desk, make_desk

__all__ = ["make_desk"]
pytestmark = pytest.mark.slow
KEYS = Keyring([key_of(b"\x01" * 32)])
TO = {"customer_id": "1234567890", "action_id": "987654321"}


class House:
    """A site, its people, Google, and a worker between them."""

    def __init__(self, desk: Desk, database: Database, server: Server, tokens: Tokens, http: Http) -> None:
        self.desk, self.database, self.server, self.tokens = desk, database, server, tokens
        self.ads = GoogleAdsServer(tokens)
        server.handlers.append(self.ads.handle)
        self.account: Account = self.ads.account(customer=TO["customer_id"], action=TO["action_id"])
        client = Client(tokens.client_id, tokens.client_secret, f"{server.url}/token", f"{server.url}/revoke")
        grants = Grants(database, KEYS, GoogleAuth(http, client))
        self.sending = Sending(database, [GoogleAds(http, server.url)], grants)
        self.who = Asker(desk.people["owner"], roles_with(Capability.EXPORT))

    async def connect(self) -> str:
        refresh = self.tokens.refresh(ADWORDS)
        await credentials.keep(self.database, KEYS, self.who, PROVIDER, Kept(None, refresh))
        async with self.database.as_person(self.who, write=True) as (connection, _):
            await store.set_route(connection, self.desk.site_id, "google_ads", TO, with_hashes=False)
            await store.put_secret(connection, KEYS, self.desk.site_id, None, mine=True)
        return refresh

    async def work(self) -> None:
        while await self.sending.turn() or self.sending._under_way:
            await self.sending.settle()

    async def sealed(self, amount: str) -> UUID:
        call = await self.desk.lead(age=timedelta(days=2))
        await self.desk.decide(call, "seal", amount=Decimal(amount))
        return call

    async def row(self, call: UUID) -> dict[str, Any]:
        return (await self.desk.ledger(call))[-1]

    async def trouble(self) -> str | None:
        async with self.database.as_person(self.who) as (connection, _):
            route = await store.route(connection, self.desk.site_id)
        return route.trouble if route else None

    async def now_due(self) -> None:
        site = self.desk.site_id
        for table in ("conversions", "conversion_batches"):
            sql = f"UPDATE {table} SET next_at = now() WHERE site_id = $1 AND next_at > now()"
            await self.desk.owner.execute(sql, site)
        await self.desk.owner.execute(
            "UPDATE conversion_routes SET not_before = '-infinity' WHERE site_id = $1", site
        )


@pytest_asyncio.fixture
async def house(make_desk: Any, app_database: Database) -> AsyncIterator[House]:
    http, tokens = Http(Rules([ipaddress.ip_network("127.0.0.0/8")]), 5), Tokens()
    desk = await make_desk(undo_minutes=0)
    await desk.owner.execute("UPDATE conversion_routes SET is_on = false")
    async with Server(tokens.handle) as server:
        yield House(desk, app_database, server, tokens, http)
    await http.close()


async def test_sealed_sent_changed_and_taken_back(house: House) -> None:
    await house.connect()
    call = await house.sealed("100")
    await house.work()
    row = await house.row(call)
    assert (row["state"], row["platform_value"]) == ("accepted", 100) and house.account.total == 100
    await house.desk.decide(call, "sale", amount=Decimal("250"))
    await house.work()
    assert house.account.total == 250
    await house.desk.decide(call, "junk")
    await house.work()
    assert house.account.total == 0
    row = await house.row(call)
    assert row["state"] == "retracted" and row["taken_back_at"] is not None
    assert len(house.account.held) == 1


async def test_consent_taken_back_at_google_stops_the_site_until_it_is_connected_again(house: House) -> None:
    house.tokens.revoke(await house.connect())
    call = await house.sealed("100")
    await house.work()
    assert await house.trouble() == "revoked" and (await house.row(call))["state"] == "queued"
    await house.now_due()
    asked = len(house.server.requests)
    await house.work()
    assert len(house.server.requests) == asked, "nothing leaves meanwhile"
    await house.connect()
    assert await house.trouble() is None
    await house.now_due()
    await house.work()
    assert (await house.row(call))["state"] == "accepted" and house.account.total == 100


async def test_a_lost_answer_is_asked_for_again_and_counts_once(house: House) -> None:
    await house.connect()
    call = await house.sealed("100")
    house.server.faulty = lambda request: request.path.endswith(":uploadClickConversions")
    house.server.faults.append(Fault("after"))
    await house.work()
    assert house.account.total == 100 and (await house.row(call))["state"] == "sent"
    await house.now_due()
    await house.work()
    assert (await house.row(call))["state"] == "accepted" and house.account.total == 100
    assert len(house.account.held) == 1


async def test_what_comes_too_soon_after_the_click_waits_six_hours(house: House) -> None:
    await house.connect()
    call = await house.sealed("100")
    house.ads.refuse((await house.row(call))["order_id"], "TOO_RECENT_EVENT")
    await house.work()
    row = await house.row(call)
    assert (row["state"], row["reason"]) == ("failed", "too_recent_event") and row["next_at"] is not None
    await house.now_due()
    await house.work()
    assert (await house.row(call))["state"] == "accepted"


async def test_an_account_that_is_not_let_in_stops_the_site(house: House) -> None:
    await house.connect()
    house.account.is_allow_listed = False
    call = await house.sealed("100")
    await house.work()
    assert await house.trouble() == "customer_not_allowlisted_for_this_feature"
    assert (await house.row(call))["state"] == "queued"
