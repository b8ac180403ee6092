"""The list of sites: each with its pulse, what needs attention first, and a tracker's silence judged by what is usual."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from opsmantik import clock
from opsmantik.dashboard.cards.sites_pulse import BLOCKED, MISSED, SitePulse, sites_pulse
from tests.web.world import HOUR, ORGANIC, PAID

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = re.compile(r'<li class="site" id="site-([0-9a-f-]{36})"')
HEALTH = {
    "nothing ever": (None, None, "never"),
    "a minute ago": (1, None, "receiving"),
    "ten minutes ago": (10, 20.0, "receiving"),
    "an hour ago, at night": (60, 0.3, "calm"),
    "an hour ago, where nothing is known of before": (60, None, "calm"),
    "an hour ago, and that is long": (60, float(MISSED), "silent"),
    "days ago, in a site that hardly anybody visits": (60 * 72, MISSED - 0.1, "calm"),
}


@pytest.mark.parametrize(("minutes", "usual", "expected"), HEALTH.values(), ids=HEALTH.keys())
def test_a_silence_is_judged_by_what_is_usual(
    minutes: int | None, usual: float | None, expected: str
) -> None:
    at = None if minutes is None else NOW - timedelta(minutes=minutes)
    assert SitePulse(0, 0, at, None, usual=usual).health(NOW) == expected


async def pulse_of(app_database: Any, world: Any) -> SitePulse:
    now = await world.owner.fetchval("SELECT now()")
    row = await world.owner.fetchrow("SELECT time_zone FROM sites WHERE id = $1", world.site.id)
    zone = row["time_zone"]
    days = {world.site.id: clock.site_day(zone, clock.today(zone, now))}
    async with app_database.as_person(world.site.user_id) as (connection, _):
        return (await sites_pulse(connection, days, now))[world.site.id]


async def fell_silent(world: Any, ago: timedelta, age: timedelta = timedelta(days=30)) -> datetime:
    """The site, of this age, last sent something so long ago."""
    now: datetime = await world.owner.fetchval("SELECT now()")
    await world.owner.execute("UPDATE sites SET created_at = $2 WHERE id = $1", world.site.id, now - age)
    await world.count()
    await world.owner.execute(
        "INSERT INTO site_pulse (site_id, sequence, changed_at, counted_at, last_event_at) VALUES ($1, 1, now(), now(), $2)"
        " ON CONFLICT (site_id) DO UPDATE SET last_event_at = $2",
        world.site.id,
        now - ago,
    )
    return now


async def test_what_is_usual_is_the_mean_of_the_same_hours_of_seven_days(
    signed_in: Any, make_world: Any, app_database: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    now = await world.owner.fetchval("SELECT date_trunc('hour', now())")
    for day in range(1, 8):  # two hours of the silence with two visits each, and a visit outside of it
        for hours in (-1.5, -2.5):
            for n in range(2):
                await world.visit(f"{day}{hours}{n}", now - timedelta(days=day) + hours * HOUR, ORGANIC)
        await world.visit(f"{day}out", now - timedelta(days=day) - 6 * HOUR, ORGANIC)
    silence = await world.owner.fetchval("SELECT now() - $1", now) + 3 * HOUR
    await fell_silent(world, silence)
    pulse = await pulse_of(app_database, world)
    assert pulse.usual == pytest.approx(4, abs=0.1), "two hours with two visits each, every day"
    assert pulse.health(now + silence - 3 * HOUR) == "calm"
    # A site of two days has two days to go by.
    await fell_silent(world, silence, age=timedelta(days=2) + silence)
    assert (await pulse_of(app_database, world)).usual == pytest.approx(14, abs=0.2)
    # A longer silence is measured by whole days: the two before it had five visits each.
    await fell_silent(world, timedelta(hours=36) + silence, age=timedelta(days=30))
    days = (timedelta(hours=36) + silence) / timedelta(days=1)
    # Those of the six days before it began, as of the seventh from the end there are none yet.
    assert (await pulse_of(app_database, world)).usual == pytest.approx(days * 5 * 6 / 7, rel=0.15)


async def test_a_site_that_sends_has_no_silence_and_one_without_a_past_none_to_go_by(
    signed_in: Any, make_world: Any, app_database: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    await fell_silent(world, timedelta(minutes=3))
    assert (await pulse_of(app_database, world)).usual is None
    empty = await make_world(user_id, empty=True)
    pulse = await pulse_of(app_database, empty)
    assert (pulse.usual, pulse.last_event_at, pulse.leads, pulse.visitors, pulse.refused) == (
        None,
        None,
        0,
        0,
        0,
    )
    assert [leads for _, leads in pulse.leads_by_day] == [0] * 7


async def test_the_pulse_is_todays_leads_and_worth_the_weeks_waiting_and_who_is_there_now(
    signed_in: Any, make_world: Any, app_database: Any
) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    now = await world.owner.fetchval("SELECT now()")
    await world.visit("here", now - timedelta(minutes=8), PAID, last_event_at=now - timedelta(minutes=1))
    await world.visit("gone", now - timedelta(minutes=50), PAID, last_event_at=now - timedelta(minutes=40))
    await world.lead("today", now, "here")
    await world.lead("sealed", now, "here", status="sealed", sale_amount=Decimal("1250.5"), confirmed_at=now)
    await world.lead("dollars", now, "here", status="sealed", sale_amount=5, currency="USD", confirmed_at=now)
    await world.lead("tuesday", now - timedelta(days=3), None, source="api", intent_action=None, intent_target=None,
                     intent_stamp=None)  # fmt: skip
    await world.lead("long ago", now - timedelta(days=8), None, source="api", intent_action=None, intent_target=None,
                     intent_stamp=None)  # fmt: skip
    await fell_silent(world, timedelta(seconds=5))
    pulse = await pulse_of(app_database, world)
    assert (pulse.leads, pulse.waiting, pulse.waiting_week, pulse.sealed) == (3, 1, 2, 2)
    assert pulse.amount == Decimal("1250.5"), "money in another currency is no part of the sum"
    assert pulse.visitors == 1
    assert [leads for _, leads in pulse.leads_by_day] == [0, 0, 0, 1, 0, 0, 3]
    html = (await browser.get("/sites")).text
    assert "₺1,250.50" in html and "Receiving" in html
    assert re.search(r'aria-label="Leads of 7 days: (\d+ \w{3} \d, ){6}\d+ \w{3} 3"', html), (
        "the bars in words"
    )


async def test_refused_origins_are_told_from_so_many_on(signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    hour = await world.owner.fetchval("SELECT date_trunc('hour', now())")
    row = {"site_id": world.site.id, "hour": hour, "outcome": "origin_refused", "n": BLOCKED - 1}
    await world.insert("ingest_tally", row)
    assert "refused" not in (await browser.get("/sites")).text
    await world.insert("ingest_tally", row | {"hour": hour - 5 * HOUR, "n": 3})
    html = (await browser.get("/sites")).text
    assert f"{BLOCKED + 2} events of unknown origins refused in 24 h" in html
    assert f'href="/sites/{world.site.id}/settings/origins"' in html
    await world.owner.execute(
        "UPDATE ingest_tally SET hour = hour - interval '2 days' WHERE site_id = $1", world.site.id
    )
    assert "refused" not in (await browser.get("/sites")).text


async def test_first_comes_what_needs_somebody_or_the_order_that_the_address_asks_for(
    signed_in: Any, make_world: Any, owner: Any
) -> None:
    browser, user_id = await signed_in()
    names: dict[UUID, str] = {}
    for name, empty in (("anton", True), ("berta", False), ("cäsar", False), ("dora", True)):
        world = await make_world(user_id, empty=empty, name=name, domain=f"{name[0]}.example")
        names[world.site.id] = name
        if name == "berta":  # as many leads wait here, and it has fallen silent besides
            now = await owner.fetchval("SELECT now()")
            for n in range(40):
                await world.visit(f"b{n}", now - timedelta(days=n % 6 + 2, hours=n % 3), ORGANIC)
            await fell_silent(world, timedelta(days=1, hours=3), age=timedelta(days=9))
        elif name == "dora":
            await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", world.site.id)
        elif not empty:
            await fell_silent(world, timedelta(minutes=1))

    async def order(query: str) -> list[str]:
        return [names[UUID(found)] for found in NAME.findall((await browser.get(f"/sites{query}")).text)]

    assert await order("") == ["berta", "anton", "cäsar"]
    assert await order("?sort=name") == ["anton", "berta", "cäsar"]
    assert await order("?sort=nonsense") == ["berta", "anton", "cäsar"]
    assert await order("?q=CASAR") == ["cäsar"], "case and marks are easily left out"
    assert await order("?q=b.example") == ["berta"]
    html = (await browser.get("/sites")).text
    assert "Silent for 1 d 3 h, in which about" in html and "Not installed" in html
    off = html.split('class="sites-off"')[1]
    assert "dora" in off and "anton" not in off
    html = (await browser.get("/sites?q=%3Cb%3E")).text
    assert "No site is called “&lt;b&gt;”." in html


async def test_the_search_box_comes_with_many_sites_and_two_statements_do_for_all(
    signed_in: Any, make_site: Any, owner: Any, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncpg

    browser, user_id = await signed_in()
    for n in range(9):
        site = await make_site(name=f"Site {n}")
        await owner.execute("UPDATE sites SET user_id = $2 WHERE id = $1", site.id, user_id)
    asked: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        method = getattr(asyncpg.Connection, name)

        async def record(self: Any, sql: str, *arguments: Any, method: Any = method, **more: Any) -> Any:
            asked.append(sql)
            return await method(self, sql, *arguments, **more)

        monkeypatch.setattr(asyncpg.Connection, name, record)
    html = (await browser.get("/sites?sort=name&q=site")).text
    assert len(NAME.findall(html)) == 9 and 'type="search"' in html
    about = [sql for sql in asked if re.search(r"FROM sites\b|\bsites s\b", sql)]
    assert len(about) == 2, about


async def test_nobody_sees_the_sites_of_others(signed_in: Any, reader: Any) -> None:
    _, world = reader
    browser, _ = await signed_in()
    html = (await browser.get("/sites")).text
    assert str(world.site.id) not in html and "No site yet" in html
