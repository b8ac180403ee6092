"""The general settings and the values: what they change, who may, and what two people at once are told."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from opsmantik.errors import Unprocessable
from opsmantik.sites.values import read_amount
from tests.web.team import Somebody, Team, new_team, text_of
from tests.web.world import MakeWorld

pytestmark = pytest.mark.slow

GENERAL = {
    "name": "Vinç Kiralama", "domain": "shop.example", "time_zone": "Europe/Istanbul", "region": "TR",
    "currency": "TRY", "assumed_cpc": "0", "attribution_window_days": "90",
}  # fmt: skip
VALUES = {"conversion_time": "intent", "undo_minutes": "10"}


@pytest_asyncio.fixture
async def team(owner: Any, web: Any) -> Team:
    return await new_team(owner, web)


def seen(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


async def save(who: Somebody, path: str, fields: dict[str, str], **changes: str) -> Any:
    page = (await who.browser.get(path)).text
    return await who.post(path, seen=seen(page), **{**fields, **changes})


async def last_act(owner: Any, team: Team) -> tuple[str, dict[str, Any]]:
    row = await owner.fetchrow(
        "SELECT action, detail FROM site_acts WHERE site_id = $1 ORDER BY at DESC, id DESC LIMIT 1",
        team.site.id,
    )
    return row["action"], row["detail"]


async def column(owner: Any, team: Team, name: str) -> Any:
    return await owner.fetchval(f"SELECT {name} FROM sites WHERE id = $1", team.site.id)


async def test_what_is_saved_holds_at_the_doors_and_stands_in_the_log(
    owner: Any, web: Any, team: Team
) -> None:
    answer = await save(
        team.admin, f"{team.settings}/general", GENERAL, name="  Kule   Vinç ", assumed_cpc="12,50",
        attribution_window_days="30", domain="https://www.kule.example/iletisim",
    )  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, f"{team.settings}/general?done=moved")
    row = await owner.fetchrow("SELECT * FROM sites WHERE id = $1", team.site.id)
    assert (row["name"], row["domain"], row["assumed_cpc"], row["attribution_window_days"]) == (
        "Kule Vinç", "kule.example", Decimal("12.50"), 30,
    )  # fmt: skip
    assert await last_act(owner, team) == (
        "settings.general",
        {
            "before": {"name": "Vinç Kiralama", "domain": "shop.example", "assumed_cpc": 0, "attribution_window_days": 90},
            "after": {"name": "Kule Vinç", "domain": "kule.example", "assumed_cpc": 12.5, "attribution_window_days": 30},
        },
    )  # fmt: skip
    await web.app.collect.registry.refresh()
    assert web.app.collect.registry.find(team.site.public_id).attribution_window_days == 30
    log = text_of((await team.admin.browser.get(f"{team.settings}/log")).text)
    assert "Changed the general settings" in log
    assert "Name: Vinç Kiralama → Kule Vinç" in log


async def test_saving_what_is_there_already_leaves_no_line(owner: Any, team: Team) -> None:
    assert (await save(team.owner, f"{team.settings}/general", GENERAL)).status_code == 303
    assert await owner.fetchval("SELECT count(*) FROM site_acts WHERE site_id = $1", team.site.id) == 0


BAD = {
    "no name": ({"name": " "}, "A name has 1 to 200 characters."),
    "a domain that is none": ({"domain": "here"}, "That is not a domain such as example.com."),
    "a zone that there is not": ({"time_zone": "Mars/Olympus"}, "There is no such time zone."),
    "a country that there is not": ({"region": "XX"}, "Choose a country."),
    "a currency that there is not": ({"currency": "AAA"}, "A currency is three letters, as in TRY."),
    "a cost that is none": ({"assumed_cpc": "much"}, "An amount from 0 to one million"),
    "a cost below nothing": ({"assumed_cpc": "-1"}, "An amount from 0 to one million"),
    "a window beyond half a year": ({"attribution_window_days": "185"}, "A whole number from 1 to 184."),
    "a window of nothing": ({"attribution_window_days": ""}, "A whole number from 1 to 184."),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_be_taken_is_said_beside_its_field(owner: Any, team: Team, case: str) -> None:
    changes, words = BAD[case]
    answer = await save(team.owner, f"{team.settings}/general", GENERAL, **changes)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert await column(owner, team, "name") == "Vinç Kiralama"


@pytest.mark.parametrize("part", ["general", "values", "rules"])
async def test_only_those_who_change_settings_get_there(team: Team, part: str) -> None:
    path = f"{team.settings}/{part}"
    for who, status in (
        (team.operator, 403),
        (team.analyst, 403),
        (team.stranger, 404),
        (team.platform_admin, 200),
    ):
        answer = await who.browser.get(path)
        assert answer.status_code == status, who
        assert (await who.post(path, **GENERAL, **VALUES)).status_code in (
            {status} if status > 200 else {400}
        )


# Two people at once.


async def test_the_second_of_two_is_told_who_was_faster_and_what_is_there_now(owner: Any, team: Team) -> None:
    path = f"{team.settings}/general"
    mine, theirs = [seen((await who.browser.get(path)).text) for who in (team.owner, team.admin)]
    assert (await team.admin.post(path, seen=theirs, **{**GENERAL, "name": "Theirs"})).status_code == 303
    answer = await team.owner.post(path, seen=mine, **{**GENERAL, "name": "Mine"})
    assert answer.status_code == 409
    told = text_of(answer.text)
    assert "Somebody changed this site while you had it open." in told
    assert team.admin.email in told
    assert "Now: Theirs" in told
    assert 'value="Mine"' in answer.text, "what they wrote is not lost"
    assert await column(owner, team, "name") == "Theirs"
    again = await team.owner.post(path, seen=seen(answer.text), **{**GENERAL, "name": "Mine"})
    assert again.status_code == 303, "now they know"
    assert await column(owner, team, "name") == "Mine"


async def test_a_form_that_does_not_say_which_state_it_changes_is_none_of_ours(team: Team) -> None:
    assert (await team.owner.post(f"{team.settings}/general", **GENERAL)).status_code == 400


# Another clock, another currency.


async def test_another_zone_is_asked_for_twice_and_cuts_every_day_anew(
    owner: Any, signed_in: Any, make_world: MakeWorld
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    path = f"/sites/{world.site.id}/settings/general"
    fields = {**GENERAL, "name": "Shop", "time_zone": "Pacific/Auckland"}
    before = await owner.fetch("SELECT day FROM counter_days WHERE site_id = $1 ORDER BY 1", world.site.id)
    page = (await browser.get(path)).text
    asked = await browser.submit(path, path, seen=seen(page), **fields)
    assert asked.status_code == 200
    told = text_of(asked.text)
    assert "Europe/Istanbul → Pacific/Auckland" in told
    assert f"The figures of {len(before)} days are cut anew by the new clock." in told
    assert (
        await owner.fetchval("SELECT time_zone FROM sites WHERE id = $1", world.site.id) == "Europe/Istanbul"
    )
    done = await browser.submit(path, path, seen=seen(asked.text), confirm="yes", **fields)
    assert done.headers["location"].endswith("?done=recounted")
    assert (
        await owner.fetchval("SELECT time_zone FROM sites WHERE id = $1", world.site.id) == "Pacific/Auckland"
    )
    await owner.execute("SET app.maintenance = 'on'")
    assert await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", world.site.id) == []
    days = await owner.fetch("SELECT day FROM counter_days WHERE site_id = $1 ORDER BY 1", world.site.id)
    lead = world.at(6).astimezone(ZoneInfo("Pacific/Auckland")).date()
    assert lead in [row["day"] for row in days]


async def test_another_currency_says_what_happens_to_the_amounts_that_are_there(
    owner: Any, signed_in: Any, make_world: MakeWorld
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    path = f"/sites/{world.site.id}/settings/general"
    fields = {**GENERAL, "name": "Shop", "currency": "eur"}
    page = (await browser.get(path)).text
    asked = await browser.submit(path, path, seen=seen(page), **fields)
    told = html.unescape(text_of(asked.text))
    assert "1 sealed lead holds ₺1,500.50. It keeps that, and no total counts it any more." in told
    await browser.submit(path, path, seen=seen(asked.text), confirm="yes", **fields)
    assert await owner.fetchval("SELECT currency FROM sites WHERE id = $1", world.site.id) == "EUR"
    kept = await owner.fetchrow(
        "SELECT sale_amount, currency FROM calls WHERE site_id = $1 AND id = $2",
        world.site.id,
        world.ids["sealed"],
    )
    assert (kept["sale_amount"], kept["currency"]) == (Decimal("1500.50"), "TRY")


# Values.


async def test_values_are_kept_and_offered(owner: Any, team: Team) -> None:
    answer = await save(
        team.admin, f"{team.settings}/values", VALUES, amount_1="2.500", amount_2="750,50", amount_4="750,50",
        conversion_time="decision", undo_minutes="0",
    )  # fmt: skip
    assert answer.status_code == 303
    row = await owner.fetchrow(
        "SELECT config, conversion_time, undo_minutes FROM sites WHERE id = $1", team.site.id
    )
    assert (row["config"]["bounty_chips"], row["conversion_time"], row["undo_minutes"]) == (
        ["750.50", 2500],
        "decision",
        0,
    )
    assert (await last_act(owner, team))[1]["after"]["undo_minutes"] == 0
    page = (await team.admin.browser.get(f"{team.settings}/values")).text
    assert re.findall(r'name="amount_\d" [^>]*value="([^"]+)"', page) == ["750.5", "2500"]
    assert (await save(team.admin, f"{team.settings}/values", VALUES)).status_code == 303
    assert "bounty_chips" not in await column(owner, team, "config"), "all empty: the usual ones"


@pytest.mark.parametrize(
    "changes",
    [{"undo_minutes": "1441"}, {"undo_minutes": "-1"}, {"amount_1": "0"}, {"amount_3": "a lot"}],
    ids=str,
)
async def test_values_out_of_bounds_are_not_taken(owner: Any, team: Team, changes: dict[str, str]) -> None:
    answer = await save(team.owner, f"{team.settings}/values", VALUES, **changes)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert await column(owner, team, "undo_minutes") == 10


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1250", "1250"), ("1.250", "1250"), ("1,250", "1250"), ("1.250,50", "1250.50"), ("1,250.50", "1250.50"),
        ("1 250,5", "1250.5"), ("0,5", "0.5"), ("0.125", "0.125"), ("12.50", "12.50"), ("1.250.000", "1250000"),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_people_of_either_language_write_it(text: str, amount: str) -> None:
    assert read_amount(text, Decimal(10**9), 4) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "NaN", "٣", "1,2,3.4.5", "12345678901", "0,12345", "--"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable):
        read_amount(text, Decimal(10**9), 4)
