"""A database of its own for a single test."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import asyncpg
import pytest_asyncio

from opsmantik.db import roles
from opsmantik.db.embedded import EmbeddedServer

_numbers = itertools.count(1)


class Fresh(NamedTuple):
    """As the module's ``database``."""

    owner: str
    app: str


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_database(server: EmbeddedServer) -> Fresh:
    name = f"demo_{next(_numbers)}"
    admin = await asyncpg.connect(server.admin_dsn())
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {roles.DATABASE} OWNER {roles.OWNER}")
    finally:
        await admin.close()
    passwords = {role: roles.role_password(server.secret_key, role) for role in (roles.OWNER, roles.APP)}
    return Fresh(*(server.dsn(role, name, password) for role, password in passwords.items()))
