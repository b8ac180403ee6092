"""The counters are what the rows say: before the fold and after it, whatever came in and in whichever order."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from opsmantik.counters import store
from opsmantik.event import Event, Site
from opsmantik.ingest.writer import Writer
from opsmantik.upkeep.folding import fold_all
from opsmantik.upkeep.runner import JOBS
from tests.counters.world import Traffic, site_of

# Around the end of a month and the nights on which clocks change in Europe.
BEGAN = datetime(2026, 10, 24, 6, tzinfo=UTC)
DAYS = 9


async def write(app_database: Any, batches: list[list[Event]], *, connections: int = 1) -> None:
    writer = Writer(app_database, lambda *_: None, window_ms=0)
    await writer.start()
    for start in range(0, len(batches), connections):
        await asyncio.gather(*(writer.write(batch) for batch in batches[start : start + connections]))
    await writer.stop()


async def equal(owner: Any, site: Site) -> None:
    found = await store.differences(owner, site.id)
    assert found == [], "\n".join(map(str, found[:10]))


def history(traffic: Traffic, visits: int) -> list[Event]:
    spread = DAYS * 24 * 60
    return [
        event
        for _ in range(visits)
        for event in traffic.visit(BEGAN + timedelta(minutes=traffic.chance.randrange(spread)), live=False)
    ]


async def decide_some(owner: Any, site: Site, chance: random.Random) -> None:
    """What decisions do to rows, through the same door as they: lock, take back, change, add."""
    rows = await owner.fetch(
        "SELECT id FROM calls WHERE site_id = $1 AND merged_into IS NULL ORDER BY id", site.id
    )
    for row in chance.sample(rows, len(rows) // 2):
        status = chance.choice(("sealed", "junk", "pending", "intent", "conversion"))
        amount = chance.choice((None, 1000, 250.5)) if status in ("sealed", "conversion") else None
        currency = chance.choice(("TRY", "EUR"))
        async with owner.transaction():
            await owner.execute("SELECT lock_leads($1, ARRAY[$2::uuid])", site.id, row["id"])
            before = await owner.fetchval(
                "SELECT call_entries($1, ARRAY[$2::uuid], -1)::text", site.id, row["id"]
            )
            await owner.execute(
                "UPDATE calls SET status = $3, sale_amount = $4::float8::numeric, currency = $5,"
                " confirmed_at = CASE WHEN $3 IN ('intent', 'pending') THEN NULL ELSE created_at + interval '3 hours' END"
                " WHERE site_id = $1 AND id = $2",
                site.id, row["id"], status, amount, currency,
            )  # fmt: skip
            await owner.execute(
                "INSERT INTO counter_journal (site_id, entries, changed_at)"
                " VALUES ($1, $3::text::counter_entry[] || call_entries($1, ARRAY[$2::uuid], 1), now())",
                site.id, row["id"], before,
            )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_counters_equal_a_recount_after_random_traffic(
    app_database: Any, owner: Any, make_site: Any, seed: int
) -> None:
    """Duplicates, disorder, late ad clicks, merged taps, decisions; folds anywhere in between."""
    zone = ("Europe/Istanbul", "Asia/Kathmandu", "Europe/Berlin")[seed]
    made = await make_site(time_zone=zone)
    site = site_of(made, zone)
    traffic = Traffic(site, seed)
    batches = traffic.batches(history(traffic, 40))
    for part in (batches[: len(batches) // 2], batches[len(batches) // 2 :]):
        await write(app_database, part, connections=3)
        await equal(owner, site)
        await fold_all(app_database)
        await equal(owner, site)
        await decide_some(owner, site, traffic.chance)
        await equal(owner, site)
    await fold_all(app_database)
    await equal(owner, site)
    await write(app_database, batches, connections=2)  # everything once more changes nothing
    await equal(owner, site)
    total = await owner.fetchrow(
        "SELECT sum(sessions) AS sessions, sum(events) AS events, sum(leads) AS leads, sum(sealed) AS sealed FROM counters"
        " WHERE site_id = $1 AND dimension = 'all'", site.id,
    )  # fmt: skip
    rows = await owner.fetchrow(
        "SELECT (SELECT count(*) FROM sessions WHERE site_id = $1) AS sessions,"
        " (SELECT count(*) FROM events WHERE site_id = $1) AS events,"
        " (SELECT count(*) FROM calls WHERE site_id = $1 AND merged_into IS NULL) AS leads,"
        " (SELECT count(*) FROM calls WHERE site_id = $1 AND status IN ('sealed', 'conversion')) AS sealed", site.id,
    )  # fmt: skip
    assert dict(total) == dict(rows) and rows["sessions"] == 40 and rows["sealed"] > 0


async def test_live_events_of_one_visit_in_parallel_batches(
    app_database: Any, owner: Any, make_site: Any
) -> None:
    """The heavy merge takes back and adds again: two at once on one session must not take back twice."""
    site = site_of(await make_site())
    traffic = Traffic(site, 7, visitors=2)
    now = datetime.now(UTC)
    for _ in range(12):
        events = traffic.visit(now - timedelta(hours=1), live=True)
        traffic.chance.shuffle(events)
        first, rest = events[:1], events[1:]
        await write(app_database, [first])
        writers = [Writer(app_database, lambda *_: None, window_ms=0) for _ in range(3)]
        for writer in writers:
            await writer.start()
        await asyncio.gather(*(writers[n % 3].write([event]) for n, event in enumerate(rest)))
        for writer in writers:
            await writer.stop()
    await equal(owner, site)
    await fold_all(app_database)
    await equal(owner, site)


@pytest.mark.parametrize("zone", ["Pacific/Chatham", "America/New_York", "UTC"])
async def test_a_change_of_time_zone_moves_every_figure(
    app_database: Any, owner: Any, make_site: Any, zone: str
) -> None:
    site = site_of(await make_site())
    traffic = Traffic(site, 11)
    await write(app_database, traffic.batches(history(traffic, 15)))
    await fold_all(app_database)
    days = await owner.fetch("SELECT day FROM counter_days WHERE site_id = $1", site.id)
    await write(app_database, traffic.batches(history(traffic, 5)))  # not folded yet
    await owner.execute("SELECT change_site_clock($1, $2, 'EUR')", site.id, zone)
    await equal(owner, site)
    await fold_all(app_database)
    await equal(owner, site)
    assert days


@pytest.mark.slow
async def test_what_is_broken_is_found_and_mended_while_events_come_in(
    app_database: Any, owner: Any, make_site: Any
) -> None:
    site = site_of(await make_site())
    traffic = Traffic(site, 13)
    await write(app_database, traffic.batches(history(traffic, 10)))
    await fold_all(app_database)
    days: list[date] = [
        row["day"]
        for row in await owner.fetch("SELECT day FROM counter_days WHERE site_id = $1 ORDER BY 1", site.id)
    ]
    await owner.execute(
        "UPDATE counter_days SET main = main[2:] WHERE site_id = $1 AND day = $2", site.id, days[0]
    )
    await owner.execute("DELETE FROM counter_days WHERE site_id = $1 AND day = $2", site.id, days[-1])
    assert {found.day for found in await store.differences(owner, site.id)} == {days[0], days[-1]}
    assert await store.differences(owner, site.id, days[1], days[-2]) == []
    batches = traffic.batches(history(traffic, 30))
    rebuilt, _ = await asyncio.gather(
        store.rebuild(owner, site.id), write(app_database, batches, connections=2)
    )
    assert rebuilt > 1
    await equal(owner, site)
    await fold_all(app_database)
    await equal(owner, site)


@pytest.mark.slow
async def test_the_nightly_job_says_which_site_is_wrong(
    app_database: Any, owner: Any, make_site: Any
) -> None:
    job = next(job for job in JOBS if job.name == "verify_counters")
    good, bad = site_of(await make_site()), site_of(await make_site())
    for site in (good, bad):
        await write(app_database, [[*history(Traffic(site, 23), 2)]])
    await fold_all(app_database)
    assert not {str(good.id), str(bad.id)} & (await job.run(owner)).keys()
    await owner.execute("UPDATE counter_days SET main = '{}' WHERE site_id = $1", bad.id)
    said = await job.run(owner)
    assert said[str(bad.id)] > 0 and str(good.id) not in said
    await store.rebuild(owner, bad.id)


async def test_two_folds_at_once_fold_once(app_database: Any, owner: Any, make_site: Any) -> None:
    site = site_of(await make_site())
    traffic = Traffic(site, 17)
    await write(app_database, traffic.batches(history(traffic, 10)))
    waiting = await owner.fetchval("SELECT count(*) FROM counter_journal WHERE site_id = $1", site.id)
    before = await owner.fetchval("SELECT sequence FROM site_state WHERE site_id = $1", site.id)
    moved = await asyncio.gather(fold_all(app_database), fold_all(app_database), fold_all(app_database))
    assert sum(moved) == waiting == before > 0
    assert await owner.fetchval("SELECT count(*) FROM counter_journal WHERE site_id = $1", site.id) == 0
    assert await owner.fetchval("SELECT sequence FROM site_state WHERE site_id = $1", site.id) == before
    await equal(owner, site)
    await write(app_database, [[*history(traffic, 1)]])
    for _ in range(2):
        assert (
            await owner.fetchval("SELECT sequence FROM site_state WHERE site_id = $1", site.id) == before + 1
        )
        await fold_all(app_database)


async def test_counters_are_built_for_rows_from_before_there_were_any(
    app_database: Any, owner: Any, make_site: Any
) -> None:
    """What an upgrade does: rows, a pulse, and no counters."""
    site = site_of(await make_site())
    traffic = Traffic(site, 19)
    await write(app_database, traffic.batches(history(traffic, 10)))
    await fold_all(app_database)
    await owner.execute("DELETE FROM counter_days WHERE site_id = $1", site.id)
    await owner.execute("UPDATE site_pulse SET counted_at = NULL WHERE site_id = $1", site.id)
    assert await store.build_missing(owner) == [site.id]
    assert await store.build_missing(owner) == []
    await equal(owner, site)
