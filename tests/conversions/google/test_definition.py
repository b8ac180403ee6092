"""Our table of the API's messages beside Google's own descriptors, and our requests through Google's own parser.

Where the package google-ads-datamanager is installed: it brings gRPC along and is no dependency of the tests, which hold to
the table (definition.py) otherwise. ``pip install google-ads-datamanager`` and run this file when the API changes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsmantik.conversions.google_answers import AGAIN, GONE, LATER, LOST, SETUP, THERE
from opsmantik.conversions.google_data_manager import DataManager as Adapter
from tests.conversions.google.data_manager import STATUS, DataManager
from tests.conversions.google.definition import ANSWERS, MESSAGES, ONE_OF, Kind
from tests.conversions.google.made import TO, Given, batch, item

dm = pytest.importorskip("google.ads.datamanager_v1")
json_format = pytest.importorskip("google.protobuf.json_format")

SCALARS = {1: "double", 3: "int64", 8: "bool", 9: "string"}


def descriptor(name: str) -> Any:
    kind = getattr(dm, name, None) or getattr(dm.RequestStatusPerDestination, name)
    return kind.pb(kind()).DESCRIPTOR


def kind_of(field: Any) -> Kind:
    if field.enum_type is not None:
        names = tuple(value.name for value in field.enum_type.values)
        kind: Kind = field.enum_type.name if field.enum_type.name.endswith("Reason") else names
    else:
        kind = field.message_type.name if field.message_type is not None else SCALARS[field.type]
    return f"[{kind}]" if field.is_repeated else kind


@pytest.mark.parametrize("name", [*MESSAGES, *ANSWERS])
def test_the_table_is_the_definition(name: str) -> None:
    fields = {field.json_name: kind_of(field) for field in descriptor(name).fields}
    table = {**MESSAGES, **ANSWERS}[name]
    assert table.keys() == fields.keys()
    assert {field: kind for field, kind in table.items() if kind is not None} == {
        field: kind for field, kind in fields.items() if table[field] is not None
    }
    for one_of in descriptor(name).oneofs:
        if not one_of.name.startswith("_") and name in MESSAGES:
            assert tuple(field.json_name for field in one_of.fields) == ONE_OF[name]


def test_the_reasons_that_we_know_are_googles() -> None:
    errors = {value.name for value in dm.ErrorReason}
    assert SETUP | LATER.keys() | LOST <= errors
    processing = {value.name.removeprefix("PROCESSING_ERROR_REASON_") for value in dm.ProcessingErrorReason}
    assert THERE | GONE | AGAIN.keys() <= processing


async def test_googles_own_parser_reads_every_request_of_ours(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    fake.logins = {"5555555555": {TO["account_id"]}}
    items = [
        item(1), item(2, click_id_kind="wbraid", consent="implied"), item(3, click_id_kind="gbraid", action="form"),
        item(4, phone="+905321112233", email="a.b@gmail.com", consent="granted"), item(5, consent="legacy"),
    ]  # fmt: skip
    destination = {**TO, "login_account_id": "5555555555"}
    answer = await adapter.send(batch(*items, destination=destination), grant)
    await adapter.send(batch(*items, kind="retract", destination=destination), grant)
    await adapter.rehearse(batch(*items, destination=destination), grant)
    await adapter.follow(batch(*items, state="sent", attempts=2, request_id=answer.request_id), grant)
    assert len(fake.sent()) == 3
    for body in fake.sent():
        message = dm.IngestEventsRequest.pb(dm.IngestEventsRequest())
        json_format.Parse(json.dumps(body), message, ignore_unknown_fields=False)
        assert json_format.MessageToDict(message)["events"] == [_canonical(event) for event in body["events"]]
    for query in fake.sent(STATUS):
        json_format.ParseDict(query, dm.RetrieveRequestStatusRequest.pb(dm.RetrieveRequestStatusRequest()))


async def test_googles_own_parser_reads_every_answer_of_the_fake(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    fake.warns = {item(1).order_id: "currency"}
    fake.fails = {item(2).order_id: "INVALID_GCLID"}
    fake.adds_warning = "INTERNAL_ERROR"
    for name, method, path in (
        ("IngestEventsResponse", "POST", "/v1/events:ingest"), ("RetrieveRequestStatusResponse", "GET", STATUS),
    ):  # fmt: skip
        sent = batch(item(1), item(2))
        answer = await adapter.send(sent, grant)
        query = {"requestId": answer.request_id} if method == "GET" else None
        body = None if query else fake.sent()[-1]
        reply = await adapter._http.call(
            method,
            fake.url + path,
            json=body,
            params=query,
            headers={"authorization": f"Bearer {await grant.token()}"},
        )
        message = getattr(dm, name).pb(getattr(dm, name)())
        json_format.ParseDict(reply.body, message, ignore_unknown_fields=False)
        assert str(message)


def _canonical(event: dict[str, Any]) -> dict[str, Any]:
    """An enum's zero is written out by us and left out by the parser: it is the same."""
    said = {name: word for name, word in event["consent"].items() if word != "CONSENT_STATUS_UNSPECIFIED"}
    return {**event, "consent": said}
