"""Any order of seals, changes, undos, junk, restores, withdrawn consent and erasures, over a platform that loses answers,
asks for patience and refuses: in the end it holds what the ledger says that it holds, and nothing was created twice."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.conversions.adapters import Item
from opsmantik.errors import OpsMantikError
from tests.ad_platform import Platform, busy, unsure
from tests.desk import make_desk
from tests.upkeep.test_sending import House, make_house

__all__ = ["make_desk", "make_house"]
LEADS = 4
STEPS = 30


class Walk:
    """One random walk; ``steps`` tells what was done, for whoever has to read a failure."""

    def __init__(self, house: House, seed: int) -> None:
        self.house = house
        self.chance = random.Random(seed)
        self.steps: list[str] = []
        self.calls: list[UUID] = []
        house.platform.refuse = self.refuse
        house.platform.answers_later = self.chance.random() < 0.5

    def refuse(self, item: Item) -> tuple[str, float | None] | None:
        roll = self.chance.random()
        return ("expired_event", None) if roll < 0.03 else ("too_recent_event", 60.0) if roll < 0.12 else None

    async def step(self) -> None:
        desk = self.house.desk
        act = self.chance.choice(
            (
                "seal",
                "seal",
                "sale",
                "undo",
                "junk",
                "restore",
                "suspect",
                "consent",
                "erase",
                "work",
                "work",
                "wait",
                "lose",
                "busy",
            )
        )
        call = self.chance.choice(self.calls)
        amount = Decimal(self.chance.randrange(0, 500))
        self.steps.append(f"{act} {self.calls.index(call)} {amount}")
        if act == "work":
            await self.house.sending.turn()
            await self.house.sending.settle()
        elif act == "wait":
            await self.house.ends()
        elif act == "lose":
            self.house.platform.after.append(unsure())
        elif act == "busy":
            self.house.platform.before.append(busy(5))
        elif act == "consent" and self.chance.random() < 0.3:
            await desk.owner.execute(
                "UPDATE sessions s SET consent_marketing = false FROM calls c"
                " WHERE c.id = $1 AND s.id = c.matched_session_id",
                call,
            )
        elif act == "erase" and self.chance.random() < 0.3:
            await self.erase(call)
        elif act in ("seal", "sale", "undo", "junk", "restore", "suspect"):
            fields = {"amount": amount} if act in ("seal", "sale") else {}
            try:
                await (desk.undo(call) if act == "undo" else desk.decide(call, act, **fields))
            except OpsMantikError:
                self.steps[-1] += " (refused)"

    async def erase(self, call: UUID) -> None:
        owner, site = self.house.desk.owner, self.house.desk.site_id
        erasure = uuid4()
        await owner.execute(
            "INSERT INTO erasures (site_id, id, requested_name, kind, subject_hash) VALUES ($1, $2, 'x', 'phone', $3)",
            site, erasure, b"\x00" * 32,
        )  # fmt: skip
        await owner.execute("SELECT erase_calls($1, $2, ARRAY[$3::uuid])", site, erasure, call)
        self.calls[self.calls.index(call)] = await self.lead()

    async def lead(self) -> UUID:
        return await self.house.desk.lead(visit={"consent_marketing": True})

    async def end(self) -> None:
        """The platform is well again, and time goes by."""
        platform = self.house.platform
        platform.before, platform.after = [], []
        platform.refuse = lambda item: None
        for _ in range(12):
            await self.house.ends()
            await self.house.work()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
async def test_in_the_end_both_hold_the_same(make_house: Any, seed: int) -> None:
    house = await make_house(Platform(most=3))
    walk = Walk(house, seed)
    walk.calls = [await walk.lead() for _ in range(LEADS)]
    for _ in range(STEPS):
        await walk.step()
    await walk.end()

    rows = await house.desk.owner.fetch("SELECT * FROM conversions WHERE site_id = $1", house.desk.site_id)
    ledger = {row["order_id"]: row for row in rows}
    erased = await house.desk.owner.fetch(
        "SELECT unnest(sent_orders) AS o FROM erasures WHERE site_id = $1", house.desk.site_id
    )
    named = {row["o"] for row in erased}
    told = "\n".join(walk.steps)
    assert all(count == 1 for count in house.platform.created.values()), told
    for order, (value, currency) in house.platform.holds.items():
        if order not in ledger:
            assert order in named, told
            continue
        row = ledger[order]
        assert (row["platform_value"], row["platform_currency"]) == (value, currency), told
        wanted = row["value"] if row["state"] in ("accepted", "matched") else 0
        assert value == wanted, told
    for order, row in ledger.items():
        assert row["platform_value"] in (None, 0) or order in house.platform.holds, told
        assert row["batch_id"] is None, told
        assert row["state"] != "sent", told
    assert await house.desk.owner.fetchval(
        "SELECT count(*) FROM conversion_batches WHERE site_id = $1 AND state IN ('open', 'sent')", house.desk.site_id
    ) == 0, told  # fmt: skip
    assert await house.holds() == sum(v for o, (v, _) in house.platform.holds.items() if o in ledger), told
    assert await house.desk.miscounted() == [], told
