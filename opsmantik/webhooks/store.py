"""Webhooks and their deliveries in the database. Enters: a connection inside a transaction, the asker's or the sender's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import new_id
from opsmantik.keyring import Keyring, Sealed
from opsmantik.webhooks.messages import EVENTS
from opsmantik.webhooks.schedule import FAILING_DAYS
from opsmantik.webhooks.signing import new_secret

SQL = queries(Path(__file__).with_name("queries.sql"))
MOST: Final = 20
"""So many webhooks can one site have."""
SECRET: Final = "webhooks.secret"  # noqa: S105 - the place that the seal names
NEXT_SECRET: Final = "webhooks.next_secret"  # noqa: S105

State = Literal["waiting", "delivered", "failed", "given_up"]


class Webhook(msgspec.Struct, frozen=True):
    """A webhook as the site's people see it."""

    id: UUID
    url: str
    events: list[str]
    with_phone: bool
    with_click_id: bool
    off_reason: Literal["paused", "gone", "failing"] | None
    """Why nothing is sent there; null: it is on. gone: the receiver answered 410; failing: nothing arrived for days."""
    failing_since: datetime | None
    """The first failure since the last success."""
    rotating_since: datetime | None
    """Since when two secrets sign."""
    created_at: datetime
    waiting: int
    """Messages that are not delivered and not given up."""


class DeliveryTry(msgspec.Struct, frozen=True, kw_only=True):
    """One try to deliver."""

    at: datetime
    status: int | None = None
    """The HTTP status; null where there was no answer."""
    error: str | None = None
    milliseconds: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one webhook, and what became of it."""

    id: UUID
    webhook_id: UUID
    event_id: UUID
    """The webhook-id that it is sent with, at every try and replay."""
    type: str
    state: State
    attempts: int
    next_at: datetime
    """When it is tried next, while it is waiting or failed."""
    tries: list[DeliveryTry]
    response: str | None
    """The beginning of the latest answer's body."""
    payload: dict[str, Any]
    created_at: datetime
    delivered_at: datetime | None


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is this sender's for a while."""

    site_id: UUID
    id: UUID
    webhook_id: UUID
    event_id: UUID
    type: str
    payload: dict[str, Any]
    attempts: int
    url: str
    secret: bytes
    next_secret: bytes | None
    key_id: str


class Keeper(msgspec.Struct, frozen=True):
    """Somebody who is to know that a webhook was switched off just now, and why."""

    off_reason: str
    host: str
    site_name: str
    email: str
    language: str


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change about a webhook; what is null stays."""

    url: str | None = None
    events: list[str] | None = None
    with_phone: bool | None = None
    with_click_id: bool | None = None
    is_on: bool | None = None


def check_events(events: Sequence[str]) -> list[str]:
    """The events, each once and in their own order. Raises :class:`~opsmantik.errors.Unprocessable`."""
    unknown = [event for event in events if event not in EVENTS]
    if unknown or not events:
        raise Unprocessable(reason=f"events are one or more of {', '.join(EVENTS)}")
    return [event for event in EVENTS if event in events]


async def webhooks(connection: Any, site_id: UUID) -> list[Webhook]:
    """The site's webhooks, oldest first."""
    return [Webhook(**row) for row in await connection.fetch(SQL.webhooks, site_id)]


async def one_webhook(connection: Any, site_id: UUID, webhook_id: UUID) -> Webhook:
    """Raises :class:`~opsmantik.errors.NotFound`."""
    for webhook in await webhooks(connection, site_id):
        if webhook.id == webhook_id:
            return webhook
    raise NotFound(what="webhook")


async def add(
    connection: Any, keyring: Keyring, site_id: UUID, webhook_id: UUID, url: str, events: Sequence[str],
    *, with_phone: bool, with_click_id: bool,
) -> str:  # fmt: skip
    """Store a webhook whose address was checked; returns its secret, which is not shown again.

    Raises :class:`~opsmantik.errors.Unprocessable` if there are too many, or the same form was sent before.
    """
    chosen, secret = check_events(events), new_secret()
    sealed = keyring.seal(secret.encode(), SECRET, webhook_id)
    added = await connection.fetchval(
        SQL.add_webhook, site_id, webhook_id, url, chosen, with_phone, with_click_id, sealed.data, sealed.key_id, MOST,
        new_id(),
    )  # fmt: skip
    if not added:
        raise Unprocessable(reason=f"the site has {MOST} webhooks, or this one is there already")
    return secret


async def change(connection: Any, site_id: UUID, webhook_id: UUID, wanted: WebhookChange) -> None:
    """Change a webhook; an address must have been checked. Raises :class:`~opsmantik.errors.NotFound`."""
    events = check_events(wanted.events) if wanted.events is not None else None
    found = await connection.fetchval(
        SQL.change_webhook, site_id, webhook_id, wanted.url, events, wanted.with_phone, wanted.with_click_id,
        wanted.is_on, new_id(),
    )  # fmt: skip
    if not found:
        raise NotFound(what="webhook")


async def rotate(connection: Any, keyring: Keyring, site_id: UUID, webhook_id: UUID) -> str:
    """A second secret, which signs beside the first until that is retired; returns it. A second one that is there already
    is replaced: nobody has it who asks for another."""
    current, _ = await _secrets(connection, keyring, site_id, webhook_id)
    secret = new_secret()
    await _put(connection, keyring, site_id, webhook_id, current, secret.encode())
    return secret


async def retire(connection: Any, keyring: Keyring, site_id: UUID, webhook_id: UUID) -> None:
    """The first secret signs no more. Raises :class:`~opsmantik.errors.Unprocessable` where there is no second one."""
    _, following = await _secrets(connection, keyring, site_id, webhook_id)
    if following is None:
        raise Unprocessable(reason="there is no second secret that could take its place")
    await _put(connection, keyring, site_id, webhook_id, following, None)


async def remove(connection: Any, site_id: UUID, webhook_id: UUID) -> None:
    """Remove a webhook with its log. Raises :class:`~opsmantik.errors.NotFound`."""
    if not await connection.fetchval(SQL.remove_webhook, site_id, webhook_id, new_id()):
        raise NotFound(what="webhook")


async def send_test(connection: Any, site_id: UUID, webhook_id: UUID) -> UUID:
    """A message about nothing; returns its delivery. Raises :class:`~opsmantik.errors.Unprocessable` while it is off."""
    delivery: UUID | None = await connection.fetchval(
        SQL.try_webhook, site_id, webhook_id, new_id(), new_id()
    )
    if delivery is None:
        raise Unprocessable(reason="this webhook is off")
    return delivery


async def replay(connection: Any, site_id: UUID, webhook_id: UUID, delivery_id: UUID) -> None:
    """Send a message again, under its own id. Raises :class:`~opsmantik.errors.Unprocessable` while the webhook is off."""
    if not await connection.fetchval(SQL.replay_delivery, site_id, webhook_id, delivery_id, new_id()):
        await one_delivery(connection, site_id, webhook_id, delivery_id)
        raise Unprocessable(reason="this webhook is off")


async def deliveries(
    connection: Any, site_id: UUID, webhook_id: UUID, *, after: tuple[datetime, UUID] | None = None,
    state: str | None = None, limit: int = 50,
) -> list[Delivery]:  # fmt: skip
    """The log, newest first, from behind ``after`` on."""
    at, identity = after or (None, None)
    rows = await connection.fetch(SQL.deliveries, site_id, webhook_id, at, identity, state, limit)
    return [_delivery(row) for row in rows]


async def one_delivery(connection: Any, site_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """Raises :class:`~opsmantik.errors.NotFound`."""
    row = await connection.fetchrow(SQL.delivery, site_id, webhook_id, delivery_id)
    if row is None:
        raise NotFound(what="delivery")
    return _delivery(row)


async def claim(
    connection: Any, *, limit: int, each: int, seconds: int, busy: Sequence[UUID]
) -> list[Claimed]:
    """What is due, of all sites; see ``db/functions/deliver_webhooks.sql``."""
    rows = await connection.fetch(SQL.claim_deliveries, limit, each, seconds, list(busy))
    return [Claimed(**row) for row in rows]


async def finish(
    connection: Any, claimed: Claimed, state: State, *, seconds: float, tried: DeliveryTry, response: str | None, gone: bool
) -> list[Keeper]:  # fmt: skip
    """Note how a try ended; returns whom to tell if the webhook was switched off by it."""
    rows = await connection.fetch(
        SQL.finish_delivery, claimed.site_id, claimed.id, claimed.attempts, state, seconds, tried, response, gone,
        FAILING_DAYS, new_id(),
    )  # fmt: skip
    return [Keeper(**row) for row in rows]


def live_secrets(keyring: Keyring, claimed: Claimed) -> list[str]:
    """The secrets that sign, the older first. Raises :class:`~opsmantik.errors.SealBroken`."""
    found = [keyring.open(Sealed(claimed.key_id, claimed.secret), SECRET, claimed.webhook_id)]
    if claimed.next_secret is not None:
        found.append(
            keyring.open(Sealed(claimed.key_id, claimed.next_secret), NEXT_SECRET, claimed.webhook_id)
        )
    return [secret.decode() for secret in found]


def _delivery(row: Any) -> Delivery:
    return Delivery(**{**row, "tries": msgspec.convert(row["tries"], list[DeliveryTry])})


async def _secrets(
    connection: Any, keyring: Keyring, site_id: UUID, webhook_id: UUID
) -> tuple[bytes, bytes | None]:
    row = await connection.fetchrow(SQL.webhook_secrets, site_id, webhook_id)
    if row["secret"] is None:
        raise NotFound(what="webhook")
    following = row["next_secret"]
    return (
        keyring.open(Sealed(row["key_id"], row["secret"]), SECRET, webhook_id),
        keyring.open(Sealed(row["key_id"], following), NEXT_SECRET, webhook_id) if following else None,
    )


async def _put(
    connection: Any, keyring: Keyring, site_id: UUID, webhook_id: UUID, secret: bytes, following: bytes | None
) -> None:  # fmt: skip
    """Both are sealed anew, since a row names one key."""
    sealed = keyring.seal(secret, SECRET, webhook_id)
    more = keyring.seal(following, NEXT_SECRET, webhook_id) if following is not None else None
    if more is not None and more.key_id != sealed.key_id:  # a new key came between the two
        sealed = keyring.seal(secret, SECRET, webhook_id)
    await connection.execute(
        SQL.put_webhook_secrets, site_id, webhook_id, sealed.data, more.data if more else None, sealed.key_id, new_id()
    )  # fmt: skip
