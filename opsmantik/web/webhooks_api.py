"""``/api/v1/sites/{site}/webhooks…``: a site's webhooks, their secrets and their log, for programs.

A secret is in the answer that makes it, and in no other. An address is looked at before it is kept, and again
whenever it is called (outbound.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post

from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.errors import Malformed, NotFound
from opsmantik.event import new_id
from opsmantik.people.capabilities import Capability
from opsmantik.web.api import NOW, PREFIX, body_of, reply, uuid_of
from opsmantik.web.guard import asker, needs
from opsmantik.web.rendering import PageRequest
from opsmantik.webhooks import store
from opsmantik.webhooks.messages import as_sent
from opsmantik.webhooks.store import Delivery, Webhook, WebhookChange

WRITES: Final = needs(Capability.WRITE, program=True)
HERE: Final = f"{PREFIX}/{{site_name:str}}/webhooks"
PAGE, MOST = 50, 200
STATES: Final = get_args(store.State)


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a webhook is made of."""

    url: str
    """https://, on port 443 or 8443, and not into a network that is not public."""
    events: list[str]
    """One or more of lead.created, lead.decided and conversion.state_changed."""
    with_phone: bool = False
    """Whether messages carry the caller's number."""
    with_click_id: bool = False
    """Whether messages carry the ad click's id, for visitors who agreed to marketing."""


class MadeWebhook(msgspec.Struct, frozen=True):
    """The webhook, and the secret that its messages are signed with: shown this once."""

    webhook: Webhook
    secret: str


class NewSecret(msgspec.Struct, frozen=True):
    """The second secret: shown this once. Both sign until the first is retired."""

    secret: str


class Webhooks(msgspec.Struct, frozen=True):
    """All of the site's."""

    webhooks: list[Webhook]


class Deliveries(msgspec.Struct, frozen=True):
    """A page of the log, newest first."""

    deliveries: list[Delivery]
    next_cursor: str | None


class SentDelivery(msgspec.Struct, frozen=True):
    """What will be sent within a second or two."""

    delivery_id: UUID


@asynccontextmanager
async def site_of(request: PageRequest, *, write: bool = False) -> AsyncIterator[tuple[Any, AskedSite]]:
    """The asker's transaction and the site that the address names. Raises :class:`~opsmantik.errors.NotFound`."""
    async with request.app.state.database.as_person(asker(request), write=write) as (connection, person):
        site = await asked_site(connection, person, request.path_params["site_name"])
        if site is None:
            raise NotFound(what="site")
        yield connection, site


@get(HERE, opt=needs(Capability.WRITE))
async def list_webhooks(request: PageRequest) -> Response[Any]:
    """The site's webhooks."""
    async with site_of(request) as (connection, site):
        found = await store.webhooks(connection, site.id)
    return reply(request, Webhooks(found), NOW)


@post(HERE, opt=WRITES, status_code=201)
async def add_webhook(request: PageRequest) -> Response[Any]:
    """Make a webhook."""
    body = await body_of(request, NewWebhook)
    async with site_of(request):
        pass  # before a name of theirs is resolved: it is their site
    url, webhook_id = await request.app.state.outbound.check(body.url), new_id()
    async with site_of(request, write=True) as (connection, site):
        secret = await store.add(
            connection, request.app.state.keyring, site.id, webhook_id, url, body.events,
            with_phone=body.with_phone, with_click_id=body.with_click_id,
        )  # fmt: skip
        made = MadeWebhook(await store.one_webhook(connection, site.id, webhook_id), secret)
    answer = reply(request, made, NOW)
    answer.status_code = 201
    return answer


@patch(f"{HERE}/{{webhook_id:str}}", opt=WRITES)
async def change_webhook(request: PageRequest) -> Response[Any]:
    """Change a webhook; ``is_on`` pauses it, or switches it on again."""
    body, webhook_id = await body_of(request, WebhookChange), _webhook_id(request)
    async with site_of(request):
        pass
    if body.url is not None:
        body = msgspec.structs.replace(body, url=await request.app.state.outbound.check(body.url))
    async with site_of(request, write=True) as (connection, site):
        await store.change(connection, site.id, webhook_id, body)
        found = await store.one_webhook(connection, site.id, webhook_id)
    return reply(request, found, NOW)


@delete(f"{HERE}/{{webhook_id:str}}", opt=WRITES, status_code=204)
async def remove_webhook(request: PageRequest) -> None:
    """Remove a webhook with its log."""
    async with site_of(request, write=True) as (connection, site):
        await store.remove(connection, site.id, _webhook_id(request))


@post(f"{HERE}/{{webhook_id:str}}/rotate", opt=WRITES, status_code=200)
async def rotate_secret(request: PageRequest) -> Response[Any]:
    """A second secret, which signs beside the first."""
    async with site_of(request, write=True) as (connection, site):
        secret = await store.rotate(connection, request.app.state.keyring, site.id, _webhook_id(request))
    return reply(request, NewSecret(secret), NOW)


@post(f"{HERE}/{{webhook_id:str}}/retire", opt=WRITES, status_code=200)
async def retire_secret(request: PageRequest) -> Response[Any]:
    """The first secret signs no more; the second one is the only one."""
    webhook_id = _webhook_id(request)
    async with site_of(request, write=True) as (connection, site):
        await store.retire(connection, request.app.state.keyring, site.id, webhook_id)
        found = await store.one_webhook(connection, site.id, webhook_id)
    return reply(request, found, NOW)


@post(f"{HERE}/{{webhook_id:str}}/test", opt=WRITES, status_code=200)
async def send_test(request: PageRequest) -> Response[Any]:
    """Send a message about nothing."""
    webhook_id = _webhook_id(request)
    async with site_of(request, write=True) as (connection, site):
        await store.one_webhook(connection, site.id, webhook_id)
        delivery_id = await store.send_test(connection, site.id, webhook_id)
    return reply(request, SentDelivery(delivery_id), NOW)


@get(f"{HERE}/{{webhook_id:str}}/deliveries", opt=needs(Capability.WRITE))
async def list_deliveries(request: PageRequest) -> Response[Any]:
    """What was told, and what became of it, newest first."""
    webhook_id, query = _webhook_id(request), request.query_params
    state, cursor, limit = query.get("state"), query.get("cursor"), _limit(query.get("limit"))
    if state is not None and state not in STATES:
        raise Malformed(reason=f"state is one of {', '.join(STATES)}")
    async with site_of(request) as (connection, site):
        await store.one_webhook(connection, site.id, webhook_id)
        found = await store.deliveries(
            connection, site.id, webhook_id, after=paging.read(cursor) if cursor else None, state=state, limit=limit + 1,
        )  # fmt: skip
    shown = [_as_sent(request, delivery) for delivery in found[:limit]]
    following = paging.written(paging.Cursor(shown[-1].created_at, shown[-1].id)) if found[limit:] else None
    return reply(request, Deliveries(shown, following), NOW)


@get(f"{HERE}/{{webhook_id:str}}/deliveries/{{delivery_id:str}}", opt=needs(Capability.WRITE))
async def show_delivery(request: PageRequest) -> Response[Any]:
    """One message."""
    webhook_id, delivery_id = _webhook_id(request), uuid_of(request.path_params["delivery_id"], "delivery")
    async with site_of(request) as (connection, site):
        found = await store.one_delivery(connection, site.id, webhook_id, delivery_id)
    return reply(request, _as_sent(request, found), NOW)


@post(f"{HERE}/{{webhook_id:str}}/deliveries/{{delivery_id:str}}/replay", opt=WRITES, status_code=200)
async def replay_delivery(request: PageRequest) -> Response[Any]:
    """Send it again, under the same webhook-id."""
    webhook_id, delivery_id = _webhook_id(request), uuid_of(request.path_params["delivery_id"], "delivery")
    async with site_of(request, write=True) as (connection, site):
        await store.replay(connection, site.id, webhook_id, delivery_id)
    return reply(request, SentDelivery(delivery_id), NOW)


def _webhook_id(request: PageRequest) -> UUID:
    return uuid_of(request.path_params["webhook_id"], "webhook")


def _as_sent(request: PageRequest, delivery: Delivery) -> Delivery:
    body = as_sent(delivery.payload, request.app.state.settings.base_url)
    return msgspec.structs.replace(delivery, payload=msgspec.json.decode(body))


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST):
        raise Malformed(reason=f"limit is a whole number from 1 to {MOST}")
    return int(text)


HANDLERS: Final = [
    list_webhooks, add_webhook, change_webhook, remove_webhook, rotate_secret, retire_secret, send_test, list_deliveries,
    show_delivery, replay_delivery,
]  # fmt: skip
