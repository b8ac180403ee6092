"""No month without a partition loses a row, and none keeps its rows in the default partition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import pytest

from opsmantik.upkeep.partitions import drain_default, list_partitions, make_months_ahead, waiting_months
from opsmantik.upkeep.runner import connect

pytestmark = pytest.mark.slow  # locks, long readers and streams: seconds each

# Each test has months of its own, far from the present: none of them has a partition yet.
_years = count(2031)


@pytest.fixture
def june() -> date:
    return date(next(_years), 6, 1)


def noon(day: date, **later: float) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(**later)


def after(month: date, months: int = 1) -> date:
    return date(month.year, month.month + months, 1)


@asynccontextmanager
async def upkeep(database: Any) -> AsyncIterator[Any]:
    connection = await connect(database.owner)
    try:
        yield connection
    finally:
        await connection.close()


async def all_rows(owner: Any) -> dict[str, list[str]]:
    """Every row of the three tables as text, wherever it lies; the system columns are not part of it."""
    tables = ("sessions", "events", "calls")
    return {t: [r[0] for r in await owner.fetch(f"SELECT t::text FROM {t} t ORDER BY 1")] for t in tables}


async def places(owner: Any, month: date) -> list[tuple[str, int]]:
    """In which partitions the month's rows lie, and how many."""
    rows = await owner.fetch(
        "SELECT tableoid::regclass::text AS place, count(*) AS n FROM sessions WHERE created_month = $1 GROUP BY 1"
        " UNION ALL SELECT tableoid::regclass::text, count(*) FROM events WHERE session_month = $1 GROUP BY 1",
        month,
    )
    return sorted((row["place"], row["n"]) for row in rows)


def named(month: date, sessions: int, events: int) -> list[tuple[str, int]]:
    return [(f"parts.events_{month:%Y_%m}", events), (f"parts.sessions_{month:%Y_%m}", sessions)]


async def test_after_a_migration_this_month_and_three_more_are_there(database: Any, owner: Any) -> None:
    today = await owner.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    month, expected = today.replace(day=1), set()
    for _ in range(4):
        expected |= {(t, month) for t in ("sessions", "events")}
        month = (month + timedelta(days=32)).replace(day=1)
    async with upkeep(database) as connection:
        assert await make_months_ahead(connection) == []
        found = {(p.parent, p.month) for p in await list_partitions(connection) if not p.is_default}
    assert expected <= found


async def test_missing_months_are_made_once_by_two_nodes_at_once(database: Any, june: date) -> None:
    async with upkeep(database) as one, upkeep(database) as other:
        made = await asyncio.gather(*(make_months_ahead(node, first=june) for node in (one, other)))
    names = [f"{table}_{after(june, n):%Y_%m}" for n in range(4) for table in ("sessions", "events")]
    assert sorted(made[0] + made[1]) == sorted(names)


async def test_months_that_are_there_take_no_lock(database: Any) -> None:
    async with upkeep(database) as reader, upkeep(database) as connection, reader.transaction():
        await reader.execute("LOCK TABLE sessions, events IN ACCESS SHARE MODE")
        async with asyncio.timeout(1):
            assert await make_months_ahead(connection) == []


async def test_ingest_never_queues_behind_upkeep_that_waits_for_a_long_reader(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    """Writers of that very month, at that: what comes after the first copy moves too."""
    numbers = count()
    async with upkeep(database) as reader, upkeep(database) as connection:
        async with reader.transaction():
            await reader.execute("LOCK TABLE parts.events_default IN ACCESS SHARE MODE")
            making = asyncio.create_task(make_months_ahead(connection, first=june, ahead=0))
            await asyncio.sleep(0.1)
            longest, until = 0.0, time.monotonic() + 3
            while time.monotonic() < until:
                began = time.monotonic()
                await traffic.visit(noon(june, seconds=next(numbers)))
                longest = max(longest, time.monotonic() - began)
            assert not making.done()
            assert longest < 2
        assert len(await making) == 2
    visits = next(numbers)
    assert await places(owner, june) == named(june, visits, 4 * visits)


async def test_upkeep_gives_up_when_a_reader_stays(database: Any, june: date) -> None:
    async with upkeep(database) as reader, upkeep(database) as connection:
        async with reader.transaction():
            await reader.execute("LOCK TABLE parts.events_default IN ACCESS SHARE MODE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await make_months_ahead(connection, first=june, ahead=0)
        # Nothing is left behind that would be in the way later.
        assert len(await make_months_ahead(connection, first=june, ahead=0)) == 2


async def test_a_month_that_is_missing_at_midnight_loses_nothing(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    async with upkeep(database) as connection:
        await make_months_ahead(connection, first=june, ahead=0)
    for second in (-2, -1, 0, 1):
        await traffic.visit(noon(after(june), hours=-12, seconds=second))
    before = await all_rows(owner)
    assert await places(owner, after(june)) == [("parts.events_default", 8), ("parts.sessions_default", 2)]
    async with upkeep(database) as connection:
        assert [(d.month, d.sessions, d.events) for d in await drain_default(connection)] == [
            (after(june), 2, 8)
        ]
    assert await all_rows(owner) == before
    assert await places(owner, june) == named(june, 2, 8)
    assert await places(owner, after(june)) == named(after(june), 2, 8)


async def test_several_months_leave_the_default_oldest_first(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    months = [june, after(june), after(june, 3)]
    for n, month in enumerate(months, start=1):
        for _ in range(n):
            await traffic.visit(noon(month), views=2)
    before = await all_rows(owner)
    async with upkeep(database) as connection:
        waiting = await waiting_months(connection)
        assert [(w.month, w.sessions, w.events) for w in waiting] == [
            (m, n, 3 * n) for n, m in enumerate(months, 1)
        ]
        assert [d.month for d in await drain_default(connection)] == months
        assert await waiting_months(connection) == []
        assert await drain_default(connection) == []
    assert await all_rows(owner) == before
    for n, month in enumerate(months, start=1):
        assert await places(owner, month) == named(month, n, 3 * n)


async def test_making_a_month_takes_along_what_waits_for_it(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    await traffic.visit(noon(june))
    async with upkeep(database) as connection:
        assert len(await make_months_ahead(connection, first=june, ahead=0)) == 2
    assert await places(owner, june) == named(june, 1, 4)


async def test_a_migration_takes_several_waiting_months_along_in_one_transaction(
    traffic: Any, owner: Any, june: date
) -> None:
    for n in range(3):
        await traffic.visit(noon(after(june, n)))
    async with owner.transaction():
        made = await owner.fetch(
            "SELECT make_month(($1::date + make_interval(months => n))::date) AS names FROM generate_series(0, 3) n",
            june,
        )
    assert [len(row["names"]) for row in made] == [2, 2, 2, 2]
    for n in range(3):
        assert await places(owner, after(june, n)) == named(after(june, n), 1, 4)


async def detach(owner: Any, table: str, month: date) -> None:
    """Have the month's rows of one table back in the default partition, as after a hand's slip."""
    name = f"{table}_{month:%Y_%m}"
    async with owner.transaction():
        await owner.execute(f"ALTER TABLE {table} DETACH PARTITION parts.{name}")
        await owner.execute(f"ALTER TABLE parts.{name} RENAME TO {name}_loose")
        if table == "events":
            await owner.execute(f"INSERT INTO events SELECT * FROM parts.{name}_loose")
        await owner.execute(f"DROP TABLE parts.{name}_loose")


async def test_events_that_are_behind_their_sessions_catch_up(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    await traffic.visit(noon(june))
    async with upkeep(database) as connection:
        await drain_default(connection)
        before = await all_rows(owner)
        await detach(owner, "events", june)
        assert [(d.sessions, d.events) for d in await drain_default(connection)] == [(0, 4)]
    assert await all_rows(owner) == before
    assert await places(owner, june) == named(june, 1, 4)


async def test_sessions_that_are_behind_their_events_catch_up(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    async with upkeep(database) as connection:
        await make_months_ahead(connection, first=june, ahead=0)
        await detach(owner, "sessions", june)
        await traffic.visit(noon(june))
        before = await all_rows(owner)
        assert ("parts.sessions_default", 1) in await places(owner, june)
        assert [(d.sessions, d.events) for d in await drain_default(connection)] == [(1, 0)]
    assert await all_rows(owner) == before
    assert await places(owner, june) == named(june, 1, 4)


async def test_a_moved_month_is_walled_like_any_other(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    """What was taken off for the move is back on: keys in both directions, the month check, row security."""
    await traffic.visit(noon(june))
    async with upkeep(database) as connection:
        await drain_default(connection)
        await make_months_ahead(connection, first=after(june), ahead=0)
    shape = """
        SELECT
            ARRAY(SELECT replace(conname || pg_get_constraintdef(k.oid), $2, 'MM') FROM pg_constraint k
                  WHERE conrelid = c.oid AND contype <> 'c' ORDER BY 1) AS own,
            ARRAY(SELECT contype::text || conrelid::regclass FROM pg_constraint k WHERE confrelid = c.oid ORDER BY 1)
                AS pointing,
            ARRAY(SELECT tgfoid::regproc::text || tgenabled::text || tgtype FROM pg_trigger
                  WHERE tgrelid = c.oid ORDER BY 1) AS triggers,
            ARRAY(SELECT polname FROM pg_policy WHERE polrelid = c.oid) AS policies,
            relrowsecurity, relforcerowsecurity, relacl::text AS grants, reloptions
        FROM pg_class c WHERE oid = to_regclass('parts.' || $1)
    """
    for table in ("sessions", "events"):
        moved, plain = [
            await owner.fetchrow(shape, f"{table}_{month:%Y_%m}", f"{month:%Y_%m}")
            for month in (june, after(june))
        ]
        assert moved["own"] and moved["triggers"] and moved["policies"] and moved["relforcerowsecurity"]
        assert moved == plain
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await owner.execute("DELETE FROM sessions WHERE created_month = $1", june)
    assert await unvalidated(owner) == []


async def unvalidated(owner: Any) -> list[str]:
    rows = await owner.fetch(
        "SELECT conname::text FROM pg_constraint WHERE NOT convalidated AND conparentid = 0"
    )
    return [row["conname"] for row in rows]


async def test_the_key_that_a_move_leaves_unvalidated_is_validated_by_the_next_drain(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    await traffic.visit(noon(june))
    async with upkeep(database) as connection:
        await make_months_ahead(connection, first=june, ahead=0)
        assert await unvalidated(owner) == ["session_keys_session_fkey"]
        assert await drain_default(connection) == []
    assert await unvalidated(owner) == []


async def test_a_drain_without_maintenance_is_refused(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    await traffic.visit(noon(june))
    async with upkeep(database) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT drain_default_month($1)", june)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("SELECT make_month($1)", june)
        await drain_default(connection)
    assert await places(owner, june) == named(june, 1, 4)


async def test_a_drain_on_an_old_snapshot_is_refused(database: Any, june: date) -> None:
    async with upkeep(database) as connection:
        with pytest.raises(asyncpg.InvalidTransactionStateError):
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute("SET LOCAL app.maintenance = 'on'")
                await connection.execute("SELECT drain_default_month($1)", june)


@pytest.mark.parametrize("what", ["sessions", "events"])
async def test_what_was_left_behind_by_hand_is_said(
    database: Any, traffic: Any, owner: Any, june: date, what: str
) -> None:
    """A detached table of the month's name is not taken for its partition."""
    await owner.execute(f"CREATE TABLE parts.{what}_{june:%Y_%m} (id uuid)")
    await traffic.visit(noon(june))
    async with upkeep(database) as connection:
        with pytest.raises(asyncpg.DuplicateTableError):
            await drain_default(connection)
        assert [w.month for w in await waiting_months(connection)] == [june]
        await owner.execute(f"DROP TABLE parts.{what}_{june:%Y_%m}")
        assert [d.month for d in await drain_default(connection)] == [june]


class Writers:
    """Several writers at once: new visits, visits that go on, taps; they remember what was answered."""

    def __init__(self, traffic: Any, month: date) -> None:
        self.traffic = traffic
        self.numbers: Iterator[int] = count()
        self.month = month
        self.visits: dict[Any, int] = {}
        self.events: set[Any] = set()
        self.stop = False

    async def write(self, *, new_every: int = 3) -> None:
        while not self.stop:
            n = next(self.numbers)
            known = list(self.visits)[n % len(self.visits)] if self.visits and n % new_every else None
            session, events = await self.traffic.visit(noon(self.month, seconds=n), session=known, views=2)
            self.visits[session] = self.visits.get(session, 0) + len(events)
            self.events |= set(events)


async def test_what_is_written_while_a_month_moves_arrives_once(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    """Writers see no error either: an error of the data's own would set their events aside as unstorable."""
    writers = Writers(traffic, june)
    for _ in range(300):
        session, events = await traffic.visit(noon(june), views=5)
        writers.visits[session] = len(events)
        writers.events |= set(events)
    tasks = [asyncio.create_task(writers.write()) for _ in range(4)]
    await asyncio.sleep(0.3)
    async with upkeep(database) as connection:
        written = len(writers.events)
        (drained,) = await drain_default(connection)
        assert len(writers.events) > written, "nothing was written meanwhile: the test shows nothing"
        await asyncio.sleep(0.3)
        writers.stop = True
        await asyncio.gather(*tasks)
        assert await waiting_months(connection) == []
    assert drained.sessions >= 300
    stored = await owner.fetch(
        "SELECT id, count(*) AS n FROM events WHERE session_month = $1 GROUP BY 1", june
    )
    assert {row["id"]: row["n"] for row in stored} == dict.fromkeys(writers.events, 1)
    counted = await owner.fetch("SELECT id, event_count FROM sessions WHERE created_month = $1", june)
    assert {row["id"]: row["event_count"] for row in counted} == writers.visits
    taps = await owner.fetchval("SELECT count(*) FROM calls WHERE matched_session_month = $1", june)
    conversions = await owner.fetchval(
        "SELECT count(*) FROM events WHERE session_month = $1 AND event_category = 'conversion'", june
    )
    assert taps == conversions > 300


async def made_in_the_end(connection: Any, month: date) -> None:
    """As the runner does it: a job that could not have its locks is tried again."""
    for _ in range(3):
        try:
            await make_months_ahead(connection, first=month, ahead=0)
            return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.2)
    await make_months_ahead(connection, first=month, ahead=0)


async def test_months_made_under_full_traffic_of_that_month_lose_nothing(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    """Over and over: each round a fresh month gets its first visits and its partitions at the same time."""
    async with upkeep(database) as connection:
        for n in range(6):
            writers = Writers(traffic, after(june, n))
            tasks = [asyncio.create_task(writers.write(new_every=1)) for _ in range(4)]
            await asyncio.sleep(0.05 * n)
            await made_in_the_end(connection, writers.month)
            writers.stop = True
            await asyncio.gather(*tasks)
            assert await places(owner, writers.month) == named(
                writers.month, len(writers.visits), len(writers.events)
            )


async def test_a_visit_goes_on_into_the_next_month(
    database: Any, traffic: Any, owner: Any, june: date
) -> None:
    """Its month is the one it began in, with partitions or without."""
    end = noon(after(june), hours=-12, seconds=-1)
    session, _ = await traffic.visit(end)
    await traffic.visit(end + timedelta(seconds=2), session=session)
    assert [w.month for w in await waiting_months(owner)] == [june]
    async with upkeep(database) as connection:
        await drain_default(connection)
    await traffic.visit(end + timedelta(seconds=4), session=session)
    assert await places(owner, june) == named(june, 1, 12)
    assert await owner.fetchval("SELECT event_count FROM sessions WHERE id = $1", session) == 12
