"""Messages on their way: signed, tried again, given up, never lost, and never in each other's way."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from standardwebhooks import WebhookVerificationError

from opsmantik.db.connect import Database
from opsmantik.errors import Unprocessable
from opsmantik.keyring import Key, Keyring
from opsmantik.webhooks import store
from opsmantik.webhooks.messages import CREATED
from tests.webhooks.conftest import Sender
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.slow

NOW = timedelta(seconds=-1)


async def new_lead(hooks: Any) -> Any:
    lead = await hooks.desk.lead(age=NOW)
    await hooks.judged(lead)
    return lead


async def test_a_message_arrives_signed_and_is_noted(sender: Any, make_hooks: Any, receiver: Any) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    lead = await new_lead(hooks)
    assert await sender.turn() == 1
    [message] = receiver.messages
    found = message.verified_with(hooks.secrets[webhook])
    assert (found["type"], found["data"]["lead_id"]) == (CREATED, str(lead))
    assert found["data"]["links"]["lead"].startswith("https://om.example/api/v1/sites/")
    assert message.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        message.verified_with("whsec_" + "b3RoZXI=")
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, delivery.attempts, str(delivery.event_id)) == ("delivered", 1, message.id)
    assert (delivery.tries[0].status, delivery.response) == (200, "thanks")
    assert await sender.turn() == 0


# What a receiver does, and what the log says of it.
FAILURES: dict[str, tuple[Any, int | None, str | None]] = {
    "breaks": ((500, {}, b"oops"), 500, None),
    "refuses": ((400, {}, b"bad"), 400, None),
    "redirects": ((302, {"location": "http://127.0.0.1:1/"}, b""), 302, None),
    "closes": (None, None, "the connection broke"),
}


@pytest.mark.parametrize(("answer", "status", "error"), FAILURES.values(), ids=FAILURES.keys())
async def test_what_did_not_arrive_is_tried_again_under_the_same_id(
    sender: Any, make_hooks: Any, receiver: Any, answer: Any, status: int | None, error: str | None
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    receiver.answers = [answer, answer]
    await new_lead(hooks)
    await sender.turn()
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, delivery.tries[0].status, delivery.tries[0].error) == ("failed", status, error)
    assert (await hooks.one(webhook)).failing_since is not None
    assert await sender.turn() == 0, "not before its time"
    for _ in range(2):
        await hooks.due()
        await sender.turn()
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, delivery.attempts, len(delivery.tries)) == ("delivered", 3, 3)
    assert len({message.id for message in receiver.messages}) == 1
    assert len({message.body for message in receiver.messages}) == 1
    for message in receiver.messages:
        message.verified_with(hooks.secrets[webhook])
    assert (await hooks.one(webhook)).failing_since is None


@pytest.mark.slow
async def test_a_receiver_that_hangs_is_left_and_holds_up_no_other(
    app_database: Database, keyring: Any, make_hooks: Any, receiver: Any, owner: Any, sender: Any
) -> None:
    hooks = await make_hooks()
    async with receiving() as hanging:
        stuck, well = await hooks.add(hanging.url, [CREATED]), await hooks.add(receiver.url, [CREATED])
        hanging.before = lambda message: asyncio.sleep(10)
        for _ in range(10):
            await new_lead(hooks)
        slow = Sender(app_database, keyring, seconds=3)
        for _ in range(50):
            await slow.delivering.turn()
            await asyncio.sleep(0.05)
            if len(receiver.messages) == 10:
                break
        assert len(receiver.messages) == 10, "all of the other's arrive while this one hangs"
        assert hanging.most_at_once == 4
        await slow.delivering.settle()
        states = [delivery.state for delivery in await hooks.log(stuck)]
        assert states.count("failed") == 4 and states.count("waiting") == 6
        assert {delivery.state for delivery in await hooks.log(well)} == {"delivered"}
        tries = [delivery.tries[0].error for delivery in await hooks.log(stuck) if delivery.tries]
        assert set(tries) == {"no answer within 3 seconds"}
        await slow.delivering.stop()


async def test_what_retry_after_asks_for_is_kept(
    sender: Any, make_hooks: Any, receiver: Any, owner: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    receiver.answers = [(429, {"retry-after": "1800"}, b"")]
    await new_lead(hooks)
    await sender.turn()
    [delivery] = await hooks.log(webhook)
    seconds = await owner.fetchval("SELECT extract(epoch FROM $1::timestamptz - now())", delivery.next_at)
    assert 1700 < seconds <= 1800


async def test_a_message_is_given_up_after_the_last_try(
    sender: Any, make_hooks: Any, receiver: Any, owner: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    receiver.answers = [(500, {}, b"")] * 9
    await new_lead(hooks)
    for _ in range(9):
        await hooks.due()
        await sender.turn()
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, delivery.attempts, len(receiver.messages)) == ("given_up", 9, 9)
    await hooks.due()
    assert await sender.turn() == 0
    assert (await hooks.one(webhook)).off_reason is None


async def test_a_receiver_that_is_gone_is_called_no_more_and_its_people_are_told(
    sender: Any, make_hooks: Any, receiver: Any, owner: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    receiver.answers = [(410, {}, b"")]
    for _ in range(3):
        await new_lead(hooks)
    await owner.execute(  # all but one wait
        "UPDATE webhook_deliveries SET next_at = now() + interval '1 hour' WHERE webhook_id = $1 AND id <>"
        " (SELECT id FROM webhook_deliveries WHERE webhook_id = $1 LIMIT 1)",
        webhook,
    )
    await sender.turn()
    assert (await hooks.one(webhook)).off_reason == "gone"
    told = {keeper.email for keeper in sender.told}
    emails = {
        await owner.fetchval("SELECT email FROM users WHERE id = $1", hooks.desk.people[role])
        for role in ("owner", "admin")
    }
    assert told == emails and sender.told[0].host == receiver.url.partition("/hook")[0]
    act = await owner.fetchrow(
        "SELECT actor_name, detail FROM site_acts WHERE site_id = $1 AND action = 'webhooks.switch_off'",
        hooks.desk.site_id,
    )
    assert (act["actor_name"], act["detail"]) == ("upkeep", {"reason": "gone"})
    await hooks.due()
    await new_lead(hooks)
    assert await sender.turn() == 0 and len(receiver.messages) == 1
    async with hooks.asking() as (connection, _):
        with pytest.raises(Unprocessable, match="off"):
            await store.send_test(connection, hooks.desk.site_id, webhook)
    async with hooks.asking() as (connection, _):
        await store.change(connection, hooks.desk.site_id, webhook, store.WebhookChange(is_on=True))
    assert await sender.turn() == 2, "what waited goes out; what came while it was off was not kept"


@pytest.mark.parametrize(("days", "reason"), [(4.9, None), (5.1, "failing")])
async def test_after_days_of_nothing_but_failures_a_webhook_is_switched_off(
    sender: Any, make_hooks: Any, receiver: Any, owner: Any, days: float, reason: str | None
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    await owner.execute(
        "UPDATE webhooks SET failing_since = now() - $2::interval WHERE id = $1",
        webhook,
        timedelta(days=days),
    )
    receiver.answers = [(500, {}, b"")]
    await new_lead(hooks)
    await sender.turn()
    assert (await hooks.one(webhook)).off_reason == reason
    assert bool(sender.told) == bool(reason)


SENDER = """
import asyncio, ipaddress, sys
from opsmantik.db.connect import Database
from opsmantik.keyring import Key, Keyring
from opsmantik.outbound import Outbound
from opsmantik.upkeep.delivering import Delivering

async def main():
    database = Database(sys.argv[1])
    await database.open()
    outbound = Outbound([ipaddress.ip_network("127.0.0.0/8")])
    keyring = Keyring([Key("k1", b"1" * 32)])
    await Delivering(database, keyring, outbound, "https://om.example", lease_seconds=2).start()
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_process_killed_between_sending_and_noting_loses_nothing(
    database: Any, make_hooks: Any, receiver: Any, sender: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    await new_lead(hooks)
    arrived = asyncio.Event()

    async def hold(message: Any) -> None:  # taken, and never answered
        arrived.set()
        await asyncio.sleep(20)

    receiver.before = hold
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SENDER, database.app)
    try:
        await asyncio.wait_for(arrived.wait(), 20)
    finally:
        process.kill()
        await process.wait()
    receiver.before = None
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, delivery.tries, delivery.attempts) == ("waiting", [], 1)
    assert await sender.turn() == 0, "it is still the dead one's"
    await asyncio.sleep(2.1)
    assert await sender.turn() == 1
    assert len(receiver.messages) == 2 and len({message.id for message in receiver.messages}) == 1
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, delivery.attempts) == ("delivered", 2)


async def test_a_result_that_comes_too_late_changes_nothing(
    app_database: Database, make_hooks: Any, receiver: Any, sender: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    await new_lead(hooks)
    async with app_database.connection() as connection:
        [late] = await store.claim(connection, limit=5, each=5, seconds=0, busy=[])
    assert await sender.turn() == 1
    async with app_database.connection() as connection:
        tried = store.DeliveryTry(at=datetime.now(UTC), status=500, milliseconds=1)
        await store.finish(connection, late, "failed", seconds=9, tried=tried, response=None, gone=True)
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, len(delivery.tries)) == ("delivered", 1)
    assert (await hooks.one(webhook)).off_reason is None


async def test_several_senders_share_the_work_and_send_nothing_twice(
    app_database: Database, keyring: Any, make_hooks: Any, receiver: Any, sender: Any
) -> None:
    hooks = await make_hooks()
    webhooks = [await hooks.add(receiver.url, [CREATED]) for _ in range(4)]
    for _ in range(5):
        await new_lead(hooks)
    senders = [Sender(app_database, keyring) for _ in range(3)]
    for _ in range(4):
        await asyncio.gather(*(one.turn() for one in senders))
    assert len(receiver.messages) == 20
    for webhook in webhooks:
        log = await hooks.log(webhook)
        assert {(one.state, one.attempts) for one in log} == {("delivered", 1)} and len(log) == 5
    for one in senders:
        await one.delivering.stop()


async def test_a_message_is_sent_again_by_hand_under_its_own_id(
    sender: Any, make_hooks: Any, receiver: Any, owner: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    await new_lead(hooks)
    await sender.turn()
    [delivery] = await hooks.log(webhook)
    async with hooks.asking("admin") as (connection, _):
        await store.replay(connection, hooks.desk.site_id, webhook, delivery.id)
    assert await sender.turn() == 1
    first, again = receiver.messages
    assert (first.id, first.body) == (again.id, again.body)
    [delivery] = await hooks.log(webhook)
    assert (delivery.state, len(delivery.tries)) == ("delivered", 2)


async def test_while_a_secret_is_replaced_both_sign(sender: Any, make_hooks: Any, receiver: Any) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    first = hooks.secrets[webhook]
    async with hooks.asking() as (connection, _):
        second = await store.rotate(connection, hooks.keyring, hooks.desk.site_id, webhook)
    assert second != first and (await hooks.one(webhook)).rotating_since is not None
    await new_lead(hooks)
    await sender.turn()
    assert len(receiver.messages[0].headers["webhook-signature"].split(" ")) == 2
    receiver.messages[0].verified_with(first)
    receiver.messages[0].verified_with(second)
    async with hooks.asking() as (connection, _):
        await store.retire(connection, hooks.keyring, hooks.desk.site_id, webhook)
    await new_lead(hooks)
    await sender.turn()
    receiver.messages[1].verified_with(second)
    with pytest.raises(WebhookVerificationError):
        receiver.messages[1].verified_with(first)
    async with hooks.asking() as (connection, _):
        with pytest.raises(Unprocessable, match="no second secret"):
            await store.retire(connection, hooks.keyring, hooks.desk.site_id, webhook)


async def test_without_the_key_nothing_is_sent_and_nothing_is_lost(
    app_database: Database, make_hooks: Any, receiver: Any, sender: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(receiver.url)
    await new_lead(hooks)
    other = Sender(app_database, Keyring([Key("k2", b"2" * 32)]))
    await other.turn()
    await other.delivering.stop()
    [delivery] = await hooks.log(webhook)
    assert delivery.state == "failed" and "secret" in (delivery.tries[0].error or "")
    await hooks.due()
    await sender.turn()
    assert len(receiver.messages) == 1


async def test_an_address_that_leads_inside_meanwhile_is_not_called(
    app_database: Database, keyring: Any, make_hooks: Any, owner: Any, sender: Any
) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add(
        "https://169.254.169.254/latest/meta-data/"
    )  # as if it had been public when it was saved
    await new_lead(hooks)
    await sender.turn()
    [delivery] = await hooks.log(webhook)
    assert delivery.tries[0].error == "not called: it leads into a network that is not public"


async def test_secrets_are_sealed_in_the_database_and_never_in_the_log(make_hooks: Any, owner: Any) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add("https://hooks.example/very/secret/path?key=abc")
    secret = hooks.secrets[webhook].removeprefix("whsec_").encode()
    row = await owner.fetchrow("SELECT secret, key_id FROM webhooks WHERE id = $1", webhook)
    assert secret not in row["secret"] and row["key_id"] == "k1"
    acts = await owner.fetch("SELECT subject, detail FROM site_acts WHERE site_id = $1", hooks.desk.site_id)
    assert [act["subject"] for act in acts] == ["https://hooks.example"]
    assert "key=abc" not in str([dict(act) for act in acts])


@pytest.mark.parametrize("role", ["operator", "analyst", "stranger", "neighbour"])
async def test_who_may_not_change_settings_changes_no_webhook(make_hooks: Any, role: str) -> None:
    hooks = await make_hooks()
    webhook = await hooks.add("https://hooks.example/x")
    site, zero = hooks.desk.site_id, "00000000-0000-0000-0000-000000000001"
    calls = [
        f"SELECT change_webhook('{site}', '{webhook}', 'https://elsewhere.example/', NULL, true, NULL, NULL, '{zero}')",
        f"SELECT add_webhook('{site}', '{zero}', 'https://x.example', '{{lead.created}}', true, true, '', '', 9, '{zero}')",
        f"SELECT * FROM webhook_secrets('{site}', '{webhook}')",
        f"SELECT put_webhook_secrets('{site}', '{webhook}', 'x', NULL, 'k', '{zero}')",
        f"SELECT remove_webhook('{site}', '{webhook}', '{zero}')",
        f"SELECT try_webhook('{site}', '{webhook}', '{zero}', '{zero}')",
        f"SELECT replay_delivery('{site}', '{webhook}', '{zero}', '{zero}')",
    ]
    for call in calls:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with hooks.desk.database.as_person(hooks.desk.people[role], write=True) as (connection, _):
                await connection.execute(call)
