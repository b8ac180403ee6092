"""A site's own rules: whom they find, what they leave behind, and that they get in nobody's way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.cli.jobs import JOBS
from opsmantik.db.connect import prepare_connection
from opsmantik.decisions import auto, store
from opsmantik.errors import Conflict, Unprocessable
from opsmantik.upkeep import runner

pytestmark = pytest.mark.slow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

# A lead of 25 hours, as the rule wants it, but for one thing; and whether it is still found.
CANDIDATES: dict[str, tuple[dict[str, Any], dict[str, Any] | bool, bool]] = {
    "as it should be": ({}, {}, True),
    "in hand": ({"status": "pending"}, {}, True),
    "exactly ten seconds and two events": ({}, {"total_duration_sec": 10, "event_count": 2}, True),
    "a glance": ({}, {"total_duration_sec": 9}, False),
    "one event": ({}, {"event_count": 1}, False),
    "not paid for": ({}, {"is_paid": False}, False),
    "without a click id": ({}, {"gclid": None}, False),
    "without a visit": ({}, False, False),
    "too fresh": ({"age": 23 * HOUR}, {}, False),
    "sealed": ({"status": "sealed"}, {}, False),
    "junk": ({"status": "junk"}, {}, False),
    "suspicious": ({"status": "suspicious"}, {}, False),
    "waiting, and yet doubted": ({"suspicion": ["burst"]}, {}, False),
    "doubted by no rule": ({"suspicion": []}, {}, True),
    "a form": ({"source": "form", "intent_action": "form", "intent_target": "form:x"}, {}, False),
    "reported by telephone": ({"source": "api", "intent_action": None}, {}, False),
}


@pytest_asyncio.fixture(loop_scope="session")
async def upkeep(database: Any) -> Any:
    """The owner's connection as jobs have it."""
    connection = await asyncpg.connect(database.owner)
    await prepare_connection(connection)
    yield connection
    await connection.close()


async def approve(desk: Any, **asked: Any) -> auto.Swept:
    return await auto.approve(desk.database, desk.people["operator"], desk.site_id, **asked)


@pytest.mark.parametrize(("lead", "visit", "found"), CANDIDATES.values(), ids=CANDIDATES.keys())
async def test_whom_auto_approve_finds(make_desk: Any, lead: Any, visit: Any, found: bool) -> None:
    desk = await make_desk(auto_approve_hours=24)
    call = await desk.lead(visit=visit, **{"age": 25 * HOUR} | lead)
    before = await desk.picture(call)
    seen = await approve(desk, preview=True)
    assert (seen.calls, seen.preview, seen.sequence) == ((call,) if found else (), True, None)
    assert (await desk.picture(call), await desk.log(call)) == (before, [])
    done = await approve(desk)
    assert (done.calls, done.after, done.preview) == (seen.calls, 24, False)
    assert (await desk.picture(call) != before) is found
    assert await desk.miscounted() == []


async def test_a_repeated_tap_is_not_approved(make_desk: Any) -> None:
    desk = await make_desk(auto_approve_hours=24)
    lead = await desk.lead(age=30 * HOUR, status="sealed")
    await desk.lead(age=29 * HOUR, merged_into=lead)
    assert (await approve(desk)).calls == ()


async def test_an_approved_lead_says_that_a_rule_did_it(make_desk: Any) -> None:
    desk = await make_desk(auto_approve_hours=24)
    plain, noted = await desk.lead(age=26 * HOUR), await desk.lead(age=25 * HOUR, note="mine")
    done = await approve(desk)
    assert done.calls == (plain, noted), "oldest first"
    words = "auto-approved after 24 h (low risk)"
    for call, note in ((plain, words), (noted, "mine")):
        row, (line,), (conversion,) = await desk.row(call), await desk.log(call), await desk.ledger(call)
        assert (row["status"], row["is_automatic"], row["confirmed_by"], row["note"]) == (
            "sealed",
            True,
            None,
            note,
        )
        assert row["confirmed_at"] is not None
        assert (line["action"], line["actor_kind"], line["note"]) == ("seal", "rule", words)
        assert line["actor"] == desk.people["operator"], "who set the rule going"
        assert (conversion["state"], conversion["reason"], conversion["value"]) == (
            "held",
            "stage_weight",
            10,
        )
    assert await desk.miscounted() == []
    async with desk.database.as_person(desk.people["analyst"]) as (connection, _):
        assert await store.sequence(connection, desk.site_id) == done.sequence
    again = await approve(desk)
    assert (again.calls, again.sequence) == ((), None)


async def test_what_a_person_took_back_no_rule_approves_again(make_desk: Any) -> None:
    desk = await make_desk(auto_approve_hours=24)
    call = await desk.lead(age=25 * HOUR)
    before = await desk.picture(call)
    await approve(desk)
    await desk.undo(call)
    assert await desk.picture(call) == before
    assert (await approve(desk)).calls == () and (await approve(desk, preview=True)).calls == ()


async def test_auto_approve_is_off_until_somebody_switches_it_on_but_can_be_looked_at(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead(age=25 * HOUR)
    assert (await approve(desk, preview=True)).calls == (call,)
    with pytest.raises(Unprocessable, match="auto-approve is off"):
        await approve(desk)
    await desk.owner.execute("UPDATE sites SET auto_junk_days = NULL WHERE id = $1", desk.site_id)
    with pytest.raises(Unprocessable, match="auto-junk is off"):
        await auto.junk(desk.database, desk.people["owner"], desk.site_id, preview=True)
    assert (await desk.row(call))["status"] == "intent"


AGES = [
    (24, None, False, 24), (24, 48, False, 48), (24, 1, False, 24), (24, 1, True, 1), (None, None, True, 24),
    (24, 0, True, 1), (24, 999, True, 168), (24, 999, False, 168),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "asked", "preview", "used"), AGES)
async def test_nobody_may_ask_for_younger_leads_than_the_site_allows(
    make_desk: Any, setting: int | None, asked: int | None, preview: bool, used: int
) -> None:
    desk = await make_desk(auto_approve_hours=setting)
    older = await desk.lead(age=used * HOUR + timedelta(minutes=1))
    await desk.lead(age=used * HOUR - timedelta(minutes=1))
    swept = await approve(desk, hours=asked, preview=preview)
    assert (swept.after, swept.calls) == (used, (older,))


async def test_the_limit_takes_the_oldest_and_is_bounded(make_desk: Any) -> None:
    desk = await make_desk(auto_approve_hours=1)
    calls = [await desk.lead(age=n * HOUR) for n in (5, 4, 3, 2)]
    assert (await approve(desk, limit=0, preview=True)).calls == (calls[0],)
    assert (await approve(desk, limit=10_000, preview=True)).calls == tuple(calls)
    assert auto._bounded(10_000) == 500
    assert (await approve(desk, limit=3)).calls == tuple(calls[:3])
    assert (await approve(desk, limit=3)).calls == (calls[3],)


# A lead of ninety-one days, what was done to it how many days ago, and whether it is junk then.
UNTOUCHED: dict[str, tuple[dict[str, Any], int | None, bool]] = {
    "never touched": ({}, None, True),
    "in hand for ninety-one days": ({"status": "pending"}, 91, True),
    "in hand since yesterday": ({"status": "pending"}, 1, False),
    "a form": ({"source": "form", "intent_action": "form", "intent_target": "form:x"}, None, True),
    "reported by telephone": ({"source": "api", "intent_action": None}, None, True),
    "eighty-nine days old": ({"age": 89 * DAY}, None, False),
    "sealed": ({"status": "sealed"}, None, False),
    "suspicious": ({"status": "suspicious"}, None, False),
}


@pytest.mark.parametrize(("lead", "touched", "found"), UNTOUCHED.values(), ids=UNTOUCHED.keys())
async def test_what_nobody_touched_in_ninety_days_is_junk(
    make_desk: Any, lead: Any, touched: int | None, found: bool
) -> None:
    desk = await make_desk()
    call = await desk.lead(**{"age": 91 * DAY} | lead)
    if touched is not None:
        await desk.decide(call, "note", note="x")
        await desk.owner.execute(
            "UPDATE intent_actions SET at = at - make_interval(days => $2) WHERE call_id = $1", call, touched
        )
    before = await desk.picture(call)
    assert (await auto.junk(desk.database, desk.people["owner"], desk.site_id, preview=True)).calls == (
        (call,) if found else ()
    )
    assert await desk.picture(call) == before
    swept = await auto.junk(desk.database, desk.people["owner"], desk.site_id)
    assert (swept.calls, swept.after) == ((call,) if found else (), 90)
    row = await desk.row(call)
    if found:
        reason = "nobody decided within 90 days"
        assert (row["status"], row["is_automatic"], row["junk_reason"]) == ("junk", True, reason)
        assert (await desk.log(call))[-1]["actor_kind"] == "rule"
        await desk.undo(call)
        assert await desk.picture(call) == before
        again = await auto.junk(desk.database, desk.people["owner"], desk.site_id)
        assert again.calls == (), "who took it back has touched it"
    else:
        assert await desk.picture(call) == before
    assert await desk.miscounted() == []


async def test_a_lead_that_somebody_is_deciding_is_passed_over_and_not_waited_for(make_desk: Any) -> None:
    desk = await make_desk(auto_approve_hours=1)
    held, free = await desk.lead(age=3 * HOUR), await desk.lead(age=2 * HOUR)
    async with desk.database.as_person(desk.people["admin"], write=True) as (connection, _):
        await store.cases(connection, desk.site_id, [held], lock=True)
        async with asyncio.timeout(3):
            assert (await approve(desk)).calls == (free,)
    assert (await approve(desk)).calls == (held,)


async def test_an_operator_who_comes_while_the_rule_decides_hears_of_it(make_desk: Any, upkeep: Any) -> None:
    desk = await make_desk(auto_approve_hours=1)
    call = await desk.lead(age=3 * HOUR)
    async with upkeep.transaction():
        await auto._approve(upkeep, desk.site_id, 1, 10, False)
        waiting = asyncio.create_task(desk.decide(call, "junk", version=1))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    with pytest.raises(Conflict, match="a rule of this site sealed this lead"):
        await waiting


async def test_two_runs_at_once_decide_each_lead_once(make_desk: Any) -> None:
    desk = await make_desk(auto_approve_hours=1)
    calls = {await desk.lead(age=n * HOUR) for n in range(2, 14)}
    runs = await asyncio.gather(*(approve(desk) for _ in range(4)))
    done: list[UUID] = [call for run in runs for call in run.calls]
    assert sorted(done) == sorted(calls)
    for call in calls:
        assert len(await desk.log(call)) == 1 and len(await desk.ledger(call)) == 1
    assert await desk.miscounted() == []


async def test_the_jobs_go_through_the_sites_that_want_it(
    make_desk: Any, upkeep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "DEFAULT_MOST", 2)  # several batches
    willing = await make_desk(auto_approve_hours=24, auto_junk_days=None)
    others = [await make_desk(), await make_desk(auto_approve_hours=24, disabled_at=datetime.now(UTC))]
    stale = [await willing.lead(age=n * HOUR) for n in (25, 26, 27, 28, 29)]
    ancient = await willing.lead(age=100 * DAY, visit=False)
    theirs = [await desk.lead(age=25 * HOUR) for desk in others]
    old = await others[0].lead(age=100 * DAY, visit=False)

    approved = await auto.approve_all(upkeep)
    assert (
        approved[str(willing.site_id)] == 5 and not {str(desk.site_id) for desk in others} & approved.keys()
    )
    assert {(await willing.row(call))["status"] for call in stale} == {"sealed"}
    assert {(await willing.log(call))[0]["actor"] for call in stale} == {None}
    assert {(await desk.row(call))["status"] for desk, call in zip(others, theirs, strict=True)} == {"intent"}
    junked = await auto.junk_all(upkeep)
    assert junked[str(others[0].site_id)] == 1 and str(willing.site_id) not in junked
    assert (await willing.row(ancient))["status"] == "intent" and (await others[0].row(old))[
        "status"
    ] == "junk"
    assert (await auto.approve_all(upkeep), await auto.junk_all(upkeep)) == ({}, {})
    for desk in (willing, *others):
        assert await desk.miscounted() == []


async def test_the_server_runs_them_as_jobs(make_desk: Any, database: Any) -> None:
    desk = await make_desk(auto_approve_hours=24)
    stale, untouched = await desk.lead(age=25 * HOUR), await desk.lead(age=91 * DAY, visit=False)
    jobs = {job.name: job for job in JOBS}
    for name in ("auto_approve", "auto_junk"):
        run = await runner.run_job(database.owner, jobs[name])
        assert (run.outcome, run.detail[str(desk.site_id)]) == ("ok", 1)
        assert (await runner.run_job(database.owner, jobs[name])).detail == {}
    assert (await desk.row(stale))["status"] == "sealed" and (await desk.row(untouched))["status"] == "junk"
