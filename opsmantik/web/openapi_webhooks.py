"""The part of the OpenAPI document about webhooks: how they are kept, and what they are told."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from opsmantik.web import webhooks_api as webhooks
from opsmantik.web.openapi_reads import REF, as_sent
from opsmantik.webhooks import messages
from opsmantik.webhooks.store import Delivery, Webhook, WebhookChange

_SIGNED_IN: Final[list[dict[str, list[str]]]] = [{"signedIn": []}]
_HERE: Final = "/api/v1/sites/{site}/webhooks"
_MESSAGES: Final = {
    messages.CREATED: messages.LeadCreated, messages.DECIDED: messages.LeadDecided,
    messages.MOVED: messages.ConversionStateChanged, messages.TEST: messages.WebhookTest,
}  # fmt: skip
_TYPES: Final = (
    Webhook, WebhookChange, Delivery, webhooks.NewWebhook, webhooks.MadeWebhook, webhooks.NewSecret, webhooks.Webhooks,
    webhooks.Deliveries, webhooks.SentDelivery, *_MESSAGES.values(),
)  # fmt: skip
_HEADERS: Final = {
    "webhook-id": "The message's id: the same at every try, so that a receiver can tell what it knows already.",
    "webhook-timestamp": "The time of the try, in seconds since 1970.",
    "webhook-signature": "v1, and HMAC-SHA256 over id, timestamp and body; two of them while a secret is being replaced.",
}


@cache
def _known() -> tuple[dict[Any, Any], dict[str, Any]]:
    references, found = msgspec.json.schema_components(_TYPES, ref_template=REF)
    return dict(zip(_TYPES, map(as_sent, references), strict=True)), as_sent(found)


def schemas() -> dict[str, Any]:
    """The types that are named below."""
    return _known()[1]


def told() -> dict[str, Any]:
    """The document's ``webhooks``: every message."""
    headers = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": words}
        for name, words in _HEADERS.items()
    ]
    return {
        name: {
            "post": {
                "operationId": f"told_{name.replace('.', '_')}",
                "summary": " ".join((kind.__doc__ or "").split()),
                "parameters": headers,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _known()[0][kind]}},
                },
                "responses": {
                    "2XX": {"description": "Taken. Anything else is tried again."},
                    "410": {"description": "Gone: the webhook is switched off."},
                },
            }
        }
        for name, kind in _MESSAGES.items()
    }


def paths() -> dict[str, Any]:
    """All paths about webhooks."""
    one = f"{_HERE}/{{webhook_id}}"
    delivery = f"{one}/deliveries/{{delivery_id}}"
    return {
        _HERE: {
            "get": _operation("listWebhooks", "The site's webhooks", webhooks.Webhooks),
            "post": _operation(
                "addWebhook", "Make a webhook", webhooks.MadeWebhook, body=webhooks.NewWebhook, status="201",
                more={"400": "The body cannot be read.", "422": "The address cannot be called, or an event is unknown."},
            ),
        },
        one: {
            "patch": _operation(
                "changeWebhook", "Change a webhook", Webhook, ("webhook_id",), body=WebhookChange,
                more={"400": "The body cannot be read.", "422": "The address cannot be called, or an event is unknown."},
            ),
            "delete": _operation("removeWebhook", "Remove a webhook", None, ("webhook_id",), status="204"),
        },
        f"{one}/rotate": {"post": _operation(
            "rotateSecret", "A second secret, which signs beside the first", webhooks.NewSecret, ("webhook_id",))},
        f"{one}/retire": {"post": _operation(
            "retireSecret", "The first secret signs no more", Webhook, ("webhook_id",),
            more={"422": "There is no second secret."})},
        f"{one}/test": {"post": _operation(
            "sendTest", "Send a message about nothing", webhooks.SentDelivery, ("webhook_id",),
            more={"422": "It is off."})},
        f"{one}/deliveries": {"get": _operation(
            "listDeliveries", "What was told, newest first", webhooks.Deliveries, ("webhook_id",), query={
                "state": {"type": "string", "enum": list(webhooks.STATES)}, "cursor": {"type": "string"},
                "limit": {"type": "integer", "minimum": 1, "maximum": webhooks.MOST, "default": webhooks.PAGE},
            }, more={"400": "A parameter cannot be read."})},
        delivery: {"get": _operation("showDelivery", "One message", Delivery, ("webhook_id", "delivery_id"))},
        f"{delivery}/replay": {"post": _operation(
            "replayDelivery", "Send it again, under the same webhook-id", webhooks.SentDelivery,
            ("webhook_id", "delivery_id"),            more={"422": "The webhook is off."})},
    }  # fmt: skip


def _operation(
    name: str, summary: str, answer: Any, path: tuple[str, ...] = (), *, body: Any = None, status: str = "200",
    query: Any = None, more: Any = None,
) -> dict[str, Any]:  # fmt: skip
    refusals = {
        "401": "Nobody is signed in.", "403": "The asker may not change this site's settings.",
        "404": "There is no such thing, or it is not the asker's.", **(more or {}),
    }  # fmt: skip
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    done: dict[str, Any] = {"description": "Done."}
    if answer is not None:
        done["content"] = {"application/json": {"schema": _known()[0][answer]}}
    parameters = [
        {"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in ("site", *path)
    ]
    parameters += [
        {"name": one, "in": "query", "required": False, "schema": schema}
        for one, schema in (query or {}).items()
    ]
    made: dict[str, Any] = {
        "operationId": name, "tags": ["webhooks"], "summary": summary, "security": _SIGNED_IN, "parameters": parameters,
        "responses": {
            status: done,
            **{code: {"description": words, "content": problem} for code, words in refusals.items()},
        },
    }  # fmt: skip
    if body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _known()[0][body]}},
        }
    return made
