"""What is taken back leaves the lead as it was, to the last digit; the log keeps both, the ledger knows what was sent."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.conversions.ledger import WEIGHTS
from opsmantik.errors import Conflict, MoveRefused, OpsMantikError
from opsmantik.intents.status import MOVES, SEALED, Action, Status

pytestmark = pytest.mark.slow

RICH = {
    "sale_amount": Decimal("1250.50"), "currency": "EUR", "note": "önce\narandı", "quality": 60, "stage": "offered",
    "confirmed_at": datetime(2026, 11, 1, 12, 0, 0, 123456, UTC), "sale_at": datetime(2026, 11, 1, 11, 59, 59, 7, UTC),
    "suspicion": ["burst", "known_bot"], "is_automatic": True, "junk_reason": "spam",
}  # fmt: skip
FIELDS: dict[str, dict[str, Any]] = {
    "seal": {"amount": Decimal("99.9"), "currency": "USD", "quality": 100, "note": "n", "stage": "won"},
    "sale": {"amount": Decimal("1250.5")},  # equal, and yet not what it was
    "stage": {}, "quality": {"quality": 0}, "note": {"note": "other"},
    "junk": {"reason": "supplier", "quality": 20}, "suspect": {"note": "odd"},
}  # fmt: skip
ROUND_TRIPS = [
    (status, action)
    for action in Action
    if action not in (Action.UNDO, Action.CONVERT)
    for status in MOVES[action]
]


@pytest.mark.parametrize(("status", "action"), ROUND_TRIPS)
async def test_an_undo_leaves_the_lead_as_it_was(make_desk: Any, status: Status, action: Action) -> None:
    desk = await make_desk()
    call = await desk.lead(status=status, confirmed_by=desk.people["owner"], **RICH)
    before = await desk.picture(call)
    done = await desk.decide(call, action, version=1, **FIELDS.get(action, {}))
    assert await desk.picture(call) != before or action is Action.PEND
    back = await desk.undo(call, by="admin", version=done.version)
    assert await desk.picture(call) == before
    assert (back.version, back.status, back.action, back.undone) == (3, status, "undo", action)
    first, second = await desk.log(call)
    assert (second["undoes"], second["action"], second["actor"]) == (
        first["id"],
        "undo",
        desk.people["admin"],
    )
    assert (second["from_status"], second["to_status"]) == (first["to_status"], first["from_status"])
    assert await desk.miscounted() == []


async def test_only_the_latest_decision_is_undone_and_an_undo_is_not(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    with pytest.raises(MoveRefused, match="cannot be undone: nobody has decided about it"):
        await desk.undo(call)
    await desk.decide(call, "pend")
    await desk.decide(call, "seal")
    assert (await desk.undo(call)).undone == "seal"
    for version in (None, 4):
        with pytest.raises(MoveRefused, match="its latest decision has been taken back"):
            await desk.undo(call, version=version)
    assert (await desk.row(call))["status"] == "pending"
    await desk.decide(call, "junk")
    assert (await desk.undo(call)).undone == "junk", "a new decision can be undone again"


async def test_junk_is_restored_and_waits_again(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead(status="pending")
    before = await desk.picture(call)
    await desk.decide(call, "junk")
    await desk.decide(call, "restore", by="admin")
    assert await desk.picture(call) == before
    assert [line["action"] for line in await desk.log(call)] == ["junk", "restore"]


SENT = {
    "held": "undone", "queued": "undone", "failed": "undone", "skipped": "undone",
    "sent": "undone_after_sending", "accepted": "undone_after_sending", "matched": "undone_after_sending",
}  # fmt: skip


@pytest.mark.parametrize(("state", "reason"), SENT.items())
async def test_an_undone_seal_takes_its_conversion_back(make_desk: Any, state: str, reason: str) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "seal", amount=Decimal(5))
    await desk.owner.execute(
        "UPDATE conversions SET state = $2, reason = 'x', consent_at = due_at WHERE call_id = $1 AND site_id = $3",
        call,
        state,
        desk.site_id,
    )
    await desk.owner.execute("SELECT rebuild_counters($1)", desk.site_id)
    await desk.undo(call)
    (row,) = await desk.ledger(call)
    assert (row["state"], row["reason"], row["value"]) == ("retracted", reason, 5)
    assert (await desk.moves(call))[-1] == (state, "retracted", reason)
    assert await desk.miscounted() == []


ENDS = {"junk": "junked", "suspect": "suspected", "restore": "restored"}


@pytest.mark.parametrize(("action", "reason"), ENDS.items())
async def test_whatever_ends_a_seal_takes_its_conversion_back(
    make_desk: Any, action: str, reason: str
) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "seal")
    await desk.decide(call, action)
    (row,) = await desk.ledger(call)
    assert (row["state"], row["reason"]) == ("retracted", reason)
    # Taken back in turn, the lead is sealed again, and is reported anew under an order id of its own.
    await desk.undo(call)
    first, second = await desk.ledger(call)
    assert (first["state"], second["state"]) == ("retracted", "held")
    assert (first["order_id"], second["order_id"]) == (f"om-{call.hex}-1", f"om-{call.hex}-2")
    assert await desk.miscounted() == []


async def test_a_seal_that_the_platform_has_taken_can_be_undone(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    before = await desk.picture(call)
    await desk.decide(call, "seal", amount=Decimal("5.00"))
    # What the sender of conversions will write.
    await desk.owner.execute("UPDATE calls SET status = 'conversion', version = 3 WHERE id = $1", call)
    await desk.owner.execute(
        "UPDATE conversions SET state = 'accepted', consent_at = due_at WHERE call_id = $1", call
    )
    await desk.owner.execute(
        "INSERT INTO intent_actions (site_id, id, call_id, actor_kind, action, from_status, to_status, version, before)"
        " VALUES ($1, $2, $3, 'rule', 'convert', 'sealed', 'conversion', 3, $4)",
        desk.site_id, uuid4(), call, {"status": "sealed"},
    )  # fmt: skip
    await desk.owner.execute("SELECT rebuild_counters($1)", desk.site_id)
    with pytest.raises(Conflict, match="a rule of this site recorded that the ad platform took this lead"):
        await desk.undo(call, version=2)
    assert (await desk.undo(call, version=3)).undone == "seal"
    assert await desk.picture(call) == before
    assert (await desk.ledger(call))[0]["reason"] == "undone_after_sending"
    assert await desk.miscounted() == []


async def test_an_undo_brings_back_a_decision_of_somebody_who_has_left(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "seal", by="admin")
    await desk.decide(call, "junk")
    await desk.owner.execute("DELETE FROM users WHERE id = $1", desk.people["admin"])
    await desk.undo(call)
    row = await desk.row(call)
    assert (row["status"], row["confirmed_by"]) == ("sealed", None) and row["confirmed_at"] is not None


@pytest.mark.parametrize("seed", range(6))
async def test_after_any_sequence_of_acts_books_and_ledger_agree(make_desk: Any, seed: int) -> None:
    rng = random.Random(seed)
    desk = await make_desk()
    calls = [await desk.lead() for _ in range(2)]
    acts = [*FIELDS, "pend", "restore", "undo", "undo", "seal"]
    pictures = {call: [await desk.picture(call)] for call in calls}
    for _ in range(40):
        call, act = rng.choice(calls), rng.choice(acts)
        fields = {
            name: rng.choice([value, None]) for name, value in FIELDS.get(act, {}).items() if name != "reason"
        }
        try:
            if act == "undo":
                await desk.undo(call)
                assert await desk.picture(call) == pictures[call][-2]
            else:
                await desk.decide(call, act, **fields)
        except OpsMantikError as refused:
            assert refused.status == 409
            assert await desk.picture(call) == pictures[call][-1]
        else:
            pictures[call].append(await desk.picture(call))
        row, ledger = await desk.row(call), await desk.ledger(call)
        live = [conversion for conversion in ledger if conversion["state"] != "retracted"]
        assert len(live) == (row["status"] in SEALED)
        for conversion in live:
            worth = row["sale_amount"] if row["sale_amount"] is not None else WEIGHTS[row["stage"]]
            assert (conversion["value"], conversion["currency"]) == (worth, row["currency"])
        assert row["version"] == 1 + len(await desk.log(call))
    assert await desk.miscounted() == []


async def test_the_time_of_a_decision_is_the_database_s(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    done = await desk.decide(call, "seal")
    now = await desk.owner.fetchval("SELECT now()")
    assert timedelta(0) <= now - done.at < timedelta(seconds=10)
