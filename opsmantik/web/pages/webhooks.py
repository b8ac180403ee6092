"""A site's webhooks, in its settings: addresses, events, secrets, and the log of what was told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.errors import AddressRefused, NotFound, Unprocessable
from opsmantik.event import new_id
from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest
from opsmantik.webhooks import store
from opsmantik.webhooks.messages import EVENTS, as_sent
from opsmantik.webhooks.store import Webhook, WebhookChange

WRITES: Final = needs(Capability.WRITE)
PART: Final = "webhooks"
HERE: Final = "/sites/{site_id:uuid}/settings/webhooks"
ONE: Final = HERE + "/{webhook_id:uuid}"
LOG: Final = 25


class Fields(msgspec.Struct, frozen=True):
    """What stands in the form."""

    url: str = ""
    events: Sequence[str] = EVENTS
    with_phone: bool = False
    with_click_id: bool = False


async def _read(request: PageRequest) -> tuple[Fields, UUID]:
    """The form, and the id that the page gave it: sent twice, it is still one webhook."""
    form = await form_of(request)
    try:
        form_id = UUID(form.get("form_id", ""))
    except ValueError:
        form_id = new_id()
    events = [event for event in EVENTS if event in form]
    return Fields(form.get("url", "").strip(), events, "with_phone" in form, "with_click_id" in form), form_id


async def _list_page(
    request: PageRequest, *, fields: Fields | None = None, problem: str | None = None, status: int = 200
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        found = await store.webhooks(connection, site.id)
    return settings_page(
        request, PART, site, status=status, webhook=None, webhooks=found, events=EVENTS, fields=fields or Fields(),
        problem=problem, form_id=new_id(), most=store.MOST,
    )  # fmt: skip


async def _one_page(
    request: PageRequest, connection: Any, site: AskedSite, *, status: int = 200, secret: str | None = None,
    fields: Fields | None = None, problem: str | None = None,
) -> Response[Any]:  # fmt: skip
    webhook = await store.one_webhook(connection, site.id, request.path_params["webhook_id"])
    cursor = request.query_params.get("cursor")
    after = paging.read(cursor) if cursor else None
    log = await store.deliveries(connection, site.id, webhook.id, after=after, limit=LOG + 1)
    shown = log[:LOG]
    older = paging.written(paging.Cursor(shown[-1].created_at, shown[-1].id)) if log[LOG:] else None
    base_url = request.app.state.settings.base_url
    bodies = {one.id: msgspec.json.format(as_sent(one.payload, base_url)).decode() for one in shown}
    return settings_page(
        request, PART, site, status=status, webhook=webhook, events=EVENTS, fields=fields or _fields(webhook),
        problem=problem, secret=secret, log=shown, bodies=bodies, older=older,
        sent="sent" in request.query_params,
    )  # fmt: skip


def _fields(webhook: Webhook) -> Fields:
    return Fields(webhook.url, webhook.events, webhook.with_phone, webhook.with_click_id)


def _problem(refused: Unprocessable) -> str:
    """The refusal by the last part of its words' key."""
    return f"refused_{refused.details['kind']}" if isinstance(refused, AddressRefused) else "refused_full"


@get(HERE, opt=WRITES)
async def show_webhooks(request: PageRequest) -> Response[Any]:
    """All of the site's, and the form for another."""
    return await _list_page(request)


@post(HERE, opt=WRITES)
async def add_webhook(request: PageRequest) -> Response[Any]:
    """Make it, and show its secret: this once."""
    fields, webhook_id = await _read(request)
    async with settings_of(request):
        pass  # before a name of theirs is resolved: it is their site
    if not fields.events:
        return await _list_page(request, fields=fields, problem="no_events", status=422)
    try:
        url = await request.app.state.outbound.check(fields.url)
        async with settings_of(request, write=True) as (connection, site):
            secret = await store.add(
                connection, request.app.state.keyring, site.id, webhook_id, url, fields.events,
                with_phone=fields.with_phone, with_click_id=fields.with_click_id,
            )  # fmt: skip
    except Unprocessable as refused:
        return await _list_page(request, fields=fields, problem=_problem(refused), status=422)
    request.path_params["webhook_id"] = webhook_id
    async with settings_of(request) as (connection, site):
        return await _one_page(request, connection, site, secret=secret)


@get(ONE, opt=WRITES)
async def show_webhook(request: PageRequest) -> Response[Any]:
    """One webhook with its log."""
    async with settings_of(request) as (connection, site):
        return await _one_page(request, connection, site)


@post(ONE, opt=WRITES)
async def change_webhook(request: PageRequest) -> Response[Any]:
    """Another address, other events."""
    fields, _ = await _read(request)
    problem = None if fields.events else "no_events"
    if problem is None:
        try:
            async with settings_of(request) as (connection, site):
                await store.one_webhook(connection, site.id, request.path_params["webhook_id"])
            url = await request.app.state.outbound.check(fields.url)
            wanted = WebhookChange(
                url=url,
                events=list(fields.events),
                with_phone=fields.with_phone,
                with_click_id=fields.with_click_id,
            )
            return await _changed(request, wanted)
        except Unprocessable as refused:
            problem = _problem(refused)
    async with settings_of(request) as (connection, site):
        return await _one_page(request, connection, site, fields=fields, problem=problem, status=422)


@post(f"{ONE}/pause", opt=WRITES)
async def pause_webhook(request: PageRequest) -> Response[Any]:
    """Nothing is sent, and nothing is added, until it is switched on again."""
    return await _changed(request, WebhookChange(is_on=False))


@post(f"{ONE}/resume", opt=WRITES)
async def resume_webhook(request: PageRequest) -> Response[Any]:
    """On again, whyever it was off."""
    return await _changed(request, WebhookChange(is_on=True))


@post(f"{ONE}/rotate", opt=WRITES)
async def rotate_secret(request: PageRequest) -> Response[Any]:
    """A second secret, shown this once."""
    async with settings_of(request, write=True) as (connection, site):
        secret = await store.rotate(
            connection, request.app.state.keyring, site.id, request.path_params["webhook_id"]
        )
        return await _one_page(request, connection, site, secret=secret)


@post(f"{ONE}/retire", opt=WRITES)
async def retire_secret(request: PageRequest) -> Response[Any]:
    """The first secret signs no more."""
    async with settings_of(request, write=True) as (connection, site):
        with suppress(Unprocessable):  # pressed twice
            await store.retire(
                connection, request.app.state.keyring, site.id, request.path_params["webhook_id"]
            )
    return _back(request)


@post(f"{ONE}/test", opt=WRITES)
async def send_test(request: PageRequest) -> Response[Any]:
    """A message about nothing; the log shows what becomes of it."""
    async with settings_of(request, write=True) as (connection, site):
        try:
            await store.send_test(connection, site.id, request.path_params["webhook_id"])
        except Unprocessable:  # it was switched off meanwhile, as the page will say
            return _back(request)
    return _back(request, "?sent")


@post(f"{ONE}/deliveries/{{delivery_id:uuid}}/replay", opt=WRITES)
async def replay_delivery(request: PageRequest) -> Response[Any]:
    """The same message again."""
    path = request.path_params
    async with settings_of(request, write=True) as (connection, site):
        try:
            await store.replay(connection, site.id, path["webhook_id"], path["delivery_id"])
        except Unprocessable:
            return _back(request)
    return _back(request, "?sent")


@post(f"{ONE}/remove", opt=WRITES)
async def remove_webhook(request: PageRequest) -> Response[Any]:
    """Remove it with its log."""
    async with settings_of(request, write=True) as (connection, site):
        with suppress(NotFound):  # pressed twice
            await store.remove(connection, site.id, request.path_params["webhook_id"])
    return Redirect(f"/sites/{request.path_params['site_id']}/settings/{PART}", status_code=303)


async def _changed(request: PageRequest, wanted: WebhookChange) -> Response[Any]:
    async with settings_of(request, write=True) as (connection, site):
        await store.change(connection, site.id, request.path_params["webhook_id"], wanted)
    return _back(request)


def _back(request: PageRequest, query: str = "") -> Response[Any]:
    path = request.path_params
    address = f"/sites/{path['site_id']}/settings/{PART}/{path['webhook_id']}{query}"
    return Redirect(address, status_code=303)


HANDLERS: Final = [
    show_webhooks, add_webhook, show_webhook, change_webhook, pause_webhook, resume_webhook, rotate_secret, retire_secret,
    send_test, replay_delivery, remove_webhook,
]  # fmt: skip
