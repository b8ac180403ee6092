"""An operator's acts over HTTP: done, undone, refused, raced."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.shapes import check
from tests.web.world import Programs, World


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> tuple[Programs, World]:
    """An owner at their own site."""
    browser, user_id = await signed_in()
    return Programs(browser), await make_world(user_id)


def path(world: World, what: str = "decisions", lead: str = "waiting") -> str:
    return f"/api/v1/sites/{world.site.public_id}/intents/{world.ids[lead]}/{what}"


async def test_a_lead_is_sealed_and_the_seal_taken_back(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    seal = {"action": "seal", "version": 1, "amount": 1250.50, "note": "two days, 40 t"}
    sealed = await programs.post(path(world), seal)
    assert sealed.status_code == 200, sealed.text
    found = sealed.json()
    assert (found["action"], found["status"], found["version"]) == ("seal", "sealed", 2)
    assert found["opened"]["state"] == "held"
    check(found, "decided")
    shown = (await programs.get(f"/api/v1/sites/{world.site.id}/intents/{world.ids['waiting']}")).json()
    assert shown["intent"]["status"] == "sealed" and shown["intent"]["sale_amount"] == 1250.5
    back = await programs.post(path(world, "undo"), {"version": 2})
    assert (back.status_code, back.json()["status"], back.json()["undone"]) == (200, "intent", "seal")


async def test_of_two_at_once_one_wins_and_the_other_is_told_who(desk: tuple[Programs, World]) -> None:
    programs, world = desk
    answers = await asyncio.gather(
        programs.post(path(world), {"action": "seal", "version": 1}),
        programs.post(path(world), {"action": "junk", "version": 1, "reason": "spam"}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    problem = next(answer.json() for answer in answers if answer.status_code == 409)
    assert (problem["code"], problem["status"]) == ("conflict", 409)
    assert problem["conflict"]["version"] == 2 and problem["conflict"]["status"] in ("sealed", "junk")
    assert problem["conflict"]["actor"] == str(world.site.user_id)


REFUSED: list[tuple[str, dict[str, Any], int]] = [
    ("no such act", {"action": "sell"}, 400),
    ("a field that is none", {"action": "seal", "colour": "red"}, 400),
    ("junk without a reason", {"action": "junk"}, 422),
    ("less than nothing", {"action": "seal", "amount": -1}, 422),
    ("a sale before the tap", {"action": "seal", "sale_at": "2001-01-01T00:00:00Z"}, 422),
]


@pytest.mark.parametrize(
    ("body", "status"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    desk: tuple[Programs, World], body: dict[str, Any], status: int
) -> None:
    programs, world = desk
    answer = await programs.post(path(world), body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    assert answer.json()["detail"]
    row = await world.owner.fetchrow("SELECT status, version FROM calls WHERE id = $1", world.ids["waiting"])
    assert tuple(row) == ("intent", 1)


async def test_who_may_not(desk: tuple[Programs, World], signed_in: Any, make_world: Any) -> None:
    programs, world = desk
    browser, analyst = await signed_in()
    await world.member(analyst, "analyst")
    assert (await Programs(browser).post(path(world), {"action": "seal"})).status_code == 403
    browser, stranger = await signed_in()
    await make_world(stranger)
    assert (await Programs(browser).post(path(world), {"action": "seal"})).status_code == 404
    unknown = f"/api/v1/sites/{world.site.id}/intents/{uuid4()}/decisions"
    assert (await programs.post(unknown, {"action": "seal"})).status_code == 404
    assert (
        await programs.post(unknown.replace(unknown.split("/")[-2], "x"), {"action": "seal"})
    ).status_code == 404
