"""Links to a site's figures: who makes one, what it shows, and all that it does not open."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards.breakdown import Part, Rest, Row
from opsmantik.dashboard.shared import LEAST, MOST_ROWS, folded
from opsmantik.db.connect import Asker
from opsmantik.errors import Unprocessable
from opsmantik.sites import share_links
from opsmantik.web.bars import bars, top_of
from opsmantik.web.pace import FREE_SECONDS, LOOK_SECONDS, REFUSED_SECONDS, Pace
from tests.web.team import acts, new_team, text_of
from tests.web.world import ORGANIC, PAID

pytestmark = pytest.mark.slow

ISTANBUL = ZoneInfo("Europe/Istanbul")
LINK = re.compile(r'id="share-link"[^>]*>https?://[^/]+(/share/[A-Za-z0-9_-]{43})<')


@pytest.fixture(autouse=True)
def fresh_pace(web: Any) -> None:
    """All tests come from one network, and some of them try addresses."""
    web.app._framework.state["share_pace"] = Pace()


async def new_link(person: Any, site: Any, **fields: str) -> str:
    """A link made as its owner makes one: its path."""
    settings = f"/sites/{site.id}/settings/sharing"
    answer = await person.submit(settings, settings, **{"name": "For the agency", "life": "90", **fields})
    assert answer.status_code == 200, answer.text
    found = LINK.search(answer.text)
    assert found, answer.text
    return found[1]


@pytest.fixture
async def shared(web: Any, signed_in: Any, make_world: Any) -> Any:
    """A filled world, its owner's browser, and the path of a link to its figures."""
    browser, user_id = await signed_in()
    world = await make_world(user_id, name="Vinç Kiralama")
    return world, browser, await new_link(browser, world.site)


def first_day(world: Any) -> date:
    """The site's own day on which its world begins."""
    found: date = world.start.astimezone(ISTANBUL).date()
    return found


def days(world: Any) -> str:
    """The words of an address for the day on which all of the world happened, and the day after."""
    first = first_day(world)
    return f"first={first}&last={first + timedelta(days=1)}"


def tile(html: str, name: str) -> str:
    found = re.search(rf"<h3>{name}</h3>\s*<p class=\"share-value\">([^<]*)<", html)
    assert found, name
    return found[1]


# What it shows.


async def test_a_link_shows_the_figures_to_somebody_without_an_account(shared: Any, web: Any) -> None:
    world, _, link = shared
    answer = await web.browser().get(f"{link}?{days(world)}")
    assert answer.status_code == 200, answer.text
    html = answer.text
    assert "<h1>Vinç Kiralama</h1>" in html
    assert {name: tile(html, name) for name in ("Sessions", "Leads", "Sealed", "Junk")} == {
        "Sessions": "2", "Leads": "5", "Sealed": "1", "Junk": "1",
    }  # fmt: skip
    assert tile(html, "Conversion rate") == "50%" and "worth ₺1,500.50" in html
    assert "First Click (Paid)" in html and "Organic" in html
    assert not re.search(r"<script|\sstyle=|\son[a-z]+=", html)


async def test_a_link_tells_nothing_of_anybody(shared: Any, web: Any, owner: Any) -> None:
    """Not a row, number, note, name, click id, keyword or campaign of two visits, district or id."""
    world, _, link = shared
    html = (await web.browser().get(f"{link}?{days(world)}")).text
    digits = re.sub(r"\D", "", text_of(html))
    for mark in (
        "532", "905321234567", "Cj0KCQiA", "called back", "Ayşe", "visitor-1", "kiralık vinç", "Kadıköy", "İstanbul",
        "shop.example/", "spam", "Safari", "teklif", "@example.com", "For the agency", str(world.site.id),
        world.site.public_id,
    ):  # fmt: skip
        assert mark not in html, mark
    assert "905321234567" not in digits
    for name in world.ids:
        assert str(world.ids[name]) not in html


async def test_what_is_common_is_named_and_what_is_rare_is_counted_together(shared: Any, web: Any) -> None:
    world, _, link = shared
    for n in range(LEAST - 1):  # with the one of the world there are three
        await world.visit(f"more {n}", world.at(4 + n), PAID)
    await world.visit(
        "rare",
        world.at(5),
        PAID | {"utm_term": "Dr. Ayşe Yılmaz", "utm_campaign": "rare", "city": "Bozcaada"},
    )
    await world.count()
    html = (await web.browser().get(f"{link}?{days(world)}")).text
    words = text_of(html)
    assert "kiralık vinç" in html and "istanbul" in html and "İstanbul" in html and "Kadıköy" not in html
    assert "Yılmaz" not in html and "Bozcaada" not in html and ">rare" not in html
    # Of five visits three have the keyword, one has a rare one, one has none.
    assert re.search(
        r"Keyword .*?kiralık vinç 3 \d+ \d+ .*?None, or not known 1 \d+ \d+ .*?1 other 1 0 0", words
    )
    assert "fewer than 3 visits" in words


async def test_a_link_for_paid_traffic_shows_nothing_else_whatever_is_asked(
    web: Any, signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    link = await new_link(browser, world.site, paid_only="on")
    for scope in ("", "&scope=all", "&scope=paid"):
        html = (await web.browser().get(f"{link}?{days(world)}{scope}")).text
        assert tile(html, "Sessions") == "1" and "Organic" not in html
        assert "scope=paid" not in html and "All traffic" not in html
    whole = await new_link(browser, world.site)
    assert tile((await web.browser().get(f"{whole}?{days(world)}&scope=paid")).text, "Sessions") == "1"


async def test_the_chart_s_bars_are_as_high_as_their_figures(shared: Any, web: Any) -> None:
    world, _, link = shared
    next_noon = datetime.combine(first_day(world) + timedelta(days=1), time(12), ISTANBUL)
    for n in range(6):
        await world.visit(f"next {n}", world.start + timedelta(minutes=n) if n < 3 else next_noon, ORGANIC)
    await world.count()
    html = (await web.browser().get(f"{link}?{days(world)}")).text
    chart = html[html.index("<figure") : html.index("</figure>")]
    drawn = [
        (int(value), float(height))
        for value, height in re.findall(r'data-value="(\d+)"[^>]*height="([\d.]+)"', chart)
    ]
    assert sum(value for value, _ in drawn) == 8 and len(drawn) >= 2
    top = top_of([value for value, _ in drawn])
    assert all(height == pytest.approx(100 * value / top, abs=0.01) for value, height in drawn)
    # And the same figures stand in the table.
    table = html[html.index('class="share-scroll"') : html.index("</table>")]
    sessions = re.findall(r'<th scope="row">[^<]*</th>\s*<td class="num">(\d+|—)</td>', table)
    assert [value for value in map(int, filter(str.isdigit, sessions)) if value] == [
        value for value, _ in drawn
    ]


async def test_whatever_range_is_asked_for_the_page_is_there(shared: Any, web: Any) -> None:
    _, _, link = shared
    browser = web.browser()
    for query in (
        "",
        "?day=yesterday",
        "?range=7d",
        "?range=30d",
        "?range=month",
        "?first=2026-01-01&last=2026-06-30",
    ):
        assert (await browser.get(link + query)).status_code == 200, query
    for query in ("?first=2026-01-01", "?range=1y", "?first=2020-01-01&last=2026-01-01", "?day=x&range=7d"):
        answer = await browser.get(link + query)
        assert answer.status_code == 422 and "cannot be shown" in answer.text, query
    # Instants, filters and whatever else an address may hold elsewhere mean nothing here.
    plain = tile((await browser.get(link)).text, "Sessions")
    odd = await browser.get(f"{link}?from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&campaign=x&q=%27%00")
    assert (
        odd.status_code == 200
        and tile(odd.text, "Sessions") == plain
        and "campaign" not in odd.text.split("<main")[0]
    )


async def test_the_page_is_in_the_browser_s_language_or_in_the_one_that_is_chosen(
    shared: Any, web: Any
) -> None:
    _, _, link = shared
    turkish = await web.browser().get(link, accept_language="tr-TR,tr;q=0.9")
    assert '<html lang="tr">' in turkish.text and "Oturumlar" in turkish.text
    chosen = await web.browser().get(f"{link}?range=7d&lang=en", accept_language="tr")
    assert '<html lang="en">' in chosen.text
    assert f'href="{link}?day=yesterday&amp;lang=en"' in chosen.text


async def test_the_answer_protects_the_address_and_leaves_nothing_in_the_browser(
    shared: Any, web: Any
) -> None:
    _, own, link = shared
    for browser in (web.browser(), own):  # also where somebody is signed in
        answer = await browser.get(link)
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"].startswith("noindex")
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        assert '<meta name="robots" content="noindex' in answer.text
    assert "set-cookie" not in (await web.browser().get("/share/" + "x" * 43)).headers


# How it ends.


async def test_a_revoked_an_expired_and_an_invented_link_look_alike(
    shared: Any, web: Any, owner: Any
) -> None:
    world, browser, link = shared
    ended = await new_link(browser, world.site)
    await owner.execute(
        "UPDATE share_links SET expires_at = now() WHERE site_id = $1 AND created_at = (SELECT max(created_at) FROM"
        " share_links WHERE site_id = $1)",
        world.site.id,
    )
    settings = f"/sites/{world.site.id}/settings/sharing"
    html = (await browser.get(settings)).text
    share_ids = re.findall(r'action="([^"]+)/revoke"', html)
    assert len(share_ids) == 2 and "ended" in text_of(html)
    answer = await browser.submit(settings, f"{share_ids[1]}/revoke")
    assert answer.status_code == 303
    answers = [await web.browser().get(path) for path in (link, ended, "/share/" + "x" * 43, "/share/short")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert (await browser.submit(settings, f"{share_ids[1]}/revoke")).status_code == 404


async def test_a_site_that_is_switched_off_shows_nothing(shared: Any, web: Any, owner: Any) -> None:
    world, _, link = shared
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", world.site.id)
    assert (await web.browser().get(link)).status_code == 404


async def test_a_link_is_kept_as_a_hash_and_shown_once(shared: Any, owner: Any) -> None:
    world, browser, link = shared
    token = link.rpartition("/")[2]
    row = await owner.fetchval("SELECT share_links::text FROM share_links WHERE site_id = $1", world.site.id)
    assert token not in row
    html = (await browser.get(f"/sites/{world.site.id}/settings/sharing")).text
    assert token not in html and "For the agency" in html and "never opened" in html


async def test_its_use_is_noted(shared: Any, web: Any) -> None:
    world, browser, link = shared
    await web.browser().get(link)
    html = (await browser.get(f"/sites/{world.site.id}/settings/sharing")).text
    assert "last opened" in html and "never opened" not in html


# Who makes one.


async def test_who_changes_settings_makes_and_revokes_links_and_the_log_knows(web: Any, owner: Any) -> None:
    team = await new_team(owner, web)
    here = f"{team.settings}/sharing"
    made = await team.admin.post(here, name="  For\n the  agency ", life="30")
    assert made.status_code == 200 and LINK.search(made.text)
    for who in ("operator", "analyst"):
        somebody = getattr(team, who)
        assert (await somebody.post(here, name="x")).status_code == 403
        assert (await somebody.browser.get(here)).status_code == 403
    assert (await team.stranger.post(here, name="x")).status_code == 404
    [share_id] = await owner.fetch("SELECT id FROM share_links WHERE site_id = $1", team.site.id)
    gone = f"{here}/{share_id['id']}/revoke"
    assert [
        (await getattr(team, who).post(gone)).status_code for who in ("analyst", "stranger", "owner")
    ] == [403, 404, 303]
    assert await acts(owner, team) == [
        ("sharing.make", "For the agency"),
        ("sharing.revoke", "For the agency"),
    ]
    log = text_of((await team.owner.browser.get(f"{team.settings}/log")).text)
    assert "Made a link to the figures: For the agency" in log and "Revoked the link" in log


async def test_another_site_s_link_cannot_be_revoked(shared: Any, web: Any, owner: Any) -> None:
    world, _, link = shared
    team = await new_team(owner, web)
    share_id = await owner.fetchval("SELECT id FROM share_links WHERE site_id = $1", world.site.id)
    assert (await team.owner.post(f"{team.settings}/sharing/{share_id}/revoke")).status_code == 404
    assert (await web.browser().get(link)).status_code == 200


async def test_there_are_twenty_at_most_and_each_has_a_name(web: Any, owner: Any) -> None:
    team = await new_team(owner, web)
    here = f"{team.settings}/sharing"
    for name in ("", "   ", "x" * 101):
        answer = await team.owner.post(here, name=name)
        assert answer.status_code == 422 and 'id="name-problem"' in answer.text
    asker = Asker(team.owner.id, ("owner",))
    database = web.app._page_database
    async with database.as_person(asker, write=True) as (connection, _):
        for n in range(share_links.MOST):
            await share_links.make_link(
                connection, team.site.id, f"No. {n}", paid_only=False, expires_at=None, now=datetime.now(UTC)
            )
    answer = await team.owner.post(here, name="one more")
    assert answer.status_code == 422 and "There are 20 links already" in answer.text
    assert len(re.findall("/revoke", answer.text)) == share_links.MOST


@pytest.mark.parametrize("ends", [timedelta(0), timedelta(days=-1), timedelta(days=4000)])
async def test_a_link_ends_in_the_future(app_database: Any, make_site: Any, ends: timedelta) -> None:
    site, now = await make_site(), datetime.now(UTC)
    async with app_database.as_person(site.user_id, write=True) as (connection, _):
        with pytest.raises(Unprocessable):
            await share_links.make_link(
                connection, site.id, "x", paid_only=False, expires_at=now + ends, now=now
            )


# What it does not open: the address, and the transaction behind it.


async def test_the_token_opens_no_other_address(shared: Any, web: Any) -> None:
    world, _, link = shared
    token = link.rpartition("/")[2]
    site = f"/sites/{world.site.id}"
    stranger = web.browser(authorization=f"Bearer {token}", **{"x-api-key": token})
    stranger.http.cookies.set("opsmantik", token)
    for path in (site, f"{site}/leads", f"{site}/settings/sharing", f"{site}/settings/members"):
        assert (await stranger.get(path)).status_code in (303, 401, 403, 404), path
    for path in ("command-centre", "intents", "sessions", f"intents/{world.ids['sealed']}", "stream", "acts"):
        answer = await stranger.get(f"{world.path}/{path}", accept="application/json")
        assert answer.status_code in (401, 404), path
    for below in ("/leads", "/settings", "/../sites", f"/{world.ids['sealed']}"):
        assert (await web.browser().get(link + below)).status_code == 404, below
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await web.browser().http.request(method, link)).status_code == 405


async def holder(world: Any, database: Any, link: str) -> Asker:
    found = await share_links.shared_by(database, link.rpartition("/")[2])
    assert found is not None and found.site_id == world.site.id
    return found.asker


async def test_its_transaction_sees_one_site_as_nobody_and_writes_nothing(
    shared: Any, web: Any, make_world: Any, signed_in: Any, owner: Any
) -> None:
    world, _, link = shared
    _, stranger_id = await signed_in()
    other = await make_world(stranger_id, name="Another")
    database = web.app._page_database
    asker = await holder(world, database, link)
    async with database.as_person(asker, write=True) as (connection, person):
        assert person.sites == (world.site.id,) and person.user_id is None and not person.is_admin
        assert await asked_site(connection, person, str(other.site.id)) is None
        site = await asked_site(connection, person, str(world.site.id))
        assert site is not None and site.role == ""
        for table in ("sites", "calls", "sessions", "events", "counter_days", "share_links", "site_acts"):
            column = "id" if table == "sites" else "site_id"
            rows = await connection.fetch(f"SELECT DISTINCT {column} FROM {table}")
            assert {row[0] for row in rows} <= {world.site.id}, table
        for personal in ("summary_wishes", "notice_wishes", "users", "profiles", "sign_ins", "person_keys"):
            assert await connection.fetchval(f"SELECT count(*) FROM {personal}") == 0, personal
        assert await connection.fetchval("SELECT site_role($1)", world.site.id) is None
        assert (
            await connection.fetchval("SELECT actor_name($1, $2)", world.site.id, world.site.user_id) is None
        )
        assert await connection.fetchval("SHOW transaction_read_only") == "on"
    acting = {
        "make a link": ("SELECT make_share_link($1, $2, $2, $3, 'x', false, NULL, 20)", [uuid4(), b"x" * 32]),
        "write the log": ("SELECT note_act($1, $2, 'sharing.make', 'x', '{}')", [uuid4()]),
        "wish for mail": ("SELECT wish_summary($1, 'daily', 8::smallint, 'en', now())", []),
        "decide": ("SELECT lead_cases($1, ARRAY[$2::uuid], true)", [world.ids["waiting"]]),
    }
    for what, (statement, values) in acting.items():
        async with database.connection() as connection, connection.transaction():
            await connection.fetchrow("SELECT * FROM enter_share_link($1, $2)", asker.only, asker.link)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement, world.site.id, *values)
            assert what


async def test_a_link_that_was_revoked_meanwhile_sees_nothing(shared: Any, web: Any, owner: Any) -> None:
    world, _, link = shared
    database = web.app._page_database
    asker = await holder(world, database, link)
    await owner.execute("DELETE FROM share_links WHERE site_id = $1", world.site.id)
    async with database.as_person(asker) as (connection, person):
        assert person.sites == () and await asked_site(connection, person, str(world.site.id)) is None
        assert await connection.fetchval("SELECT count(*) FROM calls") == 0


# How fast.


async def test_who_tries_addresses_has_to_wait_and_is_told_how_long(web: Any) -> None:
    statuses = []
    for _ in range(8):
        answer = await web.browser().get("/share/" + "x" * 43)
        statuses.append(answer.status_code)
    assert statuses == [404] * 6 + [429] * 2
    assert 0 < int(answer.headers["retry-after"]) <= REFUSED_SECONDS
    assert "Too many requests" in answer.text


def test_time_pays_off_what_a_network_has_asked() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    for _ in range(int(FREE_SECONDS / LOOK_SECONDS) + 1):
        assert pace.wait("192.0.2.1") == 0
        pace.charge("192.0.2.1")
    assert pace.wait("192.0.2.1") == pytest.approx(1) and pace.wait("192.0.2.2") == 0
    now[0] += 1
    assert pace.wait("192.0.2.1") == 0
    # One home has one network of IPv6.
    pace.charge("2001:db8::1", 100)
    assert pace.wait("2001:db8::2") == pytest.approx(40) and pace.wait("2001:db8:0:1::1") == 0


# What is folded, and how high a bar is: pure.


def row(value: str | None, sessions: int, leads: int = 0) -> Row:
    return Row(
        value=value, city=None, district=None, weekday=None, hour=None, sessions=sessions, paid_sessions=0,
        sessions_with_click_id=0, leads=leads, leads_with_click_id=0, sealed=0, junk=0, sealed_amount=0, share=None,
        conversion_rate=None,
    )  # fmt: skip


def rest(values: int, sessions: int) -> Rest:
    return Rest(
        values=values, sessions=sessions, paid_sessions=0, sessions_with_click_id=0, leads=0, leads_with_click_id=0,
        sealed=0, junk=0, sealed_amount=0, share=None, conversion_rate=None,
    )  # fmt: skip


FOLDS: dict[str, tuple[str, list[Row], Rest | None, list[tuple[str, str, int, int]]]] = {
    "three are enough": ("keyword", [row("a", 3)], None, [("value", "a", 1, 3)]),
    "two are not": ("keyword", [row("a", 2)], None, [("other", "", 1, 2)]),
    "a lead without a visit is not either": ("campaign", [row("a", 0, 4)], None, [("other", "", 1, 0)]),
    "our own words may be rare": ("source", [row("Organic", 1)], None, [("value", "Organic", 1, 1)]),
    "what has none stays": ("city", [row(None, 1)], None, [("none", "", 1, 1)]),
    "others are added up": (
        "city", [row("a", 9), row(None, 5), row("b", 2), row("c", 1)], rest(7, 4),
        [("value", "a", 1, 9), ("none", "", 1, 5), ("other", "", 9, 7)],
    ),
    "no more than fit": (
        "device", [row(str(n), 5) for n in range(MOST_ROWS + 2)], None,
        [*(("value", str(n), 1, 5) for n in range(MOST_ROWS)), ("other", "", 2, 10)],
    ),
    "nothing": ("keyword", [], None, []),
}  # fmt: skip


@pytest.mark.parametrize(("dimension", "rows", "beyond", "lines"), FOLDS.values(), ids=FOLDS.keys())
def test_rare_values_are_folded(dimension: str, rows: Any, beyond: Any, lines: Any) -> None:
    found = list(folded(Part(dimension, rows, beyond)))
    assert [(line.kind, line.value, line.values, line.sessions) for line in found] == lines


@pytest.mark.parametrize(
    ("most", "top"), [(0, 2), (1, 2), (2, 2), (3, 4), (5, 6), (7, 10), (11, 20), (41, 60), (99, 100)]
)
def test_the_top_of_a_chart_is_a_round_number(most: int, top: int) -> None:
    assert top_of([0, most, None]) == top


def test_a_bar_takes_up_its_part_of_the_chart() -> None:
    top, found = bars([5, None, 0], [10, 3])
    assert top == 10
    assert [(bar.value, bar.before, bar.height, bar.before_height) for bar in found] == [
        (5, 10, 0.5, 1.0), (None, 3, 0.0, 0.3), (0, None, 0.0, 0.0),
    ]  # fmt: skip
