"""The traps of row security that others have fallen into, each set once more: seen to bite where the wall is taken away,
and not to bite here."""
# ruff: noqa: E501 - a statement a line

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

import opsmantik
from opsmantik.db.connect import Asker, Database
from opsmantik.errors import UnsafeRole
from tests.db import walls
from tests.db.two_sites import HALVES, A, B, build, id_of
from tests.db.walls import ASKERS, Walls

pytestmark = pytest.mark.slow

DENIED = asyncpg.InsufficientPrivilegeError
PRODUCT = Path(opsmantik.__file__).parent


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(owner: Any, database: Any) -> AsyncIterator[Walls]:
    world = await build(owner)
    admin, plain, app = [await asyncpg.connect(dsn) for dsn in (database.admin, database.owner, database.app)]
    yield await walls.read_walls(admin, plain, app, world)
    for connection in (admin, plain, app):
        await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tried(owner: Any) -> AsyncIterator[Any]:
    """The owner, with app.maintenance on, in a transaction that is taken back."""
    transaction = owner.transaction()
    await transaction.start()
    yield owner
    await transaction.rollback()


# The owner sees all rows.


async def test_a_server_refuses_to_be_the_owner(database: Any) -> None:
    for dsn in (database.owner, database.admin):
        pool = Database(dsn, max_size=1)
        with pytest.raises(UnsafeRole):
            await pool.open()
        await pool.close()


async def test_the_owner_sees_no_fact_by_itself(two: Walls) -> None:
    assert await two.owner.fetchval("SELECT count(*) FROM calls") == 0
    assert await two.owner.fetchval("SELECT count(*) FROM parts.sessions_default") == 0
    assert await two.admin.fetchval("SELECT count(*) FROM calls") == 2


# A partition addressed directly is another table: its parent's policies do not count there.


async def test_a_partition_addressed_directly_is_shut(two: Walls) -> None:
    partitions = [p for p in two.catalogue.partitions if p.name.startswith("sessions_2")]
    for partition in partitions:
        row = two.world.rows[B]["sessions"]
        async with two.asking(ASKERS[1]) as app:
            for statement in (
                f"SELECT FROM {partition.place}",
                f"INSERT INTO {partition.place} (site_id, id) VALUES ('{row['site_id']}', '{row['id']}')",
                f"UPDATE {partition.place} SET city = NULL",
                f"DELETE FROM {partition.place}",
            ):
                assert await walls.refused(app, statement), statement


async def test_a_grant_on_a_partition_alone_would_not_open_it(two: Walls, owner: Any) -> None:
    """Belt and braces: with a grant, and a way into the schema, its own row security still shows nothing."""
    partition = next(p.place for p in two.catalogue.partitions if p.name.startswith("sessions_2"))
    await owner.execute(
        f"GRANT USAGE ON SCHEMA parts TO opsmantik_app; GRANT SELECT, INSERT ON {partition} TO opsmantik_app"
    )
    try:
        async with two.asking(ASKERS[1]) as app:
            assert await app.fetchval(f"SELECT count(*) FROM {partition}") == 0
            with pytest.raises(DENIED, match="row-level security"):
                await app.execute(
                    f"INSERT INTO {partition} (site_id, created_month, id, created_at, started_at, last_event_at, first_key,"
                    " exit_key, source_key, attribution_source, channel, is_paid, attribution) VALUES ($1, '2026-01-01', $1,"
                    " now(), now(), now(), 1, 1, 1, 'x', 'x', false, '{}')",
                    UUID(two.world.site(A)),
                )
    finally:
        await owner.execute(
            f"REVOKE ALL ON {partition} FROM opsmantik_app; REVOKE USAGE ON SCHEMA parts FROM opsmantik_app"
        )


async def test_a_month_that_is_made_later_is_shut_as_well(tried: Any) -> None:
    assert await tried.fetchval("SELECT make_month('2031-05-01')") == ["sessions_2031_05", "events_2031_05"]
    for name in ("parts.sessions_2031_05", "parts.events_2031_05"):
        row = await tried.fetchrow(
            "SELECT relrowsecurity AND relforcerowsecurity AS walled, relacl IS NULL AS ungranted,"
            " EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid) AS governed FROM pg_class c WHERE c.oid = $1::text::regclass",
            name,
        )
        assert tuple(row) == (True, True, True), name


# A plain view reads with its owner's eyes.


async def test_a_plain_view_leaks_and_ours_do_not(two: Walls, owner: Any) -> None:
    await owner.execute("CREATE VIEW plain AS SELECT site_id, id FROM calls")
    try:
        await owner.execute("GRANT SELECT ON plain TO opsmantik_app")
        async with two.asking(ASKERS[1]) as app:
            assert await app.fetchval("SELECT count(*) FROM plain") == 2, (
                "the trap: it shows the other site's as well"
            )
        await owner.execute("ALTER VIEW plain SET (security_invoker = true)")
        async with two.asking(ASKERS[1]) as app:
            assert await app.fetchval("SELECT count(*) FROM plain") == 1
            for view in (r for r in two.catalogue.relations.values() if r.is_view):
                rows = await app.fetch(f"SELECT DISTINCT site_id FROM {view.place}")
                assert [str(row["site_id"]) for row in rows] == [two.world.site(A)], view.place
    finally:
        await owner.execute("DROP VIEW plain")


async def test_there_is_no_materialized_view(owner: Any) -> None:
    assert (
        await owner.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'm' AND relnamespace = 'public'::regnamespace"
        )
        == []
    )


# COPY FROM and row security do not go together: whoever wants its speed is tempted to take a role that bypasses it.


async def test_copy_is_refused_to_everybody_whom_row_security_binds(two: Walls, tried: Any) -> None:
    with pytest.raises(asyncpg.FeatureNotSupportedError, match="row-level security"):
        await tried.copy_to_table("visitors", source=io.BytesIO(b""), columns=["site_id", "id"])
    async with two.asking(ASKERS[1]) as app:
        for place in ("sessions", "calls", "site_members"):
            assert await walls.copy_refused(app, two.catalogue.relations[place])


def test_no_code_of_ours_copies_into_a_table() -> None:
    found = {
        str(path.relative_to(PRODUCT))
        for path in PRODUCT.rglob("*.py")
        if re.search(r"\.copy_(records_)?to_table|COPY \w+ FROM", path.read_text())
    }
    # Taking over the first generation, and bringing an archived month back, copy into temporary tables of their own
    # connection, and from there by INSERT.
    assert found == {"adopt/store.py", "upkeep/archive.py"}
    assert "TEMPORARY" in (PRODUCT / "upkeep" / "archive.py").read_text()
    staged = (PRODUCT / "adopt" / "store.py").read_text()
    assert (
        "CREATE TEMPORARY TABLE" in staged or "TEMPORARY" in (PRODUCT / "adopt" / "queries.sql").read_text()
    )


# A foreign key is checked past row security: a row may point at what its writer cannot see.


async def test_the_other_site_s_row_is_as_good_as_none(two: Walls, tried: Any) -> None:
    """What is said about another's session is what is said about one that does not exist."""
    said = []
    for session in (two.world.rows[B]["sessions"]["id"], id_of("nobody", "sessions", "id")):
        with pytest.raises(asyncpg.ForeignKeyViolationError) as refusal:
            async with tried.transaction():
                await tried.execute(
                    f"UPDATE calls SET matched_session_id = '{session}' WHERE site_id = '{two.world.site(A)}'"
                )
        said.append(str(refusal.value).replace(session, "…"))
    assert said[0] == said[1]


# A unique key that does not begin with the site tells whether another site has such a row.


async def test_the_same_ids_may_be_used_on_either_site(two: Walls, tried: Any) -> None:
    other = two.world.rows[B]["visitors"]["id"]
    assert await tried.execute(
        "INSERT INTO visitors (site_id, id, first_seen_at, last_seen_at, visits) VALUES ($1, $2, now(), now(), 1)",
        UUID(two.world.site(A)), other,
    ) == "INSERT 0 1"  # fmt: skip
    with pytest.raises(asyncpg.UniqueViolationError):
        async with tried.transaction():
            await tried.execute(
                "INSERT INTO visitors (site_id, id, first_seen_at, last_seen_at, visits) VALUES ($1, $2, now(), now(), 1)",
                UUID(two.world.site(B)), other,
            )  # fmt: skip


# After SET LOCAL the setting is there and empty.


async def test_an_empty_setting_means_no_row_and_no_error(two: Walls) -> None:
    async with two.asking(ASKERS[0]) as app:
        assert await app.fetchval("SELECT count(*) FROM calls") == 1
    assert await two.app.fetchval("SELECT current_setting('app.sites')") == ""
    assert await two.app.fetchval("SELECT current_setting('app.person')") == ""
    for relation in two.catalogue.relations.values():
        if columns := sorted(walls.readable(relation)):
            assert await two.app.fetchval(f"SELECT count({columns[0]}) FROM {relation.place}") == 0, (
                relation.place
            )
    for function in ("site_role($1)", "actor_name($1, $1)"):
        assert await two.app.fetchval(f"SELECT {function}", UUID(two.world.site(A))) is None


# Two tenants on one connection.


async def test_two_tenants_take_turns_on_one_connection(two: Walls, database: Any) -> None:
    pool = Database(database.app, max_size=1)
    await pool.open()
    backends = set()

    async def look(half: str, times: int) -> None:
        for turn in range(times):
            async with pool.as_person(UUID(two.world.person(half)), write=turn % 2 == 0) as (
                connection,
                person,
            ):
                assert [str(site) for site in person.sites] == [two.world.site(half)]
                await asyncio.sleep(0)
                assert [str(r["site_id"]) for r in await connection.fetch("SELECT site_id FROM calls")] == [
                    two.world.site(half)
                ]
                backends.add(await connection.fetchval("SELECT pg_backend_pid()"))
            async with pool.connection() as connection:
                assert await connection.fetchval("SELECT count(*) FROM calls") == 0

    async def fail(half: str, times: int) -> None:
        for _ in range(times):
            with pytest.raises(ZeroDivisionError):
                async with pool.as_person(UUID(two.world.person(half))):
                    raise ZeroDivisionError
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with pool.as_sites([UUID(two.world.site(half))]) as connection:
                    await connection.execute("SELECT 1 / 0")

    try:
        await asyncio.gather(*(look(half, 10) for half in HALVES), *(fail(half, 5) for half in HALVES))
        assert len(backends) == 1
    finally:
        await pool.close()


async def test_an_address_that_asks_for_less_gets_less(two: Walls, database: Any) -> None:
    """With the roles of what is to be done, and with a key's one site, a transaction sees no more than that."""
    pool = Database(database.app, max_size=1)
    await pool.open()
    try:
        person = UUID(two.world.person(A))
        for asker, expected in (
            (Asker(person, ("owner",)), 1),
            (Asker(person, ("analyst",)), 0),
            (Asker(person, ("owner",), only=UUID(two.world.site(A))), 1),
            (Asker(person, ("owner",), only=UUID(two.world.site(B))), 0),
            (Asker(UUID(two.world.person("platform_admin")), ("platform_admin",)), 2),
            (Asker(UUID(two.world.person("stranger")), ("owner", "analyst")), 0),
        ):
            async with pool.as_person(asker) as (connection, _):
                assert await connection.fetchval("SELECT count(*) FROM calls") == expected, asker
    finally:
        await pool.close()


async def test_a_setting_for_the_whole_session_is_gone_with_its_borrower(two: Walls, database: Any) -> None:
    """SET instead of SET LOCAL is how others' rows were shown elsewhere. Here the pool forgets it, and no code of ours says it."""
    pool = Database(database.app, max_size=1)
    await pool.open()
    try:
        async with pool.connection() as connection:
            await connection.execute(f"SET app.sites = '{{{two.world.site(B)}}}'")
            assert await connection.fetchval("SELECT count(*) FROM calls") == 1
        async with pool.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM calls") == 0
    finally:
        await pool.close()


def test_no_code_of_ours_sets_anything_for_longer_than_a_transaction() -> None:
    """But for the commands of whoever runs the server, which are the owner on a connection of their own."""
    whose = r"app\.(sites|person|address)"
    lasting = re.compile(
        rf"\bSET\s+(?!LOCAL\b)(SESSION\s+)?{whose}|set_config\('{whose}'[^)]*,\s*false\)", re.IGNORECASE
    )
    for path in [*PRODUCT.rglob("*.py"), *PRODUCT.rglob("*.sql")]:
        assert not lasting.search(path.read_text()), path


# A function that runs as its owner finds what it names where its caller says, unless it says so itself.


async def test_a_forged_table_is_not_taken_for_ours(two: Walls) -> None:
    app, forged = two.app, "forged@example.com"
    async with app.transaction():
        await app.execute(
            "CREATE TEMP TABLE users (id uuid, email text, password_hash text, disabled_at timestamptz) ON COMMIT DROP"
        )
        await app.execute("CREATE TEMP TABLE sites (id uuid, user_id uuid, domain text) ON COMMIT DROP")
        await app.execute(f"INSERT INTO users VALUES ('{id_of('nobody')}', '{forged}', 'mine')")
        await app.execute("GRANT SELECT ON users, sites TO PUBLIC")
        await app.execute("SET LOCAL search_path = pg_temp, public")
        assert await app.fetchval("SELECT email FROM users") == forged, (
            "the trap is set: the forged one comes first"
        )
        assert await app.fetch("SELECT * FROM account_by_email($1)", forged) == []
        found = await app.fetch("SELECT id FROM account_by_email('half-b@example.com')")
        assert [str(row["id"]) for row in found] == [two.world.person(B)]
        assert await app.fetchval("SELECT has_users()") is True


async def test_a_forged_function_or_operator_is_not_called(two: Walls) -> None:
    """A function of a temporary schema is found only by its full name; and no other schema takes one of the application's."""
    async with two.asking(ASKERS[0]) as app:
        await app.execute(
            "CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'forged' $$"
        )
        await app.execute("SET LOCAL search_path = pg_temp, public, pg_catalog")
        found = await app.fetch("SELECT id FROM account_by_email('HALF-B@example.com')")
        assert [str(row["id"]) for row in found] == [two.world.person(B)]
        assert await walls.refused(
            app, "CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS 'SELECT 1'"
        )


async def test_every_function_of_the_owner_pins_its_search_path_with_the_caller_s_last(two: Walls) -> None:
    for function in two.catalogue.functions:
        if function.is_definer:
            assert "search_path=pg_catalog, public, pg_temp" in function.settings, function.name


# A policy that calls a function for every row, or that no index serves.


def conditions(plan: dict[str, Any]) -> list[str]:
    """Every condition by which an index is searched."""
    own = [plan["Index Cond"]] if "Index Cond" in plan else []
    return own + [condition for part in plan.get("Plans", []) for condition in conditions(part)]


def filters(plan: dict[str, Any]) -> list[str]:
    own = [plan["Filter"]] if "Filter" in plan else []
    return own + [condition for part in plan.get("Plans", []) for condition in filters(part)]


async def test_row_security_is_a_condition_of_the_index_not_a_question_per_row(two: Walls) -> None:
    for table in two.catalogue.tables:
        if not table.is_tenant or not (columns := sorted(walls.readable(table))):
            continue
        async with two.asking(ASKERS[0]) as app:
            await app.execute("SET LOCAL enable_seqscan = off")
            text = await app.fetchval(
                f"EXPLAIN (FORMAT JSON, COSTS OFF) SELECT {columns[0]} FROM {table.place}"
            )
        plan = json.loads(text)[0]["Plan"]
        found = conditions(plan)
        assert found and all("site_id = ANY" in c and "app.sites" in c for c in found), (table.place, text)
        assert not [f for f in filters(plan) if "app.sites" in f], (table.place, text)
