"""Who decides: a site's owner, administrators and operators, and nobody past the functions."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from msgspec import ValidationError

from opsmantik.decisions import auto, store
from opsmantik.decisions.case import Decision
from opsmantik.decisions.decide import decide
from opsmantik.errors import Forbidden, NotFound

MAY = {
    "owner": None, "admin": None, "operator": None, "platform_admin": None,
    "analyst": Forbidden, "stranger": NotFound, "neighbour": NotFound,
}  # fmt: skip


@pytest.mark.parametrize(("who", "error"), MAY.items())
async def test_who_may_decide_undo_and_set_the_rules_going(make_desk: Any, who: str, error: Any) -> None:
    desk = await make_desk(auto_approve_hours=1)
    call, other = await desk.lead(), await desk.lead()
    await desk.decide(other, "seal")
    acts = [
        lambda: desk.decide(call, "seal", by=who),
        lambda: desk.undo(other, by=who),
        lambda: auto.approve(desk.database, desk.people[who], desk.site_id),
        lambda: auto.approve(desk.database, desk.people[who], desk.site_id, preview=True),
        lambda: auto.junk(desk.database, desk.people[who], desk.site_id),
    ]
    for act in acts:
        if error is None:
            await act()
        else:
            with pytest.raises(error):
                await act()
    statuses = {(await desk.row(lead))["status"] for lead in (call, other)}
    assert statuses == ({"sealed", "intent"} if error is None else {"intent", "sealed"})
    assert (await desk.row(call))["status"] == ("sealed" if error is None else "intent")


async def test_roles_are_those_of_the_site_and_end_with_the_account(make_desk: Any) -> None:
    desk = await make_desk()
    roles = {}
    for who, user in desk.people.items():
        async with desk.database.as_person(user) as (connection, _):
            roles[who] = await store.role_on(connection, desk.site_id)
    assert roles == {
        "owner": "owner", "admin": "admin", "operator": "operator", "analyst": "analyst",
        "platform_admin": "platform_admin", "stranger": None, "neighbour": None,
    }  # fmt: skip
    await desk.owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", desk.people["admin"])
    with pytest.raises(NotFound):
        await desk.decide(await desk.lead(), "seal", by="admin")


async def test_a_lead_of_another_site_is_not_found_under_one_s_own(make_desk: Any) -> None:
    mine, theirs = await make_desk(), await make_desk()
    call = await theirs.lead()
    with pytest.raises(NotFound):
        await decide(mine.database, mine.people["owner"], mine.site_id, call, Decision(action="seal"))  # type: ignore[arg-type]
    assert (await theirs.row(call))["version"] == 1


DECIDE = "SELECT decide_intent($1, $2, 1, $3, 'person', 'seal', NULL, NULL, '{\"status\": \"sealed\"}', NULL)"
CASES = "SELECT * FROM lead_cases($1, ARRAY[$2::uuid], true)"
APPROVE = "SELECT leads_to_approve($1, '{intent}', 1, 0, 0, 10, true)"
JUNK = "SELECT leads_to_junk($1, '{intent}', 7, 10, true)"


@pytest.mark.parametrize("who", ["analyst", "stranger", "neighbour", None])
async def test_the_functions_check_for_themselves_who_asks(make_desk: Any, who: str | None) -> None:
    desk = await make_desk()
    call = await desk.lead()

    async def refused(statement: str, *values: Any) -> None:
        user = desk.people[who] if who else uuid4()
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="decides nothing on this site"):
            async with desk.database.as_person(user, write=True) as (connection, _):
                await connection.execute(statement, *values)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="decides nothing on this site"):
            async with desk.database.connection() as connection:
                await connection.execute(statement, *values)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="decides nothing on this site"):
            async with desk.database.as_sites([desk.site_id], write=True) as connection:  # a site, and nobody
                await connection.execute(statement, *values)

    await refused(DECIDE, desk.site_id, call, uuid4())
    await refused(CASES, desk.site_id, call)
    await refused(APPROVE, desk.site_id)
    await refused(JUNK, desk.site_id)
    assert (await desk.row(call))["status"] == "intent" and await desk.log(call) == []


async def test_a_person_decides_only_inside_what_their_transaction_sees_and_while_they_have_an_account(
    make_desk: Any,
) -> None:
    desk = await make_desk()
    call, operator = await desk.lead(), desk.people["operator"]

    async def attempt(sites: list[Any]) -> Any:
        async with desk.database.as_sites(sites, write=True) as connection:
            await connection.execute(f"SET LOCAL app.person = '{operator}'")
            return await connection.fetchval(DECIDE, desk.site_id, call, uuid4())

    assert await attempt([desk.site_id]) == 2
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt([])
    await desk.owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", operator)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt([desk.site_id])
    assert (await desk.row(call))["version"] == 2


async def test_a_person_s_own_site_does_not_open_another(make_desk: Any) -> None:
    mine, theirs = await make_desk(), await make_desk()
    call = await theirs.lead()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with mine.database.as_person(mine.people["owner"], write=True) as (connection, _):
            await connection.execute(DECIDE, theirs.site_id, call, uuid4())
    async with mine.database.as_person(mine.people["owner"], write=True) as (connection, _):
        assert await connection.fetchval(DECIDE, mine.site_id, call, uuid4()) is None
    assert (await theirs.row(call))["status"] == "intent"


async def test_a_decision_changes_its_own_columns_only(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead()
    for column in ("phone_number", "version", "site_id", "lead_score", "click_id"):
        with pytest.raises(asyncpg.CheckViolationError, match="its own columns only"):
            async with desk.database.as_person(desk.people["owner"], write=True) as (connection, _):
                await connection.execute(
                    "SELECT decide_intent($1, $2, 1, $3, 'person', 'note', NULL, NULL, $4, NULL)",
                    desk.site_id, call, uuid4(), {column: 1},
                )  # fmt: skip


PLAIN = (
    "UPDATE calls SET status = 'sealed'",
    "DELETE FROM calls",
    "INSERT INTO intent_actions (site_id) VALUES (gen_random_uuid())",
    "UPDATE intent_actions SET note = ''",
    "DELETE FROM intent_actions",
    "INSERT INTO conversions (site_id) VALUES (gen_random_uuid())",
    "UPDATE conversions SET state = 'sent'",
    "DELETE FROM conversions",
    "INSERT INTO conversion_moves (site_id) VALUES (gen_random_uuid())",
    "UPDATE conversion_moves SET reason = ''",
    "DELETE FROM conversion_moves",
    "UPDATE sites SET auto_approve_hours = 1",
    "INSERT INTO counter_journal (site_id) VALUES (gen_random_uuid())",
    "SELECT move_conversion(gen_random_uuid(), gen_random_uuid(), NULL)",
    "SELECT lock_waiting(gen_random_uuid(), '{}', '{}')",
    "SELECT decider(gen_random_uuid())",
)


@pytest.mark.parametrize("statement", PLAIN)
async def test_nobody_decides_by_plain_sql(make_desk: Any, statement: str) -> None:
    desk = await make_desk()
    call = await desk.lead()
    await desk.decide(call, "seal")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        async with desk.database.as_person(desk.people["owner"], write=True) as (connection, _):
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            await connection.execute(statement)


@pytest.mark.parametrize("table", ["intent_actions", "conversions", "conversion_moves"])
async def test_log_and_ledger_are_read_by_the_site_s_people_alone(make_desk: Any, table: str) -> None:
    desk = await make_desk()
    await desk.decide(await desk.lead(), "seal")
    rows = {}
    for who in ("analyst", "stranger", "neighbour"):
        async with desk.database.as_person(desk.people[who]) as (connection, _):
            rows[who] = await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE site_id = $1", desk.site_id
            )
    assert rows == {"analyst": 1, "stranger": 0, "neighbour": 0}


def test_a_decision_is_read_strictly() -> None:
    import msgspec

    read = msgspec.json.Decoder(Decision).decode
    decision = read(b'{"action":"seal","version":3,"amount":12.50,"currency":"TRY","stage":"won"}')
    assert (decision.action, decision.version, str(decision.amount), decision.stage) == (
        "seal",
        3,
        "12.50",
        "won",
    )
    for body in (
        b'{"action":"delete"}',
        b'{"action":"seal","stage":"lost"}',
        b'{"action":"seal","status":"junk"}',
        b"{}",
    ):
        with pytest.raises(ValidationError):
            read(body)
    with pytest.raises(ValueError, match="delete"):
        Decision(action="delete")  # type: ignore[arg-type]
