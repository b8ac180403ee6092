"""The database on a server of its own: its roles are the whole server's, and one of them passes row security."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.sql import queries
from tests.conftest import SECRET, _quick_directory, run

HERE = Path(__file__).parent
FAULTS = queries(HERE / "faults.sql")
OldCopy = Callable[..., Awaitable[str]]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def first_generation_server() -> Iterator[EmbeddedServer]:
    home = Path(tempfile.mkdtemp(prefix="om-first-", dir=_quick_directory()))
    server = EmbeddedServer(home, SECRET)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def first_generation(first_generation_server: EmbeddedServer) -> str:
    """The address of a sound one, as its superuser. Do not write to it: ``old_copy`` is for that."""
    run(_make(first_generation_server))
    return first_generation_server.admin_dsn("first_generation")


async def _make(server: EmbeddedServer) -> None:
    admin = await asyncpg.connect(server.admin_dsn())
    await admin.execute("CREATE DATABASE first_generation")
    await admin.close()
    inside = await asyncpg.connect(server.admin_dsn("first_generation"))
    for name in ("schema.sql", "content.sql"):
        await inside.execute((HERE / name).read_text())
    await inside.execute("ANALYZE")
    await inside.close()


async def plant(dsn: str, *faults: str) -> None:
    """Put faults of ``faults.sql`` into a copy, with triggers and foreign keys asleep, as repairs by hand have it."""
    admin: Any = await asyncpg.connect(dsn)
    await admin.execute("SET session_replication_role = replica; SET TimeZone = 'UTC'")
    for name in faults:
        await admin.execute(getattr(FAULTS, name))
    await admin.close()


@pytest_asyncio.fixture(loop_scope="session")
async def old_copy(first_generation_server: EmbeddedServer, first_generation: str) -> AsyncIterator[OldCopy]:
    """``dsn = await old_copy("orphaned_events")``: a copy with these faults, gone after the test."""
    made: list[str] = []

    async def make(*faults: str) -> str:
        name = f"first_generation_{next(_numbers)}"
        admin = await asyncpg.connect(first_generation_server.admin_dsn())
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE first_generation")
        await admin.close()
        made.append(name)
        dsn = first_generation_server.admin_dsn(name)
        await plant(dsn, *faults)
        return dsn

    yield make
    admin: Any = await asyncpg.connect(first_generation_server.admin_dsn())
    for name in made:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
