"""A real PostgreSQL for every test that touches data: one server a run, one fresh database a module."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db import roles
from opsmantik.db.connect import Database, prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.migrate import migrate
from tests.order import pytest_collection, pytest_collection_modifyitems, pytest_terminal_summary

__all__ = [
    "pytest_collection",
    "pytest_collection_modifyitems",
    "pytest_terminal_summary",
]  # hooks are found by name
ROOM = 8 * 2**30
SECRET = "0123456789abcdef" * 4
T = TypeVar("T")
_numbers = itertools.count(1)


class Dsns(NamedTuple):
    """Addresses of one migrated database."""

    owner: str
    app: str
    admin: str


def run(task: Awaitable[T]) -> T:
    async def whole() -> T:
        return await task

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, whole()).result()


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    home = Path(tempfile.mkdtemp(prefix="om-", dir=_quick_directory()))
    server = EmbeddedServer(home, SECRET)
    server.start()
    run(_make_template(server))
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


def _quick_directory() -> str | None:
    """Memory, where there is plenty: two hundred databases are two gigabytes, and take a disk ten seconds to forget."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    return str(memory) if roomy else None


async def _make_template(server: EmbeddedServer) -> None:
    await migrate(
        server.role_dsn(roles.OWNER),
        app_password=roles.role_password(SECRET, roles.APP),
        on_progress=lambda words: None,
    )


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Dsns:
    """A fresh migrated database for this module."""
    return run(new_database(server))


async def new_database(server: EmbeddedServer) -> Dsns:
    name = f"test_{next(_numbers)}"
    admin = await asyncpg.connect(server.admin_dsn())
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {roles.DATABASE} OWNER {roles.OWNER}")
    finally:
        await admin.close()
    password = {role: roles.role_password(SECRET, role) for role in (roles.OWNER, roles.APP)}
    return Dsns(
        owner=server.dsn(roles.OWNER, name, password[roles.OWNER]),
        app=server.dsn(roles.APP, name, password[roles.APP]),
        admin=server.admin_dsn(name),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app_database(database: Dsns) -> AsyncIterator[Database]:
    """The module's database as the server uses it: a pool as the application's role."""
    pool = Database(database.app, max_size=6)
    await pool.open()
    yield pool
    await pool.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(database: Dsns) -> AsyncIterator[Any]:
    """One connection as the owner with app.maintenance on: it sees every row, and constraints bind it."""
    connection = await asyncpg.connect(database.owner)
    await prepare_connection(connection)
    await connection.execute("SET app.maintenance = 'on'")
    yield connection
    await connection.close()


class NewSite(NamedTuple):
    id: UUID
    public_id: str
    user_id: UUID


@pytest.fixture
def make_site(owner: Any) -> Callable[..., Awaitable[NewSite]]:
    """Makes a site with an owner; columns of ``sites`` as keywords, and ``origins``."""

    async def make(origins: tuple[str, ...] = ("https://shop.example",), **columns: Any) -> NewSite:
        user, site = uuid4(), uuid4()
        await owner.execute("INSERT INTO users (id, email) VALUES ($1, $2)", user, f"{user.hex}@example.com")
        await owner.execute("INSERT INTO profiles (id) VALUES ($1)", user)
        values = {
            "id": site,
            "user_id": user,
            "public_id": uuid4().hex,
            "name": "Shop",
            "domain": "shop.example",
        }
        values |= columns
        names = ", ".join(values)
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await owner.execute(f"INSERT INTO sites ({names}) VALUES ({places})", *values.values())
        await owner.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'owner')", site, user
        )
        for origin in origins:
            await owner.execute("INSERT INTO site_origins (site_id, origin) VALUES ($1, $2)", site, origin)
        return NewSite(values["id"], values["public_id"], user)

    return make
