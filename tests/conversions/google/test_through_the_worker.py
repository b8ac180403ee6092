"""From the seal to Google and back, with the ledger's own database and worker between: what both hold is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from opsmantik.conversions.google_data_manager import DataManager as Adapter
from opsmantik.db.connect import Database
from opsmantik.upkeep.sending import Sending
from tests.conversions.google.data_manager import DataManager
from tests.conversions.google.made import Given
from tests.conversions.google.server import Fault
from tests.desk import Desk, make_desk
from tests.upkeep.test_sending import House

__all__ = ["make_desk"]
pytestmark = pytest.mark.slow


class Line(House):
    """A site whose conversions go to the fake."""

    def __init__(
        self, desk: Desk, database: Database, fake: DataManager, adapter: Adapter, grant: Given
    ) -> None:
        super().__init__(desk, database, adapter)  # type: ignore[arg-type]
        self.fake = fake
        self.sending = Sending(database, [adapter], lambda claimed: grant)

    async def later(self) -> None:
        """Half an hour later, as often as it takes."""
        for _ in range(20):
            await self.ends()
            await self.work()
            if (
                not await self.desk.owner.fetchval(
                    "SELECT count(*) FROM conversion_batches WHERE site_id = $1 AND state IN ('open', 'sent')",
                    self.desk.site_id,
                )
                and await self.owed() == []
            ):
                return

    async def agrees(self) -> None:
        assert await self.holds() == self.fake.total
        assert all(held.creations == 1 for held in self.fake.holds().values())
        assert await self.desk.miscounted() == []


@pytest_asyncio.fixture
async def line(
    make_desk: Any, database: Any, fake: DataManager, adapter: Adapter, grant: Given
) -> AsyncIterator[Callable[..., Awaitable[Line]]]:
    pool = Database(database.app, max_size=6)
    await pool.open()
    desk = await make_desk(undo_minutes=0)
    await desk.owner.execute("UPDATE conversion_routes SET is_on = false")  # of other tests' sites
    await desk.owner.execute("DELETE FROM provider_circuits")
    line = Line(desk, pool, fake, adapter, grant)
    await line.route()
    yield line
    await pool.close()


async def test_nothing_is_corrected_before_google_has_confirmed_it(line: Line) -> None:
    line.fake.processing_seconds = 60
    call = await line.sealed("100")
    await line.work()
    assert (await line.row(call))["state"] == "sent"
    await line.desk.decide(call, "sale", amount=Decimal(250))
    await line.ends()
    await line.work()
    assert len(line.fake.ingests()) == 1, "it is asked about, and not corrected"
    line.fake.process()
    line.fake.processing_seconds = 0
    await line.later()
    assert [request["events"][0]["conversionValue"] for request in line.fake.ingests()] == [100.0, 250.0]
    row = await line.row(call)
    assert (row["state"], row["platform_value"]) == ("accepted", Decimal(250))
    await line.agrees()


async def test_taken_back_it_is_worth_nothing_there_and_sealed_again_it_is_another(line: Line) -> None:
    call = await line.sealed("80")
    await line.work()
    await line.later()
    await line.desk.decide(call, "restore")
    await line.later()
    assert line.fake.total == 0
    await line.agrees()
    await line.desk.decide(call, "seal", amount=Decimal(90))
    await line.later()
    first, second = await line.desk.ledger(call)
    assert line.fake.holds()[first["order_id"]].value == 0
    assert line.fake.holds()[second["order_id"]].value == 90
    await line.agrees()


async def test_dropped_replies_and_the_same_again_are_one_conversion_each(line: Line) -> None:
    calls = [await line.sealed(str(n)) for n in (10, 20, 30)]
    line.fake.faults += [Fault("after"), Fault("half"), Fault("status", 503), Fault("after")]
    await line.work()
    await line.later()
    assert not line.fake.faults
    assert [(await line.row(call))["state"] for call in calls] == ["accepted"] * 3
    assert line.fake.total == 60
    await line.agrees()


async def test_some_of_many_failed_and_each_knows_it(line: Line) -> None:
    calls = [await line.sealed(str(10 + n)) for n in range(6)]
    bad = (await line.row(calls[2]))["order_id"]
    line.fake.fails = {bad: "INVALID_GCLID"}
    await line.work()
    await line.later()
    states = [(await line.row(call))["state"] for call in calls]
    assert states == ["accepted", "accepted", "failed", "accepted", "accepted", "accepted"]
    row = await line.row(calls[2])
    assert (row["reason"], row["platform_value"], row["next_at"]) == ("invalid_gclid", None, None)
    await line.agrees()


@pytest.mark.parametrize("wants", [True, False], ids=["Google wants a click", "the order id is enough"])
async def test_consent_withdrawn_after_it_was_taken(line: Line, wants: bool) -> None:
    """What Google lets us take back without naming the visitor's click; what it does not is plain to see."""
    line.fake.wants_identifier = wants
    call = await line.sealed("70")
    await line.work()
    await line.later()
    await line.desk.owner.execute(
        "UPDATE conversions SET click_id = NULL, click_id_kind = NULL, state = 'skipped', consent = 'denied',"
        " reason = 'no_consent_after_sending', next_at = now() WHERE call_id = $1", call
    )  # fmt: skip
    await line.later()
    row = await line.row(call)
    if wants:
        assert (row["platform_value"], row["taken_back_at"]) == (Decimal(70), None)
        assert "NO_IDENTIFIERS_PROVIDED" in row["detail"] and line.fake.total == 70
    else:
        assert (row["platform_value"], row["taken_back_at"] is not None) == (Decimal(0), True)
        assert line.fake.total == 0
    assert await line.holds() == line.fake.total
