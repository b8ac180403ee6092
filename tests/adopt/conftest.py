"""The first generation's database, and ours to take it over into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from opsmantik.adopt import run
from opsmantik.adopt.old import open_old
from opsmantik.db.connect import prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from tests.conftest import Dsns, new_database
from tests.first_generation.fixtures import (  # noqa: F401 - fixtures are found by their names here
    first_generation,
    first_generation_server,
    old_copy,
)

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)  # for the ledger: ninety days after a click it takes none


@pytest.fixture
async def new(server: EmbeddedServer) -> Dsns:
    """An empty database of ours."""
    return await new_database(server)


@asynccontextmanager
async def as_owner(dsns: Dsns) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsns.owner)
    await prepare_connection(connection)
    await connection.execute("SET app.maintenance = 'on'")
    try:
        yield connection
    finally:
        await connection.close()


async def adopt(dsn: str, dsns: Dsns, **wanted: Any) -> run.Outcome:
    """One run, from the one database into the other."""
    async with open_old(dsn, 60) as old, as_owner(dsns) as owner:
        return await run.adopt(old, owner, run.Wanted(now=NOW, **wanted))
