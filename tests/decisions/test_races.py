"""Two at once: one wins, the other is told who it was and what stands now."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opsmantik.decisions import store
from opsmantik.decisions.case import Decision
from opsmantik.decisions.decide import asker_on
from opsmantik.decisions.plan import plan
from opsmantik.errors import Conflict
from opsmantik.intents.status import Action


async def both(*acts: Any) -> tuple[list[Any], list[BaseException]]:
    done = await asyncio.gather(*acts, return_exceptions=True)
    return [d for d in done if not isinstance(d, BaseException)], [
        d for d in done if isinstance(d, BaseException)
    ]


@pytest.mark.parametrize("turn", range(8))
async def test_of_two_operators_one_wins_and_the_other_hears_who(make_desk: Any, turn: int) -> None:
    desk = await make_desk()
    call = await desk.lead()
    won, lost = await both(
        desk.decide(call, "seal", by="operator", version=1), desk.decide(call, "junk", by="admin", version=1)
    )
    (winner,), (loser,) = won, lost
    assert isinstance(loser, Conflict)
    (line,) = await desk.log(call)
    name = {desk.people["operator"]: "Operator", desk.people["admin"]: "Admin"}[line["actor"]]
    verb = {"seal": "sealed this lead", "junk": "marked this lead as junk"}[winner.action]
    assert f"Somebody else was faster: {name} {verb} at {winner.at:%Y-%m-%d %H:%M:%S} UTC." == loser.message
    assert (loser.details["version"], loser.details["status"]) == (2, winner.status)
    assert (loser.details["actor"], loser.details["action"]) == (line["actor"], line["action"])
    assert (await desk.row(call))["version"] == 2 and await desk.miscounted() == []


async def test_who_waits_for_the_row_sees_the_winner_s_work_once_it_is_committed(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    user = desk.people["admin"]
    async with desk.database.as_person(user, write=True) as (connection, person):
        (case,) = await store.cases(connection, desk.site_id, [call], lock=True)
        waiting = asyncio.create_task(desk.decide(call, "seal", version=1))
        await asyncio.sleep(0.3)
        assert not waiting.done(), "the lock holds the second one up"
        asker = await asker_on(connection, person, desk.site_id)
        made = plan(case, Decision(action=Action.JUNK, reason="spam"), asker)
        assert (await store.write(connection, desk.site_id, case, made))[1] == 2
    with pytest.raises(Conflict, match="Admin marked this lead as junk"):
        await waiting
    assert len(await desk.log(call)) == 1 and await desk.ledger(call) == []


async def test_a_writer_without_the_lock_is_held_to_the_version_all_the_same(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    user = desk.people["admin"]
    async with desk.database.as_person(user, write=True) as (connection, person):
        (case,) = await store.cases(connection, desk.site_id, [call], lock=False)
        asker = await asker_on(connection, person, desk.site_id)
        made = plan(case, Decision(action=Action.SEAL), asker)
        await desk.decide(call, "junk")
        assert (await store.write(connection, desk.site_id, case, made))[1] is None
    assert [line["action"] for line in await desk.log(call)] == ["junk"] and await desk.ledger(call) == []
    assert await desk.miscounted() == []


async def test_an_old_version_loses_also_against_oneself_and_against_an_undo(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "seal", version=1)
    with pytest.raises(Conflict, match="Operator sealed this lead"):
        await desk.decide(call, "seal", version=1)
    with pytest.raises(Conflict):
        await desk.undo(call, version=1)
    await desk.undo(call, by="owner", version=2)
    with pytest.raises(Conflict, match=r"@example\.com took back the latest decision"):  # who has no name
        await desk.decide(call, "junk", version=2)


async def test_who_brings_no_version_decides_on_what_is_there_and_loses_to_a_decision(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "pend")
    await desk.decide(call, "seal")
    with pytest.raises(Conflict, match="Operator sealed this lead") as lost:
        await desk.decide(call, "seal", by="admin")
    assert (lost.value.details["version"], lost.value.details["status"]) == (3, "sealed")
    await desk.decide(call, "junk", by="admin")


async def test_two_undos_at_once_take_back_one_decision(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "note", note="a")
    await desk.decide(call, "seal")
    won, lost = await both(desk.undo(call, version=3), desk.undo(call, by="admin", version=3))
    assert len(won) == 1 and isinstance(lost[0], Conflict)
    assert [line["action"] for line in await desk.log(call)] == ["note", "seal", "undo"]
    assert (await desk.row(call))["note"] == "a"
