"""Months of a site to archive, and what archives them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.keyring import Keyring, key_of
from opsmantik.privacy import erasure
from opsmantik.privacy.subject import Kind, Seals, Subject
from opsmantik.upkeep import archive_erasing, retention
from opsmantik.upkeep.archive import Archive
from opsmantik.upkeep.runner import connect
from tests.dashboard.world import insert

KEYRING, SEALS = Keyring([key_of(b"k" * 32)]), Seals("s" * 40)
ODD = "a\tb\nc\\N\r \x1f'\"{,} ığüşöç 😀"


def month_ago(n: int) -> date:
    now = datetime.now(UTC)
    months = now.year * 12 + now.month - 1 - n
    return date(months // 12, months % 12 + 1, 1)


class Month:
    """A month of a site's visits, with values of every kind in them."""

    def __init__(self, owner: Any, site: Any, month: date) -> None:
        self.owner, self.site, self.month = owner, site, month

    async def visit(
        self, day: int = 10, *, visitor: str | None = None, url: str | None = None, n: int = 2
    ) -> UUID:
        session_id = uuid4()
        when = datetime(self.month.year, self.month.month, day, 9, 30, 1, 123457, tzinfo=UTC)
        await self.owner.execute("SELECT make_month($1)", self.month)
        key = {"site_id": self.site.id, "id": session_id, "created_month": self.month}
        async with self.owner.transaction():
            await insert(self.owner, "session_keys", key)
            await insert(self.owner, "sessions", key | {
                "created_at": when, "started_at": when, "last_event_at": when, "first_key": 2**61, "exit_key": -1,
                "source_key": 1, "attribution_source": "Direct", "channel": "direct", "is_paid": False,
                "is_returning": True,
                "attribution": {"rule": ODD, "n": 1.5}, "fingerprint": visitor or session_id.hex, "ip_address": "192.0.2.0",
                "event_count": n, "city": ODD, "district": "", "device_memory": 0.1, "pixel_ratio": 2.625,
            })  # fmt: skip
            for k in range(n):
                await insert(self.owner, "events", {
                    "site_id": self.site.id, "session_month": self.month, "id": uuid4(), "session_id": session_id,
                    "created_at": when + timedelta(microseconds=k), "occurred_at": when, "event_category": "interaction",
                    "event_action": "view", "url": url or ODD, "event_value": "1.10", "flags": ["a,b", 'c"d', ""],
                    "metadata": {"x": [None, ODD]} if k else None,
                })  # fmt: skip
        return session_id

    async def rows(self) -> dict[str, list[str]]:
        """Every row of the month, as text, without what is not archived."""
        of = {"sessions": "created_month", "events": "session_month", "session_keys": "created_month"}
        said = "to_jsonb(t) - 'ip_address'"
        return {
            table: [r[0] for r in await self.owner.fetch(
                f"SELECT ({said})::text FROM {table} t WHERE {column} = $1 ORDER BY 1", self.month)]
            for table, column in of.items()
        }  # fmt: skip


@pytest.fixture
async def upkeep(database: Any) -> AsyncIterator[Any]:
    connection = await connect(database.owner)
    yield connection
    await connection.close()


@pytest.fixture
def place(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive", is_on=True, months=12)


@pytest.fixture
async def make_month(owner: Any, make_site: Any, upkeep: Any) -> AsyncIterator[Any]:
    numbers = iter(range(10, 40))

    async def make(visits: int = 5) -> Month:
        month = Month(owner, await make_site(retention_months=3), month_ago(next(numbers)))
        for n in range(visits):
            await month.visit(1 + n % 28)
        return month

    yield make
    await owner.execute(
        "UPDATE archived_months SET restored_until = NULL; UPDATE sites SET retention_months = 2"
    )
    await retention.expire(upkeep)
    await owner.execute("DELETE FROM archive_erasures; DELETE FROM archived_months")


@asynccontextmanager
async def as_owner(connection: Any) -> AsyncIterator[Any]:
    async with connection.transaction():
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        yield connection


async def carry_out(connection: Any, place: Archive) -> dict[str, int]:
    return await archive_erasing.carry_out(
        connection, lambda: as_owner(connection), place.directory, KEYRING, SEALS
    )


async def erase(connection: Any, site_id: UUID, kind: Kind, value: str, pattern: str | None = None) -> None:
    subject = Subject(kind=kind, value=value, pattern=pattern)
    await erasure.erase(lambda: as_owner(connection), site_id, subject, KEYRING, SEALS)


async def is_there(owner: Any, month: date) -> bool:
    return bool(
        await owner.fetchval("SELECT to_regclass($1) IS NOT NULL", f"parts.events_{month:%Y_%m}")
        or await owner.fetchval("SELECT to_regclass($1) IS NOT NULL", f"parts.sessions_{month:%Y_%m}")
    )


def names(place: Archive) -> set[str]:
    return {path.name for path in place.directory.iterdir()}
