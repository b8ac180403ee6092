"""Meta's Conversions API, spoken by a server that refuses a whole request for one bad event, as Meta does."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.conversions.meta import VERSION, Meta
from tests.conversions.google.made import batch, item
from tests.conversions.google.server import Fault, Request, Response, Server

FIELDS = {"event_name", "event_time", "event_id", "action_source", "user_data", "custom_data"}
SOURCES = {
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
}
TOKEN = "EAAB-token"
PHONE = "+905321112233"


class Graph(Server):
    """``bad``: event ids that it refuses."""

    def __init__(self) -> None:
        super().__init__(self.handle)
        self.bad: set[str] = set()
        self.events: dict[str, dict[str, Any]] = {}

    async def handle(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(401, 190, "Invalid OAuth access token.")
        if request.path == f"/{VERSION}/4711" and request.method == "GET":
            return Response(200, {"id": "4711", "name": "Vinç"})
        if request.path != f"/{VERSION}/4711/events":
            return refusal(404, 803, "Some of the aliases you requested do not exist")
        data = request.json()["data"]
        if not 1 <= len(data) <= 1000:
            return refusal(400, 100, "data")
        now = datetime.now(UTC).timestamp()
        for event in data:
            hashes = [h for values in event["user_data"].values() for h in values]
            assert set(event) == FIELDS
            assert event["action_source"] in SOURCES
            assert hashes
            assert all(len(h) == 64 for h in hashes)
            assert isinstance(event["custom_data"]["value"], float)
            if event["event_id"] in self.bad or not now - 7 * 86400 <= event["event_time"] <= now:
                return refusal(400, 100, "Invalid parameter")
        for event in data:
            self.events.setdefault(event["event_id"], event)
        return Response(200, {"events_received": len(data), "messages": [], "fbtrace_id": "A"})


def refusal(status: int, code: int, message: str) -> Response:
    return Response(
        status, {"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A"}}
    )


class Token:
    async def token(self) -> str:
        raise NotImplementedError

    def secret(self) -> str:
        return TOKEN


@pytest_asyncio.fixture
async def graph() -> AsyncIterator[Graph]:
    async with Graph() as server:
        yield server  # type: ignore[misc]


def sent(*items: Any, **changes: Any) -> Any:
    return batch(*items, adapter="meta", destination={"dataset_id": "4711"}, with_hashes=True, **changes)


async def test_a_lead_by_its_hashed_number(graph: Graph, local_http: Any) -> None:
    one = item(phone=PHONE)
    answer = await Meta(local_http, graph.url).send(sent(one), Token())
    assert [o.outcome for o in answer.outcomes] == ["accepted"]
    event = graph.events[one.order_id]
    assert event["user_data"] == {"ph": [hashlib.sha256(b"905321112233").hexdigest()]}
    assert (event["event_name"], event["custom_data"]) == ("Lead", {"value": 1500.5, "currency": "TRY"})


async def test_the_bad_ones_fail_alone(graph: Graph, local_http: Any) -> None:
    items = [item(n, phone=PHONE) for n in range(1, 9)]
    graph.bad = {items[2].order_id, items[7].order_id}
    nobody = item(9)
    old = item(10, phone=PHONE, occurred_at=datetime.now(UTC) - timedelta(days=7, seconds=5))
    answer = await Meta(local_http, graph.url).send(sent(*items, nobody, old), Token())
    failed = {o.position: o.reason for o in answer.outcomes if o.outcome == "failed"}
    assert failed == {3: "error_100", 8: "error_100", 9: "no_contact_data", 10: "expired_event"}
    assert len(answer.outcomes) == 10
    assert len(graph.events) == 6


@pytest.mark.parametrize("kind", ["restate", "retract"])
async def test_nothing_can_be_changed_there(graph: Graph, local_http: Any, kind: str) -> None:
    answer = await Meta(local_http, graph.url).send(sent(item(phone=PHONE), kind=kind), Token())
    assert [(o.outcome, o.reason, o.seconds) for o in answer.outcomes] == [
        ("failed", "cannot_be_changed", None)
    ]
    assert graph.requests == []


async def test_a_lost_answer_is_asked_for_while_meta_leaves_out_what_it_has(
    graph: Graph, local_http: Any
) -> None:
    one = item(phone=PHONE)
    graph.faults.append(Fault("after"))
    adapter = Meta(local_http, graph.url)
    with pytest.raises(Trouble) as caught:
        await adapter.send(sent(one), Token())
    assert caught.value.why is Why.UNSURE
    assert [o.outcome for o in (await adapter.send(sent(one, attempts=2), Token())).outcomes] == ["accepted"]
    assert len(graph.events) == 1
    late = sent(one, attempts=3, created_at=datetime.now(UTC) - timedelta(days=2))
    assert [o.reason for o in (await adapter.send(late, Token())).outcomes] == ["unconfirmed"]


TROUBLES: dict[str, tuple[Response, Why]] = {
    "the token is gone": (refusal(400, 190, "Error validating access token"), Why.NOT_CONNECTED),
    "no permission": (refusal(403, 200, "Permissions error"), Why.SETUP),
    "no such dataset": (refusal(400, 803, "alias"), Why.SETUP),
    "too many calls": (refusal(400, 4, "Application request limit reached"), Why.BUSY),
    "something of theirs": (refusal(400, 2, "Service temporarily unavailable"), Why.UNSURE),
}


@pytest.mark.parametrize(("response", "why"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_what_is_wrong_with_the_whole(
    graph: Graph, local_http: Any, response: Response, why: Why
) -> None:
    graph.faults.append(Fault("status", response.status, {}, response.body))
    with pytest.raises(Trouble) as caught:
        await Meta(local_http, graph.url).send(sent(item(phone=PHONE)), Token())
    assert caught.value.why is why


async def test_the_connection_test(graph: Graph, local_http: Any) -> None:
    adapter = Meta(local_http, graph.url)
    assert [f.is_well for f in await adapter.check({"dataset_id": "4711"}, Token())] == [True]
    assert [f.is_well for f in await adapter.check({"dataset_id": "1"}, Token())] == [False]
