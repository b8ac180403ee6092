"""Taps of one visit within half an hour are one lead with a count; a genuine second call stays visible."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.ingest.conftest import now_ms

MINUTE = 60_000
PHONE = {"cat": "conversion", "act": "phone_call", "label": "tel:05000000012"}
WHATSAPP = {"cat": "conversion", "act": "whatsapp", "label": "https://wa.me/905000000012"}
FORM = {"cat": "conversion", "act": "form_submit", "label": "contact"}
A, B = str(uuid4()), str(uuid4())

# Each tap: minutes after the first, visit, what. Then how many taps each lead has, oldest first.
CASES: list[tuple[str, list[tuple[float, str, dict[str, str]]], list[int]]] = [
    ("one tap", [(0, A, PHONE)], [1]),
    ("three in a minute", [(0, A, PHONE), (0.3, A, PHONE), (1, A, PHONE)], [3]),
    ("telephone, then WhatsApp", [(0, A, PHONE), (2, A, WHATSAPP)], [2]),
    ("forty minutes later", [(0, A, PHONE), (40, A, PHONE)], [1, 1]),
    ("forty minutes later, twice", [(0, A, PHONE), (40, A, PHONE), (41, A, PHONE)], [1, 2]),
    ("every twenty minutes", [(0, A, PHONE), (20, A, PHONE), (40, A, PHONE), (55, A, PHONE)], [2, 2]),
    ("another visit", [(0, A, PHONE), (1, B, PHONE)], [1, 1]),
    ("a form is a lead of its own", [(0, A, PHONE), (1, A, FORM)], [1, 1]),
    ("the later one arrives first", [(5, A, PHONE), (0, A, PHONE)], [2]),
]


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize(("taps", "leads"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
async def test_leads_and_their_taps(
    door: Any, make_site: Any, owner: Any, item: Any, taps: Any, leads: list[int], together: bool
) -> None:
    site = await make_site()
    began = now_ms() - 60 * MINUTE
    visits = {A: str(uuid4()), B: str(uuid4())}
    bodies = [item(**what, sid=visits[visit], ts=began + int(at * MINUTE)) for at, visit, what in taps]
    for batch in [bodies] if together else [[body] for body in bodies]:
        answer = await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), "events": batch})
        assert [result["status"] for result in answer.json()["results"]] == ["accepted"] * len(batch)
    rows = await owner.fetch(
        "SELECT 1 + count(m.id) AS taps FROM calls c LEFT JOIN calls m ON m.site_id = c.site_id AND m.merged_into = c.id"
        " WHERE c.site_id = $1 AND c.merged_into IS NULL GROUP BY c.id, c.occurred_at ORDER BY c.occurred_at", site.id,
    )  # fmt: skip
    assert [row["taps"] for row in rows] == leads
    assert await owner.fetchval("SELECT count(*) FROM calls WHERE site_id = $1", site.id) == len(taps)
    counted = await owner.fetchval(
        "SELECT sum(leads) FROM counters WHERE site_id = $1 AND dimension = 'all'", site.id
    )
    assert counted == len(leads)


async def test_a_tap_is_judged_a_moment_later(door: Any, make_site: Any, owner: Any, item: Any) -> None:
    """Seven taps of one visit within a minute are no customer's: the lead becomes suspicious, with the reason."""
    site = await make_site()
    sid = str(uuid4())
    taps = [item(**PHONE, sid=sid, ts=now_ms() - 60_000 + n * 1000) for n in range(7)]
    quiet = item(**PHONE, sid=str(uuid4()), vid="somebody else")
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), "events": [*taps, quiet]})
    await door.collect.writer.review.look()
    rows = await owner.fetch(
        "SELECT matched_session_id::text AS sid, status, suspicion, version FROM calls"
        " WHERE site_id = $1 AND merged_into IS NULL", site.id,
    )  # fmt: skip
    found = {row["sid"]: (row["status"], row["suspicion"], row["version"]) for row in rows}
    assert found == {sid: ("suspicious", ["burst"], 2), quiet["sid"]: ("intent", [], 1)}
    line = await owner.fetchrow(
        "SELECT actor_kind, action, note FROM intent_actions WHERE site_id = $1", site.id
    )
    assert tuple(line) == ("rule", "suspect", "burst")
    assert await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", site.id) == []


async def test_a_phone_whose_clock_is_days_off_is_suspicious(
    door: Any, make_site: Any, owner: Any, item: Any
) -> None:
    site = await make_site()
    ahead = now_ms() + 3 * 24 * 60 * MINUTE
    await door.post(
        "/v1/events", {"site": site.public_id, "sent": ahead, "events": [item(**PHONE, ts=ahead - 1000)]}
    )
    await door.collect.writer.review.look()
    row = await owner.fetchrow("SELECT status, suspicion FROM calls WHERE site_id = $1", site.id)
    assert tuple(row) == ("suspicious", ["clock_impossible"])
