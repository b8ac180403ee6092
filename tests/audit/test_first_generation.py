"""The checks of integrity over the first generation's schema: what was wrong there is found, and its remedy clears it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.audit import run
from opsmantik.audit.checks import all_checks
from opsmantik.audit.findings import Report
from opsmantik.audit.given import GIVEN
from opsmantik.db.embedded import EmbeddedServer
from tests.conftest import run as run_now

SCHEMA = Path(__file__).with_name("first_generation.sql")
INTEGRITY = [check for check in all_checks() if check.group == "integrity"]
REPLICA = "SET session_replication_role = replica; {}; SET session_replication_role = origin"
ASKED = {
    "session_month_drift", "event_month_drift", "calls_without_session", "events_without_session",
    "cross_tenant_references", "cross_tenant_keys", "session_shadows", "duplicated_intents", "statuses_outside_model",
}  # fmt: skip


@pytest.fixture(scope="module")
def old(server: EmbeddedServer) -> str:
    """Its database, as a superuser sees it: nothing in it is ours."""

    async def make() -> None:
        admin = await asyncpg.connect(server.admin_dsn())
        await admin.execute("CREATE DATABASE first_generation TEMPLATE template0")
        await admin.close()
        owner = await asyncpg.connect(server.admin_dsn("first_generation"))
        await owner.execute(SCHEMA.read_text())
        await owner.close()

    run_now(make())
    return server.admin_dsn("first_generation")


@pytest_asyncio.fixture(loop_scope="session")
async def copy(server: EmbeddedServer, old: str) -> AsyncIterator[str]:
    """One to break."""
    admin: Any = await asyncpg.connect(server.admin_dsn())
    await admin.execute("CREATE DATABASE broken_generation TEMPLATE first_generation")
    yield server.admin_dsn("broken_generation")
    await admin.execute("DROP DATABASE broken_generation WITH (FORCE)")
    await admin.close()


async def audited(dsn: str) -> Report:
    connection = await run.connect(dsn)
    try:
        return await run.audit(connection, INTEGRITY, GIVEN)
    finally:
        await connection.close()


def wrong(report: Report) -> dict[str, list[tuple[str, str, float | None]]]:
    return {
        r.name: [(f.level, f.object, f.figure) for f in r.findings]
        for r in report.results
        if r.outcome == "found"
    }


async def test_what_applies_there_is_asked_and_is_clean(old: str) -> None:
    report = await audited(old)
    assert {r.stem: r.reason for r in report.unknown()} == {}
    assert wrong(report) == {}
    assert {r.name for r in report.results if r.outcome == "clean"} == ASKED


class Fault(NamedTuple):
    broken: str
    found: set[str]
    fixed: str | None = None
    """None: the remedies are run, which are statements."""


SITE = "md5('site1')::uuid"
VISIT = "md5('visit2')::uuid"  # of site 1, in January
FAULTS = {
    "sessions in another month": Fault(
        "UPDATE sessions SET created_month = '2026-02-01' WHERE created_at < '2026-01-03Z';"
        "UPDATE events SET session_month = '2026-02-01' WHERE created_at < '2026-01-03Z'",
        {"session_month_drift"},
    ),
    "events in another month": Fault(
        "UPDATE events SET session_month = '2026-02-01' WHERE created_at < '2026-01-03Z'",
        {"event_month_drift"},
    ),
    "leads whose visit is not there": Fault(
        "UPDATE calls SET matched_session_id = gen_random_uuid() WHERE created_at < '2026-01-03Z'",
        {"calls_without_session"},
        "UPDATE calls SET matched_session_id = NULL WHERE created_at < '2026-01-03Z'",
    ),
    "events whose visit is not there": Fault(
        f"UPDATE events SET session_id = gen_random_uuid() WHERE session_id = {VISIT}",
        {"events_without_session"},
        f"DELETE FROM events WHERE site_id = {SITE} AND session_id NOT IN (SELECT id FROM sessions)",
    ),
    "a lead with another client's visit": Fault(
        f"UPDATE calls SET matched_session_id = {VISIT} WHERE site_id <> {SITE} AND created_at < '2026-01-03Z'",
        {"calls_without_session", "cross_tenant_references"},
        "UPDATE calls SET matched_session_id = NULL WHERE created_at < '2026-01-03Z'",
    ),
    "events that name another client": Fault(
        f"UPDATE events SET site_id = md5('site2')::uuid WHERE session_id = {VISIT}",
        {"cross_tenant_references", "cross_tenant_keys"},
        "UPDATE events e SET site_id = s.site_id FROM sessions s WHERE s.id = e.session_id",
    ),
    "a visit with a row in two months": Fault(
        "INSERT INTO sessions (id, site_id, created_month, created_at)"
        f" SELECT id, site_id, '2026-02-01', '2026-02-01 00:10Z' FROM sessions WHERE id = {VISIT};"
        " INSERT INTO events (session_id, session_month, site_id, event_category, event_action)"
        f" SELECT id, created_month, site_id, 'interaction', 'view' FROM sessions WHERE id = {VISIT}",
        {"session_shadows"},
        f"DELETE FROM sessions WHERE id = {VISIT} AND created_month = '2026-02-01'",
    ),
    "one tap twice, by its stamp": Fault(
        "INSERT INTO calls SELECT gen_random_uuid(), site_id, phone_number, NULL, created_at + interval '1 minute', status,"
        f" source, intent_stamp, intent_action, intent_target FROM calls WHERE matched_session_id = {VISIT}",
        {"duplicated_intents"},
        "UPDATE calls SET status = 'junk' WHERE matched_session_id IS NULL",
    ),
    "one tap twice, within ten seconds": Fault(
        "INSERT INTO calls SELECT gen_random_uuid(), site_id, phone_number, matched_session_id, created_at + interval '9s',"
        f" status, source, 'other', intent_action, intent_target FROM calls WHERE matched_session_id = {VISIT}",
        {"duplicated_intents"},
        "UPDATE calls SET status = 'junk' WHERE intent_stamp = 'other'",
    ),
    "leads without a status": Fault(
        "UPDATE calls SET status = NULL WHERE created_at > '2026-02-01Z'", {"statuses_outside_model"}
    ),
    "leads with a status that there is not": Fault(
        "UPDATE calls SET status = 'maybe' WHERE created_at > '2026-02-20Z'",
        {"statuses_outside_model"},
        "UPDATE calls SET status = 'intent' WHERE status = 'maybe'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
async def test_its_faults_are_found_and_their_remedies_clear_them(copy: str, name: str) -> None:
    fault = FAULTS[name]
    admin: Any = await asyncpg.connect(copy)
    try:
        await admin.execute(REPLICA.format(fault.broken))
        report = await audited(copy)
        assert wrong(report).keys() == fault.found
        remedies = [f.remedy for r in report.results for f in r.findings]
        for statement in [fault.fixed] if fault.fixed else remedies:
            await admin.execute(statement)
    finally:
        await admin.close()
    assert wrong(await audited(copy)) == {}
