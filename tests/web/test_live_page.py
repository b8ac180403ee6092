"""The live page: who is on the site now, what they do, and how fresh that is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards.live_visits import LOOKED_AT, fold, live_visits
from tests.web.world import ORGANIC, PAID

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def event(action: str, seconds: int, **more: Any) -> dict[str, Any]:
    at = NOW - timedelta(seconds=seconds)
    return {
        "event_action": action, "event_label": None, "event_value": None, "url": "https://shop.example/vinc?gclid=x",
        "occurred_at": at, "created_at": at, **more,
    }  # fmt: skip


FOLDED = {
    "nothing": ([], []),
    "one of each": (
        [event("whatsapp", 1, event_label="https://wa.me/905321234567"), event("view", 2)],
        [("whatsapp", "+905321234567", "/vinc", 1), ("view", None, "/vinc", 1)],
    ),
    "equal ones in a row": ([event("cta_hover", n) for n in range(3)], [("other", None, "/vinc", 3)]),
    "equal ones with another between": (
        [event("view", 1), event("form_submit", 2, event_label="teklif"), event("view", 3)],
        [("view", None, "/vinc", 1), ("form", "teklif", "/vinc", 1), ("view", None, "/vinc", 1)],
    ),
    "the same number written in two ways": (
        [event("phone_call", 1, event_label="tel:0532 123 45 67"), event("tel_click", 2, event_label="tel:+905321234567")],
        [("phone", "+905321234567", "/vinc", 1), ("phone", "+905321234567", "/vinc", 1)],
    ),
    "another page": (
        [event("view", 1), event("view", 2, url="https://shop.example/")],
        [("view", None, "/vinc", 1), ("view", None, "/", 1)],
    ),
    "an address that is none": ([event("view", 1, url="http://[")], [("view", None, None, 1)]),
}  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), FOLDED.values(), ids=FOLDED.keys())
def test_equal_events_that_follow_each_other_are_one_act(events: Any, expected: Any) -> None:
    assert [(act.kind, act.label, act.path, act.times) for act in fold(events)] == expected


def test_of_scrolling_only_how_far_it_got_is_said_and_from_when_to_when() -> None:
    acts = fold(
        [event("scroll_depth", n, event_value=Decimal(v)) for n, v in ((1, 75), (2, 50), (3, 90), (9, 25))]
    )
    assert [(act.kind, act.value, act.times) for act in acts] == [("scroll", 90, 4)]
    assert (acts[0].last_at, acts[0].first_at) == (NOW - timedelta(seconds=1), NOW - timedelta(seconds=9))


@pytest.fixture
async def at_this_moment(signed_in: Any, make_world: Any) -> Any:
    """A browser and a world whose visits were alive just now, some minutes ago, and hours ago."""
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    now = await world.owner.fetchval("SELECT now()")
    minute = timedelta(minutes=1)
    laid = (
        ("paid", PAID, 40, 0.5), ("organic", ORGANIC, 2, 2), ("gone", ORGANIC, 20, 6), ("old", ORGANIC, 60 * 30, 60 * 29),
        ("endless", ORGANIC, LOOKED_AT / minute + 10, 1),
    )  # fmt: skip
    for name, kind, begun, seen in laid:
        await world.visit(name, now - begun * minute, kind, last_event_at=now - seen * minute)
    await world.event("view", now - 40 * minute, "paid", "view")
    for n in range(3):
        await world.event(f"tap{n}", now - (3 - n / 10) * minute, "paid", "phone_call", event_category="conversion",
                          event_label="tel:+905321234567")  # fmt: skip
    await world.event("beat", now - 0.5 * minute, "paid", "heartbeat", event_category="system")
    late = await world.event("late", now - 2 * minute, "organic", "view")
    await world.owner.execute(
        "UPDATE events SET occurred_at = created_at - interval '8 s' WHERE site_id = $1 AND id = $2",
        world.site.id,
        late,
    )
    await world.lead("tap", now - 3 * minute, "paid")
    await world.count()
    return browser, world, now


async def seen(app_database: Any, world: Any, now: Any, **more: Any) -> Any:
    async with app_database.as_person(world.site.user_id) as (connection, person):
        site = await asked_site(connection, person, str(world.site.id))
        return await live_visits(connection, site, now, **more)


async def test_on_the_site_now_are_visits_with_a_sign_of_life_in_the_last_five_minutes(
    at_this_moment: Any, app_database: Any
) -> None:
    _, world, now = at_this_moment
    live = await seen(app_database, world, now)
    assert (live.visits, live.paid) == (2, 1)
    assert [(here.value, here.visits) for here in live.by["source"]] == [
        ("First Click (Paid)", 1),
        ("Organic", 1),
    ]
    assert [(here.value, here.visits) for here in live.by["place"]] == [("İstanbul/Kadıköy", 1), (None, 1)]
    assert [(here.value, here.visits) for here in live.by["device"]] == [("mobile", 1), (None, 1)]
    assert [(here.value, here.visits) for here in live.by["page"]] == [("/blog", 1), ("/iletisim", 1)]
    paid = await seen(app_database, world, now, paid=True)
    assert (paid.visits, paid.paid, [visit.is_paid for visit in paid.feed]) == (1, 1, [True])


async def test_the_minutes_are_all_there_and_count_what_began_in_each(
    at_this_moment: Any, app_database: Any
) -> None:
    _, world, now = at_this_moment
    live = await seen(app_database, world, now)
    assert [minute.ago for minute in live.minutes] == list(range(29, -1, -1))
    assert sum(minute.visits for minute in live.minutes) == 2, "organic and gone; paid began before them"
    lead = next(minute for minute in live.minutes if minute.leads)
    assert (lead.leads, lead.ago) == (1, 3)


async def test_the_feed_is_by_the_newest_sign_of_life_each_visit_with_its_acts(
    at_this_moment: Any, app_database: Any
) -> None:
    _, world, now = at_this_moment
    live = await seen(app_database, world, now)
    names = {value: name for name, value in world.ids.items()}
    assert [names[visit.visit_id] for visit in live.feed] == ["paid", "endless", "organic", "gone", "old"]
    paid, endless = live.feed[0], live.feed[1]
    assert [(act.kind, act.times) for act in paid.acts] == [("phone", 3), ("view", 1)]
    assert paid.earlier == 6 - 4, "the visit counts six events, four are known"
    assert live.is_here(paid) and not live.is_here(endless) and not live.is_here(live.feed[3])
    assert live.lag == 0, "the middle of 0, 0, 0 and 8 seconds; the view of 40 minutes ago is none of them"


async def test_the_page_says_it_all_in_words_and_says_of_what_moment(at_this_moment: Any) -> None:
    browser, world, _ = at_this_moment
    html = (await browser.get(f"/sites/{world.site.id}/live")).text
    assert re.search(r'data-figure="visitors">2<', html) and re.search(r'data-figure="leads">[01]<', html)
    assert 'aria-label="The last 30 minutes, minute by minute: 2 visits began, 1 lead."' in html
    assert "×3" in html and "+90 532 123 45 67" in html
    assert f'href="/sites/{world.site.id}/sessions/{world.ids["paid"]}" data-drawer' in html
    assert f'data-stream="/api/v1/sites/{world.site.id}/stream"' in html
    assert "style=" not in html and "onclick" not in html
    card = (await browser.get(f"/sites/{world.site.id}/cards/live?scope=paid")).text
    assert "<html" not in card and re.search(r'data-figure="visitors">1<', card)
    leads = (await browser.get(f"/sites/{world.site.id}/cards/live-leads")).text
    assert leads.count("data-lead ") == 1 and "data-at=" in leads


async def test_a_site_without_events_leads_to_its_tracker_and_invents_nothing(
    signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in(language="tr")
    world = await make_world(user_id, empty=True)
    html = (await browser.get(f"/sites/{world.site.id}/live")).text
    assert "Henüz olay yok" in html and "Sayfalarınıza ekleyin" in html
    assert re.search(r'data-figure="visitors">0<', html) and "<dd>—</dd>" in html


@pytest.mark.parametrize("part", ["live", "sessions", "cards/live", "cards/live-leads"])
async def test_a_stranger_is_told_nothing(signed_in: Any, reader: Any, part: str) -> None:
    _, world = reader
    browser, _ = await signed_in()
    assert (await browser.get(f"/sites/{world.site.id}/{part}")).status_code == 404
