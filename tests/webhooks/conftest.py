"""A desk at which leads are decided, webhooks of its site, and a sender that works when it is told to."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from opsmantik.db.connect import Asker, Database
from opsmantik.event import new_id
from opsmantik.keyring import Key, Keyring
from opsmantik.outbound import Outbound
from opsmantik.upkeep.delivering import Delivering
from opsmantik.webhooks import store
from opsmantik.webhooks.messages import EVENTS
from opsmantik.webhooks.store import Delivery, Keeper
from tests.desk import Desk, make_desk  # noqa: F401 - a fixture
from tests.webhooks.receiver import Receiver, receiving

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
WRITERS = ("platform_admin", "owner", "admin")


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring([Key("k1", b"1" * 32)])


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


class Hooks:
    """The webhooks of one site, as its owner."""

    def __init__(self, desk: Desk, keyring: Keyring, owner: Any) -> None:
        self.desk = desk
        self.keyring = keyring
        self.owner = owner
        self.secrets: dict[UUID, str] = {}

    def asking(self, by: str = "owner") -> Any:
        return self.desk.database.as_person(Asker(self.desk.people[by], WRITERS), write=True)

    async def add(self, url: str, events: Any = EVENTS, by: str = "owner", **more: bool) -> UUID:
        webhook_id = new_id()
        more = {"with_phone": False, "with_click_id": False, **more}
        async with self.asking(by) as (connection, _):
            self.secrets[webhook_id] = await store.add(
                connection, self.keyring, self.desk.site_id, webhook_id, url, list(events), **more
            )
        return webhook_id

    async def log(self, webhook_id: UUID) -> list[Delivery]:
        """Newest first."""
        async with self.asking() as (connection, _):
            return await store.deliveries(connection, self.desk.site_id, webhook_id)

    async def one(self, webhook_id: UUID) -> store.Webhook:
        async with self.asking() as (connection, _):
            return await store.one_webhook(connection, self.desk.site_id, webhook_id)

    async def judged(self, *leads: UUID, suspicious: bool = False) -> None:
        """The review has looked at these leads."""
        async with self.desk.database.connection() as connection:
            for lead in leads:
                if suspicious:
                    await connection.execute(
                        "SELECT suspect_lead($1, $2, $3, $4)", self.desk.site_id, lead, new_id(), ["fast_tap"]
                    )
                else:
                    await connection.execute("SELECT clear_leads($1, $2)", [self.desk.site_id], [lead])

    async def due(self) -> None:
        """Whatever is to be tried again is due now."""
        await self.owner.execute(
            "UPDATE webhook_deliveries SET next_at = now() WHERE site_id = $1 AND state IN ('waiting', 'failed')",
            self.desk.site_id,
        )


@pytest.fixture
def make_hooks(make_desk: Any, keyring: Keyring, owner: Any) -> Callable[..., Awaitable[Hooks]]:  # noqa: F811
    async def make(**columns: Any) -> Hooks:
        return Hooks(await make_desk(**columns), keyring, owner)

    return make


class Sender:
    """The background task, turn by turn."""

    def __init__(self, database: Database, keyring: Keyring, **more: Any) -> None:
        self.told: list[Keeper] = []
        seconds = more.pop("seconds", 0.5)
        self.delivering = Delivering(
            database, keyring, Outbound(LOOPBACK, seconds=seconds), "https://om.example", self._tell, **more
        )

    async def _tell(self, keepers: Any) -> None:
        self.told += keepers

    async def turn(self) -> int:
        """Take what is due, and wait until it is done."""
        taken = await self.delivering.turn()
        await self.delivering.settle()
        return taken


@pytest_asyncio.fixture(loop_scope="session")
async def sender(app_database: Database, keyring: Keyring, owner: Any) -> AsyncIterator[Sender]:
    # What an earlier test of this module left is none of this one's business.
    await owner.execute("UPDATE webhooks SET off_reason = 'paused'")
    found = Sender(app_database, keyring)
    yield found
    await found.delivering.stop()
