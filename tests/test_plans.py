"""The helper that reads plans: what it must see (inside functions, too), and what it must not take for a scan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from opsmantik.clock import Range, month_bounds
from opsmantik.db.connect import Database
from tests.plans import KINDS, literal, reading, readings

MONTHS = [date(2031, month, 1) for month in range(1, 7)]
MARCH = "parts.sessions_2031_03"
BY_MONTH = "SELECT count(*) FROM sessions WHERE site_id = $1 AND created_month >= $2 AND created_month <= $3"
BY_TIME = "SELECT count(*) FROM sessions WHERE site_id = $1 AND created_at >= $2 AND created_at < $3"
COLUMNS = (
    "site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key, source_key,"
    " attribution_source, channel, is_paid, attribution"
)


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def rows(owner: Any) -> UUID:
    """One site with a few hundred sessions in each of six months; returns its id."""
    user, site = uuid4(), uuid4()
    await owner.execute("INSERT INTO users (id, email) VALUES ($1, $2)", user, f"{user.hex}@example.com")
    await owner.execute(
        "INSERT INTO sites (id, user_id, public_id, name, domain) VALUES ($1, $2, $3, 'Shop', 'shop.example')",
        site,
        user,
        uuid4().hex,
    )
    for month in MONTHS:
        await owner.execute("SELECT make_month($1)", month)
        async with owner.transaction():
            ids = [uuid4() for _ in range(300)]
            await owner.execute(
                "INSERT INTO session_keys (site_id, id, created_month) SELECT $1, i, $2 FROM unnest($3::uuid[]) i",
                site,
                month,
                ids,
            )
            at = datetime(month.year, month.month, 10, tzinfo=UTC)
            await owner.execute(
                f"INSERT INTO sessions ({COLUMNS})"
                " SELECT $1, $2, i, $4, $4, $4, 1, 1, 1, 'Direct', 'direct', false, '{}' FROM unnest($3::uuid[]) i",
                site,
                month,
                ids,
                at,
            )
    await owner.execute("ANALYZE sessions")
    return site


def partitions(*months: int, table: str = "sessions") -> set[str]:
    return {f"parts.{table}_2031_{month:02}" for month in months}


async def test_a_range_of_months_reads_their_partitions_by_either_plan(owner: Any, rows: UUID) -> None:
    over = Range(datetime(2031, 2, 28, 21, tzinfo=UTC), datetime(2031, 3, 31, 21, tzinfo=UTC))
    found = await readings(owner, BY_MONTH, rows, *month_bounds(over))
    assert {kind: set(found[kind].partitions) for kind in found} == {kind: partitions(2, 3) for kind in KINDS}
    assert 0 < found["custom"].buffers <= found["generic"].buffers


async def test_the_generic_plan_is_a_generic_plan(owner: Any, rows: UUID) -> None:
    """By a check constraint the planner leaves partitions out only when it knows the instants."""
    month = Range(datetime(2031, 3, 1, tzinfo=UTC), datetime(2031, 4, 1, tzinfo=UTC))
    found = await readings(owner, BY_TIME, rows, *month)
    assert partitions(3) <= found["custom"].partitions <= {*partitions(3), "parts.sessions_default"}
    assert found["generic"].partitions >= partitions(1, 2, 3, 4, 5, 6)
    assert found["generic"].buffers > found["custom"].buffers


async def test_a_part_that_never_ran_was_not_read(owner: Any, rows: UUID) -> None:
    """The inner side of a join without an outer row is in the plan and never executed."""
    sql = (
        "SELECT s.id FROM users u JOIN sessions s ON s.site_id = $1 AND s.created_month = $2 AND s.id = u.id"
        " WHERE u.email = $3 OFFSET 0"
    )
    for kind in KINDS:
        found = await reading(owner, kind, sql, rows, MONTHS[2], "nobody@example.com")
        assert found.partitions in (set(), partitions(3))
    planned = await reading(
        owner, "custom", BY_MONTH + " AND $4::text = 'yes'", rows, MONTHS[0], MONTHS[5], "no"
    )
    assert planned.partitions == set()
    chosen = await reading(
        owner, "generic", BY_MONTH + " AND $4::text = 'yes'", rows, MONTHS[0], MONTHS[5], "no"
    )
    assert chosen.partitions == set() and "Result" in str(chosen.plan)


async def test_what_a_function_reads_is_seen_too(owner: Any, rows: UUID) -> None:
    async with owner.transaction():
        await owner.execute(
            "CREATE FUNCTION count_month(p_site uuid, p_month date) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
            " RETURN (SELECT count(*) FROM sessions WHERE site_id = p_site AND created_month = p_month); END $$"
        )
        found = await readings(owner, "SELECT count_month($1, $2)", rows, MONTHS[2])
        assert [set(found[kind].partitions) for kind in KINDS] == [{MARCH}, {MARCH}]
        assert "sessions_2031" not in str(found["custom"].plan)
        await owner.execute("DROP FUNCTION count_month")


async def test_a_statement_that_writes_leaves_nothing_behind(owner: Any, rows: UUID) -> None:
    sql = "UPDATE sessions SET view_count = 99 WHERE site_id = $1 AND created_month = $2"
    found = await readings(owner, sql, rows, MONTHS[2])
    assert [set(found[kind].partitions) for kind in KINDS] == [{MARCH}, {MARCH}]
    assert not await owner.fetchval(
        "SELECT count(*) FROM sessions WHERE site_id = $1 AND view_count = 99", rows
    )
    assert await owner.fetchval("SHOW plan_cache_mode") == "auto"
    assert not await owner.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'plan\\_%'")


async def test_a_statement_that_fails_leaves_the_connection_as_it_was(owner: Any, rows: UUID) -> None:
    with pytest.raises(Exception, match="division by zero"):
        await readings(owner, "SELECT 1 / $1::integer FROM sessions WHERE site_id = $2", 0, rows)
    assert not await owner.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'plan\\_%'")
    assert await owner.fetchval("SELECT 1") == 1


async def test_who_asks_holds_inside(app_database: Database, rows: UUID) -> None:
    async with app_database.as_sites([rows]) as connection:
        found = await readings(connection, BY_MONTH, rows, MONTHS[2], MONTHS[2])
    assert [set(found[kind].partitions) for kind in KINDS] == [{MARCH}, {MARCH}]
    assert found["custom"].plan["Plans"][0]["Actual Rows"] == 300


VALUES = {
    "nothing": (None, "text"),
    "text with a quote": ('it\'s \\ "so"', "text"),
    "a number": (-7, "integer"),
    "a decimal": (Decimal("1.50"), "numeric"),
    "truth": (True, "boolean"),
    "an instant": (datetime(2031, 3, 1, 12, 30, tzinfo=UTC), "timestamptz"),
    "a day": (date(2031, 3, 1), "date"),
    "a time that passed": (timedelta(hours=36), "interval"),
    "an id": (UUID(int=7), "uuid"),
    "texts": (["a", 'b "c"', "d,e", "{f}", "g\\h", "it's", "", "NULL", None], "text[]"),
    "ids": ([UUID(int=7), UUID(int=8)], "uuid[]"),
    "instants": ([datetime(2031, 3, 1, tzinfo=UTC)], "timestamptz[]"),
    "none of them": ([], "uuid[]"),
}


@pytest.mark.parametrize(("value", "kind"), VALUES.values(), ids=VALUES.keys())
async def test_parameters_arrive_as_the_driver_would_send_them(owner: Any, value: Any, kind: str) -> None:
    assert await owner.fetchval(f"SELECT {literal(value)}::{kind} IS NOT DISTINCT FROM $1::{kind}", value)
