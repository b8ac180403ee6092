"""What cannot be stored, whoever tries; and what the application's role cannot do.

The first half speaks plain SQL as the owner with app.maintenance on, so that nothing but constraints stands in the
way. Each case comes with a counterpart that differs in the one thing and is allowed: a case that the database
refuses for another reason shows there.
"""

# ruff: noqa: E501 - a row a line

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db.migrate import function_files

CHECK = asyncpg.CheckViolationError
FOREIGN = asyncpg.ForeignKeyViolationError
# What ON DELETE RESTRICT says: since PostgreSQL 18 an error of its own.
RESTRICT = (asyncpg.ForeignKeyViolationError, asyncpg.RestrictViolationError)
UNIQUE = asyncpg.UniqueViolationError

# Far from the present, so that each month's place is known: two with partitions, two that wait in the default.
M0, M1, D0, D1 = "2031-03-01", "2031-04-01", "2090-03-01", "2090-04-01"

# Short names for rows. What a statement does not say is right: site a, session s0, month M0, inside that month.
NAMES = ("a", "b", "s0", "s1", "sb", "sd", "new", "e0", "e1", "c0", "c1", "u")
IDS = {name: f"'{UUID(int=n)}'" for n, name in enumerate(NAMES, start=1)}
SESSION_COLUMNS = (
    "site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key, source_key,"
    " attribution_source, channel, is_paid, attribution"
)


def key(site: str = "a", id_: str = "new", month: str = M0) -> str:
    return (
        f"INSERT INTO session_keys (site_id, id, created_month) VALUES ({IDS[site]}, {IDS[id_]}, '{month}')"
    )


def session(site: str = "a", id_: str = "new", month: str = M0, at: str | None = None) -> str:
    at = f"'{at or month + ' 12:00Z'}'"
    return (
        f"INSERT INTO sessions ({SESSION_COLUMNS}) VALUES ({IDS[site]}, '{month}', {IDS[id_]}, {at}, {at}, {at},"
        " 1, 1, 1, 'Direct', 'direct', false, '{}')"
    )


def event(
    site: str = "a",
    session_id: str = "s0",
    month: str = M0,
    id_: str = "e1",
    at: str | None = None,
    into: str = "events",
) -> str:
    at = f"'{at or month + ' 12:00Z'}'"
    return (
        f"INSERT INTO {into} (site_id, session_month, id, session_id, created_at, occurred_at, event_category,"
        f" event_action) VALUES ({IDS[site]}, '{month}', {IDS[id_]}, {IDS[session_id]}, {at}, {at}, 'interaction', 'view')"
    )


def call(
    site: str = "a",
    session_id: str | None = "s0",
    month: str | None = M0,
    id_: str = "c1",
    target: str | None = "tel:+902125550101",
    stamp: str = "stamp-1",
) -> str:
    matched = IDS[session_id] if session_id else "NULL"
    matched_month = f"'{month}'" if month else "NULL"
    target = f"'{target}'" if target is not None else "NULL"
    return (
        "INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, intent_action, intent_target,"
        " intent_stamp, matched_session_id, matched_session_month, currency)"
        f" VALUES ({IDS[site]}, {IDS[id_]}, now(), now(), now(), 'phone', {target}, '{stamp}', {matched},"
        f" {matched_month}, 'TRY')"
    )


def of(table: str, site: str, id_: str, change: str) -> str:
    where = f"WHERE site_id = {IDS[site]} AND id = {IDS[id_]}"
    return f"DELETE FROM {table} {where}" if change == "DELETE" else f"UPDATE {table} SET {change} {where}"


class Case(NamedTuple):
    """Statements of one transaction: refused, with this error, and their counterpart, which is allowed."""

    name: str
    refused: list[str]
    error: type[asyncpg.PostgresError] | tuple[type[asyncpg.PostgresError], ...]
    allowed: list[str]


CASES = [
    # A session and its month.
    Case(
        "a session whose month is not the one of its created_at",
        [key(month=M1), session(month=M1, at="2031-03-15 12:00Z")],
        CHECK,
        [key(month=M1), session(month=M1, at="2031-04-15 12:00Z")],
    ),
    Case(
        "a session at the first instant after its month",
        [key(), session(at="2031-04-01 00:00:00Z")],
        CHECK,
        [key(), session(at="2031-03-31 23:59:59.999999Z")],
    ),
    Case(
        "a session whose month is right in local time only",
        [key(month=M1), session(month=M1, at="2031-04-01 01:00+03")],
        CHECK,
        [key(month=M1), session(month=M1, at="2031-04-01 03:00+03")],
    ),
    Case(
        "a session in the default partition whose month is not the one of its created_at",
        [key(month=D0), session(month=D0, at="2090-04-15 12:00Z")],
        CHECK,
        [key(month=D0), session(month=D0, at="2090-03-15 12:00Z")],
    ),
    Case(
        "a session in another month than its key says",
        [key(month=M0), session(month=M1)],
        FOREIGN,
        [key(month=M1), session(month=M1)],
    ),
    Case(
        "a session in the default partition while its key says a month that has one",
        [key(month=M0), session(month=D0)],
        FOREIGN,
        [key(month=D0), session(month=D0)],
    ),
    Case("a session without a key", [session()], FOREIGN, [key(), session()]),
    Case("a key without a session", [key()], FOREIGN, [key(), session()]),
    Case(
        "a second session of the same site and id, in another month",
        [session(id_="s0", month=M1)],
        FOREIGN,
        [key(month=M1), session(month=M1)],
    ),
    Case(
        "a second session of the same site and id, with a second key",
        [key(id_="s0", month=M1), session(id_="s0", month=M1)],
        UNIQUE,
        [key("b", "s0", M1), session("b", "s0", M1)],
    ),
    Case(
        "a second session of the same site and id, in the same month",
        [session(id_="s0")],
        UNIQUE,
        [key("b", "s0"), session("b", "s0")],
    ),
    Case(
        "a month that does not begin on its first day",
        [key(month="2090-03-02"), session(month="2090-03-02")],
        CHECK,
        [key(month=D0), session(month=D0)],
    ),
    Case(
        "a session that leaves its month",
        [of("sessions", "a", "s1", f"created_month = '{M1}'")],
        CHECK,
        [of("sessions", "a", "s1", "event_count = 7")],
    ),
    Case(
        "a session that leaves its month together with its created_at",
        [of("sessions", "a", "s1", f"created_month = '{M1}', created_at = '2031-04-02Z'")],
        FOREIGN,
        [of("sessions", "a", "s1", "created_at = '2031-03-02Z'")],
    ),
    Case(
        "a key that leaves its session's month",
        [of("session_keys", "a", "s1", f"created_month = '{M1}'")],
        FOREIGN,
        [of("session_keys", "a", "s1", f"created_month = '{M0}'")],
    ),
    Case(
        "a session that changes sites",
        [of("sessions", "a", "s1", f"site_id = {IDS['b']}")],
        FOREIGN,
        [of("sessions", "a", "s1", f"site_id = {IDS['a']}")],
    ),
    Case(
        "a session of a site that does not exist",
        [key("u"), session("u")],
        FOREIGN,
        [key("b"), session("b")],
    ),
    # Events.
    Case(
        "an event whose session does not exist", [event(session_id="new")], FOREIGN, [event(session_id="s1")]
    ),
    Case(
        "an event in another month than its session",
        [event(month=M1)],
        FOREIGN,
        [event(month=M0, at="2031-04-15 12:00Z")],
    ),
    Case(
        "an event in the default partition, of a session that is in a month of its own",
        [event(month=D0)],
        FOREIGN,
        [event(session_id="sd", month=D0)],
    ),
    Case(
        "an event in another month of the default partition than its session",
        [event(session_id="sd", month=D1)],
        FOREIGN,
        [event(session_id="sd", month=D0, at="2090-04-15 12:00Z")],
    ),
    Case(
        "an event in the default partition whose month does not begin on its first day",
        [event(session_id="sd", month="2090-03-02")],
        CHECK,
        [event(session_id="sd", month=D0)],
    ),
    Case(
        "an event received before its session's month",
        [event(at="2031-02-28 23:59:59Z")],
        CHECK,
        [event(at="2031-03-01 00:00:00Z")],
    ),
    Case(
        "an event in the default partition received before its session's month",
        [event(session_id="sd", month=D0, at="2090-02-28 23:59:59Z")],
        CHECK,
        [event(session_id="sd", month=D0, at="2090-03-01 00:00:00Z")],
    ),
    Case(
        "an event of site A that points at site B's session",
        [event("a", "sb")],
        FOREIGN,
        [event("b", "sb")],
    ),
    Case(
        "an event written into a partition of another month",
        [event(into="parts.events_2031_04")],
        CHECK,
        [event(into="parts.events_2031_03")],
    ),
    Case(
        "an event written into the default partition past its month",
        [event(into="parts.events_default")],
        CHECK,
        [event(session_id="sd", month=D0, into="parts.events_default")],
    ),
    Case("the same event twice", [event(id_="e0")], UNIQUE, [event(id_="e1")]),
    Case(
        "an event that moves to another site",
        [of("events", "a", "e0", f"site_id = {IDS['b']}")],
        FOREIGN,
        [of("events", "a", "e0", f"session_id = {IDS['s1']}")],
    ),
    Case(
        "an event that leaves its session's month",
        [of("events", "a", "e0", f"session_month = '{M1}', created_at = '2031-04-15Z'")],
        FOREIGN,
        [of("events", "a", "e0", "created_at = '2031-04-15Z'")],
    ),
    # Intents.
    Case(
        "a call at a session that does not exist", [call(session_id="new")], FOREIGN, [call(session_id="s0")]
    ),
    Case("a call of site A at site B's session", [call("a", "sb")], FOREIGN, [call("b", "sb")]),
    Case("a call in another month than its session", [call(month=M1)], FOREIGN, [call(month=M0)]),
    Case(
        "a call with a session but no month", [call(month=None)], CHECK, [call(session_id=None, month=None)]
    ),
    Case(
        "a call with a month but no session",
        [call(session_id=None)],
        CHECK,
        [call(session_id=None, month=None)],
    ),
    Case(
        "a call that is moved to another site",
        [of("calls", "a", "c0", f"site_id = {IDS['b']}")],
        FOREIGN,
        [of("calls", "a", "c0", "note = 'seen'")],
    ),
    Case("a tap without a target", [call(target=None)], CHECK, [call(target="tel:1")]),
    Case("a tap with an empty target", [call(target="")], CHECK, [call(target="tel:1")]),
    Case("the same tap twice", [call(stamp="stamp-0")], UNIQUE, [call("b", "sb", stamp="stamp-0")]),
    # What others point at stays.
    Case(
        "a session taken away from its key",
        [of("sessions", "a", "s1", "DELETE")],
        FOREIGN,
        [of("sessions", "a", "s1", "DELETE"), of("session_keys", "a", "s1", "DELETE")],
    ),
    Case(
        "a key taken away from its session",
        [of("session_keys", "a", "s1", "DELETE")],
        FOREIGN,
        [of("sessions", "a", "s1", "DELETE"), of("session_keys", "a", "s1", "DELETE")],
    ),
    Case(
        "a key taken away from its events",
        [of("sessions", "a", "s0", "DELETE"), of("session_keys", "a", "s0", "DELETE")],
        FOREIGN,
        [of("sessions", "a", "s1", "DELETE"), of("session_keys", "a", "s1", "DELETE")],
    ),
    Case(
        "a site taken away from its sessions",
        [f"DELETE FROM sites WHERE id = {IDS['a']}"],
        FOREIGN,
        [f"UPDATE sites SET name = 'Other' WHERE id = {IDS['a']}"],
    ),
    Case(
        "a person taken away from their sites",
        [f"DELETE FROM users WHERE id = {IDS['u']}"],
        RESTRICT,
        [f"UPDATE users SET name = 'Other' WHERE id = {IDS['u']}"],
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(owner: Any) -> Any:
    """Two sites of one person; site a has sessions s0 (with an event and a call), s1 and sd, site b has sb."""
    user = f"INSERT INTO users (id, email) VALUES ({IDS['u']}, 'u@example.com')"
    sites = [
        "INSERT INTO sites (id, user_id, public_id, name, domain)"
        f" VALUES ({IDS[site]}, {IDS['u']}, '{site * 32}', 'Shop', 'shop.example')"
        for site in "ab"
    ]
    months = [f"SELECT make_month('{month}')" for month in (M0, M1)]
    visits = [("a", "s0", M0), ("a", "s1", M0), ("a", "sd", D0), ("b", "sb", M0)]
    sessions = [make(*visit) for visit in visits for make in (key, session)]
    rest = [event(id_="e0"), call(id_="c0", stamp="stamp-0")]
    async with owner.transaction():
        for statement in [user, *sites, *months, *sessions, *rest]:
            await owner.execute(statement)
    return owner


@pytest_asyncio.fixture(loop_scope="session")
async def tried(world: Any) -> AsyncIterator[Any]:
    """A transaction that is rolled back, as the owner."""
    transaction = world.transaction()
    await transaction.start()
    yield world
    await transaction.rollback()


async def attempt(connection: Any, statements: list[str]) -> None:
    """The statements, and at once what a commit would check; each must find its row."""
    for statement in statements:
        assert await connection.execute(statement) in ("INSERT 0 1", "UPDATE 1", "DELETE 1"), statement
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_database_refuses(tried: Any, case: Case) -> None:
    with pytest.raises(case.error):
        await attempt(tried, case.refused)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_database_allows_the_counterpart_of(tried: Any, case: Case) -> None:
    await attempt(tried, case.allowed)


# The application's role.

# A new table of facts or of people belongs into one of these, with its policy.
FACTS = {
    "session_keys", "sessions", "events", "calls", "visitors", "rejected_events", "ingest_tally", "site_pulse",
    "counter_journal", "counter_days", "intent_actions", "conversions", "conversion_moves", "replays",
    "conversion_batches", "conversion_batch_items",
}  # fmt: skip
TENANT = FACTS | {
    "site_members", "site_origins", "site_acts", "invites", "ownership_offers", "site_keys", "call_secrets",
    "call_signatures", "erasures", "archive_erasures", "presences", "webhooks", "webhook_deliveries", "notice_wishes", "lead_notices",
    "share_links", "summary_wishes", "lead_search", "saved_views", "conversion_routes",
}  # fmt: skip
# Small, written rarely, alike on every machine of a sharded database: a key to them need not begin with a site.
REFERENCE = {"users", "sites"}


@pytest_asyncio.fixture(loop_scope="session")
async def app(world: Any, database: Any) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.app)
    yield connection
    await connection.close()


async def counts(app: Any, tables: set[str] = TENANT) -> dict[str, int]:
    return {table: await app.fetchval(f"SELECT count(*) FROM {table}") for table in sorted(tables)}


async def test_the_tables_with_a_site_are_known(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'site_id'"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    )
    assert {row["relname"] for row in rows} == TENANT


async def test_the_application_may_write_no_tenant_table(app: Any) -> None:
    for table in sorted(TENANT):
        assert not await app.fetchval(
            "SELECT bool_or(has_any_column_privilege($1, p)) FROM unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) p",
            table,
        ), table
        assert not await app.fetchval(
            "SELECT bool_or(has_table_privilege($1, p)) FROM unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER']) p",
            table,
        ), table
    site = f"site_id = {IDS['a']}"
    for table in sorted(TENANT):
        for statement in (
            f"INSERT INTO {table} (site_id) VALUES ({IDS['a']})",
            f"UPDATE {table} SET {site}",
            f"DELETE FROM {table} WHERE {site}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with app.transaction():
                    await app.execute("SET LOCAL app.maintenance = 'on'")
                    await app.execute(f"SET LOCAL app.sites = '{{{IDS['a'][1:-1]}}}'")
                    await app.execute(statement)


async def test_the_application_cannot_reach_a_partition_past_its_parent(app: Any) -> None:
    partitions = await app.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'parts'::regnamespace AND relkind = 'r'"
    )
    assert len(partitions) >= 10
    for row in partitions:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(f"SELECT FROM parts.{row['relname']}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("CREATE TABLE parts.mine (id int)")


async def test_the_application_can_make_nothing_and_become_nobody(app: Any) -> None:
    for statement in (
        "CREATE TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "SET ROLE opsmantik_owner",
        "SET row_security = off",
    ):
        if statement.startswith("SET row_security"):
            # Allowed to ask; then nothing is shown at all rather than everything.
            await app.execute(statement)
            statement = "SELECT FROM sessions"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)
    await app.execute("RESET row_security")


async def test_without_a_setting_no_row_is_seen(app: Any) -> None:
    assert set((await counts(app)).values()) == {0}
    for table in ("sites", "profiles"):
        assert await app.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_one_site_s_rows_are_seen_and_no_other_s(app: Any, world: Any) -> None:
    for site, sessions, events in (("a", 3, 1), ("b", 1, 0)):
        async with app.transaction():
            await app.execute(f"SET LOCAL app.sites = '{{{IDS[site][1:-1]}}}'")
            assert await app.fetchval("SELECT count(*) FROM sessions") == sessions
            assert await app.fetchval("SELECT count(*) FROM session_keys") == sessions
            assert await app.fetchval("SELECT count(*) FROM events") == events
            assert await app.fetchval("SELECT count(*) FROM calls") == events
            assert await app.fetchval("SELECT count(*) FROM sites") == 1
            other = IDS["ab".replace(site, "")]
            for table in sorted(TENANT):
                assert await app.fetchval(f"SELECT count(*) FROM {table} WHERE site_id = {other}") == 0


async def test_both_sites_are_seen_by_who_may_see_both(app: Any) -> None:
    async with app.transaction():
        await app.execute(f"SET LOCAL app.sites = '{{{IDS['a'][1:-1]},{IDS['b'][1:-1]}}}'")
        assert await app.fetchval("SELECT count(*) FROM sessions") == 4


async def test_after_its_transaction_the_setting_is_empty_and_means_no_site(app: Any) -> None:
    async with app.transaction():
        await app.execute(f"SET LOCAL app.sites = '{{{IDS['a'][1:-1]}}}'")
        await app.execute("SET LOCAL app.person = '00000000-0000-0000-0000-000000000001'")
    assert await app.fetchval("SELECT current_setting('app.sites')") == ""
    assert set((await counts(app)).values()) == {0}
    assert await app.fetchval("SELECT count(*) FROM profiles") == 0
    async with app.transaction():
        await app.execute("SET LOCAL app.sites = '{}'")
        assert set((await counts(app)).values()) == {0}


async def test_maintenance_is_not_the_application_s_to_switch_on(app: Any) -> None:
    async with app.transaction():
        await app.execute("SET LOCAL app.maintenance = 'on'")
        assert set((await counts(app)).values()) == {0}


async def test_facts_are_hidden_from_the_owner_too_until_asked_for(world: Any, database: Any) -> None:
    connection = await asyncpg.connect(database.owner)
    try:
        assert set((await counts(connection, FACTS)).values()) == {0}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(key())
    finally:
        await connection.close()


# The catalogue.

KEYS = """
    SELECT c.relname || '.' || k.conname AS name, k.contype::text AS type,
        (SELECT attname::text FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = k.conkey[1]) AS first,
        (SELECT attname::text FROM pg_attribute WHERE attrelid = k.confrelid AND attnum = k.confkey[1]) AS there,
        k.confrelid::regclass::text AS target, k.convalidated AS valid
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1) AND k.contype IN ('p', 'u', 'f')
      AND k.conparentid = 0
"""


async def test_every_key_of_a_tenant_table_begins_with_the_site(owner: Any) -> None:
    keys = await owner.fetch(KEYS, list(TENANT))
    assert {row["name"].split(".")[0] for row in keys if row["type"] == "p"} == TENANT
    for row in keys:
        if row["type"] == "f" and row["target"] in REFERENCE:
            assert row["there"] == "id", row["name"]
        else:
            assert row["first"] == "site_id", row["name"]
            assert row["there"] in (None, "site_id"), row["name"]
        assert row["valid"], row["name"]
    unique = await owner.fetch(
        "SELECT i.indexrelid::regclass::text AS name,"
        " (SELECT attname FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = i.indkey[0]) AS first"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE i.indisunique AND c.relname = ANY ($1)"
        " AND c.relnamespace = 'public'::regnamespace",
        list(TENANT),
    )
    assert [row["name"] for row in unique if row["first"] != "site_id"] == []


async def test_no_check_stands_on_a_partitioned_table_itself(owner: Any) -> None:
    """A table with such a check cannot be distributed; partitions carry them instead."""
    rows = await owner.fetch(
        "SELECT k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " WHERE k.contype = 'c' AND c.relkind = 'p'"
    )
    assert rows == []


async def test_every_partition_carries_its_month_check(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT c.relname, pg_get_constraintdef(k.oid) AS text FROM pg_class c LEFT JOIN pg_constraint k"
        " ON k.conrelid = c.oid AND k.conname = c.relname || '_month' AND k.convalidated"
        " WHERE c.relnamespace = 'parts'::regnamespace AND c.relkind = 'r'"
    )
    assert len(rows) >= 10
    assert [row["relname"] for row in rows if "created_at" not in (row["text"] or "")] == []


async def test_no_trigger_carries_any_weight(owner: Any) -> None:
    assert await owner.fetch("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []


async def test_row_security_is_on_and_forced_everywhere(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT c.oid::regclass::text AS name, relrowsecurity AND relforcerowsecurity AS walled,"
        " EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid) AS governed FROM pg_class c"
        " WHERE relnamespace IN ('public'::regnamespace, 'parts'::regnamespace) AND relkind IN ('r', 'p')"
    )
    assert len(rows) > 25
    assert [row["name"] for row in rows if not row["walled"] or not row["governed"]] == []


async def test_partitions_carry_no_grant(owner: Any) -> None:
    assert (
        await owner.fetch(
            "SELECT relname FROM pg_class, aclexplode(relacl) a WHERE relnamespace = 'parts'::regnamespace"
            " AND a.grantee <> relowner"
        )
        == []
    )
    assert not await owner.fetchval("SELECT has_schema_privilege('opsmantik_app', 'parts', 'USAGE')")
    assert not await owner.fetchval("SELECT has_schema_privilege('public', 'parts', 'USAGE')")


async def test_policies_compare_a_column_with_a_setting_and_nothing_else(owner: Any) -> None:
    """A sub-select or a function would run per row, and keeps the table from being distributed."""
    rows = await owner.fetch(
        "SELECT polrelid::regclass::text || '.' || polname AS name,"
        " concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) AS text,"
        " polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = current_user)] AS owner_s FROM pg_policy"
    )
    assert len(rows) > 25
    for row in rows:
        assert "SELECT" not in row["text"].upper(), row["name"]
        called = set(re.findall(r"([A-Za-z_.]+)\s*\(", row["text"]))
        assert called <= {"current_setting", "NULLIF", "ANY", "AND", "OR"}, row["name"]
        if not row["owner_s"]:
            assert "current_setting('app.maintenance'" not in row["text"], row["name"]
            assert "current_setting('app." in row["text"], row["name"]


# Functions that run as the owner, past row security where they say so. Whoever adds one says here why it may.
DEFINERS = {
    "queue_conversions": "the sender works for all sites, and nobody is signed in there",
    "claim_conversions": "the sender works for all sites, and nobody is signed in there",
    "finish_conversions": "the sender's answer about a batch that it claimed",
    "note_provider": "the sender counts how a provider answers, for all sites",
    "providers": "how providers answer: nothing of a tenant is in it",
    "switch_provider": "the installation's switch, for platform administrators",
    "set_conversion_route": "where a site's conversions go, for those who may hand them over",
    "switch_conversion_route": "a site's switch, for those who may hand conversions over",
    "put_conversion_secret": "a sealed secret of a site, for those who may hand conversions over",
    "conversion_secret": "the same, sealed, to try the connection",
    "export_conversions": "a batch for those who carry it themselves",
    "reclaim_batch": "the same batch again, for those who carry it",
    "batch_rows": "what a batch carries, for those who carry it",
    "note_download": "that a file was handed over",
    "answer_batch": "what became of a batch, by those who carried it",
    "retry_conversions": "tries again, for those who may hand conversions over",
    "batch_file": "a batch as its file holds it, for those who carry it",
    "preview_conversions": "what a batch would hold, for those who may hand conversions over",
    "release_batch": "a batch that a program could not deliver, for those who carry it",
    "pull_route": "Google fetches with a password of the site's; nobody is signed in there",
    "pull_batches": "what Google may fetch from the one site whose password it came with",
    "note_pull": "that Google has fetched it",
    "drop_conversions": "keeps from leaving, for those who may hand conversions over",
    "installation_figures": "numbers of the whole installation for /metrics, of nobody in particular",
    "enter_user": "membership is looked up before anything can be seen",
    "enter_user_v2": "membership is looked up before anything can be seen",
    "key_holder": "before anybody is known: one key, by its hash",
    "enter_key": "a site's key is looked up before anything can be seen",
    "enter_person_key": "a person's key is looked up before anything can be seen",
    "make_person_key": "a key in the asker's own name",
    "rotate_person_key": "the asker's own key",
    "revoke_person_key": "the asker's own key",
    "make_site_key": "a key of a site, for those who manage its keys",
    "rotate_site_key": "the same key's successor, for those who manage the site's keys",
    "revoke_site_key": "ends a key of a site, for those who manage its keys",
    "key_maker_name": "who made a key of a site, for those who manage its keys",
    "make_call_secret": "a sealed secret of a site, for those who manage its keys",
    "remove_call_secret": "takes it away, for those who manage the site's keys",
    "allow_unsigned_calls": "whether a site takes unsigned reports of calls, for those who manage its keys",
    "ingest_call_secrets": "the door for calls knows every site's sealed secrets, and nobody is signed in there",
    "record_call_v3": "writes one signed call of one site",
    "answer_call": "what was answered to that call",
    "note_act": "a line in the log, about a site of the asker's, in the asker's name",
    "platform_log": "the log of the installation, for platform administrators",
    "site_people": "the people of a site, for those who manage its members",
    "set_member_role": "one member's role, for those who manage members; never one's own, never an owner's",
    "remove_member": "takes a member from a site, for those who manage members",
    "leave_site": "the asker's own membership",
    "site_invites": "the open invites of a site, for those who manage its members",
    "invite_member": "an invite, for those who manage members",
    "resend_invite": "the same invite with a new link, for those who manage members",
    "revoke_invite": "takes an invite back, for those who manage members",
    "note_invite_sent": "that an invite was mailed, for those who manage members",
    "invite_by_link": "before sign-in: one invite, for whoever holds its link",
    "accept_invite": "a membership for the one whose address an open invite was written to",
    "join_by_invite": "before sign-in: an account and a membership for the holder of an open invite's link",
    "ownership_offer": "the open offer of a site, for its owner and for the one whom it is made to",
    "offer_ownership": "for the owner: offers the site to one of its administrators",
    "withdraw_ownership": "for the owner: takes the offer back",
    "answer_ownership": "for the one whom the site was offered to",
    "switch_site": "for the owner: the site off or on",
    "platform_people": "all accounts, for platform administrators",
    "platform_jobs": "the newest run of each background job, for platform administrators",
    "platform_state": "figures of the whole installation, for platform administrators",
    "platform_audits": "whole runs of the audit, for platform administrators",
    "ask_for_audit": "that a job runs now, for platform administrators",
    "site_audit": "what the audit found about one site, for those who see it; of no other",
    "set_account_enabled": "closes or opens somebody else's account, for platform administrators",
    "account_by_email": "before sign-in: one account",
    "use_identity": "before sign-in: one identity that its provider has vouched for",
    "link_identity": "an identity for the asker's own account",
    "unlink_identity": "the asker's own identity",
    "credential_place": "the row for the asker's own tokens of one provider",
    "put_credential": "the asker's own tokens, sealed",
    "sealed_credential": "the asker's own tokens, sealed",
    "drop_credential": "the asker's own tokens",
    "let_in": "a sign-in, whole or half, for an account that the application has checked",
    "open_sign_in": "the same for older servers; nothing where a second factor is asked for",
    "signed_in": "before sign-in: one cookie",
    "signed_in_v2": "before sign-in: one cookie",
    "see_sign_in": "one cookie: that it was seen",
    "keep_rehash": "the same password under other parameters, if it is still the same",
    "begin_attempt": "before sign-in: counts under keys that nobody can read",
    "forgive_attempt": "before sign-in: the same keys",
    "half_sign_in": "before sign-in: the sealed secret of whoever holds this cookie",
    "pass_second_factor": "one cookie, and a code that is taken once",
    "own_second_factor": "the asker's own, sealed",
    "begin_second_factor": "the asker's own",
    "confirm_second_factor": "the asker's own",
    "new_recovery_codes": "the asker's own, against a code",
    "drop_second_factor": "the asker's own, against a code",
    "confirm_sign_in": "the asker's own sign-in; against a code where there is a second factor",
    "end_own_sign_in": "the asker's own",
    "end_own_sign_ins": "the asker's own",
    "change_own_name": "the asker's own",
    "change_own_password": "the asker's own, against the hash of the present one",
    "change_own_email": "the asker's own",
    "offer_email_link": "a link for the asker alone",
    "email_link": "the asker's own link",
    "use_email_link": "the asker's own link",
    "offer_password_link": "before sign-in: a link that only the account's mailbox learns",
    "password_link": "before sign-in: for the holder of the link",
    "use_password_link": "before sign-in: for the holder of the link",
    "end_sign_in": "one cookie",
    "create_first_admin": "an empty installation, with the link from its terminal",
    "first_admin_link_open": "an empty installation: whether the link is good",
    "has_users": "an empty installation: yes or no",
    "administrators": "commands on the server itself",
    "create_site": "for whoever is signed in",
    "ingest_sites": "the doors for events know every site, and nobody is signed in there",
    "ingest_sites_v2": "the doors for events know every site, and nobody is signed in there",
    "quota_use": "the doors know how much of its quota each site has used: counts only",
    "change_site_general": "name, clock, money and ads of a site, for those who may change its settings",
    "change_site_values": "amounts and moments of a site, for those who may change its settings",
    "change_site_values_v2": "amounts, weights and moments of a site, for those who may change its settings",
    "change_site_rules": "the site's rules about leads, for those who may change its settings",
    "set_limits": "quota, rate and quarantine of a site, for those who may change its settings",
    "add_origin": "an origin of a site, for those who may change its settings",
    "remove_origin": "takes it away, for those who may change the site's settings",
    "allow_bot": "an automatic visitor of a site, for those who may change its settings",
    "origins_seen": "that events came from an origin of a site: two times of a row that is there",
    "keep_rejected": "keeps refused events; every row names its site",
    "lock_rejected": "refused events of a site, locked; for those who run it",
    "record_replays": "notes tries to let refused events in; for those who run the site",
    "ingest_batch_v2": "writes facts; every row names its site",
    "score_leads": "scores of leads in the batch just written",
    "record_call_v2": "writes one call of one site",
    "score_call": "the score of that call",
    "lead_facts_of": "totals of the visits that were just written to",
    "suspicion_facts": "what the leads just written are judged by",
    "clear_leads": "marks these leads as judged",
    "suspect_lead": "marks a lead that nobody has decided as suspicious",
    "unjudged_leads": "ids of leads that a process left behind",
    "fold_counters": "moves a site's journal into its days; changes no figure",
    "sites_to_fold": "ids of sites whose journal is not empty",
    "site_sequences": "how often these sites have changed",
    "site_role": "the asker's own role on a site that they may see",
    "lead_cases_v2": "what a decision is judged by, locked; for whoever may decide there",
    "lead_cases": "what a decision is judged by, locked; for whoever may decide there",
    "decide_intent": "one decision, for whoever may decide there: row, log, conversion and counters together",
    "look_at_lead": "that the asker looks at a lead, and who else does; for whoever may decide there",
    "leads_to_approve": "stale leads of a site, for its rule or for whoever may decide there",
    "leads_to_junk": "the same of those that nobody touched",
    "record_replay": "notes a try to let a refused event in; for whoever runs the platform or may decide there",
    "site_owners": "e-mail addresses of sites' owners, for platform administrators",
    "add_webhook": "a webhook, for those who may change the site's settings",
    "change_webhook": "the same",
    "webhook_secrets": "a webhook's secrets, sealed, for those who may change the site's settings: to replace one",
    "put_webhook_secrets": "the same, replaced",
    "remove_webhook": "a webhook, for those who may change the site's settings",
    "try_webhook": "a message about nothing, for those who may change the site's settings",
    "replay_delivery": "a message once more, for those who may change the site's settings",
    "claim_deliveries": "the sender works for all sites: messages that are due, their webhooks' secrets sealed",
    "finish_delivery": "the sender notes what became of one message",
    "wish_notices": "the asker's own wish on a site that they may see",
    "end_notices": "one person's wish about one site, for whoever holds the signed link of a mail to them",
    "claim_notices": "the sender works for all sites: wishes that are due, with the address that each mail goes to",
    "leads_to_notice": "the sender reads what one mail says: whence leads came, never whose they are",
    "finish_notices": "the sender notes what was mailed",
    "make_share_link": "a link to a site's figures, for those who may change its settings",
    "revoke_share_link": "takes it away, for those who may change the site's settings",
    "share_maker_name": "who made such a link, for those who may change the site's settings",
    "share_link_by_hash": "before anybody is known: one link to figures, by its hash",
    "enter_share_link": "the site of a link to figures is looked up before anything can be seen",
    "wish_summary": "the asker's own wish on a site that they may see",
    "ask_for_summary": "the same: whether they may have one sent at once",
    "end_summaries": "one person's wish about one site, for whoever holds the signed link of a mail to them",
    "claim_summaries": "the sender works for all sites: wishes that are due, with the address that each mail goes to",
    "finish_summary": "the sender notes what was mailed",
    "search_leads": "leads of a site by what they are searched by, for those who may read it; their ids and times",
    "count_leads": "how many those are",
    "keep_view": "a view of the asker's own on a site that they may read",
    "change_view": "the asker's own view, or a shared one, for those who may change the site's settings",
    "remove_view": "takes such a view away",
    "actor_name": "the name of who acted on a lead of a site that the asker may see",
    "find_person": "all that belongs to one person on a site, for those who keep its privacy",
    "person_sizes": "how much that is, for those who keep the site's privacy",
    "begin_erasure": "a request to erase, for those who keep the site's privacy",
    "note_privacy": "its line in the log, for those who keep the site's privacy, ten an hour",
    "remove_test_visits": "visits made to try an installation, for those who may change the site",
    "erase_visits": "a step of an erasure that was begun, for those who keep the site's privacy",
    "erase_rest": "a step of an erasure that was begun, for those who keep the site's privacy",
    "erasure_row": "one erasure of a site, its subject sealed, for those who keep the site's privacy",
    "finish_erasure": "the certificate of an erasure, for those who keep the site's privacy",
    "change_privacy": "consent, addresses and retention of a site, for those who keep its privacy",
    "retention_preview": "how much of a site would go by a retention, for those who keep its privacy",
}
# Plain SQL that runs as its caller, under the caller's row security; the counters are made of it.
PLAIN = {
    "place_key", "page_key", "session_entry", "call_entry", "decision_entry", "conversion_entry", "call_entries",
    "hour_key", "entry_cells", "unfolded_visitors", "unfolded_cells", "recount", "figures", "counter_differences",
    "plain_case", "counter_part", "owed_step",
}  # fmt: skip
# For the owner alone: by the command line, or from within functions that have checked who asks.
OWNERS = {
    "owed_at", "shift_conversions", "ready_conversions", "fill_batch", "batch_contents", "is_provider_open",
    "withhold_items", "settle_batch", "settled_step", "conversion_keeper", "carried_contents", "pull_sites", "gather_pull",
    "settle_pulls",
    "offer_webhooks", "webhook_payload", "announce_lead", "has_listeners", "offer_move", "webhook_keeper",
    "webhook_host", "share_keeper", "privacy_keeper", "recent_privacy_acts", "erase_calls", "open_erasure", "add_erased",
    "consent_basis", "calls_consent", "call_consent", "consent_allows", "refresh_consent", "kept_since", "needs_call",
    "forget_facts_before", "expire_calls", "months_before", "expire_visits", "is_over", "expire_visitors",
    "expire_rejected", "forget_addresses", "drop_month_of_events", "drop_month_of_visits", "lock_month",
    "month_expiry", "begin_archive", "stays_for_archive", "mind_archive", "end_archive_erasure", "forget_archive",
    "find_archived", "put_back_visits", "put_back_events",
    "key_label", "key_role", "is_live_key", "key_manager", "take_code", "renew_sign_in",
    "list_users", "add_user", "switch_user", "reset_second_factor", "offer_user_link", "acting_person",
    "member_manager", "grantable_role", "untouchable", "may_invite", "invite_state", "invites_wait", "invite_of",
    "lock_invite", "take_invite", "site_keeper", "platform_keeper", "note_quotas", "decider", "move_conversion",
    "search_text", "search_digits", "week_hour", "month_number", "search_token", "search_parts", "search_tokens", "lead_search_rows",
    "unfolded_leads", "fold_leads", "gather_leads", "lead_search_differences", "search_conditions", "by_tokens",
    "count_by_tokens",
    "search_reader", "view_keeper", "keeps_view", "see_all_sites",
    "lock_waiting", "rebuild_counters", "change_site_clock", "lock_counters", "lock_leads",
}  # fmt: skip


# An extension that a server's administrator has put in is not ours to judge.
OURS = " NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"


async def test_every_function_is_closed_but_for_those_that_are_known(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT p.proname::text AS name, prosecdef, proconfig, has_function_privilege('public', p.oid, 'EXECUTE') AS open,"
        " has_function_privilege('opsmantik_app', p.oid, 'EXECUTE') AS app, l.lanname::text AS language"
        " FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang"
        " WHERE pronamespace IN ('public'::regnamespace, 'parts'::regnamespace) AND" + OURS
    )
    assert {row["name"] for row in rows if row["prosecdef"]} - OWNERS == set(DEFINERS)
    assert {row["name"] for row in rows if row["app"]} == set(DEFINERS) | PLAIN
    for row in rows:
        assert not row["open"], row["name"]
        pinned = "search_path=pg_catalog, public, pg_temp" in (row["proconfig"] or [])
        assert pinned or (row["language"] == "sql" and not row["prosecdef"]), row["name"]


async def test_every_function_file_makes_functions_that_are_there(owner: Any) -> None:
    """One that was renamed or dropped from its file must not live on in the database, nor the other way round."""
    written = {
        name
        for path in function_files()
        for name in re.findall(r"CREATE OR REPLACE FUNCTION (\w+)", path.read_text())
    }
    rows = await owner.fetch(
        "SELECT DISTINCT proname::text FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND" + OURS
    )
    assert {row["proname"] for row in rows} == written


async def test_a_new_function_is_closed_unless_its_file_opens_it(tried: Any) -> None:
    await tried.execute("CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert not await tried.fetchval("SELECT has_function_privilege('public', 'fresh()', 'EXECUTE')")
