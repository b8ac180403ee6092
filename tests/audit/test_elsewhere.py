"""A database that is not ours: partitions of the first generation, its indexes, and a table without anything."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.audit.findings import Report
from opsmantik.db.embedded import EmbeddedServer
from tests.audit.test_cases import CHECKS, audited

SCHEMA = """
CREATE TABLE sites (id uuid PRIMARY KEY, public_id text NOT NULL UNIQUE);
CREATE INDEX idx_sites_public_id ON sites (public_id);
CREATE TABLE sessions (id uuid NOT NULL, site_id uuid NOT NULL REFERENCES sites, created_month date NOT NULL,
    created_at timestamptz DEFAULT now(), PRIMARY KEY (id, created_month)) PARTITION BY RANGE (created_month);
CREATE INDEX idx_sessions_site_id ON sessions (site_id);
CREATE INDEX idx_sessions_site_month_date ON sessions (site_id, created_month, created_at);
CREATE TABLE events (id uuid NOT NULL, session_id uuid NOT NULL, session_month date NOT NULL, site_id uuid,
    PRIMARY KEY (id, session_month),
    FOREIGN KEY (session_id, session_month) REFERENCES sessions (id, created_month)) PARTITION BY RANGE (session_month);
CREATE TABLE notes (site_id uuid NOT NULL, words text);
DO $$
DECLARE
    v_table text;
    v_first timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    v_month date;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['sessions', 'events'] LOOP
        FOR v_month IN SELECT generate_series(v_first - interval '2 months', v_first, '1 month') LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                v_table || to_char(v_month, '"_"YYYY"_"MM'), v_table, v_month, (v_month + interval '1 month')::date);
        END LOOP;
    END LOOP;
END $$;
"""


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere(server: EmbeddedServer) -> AsyncIterator[str]:
    admin = await asyncpg.connect(server.admin_dsn())
    await admin.execute("CREATE DATABASE elsewhere TEMPLATE template0")
    try:
        there = await asyncpg.connect(server.admin_dsn("elsewhere"))
        await there.execute(SCHEMA)
        await there.close()
        yield server.admin_dsn("elsewhere")
    finally:
        await admin.execute("DROP DATABASE elsewhere WITH (FORCE)")
        await admin.close()


def wrong(report: Report) -> dict[str, set[str]]:
    return {
        result.name: {f"{f.level} {f.object}" for f in result.findings if f.level != "info"}
        for result in report.results
        if result.outcome == "found"
    }


@pytest.mark.slow
async def test_indexes_partitions_and_performance_of_another_database(elsewhere: str) -> None:
    stems = [
        stem for stem, check in CHECKS.items() if check.group in ("indexes", "partitions", "performance")
    ]
    report = await audited(elsewhere, *stems)
    assert report.unknown() == []
    assert {r.name for r in report.results if r.outcome == "not_applicable"} >= {
        "contract_paths", "contract_pruning", "seed_indexes", "retention_next",
    }  # fmt: skip
    assert wrong(report) == {
        "unindexed_foreign_keys": {"warn public.events.events_session_id_session_month_fkey"},
        "site_indexes": {"warn public.events", "warn public.notes"},
        "no_primary_key": {"warn public.notes"},
        "duplicate_indexes": {"warn public.idx_sites_public_id"},
        "overlapping_indexes": {"warn public.idx_sessions_site_id"},
        "months_ahead": {"error public.sessions", "error public.events"},
        "no_default_partition": {"warn public.sessions", "warn public.events"},
    }


async def test_what_mends_them_can_be_run_as_it_is(elsewhere: str) -> None:
    """The months' first, since a default partition that holds rows would be in the way."""
    asked = ["0051_unindexed_foreign_keys", "0052_site_indexes", "0055_duplicate_indexes", "0056_overlapping_indexes",
        "0070_months_ahead", "0078_no_default_partition"]  # fmt: skip
    connection = await asyncpg.connect(elsewhere)
    for _ in range(2):
        for result in (await audited(elsewhere, *asked)).results:
            for finding in result.findings:
                if finding.level != "info":
                    await connection.execute(finding.remedy)
    await connection.close()
    left = wrong(await audited(elsewhere, *asked))
    assert left == {}
