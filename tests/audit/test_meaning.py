"""The checks of meaning on a database of the first generation, fault by fault; and what a role is told that row security
binds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.audit import run
from opsmantik.audit.findings import Report
from opsmantik.audit.given import GIVEN
from opsmantik.db.embedded import EmbeddedServer
from tests.audit.test_cases import CHECKS, audited
from tests.conftest import run as run_now

MEANING = [stem for stem, check in CHECKS.items() if check.group == "meaning"]
SITE = "00000000-0000-4000-8000-000000000001"
# Its tables as far as these checks ask for them, and five weeks of a site in which nothing is wrong: a visit every hour,
# half of them paid, each of those with a click id and a keyword; one in four with a tap and its lead.
SCHEMA = f"""
CREATE TABLE sites (id uuid PRIMARY KEY, user_id uuid, public_id text);
CREATE TABLE sessions (id uuid NOT NULL, site_id uuid NOT NULL REFERENCES sites, created_month date NOT NULL,
    created_at timestamptz, attribution_source text, gclid text, wbraid text, gbraid text, utm_term text,
    PRIMARY KEY (id, created_month));
CREATE TABLE events (id uuid NOT NULL DEFAULT gen_random_uuid(), session_id uuid, session_month date NOT NULL, site_id uuid,
    created_at timestamptz, event_category text, event_action text, PRIMARY KEY (id, session_month));
CREATE TABLE calls (id uuid PRIMARY KEY, site_id uuid NOT NULL, matched_session_id uuid, created_at timestamptz,
    source text, oci_status text, oci_status_updated_at timestamptz);
INSERT INTO sites (id) VALUES ('{SITE}');
INSERT INTO sessions SELECT gen_random_uuid(), '{SITE}', date_trunc('month', at AT TIME ZONE 'UTC'), at,
    CASE WHEN hour % 2 = 0 THEN 'First Click (Paid)' ELSE 'Organic' END, CASE WHEN hour % 2 = 0 THEN 'Cj0abc' END, '', NULL,
    CASE WHEN hour % 2 = 0 THEN 'vinç' END
FROM generate_series(0, 34 * 24 + 1) AS hour
CROSS JOIN LATERAL (SELECT date_trunc('hour', now()) - hour * interval '1 hour' AS at) t;
INSERT INTO events (session_id, session_month, site_id, created_at, event_category, event_action)
SELECT id, created_month, site_id, created_at, 'conversion', 'phone_call' FROM sessions
WHERE extract(hour FROM created_at)::integer % 4 = 0;
INSERT INTO calls SELECT gen_random_uuid(), site_id, session_id, created_at, 'click', 'uploaded', created_at FROM events;
"""
FAULTS = {
    "no visit by an ad for a week": (
        "UPDATE sessions SET attribution_source = 'Organic', gclid = NULL WHERE created_at > now() - interval '8 days'",
        {"paid_share"},
    ),
    "visits with a click id are called organic": (
        "UPDATE sessions SET attribution_source = 'Organic'",
        {"paid_share"},
    ),
    "no keyword for a week": (
        "UPDATE sessions SET utm_term = '' WHERE created_at > now() - interval '8 days'",
        {"keyword_coverage"},
    ),
    "paid visits without a click id": ("UPDATE sessions SET gclid = NULL", {"click_id_coverage"}),
    "taps without a lead": (
        "DELETE FROM calls WHERE created_at > now() - interval '8 days'",
        {"taps_without_intent"},
    ),
    "conversions fail": ("UPDATE calls SET oci_status = 'failed'", {"conversion_states"}),
    "nobody comes": (
        "INSERT INTO sessions SELECT gen_random_uuid(), site_id, created_month, created_at"
        " FROM sessions, generate_series(1, 3) WHERE created_at < now() - interval '5 days';"
        "DELETE FROM sessions WHERE created_at > now() - interval '30 hours'",
        {"silence"},
    ),
}


@pytest.fixture(scope="module")
def old(server: EmbeddedServer) -> str:
    async def make() -> None:
        admin = await asyncpg.connect(server.admin_dsn())
        await admin.execute("CREATE DATABASE meaning TEMPLATE template0")
        await admin.close()
        there = await asyncpg.connect(server.admin_dsn("meaning"))
        await there.execute(SCHEMA)
        await there.close()

    run_now(make())
    return server.admin_dsn("meaning")


@pytest_asyncio.fixture(loop_scope="session")
async def broken(old: str) -> AsyncIterator[Any]:
    """A superuser's transaction, rolled back; it is what the audit asks in, too."""
    connection = await asyncpg.connect(old)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


def wrong(report: Report) -> set[str]:
    return {result.name for result in report.results if result.outcome == "found"}


async def test_a_first_generation_in_which_nothing_is_wrong_tells_its_figures(old: str) -> None:
    report = await audited(old, *MEANING)
    assert report.unknown() == [] and wrong(report) == set()
    told = {f.cache_key: f.detail for r in report.results for f in r.findings}
    assert " visits of five weeks, 50 %;" in told[f"paid_share {SITE} share"]
    assert {r.name for r in report.results if r.outcome == "not_applicable"} == {"tracker_versions"}


@pytest.mark.parametrize("name", FAULTS)
async def test_its_faults_are_found(broken: Any, name: str) -> None:
    plant, found = FAULTS[name]
    await broken.execute(plant)
    report = await run.audit(broken, [CHECKS[stem] for stem in MEANING], GIVEN)
    assert report.unknown() == [] and wrong(report) == found
    assert {f.object for r in report.results for f in r.findings if f.level != "info"} == {f"site {SITE}"}


async def test_a_role_that_sees_only_some_rows_is_told_so_and_not_that_all_is_well(
    old: str, broken: Any
) -> None:
    """Everything there is hidden from it: without a word about it every check would find nothing wrong."""
    await broken.execute(
        "DELETE FROM calls; ALTER TABLE sessions ENABLE ROW LEVEL SECURITY; ALTER TABLE calls ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON sessions FOR SELECT USING (false); CREATE ROLE reader;"
        " GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; SET LOCAL ROLE reader"
    )
    report = await run.audit(broken, [CHECKS[s] for s in (*MEANING, "0058_bloated_indexes")], GIVEN)
    said = {r.name: (r.outcome, r.reason) for r in report.results}
    for name in ("paid_share", "keyword_coverage", "click_id_coverage", "silence"):
        assert said[name] == ("not_applicable", "row security hides rows of sessions from this role")
    assert said["taps_without_intent"][1] == "row security hides rows of calls from this role"
    assert said["bloated_indexes"][0] == "clean", "what reads no tenant's table is asked as ever"
    assert report.unknown() == []


async def test_our_own_role_is_told_so_too_and_our_owner_is_not_hindered(healthy: Any) -> None:
    names = ["0001_session_month_drift", "0009_counters_against_rows", "0040_leaks"]
    assert {r.outcome for r in (await audited(healthy.app, *names)).results} == {"not_applicable"}
    assert {r.outcome for r in (await audited(healthy.owner, *names)).results} == {"clean"}
    assert {r.outcome for r in (await audited(healthy.admin, *names)).results} == {"clean"}
