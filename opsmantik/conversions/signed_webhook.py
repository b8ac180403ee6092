"""Conversions to a program of the site's own, signed by Standard Webhooks: for whoever reports them by other means.

One POST a batch, under the batch's id, so a receiver that has seen it answers again and does nothing. Any 2xx takes all of
it, unless the answer says otherwise: {"results": [{"order_id": ..., "status": "accepted" | "failed", "reason": ...,
"again_in_seconds": ...}]}. This is also the shortest example of an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from standardwebhooks import Webhook

from opsmantik.conversions.adapters import Answer, Batch, Finding, Grant, Outcome, Trouble, Why
from opsmantik.conversions.http import Http

MOST: Final = 500
PAYLOAD_VERSION: Final = 1


class Result(msgspec.Struct, frozen=True):
    """What a receiver says of one conversion."""

    order_id: str
    status: str = "accepted"
    reason: str | None = None
    again_in_seconds: float | None = None


class SignedWebhook:
    """The adapter."""

    name = "webhook"
    provider = "webhook"
    most = MOST

    def __init__(self, http: Http) -> None:
        self._http = http

    async def send(self, batch: Batch, grant: Grant) -> Answer:
        """Post it. Raises :class:`~opsmantik.conversions.adapters.Trouble`."""
        body = as_sent(batch)
        reply = await self._http.call(
            "POST",
            str(batch.destination["url"]),
            body=body,
            headers=_signed(str(batch.id), body, grant.secret()),
        )
        if reply.status in (401, 403):
            raise Trouble(Why.NOT_CONNECTED, "signature_refused", f"the receiver answered {reply.status}")
        if not 200 <= reply.status < 300:
            raise Trouble(Why.SETUP, "receiver_refuses", f"the receiver answered {reply.status}")
        told = {result.order_id: result for result in _results(reply.body)}
        return Answer(
            state="done", outcomes=[_outcome(item.position, told.get(item.order_id)) for item in batch.items]
        )

    async def follow(self, batch: Batch, grant: Grant) -> Answer:
        """Never needed: an answer is the answer."""
        raise Trouble(Why.UNSURE, "no_answer")

    async def check(self, destination: Mapping[str, Any], grant: Grant) -> list[Finding]:
        """Whether the receiver answers a message with nothing in it."""
        body = msgspec.json.encode(
            {"type": "conversions.test", "payload_version": PAYLOAD_VERSION, "data": {}}
        )
        now = datetime.now(UTC)
        try:
            reply = await self._http.call(
                "POST", str(destination.get("url", "")), body=body,
                headers=_signed(f"test-{int(now.timestamp())}", body, grant.secret()),
            )  # fmt: skip
        except Trouble as trouble:
            return [Finding("webhook_answers", False, str(trouble))]
        return [Finding("webhook_answers", 200 <= reply.status < 300, str(reply.status))]


def as_sent(batch: Batch) -> bytes:
    """The body. Amounts are JSON strings, so that no reader makes a binary fraction of them."""
    return msgspec.json.encode({
        "type": f"conversions.{batch.kind}",
        "payload_version": PAYLOAD_VERSION,
        "timestamp": batch.created_at,
        "data": {
            "site": batch.public_id,
            "batch": batch.id,
            "conversions": [
                {
                    "order_id": item.order_id, "occurred_at": item.occurred_at, "value": f"{item.value:f}",
                    "currency": item.currency, "click_id": item.click_id, "click_id_kind": item.click_id_kind,
                    "consent": item.consent,
                }
                for item in batch.items
            ],
        },
    })  # fmt: skip


def _signed(message: str, body: bytes, secret: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "content-type": "application/json",
        "user-agent": "OpsMantik-Conversions/1",
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, now, body.decode()),
    }


def _results(body: Any) -> list[Result]:
    try:
        return (
            msgspec.convert(body["results"], list[Result])
            if isinstance(body, dict) and "results" in body
            else []
        )
    except msgspec.ValidationError as wrong:
        raise Trouble(Why.UNSURE, "unreadable", str(wrong)) from None


def _outcome(position: int, told: Result | None) -> Outcome:
    if told is None or told.status == "accepted":
        return Outcome(position, "accepted")
    reason = (told.reason or "refused")[:100]
    return Outcome(position, "failed", reason, told.reason, told.again_in_seconds)
