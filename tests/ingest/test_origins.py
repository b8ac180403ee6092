"""Origins at the doors: added and removed while they are open, verified by the site's own traffic."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opsmantik.errors import NotFound, Unprocessable
from opsmantik.sites import origins
from tests.ingest.conftest import now_ms


def body(site: Any, item: Any, **changes: Any) -> dict[str, Any]:
    return {"site": site.public_id, "sent": now_ms(), "v": "t", **item(**changes)}


async def within(seconds: float, ask: Any, wanted: Any) -> None:
    """Wait until the answer is this one."""
    async with asyncio.timeout(seconds):
        while await ask() != wanted:
            await asyncio.sleep(0.02)


async def test_an_origin_that_is_added_is_let_in_within_a_second_and_one_that_is_removed_is_not(
    door: Any, make_site: Any, app_database: Any, item: Any
) -> None:
    site = await make_site()
    new = "https://new.example"

    async def status() -> int:
        answer = await door.post("/v1/events", body(site, item), origin=new)
        return int(answer.status_code)

    assert await status() == 403
    assert await origins.add_origin(app_database, site.user_id, site.id, "New.example/") == new
    await within(1, status, 200)
    await origins.remove_origin(app_database, site.user_id, site.id, new)
    await within(1, status, 403)


STARS = {
    "a name below": ("https://eu.shop.example", 200),
    "the name itself": ("https://shop.example", 403),
    "a stranger": ("https://shop.example.evil.example", 403),
    "nothing": ("null", 403),
}


@pytest.mark.parametrize(("origin", "status"), STARS.values(), ids=STARS.keys())
async def test_a_star_covers_names_below(
    door: Any, make_site: Any, item: Any, origin: str, status: int
) -> None:
    site = await make_site(origins=("https://*.shop.example",))
    answer = await door.post("/v1/events", body(site, item), origin=origin)
    assert answer.status_code == status


async def test_22_null_is_refused_unless_it_is_added_by_name(door: Any, make_site: Any, item: Any) -> None:
    for origins_, status in ((("https://shop.example",), 403), (("null",), 200)):
        site = await make_site(origins=origins_)
        assert (await door.post("/v1/events", body(site, item), origin="null")).status_code == status


@pytest.mark.slow
async def test_a_site_s_own_traffic_verifies_its_origins(
    door: Any, make_site: Any, owner: Any, item: Any
) -> None:
    site = await make_site(
        origins=("https://shop.example", "https://*.shop.example", "https://other.example")
    )

    async def seen() -> list[str]:
        rows = await owner.fetch(
            "SELECT origin FROM site_origins WHERE site_id = $1 AND verified_at IS NOT NULL"
            " AND last_seen_at >= verified_at ORDER BY origin",
            site.id,
        )
        return [row["origin"] for row in rows]

    await door.post("/v1/events", body(site, item), origin="https://evil.example")
    await door.post("/v1/events", body(site, item, id="none"), origin="https://other.example")  # refused
    await door.post("/v1/events", body(site, item), origin="https://eu.shop.example")
    await within(3, seen, ["https://*.shop.example"])
    await door.post("/v1/events", body(site, item), origin="https://shop.example")
    await within(3, seen, ["https://*.shop.example", "https://shop.example"])


async def test_an_origin_is_told_of_at_most_once_a_minute(
    door: Any, make_site: Any, item: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await make_site()
    told: list[tuple[Any, str]] = []
    seen = door.collect._origins
    monkeypatch.setattr(seen, "_new", NewOnes(told))
    for _ in range(5):
        await door.post("/v1/events", body(site, item))
    assert told == [(site.id, "https://shop.example")]
    monkeypatch.setitem(seen._told, (site.public_id, "https://shop.example"), now_ms() - 60_001)
    await door.post("/v1/events", body(site, item))
    assert told == [(site.id, "https://shop.example")] * 2


class NewOnes(dict[Any, None]):
    """Puts down what is put into it."""

    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self.told = told

    def __setitem__(self, name: Any, value: None) -> None:
        self.told.append(name)


async def test_who_may_not_change_the_site_changes_no_origin(
    app_database: Any, make_site: Any, owner: Any
) -> None:
    site, stranger = await make_site(), await make_site()
    with pytest.raises(NotFound):
        await origins.add_origin(app_database, stranger.user_id, site.id, "https://evil.example")
    with pytest.raises(NotFound):
        await origins.remove_origin(app_database, stranger.user_id, site.id, "https://shop.example")
    listed = await owner.fetch("SELECT origin FROM site_origins WHERE site_id = $1", site.id)
    assert [row["origin"] for row in listed] == ["https://shop.example"]


async def test_a_site_has_no_more_origins_than_it_can(
    app_database: Any, make_site: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(origins, "MOST", 2)
    site = await make_site()
    await origins.add_origin(app_database, site.user_id, site.id, "https://a.example")
    await origins.add_origin(app_database, site.user_id, site.id, "https://a.example")  # once more is no more
    with pytest.raises(Unprocessable) as refused:
        await origins.add_origin(app_database, site.user_id, site.id, "https://b.example")
    assert refused.value.details["problem"] == origins.Problem.MANY


async def test_each_change_leaves_its_line_in_the_log(app_database: Any, make_site: Any, owner: Any) -> None:
    site = await make_site()
    await origins.add_origin(app_database, site.user_id, site.id, "https://a.example")
    await origins.add_origin(app_database, site.user_id, site.id, "https://a.example")
    await origins.remove_origin(app_database, site.user_id, site.id, "https://a.example")
    await origins.remove_origin(app_database, site.user_id, site.id, "https://a.example")
    rows = await owner.fetch(
        "SELECT action, subject, actor FROM site_acts WHERE site_id = $1 ORDER BY id", site.id
    )
    assert [tuple(row) for row in rows] == [
        ("origins.add", "https://a.example", site.user_id), ("origins.remove", "https://a.example", site.user_id),
    ]  # fmt: skip
