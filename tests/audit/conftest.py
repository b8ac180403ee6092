"""A healthy database with something in it, and a copy of it for each fault that is planted."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db import roles
from opsmantik.db.connect import prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from tests.conftest import SECRET, Dsns, new_database, run

HERE = Path(__file__).parent
FILL = HERE.parent / "db" / "released" / "fill.sql"
HEALTHY = HERE / "healthy.sql"
ZONES = ("Europe/Istanbul", "Asia/Kathmandu")
Clone = Callable[[], Awaitable[Dsns]]
_numbers = itertools.count(1)


def site(n: int) -> UUID:
    """The n-th site of the healthy database."""
    return UUID(int=0xA0D17 << 96 | n)


@pytest.fixture(scope="session")
def healthy(server: EmbeddedServer) -> Dsns:
    """Two sites with three months of everything; counted, analysed, and nothing wrong with it."""
    found = run(new_database(server))
    run(_fill(found))
    return found


async def _fill(found: Dsns) -> None:
    owner = await asyncpg.connect(found.owner)
    await prepare_connection(owner)
    await owner.execute("SET app.maintenance = 'on'")
    await owner.execute(
        "SELECT make_month(m::date) FROM generate_series(timestamp '2026-08-01', now()::timestamp + interval '3 months',"
        " '1 month') AS m"
    )
    for n, zone in enumerate(ZONES, 1):
        text = FILL.read_text() + (HEALTHY.read_text() if HEALTHY.exists() else "")
        async with owner.transaction():
            await owner.execute(text.replace("{site}", str(site(n))).replace("{zone}", zone))
        await owner.execute("SELECT rebuild_counters($1)", site(n))
    await owner.execute("ANALYZE")
    await owner.close()


@pytest_asyncio.fixture(loop_scope="session")
async def clone(server: EmbeddedServer, healthy: Dsns) -> AsyncIterator[Clone]:
    """``dsns = await clone()``: a copy of the healthy database, gone after the test."""
    made: list[str] = []

    async def make() -> Dsns:
        name = f"audit_{next(_numbers)}"
        admin = await asyncpg.connect(server.admin_dsn())
        try:
            source = healthy.owner.rpartition("/")[2].partition("?")[0]
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE {source} OWNER {roles.OWNER}")
        finally:
            await admin.close()
        made.append(name)
        passwords = {role: roles.role_password(SECRET, role) for role in (roles.OWNER, roles.APP)}
        return Dsns(
            owner=server.dsn(roles.OWNER, name, passwords[roles.OWNER]),
            app=server.dsn(roles.APP, name, passwords[roles.APP]),
            admin=server.admin_dsn(name),
        )

    yield make
    admin: Any = await asyncpg.connect(server.admin_dsn())
    for name in made:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
