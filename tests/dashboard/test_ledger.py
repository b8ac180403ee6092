"""The ledger's contract: its pages and filters, one row with its moves, and every sealed lead accounted for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
import pytest_asyncio

from opsmantik import clock
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.cards import ledger
from opsmantik.dashboard.cards.ledger import Asked, Day, day_of
from opsmantik.errors import NotFound
from tests.web.conftest import web  # noqa: F401 - the application, for accounts
from tests.web.ledger_world import LedgerWorld, new_ledger

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(owner: Any, web: Any, app_database: Any) -> LedgerWorld:  # noqa: F811
    return await new_ledger(owner, web, app_database)


@pytest_asyncio.fixture
async def asking(filled: LedgerWorld) -> AsyncIterator[tuple[Any, AskedSite]]:
    async with filled.as_owner(write=False) as (connection, person):
        site = await asked_site(connection, person, str(filled.site_id))
        assert site is not None
        yield connection, site


def names(filled: LedgerWorld, found: Any) -> list[str]:
    known = {lead: name for name, lead in filled.ids.items()}
    return [known[each.lead.id] for each in found.items]


async def test_the_pages_of_the_ledger_are_the_ledger(filled: LedgerWorld, asking: Any) -> None:
    whole = await ledger.ledger(*asking, Asked())
    assert len(whole.items) == 13
    assert names(filled, whole)[:2] == ["held", "queued"]
    pages, cursor = [], None
    while True:
        page = await ledger.ledger(*asking, Asked(), limit=5, cursor=paging.read(cursor) if cursor else None)
        pages += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == whole.items


FILTERS = {
    "a state": (Asked(states=("failed",)), {"refused", "again"}),
    "states": (Asked(states=("held", "queued")), {"held", "queued"}),
    "a reason": (Asked(reason="no_click_id"), {"without click"}),
    "a reason of another state": (Asked(reason="no_click_id", states=("failed",)), set()),
    "no click": (Asked(kind="none"), {"without click"}),
    "a kind that nobody has": (Asked(kind="gbraid"), set()),
    "what was taken back": (Asked(states=("retracted",)), {"taken", "gone"}),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "found"), FILTERS.values(), ids=FILTERS.keys())
async def test_a_filter_shows_what_it_says(
    filled: LedgerWorld, asking: Any, asked: Asked, found: set[str]
) -> None:
    shown = await ledger.ledger(*asking, asked)
    assert set(names(filled, shown)) == found
    assert {each.id for each in shown.items} == set(await ledger.matching(*asking, asked))


async def test_a_range_is_about_the_lead_or_its_decision(filled: LedgerWorld, asking: Any) -> None:
    _, site = asking
    now = await filled.owner.fetchval("SELECT now()")
    today = clock.site_day(site.time_zone, clock.today(site.time_zone, now))
    captured = clock.site_day(site.time_zone, clock.today(site.time_zone, filled.world.at(3)))
    decided = await ledger.ledger(*asking, Asked(over=today))
    # Those that were taken back: one is decided (junk), the other waits again.
    assert len(decided.items) == 12
    assert "gone" not in names(filled, decided)
    assert len((await ledger.ledger(*asking, Asked(over=captured, by_captured=True))).items) >= 1
    assert (await ledger.ledger(*asking, Asked(over=today, by_captured=True))).items == []
    first = await ledger.ledger(*asking, Asked(over=today), limit=6)
    rest = await ledger.ledger(*asking, Asked(over=today), cursor=paging.read(first.next_cursor or ""))
    assert first.items + rest.items == decided.items
    assert {each.id for each in decided.items} == set(await ledger.matching(*asking, Asked(over=today)))


async def test_a_number_finds_its_row(filled: LedgerWorld, asking: Any) -> None:
    row = await filled.row("matched")
    for named in (
        row["order_id"],
        row["order_id"].upper(),
        str(row["call_id"]),
        row["call_id"].hex,
        str(row["id"]),
    ):
        assert names(filled, await ledger.ledger(*asking, Asked(named=named))) == ["matched"], named
    for named in ("om-", "%", "nobody", "00000000-0000-4000-8000-000000000000"):
        assert (await ledger.ledger(*asking, Asked(named=named))).items == [], named


async def test_one_row_says_what_is_owed_and_how_it_came_there(filled: LedgerWorld, asking: Any) -> None:
    found = await ledger.one(*asking, (await filled.row("restated"))["id"])
    assert [(move.from_state, move.to_state) for move in found.moves] == [
        (None, "held"), ("held", "queued"), ("queued", "sent"), ("sent", "accepted"), ("accepted", "accepted"),
    ]  # fmt: skip
    row = found.conversion
    assert (row.owed, str(row.value), str(row.platform_value)) == ("restate", "2000", "1500.50")
    assert [(each.kind, each.outcome) for each in found.batches] == [("new", "accepted")]
    assert (await ledger.one(*asking, (await filled.row("taken"))["id"])).conversion.owed == "retract"
    assert (await ledger.one(*asking, (await filled.row("weight"))["id"])).conversion.is_weight
    with pytest.raises(NotFound):
        await ledger.one(*asking, filled.site_id)


async def test_every_sealed_lead_is_accounted_for(filled: LedgerWorld, asking: Any) -> None:
    connection, site = asking
    now = await filled.owner.fetchval("SELECT now()")
    over = clock.site_day(site.time_zone, clock.today(site.time_zone, now))
    found = await ledger.parity(connection, site, over)
    [day] = found.days
    assert day == Day(
        day=day.day,
        sealed=11,
        accepted=4,
        held=1,
        queued=1,
        sent=1,
        failed=2,
        skipped=2,
        before=0,
        unexplained=0,
    ), day
    assert {(why.reason, why.n) for why in found.skipped} == {("no_click_id", 1), ("test_click", 1)}
    assert {why.reason for why in found.failed} == {"click_not_found", "too_recent_event"}
    sealed = await filled.owner.fetchval(
        "SELECT count(*) FROM calls WHERE site_id = $1 AND status IN ('sealed', 'conversion')", filled.site_id
    )
    assert found.whole.sealed == sealed


def test_what_nothing_explains_is_told() -> None:
    day = date(2026, 11, 1)
    cells = [(day, "accepted", None, 3), (day, "matched", None, 2), (day, "failed", "", 1), (day, "skipped", "too_old", 4),
        (day, "no_row", None, 5), (day, "before", None, 6), (day, "lost", None, 7)]  # fmt: skip
    found = day_of(day, cells)
    assert (found.sealed, found.accepted, found.skipped, found.before, found.unexplained) == (28, 5, 4, 6, 13)


async def test_looking_at_what_leaves_next_makes_nothing(filled: LedgerWorld, asking: Any) -> None:
    before = await filled.owner.fetchval(
        "SELECT count(*) FROM conversion_batches WHERE site_id = $1", filled.site_id
    )
    found = await ledger.next_batch(*asking, "data_manager")
    assert {(due.kind, due.n) for due in found.due} == {("new", 1), ("restate", 1), ("retract", 2)}
    assert found.kind == "restate", "what waits longest"
    assert names(filled, found) == ["restated"]
    others = await ledger.next_batch(*asking, "file")
    assert {due.kind for due in others.due} == {"new"}, "corrections go where the conversion went"
    assert before == await filled.owner.fetchval(
        "SELECT count(*) FROM conversion_batches WHERE site_id = $1", filled.site_id
    )


async def test_batches_say_how_each_of_their_conversions_ended(filled: LedgerWorld, asking: Any) -> None:
    connection, site = asking
    found = await ledger.batches(connection, site)
    assert [(each.state, each.size) for each in found.items] == [("sent", 1), ("done", 8)]
    details = await ledger.batch(connection, site, found.items[1].id, limit=3)
    assert {(each.outcome, each.n) for each in details.outcomes} == {
        ("accepted", 5),
        ("matched", 1),
        ("failed", 1),
    }
    assert details.next_position == 3
    rest = await ledger.batch(connection, site, found.items[1].id, after=3)
    assert len(details.items) + len(rest.items) == 8
    assert [each.id for each in (await ledger.batches(connection, site, states=("done",))).items] == [
        found.items[1].id
    ]
