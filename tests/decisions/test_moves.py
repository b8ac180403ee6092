"""Every act on every status, through the database: what is a move is done and told whole, what is none changes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from opsmantik.decisions.plan import FIELDS
from opsmantik.errors import MergedTap, MoveRefused, NotFound, Unprocessable
from opsmantik.intents.status import SEALED, WAITING, Action, Status, after

pytestmark = pytest.mark.slow

ASKED: dict[str, dict[str, Any]] = {
    "seal": {"amount": Decimal("10.50")}, "quality": {"quality": 40}, "stage": {"stage": "won"},
    "sale": {"amount": Decimal(7)}, "note": {"note": "called back"},
}  # fmt: skip
EVERY = [(status, action) for status in Status for action in FIELDS]


@pytest.mark.parametrize(("status", "action"), EVERY)
async def test_an_act_is_a_move_or_is_refused(make_desk: Any, status: Status, action: Action) -> None:
    desk = await make_desk()
    call = await desk.lead(status=status)
    before = await desk.picture(call)
    wanted = after(status, action)
    if wanted is None:
        with pytest.raises(MoveRefused, match=f"This lead is {status}, so it cannot be"):
            await desk.decide(call, action, version=1, **ASKED.get(action, {}))
        assert (await desk.picture(call), await desk.log(call), await desk.ledger(call)) == (before, [], [])
        assert (await desk.row(call))["version"] == 1
    else:
        done = await desk.decide(call, action, version=1, **ASKED.get(action, {}))
        row, (line,), ledger = await desk.row(call), await desk.log(call), await desk.ledger(call)
        assert (done.status, done.version, row["status"], row["version"]) == (wanted, 2, wanted, 2)
        assert (line["id"], line["action"], line["from_status"], line["to_status"], line["version"]) == (
            done.action_id, action, status, wanted, 2,
        )  # fmt: skip
        assert (line["actor"], line["actor_kind"], line["at"]) == (desk.people["operator"], "person", done.at)
        assert row["updated_at"] == done.at
        if wanted != status:
            decided = wanted not in WAITING
            assert row["confirmed_at"] == (done.at if decided else None)
            assert row["confirmed_by"] == (desk.people["operator"] if decided else None)
        assert len(ledger) == (wanted in SEALED and status not in SEALED)
    assert await desk.miscounted() == []


async def test_the_site_s_number_grows_with_each_decision(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    first = await desk.decide(call, "pend")
    second = await desk.decide(call, "seal")
    assert second.sequence == first.sequence + 1
    async with desk.database.as_person(desk.people["analyst"]) as (connection, _):
        state = await connection.fetchval("SELECT sequence FROM site_state WHERE site_id = $1", desk.site_id)
    assert state == second.sequence


async def test_a_seal_carries_all_that_the_operator_said(make_desk: Any) -> None:
    desk = await make_desk(currency="EUR")
    call = await desk.lead()
    done = await desk.decide(
        call,
        "seal",
        version=1,
        amount=Decimal("1250.50"),
        quality=80,
        note="  wants a crane\n",
        stage="offered",
    )
    row = await desk.row(call)
    assert (str(row["sale_amount"]), row["currency"], row["quality"], row["note"], row["stage"]) == (
        "1250.50", "EUR", 80, "wants a crane", "offered",
    )  # fmt: skip
    assert row["is_automatic"] is False
    (line,) = await desk.log(call)
    assert line["note"] == "wants a crane"
    assert line["before"] == {
        "status": "intent", "confirmed_at": None, "confirmed_by": None, "sale_amount": None, "currency": "TRY",
        "quality": None, "note": None, "stage": None,
    }  # fmt: skip
    assert done.opened is not None and done.opened.state == "held"


async def test_junk_says_why_and_a_sale_ends_with_the_seal(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    with pytest.raises(Unprocessable, match="say why"):
        await desk.decide(call, "junk", reason=" ")
    await desk.decide(call, "seal", amount=Decimal(900), stage="won")
    await desk.decide(call, "junk", reason="job_seeker")
    row = await desk.row(call)
    assert (row["junk_reason"], row["sale_amount"], row["stage"], row["sale_at"]) == (
        "job_seeker",
        None,
        None,
        None,
    )
    await desk.decide(call, "restore")
    assert (await desk.row(call))["junk_reason"] is None
    assert await desk.miscounted() == []


async def test_an_act_named_after_a_field_replaces_it_and_none_clears_it(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "seal", amount=Decimal(100), currency="usd", quality=20, note="first")
    await desk.decide(call, "sale", amount=Decimal(120))
    await desk.decide(call, "note", note="second")
    row = await desk.row(call)
    assert (row["sale_amount"], row["currency"], row["note"], row["quality"]) == (120, "USD", "second", 20)
    for act in ("sale", "note", "quality", "stage"):
        await desk.decide(call, act)
    row = await desk.row(call)
    assert (row["sale_amount"], row["note"], row["quality"], row["stage"]) == (None, None, None, None)
    assert row["status"] == "sealed" and row["confirmed_by"] == desk.people["operator"]
    assert await desk.miscounted() == []


async def test_a_repeated_tap_is_no_lead_and_names_the_one_that_it_is_of(make_desk: Any) -> None:
    desk = await make_desk()
    lead = await desk.lead()
    tap = await desk.lead(merged_into=lead)
    for act in (desk.decide(tap, "seal"), desk.undo(tap)):
        with pytest.raises(MergedTap, match=str(lead)):
            await act
    assert (await desk.row(tap))["version"] == 1


async def test_what_is_not_there_cannot_be_decided(make_desk: Any) -> None:
    desk = await make_desk()
    elsewhere = await (await make_desk()).lead()
    for call in (elsewhere, desk.site_id):
        with pytest.raises(NotFound, match="lead"):
            await desk.decide(call, "seal")


async def test_nobody_asks_for_what_the_platform_answers(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead(status="sealed")
    for action in ("convert", "undo"):
        with pytest.raises(Unprocessable, match=f"nobody can ask for {action}"):
            await desk.decide(call, action)
