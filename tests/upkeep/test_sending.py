"""From the seal to the platform and back: what is owed there, in which batch, and that it arrives once whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.db.connect import Asker, Database
from opsmantik.errors import Conflict
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.upkeep.sending import CIRCUIT_FAILURES, Sending
from tests.ad_platform import Platform, busy, unsure
from tests.desk import Desk, make_desk

__all__ = ["make_desk"]
DAY = timedelta(days=1)
TO = {"account_id": "1234567890", "action_id": "77"}


class House:
    """A site with a route, its desk, and a worker over a platform in memory."""

    def __init__(self, desk: Desk, database: Database, platform: Platform) -> None:
        self.desk, self.database, self.platform = desk, database, platform
        self.sending = Sending(database, [platform], lambda claimed: None)  # type: ignore[arg-type, return-value]

    async def work(self) -> None:
        """Until nothing is left to do now."""
        while await self.sending.turn() or self.sending._under_way:
            await self.sending.settle()

    async def sealed(self, amount: str | None = "100", **fields: Any) -> UUID:
        """A lead that was sealed and may leave now."""
        call = await self.desk.lead(**{k: fields.pop(k) for k in ("age", "visit") if k in fields})
        await self.desk.decide(call, "seal", amount=Decimal(amount) if amount else None, **fields)
        return call

    async def ends(self, column: str = "next_at") -> None:
        """What waits for its time does not any more."""
        for table in ("conversions", "conversion_batches"):
            await self.desk.owner.execute(
                f"UPDATE {table} SET next_at = now() WHERE site_id = $1 AND next_at > now()",
                self.desk.site_id,
            )
        await self.desk.owner.execute("UPDATE provider_circuits SET open_until = '-infinity'")
        await self.desk.owner.execute(
            "UPDATE conversion_routes SET not_before = '-infinity' WHERE site_id = $1", self.desk.site_id
        )

    async def row(self, call: UUID) -> dict[str, Any]:
        return (await self.desk.ledger(call))[-1]

    async def keeper(self) -> Asker:
        return Asker(self.desk.people["owner"], roles_with(Capability.EXPORT))

    async def route(self, adapter: Any = "data_manager", **fields: Any) -> None:
        async with self.database.as_person(await self.keeper(), write=True) as (connection, _):
            await store.set_route(connection, self.desk.site_id, adapter, TO, with_hashes=False, **fields)

    async def batches(self) -> list[tuple[str, str]]:
        rows = await self.desk.owner.fetch(
            "SELECT kind, state FROM conversion_batches WHERE site_id = $1 ORDER BY created_at, id",
            self.desk.site_id,
        )
        return [tuple(row) for row in rows]

    async def owed(self) -> list[str | None]:
        return [
            row["step"]
            for row in await self.desk.owner.fetch(
                "SELECT owed_step(v) AS step FROM conversions v WHERE v.site_id = $1 AND owed_step(v) IS NOT NULL",
                self.desk.site_id,
            )
        ]

    async def holds(self) -> Decimal:
        """What the ledger believes of the platform."""
        found: Decimal = await self.desk.owner.fetchval(
            "SELECT coalesce(sum(platform_value), 0) FROM conversions WHERE site_id = $1", self.desk.site_id
        )
        return found


@pytest_asyncio.fixture
async def make_house(make_desk: Any, database: Any) -> AsyncIterator[Callable[..., Awaitable[House]]]:
    """A site whose conversions wait for nothing (undo_minutes 0), unless its columns say otherwise."""
    pools: list[Database] = []

    async def make(platform: Platform | None = None, **columns: Any) -> House:
        pool = Database(database.app, max_size=6)
        await pool.open()
        pools.append(pool)
        desk = await make_desk(**{"undo_minutes": 0, **columns})
        # One test's site must not take another's turn.
        await desk.owner.execute("UPDATE conversion_routes SET is_on = false")
        await desk.owner.execute("DELETE FROM provider_circuits")
        house = House(desk, pool, platform or Platform())
        await house.route()
        return house

    yield make
    for pool in pools:
        await pool.close()


async def test_sealed_held_queued_sent_accepted(make_house: Any) -> None:
    house = await make_house(undo_minutes=10)
    call = await house.sealed("1250.50", currency="TRY")
    await house.work()
    assert house.platform.batches == []
    assert (await house.row(call))["state"] == "held"
    await house.desk.owner.execute("UPDATE conversions SET due_at = now() WHERE call_id = $1", call)
    await house.work()

    row = await house.row(call)
    assert (row["state"], row["platform_value"], row["sent_to"]["adapter"]) == (
        "accepted",
        Decimal("1250.50"),
        "data_manager",
    )
    assert row["batch_id"] is None
    assert row["next_at"] is None
    assert house.platform.holds == {row["order_id"]: (Decimal("1250.50"), "TRY")}
    item = house.platform.batches[0].items[0]
    assert (item.click_id, item.click_id_kind, item.occurred_at) == (
        row["click_id"],
        "gclid",
        row["occurred_at"],
    )
    assert await house.desk.moves(call) == [
        (None, "held", None), ("held", "queued", None), ("queued", "sent", None), ("sent", "accepted", None),
    ]  # fmt: skip
    assert (await house.desk.row(call))["status"] == "conversion"
    assert [line["action"] for line in await house.desk.log(call)] == ["seal", "convert"]
    assert await house.batches() == [("new", "done")]
    assert await house.desk.miscounted() == []


async def test_what_is_undone_while_it_is_held_never_leaves(make_house: Any) -> None:
    house = await make_house(undo_minutes=10)
    call = await house.sealed()
    await house.desk.undo(call)
    await house.desk.owner.execute("UPDATE conversions SET due_at = now() WHERE call_id = $1", call)
    await house.work()
    assert house.platform.batches == []
    assert await house.owed() == []


TAKEN_BACK = {"junk": "junked", "undo": "undone", "restore": "restored", "suspect": "suspected"}


@pytest.mark.parametrize("act", TAKEN_BACK)
async def test_what_is_taken_back_after_it_arrived_is_taken_back_there(make_house: Any, act: str) -> None:
    house = await make_house()
    call = await house.sealed("80")
    await house.work()
    await (house.desk.undo(call) if act == "undo" else house.desk.decide(call, act))
    assert await house.owed() == ["retract"]
    await house.work()
    row = await house.row(call)
    assert (row["state"], row["reason"], row["platform_value"]) == (
        "retracted",
        f"{TAKEN_BACK[act]}_after_sending",
        0,
    )
    assert row["taken_back_at"] is not None
    assert house.platform.total == 0
    assert [batch.kind for batch in house.platform.batches] == ["new", "retract"]
    assert (await house.desk.moves(call))[-1] == ("retracted", "retracted", "taken_back")
    assert await house.owed() == []
    assert await house.desk.miscounted() == []


async def test_sealed_again_it_is_another_conversion(make_house: Any) -> None:
    house = await make_house()
    call = await house.sealed("80")
    await house.work()
    await house.desk.decide(call, "restore")
    await house.desk.decide(call, "seal", amount=Decimal(90))
    await house.work()
    first, second = await house.desk.ledger(call)
    assert house.platform.holds[first["order_id"]][0] == 0
    assert house.platform.holds[second["order_id"]][0] == 90


@pytest.mark.parametrize("amount", ["250", "0", "99.99"])
async def test_another_amount_is_put_right_there(make_house: Any, amount: str) -> None:
    house = await make_house()
    call = await house.sealed("100")
    await house.work()
    await house.desk.decide(call, "sale", amount=Decimal(amount))
    assert await house.owed() == ["restate"]
    await house.work()
    row = await house.row(call)
    assert (row["state"], row["platform_value"]) == ("accepted", Decimal(amount))
    assert house.platform.total == Decimal(amount)
    assert await house.owed() == []
    assert (await house.desk.moves(call))[-1] == ("accepted", "accepted", "restated")


async def test_an_amount_that_comes_while_it_is_on_its_way_is_put_right_afterwards(make_house: Any) -> None:
    house = await make_house()
    call = await house.sealed("100")

    async def meanwhile() -> None:
        house.platform.meanwhile = None
        await house.desk.decide(call, "sale", amount=Decimal(300))

    house.platform.meanwhile = meanwhile
    await house.work()
    assert [batch.kind for batch in house.platform.batches] == ["new", "restate"]
    assert house.platform.batches[0].items[0].value == 100
    assert house.platform.total == 300 == (await house.row(call))["platform_value"]


async def test_taken_back_on_its_way_waits_for_the_answer(make_house: Any) -> None:
    house = await make_house()
    house.platform.answers_later = True
    call = await house.sealed("100")
    await house.sending.turn()
    await house.sending.settle()
    assert (await house.row(call))["state"] == "sent"
    await house.desk.decide(call, "junk")
    assert (await house.row(call))["next_at"] is None
    await house.work()
    assert [batch.kind for batch in house.platform.batches] == ["new", "retract"]
    assert house.platform.total == 0 == await house.holds()
    assert await house.owed() == []


async def test_taken_back_on_its_way_and_refused_there_is_nothing_to_take_back(make_house: Any) -> None:
    house = await make_house()
    call = await house.sealed("100")

    async def meanwhile() -> None:
        await house.desk.decide(call, "junk")

    house.platform.meanwhile = meanwhile
    house.platform.refuse = lambda item: ("expired_event", None)
    await house.work()
    row = await house.row(call)
    assert (row["state"], row["platform_value"]) == ("retracted", None)
    assert await house.owed() == []
    assert len(house.platform.batches) == 1


async def test_a_lost_answer_is_asked_for_by_sending_the_same_again(make_house: Any) -> None:
    house = await make_house()
    house.platform.after = [unsure()]
    calls = [await house.sealed(str(amount)) for amount in (10, 20)]
    await house.work()
    assert await house.batches() == [("new", "open")]
    assert {(await house.row(call))["state"] for call in calls} == {"sent"}
    # A lead sealed meanwhile does not wait for them.
    other = await house.sealed("40")
    await house.work()
    await house.desk.decide(calls[0], "sale", amount=Decimal(15))
    house.platform.after = [unsure()]
    for _ in range(2):
        await house.ends()
        await house.work()
    sent = [batch for batch in house.platform.batches if batch.kind == "new" and len(batch.items) == 2]
    assert len(sent) == 3
    assert [[(i.order_id, i.value) for i in batch.items] for batch in sent[1:]] == [
        [(i.order_id, i.value) for i in sent[0].items]
    ] * 2
    assert set(house.platform.created.values()) == {1}
    assert house.platform.total == 15 + 20 + 40 == await house.holds()
    assert (await house.row(other))["state"] == "accepted"


async def test_what_certainly_did_not_arrive_waits_as_before_and_may_change(make_house: Any) -> None:
    house = await make_house()
    house.platform.before = [busy(30)]
    call = await house.sealed("100")
    gone = await house.sealed("7")
    await house.work()
    assert await house.batches() == [("new", "cancelled")]
    row = await house.row(call)
    assert (row["state"], row["batch_id"], row["sent_to"]) == ("queued", None, None)
    assert len(house.platform.batches) == 1
    await house.desk.decide(call, "sale", amount=Decimal(120))
    await house.desk.decide(gone, "junk")
    await house.ends()
    await house.work()
    assert house.platform.total == 120
    assert house.platform.created.total() == 1
    assert (await house.row(gone))["reason"] == "junked"


async def test_refused_for_now_comes_again_and_refused_for_good_does_not(make_house: Any) -> None:
    house = await make_house()
    later, never, well = [await house.sealed(amount) for amount in ("10", "20", "40")]
    orders = {(await house.row(call))["order_id"]: call for call in (later, never, well)}
    answers = {later: ("too_recent_event", 6 * 3600.0), never: ("expired_event", None)}
    house.platform.refuse = lambda item: answers.get(orders[item.order_id])
    await house.work()
    row = await house.row(later)
    assert (row["state"], row["reason"], row["detail"], row["attempts"]) == (
        "failed",
        "too_recent_event",
        "the platform says no",
        1,
    )
    assert row["next_at"] - row["updated_at"] == timedelta(hours=6)
    assert ((await house.row(never))["state"], (await house.row(never))["next_at"]) == ("failed", None)
    house.platform.refuse = lambda item: None
    await house.ends()
    await house.work()
    assert (await house.row(later))["state"] == "accepted"
    assert (await house.row(never))["state"] == "failed"
    async with house.database.as_person(await house.keeper(), write=True) as (connection, _):
        assert await store.retry(connection, house.desk.site_id, [(await house.row(never))["id"]]) == 1
    await house.work()
    assert (await house.row(never))["state"] == "accepted"
    assert house.platform.total == 70


async def test_dropped_does_not_leave(make_house: Any) -> None:
    house = await make_house()
    house.platform.before = [busy()]
    call = await house.sealed()
    await house.work()
    async with house.database.as_person(await house.keeper(), write=True) as (connection, _):
        assert await store.drop(connection, house.desk.site_id, [(await house.row(call))["id"]]) == 1
    await house.ends()
    await house.work()
    assert house.platform.holds == {}
    assert ((await house.row(call))["state"], (await house.row(call))["reason"]) == ("skipped", "dropped")
    assert await house.desk.miscounted() == []


async def test_consent_withdrawn_before_it_leaves(make_house: Any) -> None:
    house = await make_house(undo_minutes=10)
    call = await house.sealed(visit={"consent_marketing": True})
    await house.desk.owner.execute(
        "UPDATE sessions SET consent_marketing = false WHERE site_id = $1", house.desk.site_id
    )
    await house.desk.owner.execute("UPDATE conversions SET due_at = now() WHERE call_id = $1", call)
    await house.work()
    row = await house.row(call)
    assert (row["state"], row["reason"], row["click_id"], row["next_at"]) == (
        "skipped",
        "no_consent",
        None,
        None,
    )
    assert house.platform.batches == []


async def test_consent_withdrawn_while_it_waits_for_its_turn(make_house: Any) -> None:
    house = await make_house()
    house.platform.before = [busy()]
    call = await house.sealed(visit={"consent_marketing": True})
    await house.work()
    await house.desk.owner.execute(
        "UPDATE sessions SET consent_marketing = false WHERE site_id = $1", house.desk.site_id
    )
    await house.ends()
    await house.work()
    assert ((await house.row(call))["state"], (await house.row(call))["reason"]) == ("skipped", "no_consent")
    assert len(house.platform.batches) == 1


async def test_consent_withdrawn_after_an_answer_was_lost(make_house: Any) -> None:
    """The click id does not go out a second time; what may have arrived is taken back by its order id alone."""
    house = await make_house()
    house.platform.after = [unsure()]
    call = await house.sealed("100", visit={"consent_marketing": True})
    await house.work()
    assert house.platform.total == 100
    await house.desk.owner.execute(
        "UPDATE sessions SET consent_marketing = false WHERE site_id = $1", house.desk.site_id
    )
    await house.ends()
    await house.work()
    row = await house.row(call)
    assert (row["state"], row["reason"], row["platform_value"]) == ("skipped", "no_consent", 0)
    assert house.platform.total == 0
    assert [
        (batch.kind, [item.click_id for item in batch.items]) for batch in house.platform.batches[1:]
    ] == [("retract", [None])]
    assert await house.desk.miscounted() == []


async def test_a_click_of_ninety_days_ago_is_stopped_when_its_time_has_come(make_house: Any) -> None:
    house = await make_house(undo_minutes=10)
    call = await house.sealed()
    await house.desk.owner.execute(
        "UPDATE conversions SET due_at = now(), clicked_at = now() - interval '90 days 1 second' WHERE call_id = $1",
        call,
    )
    await house.work()
    assert ((await house.row(call))["state"], (await house.row(call))["reason"]) == ("skipped", "too_old")


async def test_several_workers_share_and_send_nothing_twice(make_house: Any) -> None:
    house = await make_house(Platform(most=3))
    for amount in range(1, 21):
        await house.sealed(str(amount))
    workers = [Sending(house.database, [house.platform], lambda claimed: None) for _ in range(3)]  # type: ignore[arg-type, return-value]
    for _ in range(20):
        await asyncio.gather(*(worker.turn() for worker in workers))
        await asyncio.gather(*(worker.settle() for worker in workers))
    assert house.platform.total == sum(range(1, 21))
    assert set(house.platform.created.values()) == {1}
    orders = [item.order_id for batch in house.platform.batches for item in batch.items]
    assert len(orders) == len(set(orders)) == 20
    assert max(len(batch.items) for batch in house.platform.batches) == 3


async def test_an_answer_that_comes_too_late_changes_nothing(make_house: Any) -> None:
    house = await make_house()
    call = await house.sealed("100")
    async with house.database.connection() as connection:
        await store.queue(connection, 10)
        first = await store.claim(connection, [house.platform], seconds=60)
        await house.ends()
        second = await store.claim(connection, [house.platform], seconds=60)
        assert first.batch.id == second.batch.id
        assert (first.batch.attempts, second.batch.attempts) == (1, 2)
        assert not await store.finish(connection, first.batch, "cancelled")
        assert (await house.row(call))["state"] == "sent"
        answer = await house.platform.send(second.batch, None)
        assert await store.finish(connection, second.batch, "done", outcomes=answer.outcomes)
        assert not await store.finish(connection, second.batch, "done", outcomes=answer.outcomes)
    assert (await house.row(call))["state"] == "accepted"


@pytest.mark.parametrize("why", [Why.NOT_CONNECTED, Why.SETUP])
async def test_what_somebody_has_to_put_right_stops_the_site_alone(make_house: Any, why: Why) -> None:
    house = await make_house()
    house.platform.before = [Trouble(why, "revoked", "Token has been expired or revoked.")]
    call = await house.sealed("100")
    await house.work()
    await house.ends()
    await house.work()
    assert len(house.platform.batches) == 1
    async with house.database.as_person(await house.keeper()) as (connection, _):
        found = await store.route(connection, house.desk.site_id)
    assert found is not None
    assert found.trouble == "revoked"
    assert (await house.row(call))["state"] == "queued"
    await house.route()
    await house.ends()
    await house.work()
    assert house.platform.total == 100


async def test_the_sites_switch_holds_everything(make_house: Any) -> None:
    house = await make_house()
    await house.route(is_on=False)
    call = await house.sealed("100")
    await house.work()
    assert (house.platform.batches, (await house.row(call))["state"]) == ([], "queued")
    async with house.database.as_person(await house.keeper(), write=True) as (connection, _):
        await store.switch_route(connection, house.desk.site_id, is_on=True)
    await house.work()
    assert house.platform.total == 100


async def test_the_installations_switch_holds_a_provider(make_house: Any) -> None:
    house = await make_house()
    platform = Asker(house.desk.people["platform_admin"], roles_with(Capability.PLATFORM))
    async with house.database.as_person(platform, write=True) as (connection, _):
        await store.switch_provider(connection, "google", is_on=False)
    await house.sealed("100")
    await house.work()
    assert house.platform.batches == []
    async with house.database.as_person(platform, write=True) as (connection, _):
        await store.switch_provider(connection, "google", is_on=True)
    await house.work()
    assert house.platform.total == 100


async def test_a_provider_that_does_not_answer_is_left_alone(make_house: Any) -> None:
    house = await make_house(Platform(most=1))
    for _ in range(CIRCUIT_FAILURES + 3):
        await house.sealed("1")
    house.platform.before = [unsure() for _ in range(100)]
    await house.work()
    tried = len(house.platform.batches)
    assert (
        CIRCUIT_FAILURES <= tried < CIRCUIT_FAILURES + 4
    )  # those under way when the circuit opened were on their way
    async with house.database.connection() as connection:
        [circuit] = await store.providers(connection)
    assert circuit.failures == tried
    house.platform.before = []
    for _ in range(3):
        await house.ends()
        await house.work()
    assert house.platform.total == CIRCUIT_FAILURES + 3
    assert set(house.platform.created.values()) == {1}


async def test_a_site_without_a_route_queues_and_sends_nothing(make_house: Any) -> None:
    house = await make_house()
    await house.desk.owner.execute("DELETE FROM conversion_routes WHERE site_id = $1", house.desk.site_id)
    call = await house.sealed()
    await house.work()
    assert (await house.row(call))["state"] == "queued"


async def test_a_platform_that_finds_people_otherwise_takes_leads_without_a_click(make_house: Any) -> None:
    house = await make_house()
    house.platform.name = "webhook"
    house.platform.needs_click = False
    house.sending = Sending(house.database, [house.platform], lambda claimed: None)  # type: ignore[arg-type, return-value]
    await house.route("webhook")
    call = await house.sealed("100", visit={"gclid": None})
    await house.work()
    assert ((await house.row(call))["state"], (await house.row(call))["click_id"]) == ("accepted", None)


async def test_another_way_waits_until_nothing_is_under_way(make_house: Any) -> None:
    house = await make_house()
    house.platform.after = [unsure()]
    call = await house.sealed("50")
    await house.work()
    with pytest.raises(Conflict):
        await house.route("file")
    await house.ends()
    await house.work()
    await house.route("file")
    # What went there is taken back there; by a file it cannot be, so it stays owed and is shown so.
    await house.desk.decide(call, "junk")
    await house.work()
    assert await house.owed() == ["retract"]
    assert len(house.platform.batches) == 2


async def test_what_the_first_generation_sent_is_nothing_that_we_can_put_right(make_house: Any) -> None:
    house = await make_house()
    call = await house.sealed("50")
    await house.desk.owner.execute(
        "UPDATE conversions SET state = 'accepted', next_at = NULL, consent_at = due_at WHERE call_id = $1",
        call,
    )
    await house.desk.decide(call, "junk")
    await house.work()
    assert (house.platform.batches, await house.owed()) == ([], [])


async def test_a_batch_whose_conversions_were_erased_is_over(make_house: Any) -> None:
    house = await make_house()
    house.platform.after = [unsure()]
    call = await house.sealed("50")
    await house.work()
    await house.desk.owner.execute(
        "SELECT erase_calls($1, gen_random_uuid(), ARRAY[$2::uuid])", house.desk.site_id, call
    )
    await house.ends()
    await house.work()
    assert await house.batches() == [("new", "done")]
    assert len(house.platform.batches) == 1


async def test_sites_take_turns(make_house: Any) -> None:
    """A site with much to send does not keep the others waiting."""
    flood = await make_house(Platform(most=1))
    small = await make_house(flood.platform)
    await flood.route()
    for _ in range(6):
        await flood.sealed("1")
    await small.sealed("1000")
    async with flood.database.connection() as connection:
        while await store.queue(connection, 500):
            pass
        for _ in range(2):
            await store.claim(connection, [flood.platform], seconds=60)
    assert await flood.batches() == await small.batches() == [("new", "open")]
