"""The page of visits: what it lists, what narrows it down, how many there are, and one page after another."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opsmantik.web.language import catalogue
from opsmantik.web.pages.sessions import CHANNELS
from tests.web.world import ORGANIC, PAID

pytestmark = pytest.mark.slow

VISIT = re.compile(r'<tr id="visit-([0-9a-f-]{36})"')


def days(world: Any) -> str:
    """The two days in which the world's visits began, and the next."""
    return f"from={world.range['from']}&to={world.range['to']}".replace("+", "%2B")


def listed(world: Any, html: str) -> list[str]:
    names = {str(value): name for name, value in world.ids.items()}
    return [names[found] for found in VISIT.findall(html)]


@pytest.fixture
def ask(reader: Any) -> Any:
    programs, world = reader

    async def get(query: str) -> Any:
        return await programs.http.get(f"/sites/{world.site.id}/sessions?{days(world)}&{query}")

    return get


NARROWED = {
    "nothing": ("", ["organic", "paid"]),
    "paid traffic": ("scope=paid", ["paid"]),
    "a source": ("source=Organic", ["organic"]),
    "a channel": ("channel=paid_search", ["paid"]),
    "a campaign": ("campaign=istanbul", ["paid"]),
    "a keyword": ("keyword=kiral%C4%B1k%20vin%C3%A7", ["paid"]),
    "no keyword": ("keyword=-", ["organic"]),
    "a match type": ("matchtype=e", ["paid"]),
    "a place": ("place=%C4%B0stanbul%2FKad%C4%B1k%C3%B6y", ["paid"]),
    "a city": ("place=%C4%B0stanbul", ["paid"]),
    "no place": ("place=-", ["organic"]),
    "a device": ("device=mobile", ["paid"]),
    "a first page": ("page=%2Fblog", ["organic"]),
    "a click id": ("click=yes", ["paid"]),
    "no click id": ("click=no", ["organic"]),
    "two things that go together": ("source=Organic&page=%2Fblog", ["organic"]),
    "two that do not": ("source=Organic&device=mobile", []),
    "a value that nobody has": ("campaign=ankara", []),
    "a filter of leads, which visits have not": ("status=sealed", ["organic", "paid"]),
}


@pytest.mark.parametrize(("query", "expected"), NARROWED.values(), ids=NARROWED.keys())
async def test_a_filter_leaves_the_visits_that_breakdowns_count_under_it(
    reader: Any, ask: Any, query: str, expected: list[str]
) -> None:
    answer = await ask(query)
    assert answer.status_code == 200
    assert listed(reader[1], answer.text) == expected
    count = len(expected)
    assert f"{count} visit{'' if count == 1 else 's'}" in answer.text


async def test_hour_and_weekday_are_the_sites_own(reader: Any, ask: Any) -> None:
    _, world = reader
    from zoneinfo import ZoneInfo

    at = world.at(1).astimezone(ZoneInfo("Europe/Istanbul"))
    answer = await ask(f"hour={at.hour}&weekday={at.isoweekday()}")
    assert listed(world, answer.text) == ["paid"]
    assert "organic" not in listed(world, (await ask(f"hour={(at.hour + 5) % 24}")).text)


@pytest.mark.parametrize(
    "query", ["hour=24", "hour=x", "weekday=0", "click=maybe", "cursor=%C3%BC", "cursor=abc", "first=1"]
)
async def test_what_cannot_be_meant_is_refused_in_words(ask: Any, query: str) -> None:
    answer = await ask(query)
    assert answer.status_code in (400, 422)


async def test_the_filters_are_said_each_with_a_way_out_of_it_and_links_carry_the_rest_on(
    reader: Any, ask: Any
) -> None:
    _, world = reader
    html = (await ask("source=Organic&page=%2Fblog&compare=0")).text
    ways = re.findall(r'<li><a class="button" href="([^"]+)"><span class="quiet">([^<]+):', html)
    assert [name for _, name in ways] == ["Source", "First page"]
    source, page = (address.replace("&amp;", "&") for address, _ in ways)
    assert "source=" not in source and "page=%2Fblog" in source and "compare=0" in source
    assert "page=" not in page and "source=Organic" in page
    assert f'href="/sites/{world.site.id}/sessions/{world.ids["organic"]}" data-drawer' in html


async def test_pages_follow_each_other_without_a_gap_and_the_count_stays_the_ranges(
    signed_in: Any, make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opsmantik.web.pages import sessions

    monkeypatch.setattr(sessions, "ROWS", 2)
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    for n in range(5):  # three of them at the same instant: the id orders those
        await world.visit(f"v{n}", world.at(1 if n < 3 else n), PAID if n % 2 else ORGANIC)
    await world.count()
    address, seen, counts = f"/sites/{world.site.id}/sessions?{days(world)}", [], []
    while address:
        html = (await browser.get(address)).text
        seen += listed(world, html)
        counts.append(re.search(r'id="visits-count">(\d+) visits', html)[1])  # type: ignore[index]
        older = re.search(r'href="([^"]+)" rel="next"', html)
        address = older[1].replace("&amp;", "&") if older else ""
    assert sorted(seen) == [f"v{n}" for n in range(5)] and seen[:2] == ["v4", "v3"]
    assert counts == ["5", "5", "5"]
    # Where the counters do not know, no number is made up.
    html = (await browser.get(f"/sites/{world.site.id}/sessions?{days(world)}&click=no")).text
    assert "More than 2 visits" in html
    html = (await browser.get(f"/sites/{world.site.id}/sessions?{days(world)}&source=Organic")).text
    assert "3 visits" in html


async def test_what_is_not_known_is_a_dash_and_an_empty_range_says_so(
    signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    html = (await browser.get(f"/sites/{world.site.id}/sessions?range=7d")).text
    assert "No visit began in this range." in html and "0 visits" in html
    await world.visit("bare", world.at(1), ORGANIC, entry_page=None, utm_term=None)
    html = (await browser.get(f"/sites/{world.site.id}/sessions?range=7d")).text
    row = html.split('<tr id="visit-')[1].split("</tr>")[0]
    assert row.count("—") >= 2
    assert "gclid" not in row and "Paid" not in row


async def test_it_is_in_turkish_for_a_turk(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in(language="tr")
    world = await make_world(user_id)
    html = (await browser.get(f"/sites/{world.site.id}/sessions?{days(world)}&device=mobile")).text
    assert "Ziyaretler" in html and "1 ziyaret" in html and "Telefon" in html


def test_every_channel_of_the_form_has_a_name_and_none_is_missing() -> None:
    for language in ("en", "tr"):
        named = {key.removeprefix("channel.") for key in catalogue(language) if key.startswith("channel.")}
        assert named == set(CHANNELS)
