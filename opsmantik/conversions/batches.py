"""Batches as people and programs look at them, and as those have them who carry them. Enters: a connection, inside the
asker's transaction; for what Google fetches by itself, one without anybody signed in. What may happen to a batch stands in
db/functions/conversion_desk.sql and carried_batches.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.conversions.adapters import Batch, Kind
from opsmantik.conversions.store import BatchState
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound
from opsmantik.keyring import Sealed

SQL = queries(Path(__file__).with_suffix(".sql"))


class BatchRow(msgspec.Struct, frozen=True):
    """A batch in a list. Times are UTC."""

    id: UUID
    kind: Kind
    """new: first reports; restate: other amounts; retract: what is taken back."""
    adapter: str
    state: BatchState
    """open: handed over, with no answer yet; done: every conversion has one; cancelled: it did not arrive."""
    size: int
    """Conversions that it was made with."""
    created_at: datetime
    made_by: str | None
    """A person or a key; None: the server's own work."""
    sent_at: datetime | None
    finished_at: datetime | None
    next_at: datetime | None
    """When it is handed out again, or settled; None: when somebody says so."""
    file_name: str | None
    digest: str | None
    """SHA-256 of the file at its first download, in hexadecimal."""
    downloads: int
    error: str | None
    accepted: int
    failed: int
    waiting: int
    """Conversions without an answer."""
    rows: int
    """Conversions that are still there: erased ones are not."""


class BatchItem(msgspec.Struct, frozen=True):
    """One conversion of a batch, as it was sent, and what became of it."""

    position: int
    conversion_id: UUID
    order_id: str
    occurred_at: datetime
    value: Decimal
    currency: str
    outcome: str | None
    reason: str | None
    detail: str | None
    lead_id: UUID


class Carried(msgspec.Struct, frozen=True):
    """A batch as its file holds it, and what is known of that file."""

    batch: Batch
    size: int
    digest: bytes | None
    """SHA-256 at the first download; None before."""


class Due(msgspec.Struct, frozen=True):
    """What the next batch would hold, and the last row's place for asking on."""

    batch: Batch
    last: tuple[datetime, UUID] | None


class PullRoute(msgspec.Struct, frozen=True):
    """A site that Google fetches from, and its password, sealed."""

    site_id: UUID
    secret: Sealed | None
    is_on: bool


async def batches(
    connection: Any, site_id: UUID, *, before: tuple[datetime, UUID], state: BatchState | None, limit: int
) -> list[BatchRow]:
    """The site's batches, newest first."""
    return [BatchRow(**row) for row in await connection.fetch(SQL.batches, site_id, *before, state, limit)]


async def one_batch(connection: Any, site_id: UUID, batch_id: UUID) -> BatchRow:
    """One batch. Raises :class:`~opsmantik.errors.NotFound`."""
    row = await connection.fetchrow(SQL.one_batch, site_id, batch_id)
    if row is None:
        raise NotFound(what="batch")
    return BatchRow(**row)


async def items(connection: Any, site_id: UUID, batch_id: UUID) -> list[BatchItem]:
    """Its conversions, in order."""
    return [BatchItem(**row) for row in await connection.fetch(SQL.items, site_id, batch_id)]


async def newest_open(connection: Any, site_id: UUID) -> UUID | None:
    """The latest batch that somebody made and has not answered."""
    found: UUID | None = await connection.fetchval(SQL.newest_open, site_id)
    return found


async def places(connection: Any, site_id: UUID, batch_id: UUID) -> dict[int, tuple[str, str | None]]:
    """Order id and outcome by position."""
    rows = await connection.fetch(SQL.places, site_id, batch_id)
    return {row["position"]: (row["order_id"], row["outcome"]) for row in rows}


async def carried(connection: Any, site_id: UUID, batch_id: UUID) -> Carried:
    """A batch as its file holds it. Raises :class:`~opsmantik.errors.NotFound`."""
    found = await connection.fetchval(SQL.batch_file, site_id, batch_id)
    if found is None:
        raise NotFound(what="batch")
    return _carried(found)


async def due(
    connection: Any, site_id: UUID, *, kind: Kind | None, most: int, after: tuple[datetime, UUID] | None
) -> Due | None:
    """What a batch would hold if it were made now; None: nothing is due."""
    found = await connection.fetchval(SQL.preview, site_id, kind, most, *(after or (None, None)))
    if found is None:
        return None
    batch = msgspec.convert(found, Batch, strict=False)
    if not batch.items:
        return Due(batch, None)
    last = found["items"][-1]
    return Due(batch, (datetime.fromisoformat(last["next_at"]), UUID(last["conversion_id"])))


async def release(connection: Any, site_id: UUID, batch_id: UUID, seconds: float) -> bool:
    """Hand a script's batch out again after so many seconds. False: it has its answer, or is not there."""
    return bool(await connection.fetchval(SQL.release, site_id, batch_id, seconds))


async def pull_route(connection: Any, public_id: str) -> PullRoute | None:
    """The route of a site that Google fetches from; None: it has none."""
    row = await connection.fetchrow(SQL.pull_route, public_id)
    if row is None or row["site_id"] is None:
        return None
    sealed = Sealed(row["key_id"], row["secret"]) if row["secret"] is not None else None
    return PullRoute(row["site_id"], sealed, row["is_on"])


async def pull_batches(connection: Any, site_id: UUID) -> list[Batch]:
    """What Google is to fetch now, oldest first."""
    return [_carried(row[0]).batch for row in await connection.fetch(SQL.pull_batches, site_id)]


async def note_pull(connection: Any, site_id: UUID, batch_ids: Sequence[UUID]) -> None:
    """That these were fetched whole."""
    await connection.execute(SQL.note_pull, site_id, list(batch_ids))


def _carried(found: Mapping[str, Any]) -> Carried:
    digest = found["digest"]
    return Carried(
        msgspec.convert(found, Batch, strict=False), found["size"], bytes.fromhex(digest) if digest else None
    )
