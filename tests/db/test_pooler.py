"""Behind a real pgbouncer that gives every transaction any connection: nothing of ours may stay with one."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db import roles
from opsmantik.db.connect import STATEMENT_SECONDS, Database, prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.errors import SettingsError
from tests.conftest import SECRET, _make_template, _quick_directory, run
from tests.pooler import PROGRAM, pooling
from tests.web.browsing import running
from tests.web.conftest import password_hash
from tests.web.streams import listening, stream_of, tap
from tests.web.world import new_reader

__all__ = ["password_hash"]  # a fixture, found by its name
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer here: tests/need_proxies.sh"),
]
# Fewer than work at once, so that every transaction gets another's connection.
CONNECTIONS = 3


@pytest.fixture(scope="module")
def tcp_server() -> Iterator[EmbeddedServer]:
    home = Path(tempfile.mkdtemp(prefix="om-", dir=_quick_directory()))
    server = EmbeddedServer(home, SECRET, tcp=True)
    server.start()
    run(_make_template(server))
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


def address(server: EmbeddedServer, role: str) -> str:
    return server.dsn(role, roles.DATABASE, roles.role_password(SECRET, role), tcp=True)


@pytest.fixture(scope="module")
def pooler(tcp_server: EmbeddedServer) -> Iterator[tuple[str, Path]]:
    with pooling(address(tcp_server, roles.APP), CONNECTIONS) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(tcp_server: EmbeddedServer) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(address(tcp_server, roles.OWNER))
    await prepare_connection(connection)
    await connection.execute("SET app.maintenance = 'on'")
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool(pooler: tuple[str, Path], tcp_server: EmbeddedServer) -> AsyncIterator[Database]:
    database = Database(
        pooler[0], min_size=12, max_size=12, pooled=True, direct_dsn=address(tcp_server, roles.APP)
    )
    await database.open()
    yield database
    await database.close()


async def test_connections_are_shared_and_no_asker_is_taken_for_another(pool: Database) -> None:
    """Six hundred transactions of twelve askers over three connections; each sees the sites that it named."""
    seen: set[int] = set()

    async def ask(site: UUID) -> None:
        for _ in range(50):
            async with pool.as_sites([site]) as connection:
                assert await connection.fetchval("SELECT current_setting('app.sites')") == f"{{{site}}}"
                await asyncio.sleep(0)
                row = await connection.fetchrow(
                    "SELECT current_setting('app.sites') AS sites, pg_backend_pid() AS pid, $1::int AS n", 7
                )
                assert row["sites"] == f"{{{site}}}"
                seen.add(row["pid"])

    await asyncio.gather(*(ask(uuid4()) for _ in range(12)))
    assert 1 < len(seen) <= CONNECTIONS
    async with pool.connection() as connection:
        assert await connection.fetchval("SELECT nullif(current_setting('app.sites', true), '')") is None


async def test_statements_outside_of_transactions_are_never_divided(pool: Database) -> None:
    """Parsed on one connection and run on another, a statement would not be there: with arguments, arrays and jsonb."""

    async def ask(number: int) -> None:
        for _ in range(40):
            async with pool.connection() as connection:
                row = await connection.fetchrow(
                    f"SELECT $1::int AS n, $2::uuid[] AS ids, $3::jsonb AS body, {number} AS own",
                    number,
                    [uuid4()],
                    {"a": 1},
                )
                assert (row["n"], row["own"], row["body"]) == (number, number, {"a": 1})

    await asyncio.gather(*(ask(n) for n in range(24)))


async def test_limits_hold_that_a_pooler_does_not_pass_on(pool: Database) -> None:
    """They are the role's own, so that each of its connections begins with them."""
    async with pool.connection() as connection:
        assert (
            await connection.fetchval("SELECT current_setting('statement_timeout')")
            == f"{STATEMENT_SECONDS:.0f}s"
        )
        assert (
            await connection.fetchval("SELECT current_setting('idle_in_transaction_session_timeout')")
            == "30s"
        )
        assert await connection.fetchval("SELECT current_setting('jit')") == "off"


async def test_without_the_setting_the_driver_would_trip(pooler: tuple[str, Path]) -> None:
    """And is told so by name: this pooler refuses what a straight connection brings along."""
    straight = Database(pooler[0], max_size=2)
    with pytest.raises(SettingsError, match="OPSMANTIK_POOLER"):
        await straight.open()


async def test_the_whole_application_works_behind_it(
    pooler: tuple[str, Path], tcp_server: EmbeddedServer, owner: Any, password_hash: str, tmp_path: Path
) -> None:
    """Two nodes: taps on both at once, streams, reads, decisions, background work; and nothing in either log."""
    ways = {
        "database_url": address(tcp_server, roles.OWNER), "app_database_url": pooler[0], "pooler": "transaction",
    }  # fmt: skip
    async with (
        running(pooler[0], tmp_path / "a", **ways) as one,
        running(pooler[0], tmp_path / "b", **ways) as two,
    ):
        programs, world = await new_reader(owner, one, password_hash)
        await owner.execute(
            "INSERT INTO site_origins (site_id, origin) VALUES ($1, 'https://shop.example') ON CONFLICT DO NOTHING",
            world.site.id,
        )
        for node in (one, two):
            await node.app.collect.registry.refresh()
        before = await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", world.site.id)
        async with listening(one.browsers[0], stream_of(world.site.id)) as stream:
            await asyncio.gather(*(tap(node, world.site) for node in (one, two) * 20))
            await stream.event("change", within=10)
        assert (
            await owner.fetchval("SELECT count(*) FROM events WHERE site_id = $1", world.site.id)
            == before + 80
        )
        answers = await asyncio.gather(
            *(programs.get(f"{world.path}/intents", world.range) for _ in range(40))
        )
        assert {answer.status_code for answer in answers} == {200}
        sealed = await programs.post(
            f"{world.path}/intents/{world.ids['waiting']}/decisions",
            {"action": "seal", "version": 1, "amount": 5},
        )
        assert sealed.status_code == 200, sealed.text
        async with asyncio.timeout(15):  # the fold, a worker of its own
            while await owner.fetchval(
                "SELECT count(*) FROM counter_journal WHERE site_id = $1", world.site.id
            ):
                await asyncio.sleep(0.1)
    words = pooler[1].read_text()
    assert "prepared statement" not in words and "ERROR" not in words.replace(
        "unsupported startup parameter", ""
    ), words
