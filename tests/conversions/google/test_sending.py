"""Batches to the Data Manager API: what arrives, what fails alone, and what is thought of an answer that is none."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import Any

import pytest
import structlog.testing

from opsmantik.conversions.adapters import Answer, Trouble, Why
from opsmantik.conversions.google_data_manager import FIRST_SECONDS, PROBES
from opsmantik.conversions.google_data_manager import DataManager as Adapter
from tests.conversions.google.data_manager import DataManager
from tests.conversions.google.made import TO, Given, batch, item, many, orders
from tests.conversions.google.server import Fault

Reasons = dict[int, str | None]


def failed(answer: Answer) -> Reasons:
    return {o.position: o.reason for o in answer.outcomes if o.outcome == "failed"}


async def trouble(coming: Any) -> Trouble:
    with pytest.raises(Trouble) as caught:
        await coming
    return caught.value


async def test_a_batch_is_one_request_whose_fate_is_asked_later(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    items = [
        item(1), item(2, click_id_kind="wbraid", consent="implied", action="whatsapp", currency="JPY", value=Decimal(900)),
        item(3, phone="+905321112233"),
    ]  # fmt: skip
    answer = await adapter.send(batch(*items), grant)
    assert (answer.state, answer.outcomes, answer.seconds) == (
        "sent",
        (),
        FIRST_SECONDS,
    ) or answer.outcomes == []
    assert answer.request_id and len(fake.ingests()) == 1 and len(fake.sent()) == 1
    held = fake.holds()
    assert held.keys() == orders(items)
    assert [(h.value, h.currency, h.source, h.user_data, h.creations) for h in held.values()] == [
        (Decimal("1500.5"), "TRY", "PHONE", 0, 1), (Decimal(900), "JPY", "WEB", 0, 1),
        (Decimal("1500.5"), "TRY", "PHONE", 1, 1),
    ]  # fmt: skip


async def test_two_thousand_are_one_request(fake: DataManager, adapter: Adapter, grant: Given) -> None:
    assert adapter.most == 2000
    await adapter.send(batch(*many(2000)), grant)
    assert len(fake.sent()) == 1 and len(fake.holds()) == 2000


async def test_what_is_flawed_fails_alone_and_is_not_sent(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    answer = await adapter.send(batch(item(1), item(2, currency="?"), item(3)), grant)
    assert failed(answer) == {2: "bad_currency"}
    assert fake.holds().keys() == orders([item(1), item(3)]) and len(fake.sent()) == 1


async def test_where_all_is_flawed_nothing_is_sent(fake: DataManager, adapter: Adapter, grant: Given) -> None:
    answer = await adapter.send(batch(item(1, value=Decimal(-1))), grant)
    assert answer.state == "done" and failed(answer) == {1: "bad_amount"} and fake.requests == []


async def test_events_that_google_names_fail_and_the_rest_is_sent(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    items = many(50)
    fake.refuses = {
        items[6].order_id: "INVALID_EVENT",
        items[30].order_id: "INVALID_AD_IDENTIFIER_FOR_ACCOUNT",
    }
    answer = await adapter.send(batch(*items), grant)
    assert failed(answer) == {7: "invalid_event", 31: "invalid_ad_identifier_for_account"}
    assert [o.seconds for o in answer.outcomes] == [None, None]
    assert answer.state == "sent" and len(fake.holds()) == 48 and len(fake.sent()) == 2


HALVING = [
    (1, 1), (1, 2), (2, 2), (7, 7), (1, 63), (3, 64), pytest.param(1, 2000, marks=pytest.mark.slow),
    pytest.param(5, 1999, marks=pytest.mark.slow),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "n"), HALVING)
async def test_events_that_google_does_not_name_are_found_by_halving(
    fake: DataManager, adapter: Adapter, grant: Given, bad: int, n: int
) -> None:
    items = many(n)
    chosen = random.Random(n * 10 + bad).sample(items, bad)
    fake.names_fields = False
    fake.refuses = dict.fromkeys((i.order_id for i in chosen), "INVALID_EVENT")
    answer = await adapter.send(batch(*items), grant)
    assert failed(answer).keys() == {i.position for i in chosen}
    assert fake.holds().keys() == orders(items) - orders(chosen)
    assert all(held.creations == 1 for held in fake.holds().values())
    assert len(fake.ingests()) == (1 if bad == n else 2), "nothing is taken while the bad ones are looked for"
    probes = len(fake.sent()) - len(fake.ingests())
    assert probes <= 2 * bad * max(1, math.ceil(math.log2(n)))
    assert answer.state == ("done" if bad == n else "sent")


async def test_a_refusal_that_is_not_about_the_events_stops_the_site(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    items = many(200)
    fake.names_fields = False
    fake.refuses = dict.fromkeys(orders(items), "INVALID_EVENT")
    found = await trouble(adapter.send(batch(*items), grant))
    assert (found.why, found.reason) == (Why.SETUP, "invalid_argument")
    assert fake.holds() == {} and len(fake.sent()) == 1 + PROBES


@pytest.mark.slow
async def test_too_many_bad_ones_to_be_found_wait_and_the_good_ones_leave(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    items = many(400)
    fake.names_fields = False
    fake.refuses = {i.order_id: "INVALID_EVENT" for i in items if i.position % 10 == 0}
    answer = await adapter.send(batch(*items), grant)
    reasons = failed(answer)
    waiting = {o.position for o in answer.outcomes if o.reason == "refused_together"}
    assert waiting and all(o.seconds for o in answer.outcomes if o.position in waiting)
    assert all(p % 10 == 0 for p in reasons if p not in waiting)
    assert len(fake.holds()) == 400 - len(reasons) > 0


async def test_a_correction_overwrites_the_value_and_nothing_else(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    one = item(1)
    await adapter.send(batch(one), grant)
    higher = item(1, value=Decimal("2000"), consent="implied")
    answer = await adapter.send(batch(higher, kind="restate"), grant)
    assert answer.state == "sent"
    held = fake.holds()[one.order_id]
    assert (held.value, held.creations, held.consent) == (Decimal(2000), 1, "CONSENT_GRANTED")
    await adapter.send(batch(item(1, value=Decimal(0)), kind="retract"), grant)
    held = fake.holds()[one.order_id]
    assert (held.value, held.creations) == (Decimal(0), 1), "it is still counted"


async def test_a_correction_of_what_google_never_had_would_make_it(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    """Why none is sent before the first report was confirmed."""
    await adapter.send(batch(item(1, value=Decimal(5)), kind="restate"), grant)
    assert fake.holds()[item(1).order_id].creations == 1


NO_CLICK: dict[str, Any] = {"click_id": None, "click_id_kind": None, "consent": "denied", "value": Decimal(0)}


async def test_corrections_that_name_no_click_are_sent_apart_and_spoil_nothing(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    await adapter.send(batch(*many(4)), grant)
    retract = batch(
        item(1, value=Decimal(0)),
        item(2, **NO_CLICK),
        item(3, value=Decimal(0)),
        item(4, **NO_CLICK),
        kind="retract",
    )
    answer = await adapter.send(retract, grant)
    assert answer.state == "sent" and failed(answer) == {
        2: "no_identifiers_provided",
        4: "no_identifiers_provided",
    }
    assert [h.value for h in fake.holds().values()] == [0, Decimal("1500.5"), 0, Decimal("1500.5")]
    fake.wants_identifier = False
    answer = await adapter.send(retract, grant)
    assert answer.state == "sent" and failed(answer) == {}
    assert fake.total == 0
    ended = await adapter.follow(
        batch(*retract.items, kind="retract", state="sent", attempts=2, request_id=answer.request_id), grant
    )
    assert ended.state == "done" and {o.position for o in ended.outcomes if o.outcome == "accepted"} == {
        1,
        2,
        3,
        4,
    }


async def test_those_that_name_no_click_wait_where_google_has_no_time_for_them(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    items = [item(1), *(item(n, **NO_CLICK) for n in range(2, 32))]
    fake.faults += [None, Fault("status", 503)]
    answer = await adapter.send(batch(*items, kind="retract"), grant)
    assert answer.state == "sent", "what is there is not forgotten"
    assert failed(answer).keys() == set(range(2, 32)) and all(o.seconds for o in answer.outcomes)


async def test_warnings_of_fields_are_told_to_the_log_without_what_was_sent(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    fake.warns = {item(1).order_id: "currency"}
    with structlog.testing.capture_logs() as logs:
        answer = await adapter.send(batch(item(1, phone="+905321112233")), grant)
    assert answer.state == "sent"
    out = str(logs)
    assert "events.events[0].currency WARNING_REASON_GENERIC" in out
    assert "Cj0KCQiA" not in out and "905321112233" not in out


async def test_a_rehearsal_tells_what_would_fail_and_carries_nothing_out(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    items = [*many(3), item(4, currency="x")]
    fake.refuses = {items[1].order_id: "INVALID_EVENT"}
    found = await adapter.rehearse(batch(*items), grant)
    assert {o.position: o.reason for o in found} == {2: "invalid_event", 4: "bad_currency"}
    assert fake.ingests() == [] and fake.holds() == {}


CHECKS: dict[str, tuple[dict[str, str], list[str], str]] = {
    "all is well": ({}, ["connected", "account", "action", "action_type", "permitted"], ""),
    "an account of somebody else": ({"account_id": "9876543210"}, ["connected"], "account"),
    "no such action": ({"action_id": "404"}, ["connected", "account"], "action"),
    "an action of another kind": ({"action_id": "78"}, ["connected", "account", "action"], "action_type"),
}


@pytest.mark.parametrize(("changes", "well", "missing"), CHECKS.values(), ids=CHECKS)
async def test_the_connection_test_says_what_is_missing(
    fake: DataManager, adapter: Adapter, grant: Given, changes: dict[str, str], well: list[str], missing: str
) -> None:
    found = await adapter.check({**TO, **changes}, grant)
    assert [line.code for line in found if line.is_well] == ["destination", *well]
    assert [line.code for line in found if not line.is_well] == ([missing] if missing else [])
    assert fake.holds() == {} and fake.ingests() == []


async def test_the_connection_test_without_a_destination_a_connection_or_google(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    assert [(f.code, f.is_well) for f in await adapter.check({}, grant)] == [("destination", False)]
    grant.is_gone = True
    assert [(f.code, f.is_well) for f in await adapter.check(TO, grant)][1:] == [("connected", False)]
    grant.is_gone = False
    fake.faults.append(Fault("status", 503))
    assert [(f.code, f.is_well) for f in await adapter.check(TO, grant)][1:] == [("reached", False)]
    fake.refuses = {"om-connection-test": "INVALID_EVENT"}
    assert [(f.code, f.is_well) for f in await adapter.check(TO, grant)][-1:] == [("permitted", False)]
