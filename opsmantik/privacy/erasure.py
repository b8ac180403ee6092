"""Erasing one person: found once, then a transaction a month, then looked for again until nothing is left.

What was found is kept, sealed, until the work is done: an erasure that is cut off goes on from there, because with half of
the rows gone the way from one to the next is gone too. Every step can be repeated. Events that come in meanwhile wait at
the visit's key; what is committed before the last look is erased, and what comes after it is a new visit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.errors import Conflict, NotFound, Unprocessable
from opsmantik.event import new_id
from opsmantik.keyring import Keyring, Sealed
from opsmantik.privacy import store
from opsmantik.privacy.certificate import signed
from opsmantik.privacy.store import ErasureRow
from opsmantik.privacy.subject import MOST_VISITS, Found, Seals, Size, Subject

COLUMN: Final = "erasures.subject"
MOST_LOOKS: Final = 5
TRIES: Final = 4
IN_EACH_OTHERS_WAY: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
)

Transactions = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens a transaction of whoever asks, that may write; gives its connection."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be erased, or handed out."""

    rows: list[Size]
    taps: int
    """Visits in which the number was tapped: not of whoever has it, and not counted unless asked for."""

    @property
    def is_empty(self) -> bool:
        return not self.rows


class _Work(msgspec.Struct, frozen=True):
    """What is sealed while an erasure is under way."""

    subject: Subject
    found: Found


async def look(connection: Any, site_id: UUID, subject: Subject) -> Found:
    """What belongs to the subject. Raises :class:`~opsmantik.errors.Unprocessable` for more than is one person's."""
    found = await store.find(connection, site_id, subject)
    if len(found.sessions) > MOST_VISITS:
        raise Unprocessable(
            reason=f"{len(found.sessions)} visits belong to that, more than one person makes; erase by visit instead"
        )
    return found


async def preview(connection: Any, site_id: UUID, subject: Subject) -> Preview:
    """How much belongs to the subject; raises as :func:`look`."""
    found = await look(connection, site_id, subject)
    taps = 0
    if subject.kind == "phone":
        taps = await store.tapped_by(connection, site_id, subject.value)
    return Preview(rows=await store.sizes(connection, site_id, found), taps=taps)


async def erase(
    transactions: Transactions, site_id: UUID, subject: Subject, keyring: Keyring, seals: Seals
) -> tuple[UUID, bytes]:
    """Erase a person; the erasure's id and its certificate.

    Raises as :func:`look`, :class:`~opsmantik.errors.TooManyRequests` for somebody who asks too often, and
    :class:`~opsmantik.errors.Conflict` if new rows keep coming; that one goes on by itself later.
    """
    erasure_id = new_id()
    async with transactions() as connection:
        found = await look(connection, site_id, subject)
        sealed = keyring.seal(msgspec.json.encode(_Work(subject, found)), COLUMN, erasure_id)
        hashed = seals.subject_hash(site_id, subject)
        await store.begin(connection, site_id, erasure_id, subject, hashed, sealed)
    return erasure_id, await _carry_out(transactions, site_id, erasure_id, _Work(subject, found), seals)


async def resume(
    transactions: Transactions, site_id: UUID, erasure_id: UUID, keyring: Keyring, seals: Seals
) -> bytes:
    """Go on with an erasure that was cut off; the certificate, also of one that is finished.

    Raises :class:`~opsmantik.errors.SealBroken` if the key that hides its subject is gone.
    """
    async with transactions() as connection:
        row = await store.erasure(connection, site_id, erasure_id)
    if row is None:
        raise NotFound(what="erasure")
    if row.certificate is not None:
        return row.certificate
    return await _carry_out(transactions, site_id, erasure_id, _opened(row, keyring), seals)


async def work_of(
    connection: Any, site_id: UUID, erasure_id: UUID, keyring: Keyring
) -> tuple[Subject, Found]:
    """Whom an erasure is about that still has to be carried out somewhere, and what was found of them at first.

    Raises :class:`~opsmantik.errors.NotFound`, and as :func:`resume`.
    """
    row = await store.erasure(connection, site_id, erasure_id)
    if row is None or row.subject is None:
        raise NotFound(what="erasure under way")
    work = _opened(row, keyring)
    return work.subject, work.found


def _opened(row: ErasureRow, keyring: Keyring) -> _Work:
    assert row.subject is not None and row.key_id is not None
    opened = keyring.open(Sealed(row.key_id, row.subject), COLUMN, row.id)
    return msgspec.json.decode(opened, type=_Work)


async def _carry_out(
    transactions: Transactions, site_id: UUID, erasure_id: UUID, work: _Work, seals: Seals
) -> bytes:
    found = work.found
    for _ in range(MOST_LOOKS):
        await _erase(transactions, site_id, erasure_id, found)
        async with transactions() as connection:
            found = await store.find(connection, site_id, work.subject)
        if found.is_empty:
            break
    else:
        raise Conflict(reason="new events of this person keep coming in; it will be finished later")
    async with transactions() as connection:
        row = await store.erasure(connection, site_id, erasure_id)
        if row is None:
            raise NotFound(what="erasure")
        if row.certificate is not None:  # somebody else went on with it
            return row.certificate
        certificate = signed(row, await store.site_privacy(connection, site_id), seals, row.now)
        await store.finish(connection, site_id, erasure_id, certificate)
    return certificate


async def _erase(transactions: Transactions, site_id: UUID, erasure_id: UUID, found: Found) -> None:
    for month, sessions in found.by_month().items():
        step = partial(store.erase_visits, month=month, sessions=sessions)
        await _again(transactions, site_id, erasure_id, step)
    await _again(transactions, site_id, erasure_id, partial(store.erase_rest, found=found))


async def _again(
    transactions: Transactions,
    site_id: UUID,
    erasure_id: UUID,
    step: Callable[[Any, UUID, UUID], Awaitable[None]],
) -> None:
    """One step in one transaction; once more where it and another were in each other's way."""
    for attempt in range(1, TRIES + 1):
        try:
            async with transactions() as connection:
                await step(connection, site_id, erasure_id)
            return
        except IN_EACH_OTHERS_WAY:
            if attempt == TRIES:
                raise
            await asyncio.sleep(0.1 * attempt)
