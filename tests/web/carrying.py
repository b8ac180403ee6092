"""A site whose conversions somebody carries to Google: a browser, a key, and sealed leads that are due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx

from opsmantik.conversions import store
from opsmantik.db.connect import Asker
from opsmantik.people import keys
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.upkeep.scheduled_imports import scheduled_imports
from tests.web.browsing import Browser
from tests.web.world import PAID, Programs, World

NAME = "Sealed lead"


class Carrier:
    """Whoever carries, at a site of their own."""

    def __init__(self, browser: Browser, world: World) -> None:
        self.browser, self.world = browser, world
        self.programs = Programs(browser)
        self.api = f"{world.path}/conversions/batches"
        self.key = ""

    @property
    def owner(self) -> Any:
        return self.world.owner

    def _asker(self, capability: Capability) -> Asker:
        return Asker(self.world.site.user_id, roles_with(capability))

    async def route(self, adapter: Any = "file", **destination: str) -> None:
        """Where its conversions go."""
        state = self.world.web.app._page_database
        async with state.as_person(self._asker(Capability.EXPORT), write=True) as (connection, _):
            await store.set_route(
                connection,
                self.world.site.id,
                adapter,
                {"conversion_name": NAME, **destination},
                with_hashes=False,
            )

    async def new_key(self, *scopes: Capability) -> str:
        """A key of the site's own."""
        wanted = keys.check_new_key("script", scopes or (Capability.EXPORT,), None, datetime.now(UTC))
        database = self.world.web.app._page_database
        async with database.as_person(self._asker(Capability.KEYS), write=True) as (connection, _):
            made = await keys.make_site_key(connection, self.world.site.id, wanted)
        return made.token

    async def sealed(self, count: int = 1, amount: str | None = "1250.50", **visit: Any) -> list[UUID]:
        """So many leads that were sealed, each of its own click, and may leave now."""
        made = []
        for _ in range(count):
            name = uuid4().hex
            # Not long ago: of older clicks platforms take no conversion.
            at = self.world.at(40)
            click = {"gclid": f"Cj0KCQiA-{name}", "fingerprint": name, **visit}
            await self.world.visit(name, at, PAID, **click)
            made.append(await self.world.lead(name, at, name, click_id=None, click_id_kind=None))
            await self.decide(made[-1], action="seal", amount=float(amount) if amount else None)
        for _ in range(
            200
        ):  # the server's own worker does the same meanwhile, and whoever is at it goes on alone
            await self.owner.execute("SELECT queue_conversions(500)")
            if "held" not in await self.states():
                return made
            await asyncio.sleep(0.02)
        raise AssertionError("they were not let go")

    async def decide(self, lead: UUID, **decision: Any) -> None:
        answer = await self.programs.post(f"{self.world.path}/intents/{lead}/decisions", decision)
        assert answer.status_code == 200, answer.text

    async def row(self, lead: UUID) -> dict[str, Any]:
        return dict(
            await self.owner.fetchrow(
                "SELECT * FROM conversions WHERE call_id = $1 ORDER BY order_id DESC LIMIT 1", lead
            )
        )

    async def states(self) -> list[str]:
        rows = await self.owner.fetch(
            "SELECT state FROM conversions WHERE site_id = $1 ORDER BY created_at, id", self.world.site.id
        )
        return [row["state"] for row in rows]

    async def ledger(self) -> list[Any]:
        """Everything of the ledger, to see that nothing has moved."""
        return [
            tuple(row)
            for row in await self.owner.fetch(
                "SELECT v.*, (SELECT count(*) FROM conversion_moves m WHERE m.site_id = v.site_id"
                " AND m.conversion_id = v.id)"
                " FROM conversions v WHERE v.site_id = $1 ORDER BY v.id",
                self.world.site.id,
            )
        ]

    async def holds(self) -> Decimal:
        """What the ledger believes that Google holds."""
        found: Decimal = await self.owner.fetchval(
            "SELECT coalesce(sum(platform_value), 0) FROM conversions WHERE site_id = $1", self.world.site.id
        )
        return found

    async def downloads(self) -> int:
        """How often its files were handed over."""
        found: int = await self.owner.fetchval(
            "SELECT coalesce(sum(downloads), 0) FROM conversion_batches WHERE site_id = $1",
            self.world.site.id,
        )
        return found

    async def lapses(self) -> None:
        """The time until its batches are handed out again."""
        await self.owner.execute(
            "UPDATE conversion_batches SET next_at = now() WHERE site_id = $1 AND next_at > now()",
            self.world.site.id,
        )

    async def passes(self, interval: str) -> None:
        """So much time, for the site's batches."""
        for column in ("next_at", "created_at", "sent_at"):
            await self.owner.execute(
                f"UPDATE conversion_batches SET {column} = {column} - $2::text::interval WHERE site_id = $1",
                self.world.site.id, interval,
            )  # fmt: skip

    async def upkeep(self) -> dict[str, Any]:
        """A round of the job; the owner's connection keeps its settings."""
        found = await scheduled_imports(self.owner)
        await self.owner.execute("SET app.maintenance = 'on'")
        return found

    async def ask(
        self, method: str, path: str, body: Any = None, key: str = "", **more: Any
    ) -> httpx.Response:
        """As a program with a key, without any cookie."""
        headers = {"x-api-key": key or self.key, **more.pop("headers", {})}
        async with httpx.AsyncClient(base_url=self.world.web.base_url, verify=False, timeout=20) as http:
            return await http.request(method, path, json=body, headers=headers, **more)


async def carrier(signed_in: Any, make_world: Any, **columns: Any) -> Carrier:
    """A new one, whose conversions wait for nothing."""
    browser, user_id = await signed_in()
    made = Carrier(browser, await make_world(user_id, empty=True, undo_minutes=0, **columns))
    made.key = await made.new_key()
    return made
