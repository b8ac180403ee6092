"""A session is the same whatever the order in which its events arrive, and however often."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from opsmantik.event import Arrival, Event, Site
from opsmantik.ingest.drafts import session_draft
from opsmantik.ingest.pipeline import Pipeline, World
from opsmantik.ingest.present import read_item
from opsmantik.ingest.writer import Writer
from opsmantik.sessions.draft import merge
from tests.ingest.conftest import CHROME, now_ms

pytestmark = pytest.mark.slow

NOW = now_ms()
GCLID = "Cj0KCQiAo_abcdefg123"
MINUTE = 60_000

# What happens in one visit: minutes after its start, and what the event carries.
VISIT: list[tuple[float, dict[str, Any]]] = [
    (0, {"url": "https://shop.example/", "ref": "https://www.instagram.com/"}),
    (0.2, {"act": "scroll_depth", "label": "50%", "pulse": {"scroll": 52, "active": 11}}),
    (
        1,
        {
            "url": f"https://shop.example/vinc?gclid={GCLID}&utm_term=vin%C3%A7&utm_source=google&utm_medium=cpc"
        },
    ),
    (1.5, {"url": "https://shop.example/prices", "env": {"lang": "tr", "sw": 390, "sh": 844}}),
    (2, {"url": "https://shop.example/prices", "env": {"lang": "en", "sw": 1440, "sh": 900}}),
    (2.5, {"cat": "system", "act": "heartbeat", "pulse": {"scroll": 80, "active": 90, "hovers": 2}}),
    (3, {"cat": "conversion", "act": "phone_call", "label": "tel:05000000012"}),
    (3.5, {"url": "https://shop.example/?utm_source=newsletter&utm_medium=email&utm_campaign=may"}),
    (4, {"cat": "conversion", "act": "whatsapp", "label": "https://wa.me/905000000012"}),
    (5, {"consent": {"analytics": True, "marketing": False}}),
    (
        6,
        {
            "consent": {"analytics": True, "marketing": True},
            "click": {"gclid": GCLID, "at": NOW - 30 * MINUTE},
        },
    ),
    (7, {"cat": "system", "act": "session_end", "url": "https://shop.example/bye", "pulse": {"active": 200}}),
]
LEFT_OUT = {"site_id", "id", "created_at"}


def events(site: Site, sid: UUID) -> list[Event]:
    """The visit's events, through the real pipeline, all received at one moment."""
    pipeline = Pipeline(World(lambda ip: None))
    made = []
    for minutes, change in VISIT:
        ts = NOW - 10 * MINUTE + int(minutes * MINUTE)
        item = {
            "id": str(uuid4()),
            "ts": ts,
            "sid": str(sid),
            "vid": "v",
            "cat": "interaction",
            "act": "view",
        }
        item |= {"url": "https://shop.example/"} | change
        arrival = Arrival("v1", site, None, "192.0.2.0", CHROME, NOW, tracker="t")
        event = read_item(msgspec.json.encode(item), arrival, ())
        assert isinstance(event, Event), event
        result = pipeline.run(event)
        assert isinstance(result, Event), result
        made.append(result)
    return made


@pytest.fixture
async def site(make_site: Any, app_database: Any) -> Site:
    made = await make_site()
    return Site(
        made.id,
        made.public_id,
        "shop.example",
        "Europe/Istanbul",
        "TR",
        "TRY",
        "implied",
        90,
        False,
        frozenset(),
    )


async def stored(app_database: Any, owner: Any, site: Site, batches: list[list[Event]]) -> dict[str, Any]:
    """Write the batches one after the other and return the session's row, without what may differ."""
    writer = Writer(app_database, lambda *_: None, window_ms=0)
    await writer.start()
    for batch in batches:
        await writer.write(batch)
    await writer.stop()
    sid = batches[0][0].session_id
    row = await owner.fetchrow("SELECT * FROM sessions WHERE site_id = $1 AND id = $2", site.id, sid)
    return {name: value for name, value in row.items() if name not in LEFT_OUT and not name.endswith("_key")}


def cut(order: list[Event], chance: random.Random) -> list[list[Event]]:
    marks = sorted({0, len(order), *(chance.randrange(len(order)) for _ in range(chance.randrange(5)))})
    return [order[a:b] for a, b in pairwise(marks)]


async def test_any_order_and_any_batching_give_one_session(app_database, owner, site):
    expected: dict[str, Any] | None = None
    for seed in range(40):
        chance = random.Random(seed)
        order = events(site, uuid4())
        if seed:
            chance.shuffle(order)
            order += chance.choices(order, k=chance.randrange(6))  # and some of them twice
        # one visitor a visit, or later visits would rightly be returning ones
        for event in order:
            event.visitor = f"visitor-{seed}"
        row = await stored(app_database, owner, site, cut(order, chance) if seed else [[e] for e in order])
        row.pop("fingerprint")
        if expected is None:
            expected = row
        assert row == expected, f"seed {seed}"
    assert expected is not None
    assert expected["event_count"] == len(VISIT) - 2  # heartbeat and goodbye are no events
    assert expected["intent_count"] == 2
    assert expected["entry_page"] == "https://shop.example/"
    assert expected["exit_page"] == "https://shop.example/bye"
    assert expected["referrer_host"] == "instagram.com"
    assert (expected["gclid"], expected["utm_term"]) == (GCLID, "vinç")
    assert (expected["attribution_source"], expected["is_paid"]) == ("First Click (Paid)", True)
    assert expected["last_touch"]["rule"] == "google_click_id"
    assert expected["browser_language"] == "tr"
    assert expected["total_duration_sec"] == 7 * 60
    assert expected["total_active_seconds"] == 200
    assert (expected["consent_analytics"], expected["consent_marketing"]) == (True, True)


async def test_scores_follow_the_session_whatever_the_order(app_database, owner, site):
    scores = set()
    for seed in range(12):
        chance = random.Random(seed)
        order = events(site, uuid4())
        chance.shuffle(order)
        for event in order:
            event.visitor = f"scored-{seed}"
        await stored(app_database, owner, site, cut(order, chance))
        rows = await owner.fetch(
            "SELECT lead_score, score_breakdown FROM calls WHERE site_id = $1 AND matched_session_id = $2",
            site.id,
            order[0].session_id,
        )
        assert len(rows) == 2
        scores |= {row["lead_score"] for row in rows}
        assert all(sum(row["score_breakdown"].values()) == row["lead_score"] for row in rows)
    assert len(scores) == 1


def test_drafts_merge_in_any_order_to_the_same(site_free: Site):
    made = events(site_free, uuid4())
    results = set()
    for seed in range(200):
        chance = random.Random(seed)
        order = made[:]
        chance.shuffle(order)
        drafts = [session_draft(event) for event in order]
        while len(drafts) > 1:  # in any grouping, too
            at = chance.randrange(len(drafts) - 1)
            drafts[at : at + 2] = [merge(drafts[at], drafts[at + 1])]
        results.add(repr(drafts[0].row()))
    assert len(results) == 1


@pytest.fixture
def site_free() -> Site:
    return Site(
        uuid4(),
        uuid4().hex,
        "shop.example",
        "Europe/Istanbul",
        "TR",
        "TRY",
        "implied",
        90,
        False,
        frozenset(),
    )


async def test_a_later_visit_by_search_after_an_ad_click_is_assisted(app_database, owner, site):
    pipeline = Pipeline(World(lambda ip: None))

    async def visit(minutes: float, **change: Any) -> Any:
        item = {"id": str(uuid4()), "ts": NOW - 60 * MINUTE + int(minutes * MINUTE), "sid": str(uuid4())}
        item |= {"vid": "same", "cat": "interaction", "act": "view", "url": "https://shop.example/"} | change
        arrival = Arrival("v1", site, None, "192.0.2.0", CHROME, NOW)
        event = pipeline.run(read_item(msgspec.json.encode(item), arrival, ()))
        return await stored(app_database, owner, site, [[event]])

    before = await visit(0, ref="https://www.google.com/")
    paid = await visit(10, url=f"https://shop.example/?gclid={GCLID}")
    after = await visit(20, ref="https://www.google.com/")
    other = await visit(30, ref="https://www.google.com/", vid="somebody else")
    assert [r["attribution_source"] for r in (before, paid, after, other)] == [
        "Organic",
        "First Click (Paid)",
        "Ads Assisted",
        "Organic",
    ]
    assert after["attribution"]["rule"] == "ads_assisted"
    assert [r["previous_visit_count"] for r in (before, paid, after, other)] == [0, 1, 2, 0]
    assert [r["is_returning"] for r in (before, paid, after, other)] == [False, True, True, False]
