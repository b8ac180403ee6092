"""Reading from a real streaming standby: nobody sees the past, and nobody is turned away when it is not there."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from opsmantik.db import roles
from opsmantik.db.connect import ANY_ROLE, Asker, Database, prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.replica import ZERO, Replica
from opsmantik.errors import DatabaseUnavailable
from tests.conftest import SECRET, _make_template, _quick_directory, run
from tests.standby import Standby, standby_of
from tests.web.browsing import running
from tests.web.conftest import password_hash
from tests.web.world import new_reader

__all__ = ["password_hash"]  # a fixture, found by its name
pytestmark = pytest.mark.slow
BEYOND = "FFFFFFFF/0"


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedServer]:
    home = Path(tempfile.mkdtemp(prefix="om-", dir=_quick_directory()))
    server = EmbeddedServer(home / "one", SECRET)
    server.start()
    run(_make_template(server))
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def standby(primary: EmbeddedServer) -> Iterator[Standby]:
    with standby_of(primary, primary.home.parent / "two") as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(primary: EmbeddedServer) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(primary.role_dsn(roles.OWNER))
    await prepare_connection(connection)
    await connection.execute("SET app.maintenance = 'on'")
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def pools(primary: EmbeddedServer, standby: Standby) -> AsyncIterator[tuple[Database, Replica]]:
    database = Database(primary.role_dsn(roles.APP), max_size=3)
    await database.open()
    replica = Replica(database, Database(standby.dsn(roles.APP), max_size=3))
    database.replica = replica
    await replica.start()
    yield database, replica
    await replica.stop()
    await database.close()


async def where(database: Database, after: str | None, *, write: bool = False) -> str:
    """Who answered."""
    asker = Asker(uuid4(), ANY_ROLE, after=after)
    async with database.as_person(asker, write=write) as (connection, _):
        return "standby" if await connection.fetchval("SELECT pg_is_in_recovery()") else "primary"


@asynccontextmanager
async def held_back(standby: Standby) -> AsyncIterator[None]:
    """The standby takes part, and replays nothing."""
    admin = await asyncpg.connect(standby.admin_dsn())
    await admin.execute("SELECT pg_wal_replay_pause()")
    while await admin.fetchval("SELECT pg_get_wal_replay_pause_state()") != "paused":
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        await admin.execute("SELECT pg_wal_replay_resume()")
        await admin.close()


async def until_replayed(database: Database, place: str) -> None:
    async with asyncio.timeout(20):
        while await where(database, place) != "standby":
            await asyncio.sleep(0.02)


async def test_who_looks_is_answered_by_the_standby_and_who_writes_by_the_primary(pools: Any) -> None:
    database, replica = pools
    await until_replayed(database, await replica.place())
    assert await where(database, ZERO) == "standby"
    assert await where(database, None) == "primary"
    assert await where(database, ZERO, write=True) == "primary"


async def test_what_one_has_written_oneself_is_waited_for_at_the_primary(
    pools: Any, standby: Standby, owner: Any
) -> None:
    database, replica = pools
    async with held_back(standby):
        await owner.execute("UPDATE profiles SET id = id")
        await owner.execute(
            "INSERT INTO users (id, email) VALUES (gen_random_uuid(), $1)", f"{uuid4().hex}@example.com"
        )
        mine = await replica.place()
        assert await where(database, mine) == "primary"
        assert await where(database, ZERO) == "standby", (
            "somebody who has written nothing may see a moment ago"
        )
    await until_replayed(database, mine)


async def test_what_a_node_was_told_of_it_never_shows_without(
    pools: Any, standby: Standby, owner: Any
) -> None:
    database, replica = pools
    await until_replayed(database, await replica.place())
    async with held_back(standby):
        await owner.execute(
            "INSERT INTO users (id, email) VALUES (gen_random_uuid(), $1)", f"{uuid4().hex}@example.com"
        )
        replica.heard()
        assert await where(database, ZERO) == "primary", "its place is not known yet"
        await asyncio.sleep(0.3)
        assert await where(database, ZERO) == "primary", "its place is known, and not reached"
    await until_replayed(database, ZERO)


@pytest.mark.parametrize("made_up", ["nonsense", BEYOND, "1/2; DROP", ""])
async def test_a_place_that_somebody_made_up_means_the_primary(pools: Any, made_up: str) -> None:
    database, _ = pools
    assert await where(database, made_up) == "primary"


async def test_a_standby_that_goes_away_is_missed_by_nobody(pools: Any, standby: Standby) -> None:
    database, replica = pools
    await until_replayed(database, ZERO)
    standby.stop()
    try:
        assert await where(database, ZERO) == "primary"
        assert await where(database, ZERO) == "primary"
    finally:
        standby.start()
    replica._rest_until = 0.0
    async with asyncio.timeout(20):
        while await where(database, ZERO) != "standby":
            replica._rest_until = 0.0
            await asyncio.sleep(0.1)


async def test_a_standby_that_stands_still_costs_a_second_once(pools: Any, standby: Standby) -> None:
    database, replica = pools
    await until_replayed(database, ZERO)
    standby.freeze()
    try:
        async with asyncio.timeout(10):
            assert await where(database, ZERO) == "primary"
        begin = time.monotonic()
        assert await where(database, ZERO) == "primary"
        assert time.monotonic() - begin < 0.9, "it is left alone now"
    finally:
        standby.freeze(signal.SIGCONT)
    replica._rest_until = 0.0
    await until_replayed(database, ZERO)


async def test_a_reader_who_is_ended_half_way_is_told_to_try_again_and_the_primary_answers(
    pools: Any, standby: Standby
) -> None:
    database, replica = pools
    await until_replayed(database, ZERO)
    admin = await asyncpg.connect(standby.admin_dsn())
    with pytest.raises(DatabaseUnavailable):
        async with database.as_person(Asker(uuid4(), ANY_ROLE, after=ZERO)) as (connection, _):
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await admin.execute("SELECT pg_terminate_backend($1)", pid)
            await connection.fetchval("SELECT 1")
    await admin.close()
    assert await where(database, ZERO) == "primary"
    replica._rest_until = 0.0
    await until_replayed(database, ZERO)


def status_of(answer: httpx.Response, lead: UUID) -> str:
    assert answer.status_code == 200, answer.text
    return str(next(one["status"] for one in answer.json()["items"] if one["id"] == str(lead)))


async def test_an_operator_sees_what_they_decided_though_the_standby_lags(
    primary: EmbeddedServer, standby: Standby, owner: Any, password_hash: str, tmp_path: Path
) -> None:
    """The whole application, two nodes: decide on one, look on the other, with nothing but cookies in between."""
    app_dsn, reading = primary.role_dsn(roles.APP), standby.dsn(roles.APP)
    async with (
        running(app_dsn, tmp_path / "a", read_database_url=reading) as one,
        running(app_dsn, tmp_path / "b", read_database_url=reading) as two,
    ):
        programs, world = await new_reader(owner, one, password_hash)
        other = httpx.AsyncClient(base_url=two.base_url, cookies=programs.http.cookies, timeout=20)
        place = await one.app.replica.place()
        await until_replayed(one.app._page_database, place)
        lead, asked = world.ids["waiting"], f"{world.path}/intents?{urlencode(world.range)}"
        before = two.app.replica.served
        assert status_of(await other.get(asked), lead) == "intent"
        assert two.app.replica.served > before, "who only looks is answered by the standby"
        told = (await httpx.AsyncClient(base_url=two.base_url).get("/metrics")).text
        assert re.search(r'opsmantik_standby_reads_total\{by="standby"\} [1-9]', told)
        async with held_back(standby):
            answer = await programs.post(
                f"{world.path}/intents/{lead}/decisions", {"action": "seal", "version": 1, "amount": 100}
            )
            assert answer.status_code == 200, answer.text
            assert "opsmantik-after" in answer.headers["set-cookie"]
            other.cookies = programs.http.cookies
            assert status_of(await other.get(asked), lead) == "sealed"
        await other.aclose()
