"""The rules about leads: what the preview says is what the rule does; who changes them, and what two at once are told."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from opsmantik.decisions import auto
from tests.web.team import Team, new_team, text_of
from tests.web.test_general import last_act, save, seen
from tests.web.world import PAID, MakeWorld, World

pytestmark = pytest.mark.slow

RULES = {"approve": "off", "hours": "24", "junk": "on", "days": "90"}


@pytest_asyncio.fixture
async def team(owner: Any, web: Any) -> Team:
    return await new_team(owner, web)


async def column(owner: Any, site_id: UUID, name: str) -> Any:
    return await owner.fetchval(f"SELECT {name} FROM sites WHERE id = $1", site_id)


async def leads(world: World) -> None:
    """Beside the world's own waiting leads (a tap without risk, a form and a call), one for each risk."""
    await world.visit("no_click", world.at(8), {**PAID, "has_click_id": False, "gclid": None})
    await world.visit("glance", world.at(9), {**PAID, "total_duration_sec": 9})
    await world.visit("single", world.at(10), {**PAID, "event_count": 1})
    for visit in ("no_click", "glance", "single"):
        await world.lead(f"of {visit}", world.at(11), visit)
    await world.lead("not paid", world.at(11), "organic")
    await world.lead("odd", world.at(12), "paid", suspicion=["burst"])
    await world.lead("good", world.at(12), "paid")


async def test_the_preview_counts_what_the_rule_would_do_and_why_it_leaves_the_rest(
    owner: Any, app_database: Any, signed_in: Any, make_world: MakeWorld
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    await leads(world)
    page = (await browser.get(f"/sites/{world.site.id}/settings/rules")).text
    told = text_of(page)
    assert re.search(r"What it would do now, after 24 hours 2 leads would be sealed now", told)
    assert "7 more have waited as long and would be left alone:" in told
    for words in (
        "2 · a form, or a call that a telephone system reported", "1 · suspicious", "1 · not of a paid visit",
        "1 · no click id", "1 · a glance: a few seconds on the site", "1 · a single event",
    ):  # fmt: skip
        assert words in told
    swept = await auto.approve(app_database, user_id, world.site.id, preview=True)
    shown = {UUID(found) for found in re.findall(rf"/sites/{world.site.id}/leads/([0-9a-f-]{{36}})", page)}
    assert shown == set(swept.calls) == {world.ids["waiting"], world.ids["good"]}
    assert await column(owner, world.site.id, "auto_approve_hours") is None, "nobody has switched it on"


async def test_looking_with_other_hours_changes_nothing(
    owner: Any, signed_in: Any, make_world: MakeWorld
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    path = f"/sites/{world.site.id}/settings/rules"
    answer = await browser.submit(
        path,
        path,
        seen=seen((await browser.get(path)).text),
        do="preview",
        **{**RULES, "hours": "168", "approve": "on"},
    )
    assert "after 168 hours 0 leads would be sealed now" in text_of(answer.text)
    assert 'value="on" checked' in answer.text, "what they chose is still chosen"
    assert await column(owner, world.site.id, "auto_approve_hours") is None


async def test_the_rule_that_was_saved_does_what_the_preview_said(
    owner: Any, app_database: Any, signed_in: Any, make_world: MakeWorld
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    path = f"/sites/{world.site.id}/settings/rules"
    answer = await browser.submit(
        path,
        path,
        seen=seen((await browser.get(path)).text),
        **{**RULES, "approve": "on", "hours": "12", "junk": "off"},
    )
    assert answer.status_code == 303
    assert await column(owner, world.site.id, "auto_approve_hours") == 12
    assert await column(owner, world.site.id, "auto_junk_days") is None
    swept = await auto.approve(app_database, user_id, world.site.id)
    assert swept.calls == (world.ids["waiting"],)
    assert "0 leads would be sealed now" in text_of((await browser.get(path)).text)


async def test_a_change_stands_in_the_log_and_the_second_of_two_is_told(owner: Any, team: Team) -> None:
    path = f"{team.settings}/rules"
    mine = seen((await team.owner.browser.get(path)).text)
    assert (await save(team.admin, path, RULES, junk="off")).status_code == 303
    assert await last_act(owner, team) == (
        "settings.rules",
        {"before": {"auto_junk_days": 90}, "after": {"auto_junk_days": None}},
    )
    late = await team.owner.post(path, seen=mine, **{**RULES, "days": "30"})
    assert late.status_code == 409
    assert team.admin.email in text_of(late.text)
    assert await column(owner, team.site.id, "auto_junk_days") is None


@pytest.mark.parametrize(
    "changes",
    [{"approve": "on", "hours": "169"}, {"approve": "on", "hours": ""}, {"days": "6"}, {"days": "x"}],
    ids=str,
)
async def test_rules_out_of_bounds_are_not_taken(owner: Any, team: Team, changes: dict[str, str]) -> None:
    answer = await save(team.owner, f"{team.settings}/rules", RULES, **changes)
    assert answer.status_code == 422
    assert "A whole number from" in answer.text
    assert await column(owner, team.site.id, "auto_junk_days") == 90


async def test_an_automatic_visitor_is_let_in_from_here_and_shut_out_again(
    owner: Any, signed_in: Any, make_world: MakeWorld
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    await world.refused({}, "bot", detail="Googlebot")
    path = f"/sites/{world.site.id}/settings/rules"
    assert "1 event refused in 30 days" in text_of((await browser.get(path)).text)
    await browser.submit(path, f"{path}/bots", name="Googlebot", allowed="yes")
    assert await column(owner, world.site.id, "allowed_bots") == ["Googlebot"]
    assert "No longer let in Googlebot" in (await browser.get(path)).text
    await browser.submit(path, f"{path}/bots", name="Googlebot", allowed="no")
    assert await column(owner, world.site.id, "allowed_bots") == []
