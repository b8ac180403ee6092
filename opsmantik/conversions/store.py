"""The ledger in the database: what leaves, and what people do about it. Enters: a connection; the sender's without anybody
signed in, or one inside a person's or a key's transaction. What may happen to a row stands in
db/functions/send_conversions.sql and conversion_desk.sql."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.conversions.adapters import Adapter, Batch, Kind, Outcome
from opsmantik.db.sql import queries
from opsmantik.errors import Conflict, NotFound
from opsmantik.event import new_id
from opsmantik.keyring import Keyring, Sealed

SQL = queries(Path(__file__).with_name("queries.sql"))
SECRET: Final = "conversion_routes.secret"  # noqa: S105 - the name of a column
"""What a route's secret is sealed for."""

AdapterName = Literal["data_manager", "google_ads", "file", "script", "meta", "webhook"]
BatchState = Literal["open", "sent", "done", "cancelled"]


class Claimed(msgspec.Struct, frozen=True):
    """A batch that is this sender's for a while, and what opens the platform for it, still sealed."""

    batch: Batch
    secret: Sealed | None
    connected_by: UUID | None


class Route(msgspec.Struct, frozen=True):
    """Where a site's conversions go."""

    adapter: AdapterName
    is_on: bool
    destination: dict[str, Any]
    """By the adapter's own names."""
    with_hashes: bool
    has_secret: bool
    connected_by: UUID | None
    trouble: str | None
    """What somebody has to put right before anything leaves."""
    trouble_at: datetime | None
    not_before: datetime
    updated_at: datetime


class Provider(msgspec.Struct, frozen=True):
    """How a provider answers, over all sites and servers."""

    provider: str
    failures: int
    open_until: datetime
    reason: str | None
    is_on: bool
    changed_at: datetime


async def queue(connection: Any, limit: int) -> int:
    """Let go what was held long enough, of one site; how many rows were looked at."""
    return int(await connection.fetchval(SQL.queue, limit))


async def claim(
    connection: Any, adapters: Sequence[Adapter], *, seconds: int
) -> Claimed | Literal["nothing_left"] | None:
    """Take a batch for so many seconds. ``None``: nothing is due; "nothing_left": what was due may not leave any more."""
    able = {adapter.name: {"provider": adapter.provider, "most": adapter.most} for adapter in adapters}
    found = await connection.fetchval(SQL.claim, able, seconds, new_id())
    if found is None:
        return None
    if "id" not in found:
        return "nothing_left"
    secret = Sealed(found["key_id"], base64.b64decode(found["secret"])) if found["secret"] else None
    owner = found["connected_by"]
    return Claimed(read_batch(found), secret, UUID(owner) if owner else None)


def read_batch(found: Mapping[str, Any]) -> Batch:
    """A batch as ``batch_contents`` has it."""
    return msgspec.convert(found, Batch, strict=False)


async def finish(
    connection: Any,
    batch: Batch,
    state: BatchState,
    *,
    seconds: float = 0.0,
    request_id: str | None = None,
    error: str | None = None,
    outcomes: Sequence[Outcome] = (),
    trouble: str | None = None,
    pause: float | None = None,
) -> bool:
    """Write down what became of a claimed batch; False if somebody else has claimed it since."""
    return bool(
        await connection.fetchval(
            SQL.finish, batch.site_id, batch.id, batch.attempts, state, seconds, request_id, error, list(outcomes),
            trouble, pause,
        )
    )  # fmt: skip


async def note_provider(
    connection: Any, provider: str, *, answered: bool, reason: str, most: int, seconds: float, longest: float
) -> float:
    """Count an answer or a failure; for how many seconds the provider is left alone now."""
    return float(
        await connection.fetchval(SQL.note_provider, provider, answered, reason, most, seconds, longest)
    )


async def providers(connection: Any) -> list[Provider]:
    """Those that ever failed or were switched off."""
    return [Provider(**row) for row in await connection.fetch(SQL.providers)]


async def switch_provider(connection: Any, provider: str, *, is_on: bool) -> None:
    """The installation's switch; for platform administrators."""
    await connection.execute(SQL.switch_provider, provider, is_on, new_id())


async def route(connection: Any, site_id: UUID) -> Route | None:
    """Where the site's conversions go; None: nowhere yet."""
    row = await connection.fetchrow(SQL.route, site_id)
    return Route(**row) if row else None


async def set_route(
    connection: Any,
    site_id: UUID,
    adapter: AdapterName,
    destination: Mapping[str, Any],
    *,
    with_hashes: bool,
    is_on: bool = True,
) -> None:
    """Send them there from now on. Raises :class:`~opsmantik.errors.Conflict` while a batch is under way elsewhere."""
    done = await connection.fetchval(
        SQL.set_route, site_id, adapter, destination, with_hashes, is_on, new_id()
    )
    if not done:
        raise Conflict(reason="a batch is still under way by the way that was set before", kind="under_way")


async def switch_route(connection: Any, site_id: UUID, *, is_on: bool) -> None:
    """The site's switch. Raises :class:`~opsmantik.errors.NotFound` where there is no route."""
    if not await connection.fetchval(SQL.switch_route, site_id, is_on, new_id()):
        raise NotFound(what="destination")


async def put_secret(
    connection: Any, keyring: Keyring, site_id: UUID, secret: str | None, *, mine: bool = False
) -> None:
    """Keep what opens the platform: a secret, sealed here, or (``mine``) the asker's own connection; neither: nothing does.

    Raises :class:`~opsmantik.errors.NotFound` where there is no route.
    """
    sealed = keyring.seal(secret.encode(), SECRET, site_id) if secret is not None else None
    data, key = (sealed.data, sealed.key_id) if sealed else (None, None)
    if not await connection.fetchval(SQL.put_secret, site_id, data, key, mine, new_id()):
        raise NotFound(what="destination")


async def secret(connection: Any, site_id: UUID) -> tuple[Sealed | None, UUID | None]:
    """The site's sealed secret, and whose connection is used."""
    row = await connection.fetchrow(SQL.secret, site_id)
    sealed = Sealed(row["key_id"], row["secret"]) if row and row["secret"] is not None else None
    return sealed, row["connected_by"] if row else None


async def lends(connection: Any, sites: Sequence[UUID], person: UUID) -> bool:
    """Whether any of these sites, all of which the transaction sees, uses this person's connection."""
    return bool(await connection.fetchval(SQL.lends, list(sites), person))


async def export(
    connection: Any, site_id: UUID, *, kind: Kind | None, most: int, lease: int | None
) -> UUID | None:
    """Gather what is due for whoever carries it; the batch's id, None: nothing is due."""
    batch = new_id()
    return (
        batch if await connection.fetchval(SQL.export, site_id, batch, kind, most, lease, new_id()) else None
    )


async def reclaim(connection: Any, site_id: UUID, adapter: AdapterName, *, lease: int) -> UUID | None:
    """A batch that was handed out and not answered in time, to be handed out again; None: there is none."""
    found: UUID | None = await connection.fetchval(SQL.reclaim, site_id, adapter, lease)
    return found


async def batch_rows(connection: Any, site_id: UUID, batch: UUID) -> Batch:
    """A batch with the rows that have no outcome yet. Raises :class:`~opsmantik.errors.NotFound`."""
    found = await connection.fetchval(SQL.batch_rows, site_id, batch)
    if found is None:
        raise NotFound(what="batch")
    return read_batch(found)


async def note_download(connection: Any, site_id: UUID, batch: UUID, file_name: str, digest: bytes) -> None:
    """That the file was handed over. ``digest`` is its SHA-256."""
    await connection.execute(SQL.note_download, site_id, batch, file_name, digest)


async def answer(
    connection: Any,
    site_id: UUID,
    batch: UUID,
    state: Literal["done", "cancelled"],
    outcomes: Sequence[Outcome] = (),
    *,
    rest: Literal["accepted", "failed"] | None = None,
) -> bool:
    """What became of a batch that somebody carried; ``rest`` for those that ``outcomes`` does not name.

    With ``done`` and some unnamed, those stay where they are. False: it has its answer already, or is not there.
    """
    return bool(await connection.fetchval(SQL.answer, site_id, batch, state, list(outcomes), rest, new_id()))


async def retry(connection: Any, site_id: UUID, conversions: Sequence[UUID]) -> int:
    """Try failed ones again now; how many that are."""
    return int(await connection.fetchval(SQL.retry, site_id, list(conversions), new_id()))


async def drop(connection: Any, site_id: UUID, conversions: Sequence[UUID]) -> int:
    """Keep from leaving what has not left; how many that are."""
    return int(await connection.fetchval(SQL.drop, site_id, list(conversions), new_id()))
