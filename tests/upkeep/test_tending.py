"""Dead rows go, statistics are made, closed months are frozen once, and indexes that are mostly air are rebuilt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from opsmantik.upkeep import tending
from opsmantik.upkeep.runner import connect

pytestmark = pytest.mark.slow

MAKE = "CREATE TABLE tended (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = off)"


@pytest.fixture
async def upkeep(database: Any) -> AsyncIterator[Any]:
    connection = await connect(database.owner)
    yield connection
    await connection.close()


@pytest.fixture
async def table(owner: Any) -> AsyncIterator[None]:
    await owner.execute(MAKE)
    await owner.execute("INSERT INTO tended SELECT n, 'x' FROM generate_series(1, 30000) n")
    yield
    await owner.execute("DROP TABLE tended")


async def counted(owner: Any) -> Any:
    """What PostgreSQL has counted; it tells with a delay of its own."""
    await owner.execute("SELECT pg_stat_force_next_flush()")
    await asyncio.sleep(0.1)
    await owner.execute("SELECT pg_stat_clear_snapshot()")
    return await owner.fetchrow(
        "SELECT s.n_dead_tup, s.last_vacuum, s.last_analyze, c.reltuples FROM pg_stat_user_tables s"
        " JOIN pg_class c ON c.oid = s.relid WHERE s.relname = 'tended'"
    )


async def test_what_has_many_dead_rows_is_vacuumed_and_what_is_new_analysed(
    owner: Any, upkeep: Any, table: None
) -> None:
    await counted(owner)
    done = await tending.vacuum(upkeep)
    assert "public.tended" in done["analysed"] and "public.tended" not in done.get("vacuumed", [])
    assert (await counted(owner))["reltuples"] == 30000
    await owner.execute("UPDATE tended SET v = 'y' WHERE id <= 12000")
    await counted(owner)
    assert "public.tended" in (await tending.vacuum(upkeep))["vacuumed"]
    after = await counted(owner)
    assert after["n_dead_tup"] == 0 and after["last_vacuum"] is not None
    again = await tending.vacuum(upkeep)
    assert not [place for places in again.values() for place in places if "tended" in place]


async def test_a_month_that_has_closed_is_frozen_once(owner: Any, upkeep: Any) -> None:
    old, young = await owner.fetchrow(
        "SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '5 months')::date,"
        " date_trunc('month', now() AT TIME ZONE 'UTC')::date"
    )
    await owner.execute("SELECT make_month($1)", old)
    frozen = (await tending.vacuum(upkeep))["frozen"]
    assert {f"parts.{table}_{old:%Y_%m}" for table in ("sessions", "events")} <= set(frozen)
    assert not [place for place in frozen if f"{young:%Y_%m}" in place]
    assert "frozen" not in await tending.vacuum(upkeep)
    # One that went and came back is another one.
    for table in ("events", "sessions"):
        await owner.execute(f"ALTER TABLE {table} DETACH PARTITION parts.{table}_{old:%Y_%m}")
        await owner.execute(f"DROP TABLE parts.{table}_{old:%Y_%m}")
    await tending.vacuum(upkeep)
    await owner.execute("SELECT make_month($1)", old)
    assert set((await tending.vacuum(upkeep))["frozen"]) == {
        f"parts.sessions_{old:%Y_%m}", f"parts.events_{old:%Y_%m}"
    }  # fmt: skip


async def test_statistics_of_a_partitioned_table_are_made_as_a_whole(owner: Any, upkeep: Any) -> None:
    await owner.execute("CREATE TABLE whole (n int) PARTITION BY RANGE (n)")
    await owner.execute("CREATE TABLE parts.whole_1 PARTITION OF whole FOR VALUES FROM (1) TO (100000)")
    await owner.execute("INSERT INTO whole SELECT generate_series(1, 5000)")
    await owner.execute("ANALYZE parts.whole_1")
    asked = "SELECT count(*) FROM pg_stats WHERE tablename = 'whole' AND inherited"
    assert await owner.fetchval(asked) == 0
    assert "public.whole" in (await tending.vacuum(upkeep))["analysed"]
    assert await owner.fetchval(asked) == 1
    assert "public.whole" not in (await tending.vacuum(upkeep)).get("analysed", [])
    await owner.execute("DROP TABLE whole")


async def test_a_table_that_somebody_is_at_is_left_for_the_next_time(
    database: Any, owner: Any, upkeep: Any, table: None
) -> None:
    await counted(owner)
    await upkeep.execute("SET lock_timeout = '200ms'")
    other = await connect(database.owner)
    async with other.transaction():
        await other.execute("LOCK TABLE tended IN SHARE UPDATE EXCLUSIVE MODE")
        assert (await tending.vacuum(upkeep))["busy"] == ["public.tended"]
        # Who writes has not waited, and does not.
        await owner.execute("UPDATE tended SET v = 'z' WHERE id = 1")
    await other.close()
    assert "public.tended" in (await tending.vacuum(upkeep))["analysed"]


async def size(owner: Any) -> int:
    return int(await owner.fetchval("SELECT pg_relation_size('tended_pkey')"))


async def test_an_index_that_is_mostly_air_is_rebuilt_while_rows_are_written(
    owner: Any, upkeep: Any, table: None
) -> None:
    await owner.execute("DELETE FROM tended WHERE id % 50 <> 0")
    await owner.execute("VACUUM tended")
    before = await size(owner)
    rebuilding = asyncio.create_task(
        tending.reindex(upkeep, ["public.tended_pkey", "public.gone", "pg_catalog.pg_class_oid_index"])
    )
    written = 0
    while not rebuilding.done():
        written += 1
        await owner.execute("INSERT INTO tended VALUES ($1, 'w')", 100_000 + written)
    done = await rebuilding
    # A page more or less: rows were written while it was measured.
    assert list(done) == ["rebuilt"] and list(done["rebuilt"]) == ["public.tended_pkey"]
    assert done["rebuilt"]["public.tended_pkey"] == pytest.approx([before, await size(owner)], abs=3 * 8192)
    assert await size(owner) < before / 2
    assert await owner.fetchval("SELECT count(*) FROM tended WHERE id > 100000") == written


async def test_what_a_rebuilding_that_was_cut_off_left_is_removed_and_an_invalid_index_mended(
    database: Any, owner: Any, upkeep: Any, table: None
) -> None:
    await owner.execute("CREATE INDEX tended_v ON tended (v)")
    reader, cut = await connect(database.owner), await connect(database.owner)
    async with reader.transaction():
        await reader.execute("DELETE FROM tended WHERE id = 7")
        await cut.execute("SET lock_timeout = '200ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await cut.execute("REINDEX INDEX CONCURRENTLY tended_v")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await cut.execute("CREATE INDEX CONCURRENTLY tended_half ON tended (v, id)")
    invalid = (
        "SELECT indexrelid::regclass::text AS n FROM pg_index"
        " WHERE NOT indisvalid AND indrelid = 'tended'::regclass ORDER BY 1"
    )
    assert [r["n"] for r in await owner.fetch(invalid)] == ["tended_half", "tended_v_ccnew"]
    done = await tending.reindex(upkeep, [])
    assert done["removed"] == ["public.tended_v_ccnew"] and list(done["mended"]) == ["public.tended_half"]
    assert await owner.fetch(invalid) == []
    assert await tending.reindex(upkeep, []) == {}
    for connection in (reader, cut):
        await connection.close()


async def test_what_did_not_get_smaller_is_left_alone_for_a_month(
    owner: Any, upkeep: Any, table: None
) -> None:
    await owner.execute(
        "INSERT INTO upkeep_runs (job, outcome, detail) VALUES ('reindex', 'ok', $1)",
        {"rebuilt": {"public.tended_pkey": [1000, 990], "public.other": [1000, 10]}},
    )
    assert await tending.reindex(upkeep, ["public.tended_pkey"]) == {}
    await owner.execute(
        "UPDATE upkeep_runs SET started_at = now() - interval '31 days' WHERE job = 'reindex'"
    )
    assert list((await tending.reindex(upkeep, ["public.tended_pkey"]))["rebuilt"]) == ["public.tended_pkey"]


async def test_two_nodes_tend_at_once(database: Any, owner: Any, upkeep: Any, table: None) -> None:
    """The lease keeps them apart; were it not for that, nothing would break either."""
    await owner.execute("DELETE FROM tended WHERE id % 50 <> 0")
    await counted(owner)
    other = await connect(database.owner)
    await asyncio.gather(tending.vacuum(upkeep), tending.vacuum(other))
    async with asyncio.timeout(30):
        both = await asyncio.gather(
            *(tending.reindex(node, ["public.tended_pkey"]) for node in (upkeep, other)),
            return_exceptions=True,
        )
    await other.close()
    assert any(isinstance(done, dict) and "rebuilt" in done for done in both), both
    assert (await tending.reindex(upkeep, [])).keys() <= {"removed"}
    assert await owner.fetchval("SELECT count(*) FROM tended") == 600
