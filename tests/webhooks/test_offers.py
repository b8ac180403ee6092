"""What is offered to webhooks, when, and that it is in the same transaction or not at all."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from opsmantik.db.connect import Database
from opsmantik.decisions.decide import Decision, decide
from opsmantik.errors import Conflict
from opsmantik.event import Site
from opsmantik.ingest.call_event import CallEvent, record_call
from opsmantik.intents.status import Action
from opsmantik.webhooks import store
from opsmantik.webhooks.messages import CREATED, DECIDED, EVENTS, MOVED, DecisionData, Message, as_sent

pytestmark = pytest.mark.slow

NOWHERE = "https://hooks.example/x"
_NOW = timedelta(seconds=-1)  # a moment after the webhook was made


async def told(owner: Any, webhook_id: UUID) -> list[dict[str, Any]]:
    """The messages to this webhook in the order in which they were written; each must be what is promised."""
    rows = await owner.fetch(
        "SELECT payload::text FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY created_at, ctid",
        webhook_id,
    )
    found = [json.loads(row["payload"]) for row in rows]
    for payload in found:
        msgspec.json.decode(as_sent(payload, "https://om.example"), type=Message, strict=True)
    return found


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


async def test_a_new_lead_is_told_when_it_has_been_judged_and_once(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE)
    lead = await hooks.desk.lead(
        age=_NOW, visit={"utm_campaign": "istanbul", "utm_term": "vinç"}, lead_score=55
    )
    assert await told(owner, webhook) == []
    await hooks.judged(lead)
    await hooks.judged(lead)
    [message] = await told(owner, webhook)
    data = message["data"]
    assert (message["type"], message["payload_version"]) == (CREATED, 1)
    assert (data["lead_id"], data["status"], data["version"], data["score"]) == (str(lead), "intent", 1, 55)
    assert (data["source"], data["channel"]) == ("First Click (Paid)", "paid_search")
    assert (data["campaign"], data["keyword"], data["click_id_kind"]) == ("istanbul", "vinç", "gclid")
    assert data["site"] == await owner.fetchval(
        "SELECT public_id FROM sites WHERE id = $1", hooks.desk.site_id
    )
    assert "phone_number" not in data and "click_id" not in data
    assert "905321234567" not in str(message) and "902125550101" not in str(message)


async def test_a_suspicious_lead_is_told_as_one_and_a_later_suspicion_as_a_decision(
    make_hooks: Any, owner: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE)
    at_once, later = [await hooks.desk.lead(age=_NOW) for _ in range(2)]
    await hooks.judged(at_once, suspicious=True)
    await hooks.judged(later)
    await hooks.judged(later, suspicious=True)
    first, second, third = await told(owner, webhook)
    assert (first["type"], first["data"]["status"], first["data"]["suspicion"]) == (
        CREATED,
        "suspicious",
        ["fast_tap"],
    )
    assert (second["type"], second["data"]["status"]) == (CREATED, "intent")
    assert (third["type"], third["data"]["decision"]) == (
        DECIDED, {"action": "suspect", "by": "rule", "from_status": "intent", "to_status": "suspicious"},
    )  # fmt: skip


async def test_a_call_that_a_telephone_system_reports_is_told(
    make_hooks: Any, app_database: Database, owner: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE, with_phone=True)
    public = await owner.fetchval("SELECT public_id FROM sites WHERE id = $1", hooks.desk.site_id)
    site = Site(
        hooks.desk.site_id,
        public,
        "shop.example",
        "Europe/Istanbul",
        "TR",
        "TRY",
        "implied",
        90,
        False,
        frozenset(),
    )
    for _ in range(2):
        await record_call(app_database, site, CallEvent(public, "+905321234567", "visitor-1"))
    [message] = await told(owner, webhook)
    assert (message["type"], message["data"]["captured_by"]) == (CREATED, "api")
    assert message["data"]["phone_number"] == "+905321234567"
    assert message["data"]["channel"] is None


# An act, and the types that it tells; the lead was judged before.
ACTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("seal", {"amount": "1250.50"}, [DECIDED, MOVED]),
    ("junk", {"reason": "spam"}, [DECIDED]),
    ("suspect", {}, [DECIDED]),
    ("pend", {}, [DECIDED]),
    ("note", {"note": "called back"}, []),
    ("quality", {"quality": 80}, []),
]


@pytest.mark.parametrize(("action", "fields", "types"), ACTS, ids=[act[0] for act in ACTS])
async def test_an_act_tells_what_it_changed(
    make_hooks: Any, owner: Any, action: str, fields: dict[str, Any], types: list[str]
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE)
    lead = await hooks.desk.lead()
    await hooks.judged(lead)
    await owner.execute("DELETE FROM webhook_deliveries WHERE webhook_id = $1", webhook)
    decision = msgspec.convert({"action": action, **fields}, Decision, strict=False)
    await decide(hooks.desk.database, hooks.desk.people["operator"], hooks.desk.site_id, lead, decision)
    messages = await told(owner, webhook)
    assert kinds(messages) == types
    for message in messages:
        assert message["data"]["version"] == 2
        if message["type"] == DECIDED:
            assert message["data"]["decision"]["action"] == action
            assert message["data"]["decision"]["by"] == "person"
            assert message["data"]["status"] == message["data"]["decision"]["to_status"]


async def test_every_act_that_there_is_can_be_told() -> None:
    literal = msgspec.inspect.type_info(DecisionData).fields[0].type
    assert set(literal.values) == {str(action) for action in Action}  # type: ignore[attr-defined]


async def test_a_conversion_is_followed_from_seal_to_undo(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE, [MOVED])
    lead = await hooks.desk.lead(visit={"consent_marketing": True})
    await hooks.desk.decide(lead, "seal", amount=Decimal(100))
    await hooks.desk.decide(lead, "sale", amount=Decimal(250))
    await hooks.desk.undo(lead)
    await hooks.desk.decide(lead, "junk")
    moves = [message["data"]["conversion"] for message in await told(owner, webhook)]
    assert [(m["from_state"], m["state"], m["value"]) for m in moves] == [
        (None, "held", 100), ("held", "held", 250), ("held", "held", 100), ("held", "retracted", 100),
    ]  # fmt: skip
    assert moves[0]["order_id"] == moves[-1]["order_id"] and moves[-1]["reason"] == "junked"


async def test_a_lead_decided_before_it_was_judged_is_told_as_new_first_and_not_again(
    make_hooks: Any, owner: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE, [CREATED, DECIDED])
    lead = await hooks.desk.lead(age=_NOW)
    await hooks.desk.decide(lead, "pend")
    await hooks.judged(lead)
    messages = await told(owner, webhook)
    assert kinds(messages) == [CREATED, DECIDED]
    assert [m["data"]["status"] for m in messages] == ["intent", "pending"]


async def test_a_lead_that_was_there_before_the_webhook_is_no_news(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    lead = await hooks.desk.lead()
    webhook = await hooks.add(NOWHERE)
    await hooks.judged(lead)
    assert await told(owner, webhook) == []


async def test_only_what_was_asked_for_is_told_and_only_to_the_site_s_own(
    make_hooks: Any, owner: Any
) -> None:
    hooks, others = await make_hooks(), await make_hooks()
    new, decided = await hooks.add(NOWHERE, [CREATED]), await hooks.add(NOWHERE, [DECIDED])
    strangers, paused = await others.add(NOWHERE), await hooks.add(NOWHERE)
    async with hooks.asking() as (connection, _):
        await store.change(connection, hooks.desk.site_id, paused, store.WebhookChange(is_on=False))
    lead = await hooks.desk.lead(age=_NOW)
    await hooks.judged(lead)
    await hooks.desk.decide(lead, "seal")
    assert kinds(await told(owner, new)) == [CREATED]
    assert kinds(await told(owner, decided)) == [DECIDED]
    assert await told(owner, strangers) == [] and await told(owner, paused) == []


async def test_webhooks_of_a_site_get_one_event_under_one_id(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    both = [await hooks.add(NOWHERE), await hooks.add(NOWHERE, with_phone=True)]
    lead = await hooks.desk.lead(age=_NOW)
    await hooks.judged(lead)
    rows = await owner.fetch(
        "SELECT event_id, payload -> 'data' ->> 'phone_number' AS number FROM webhook_deliveries"
        " WHERE webhook_id = ANY ($1) ORDER BY number NULLS FIRST",
        both,
    )
    assert len(rows) == 2 and len({row["event_id"] for row in rows}) == 1
    assert [row["number"] for row in rows] == [None, "+902125550101"]


CONSENT = {
    "said yes": ("required", True, True), "said nothing, and is not asked": ("implied", None, True),
    "said nothing, where it is asked": ("required", None, False), "said no": ("implied", False, False),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "said", "carried"), CONSENT.values(), ids=CONSENT.keys())
async def test_a_click_id_is_carried_only_where_it_may_be(
    make_hooks: Any, owner: Any, mode: str, said: bool | None, carried: bool
) -> None:
    hooks = await make_hooks(consent_mode=mode)
    webhook = await hooks.add(NOWHERE, with_click_id=True)
    lead = await hooks.desk.lead(age=_NOW, visit={"gclid": "Cj0KCQiA-9", "consent_marketing": said})
    await hooks.judged(lead)
    [message] = await told(owner, webhook)
    assert message["data"]["click_id"] == ("Cj0KCQiA-9" if carried else None)
    assert message["data"]["click_id_kind"] == "gclid"


# One transaction.


async def test_a_decision_that_is_rolled_back_tells_nobody(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE)
    lead = await hooks.desk.lead()
    await hooks.judged(lead)
    before = kinds(await told(owner, webhook))
    with pytest.raises(Conflict):
        await hooks.desk.decide(lead, "seal", version=7)
    with pytest.raises(RuntimeError, match="stop"):
        async with hooks.desk.database.as_person(hooks.desk.people["owner"], write=True) as (connection, _):
            await connection.fetch("SELECT * FROM lead_cases($1, $2, true)", hooks.desk.site_id, [lead])
            changes = {"status": "sealed", "confirmed_at": "2026-11-22T00:00:00Z"}
            version = await connection.fetchval(
                "SELECT decide_intent($1, $2, 1, gen_random_uuid(), 'person', 'seal', NULL, NULL, $3, NULL)",
                hooks.desk.site_id, lead, changes,
            )  # fmt: skip
            assert version == 2
            waits = await connection.fetchval(
                "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1", webhook
            )
            assert waits == len(before) + 1
            raise RuntimeError("stop")
    assert kinds(await told(owner, webhook)) == before


async def test_a_lead_that_is_erased_takes_its_messages_with_it(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(NOWHERE, with_phone=True)
    lead = await hooks.desk.lead(age=_NOW)
    await hooks.judged(lead)
    assert len(await told(owner, webhook)) == 1
    await owner.execute("DELETE FROM calls WHERE site_id = $1 AND id = $2", hooks.desk.site_id, lead)
    assert await told(owner, webhook) == []


# What it costs a site that has none.


async def test_a_site_without_webhooks_pays_for_a_look_at_an_index(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    lead = await hooks.desk.lead(age=_NOW)
    await owner.execute("ANALYZE webhooks, notice_wishes")

    async def buffers(statement: str, *values: Any) -> int:
        async with owner.transaction():
            await owner.execute(statement, *values)  # plans it, and reads the catalogue
            rows = await owner.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
        plan = json.loads(rows[0][0])[0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    site = hooks.desk.site_id
    assert await buffers("SELECT has_listeners($1)", site) <= 4
    assert await buffers("SELECT offer_webhooks($1, 'lead.decided', $2, NULL)", site, lead) <= 4


async def test_the_hot_path_of_events_knows_nothing_of_webhooks(owner: Any) -> None:
    """What stores events names none of the tables, and calls none of the functions."""
    body = await owner.fetchval(
        "SELECT string_agg(prosrc, ' ') FROM pg_proc WHERE proname IN ('ingest_batch_v2', 'score_leads')"
    )
    assert body and not [
        word for word in ("webhook", "notice_wish", "announce", "has_listeners") if word in body
    ]


def test_events_are_named_in_one_way() -> None:
    assert EVENTS == (CREATED, DECIDED, MOVED)
