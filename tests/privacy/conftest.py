"""A site at work, somebody who keeps its privacy, and a search of the whole database."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from opsmantik.counters import store as counters
from opsmantik.db import binaries
from opsmantik.db.connect import Asker, Database
from opsmantik.keyring import Keyring, key_of
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.privacy import erasure
from opsmantik.privacy.subject import Seals, Subject
from tests.ingest.conftest import door, first, item

__all__ = ["door", "first", "item"]

KEYRING = Keyring([key_of(b"k" * 32)])
SEALS = Seals("s" * 40)


class Keeper:
    """Somebody who may erase and export, at work as the server does it: as the application's role, in their name."""

    def __init__(self, database: Database, owner: Any, site: Any) -> None:
        self.database = database
        self.owner = owner
        self.site = site

    @asynccontextmanager
    async def transactions(self) -> AsyncIterator[Any]:
        asker = Asker(self.site.user_id, roles_with(Capability.ERASE))
        async with self.database.as_person(asker, write=True) as (connection, _):
            yield connection

    async def erase(self, subject: Subject) -> bytes:
        return (await erasure.erase(self.transactions, self.site.id, subject, KEYRING, SEALS))[1]

    async def preview(self, subject: Subject) -> dict[str, int]:
        async with self.transactions() as connection:
            found = await erasure.preview(connection, self.site.id, subject)
        totals: dict[str, int] = {}
        for size in found.rows:
            totals[size.name] = totals.get(size.name, 0) + size.n
        return totals

    async def unequal(self) -> list[Any]:
        """Where the counters are not what the rows say."""
        return await counters.differences(self.owner, self.site.id)


@pytest.fixture
def make_keeper(app_database: Database, owner: Any) -> Callable[[Any], Keeper]:
    return lambda site: Keeper(app_database, owner, site)


@pytest.fixture
def make_site(make_site: Callable[..., Awaitable[Any]], door: Any) -> Callable[..., Awaitable[Any]]:
    """A site that the running door knows at once."""

    async def make(**columns: Any) -> Any:
        site = await make_site(**columns)
        await door.collect.registry.refresh()
        return site

    return make


async def places_of(owner: Any, needles: list[str]) -> list[str]:
    """Every table and partition in which any row says any of these, by the text of the whole row; bytes are read, too."""
    tables = await owner.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relkind = 'r'"
        " AND c.relnamespace IN ('public'::regnamespace, 'parts'::regnamespace) ORDER BY 1"
    )
    found = []
    for table in tables:
        columns = await owner.fetch(
            "SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
            " AND NOT attisdropped AND atttypid = 'bytea'::regtype",
            table["name"],
        )
        texts = ["t::text", *(f"encode(t.{column['name']}, 'escape')" for column in columns)]
        for needle in needles:
            said = " OR ".join(f"position($1 IN lower({text})) > 0" for text in texts)
            n = await owner.fetchval(f"SELECT count(*) FROM {table['name']} t WHERE {said}", needle.lower())
            if n:
                found.append(f"{table['name']}: {needle} in {n} rows")
    return found


def dumped(dsn: str) -> str:
    """All data of the database, as pg_dump writes it."""
    dump = subprocess.run(
        [binaries.find()["pg_dump"], "--data-only", f"--dbname={dsn}"], check=True, capture_output=True
    )
    return dump.stdout.decode("utf-8", "replace").lower()


async def rows_of(owner: Any, table: str, site_id: UUID) -> int:
    return int(await owner.fetchval(f"SELECT count(*) FROM {table} WHERE site_id = $1", site_id))
