"""A site whose leads were sealed, and its ledger: every row made by decisions and by the sender's own functions."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Item, Outcome
from opsmantik.db.connect import Asker, Database
from opsmantik.decisions.decide import Decision, decide, undo
from opsmantik.people.capabilities import Capability, roles_with
from tests.web.browsing import Running
from tests.web.team import Team, new_team
from tests.web.world import PAID, World

ADS = {"account_id": "1234567890", "action_id": "987654321"}


class Sender:
    """An adapter by its name, for :func:`opsmantik.conversions.store.claim`."""

    most = 2000

    def __init__(self, name: str = "data_manager", provider: str = "a test's own hand") -> None:
        self.name = name
        self.provider = provider


class LedgerWorld:
    """One site with its team; leads by name, and a sender that is the test's own hand."""

    def __init__(self, owner: Any, web: Running, database: Database, team: Team, world: World) -> None:
        self.owner = owner
        self.web = web
        self.database = database
        self.team = team
        self.world = world
        self.ids: dict[str, UUID] = {}

    @property
    def site_id(self) -> UUID:
        return self.team.site.id

    @property
    def pages(self) -> str:
        return f"/sites/{self.site_id}/conversions"

    async def seal(
        self, name: str, amount: str | None = "1500.50", *, visit: str | None = "paid", **decided: Any
    ) -> UUID:
        """A lead of this visit, sealed by the owner; returns the lead."""
        self.ids[name] = lead = await self.world.lead(name, self.world.at(3 + len(self.ids) / 10), visit)
        await self.owner.execute("SELECT rebuild_counters($1)", self.site_id)
        await self.act(name, "seal", amount=None if amount is None else Decimal(amount), **decided)
        return lead

    async def act(self, name: str, action: str, **decided: Any) -> None:
        if action == "undo":
            await undo(self.database, self.team.owner.id, self.site_id, self.ids[name], None)
            return
        if action == "junk":
            decided.setdefault("reason", "spam")
        wanted = Decision(action=action, **decided)  # type: ignore[arg-type]
        await decide(self.database, self.team.owner.id, self.site_id, self.ids[name], wanted)

    def as_owner(self, *, write: bool = True) -> Any:
        """The owner's transaction on this site."""
        who = Asker(self.team.owner.id, roles_with(Capability.EXPORT), only=self.site_id)
        return self.database.as_person(who, write=write)

    async def route(self, adapter: Any = "data_manager", destination: dict[str, str] | None = None) -> None:
        async with self.as_owner() as (connection, _):
            await store.set_route(
                connection,
                self.site_id,
                adapter,
                ADS if destination is None else destination,
                with_hashes=False,
            )

    async def queue(self) -> None:
        """The time for taking back is over."""
        await self.owner.execute(
            "UPDATE conversions SET due_at = now() - interval '1 minute' WHERE site_id = $1 AND state = 'held'",
            self.site_id,
        )
        # The application's own sender may be at it as well.
        for _ in range(200):
            async with self.database.connection() as connection:
                await store.queue(connection, 500)
            if not await self.owner.fetchval(
                "SELECT count(*) FROM conversions WHERE site_id = $1 AND state = 'held' AND due_at <= now()",
                self.site_id,
            ):
                return
            await asyncio.sleep(0.05)
        raise AssertionError("held conversions are not let go")

    async def claim(self, adapter: str = "data_manager") -> store.Claimed:
        others = "UPDATE conversion_routes SET not_before = {} WHERE site_id <> $1"
        await self.owner.execute(others.format("now() + interval '1 hour'"), self.site_id)
        async with self.database.connection() as connection:
            claimed = await store.claim(connection, [Sender(adapter)], seconds=300)  # type: ignore[list-item]
        await self.owner.execute(others.format("'-infinity'"), self.site_id)
        assert claimed is not None
        assert claimed != "nothing_left"
        assert claimed.batch.site_id == self.site_id
        return claimed

    async def answer(
        self, state: Any = "done", *, adapter: str = "data_manager", **named: Outcome | str
    ) -> UUID:
        """Send what is due, and say what became of it: of the leads that are named that, all others accepted."""
        await self.queue()
        batch = (await self.claim(adapter)).batch
        async with self.database.connection() as connection:
            leads = await self._leads(batch.items)
            outcomes = []
            for item in batch.items if state == "done" else ():
                said = named.get(leads[item.conversion_id], "accepted")
                outcomes.append(
                    Outcome(item.position, said) if isinstance(said, str)  # type: ignore[arg-type]
                    else Outcome(item.position, said.outcome, said.reason, said.detail, said.seconds)
                )  # fmt: skip
            assert await store.finish(
                connection, batch, state, outcomes=outcomes, request_id="req-1", seconds=1800
            )
        return batch.id

    async def _leads(self, items: Any) -> dict[UUID, str]:
        ids: list[Item] = list(items)
        rows = await self.owner.fetch(
            "SELECT id, call_id FROM conversions WHERE site_id = $1 AND id = ANY ($2)",
            self.site_id, [item.conversion_id for item in ids],
        )  # fmt: skip
        names = {lead: name for name, lead in self.ids.items()}
        return {row["id"]: names[row["call_id"]] for row in rows}

    async def row(self, name: str) -> dict[str, Any]:
        """The newest row of a lead."""
        return dict(await self.owner.fetchrow(
            "SELECT * FROM conversions WHERE site_id = $1 AND call_id = $2 ORDER BY created_at DESC, order_id DESC LIMIT 1",
            self.site_id, self.ids[name],
        ))  # fmt: skip

    async def fill(self) -> None:
        """A row in every state that a ledger has."""
        await self.world.visit("without", self.world.at(2), {**PAID, "gclid": None, "has_click_id": False})
        await self.world.visit("test", self.world.at(2.1), {**PAID, "gclid": "test-1"})
        await self.route()
        for name in ("matched", "accepted", "refused", "again", "restated", "taken", "gone"):
            await self.seal(name)
        await self.seal("weight", None)
        await self.answer(
            matched="matched", refused=Outcome(0, "failed", "click_not_found", "The click could not be found."),
            again=Outcome(0, "failed", "too_recent_event", "Too recent.", 6 * 3600.0),
        )  # fmt: skip
        await self.seal("sent")
        await self.answer("sent")
        await self.act("restated", "sale", amount=Decimal("2000"))
        await self.act("taken", "junk")
        await self.act("gone", "undo")
        await self.seal("without click", visit="without")
        await self.seal("test click", visit="test")
        await self.seal("queued", "99.90")
        await self.queue()
        await self.seal("held")


async def new_ledger(
    owner: Any, web: Running, app_database: Database, *, fill: bool = True, **columns: Any
) -> LedgerWorld:
    """A site of its own with its people; its ledger filled, if it shall be."""
    team = await new_team(owner, web, currency="TRY", **columns)
    # The application's own sender leaves this alone; what becomes of the rows is the test's to say.
    await owner.execute(
        "INSERT INTO provider_circuits (provider, is_on) VALUES ('data_manager', false)"
        " ON CONFLICT (provider) DO UPDATE SET is_on = false"
    )
    now = await owner.fetchval("SELECT date_trunc('hour', now())")
    world = World(owner, web, team.site, now - timedelta(days=2))
    await world.visit("paid", world.at(1), {**PAID, "fingerprint": f"visitor-{uuid4().hex[:8]}"})
    made = LedgerWorld(owner, web, app_database, team, world)
    if fill:
        await made.fill()
    return made
