"""Batches that Google does not take as a whole: no answer, no time, no access. What is thought of each."""

from __future__ import annotations

import asyncio
import ipaddress
from decimal import Decimal
from typing import Any

import pytest

from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.conversions.google_data_manager import DataManager as Adapter
from opsmantik.conversions.http import Http
from opsmantik.conversions.pace import Pace
from opsmantik.outbound import Rules
from tests.conversions.google.data_manager import DataManager
from tests.conversions.google.made import TO, Given, batch, item, many
from tests.conversions.google.server import Fault
from tests.conversions.google.tokens import ADWORDS


async def trouble(coming: Any) -> Trouble:
    with pytest.raises(Trouble) as caught:
        await coming
    return caught.value


TROUBLES: dict[str, tuple[Fault, Why, str, float | None]] = {
    "nothing arrived": (Fault("before"), Why.UNSURE, "no_answer", None),
    "the answer was lost": (Fault("after"), Why.UNSURE, "no_answer", None),
    "half of an answer": (Fault("half"), Why.UNSURE, "no_answer", None),
    "500": (Fault("status", 500), Why.UNSURE, "broken", None),
    "503 with a time": (Fault("status", 503, {"retry-after": "9"}), Why.UNSURE, "broken", 9.0),
    "too slow": (Fault("slow", seconds=2.0), Why.UNSURE, "no_answer", None),
    "no JSON": (Fault("status", 200), Why.UNSURE, "unreadable", None),
    "429 with a time": (Fault("status", 429, {"retry-after": "7"}), Why.BUSY, "quota", 7.0),
    "429": (Fault("status", 429), Why.BUSY, "quota", None),
    "403": (Fault("status", 403), Why.SETUP, "permission_denied", None),
    "404": (Fault("status", 404), Why.SETUP, "not_found", None),
}


@pytest.mark.parametrize(("fault", "why", "reason", "seconds"), TROUBLES.values(), ids=TROUBLES)
async def test_an_answer_that_is_none(
    fake: DataManager, grant: Given, fault: Fault, why: Why, reason: str, seconds: float | None
) -> None:
    http = Http(Rules([ipaddress.ip_network("127.0.0.0/8")]), seconds=0.3)
    fake.faults.append(fault)
    found = await trouble(Adapter(http, fake.url).send(batch(item(1)), grant))
    assert (found.why, found.reason, found.seconds) == (why, reason, seconds)
    await http.close()


async def test_nobody_listens(fake: DataManager, adapter: Adapter, grant: Given) -> None:
    await grant.token()
    await fake.stop()
    found = await trouble(adapter.send(batch(item(1)), grant))
    assert (found.why, found.reason) == (Why.BUSY, "no_connection")


async def test_a_dropped_reply_and_the_same_again_is_one_conversion(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    sent = batch(*many(20))
    fake.faults += [Fault("after"), Fault("half"), Fault("after")]
    for _ in range(3):
        assert (await trouble(adapter.send(sent, grant))).why is Why.UNSURE
    assert (await adapter.send(sent, grant)).state == "sent"
    assert len(fake.ingests()) == 4
    assert {held.creations for held in fake.holds().values()} == {1} and fake.total == 20 * Decimal("1500.5")


async def test_a_days_quota_is_not_asked_for_every_minute(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    fake.per_day = 0
    found = await trouble(adapter.send(batch(item(1)), grant))
    assert (found.why, found.reason, found.seconds) == (Why.BUSY, "quota", 3600.0)
    again = await trouble(adapter.send(batch(item(1)), grant))
    assert (again.why, again.reason) == (Why.BUSY, "quota")
    assert len(fake.requests) == 1, "nobody asks while the platform wants to be left alone"


async def test_two_batches_at_once_keep_the_pace_together(
    fake: DataManager, http: Http, grant: Given
) -> None:
    fake.per_minute = None
    times: list[float] = []

    async def wait(seconds: float) -> None:
        times.append(seconds)
        await asyncio.sleep(0.05)

    adapter = Adapter(http, fake.url, writes=Pace(3, 0.4, sleep=wait))
    await asyncio.gather(*(adapter.send(batch(item(n)), grant) for n in range(1, 6)))
    assert times, "the fourth waited"
    assert len(fake.holds()) == 5


async def test_the_minutes_quota_of_another_process(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    fake.per_minute = 1
    await adapter.send(batch(item(1)), grant)
    found = await trouble(adapter.send(batch(item(2)), grant))
    assert (found.why, found.reason) == (Why.BUSY, "quota")
    assert found.seconds is not None and 0 < found.seconds <= 61


async def test_an_access_token_that_ran_out_is_fetched_anew(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    await adapter.send(batch(item(1)), grant)
    fake.tokens.expire()
    assert (await adapter.send(batch(item(2)), grant)).state == "sent"
    assert grant.asked == [False, False, True]


async def test_who_is_not_let_in_with_a_new_token_either_is_not_connected(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    fake.tokens.seconds = -1
    found = await trouble(adapter.send(batch(item(1)), grant))
    assert (found.why, found.reason) == (Why.NOT_CONNECTED, "access_token_invalid")
    grant.is_gone = True
    assert (await trouble(adapter.send(batch(item(1)), grant))).why is Why.NOT_CONNECTED


async def test_consent_for_something_else_is_no_connection(fake: DataManager, adapter: Adapter) -> None:
    found = await trouble(adapter.send(batch(item(1)), Given(fake.tokens, ADWORDS)))
    assert (found.why, found.reason) == (Why.NOT_CONNECTED, "access_token_scope_insufficient")


SETUPS: dict[str, tuple[dict[str, str], str]] = {
    "an account of somebody else": ({"account_id": "9876543210"}, "permission_denied"),
    "a manager without access": ({"login_account_id": "5555555555"}, "permission_denied"),
    "no such action": ({"action_id": "404"}, "invalid_conversion_action_id"),
    "an action of another kind": ({"action_id": "78"}, "invalid_conversion_action_type"),
    "hyphens": ({"account_id": "123-456-7890"}, "bad_account_id"),
}


@pytest.mark.parametrize(("changes", "reason"), SETUPS.values(), ids=SETUPS)
async def test_what_somebody_has_to_put_right(
    fake: DataManager, adapter: Adapter, grant: Given, changes: dict[str, str], reason: str
) -> None:
    found = await trouble(adapter.send(batch(item(1), destination={**TO, **changes}), grant))
    assert (found.why, found.reason) == (Why.SETUP, reason)
    assert fake.holds() == {}


async def test_a_manager_account_sends_for_its_customer(
    fake: DataManager, adapter: Adapter, grant: Given
) -> None:
    fake.logins = {"5555555555": {TO["account_id"]}}
    await adapter.send(batch(item(1), destination={**TO, "login_account_id": "5555555555"}), grant)
    assert len(fake.holds()) == 1
