"""What is only told: figures of the healthy database, which no fault can be planted for."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import pytest

from opsmantik.audit import plans as asked
from opsmantik.audit.findings import Finding
from opsmantik.audit.indexes import FLEETING, PLANNED, PURPOSES, UNINDEXED
from opsmantik.audit.needs import catalogue
from opsmantik.audit.statistics import statistics
from tests.audit.test_cases import audited
from tests.conftest import Dsns

pytestmark = pytest.mark.slow


async def told(dsns: Dsns, stem: str) -> dict[str, Finding]:
    result = (await audited(dsns.owner, stem)).results[0]
    assert result.reason is None
    return {finding.object: finding for finding in result.findings}


async def test_every_index_says_what_it_is_for(healthy: Dsns) -> None:
    found = await told(healthy, "0059_index_figures")
    assert "Leads of one status" in found["public.calls_status_idx"].detail
    assert (found["public.calls_status_idx"].figure or 0) > 8192
    assert [name for name, finding in found.items() if "Nobody has said" in finding.detail] == []
    kept = {name for name, finding in found.items() if "Keeps rows apart" in finding.detail}
    assert kept == set()
    assert {f"public.{name}" for name in PURPOSES} <= found.keys()


async def test_a_partitioned_tables_index_is_the_sum_of_its_parts(healthy: Dsns) -> None:
    found = await told(healthy, "0059_index_figures")
    connection = await asyncpg.connect(healthy.owner)
    size = await connection.fetchval(
        "SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree('events_pkey'::regclass)"
    )
    await connection.close()
    assert found["public.events_pkey"].figure == size > 8192
    assert not any(name.startswith("parts.") for name in found)


async def test_each_index_of_the_first_audit_has_an_answer(healthy: Dsns) -> None:
    found = await told(healthy, "0060_seed_indexes")
    assert len(found) == len(PLANNED) == len({each.name for each in PLANNED}) == 24
    assert "In its stead: calls_decided_idx" in found["public.calls.idx_calls_confirmed_at"].detail
    assert found["public.sessions.idx_sessions_gclid"].detail.startswith("Left out: ")


async def test_keys_and_tables_that_may_be_so_are_told_with_the_reason(healthy: Dsns) -> None:
    keys = await told(healthy, "0051_unindexed_foreign_keys")
    assert {name.rpartition(".")[2] for name in keys} == set(UNINDEXED)
    assert {name.rpartition(".")[2] for name in await told(healthy, "0099_unlogged_tables")} == set(FLEETING)


async def test_a_partitioned_tables_rows_are_the_sum_of_its_partitions(healthy: Dsns) -> None:
    found = await told(healthy, "0075_partition_figures")
    assert re.search(r"about 1200 rows", found["public.events"].detail)
    parts = [f for name, f in found.items() if name.startswith("parts.events_")]
    assert found["public.events"].figure == sum(part.figure or 0 for part in parts)
    assert "2026-10-01" in found["parts.events_2026_10"].detail


async def test_the_oldest_month_says_when_it_goes(healthy: Dsns) -> None:
    found = await told(healthy, "0076_retention_next")
    assert found.keys() == {"parts.sessions_2026_08", "parts.events_2026_08"}
    # kept for 25 months after its own: to the end of September 2028
    assert "expires on 2028-10-01" in found["parts.events_2026_08"].detail


async def test_writes_are_counted_by_whole_tables(healthy: Dsns) -> None:
    connection = await asyncpg.connect(healthy.owner)
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    await connection.close()
    found = await told(healthy, "0089_write_rates")
    assert found["public.events"].detail.startswith("1200 added, 0 changed")


async def test_slow_statements_are_shown_without_what_they_asked_for(healthy: Dsns) -> None:
    admin = await asyncpg.connect(healthy.admin)
    await admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    try:
        await admin.fetch(
            "SELECT count(*) FROM calls, generate_series(1, 2000) WHERE phone_number <> '+905550001122'"
        )
        found = await told(healthy, "0090_slowest_statements")
    finally:
        await admin.execute("DROP EXTENSION pg_stat_statements")
        await admin.close()
    words = " ".join(finding.detail for finding in found.values())
    assert 1 <= len(found) <= 10 and "phone_number" in words and "90555" not in words


@pytest.mark.parametrize(
    "stem",
    ["0091_wraparound", "0094_connections", "0096_checkpoints", "0097_settings", "0098_temporary_files"],
)
async def test_how_things_are_is_told_where_nothing_is_wrong(healthy: Dsns, stem: str) -> None:
    assert await told(healthy, stem)


async def test_statistics_are_as_old_as_the_youngest_witness(healthy: Dsns) -> None:
    connection: Any = await asyncpg.connect(healthy.owner)
    try:
        there = await catalogue(connection)
        assert 0 <= (await statistics(connection, there))["days"] < 1
        await connection.execute("SET app.statistics_since = '2026-01-31 00:00Z'")
        assert (await statistics(connection, there))["since"] == "2026-01-31T00:00:00+00:00"
    finally:
        await connection.close()


async def test_statements_are_planned_by_a_generic_plan_and_leave_nothing_behind(healthy: Dsns) -> None:
    connection: Any = await asyncpg.connect(healthy.owner)
    try:
        async with connection.transaction(readonly=True):
            found = {
                each.statement: each for each in await asked.plans(connection, await catalogue(connection))
            }
            assert not await connection.fetchval(
                "SELECT count(*) FROM pg_prepared_statements WHERE name ~ 'audit'"
            )
    finally:
        await connection.close()
    assert {name for name, each in found.items() if each.error} == set()
    assert set(asked.ALL_MONTHS) <= found.keys()
    newest = found["dashboard/cards/newest_sessions.newest_sessions"].bound
    assert newest is not None
    assert [(months.table, months.by) for months in newest.months] == [("sessions", "range")]
    assert all(scan.index for scan in newest.scans if scan.relation.startswith("parts."))


async def test_reasons_are_given_only_where_they_are_needed(healthy: Dsns) -> None:
    connection: Any = await asyncpg.connect(healthy.owner)
    try:
        async with connection.transaction(readonly=True):
            found = await asked.plans(connection, await catalogue(connection))
    finally:
        await connection.close()
    whole = {
        each.statement for each in found if each.bound and any(m.by == "nothing" for m in each.bound.months)
    }
    assert set(asked.ALL_MONTHS) <= whole
