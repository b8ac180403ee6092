"""The first generation's two endpoints about a site's day: three true figures, and the proof that they are."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from opsmantik import clock
from tests.web.streams import CHROME

pytestmark = pytest.mark.slow

REALTIME, RECONCILE = "/api/stats/realtime", "/api/stats/reconcile"


@pytest.fixture
async def site(signed_in: Any, own_site: Any) -> Any:
    """A browser and its site."""
    browser, user_id = await signed_in()
    return browser, await own_site(user_id)


async def visit(
    web: Any, site: Any, *, click: bool, target: str = "tel:+905321234567", day: Any = None
) -> None:
    """A visit of somebody new with a view and a tap."""
    now, session = int(time.time() * 1000), str(uuid4())
    url = "https://shop.example/" + (f"?gclid=Cj0KCQ{uuid4().hex}" if click else "")
    common = {"sid": session, "url": url, "cat": "interaction", "act": "view"}
    tap = {"cat": "conversion", "act": "phone_call", "label": target}
    events = [{"id": str(uuid4()), "ts": now, **common}, {"id": str(uuid4()), "ts": now, **common, **tap}]
    answer = await web.browser().http.post(
        "/v1/events",
        json={"site": site.public_id, "sent": now, "events": events},
        headers={"content-type": "text/plain", "origin": "https://shop.example", "user-agent": CHROME},
    )
    assert answer.status_code == 200, answer.text


async def ask(browser: Any, path: str, **query: str) -> Any:
    return await browser.http.get(path, params=query)


async def test_a_day_without_leads_is_three_zeros(site: Any) -> None:
    browser, made = site
    answer = await ask(browser, REALTIME, siteId=str(made.id))
    assert (answer.status_code, answer.json()) == (200, {"captured": 0, "gclid": 0, "junk": 0})


async def test_leads_those_with_a_click_and_those_that_are_junk_are_counted_at_once(
    web: Any, site: Any, owner: Any
) -> None:
    """An event that is no lead counts nowhere: in the first generation each counted as captured."""
    browser, made = site
    for click in (True, True, False):
        await visit(web, made, click=click)
    assert (await ask(browser, REALTIME, siteId=str(made.id))).json() == {
        "captured": 3,
        "gclid": 2,
        "junk": 0,
    }
    async with owner.transaction():
        lead = await owner.fetchval(
            "SELECT id FROM calls WHERE site_id = $1 AND click_id IS NULL LIMIT 1", made.id
        )
        entries = "SELECT call_entries($1, ARRAY[$2::uuid], $3)"
        before = await owner.fetchval(entries, made.id, lead, -1)
        await owner.execute("UPDATE calls SET status = 'junk' WHERE site_id = $1 AND id = $2", made.id, lead)
        after = await owner.fetchval(entries, made.id, lead, 1)
        await owner.execute(
            "INSERT INTO counter_journal (site_id, entries, changed_at) VALUES ($1, $2, now())",
            made.id,
            [tuple(entry) for entry in before + after],
        )
    assert (await ask(browser, REALTIME, siteId=str(made.id))).json() == {
        "captured": 3,
        "gclid": 2,
        "junk": 1,
    }
    await owner.fetchval("SELECT fold_counters($1)", made.id)
    assert (await ask(browser, REALTIME, siteId=str(made.id))).json() == {
        "captured": 3,
        "gclid": 2,
        "junk": 1,
    }


async def test_the_site_goes_by_its_id_or_its_public_id(web: Any, site: Any) -> None:
    browser, made = site
    await visit(web, made, click=True)
    spaced = f"{made.public_id[:8]}-{made.public_id[8:]}"
    for name in (str(made.id), made.id.hex, made.public_id, spaced):
        assert (await ask(browser, REALTIME, siteId=name)).json()["captured"] == 1, name


async def test_today_is_the_sites_own(signed_in: Any, own_site: Any, owner: Any, web: Any) -> None:
    """Of two sites on either side of the date line at most one has its today where UTC has it."""
    browser, user_id = await signed_in()
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        made = await own_site(user_id, time_zone=zone)
        await visit(web, made, click=False)
        assert (await ask(browser, REALTIME, siteId=str(made.id))).json()["captured"] == 1, zone
        today = clock.today(zone, datetime.now(UTC))
        assert (await ask(browser, RECONCILE, siteId=str(made.id))).json()["day"] == str(today)


REFUSED = {
    "no site": ({}, 400, "malformed"),
    "an empty one": ({"siteId": ""}, 400, "malformed"),
    "one that is not there": ({"siteId": str(uuid4())}, 404, "not_found"),
    "no id at all": ({"siteId": "' OR 1=1"}, 404, "not_found"),
    "a NUL": ({"siteId": "a\x00b"}, 404, "not_found"),
}


@pytest.mark.parametrize("path", [REALTIME, RECONCILE])
@pytest.mark.parametrize(("query", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_is_refused(site: Any, path: str, query: dict[str, str], status: int, code: str) -> None:
    browser, _ = site
    answer = await ask(browser, path, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [REALTIME, RECONCILE])
async def test_only_the_sites_people_may_ask(web: Any, site: Any, signed_in: Any, path: str) -> None:
    _, made = site
    other, _ = await signed_in()
    assert (await ask(other, path, siteId=str(made.id))).status_code == 404
    assert (await ask(other, path, siteId=made.public_id)).status_code == 404
    stranger = await ask(web.browser(), path, siteId=str(made.id))
    assert (stranger.status_code, stranger.json()["code"]) == (401, "not_signed_in")


# Reconcile.


async def test_counters_equal_the_rows_folded_or_not(web: Any, site: Any, owner: Any) -> None:
    browser, made = site
    for click in (True, False):
        await visit(web, made, click=click)
    for _ in range(2):
        answer = (await ask(browser, RECONCILE, siteId=made.public_id, day="today")).json()
        today = str(clock.today("Europe/Istanbul", datetime.now(UTC)))
        assert answer == {"day": today, "ok": True, "differences": 0, "cells": []}
        await owner.fetchval("SELECT fold_counters($1)", made.id)


async def test_a_figure_that_is_off_by_one_is_named(web: Any, site: Any, owner: Any) -> None:
    browser, made = site
    await visit(web, made, click=True)
    await owner.fetchval("SELECT fold_counters($1)", made.id)
    await owner.execute("DELETE FROM counter_days WHERE site_id = $1", made.id)
    answer = (await ask(browser, RECONCILE, siteId=str(made.id))).json()
    assert not answer["ok"] and answer["differences"] == len(answer["cells"]) > 0
    cell = next(c for c in answer["cells"] if (c["dimension"], c["measure"]) == ("all", "click_leads"))
    assert cell == {
        "dimension": "all", "key": "", "is_paid": True, "measure": "click_leads", "counted": "0", "recounted": "1",
    }  # fmt: skip


async def test_one_day_is_compared_and_no_other(web: Any, site: Any, owner: Any) -> None:
    browser, made = site
    await visit(web, made, click=True)
    await owner.fetchval("SELECT fold_counters($1)", made.id)
    await owner.execute("DELETE FROM counter_days WHERE site_id = $1", made.id)
    for query in ({"day": "yesterday"}, {"date": "2026-02-01"}, {"day": "2026-02-01"}):
        assert (await ask(browser, RECONCILE, siteId=str(made.id), **query)).json()["ok"], query
    yesterday = clock.today("Europe/Istanbul", datetime.now(UTC)) - timedelta(days=1)
    answer = await ask(browser, RECONCILE, siteId=str(made.id), day="yesterday")
    assert date.fromisoformat(answer.json()["day"]) == yesterday


@pytest.mark.parametrize("day", ["tomorrow", "2026-02-30", "01.02.2026", "2026-02-01T00:00", "x" * 500])
async def test_what_is_no_day_is_refused(site: Any, day: str) -> None:
    browser, made = site
    answer = await ask(browser, RECONCILE, siteId=str(made.id), day=day)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_range")
