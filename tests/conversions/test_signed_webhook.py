"""Conversions to a program of the site's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from opsmantik.conversions.adapters import Outcome, Trouble, Why
from opsmantik.conversions.signed_webhook import SignedWebhook
from opsmantik.webhooks.signing import new_secret
from tests.conversions.google.made import batch, item, many
from tests.conversions.google.server import Fault, Request, Response, Server

SECRET = new_secret()


class Receiver(Server):
    """Takes what is signed rightly; ``says`` is its answer."""

    def __init__(self) -> None:
        super().__init__(self.handle)
        self.says = Response(204)
        self.took: list[dict[str, Any]] = []

    async def handle(self, request: Request) -> Response:
        self.took.append(Webhook(SECRET).verify(request.body.decode(), request.headers))
        return self.says


class Secret:
    async def token(self) -> str:
        raise NotImplementedError

    def secret(self) -> str:
        return SECRET


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server  # type: ignore[misc]


async def send(receiver: Receiver, http: Any, *items: Any, **changes: Any) -> Any:
    sent = batch(*items, adapter="webhook", destination={"url": receiver.url + "/in"}, **changes)
    return await SignedWebhook(http).send(sent, Secret())


async def test_it_is_signed_and_says_what_left(receiver: Receiver, local_http: Any) -> None:
    one = item(value=Decimal("10.50"), currency="KWD")
    answer = await send(receiver, local_http, one, kind="restate")
    assert (answer.state, answer.outcomes) == ("done", [Outcome(1, "accepted")])
    [told] = receiver.took
    assert told["type"] == "conversions.restate"
    [conversion] = told["data"]["conversions"]
    assert (conversion["order_id"], conversion["value"], conversion["currency"]) == (
        one.order_id,
        "10.50",
        "KWD",
    )
    assert conversion["click_id"] == one.click_id


async def test_the_same_batch_has_the_same_name(receiver: Receiver, local_http: Any) -> None:
    sent = batch(item(), adapter="webhook", destination={"url": receiver.url})
    for _ in range(2):
        await SignedWebhook(local_http).send(sent, Secret())
    assert {request.headers["webhook-id"] for request, _ in receiver.requests} == {str(sent.id)}


async def test_the_receiver_may_refuse_some(receiver: Receiver, local_http: Any) -> None:
    items = many(3)
    receiver.says = Response(200, {"results": [
        {"order_id": items[1].order_id, "status": "failed", "reason": "no such customer"},
        {"order_id": items[2].order_id, "status": "failed", "reason": "later", "again_in_seconds": 60},
    ]})  # fmt: skip
    answer = await send(receiver, local_http, *items)
    assert [(o.outcome, o.reason, o.seconds) for o in answer.outcomes] == [
        ("accepted", None, None), ("failed", "no such customer", None), ("failed", "later", 60.0),
    ]  # fmt: skip


TROUBLES: dict[str, tuple[Fault, Why]] = {
    "401": (Fault("status", 401), Why.NOT_CONNECTED),
    "403": (Fault("status", 403), Why.NOT_CONNECTED),
    "404": (Fault("status", 404), Why.SETUP),
    "301": (Fault("status", 301), Why.SETUP),
    "429": (Fault("status", 429, {"retry-after": "7"}), Why.BUSY),
    "500": (Fault("status", 500), Why.UNSURE),
    "broken before": (Fault("before"), Why.UNSURE),
    "broken after": (Fault("after"), Why.UNSURE),
}


@pytest.mark.parametrize(("fault", "why"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_what_is_wrong_with_the_whole(
    receiver: Receiver, local_http: Any, fault: Fault, why: Why
) -> None:
    receiver.faults.append(fault)
    with pytest.raises(Trouble) as caught:
        await send(receiver, local_http, item())
    assert caught.value.why is why
    assert caught.value.seconds == (7.0 if why is Why.BUSY else None)


async def test_nobody_there(receiver: Receiver, local_http: Any) -> None:
    sent = batch(item(), adapter="webhook", destination={"url": receiver.url})
    await receiver.stop()
    with pytest.raises(Trouble) as caught:
        await SignedWebhook(local_http).send(sent, Secret())
    assert (caught.value.why, caught.value.reason) == (Why.BUSY, "no_connection")


async def test_an_answer_that_nobody_can_read(receiver: Receiver, local_http: Any) -> None:
    receiver.says = Response(200, {"results": "all fine"})
    with pytest.raises(Trouble) as caught:
        await send(receiver, local_http, item())
    assert caught.value.why is Why.UNSURE


async def test_the_connection_test(receiver: Receiver, local_http: Any) -> None:
    adapter = SignedWebhook(local_http)
    assert [f.is_well for f in await adapter.check({"url": receiver.url}, Secret())] == [True]
    receiver.faults.append(Fault("status", 500))
    assert [f.is_well for f in await adapter.check({"url": receiver.url}, Secret())] == [False]
