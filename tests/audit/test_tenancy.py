"""What the tenancy checks find that cannot be planted in one database: roles of the whole server, every policy in turn,
and the walls of a database of the first generation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.audit import run
from opsmantik.audit.checks import all_checks
from opsmantik.audit.findings import Report
from opsmantik.audit.given import GIVEN
from opsmantik.db.embedded import EmbeddedServer
from tests.conftest import Dsns
from tests.conftest import run as run_now

pytestmark = pytest.mark.slow

CHECKS = {check.name: check for check in all_checks()}
WALLS = [check for check in CHECKS.values() if check.group in ("tenancy", "contracts")]
OLD = Path(__file__).parents[1] / "first_generation"


@pytest_asyncio.fixture(loop_scope="session")
async def admin(healthy: Dsns) -> AsyncIterator[Any]:
    """A superuser's transaction in the healthy database, rolled back."""
    connection = await asyncpg.connect(healthy.admin)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def asked(connection: Any, name: str) -> list[tuple[str, str, str]]:
    """Level, object and detail of a check's findings, inside of the transaction that the connection is in."""
    report = await run.audit(connection, [CHECKS[name]], GIVEN)
    result = report.results[0]
    assert result.outcome in ("clean", "found"), result.reason
    return [(f.level, f.object, f.detail) for f in result.findings if f.level != "info"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("ALTER ROLE opsmantik_app BYPASSRLS", "bypasses row security"),
        ("ALTER ROLE opsmantik_app SUPERUSER", "is a superuser"),
        (
            "CREATE ROLE keeper; ALTER TABLE saved_views OWNER TO keeper; GRANT keeper TO opsmantik_app",
            "may become keeper, which row security does not bind",
        ),
        ("GRANT pg_read_server_files TO opsmantik_app", "may become pg_read_server_files"),
    ],
)  # fmt: skip
async def test_an_application_s_role_that_row_security_does_not_bind_is_found(
    admin: Any, fault: str, words: str
) -> None:
    assert await asked(admin, "roles_past_row_security") == []
    await admin.execute(fault)
    found = await asked(admin, "roles_past_row_security")
    assert [(level, name) for level, name, _ in found] == [("error", "opsmantik_app")]
    assert words in found[0][2]


async def test_a_leak_is_seen_through_every_policy(admin: Any) -> None:
    """Each table that the application may read is tried: with its policy weakened it is found."""
    policies = await admin.fetch(
        "SELECT c.oid::regclass::text AS name, p.polname::text AS policy"
        " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'site_id'"
        " WHERE p.polcmd = 'r' AND p.polroles = '{0}' AND has_column_privilege('opsmantik_app', c.oid, a.attnum, 'SELECT')"
    )
    assert len(policies) > 25
    for row in policies:
        await admin.execute(f"ALTER POLICY {row['policy']} ON {row['name']} USING (site_id IS NOT NULL)")
    tables = {row["name"] for row in policies}
    filled = {name for name in tables if await admin.fetchval(f"SELECT EXISTS (SELECT FROM {name})")}
    assert len(filled) > 15
    await admin.execute("SET LOCAL ROLE opsmantik_owner")
    found = {name.removeprefix("public.") for _, name, _ in await asked(admin, "leaks")}
    assert found & tables == filled


async def test_a_role_that_cannot_be_taken_on_is_said(admin: Any) -> None:
    await admin.execute("REVOKE opsmantik_app FROM opsmantik_owner GRANTED BY opsmantik_owner")
    await admin.execute("SET LOCAL ROLE opsmantik_owner")
    ((level, name, words),) = await asked(admin, "leaks")
    assert (level, name) == ("warn", "opsmantik_app")
    assert words.startswith("Could not be tried")


# The first generation.


@pytest.fixture(scope="module")
def old(server: EmbeddedServer) -> str:
    async def make() -> None:
        first = await asyncpg.connect(server.admin_dsn())
        await first.execute("CREATE DATABASE old_walls TEMPLATE template0")
        await first.close()
        inside = await asyncpg.connect(server.admin_dsn("old_walls"))
        await inside.execute((OLD / "schema.sql").read_text())
        await inside.execute((OLD / "content.sql").read_text())
        await inside.close()

    run_now(make())
    return server.admin_dsn("old_walls")


@pytest_asyncio.fixture(loop_scope="session")
async def theirs(old: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(old)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


def wrong(report: Report) -> dict[str, set[str]]:
    return {
        r.name: {f.object for f in r.findings if f.level != "info"}
        for r in report.results
        if r.outcome == "found"
    }


PARTS = {f"public.{table}_2026_{month}" for table in ("sessions", "events") for month in ("01", "02", "03")}


async def test_its_gaps_are_found(old: str) -> None:
    connection = await run.connect(old)
    try:
        report = await run.audit(connection, WALLS, GIVEN)
    finally:
        await connection.close()
    assert {r.stem: r.reason for r in report.unknown()} == {}
    found = wrong(report)
    assert found["row_security_off"] == found["partition_grants"] == found["leaks"] == PARTS
    assert found["policies_in_a_circle"] == {"public.sites", "public.site_members", "public.profiles"}
    assert {"public.calls", "public.events", "public.sessions"} <= found["row_security_not_forced"]
    assert {"public.sessions.sessions_iron_dome", "public.events.events_iron_dome"} <= found[
        "policies_by_row"
    ]
    assert "public.create_next_month_partitions()" in found["definer_open"] & found["definer_search_path"]
    assert found["default_privileges"] == {
        "new tables of postgres in public",
        "new functions of postgres in public",
    }
    assert {"public.calls_pkey", "public.sessions_pkey"} <= found["keys_not_led_by_site"]
    assert "public.events.fk_events_session" in found["references_without_site"]
    assert {"public.calls", "public.sites"} <= found["truncate_granted"]
    assert {"public.processed_signals", "public.sync_dlq"} <= found["row_security_without_policy"]
    assert found["overloads"] == {"public.get_dashboard_stats"}


async def test_its_members_are_kept_apart_once_their_policies_do_not_go_round_in_circles(theirs: Any) -> None:
    await theirs.execute("ALTER POLICY sites_select ON sites USING (user_id = auth.uid())")
    await theirs.execute("ALTER POLICY site_members_all_owner ON site_members USING (user_id = auth.uid())")
    assert {name for _, name, _ in await asked(theirs, "leaks")} == PARTS
    await theirs.execute("ALTER POLICY calls_select_accessible ON calls USING (auth.uid() IS NOT NULL)")
    found = {name: words for _, name, words in await asked(theirs, "leaks") if name not in PARTS}
    assert found.keys() == {"public.calls"}
    assert "whoever has not signed in" not in found["public.calls"]
    assert "somebody without a site" in found["public.calls"]
    assert found["public.calls"].count("the owner of") == 2


async def test_a_migration_that_grants_what_an_earlier_one_dropped_is_found(theirs: Any) -> None:
    await theirs.execute(
        "CREATE SCHEMA supabase_migrations;"
        "CREATE TABLE supabase_migrations.schema_migrations (version text, statements text[]);"
        "INSERT INTO supabase_migrations.schema_migrations VALUES"
        " ('20260127', ARRAY['GRANT EXECUTE ON FUNCTION public.get_old(uuid, int) TO anon']),"
        " ('20260128', ARRAY['DROP FUNCTION IF EXISTS public.get_old(uuid, int)']),"
        " ('20260131', ARRAY['REVOKE EXECUTE ON FUNCTION public.get_old(uuid, int) FROM anon', 'SELECT 1'])"
    )
    found = await asked(theirs, "dead_grants")
    assert [(level, name) for level, name, _ in found] == [("warn", "migration 20260131")]
