"""The queue as the server gives it: which leads, in which order, with what is known; and who looks at which."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.intents.status import JUNK_REASONS
from opsmantik.web.rendering import TEMPLATES
from tests.web.team import new_team, text_of
from tests.web.world import PAID, Programs, World

CARD = re.compile(r'data-lead-card="([0-9a-f-]{36})"')
OPEN = re.compile(r'data-lead-card="([0-9a-f-]{36})"[^>]*name-[0-9a-f-]{36}">')
FIRST = re.compile(r'<article class="card" id="card-([0-9a-f-]{36})"[^>]*aria-labelledby="[^"]*">')


def path(world: World, rest: str = "") -> str:
    return f"/sites/{world.site.id}/queue{rest}"


async def page(who: Programs, world: World, query: str = "") -> str:
    answer = await who.http.get(path(world, query))
    assert answer.status_code == 200, answer.text
    return answer.text


def names(world: World, html: str) -> list[str]:
    """The leads of a page or a part of one, by the names that the tests give them, in their order."""
    by_id = {str(lead_id): name for name, lead_id in world.ids.items()}
    return [by_id[lead_id] for lead_id in CARD.findall(html)]


def card(html: str, lead_id: UUID) -> str:
    found = re.search(rf'<article class="card" id="card-{lead_id}".*?</article>', html, re.DOTALL)
    assert found
    return found[0]


async def filled(world: World) -> World:
    """Four more leads: an old one, a suspicious one, and two whose visits differ."""
    await world.lead(
        "ancient", world.start - timedelta(days=60), "earlier", lead_score=90, intent_action="whatsapp"
    )
    await world.lead("doubted", world.at(2), "paid", status="suspicious", suspicion=["burst"])
    await world.lead("unpaid", world.at(2.5), "organic", lead_score=5)
    return world


# Which leads.


async def test_all_that_ever_waited_is_there_oldest_first(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    world = await filled(await make_world(user_id))
    html = await page(Programs(browser), world)
    assert names(world, html) == ["ancient", "waiting", "unpaid", "form", "call"]
    assert '<strong id="queue-count">5</strong>' in html
    assert FIRST.findall(html)[0] == str(world.ids["ancient"])


NARROW = {
    "best score first": ("?order=best", ["ancient", "waiting", "form", "call", "unpaid"]),
    "of paid visits": ("?scope=paid", ["ancient", "waiting", "form"]),
    "one kind": ("?action=whatsapp", ["ancient"]),
    "a campaign": ("?campaign=istanbul", ["ancient", "waiting", "form"]),
    "a keyword": ("?keyword=kiral%C4%B1k%20vin%C3%A7", ["ancient", "waiting", "form"]),
    "a place": ("?place=%C4%B0stanbul/Kad%C4%B1k%C3%B6y", ["ancient", "waiting", "form"]),
    "a page": ("?page=/blog", ["unpaid"]),
    "a source": ("?source=Organic", ["unpaid"]),
    "a channel": ("?channel=organic_search", ["unpaid"]),
    "a device": ("?device=mobile", ["ancient", "waiting", "form"]),
    "a match type": ("?matchtype=e", ["ancient", "waiting", "form"]),
    "without a click id": ("?click=no", ["unpaid", "call"]),
    "with a click id": ("?click=yes", ["ancient", "waiting", "form"]),
    "reported by a telephone system": ("?captured_by=api", ["call"]),
    "suspicious": ("?status=suspicious", ["doubted"]),
    "of a range": ("?range=7d", ["waiting", "unpaid", "form", "call"]),
    "an order that is none": ("?order=backwards", ["ancient", "waiting", "unpaid", "form", "call"]),
    "a status that does not wait": ("?status=sealed", ["ancient", "waiting", "unpaid", "form", "call"]),
    "a visit's property, of which some have none": ("?campaign=ankara", []),
}


@pytest.fixture
def everything(signed_in: Any, make_world: Any) -> Any:
    async def make() -> tuple[Programs, World]:
        browser, user_id = await signed_in()
        return Programs(browser), await filled(await make_world(user_id))

    return make


@pytest.mark.slow
async def test_what_narrows_it_down_and_what_orders_it(everything: Any) -> None:
    who, world = await everything()
    for name, (query, expected) in NARROW.items():
        html = await page(who, world, query)
        assert names(world, html) == expected, name
        assert f'<strong id="queue-count">{len(expected)}</strong>' in html, name
        # More of the same is asked for in the same words.
        part = (await who.http.get(path(world, "/cards") + query)).text
        assert names(world, part) == expected, name


async def test_the_words_of_the_address_are_carried_on(everything: Any) -> None:
    who, world = await everything()
    html = await page(who, world, "?campaign=istanbul&order=best&scope=paid&range=30d")
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/sites/[^"]*/queue\?[^"]*)"', html)]
    assert path(world, "?range=30d&scope=paid&campaign=istanbul") in links  # the other order is the usual one
    assert path(world, "?range=30d&scope=paid&campaign=istanbul&action=phone&order=best") in links
    assert path(world, "?range=30d&scope=paid&order=best") in links  # without the campaign
    assert path(world, "?scope=paid&campaign=istanbul&order=best") in links  # without the range


@pytest.mark.slow
@pytest.mark.parametrize("order", ["oldest", "best"])
async def test_page_by_page_each_lead_comes_once(signed_in: Any, make_world: Any, order: str) -> None:
    browser, user_id = await signed_in()
    who, world = Programs(browser), await make_world(user_id, empty=True)
    made = []
    for n in range(60):
        await world.lead(f"lead {n}", world.at(n // 3), lead_score=n % 4 * 10)
        made.append((n % 4 * 10, world.at(n // 3), world.ids[f"lead {n}"], f"lead {n}"))
    html, seen = await page(who, world, f"?order={order}"), []
    assert "and 35 more" not in html  # that is the script's to say
    while True:
        seen += names(world, html)
        after = re.search(r'data-after="([^"]+)"', html)
        if after is None:
            break
        answer = await who.http.get(path(world, f"/cards?order={order}&") + after[1].replace("&amp;", "&"))
        html = answer.text
    made.sort(key=lambda each: (each[1], each[2]) if order == "oldest" else (-each[0], each[1], each[2]))
    assert seen == [name for *_, name in made]


# What a card says.


async def test_a_card_says_all_that_the_first_generation_dropped(everything: Any) -> None:
    who, world = await everything()
    said = text_of(card(await page(who, world), world.ids["waiting"]))
    for word in (
        "+90 532 123 45 67", "2 taps", "kiralık vinç", "Exact match", "First Click (Paid)", "Paid search", "istanbul",
        "google.com", "Kadıköy, İstanbul", "2 min", "1 min", "70%", "Phone · iOS", "Safari", "tr-TR", "Carrier", "4g",
        "390 × 844", "8 GB · 8 cores", "Click id: gclid", "1 earlier visit", "Google Search", "/vinc", "given",
        "the line that was tapped", "₺100", "Score 55",
    ):  # fmt: skip
        assert word in said, word
    assert "What speaks against it" not in card(await page(who, world), world.ids["waiting"])


async def test_risks_and_doubts_are_said_with_their_reasons(everything: Any) -> None:
    who, world = await everything()
    said = text_of(card(await page(who, world), world.ids["unpaid"]))
    for word in (
        "No click id",
        "three seconds or less",
        "Nothing but the tap",
        "unpaid search",
        "First visit",
    ):
        assert word in said, word
    doubted = text_of(card(await page(who, world, "?status=suspicious"), world.ids["doubted"]))
    assert "tapped faster than people do" in doubted


async def test_a_reported_call_can_be_called_back_and_what_is_not_known_is_not_said(everything: Any) -> None:
    who, world = await everything()
    html = card(await page(who, world), world.ids["call"])
    assert 'href="tel:+905321234567"' in html and "Call back" in html
    assert 'href="https://wa.me/905321234567"' in html
    assert "No visit is known" in html and "No keyword known" in html
    assert "On the site" not in html
    form = card(await page(who, world), world.ids["form"])
    assert "Form" in text_of(form)


async def test_the_visitors_own_clock_is_shown_where_it_is_another(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True, time_zone="Europe/Istanbul")
    at = world.start.replace(hour=12)
    for name, zone in (
        ("away", "Asia/Tokyo"),
        ("here", "Europe/Istanbul"),
        ("same", "Asia/Riyadh"),
        ("odd", "Mars/One"),
    ):
        await world.visit(name, at, PAID, time_zone=zone)
        await world.lead(f"lead {name}", at, name)
    html = await page(Programs(browser), world)
    assert "21:00 there (Tokyo)" in card(html, world.ids["lead away"])
    for name in ("here", "same", "odd"):
        assert " there (" not in card(html, world.ids[f"lead {name}"])


async def test_an_empty_queue_says_so_and_a_narrow_one_how_to_see_more(
    signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in()
    who, world = Programs(browser), await make_world(user_id, empty=True)
    assert "Nothing waits" in await page(who, world)
    assert "Show all that wait" in await page(who, world, "?campaign=x")
    assert "Nothing suspicious" in await page(who, world, "?status=suspicious")


def test_the_reasons_of_the_dialog_are_those_of_the_rule() -> None:
    source = (TEMPLATES[0] / "decide_dialogs.html").read_text()
    listed = re.search(r"set reasons = \(([^)]*)\)", source)
    assert listed
    assert (*re.findall(r"'(\w+)'", listed[1]), "unspecified") == JUNK_REASONS


# How it stands.


async def test_the_state_tells_what_is_new_and_what_others_did(everything: Any) -> None:
    who, world = await everything()
    html = await page(who, world)
    since = re.search(r'data-since="([^"]+)"', html)
    assert since
    ids = CARD.findall(html)
    await world.lead("fresh", await world.owner.fetchval("SELECT now()"), "paid")
    await world.lead("fresh but organic", await world.owner.fetchval("SELECT now()"), "organic")
    body = {"action": "junk", "version": 1, "reason": "spam"}
    done = await who.post(f"{world.path}/intents/{world.ids['unpaid']}/decisions", body)
    assert done.status_code == 200, done.text
    params = {"since": since[1], "ids": ",".join(ids)}
    state = (await who.get(path(world, "/state"), params)).json()
    assert state["waiting"] == 6
    assert set(state["new"]) == {str(world.ids["fresh"]), str(world.ids["fresh but organic"])}
    gone = next(each for each in state["leads"] if each["id"] == str(world.ids["unpaid"]))
    assert (gone["status"], gone["version"], gone["action"], gone["actor_name"]) == (
        "junk",
        2,
        "junk",
        "Ayşe",
    )
    narrow = (await who.get(path(world, "/state"), {**params, "scope": "paid"})).json()
    assert (narrow["waiting"], narrow["new"]) == (4, [str(world.ids["fresh"])])
    shown = (await who.http.get(path(world, "/cards"), params={"ids": str(world.ids["fresh"])})).text
    assert names(world, shown) == ["fresh"]


@pytest.mark.parametrize(
    "rest",
    ["/state", "/state?since=yesterday", "/state?since=2026-02-01T12:00", "/cards?after=x", "/cards?after=AAAA&score=y"],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused(reader: Any, rest: str) -> None:
    who, world = reader
    assert (await who.get(path(world, rest))).status_code == 400


# Who may.


async def test_an_analyst_reads_and_decides_nothing(web: Any, owner: Any) -> None:
    team = await new_team(owner, web)
    html = (await team.analyst.browser.get(f"/sites/{team.site.id}/queue")).text
    assert 'data-deck="seal"' not in html and "seal-dialog" not in html and "data-presence" not in html
    assert 'data-deck="seal"' in (await team.operator.browser.get(f"/sites/{team.site.id}/queue")).text


async def look(somebody: Any, site_id: UUID, lead: UUID | None, status: int = 200) -> Any:
    """What a page of theirs sends, with its token."""
    html = (await somebody.browser.get("/account")).text
    token = re.search(r"X-CSRF-Token\":\"(\w+)\"", html.replace("&#34;", '"'))
    assert token
    answer = await somebody.browser.http.post(
        f"/sites/{site_id}/queue/presence", json={"lead": str(lead) if lead else None},
        headers={"x-csrf-token": token[1]},
    )  # fmt: skip
    assert answer.status_code == status, answer.text
    return answer.json().get("others") if status == 200 else None


async def team_with_leads(owner: Any, web: Any, n: int = 2) -> tuple[Any, list[UUID]]:
    team = await new_team(owner, web)
    world = World(
        owner, web, team.site, await owner.fetchval("SELECT date_trunc('hour', now()) - interval '2 days'")
    )
    return team, [await world.lead(f"lead {each}", world.at(each)) for each in range(n)]


async def test_who_looks_at_a_card_is_told_to_the_others_and_to_nobody_else(web: Any, owner: Any) -> None:
    team, (one, two) = await team_with_leads(owner, web)
    site = team.site.id
    await owner.execute("UPDATE users SET name = 'Ayşe' WHERE id = $1", team.operator.id)
    assert await look(team.operator, site, one) == []
    assert await look(team.admin, site, one) == [[str(one), "Ayşe"]]
    assert await look(team.operator, site, two) == [[str(one), team.admin.email]]
    assert await look(team.admin, site, one) == [[str(two), "Ayşe"]], "one card a person"
    assert await look(team.operator, site, None) == [[str(one), team.admin.email]]
    assert await look(team.admin, site, one) == [], "gone at once"
    await look(team.analyst, site, one, status=403)
    await look(team.stranger, site, one, status=404)
    assert await owner.fetchval("SELECT count(*) FROM presences WHERE site_id = $1", site) == 1


async def test_a_look_is_forgotten_after_half_a_minute_and_cleared_by_the_next(web: Any, owner: Any) -> None:
    team, (one, _) = await team_with_leads(owner, web)
    site = team.site.id
    await look(team.operator, site, one)
    await owner.execute(
        "UPDATE presences SET seen_at = now() - interval '31 seconds' WHERE site_id = $1", site
    )
    assert await look(team.admin, site, one) == []
    assert [
        row["user_id"] for row in await owner.fetch("SELECT user_id FROM presences WHERE site_id = $1", site)
    ] == [team.admin.id]


async def test_nobody_looks_at_what_is_no_lead_of_the_site(web: Any, owner: Any) -> None:
    team, (one, _) = await team_with_leads(owner, web)
    _, (theirs, _) = await team_with_leads(owner, web)
    await look(team.operator, team.site.id, one)
    for none_of_ours in (theirs, uuid4()):
        await look(team.operator, team.site.id, none_of_ours)
        assert await owner.fetchval("SELECT count(*) FROM presences WHERE site_id = $1", team.site.id) == 0


async def test_a_look_changes_no_figure_and_wakes_no_page(web: Any, owner: Any) -> None:
    team, (one, _) = await team_with_leads(owner, web)
    before = await owner.fetchval("SELECT sequence FROM site_state WHERE site_id = $1", team.site.id)
    await look(team.operator, team.site.id, one)
    assert await owner.fetchval("SELECT sequence FROM site_state WHERE site_id = $1", team.site.id) == before


async def test_many_who_look_at_once_wait_for_nobody(web: Any, owner: Any) -> None:
    team, (one, two) = await team_with_leads(owner, web)
    people = [team.owner, team.admin, team.operator, team.platform_admin]
    await asyncio.gather(*(look(who, team.site.id, one) for who in people))
    await owner.execute(
        "UPDATE presences SET seen_at = now() - interval '1 minute' WHERE site_id = $1", team.site.id
    )
    await asyncio.gather(*(look(who, team.site.id, two) for who in people for _ in range(2)))
    assert (
        await owner.fetchval(
            "SELECT count(*) FROM presences WHERE site_id = $1 AND call_id = $2", team.site.id, two
        )
        == 4
    )


async def test_the_queue_opens_with_a_card_that_nobody_looks_at(web: Any, owner: Any) -> None:
    team, (one, two) = await team_with_leads(owner, web)
    await look(team.operator, team.site.id, one)
    html = (await team.admin.browser.get(f"/sites/{team.site.id}/queue")).text
    assert FIRST.findall(html) == [str(two)]
    html = (await team.operator.browser.get(f"/sites/{team.site.id}/queue")).text
    assert FIRST.findall(html) == [str(one)], "one's own look is no hindrance"


# Refusals, for screens that say them in another language.

REFUSED = {
    "a sale before the lead": ({"action": "seal", "sale_at": "2020-01-01T00:00:00Z"}, "sale_before_click"),
    "a sale to come": ({"action": "seal", "sale_at": "2099-01-01T00:00:00Z"}, "sale_in_future"),
    "an amount below nothing": ({"action": "seal", "amount": "-1"}, "bad_amount"),
    "too many decimals": ({"action": "seal", "amount": "1.005"}, "too_many_decimals"),
    "no currency": ({"action": "seal", "amount": "1", "currency": "lira"}, "bad_currency"),
    "no reason": ({"action": "junk"}, "no_reason"),
    "a long note": ({"action": "seal", "note": "x" * 2001}, "too_long"),
}


async def test_a_refusal_says_of_which_kind_it_is(reader: Any) -> None:
    who, world = reader
    for name, (body, kind) in REFUSED.items():
        answer = await who.post(
            f"{world.path}/intents/{world.ids['waiting']}/decisions", body | {"version": 1}
        )
        assert (answer.status_code, answer.json()["kind"]) == (422, kind), name
