"""A site's overview as a browser gets it: tiles, trend, breakdowns, what the address asks for, and what it refuses."""

from __future__ import annotations

import gzip
import re
from datetime import datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from opsmantik.web.static_files import HERE as STATIC
from tests.web.test_pages import figures, visit

TILE = re.compile(r'<li class="tile".*?</li>', re.S)
WORLD = {"assumed_cpc": Decimal("12.50"), "time_zone": "Europe/Istanbul"}


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def tiles(html: str) -> dict[str, str]:
    """Name and HTML of each tile."""
    return {re.search(r'data-figure="(\w+)"', tile)[1]: tile for tile in TILE.findall(html)}  # type: ignore[index]


def link_of(tile: str) -> str:
    return unescape(re.search(r'<h3 class="tile-name"><a href="([^"]+)"', tile)[1])  # type: ignore[index]


def query_of(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def days_of(world: Any) -> str:
    """The range that holds the world's day, as a person writes it."""
    zone = ZoneInfo("Europe/Istanbul")
    first, last = world.start.astimezone(zone).date(), world.end.astimezone(zone).date()
    return f"first={first}&last={last}"


@pytest.fixture
async def world(signed_in: Any, make_world: Any) -> Any:
    browser, user_id = await signed_in()
    return browser, await make_world(user_id, **WORLD)


# Tiles.


async def test_every_figure_is_the_contracts_of_the_same_moment(world: Any) -> None:
    browser, made = world
    html = (await browser.get(f"/sites/{made.site.id}?{days_of(made)}")).text
    seen = figures(html)
    assert seen == {
        "sessions": "2", "leads": "5", "with_click_id": "3", "waiting": "3", "sealed": "1", "junk": "1",
        "conversion_rate": "50%", "response": "1 h 57 min",
    }  # fmt: skip
    about = {name: text_of(tile) for name, tile in tiles(html).items()}
    assert "₺1,500.50" in about["sealed"]
    assert "₺12.50 for their clicks" in about["junk"]
    assert "2 calls · 1 WhatsApp · 1 form" in about["leads"]
    answer = await browser.get(
        f"/api/v1/sites/{made.site.id}/command-centre?from={made.start.isoformat().replace('+', '%2B')}"
        f"&to={made.end.isoformat().replace('+', '%2B')}", accept="application/json",
    )  # fmt: skip
    found = answer.json()["figures"]
    assert (found["sessions"], found["leads"], found["waiting"]) == (2, 5, 3)


async def test_every_tile_says_its_range_scope_and_moment_and_all_the_same_one(
    web: Any, signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, time_zone="Asia/Kathmandu")
    await visit(web, site)
    html = (await browser.get(f"/sites/{site.id}/cards/figures")).text
    notes = re.findall(r'class="tile-note">(.*?)</p>', html, re.S)
    assert len(notes) == 8
    assert len(set(notes)) == 1, "one snapshot, so one moment"
    assert re.search(r"Today · All traffic · <time [^>]*>as of \d\d:\d\d:\d\d</time>", notes[0])
    assert re.search(r'title="[^"]+ 00:00:00 to [^"]+ 00:00:00, Asia/Kathmandu\. State no\. 1\."', notes[0])
    assert 'data-sequence="1"' in html
    paid = (await browser.get(f"/sites/{site.id}/cards/figures?range=7d&scope=paid")).text
    assert "7 days · Paid traffic · " in paid


OPENS = {
    "sessions": ("sessions", {}), "leads": ("leads", {}), "with_click_id": ("leads", {"click": "yes"}),
    "waiting": ("leads", {"status": "waiting"}), "sealed": ("leads", {"status": "sealed"}),
    "junk": ("leads", {"status": "junk"}), "conversion_rate": ("leads", {"status": "sealed"}),
    "response": ("leads", {"by": "decided"}),
}  # fmt: skip


async def test_every_tile_opens_the_rows_that_it_counts(world: Any) -> None:
    browser, made = world
    html = (await browser.get(f"/sites/{made.site.id}?{days_of(made)}&scope=paid&compare=0")).text
    first, last = days_of(made).split("&")
    kept = {"first": first[6:], "last": last[5:], "scope": "paid", "compare": "0"}
    found = {name: link_of(tile) for name, tile in tiles(html).items()}
    assert found.keys() == OPENS.keys()
    for name, (page, filters) in OPENS.items():
        assert urlsplit(found[name]).path == f"/sites/{made.site.id}/{page}"
        assert query_of(found[name]) == kept | filters, name
    seen = figures(html)
    seen["response"] = "1"  # the one that was decided about
    for name in ("leads", "with_click_id", "waiting", "sealed", "junk", "response"):
        rows = await browser.get(found[name])
        assert rows.status_code == 200
        assert len(set(re.findall(r'id="lead-([0-9a-f-]{36})"', rows.text))) == int(seen[name]), name
    assert (await browser.get(found["sessions"])).status_code == 200


async def test_what_junk_cost_is_unknown_until_somebody_says_what_a_click_costs(
    signed_in: Any, make_world: Any, owner: Any
) -> None:
    browser, user_id = await signed_in()
    made = await make_world(user_id)
    path = f"/sites/{made.site.id}?{days_of(made)}"
    junk = tiles((await browser.get(path)).text)["junk"]
    assert f'<a href="/sites/{made.site.id}/settings/general">Set a cost per click</a>' in junk
    analyst, analyst_id = await signed_in()
    await made.member(analyst_id, "analyst")
    junk = tiles((await analyst.get(path)).text)["junk"]
    assert "/settings/general" not in junk and "no cost per click set" in junk


# Change.


async def test_a_change_says_how_much_and_from_what_and_not_by_colour_alone(world: Any) -> None:
    browser, made = world
    zone = ZoneInfo("Europe/Istanbul")
    before = datetime.combine(made.start.astimezone(zone).date(), datetime.min.time(), zone) - timedelta(
        hours=30
    )
    for n in range(4):
        await made.lead(f"earlier {n}", before + timedelta(minutes=n), status="junk" if n == 0 else "intent")
    await made.count()
    html = (await browser.get(f"/sites/{made.site.id}?{days_of(made)}")).text
    ways = dict(re.findall(r'data-figure="(\w+)">.*?data-change="(\w+)"', html, re.S))
    assert ways == {
        "sessions": "new", "leads": "more", "with_click_id": "new", "waiting": "same", "sealed": "new", "junk": "same",
        "conversion_rate": "unknown", "response": "unknown",
    }  # fmt: skip
    leads = text_of(tiles(html)["leads"])
    assert "25% from 4" in leads and "25% more than before (5 against 4)" in leads
    assert "—" in text_of(tiles(html)["response"]) and "nothing to compare with" in text_of(
        tiles(html)["response"]
    )
    assert "compared with" in html
    alone = (await browser.get(f"/sites/{made.site.id}?{days_of(made)}&compare=0")).text
    assert "data-change" not in alone and "compared with" not in alone
    assert "Leads before" not in alone and "Leads before" in html


async def test_today_is_compared_as_far_as_it_has_come(world: Any) -> None:
    browser, made = world
    html = (await browser.get(f"/sites/{made.site.id}")).text
    assert re.search(r"both as far as this range has come \(\d\d:00\)", html)


# Trend.


async def test_the_trend_is_a_table_of_the_same_figures_that_says_what_is_not_over(world: Any) -> None:
    browser, made = world
    html = (await browser.get(f"/sites/{made.site.id}?{days_of(made)}")).text
    table = re.search(r'<table class="figures" id="trend-table".*?</table>', html, re.S)[0]  # type: ignore[index]
    rows = re.findall(r'<tr data-state="(\w+)".*?</tr>', table, re.S)
    assert set(rows) <= {"done", "open", "ahead"}
    sums = [
        sum(int(n) for n in column)
        for column in zip(
            *(
                re.findall(r'<td data-n="(\d+)"', row)
                for row in re.findall(r'<tr data-state="done".*?</tr>', table, re.S)
            ),
            strict=True,
        )
    ]
    assert (sums[0], sums[2], sums[4]) == (2, 5, 1)  # sessions, leads and sealed, each beside the one before


STEPS = {
    "day=today": "hour",
    "day=yesterday": "hour",
    "range=7d": "day",
    "range=30d": "day",
    "range=month": "day",
}


@pytest.mark.parametrize(("query", "step"), STEPS.items())
async def test_the_trend_goes_by_hours_or_days_as_the_range_is_long(
    signed_in: Any, make_world: Any, query: str, step: str
) -> None:
    browser, user_id = await signed_in()
    made = await make_world(user_id)
    await made.owner.execute(
        "INSERT INTO counter_journal (site_id, changed_at, last_event_at) VALUES ($1, now(), now())",
        made.site.id,
    )
    html = (await browser.get(f"/sites/{made.site.id}?{query}")).text
    assert f'id="trend-table" data-step="{step}"' in html
    assert html.count('data-state="open"') == (0 if query == "day=yesterday" else 1)


async def test_a_long_range_goes_by_weeks(world: Any) -> None:
    browser, made = world
    first = (made.start - timedelta(days=100)).date()
    html = (await browser.get(f"/sites/{made.site.id}?first={first}&last={made.end.date()}")).text
    assert 'data-step="week"' in html
    assert "Week of " in html


# Breakdowns.


async def test_breakdowns_lead_to_the_leads_of_their_rows(world: Any) -> None:
    browser, made = world
    html = (await browser.get(f"/sites/{made.site.id}/cards/breakdowns?{days_of(made)}")).text
    links = {unescape(link) for link in re.findall(rf'href="(/sites/{made.site.id}/leads[^"]*)"', html)}
    wanted = [query_of(link) for link in links]
    for name, value in {
        "source": "First Click (Paid)", "channel": "paid_search", "campaign": "istanbul", "keyword": "kiralık vinç",
        "matchtype": "e", "place": "İstanbul/Kadıköy", "device": "mobile", "page": "/vinc",
    }.items():  # fmt: skip
        assert any(query.get(name) == value for query in wanted), name
    assert any(query.get("campaign") == "-" for query in wanted), "what has no campaign can be opened, too"
    words = text_of(html)
    assert "Kadıköy, İstanbul 1 50% 3 1" in words
    assert "Exact match" in words and "Phone" in words
    sealed = next(link for link in links if query_of(link).get("keyword") == "kiralık vinç")
    assert (await browser.get(sealed)).status_code == 200


async def test_hours_of_the_week_are_a_table_by_the_sites_own_clock(world: Any) -> None:
    browser, made = world
    html = (await browser.get(f"/sites/{made.site.id}/cards/breakdowns?{days_of(made)}")).text
    table = re.search(r'<table class="hours">.*?</table>', html, re.S)[0]  # type: ignore[index]
    assert table.count("<td ") == 7 * 24
    at = made.at(3).astimezone(ZoneInfo("Europe/Istanbul"))
    assert f"hour-{at.isoweekday()}-{at.hour}" in table
    cells = {
        (query["weekday"], query["hour"])
        for query in (query_of(unescape(link)) for link in re.findall(r'href="([^"]+)"', table))
    }
    leads = [made.at(hours).astimezone(ZoneInfo("Europe/Istanbul")) for hours in (1.1, 3, 2.1, 6, 7)]
    assert cells == {(str(each.isoweekday()), str(each.hour)) for each in leads}


async def test_all_rows_of_a_breakdown_are_a_page_of_their_own(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    made = await make_world(user_id, empty=True)
    for n in range(9):
        await made.visit(
            f"v{n}",
            made.at(1),
            {"attribution_source": "Organic", "channel": "organic_search", "is_paid": False},
            utm_campaign=f"campaign {n}",
        )
    await made.count()
    card = (await browser.get(f"/sites/{made.site.id}/cards/breakdowns?{days_of(made)}")).text
    assert "3 others" in card and f"/sites/{made.site.id}/breakdown/campaign?" in card
    page = await browser.get(f"/sites/{made.site.id}/breakdown/campaign?{days_of(made)}")
    assert page.status_code == 200
    assert all(f"campaign {n}" in page.text for n in range(9))
    assert (await browser.get(f"/sites/{made.site.id}/breakdown/nonsense")).status_code == 404
    assert (await browser.get(f"/sites/{made.site.id}/breakdown/hour")).status_code == 404


# What the address asks for.


async def test_range_scope_and_comparison_are_in_every_link(world: Any) -> None:
    browser, made = world
    own = f"/sites/{made.site.id}"
    html = unescape((await browser.get(f"{own}?range=7d&scope=paid&compare=0&status=junk")).text)
    assert f'href="{own}?scope=paid&compare=0"' in html  # today
    assert f'href="{own}?scope=paid&compare=0&range=30d"' in html
    assert f'href="{own}?range=7d&compare=0"' in html  # all traffic
    assert f'href="{own}?range=7d&scope=paid"' in html  # compared
    assert f'hx-get="{own}/cards/figures?range=7d&scope=paid&compare=0"' in html
    assert f'hx-get="{own}/cards/waiting?range=7d&scope=paid&compare=0"' in html
    assert f'hx-get="{own}/cards/breakdowns?range=7d&scope=paid&compare=0"' in html
    assert '<input type="hidden" name="scope" value="paid">' in html
    current = re.findall(r'<a class="chip" href="[^"]+" aria-current="true">([^<]+)<', html)
    assert current == ["7 days", "Paid traffic", "Not compared"]


async def test_today_ends_with_the_sites_day_and_fixed_days_never(world: Any) -> None:
    browser, made = world
    zone = ZoneInfo("Europe/Istanbul")
    midnight = datetime.combine(datetime.now(zone).date() + timedelta(days=1), datetime.min.time(), zone)
    ends = {}
    for query in ("", "?day=yesterday", "?range=30d", f"?{days_of(made)}"):
        found = re.search(r'data-ends="(\d+)"', (await browser.get(f"/sites/{made.site.id}{query}")).text)
        ends[query] = found and int(found[1])
    assert ends == {
        "": midnight.timestamp(), "?day=yesterday": midnight.timestamp(), "?range=30d": midnight.timestamp(),
        f"?{days_of(made)}": None,
    }  # fmt: skip


BAD = {
    "reversed": "first=2026-02-02&last=2026-02-01",
    "too long": "first=2026-01-01&last=2026-12-31",
    "half of it": "first=2026-02-01",
    "no day": "day=tomorrow",
    "two at once": "day=today&range=7d",
    "nonsense": "first=x&last=%00",
}


@pytest.mark.parametrize("query", BAD.values(), ids=BAD.keys())
async def test_a_bad_range_is_answered_in_words_with_a_way_on(
    signed_in: Any, own_site: Any, query: str
) -> None:
    words = {"en": "That range cannot be shown", "tr": "Bu aralık gösterilemiyor"}
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    for language, said in words.items():
        answer = await browser.get(f"/sites/{site.id}?{query}", accept_language=language)
        assert answer.status_code == 400
        assert said in answer.text and "184" in answer.text
        assert f'href="/sites/{site.id}"' in answer.text
    part = await browser.get(f"/sites/{site.id}/cards/figures?{query}", hx_request="true")
    assert (part.status_code, part.text) == (400, "")


# Nothing there.


async def test_without_a_lead_it_says_where_they_come_from_and_offers_another_look(
    web: Any, signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, domain="shop.example")
    await visit(web, site)
    html = (await browser.get(f"/sites/{site.id}?scope=paid")).text
    note = re.search(r'id="no-leads">.*?</div>', html, re.S)[0]  # type: ignore[index]
    assert "forms sent on shop.example" in note
    links = [unescape(link) for link in re.findall(r'href="([^"]+)"', note)]
    assert links == [
        f"/sites/{site.id}",
        f"/sites/{site.id}?scope=paid&range=30d",
        f"/sites/{site.id}/install",
    ]
    assert "Nobody from paid traffic waits." in html
    card = (await browser.get(f"/sites/{site.id}/cards/breakdowns")).text
    assert "names a campaign" in card


async def test_without_an_event_there_is_the_way_to_install_and_no_chart_of_nothing(
    signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    html = (await browser.get(f"/sites/{site.id}")).text
    assert f'href="/sites/{site.id}/install"' in html
    assert 'id="trend-table"' not in html and "/cards/breakdowns" not in html


# What it weighs and costs.


async def test_script_and_style_of_the_first_load_stay_below_a_hundred_kilobytes(world: Any) -> None:
    browser, made = world
    html = (await browser.get(f"/sites/{made.site.id}")).text
    files = set(re.findall(r'(?:src|href)="/static/([\w.]+\.(?:js|css))\?v=', html))
    assert {"uplot.js", "overview.js", "htmx.js", "style.css", "overview.css"} <= files
    packed = sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in files)
    assert packed < 100_000, packed


def _noting(was: Any, asked: list[str]) -> Any:
    def noted(self: Any, sql: str, *args: Any, **more: Any) -> Any:
        asked.append(sql)
        return was(self, sql, *args, **more)

    return noted


async def test_a_page_asks_the_database_a_handful_of_times(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tiles, buckets and rows there are."""
    from asyncpg import Connection

    browser, made = world
    asked: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval"):
        monkeypatch.setattr(Connection, name, _noting(getattr(Connection, name), asked))
    counts = {}
    for path in ("", "/cards/figures", "/cards/waiting", "/cards/breakdowns"):
        asked.clear()
        assert (await browser.get(f"/sites/{made.site.id}{path}?range=7d")).status_code == 200
        counts[path] = len([sql for sql in asked if "sign_in" not in sql])
    assert counts[""] <= 10 and counts["/cards/figures"] <= 8, counts
    assert counts["/cards/waiting"] <= 4 and counts["/cards/breakdowns"] <= 4, counts
