"""The ledger for programs: pages, one row, trying again and dropping, and where conversions go."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.shapes import check
from tests.web.ledger_world import ADS, LedgerWorld, new_ledger
from tests.web.world import Programs

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(owner: Any, web: Any, app_database: Any) -> LedgerWorld:
    return await new_ledger(owner, web, app_database)


def here(made: LedgerWorld, more: str = "") -> str:
    return f"/api/v1/sites/{made.site_id}/conversions{more}"


def as_(made: LedgerWorld, who: str = "owner") -> Programs:
    return Programs(getattr(made.team, who).browser)


async def test_the_ledger_by_the_page(filled: LedgerWorld) -> None:
    whole = (await as_(filled).get(here(filled))).json()
    check(whole, "conversions")
    assert len(whole["items"]) == 13 and whole["next_cursor"] is None
    seen, cursor = [], None
    while True:
        found = (
            await as_(filled).get(here(filled), {"limit": "4", **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [row["id"] for row in found["items"]]
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert seen == [row["id"] for row in whole["items"]]
    failed = (await as_(filled, "analyst").get(here(filled), {"state": "failed", "day": "today"})).json()[
        "items"
    ]
    assert {row["reason"] for row in failed} == {"click_not_found", "too_recent_event"}


WRONG = [
    {"state": "lost"},
    {"click": "fbclid"},
    {"by": "luck"},
    {"limit": "0"},
    {"cursor": "x"},
    {"day": "tomorrow"},
]


@pytest.mark.parametrize("query", WRONG, ids=[str(query) for query in WRONG])
async def test_a_filter_that_means_nothing_is_refused(filled: LedgerWorld, query: dict[str, str]) -> None:
    assert (await as_(filled).get(here(filled), query)).status_code == 400


async def test_one_conversion_with_its_moves(filled: LedgerWorld) -> None:
    row = await filled.row("restated")
    found = (await as_(filled).get(here(filled, f"/{row['id']}"))).json()
    check(found, "conversion")
    assert found["conversion"]["owed"] == "restate" and len(found["moves"]) == 5
    assert [each["outcome"] for each in found["batches"]] == ["accepted"]
    for name in ("nothing", str(filled.site_id)):
        assert (await as_(filled).get(here(filled, f"/{name}"))).status_code == 404
    assert (await as_(filled, "stranger").get(here(filled, f"/{row['id']}"))).status_code == 404


async def test_programs_try_again_and_drop(owner: Any, web: Any, app_database: Any) -> None:
    made = await new_ledger(owner, web, app_database)
    ids = {name: str((await made.row(name))["id"]) for name in ("refused", "queued", "matched")}
    body = {"conversions": [ids["refused"], ids["matched"]]}
    answer = await as_(made).post(here(made, "/retry"), body)
    assert answer.json() == {"count": 1}
    answer = await as_(made).post(here(made, "/drop"), {"conversions": [ids["queued"], ids["matched"]]})
    check(answer.json(), "done_conversions")
    assert answer.json() == {"count": 1}
    assert (await made.row("queued"))["reason"] == "dropped"
    assert (await as_(made).post(here(made, "/drop"), {"conversions": ["x"]})).status_code == 400
    many = {"conversions": [ids["matched"]] * 1001}
    assert (await as_(made).post(here(made, "/drop"), many)).status_code == 422
    for who in ("operator", "analyst"):
        assert (await as_(made, who).post(here(made, "/drop"), body)).status_code == 403


async def test_where_they_go(owner: Any, web: Any, app_database: Any) -> None:
    made = await new_ledger(owner, web, app_database, fill=False)
    path = here(made, "/route")
    assert (await as_(made).get(path)).status_code == 404
    body = {
        "adapter": "data_manager",
        "destination": {"account_id": "123-456-7890", "action_id": "987654321"},
    }
    answer = await as_(made).post(path, body, method="PUT")
    assert answer.status_code == 200, answer.text
    check(answer.json(), "conversion_route")
    assert answer.json()["destination"] == ADS and answer.json()["has_secret"] is False
    assert (await as_(made).get(path)).json() == answer.json()
    found = (await as_(made).post(here(made, "/route/check"))).json()
    check(found, "conversion_check")
    assert found["is_well"] is False and found["findings"]
    await made.seal("first")
    await made.queue()
    await made.claim()
    other = {"adapter": "file", "destination": {"conversion_name": "Sealed Lead"}}
    assert (await as_(made).post(path, other, method="PUT")).status_code == 409
    for who in ("operator", "analyst"):
        assert (await as_(made, who).get(path)).status_code == 403


BAD = {
    "no account": ({"adapter": "data_manager", "destination": {}}, 422),
    "another's field": (
        {"adapter": "google_ads", "destination": {"customer_id": "1234567890", "action_id": "1", "account_id": "1"}}, 422,
    ),
    "no such way": ({"adapter": "pigeon", "destination": {}}, 400),
    "hashes where there are none": (
        {"adapter": "script", "destination": {"conversion_name": "a"}, "with_hashes": True}, 422,
    ),
    "a secret": ({"adapter": "script", "destination": {"conversion_name": "a"}, "secret": "x"}, 400),
    "an address inside": ({"adapter": "webhook", "destination": {"url": "https://127.0.0.1/x"}}, 422),
}  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BAD.values(), ids=BAD.keys())
async def test_a_destination_that_cannot_be_is_refused(filled: LedgerWorld, body: Any, status: int) -> None:
    answer = await as_(filled).post(here(filled, "/route"), body, method="PUT")
    assert answer.status_code == status, answer.text
    assert (await as_(filled).get(here(filled, "/route"))).json()["adapter"] == "data_manager"
