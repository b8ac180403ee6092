"""Conversions that somebody carries to Google: preview, batch, file, answer. Both doors, pages and programs, call this.

    by hand   due → a batch → its file, as often as it is wanted → acknowledged, in whole or one by one, or cancelled
    script    claimed for :data:`LEASE_SECONDS` → acknowledged; what is not is handed out again as it was
    pull      upkeep/scheduled_imports.py makes the batches; Google fetches those without an answer

Enters: a connection inside the asker's transaction, for a site on which they may export. No download changes a conversion.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.conversions import batches, store
from opsmantik.conversions import google_ads_csv as google_csv
from opsmantik.conversions.adapters import Batch, Kind, Outcome
from opsmantik.conversions.batches import Due
from opsmantik.conversions.google_ads_csv import File
from opsmantik.conversions.store import Route
from opsmantik.db.connect import Database
from opsmantik.errors import NotNow, SealBroken, Unprocessable
from opsmantik.keyring import Keyring

MOST_IN_A_FILE: Final = 10_000
MOST_IN_A_CLAIM: Final = 1_000
LEASE_SECONDS: Final = 1800
"""Longer than a script of Google's may run (30 minutes at most, and ours stops itself at 25)."""
AGAIN_SECONDS: Final = 600.0
PULL: Final = ("hourly", "daily")

Category = Literal["validation", "transient", "auth", "rate_limit", "unknown"]
_RETRY: Final[Mapping[Category, float | None]] = {
    "validation": None, "auth": 6 * 3600.0, "rate_limit": 3600.0, "transient": None, "unknown": None,
}  # fmt: skip
_UNSURE: Final = frozenset({"transient", "unknown"})
_WORD: Final = re.compile(r"[^a-z0-9]+")
# An id, an address, a number: nothing of a visitor is kept with an error.
_PRIVATE: Final = re.compile(r"\S*[\d@]\S*|\S{24,}")


class Download(msgspec.Struct, frozen=True):
    """A batch's file, and whether it is still the one that was handed over first."""

    file: File
    missing: int
    """Conversions of the batch that are not in it (any more): erased, withdrawn, or not to be used."""
    is_as_before: bool


class Result(msgspec.Struct, frozen=True):
    """What became of one conversion, by whoever carried it."""

    position: int
    outcome: Literal["accepted", "failed"]
    reason: str | None = None
    detail: str | None = None
    seconds: float | None = None
    """Of a failed one: tried again after so many; None: never by itself."""


class Receipt(msgspec.Struct, frozen=True):
    """What an answer has done. The same answer a second time has the same ``receipt`` and changes nothing."""

    receipt: str
    batch_id: UUID
    state: str
    accepted: int
    failed: int
    already: int
    """Those that had their answer before: it stays."""
    unknown: int
    """Those that are not in the batch, or not any more."""
    waiting: int
    """Those of the batch that still have none."""


async def route_for(connection: Any, site_id: UUID, adapter: Literal["file", "script"]) -> Route:
    """The site's route, if its conversions leave this way now. Raises :class:`~opsmantik.errors.NotNow` with what to do."""
    found = await store.route(connection, site_id)
    word = {"file": "as a file", "script": "by a Google Ads script"}[adapter]
    if found is None or found.adapter != adapter:
        raise NotNow(
            reason=f"this site's conversions do not leave {word}; that is set in its settings, under Conversions",
            kind="other_way",
        )
    if not found.is_on:
        raise NotNow(reason="sending is switched off for this site", kind="switched_off")
    return found


async def preview(
    connection: Any,
    site_id: UUID,
    *,
    kind: Kind | None,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> Due | None:
    """What the next batch would hold; nothing is changed. ``None``: nothing is due."""
    return await batches.due(connection, site_id, kind=kind, most=limit, after=after)


async def make(
    connection: Any, site_id: UUID, *, kind: Kind | None = None, limit: int = MOST_IN_A_FILE
) -> UUID | None:
    """Gather what is due into a batch of one kind; ``None``: nothing is due. Raises :class:`~opsmantik.errors.NotNow`."""
    await route_for(connection, site_id, "file")
    batch_id = await store.export(connection, site_id, kind=kind, most=limit, lease=None)
    if batch_id is not None:
        await _refuse_unusable(connection, await store.batch_rows(connection, site_id, batch_id))
    return batch_id


async def download(connection: Any, site_id: UUID, batch_id: UUID) -> Download:
    """The batch's file, made anew from its rows, and noted as handed over.

    Raises :class:`~opsmantik.errors.NotFound`, and :class:`~opsmantik.errors.NotNow` for a batch that has no file: one that
    was cancelled, or that a worker sends.
    """
    carried = await batches.carried(connection, site_id, batch_id)
    batch = carried.batch
    if batch.adapter not in ("file", "script"):
        raise NotNow(
            reason="this batch is sent by the server itself; nobody carries it as a file", kind="no_file"
        )
    if batch.state == "cancelled":
        raise NotNow(
            reason="this batch was cancelled; its conversions are in a later one, or due again",
            kind="cancelled",
        )
    # Ten thousand rows take a tenth of a second, and others wait for this thread.
    file = await asyncio.to_thread(google_csv.file_of, batch)
    await store.note_download(connection, site_id, batch_id, file.name, file.digest)
    return Download(file, carried.size - file.rows, carried.digest in (None, file.digest))


async def answer(
    connection: Any,
    site_id: UUID,
    batch_id: UUID,
    results: Sequence[Result],
    *,
    rest: Literal["accepted", "failed"] | None = None,
) -> Receipt:
    """What became of a batch; ``rest`` for all that ``results`` does not name. Said again, it changes nothing.

    Raises :class:`~opsmantik.errors.NotFound`, and :class:`~opsmantik.errors.NotNow` for a batch that nobody carries.
    """
    batch = await batches.one_batch(connection, site_id, batch_id)
    if batch.adapter not in ("file", "script"):
        raise NotNow(reason="the server itself hears what becomes of this batch", kind="no_file")
    known = await batches.places(connection, site_id, batch_id)
    said = {result.position: result for result in results}
    fresh = [r for p, r in said.items() if p in known and known[p][1] is None]
    if fresh or rest is not None:
        outcomes = [
            Outcome(r.position, r.outcome, _word(r.reason) or ("refused" if r.outcome == "failed" else None),
                    _harmless(r.detail), r.seconds)
            for r in fresh
        ]  # fmt: skip
        await store.answer(connection, site_id, batch_id, "done", outcomes, rest=rest)
    after = await batches.one_batch(connection, site_id, batch_id)
    return Receipt(
        receipt=_receipt(batch_id, said, rest), batch_id=batch_id, state=after.state,
        accepted=after.accepted - batch.accepted, failed=after.failed - batch.failed,
        already=sum(p in known and known[p][1] is not None for p in said), unknown=sum(p not in known for p in said),
        waiting=after.waiting,
    )  # fmt: skip


async def positions(connection: Any, site_id: UUID, batch_id: UUID) -> dict[str, int]:
    """Where each order id stands in the batch."""
    return {
        order: place for place, (order, _) in (await batches.places(connection, site_id, batch_id)).items()
    }


async def cancel(connection: Any, site_id: UUID, batch_id: UUID) -> None:
    """Nothing of it was carried anywhere, and nothing will be: its conversions are due again.

    Raises :class:`~opsmantik.errors.NotFound`, and :class:`~opsmantik.errors.NotNow` for one that has any answer already.
    """
    batch = await batches.one_batch(connection, site_id, batch_id)
    if batch.adapter not in ("file", "script") or batch.state not in ("open", "sent"):
        raise NotNow(reason="this batch has its answer already", kind="answered")
    if batch.accepted:
        raise NotNow(
            reason="some of its conversions were accepted, so it did arrive: answer the others one by one",
            kind="answered",
        )
    await store.answer(connection, site_id, batch_id, "cancelled")


# For a script that asks.


async def claim(connection: Any, site_id: UUID, *, limit: int = MOST_IN_A_CLAIM) -> Batch | None:
    """A batch for so long: one that was not acknowledged in time, as it was, or else what is due. ``None``: nothing is.

    Raises :class:`~opsmantik.errors.NotNow` where the site's conversions leave another way.
    """
    await route_for(connection, site_id, "script")
    while True:
        batch_id = await store.reclaim(connection, site_id, "script", lease=LEASE_SECONDS)
        if batch_id is None:
            batch_id = await store.export(connection, site_id, kind=None, most=limit, lease=LEASE_SECONDS)
        if batch_id is None:
            return None
        batch = await store.batch_rows(connection, site_id, batch_id)
        if await _refuse_unusable(connection, batch):
            batch = await store.batch_rows(connection, site_id, batch_id)
        if batch.items:
            zone = batch.destination.get("time_zone", batch.time_zone)
            return msgspec.structs.replace(batch, time_zone=zone)
        # All of it was erased, withdrawn or refused: there is nothing to carry, and nothing to say.
        await store.answer(connection, site_id, batch_id, "done")


async def failed(
    connection: Any,
    site_id: UUID,
    batch_id: UUID,
    places: Sequence[int],
    category: Category,
    *,
    code: str | None = None,
    message: str | None = None,
    seconds: float | None = None,
) -> Receipt:
    """A script could not deliver these.

    validation: Google will never take them. auth, rate_limit: they certainly did not arrive, and are tried again later.
    transient, unknown: nobody knows whether they arrived, so the batch stays as it is and is handed out again.
    """
    if category in _UNSURE:
        if not await batches.release(connection, site_id, batch_id, seconds or AGAIN_SECONDS):
            await batches.one_batch(connection, site_id, batch_id)  # not there, or answered already
        return await answer(connection, site_id, batch_id, [])
    again = None if category == "validation" else seconds or _RETRY[category]
    reason = _word(code) or category
    return await answer(
        connection, site_id, batch_id, [Result(place, "failed", reason, message, again) for place in places]
    )


# What Google fetches by itself.


def new_pull_password() -> str:
    """256 random bits: shown once, then kept sealed."""
    return secrets.token_urlsafe(32)


async def make_pull_password(connection: Any, keyring: Keyring, site_id: UUID) -> str:
    """A new password for Google's fetching; the old one opens nothing from now on.

    Raises :class:`~opsmantik.errors.Unprocessable` where nothing is to be fetched.
    """
    route = await store.route(connection, site_id)
    if route is None or route.adapter != "file" or route.destination.get("pull") not in PULL:
        raise Unprocessable(
            reason="this site's conversions are not set to be fetched on a schedule", kind="no_pull"
        )
    password = new_pull_password()
    await store.put_secret(connection, keyring, site_id, password)
    return password


class Pull:
    """The door for Google's scheduled import: a site's name and its password, and what is to be fetched."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._nobody = new_pull_password()

    async def opened(self, public_id: str, password: str) -> batches.PullRoute | None:
        """The route that this password opens; the same work is done for a site that is not there."""
        async with self._database.connection() as connection:
            route = await batches.pull_route(connection, public_id)
        wanted = self._nobody
        if route is not None and route.secret is not None:
            try:
                wanted = self._keyring.open(route.secret, store.SECRET, route.site_id).decode()
            except SealBroken:
                wanted = self._nobody
        same = hmac.compare_digest(_hash(wanted), _hash(password))
        return route if same and route is not None and route.secret is not None else None

    async def feed(self, route: batches.PullRoute, *, adjustments: bool) -> tuple[File, list[UUID]]:
        """What has no answer yet, in one file, and the batches that are in it. Nothing while the site's switch is off."""
        found: list[Batch] = []
        if route.is_on:
            async with self._database.connection() as connection:
                found = await batches.pull_batches(connection, route.site_id)
        wanted = [batch for batch in found if (batch.kind != "new") == adjustments]
        file = await asyncio.to_thread(google_csv.feed_of, wanted, adjustments=adjustments)
        return file, [batch.id for batch in wanted]

    async def fetched(self, route: batches.PullRoute, batch_ids: Sequence[UUID]) -> None:
        """That they were handed over whole; with the first time begins the day after which they count as accepted."""
        async with self._database.connection() as connection:
            await batches.note_pull(connection, route.site_id, batch_ids)


async def _refuse_unusable(connection: Any, batch: Batch) -> bool:
    """What no platform can have made is in no file: it has failed at once, and for good. Whether there was any."""
    if batch.kind != "new":
        return False
    bad = [Outcome(i.position, "failed", "bad_click_id") for i in batch.items if not google_csv.is_usable(i)]
    if bad:
        await store.answer(connection, batch.site_id, batch.id, "done", bad)
    return bool(bad)


def _receipt(batch_id: UUID, said: Mapping[int, Result], rest: str | None) -> str:
    lines = [f"{batch_id} {rest or ''}", *(f"{place} {said[place].outcome}" for place in sorted(said))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _word(text: str | None) -> str | None:
    """A code as ours are: lower case, digits and underscores."""
    return _WORD.sub("_", (text or "").lower()).strip("_")[:60] or None


def _harmless(text: str | None) -> str | None:
    return _PRIVATE.sub("…", text)[:200] if text else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
