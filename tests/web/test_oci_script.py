"""Claims by a script inside Google Ads: what is not acknowledged comes again as it was, and what is, once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.people.capabilities import Capability
from opsmantik.web import oci_session
from tests.shapes import check
from tests.web.carrying import NAME, Carrier, carrier

pytestmark = pytest.mark.slow
CLAIM = {"markAsExported": "true"}
EXPORT = "/api/oci/google-ads-export"


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> Carrier:
    made = await carrier(signed_in, make_world)
    await made.route("script")
    return made


async def asked(desk: Carrier, **params: str) -> dict[str, Any]:
    answer = await desk.ask("GET", EXPORT, params={"siteId": desk.world.site.public_id, **params})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def acked(desk: Carrier, path: str = "/api/oci/ack", **body: Any) -> dict[str, Any]:
    answer = await desk.ask("POST", path, {"siteId": desk.world.site.public_id, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_claim_upload_acknowledge(desk: Carrier) -> None:
    lead, _ = await desk.sealed(2)
    before = await desk.ledger()
    peek = await asked(desk)
    assert peek["mode"] == "peek" and [item["id"] for item in peek["items"]] == [None, None]
    assert await desk.ledger() == before
    claimed = await asked(desk, **CLAIM)
    check(claimed, "legacy_oci_claim")
    assert (
        await desk.states() == ["sent", "sent"]
        and claimed["leaseSeconds"] == 1800
        and claimed["adjustments"] == []
    )
    order = (await desk.row(lead))["order_id"]
    item = next(i for i in claimed["items"] if i["orderId"] == order)
    assert (item["conversionName"], item["conversionValue"], item["conversionCurrency"]) == (
        NAME,
        1250.5,
        "TRY",
    )
    assert item["gclid"].startswith("Cj0KCQiA-") and item["wbraid"] is None and item["gbraid"] is None
    assert item["conversionTime"].endswith("+0300") and item["adUserData"] == "GRANTED"
    assert (await asked(desk, **CLAIM))["items"] == [], "it is somebody's"
    done = await acked(desk, queueIds=[i["id"] for i in claimed["items"]])
    check(done, "legacy_oci_ack")
    assert done["receipts"][0]["accepted"] == 2 and await desk.states() == ["accepted", "accepted"]
    again = await acked(desk, queueIds=[i["id"] for i in claimed["items"]])
    assert again["receipts"][0]["receipt"] == done["receipts"][0]["receipt"]
    assert (again["receipts"][0]["accepted"], again["receipts"][0]["already"]) == (0, 2)


async def test_what_is_not_acknowledged_comes_again_as_it_was(desk: Carrier) -> None:
    await desk.sealed(2)
    first = await asked(desk, **CLAIM)
    await desk.sealed(1)
    await desk.lapses()
    again = await asked(desk, **CLAIM)
    assert again["batchId"] == first["batchId"] and again["items"] == first["items"]
    await acked(desk, queueIds=[first["items"][0]["id"]])
    await desk.lapses()
    rest = await asked(desk, **CLAIM)
    assert [item["id"] for item in rest["items"]] == [first["items"][1]["id"]] and rest["hasNextPage"]
    assert len((await asked(desk, **CLAIM))["items"]) == 1
    assert (await asked(desk, **CLAIM))["batchId"] is None


async def test_a_late_acknowledgement_does_not_meet_a_later_batch(desk: Carrier) -> None:
    (lead,) = await desk.sealed(1)
    first = await asked(desk, **CLAIM)
    await acked(desk, queueIds=[first["items"][0]["id"]])
    await desk.decide(lead, action="sale", amount=900)
    second = await asked(desk, **CLAIM)
    assert (
        second["adjustments"][0]["adjustmentType"] == "RESTATE"
        and second["adjustments"][0]["adjustedValue"] == 900
    )
    await acked(desk, queueIds=[first["items"][0]["id"]])
    assert (await desk.row(lead))["platform_value"] == 1250.5
    await acked(desk, batchId=second["batchId"], rest="accepted")
    assert (await desk.row(lead))["platform_value"] == 900


async def test_a_retraction_is_handed_out_and_also_again_to_who_said_no(desk: Carrier) -> None:
    (lead,) = await desk.sealed(1)
    first = await asked(desk, **CLAIM)
    await acked(desk, batchId=first["batchId"], rest="accepted")
    await desk.decide(lead, action="junk", reason="spam")
    second = await asked(desk, **CLAIM)
    check(second, "legacy_oci_claim")
    (row,) = second["adjustments"]
    assert (row["adjustmentType"], row["adjustedValue"], second["items"]) == ("RETRACT", None, [])
    await desk.owner.execute(
        "UPDATE sessions s SET consent_marketing = false FROM calls c WHERE c.id = $1 AND s.id = c.matched_session_id"
        " AND s.site_id = c.site_id", lead,
    )  # fmt: skip
    await desk.lapses()
    assert (await asked(desk, **CLAIM))["adjustments"] == second["adjustments"], (
        "taking back needs no consent"
    )
    await acked(desk, queueIds=[row["id"]])
    assert await desk.holds() == 0 and (await desk.row(lead))["taken_back_at"] is not None


async def test_who_said_no_since_is_not_handed_out_again(desk: Carrier) -> None:
    stays, says_no = await desk.sealed(2)
    first = await asked(desk, **CLAIM)
    await desk.owner.execute(
        "UPDATE sessions s SET consent_marketing = false FROM calls c WHERE c.id = $1 AND s.id = c.matched_session_id"
        " AND s.site_id = c.site_id", says_no,
    )  # fmt: skip
    await desk.lapses()
    again = await asked(desk, **CLAIM)
    assert again["batchId"] == first["batchId"]
    assert [item["orderId"] for item in again["items"]] == [(await desk.row(stays))["order_id"]]


CATEGORIES = {
    "VALIDATION": ("failed", False), "AUTH": ("failed", True), "RATE_LIMIT": ("failed", True), "TRANSIENT": ("sent", None),
    "UNKNOWN": ("sent", None),
}  # fmt: skip


@pytest.mark.parametrize("category", CATEGORIES)
async def test_what_could_not_be_delivered(desk: Carrier, category: str) -> None:
    (lead,) = await desk.sealed(1)
    claimed = await asked(desk, **CLAIM)
    ids = [claimed["items"][0]["id"]]
    body = {
        "queueIds": ids,
        "errorCode": "Bad Thing",
        "errorMessage": "row 7: Cj0KCQiA-77",
        "errorCategory": category,
    }
    await acked(desk, "/api/oci/ack-failed", **body)
    state, again = CATEGORIES[category]
    row = await desk.row(lead)
    assert row["state"] == state
    if state == "failed":
        assert (
            row["reason"] == "bad_thing"
            and "Cj0" not in row["detail"]
            and (row["next_at"] is not None) is again
        )
    else:
        assert (await asked(desk, **CLAIM))["batchId"] is None, "not at once"
        wait = await desk.owner.fetchval(
            "SELECT extract(epoch FROM next_at - now())::integer FROM conversion_batches WHERE site_id = $1",
            desk.world.site.id,
        )
        assert 590 <= wait <= 600, "and not only when the claim ends"
        await desk.lapses()
        assert (await asked(desk, **CLAIM))["batchId"] == claimed["batchId"], (
            "nobody knows whether it arrived: as it was"
        )


async def test_results_of_several_kinds_in_one_acknowledgement(desk: Carrier) -> None:
    await desk.sealed(3)
    one, two, three = [item["id"] for item in (await asked(desk, **CLAIM))["items"]]
    done = await acked(
        desk, queueIds=[one], skippedIds=[two], results=[
            {"id": one, "status": "SUCCESS"}, {"id": three, "status": "FAILED", "errorCode": "INVALID_TIME_FORMAT"},
        ],
    )  # fmt: skip
    assert (done["receipts"][0]["accepted"], done["receipts"][0]["failed"], done["receipts"][0]["state"]) == (
        1,
        2,
        "done",
    )
    assert sorted(await desk.states()) == ["accepted", "failed", "failed"]


async def test_ids_of_elsewhere_change_nothing(desk: Carrier, signed_in: Any, make_world: Any) -> None:
    await desk.sealed(1)
    claimed = await asked(desk, **CLAIM)
    other = await carrier(signed_in, make_world)
    await other.route("script")
    theirs = await other.ask(
        "POST",
        "/api/oci/ack",
        {"siteId": other.world.site.public_id, "queueIds": [claimed["items"][0]["id"]]},
    )
    assert theirs.json() == {"ok": True, "receipts": [], "unknown": 1}
    odd = await acked(
        desk, queueIds=["seal_1", f"{uuid4().hex}.1", "x.y", f"{UUID(claimed['batchId']).hex}.99"]
    )
    assert odd["unknown"] == 3 and odd["receipts"][0]["unknown"] == 1
    assert await desk.states() == ["sent"]
    foreign = await desk.ask("GET", EXPORT, params={"siteId": other.world.site.public_id})
    assert foreign.status_code == 404


async def test_limits_and_pages(desk: Carrier) -> None:
    await desk.sealed(3)
    for limit in ("0", "1001", "x", "-1", ""):
        assert (
            await desk.ask("GET", EXPORT, params={"siteId": desk.world.site.public_id, "limit": limit})
        ).status_code == 400
    first = await asked(desk, limit="2")
    second = await asked(desk, limit="2", cursor=first["nextCursor"])
    assert (
        len({item["orderId"] for item in [*first["items"], *second["items"]]}) == 3
        and not second["hasNextPage"]
    )
    claimed = [await asked(desk, limit="2", **CLAIM) for _ in range(3)]
    assert [len(page["items"]) for page in claimed] == [2, 1, 0] and [
        page["hasNextPage"] for page in claimed
    ] == [True, False, False]


async def test_several_scripts_at_once_share_what_is_due(desk: Carrier) -> None:
    await desk.sealed(6)
    pages = await asyncio.gather(*(asked(desk, limit="2", **CLAIM) for _ in range(5)))
    orders = [item["orderId"] for page in pages for item in page["items"]]
    assert len(orders) == len(set(orders)) == 6


async def test_a_token_of_an_hour_for_a_key(desk: Carrier) -> None:
    await desk.sealed(1)
    site = desk.world.site.public_id
    answer = await desk.ask("POST", "/api/oci/v2/verify", {"siteId": site})
    check(answer.json(), "legacy_oci_token")
    token, expires = answer.json()["session_token"], answer.json()["expires_in"]
    assert expires == 3600 and desk.key not in token
    bearer = {"headers": {"authorization": f"Bearer {token}"}}
    assert (await desk.ask("GET", EXPORT, params={"siteId": site, **CLAIM}, **bearer)).json()["items"]
    assert (await desk.ask("GET", f"{desk.world.path}/conversions/batches", **bearer)).status_code == 401, (
        "for scripts alone"
    )
    assert (await desk.ask("POST", "/api/oci/v2/verify", {"siteId": site}, **bearer)).status_code == 401, (
        "no life without end"
    )
    broken = {"headers": {"authorization": f"Bearer {token[:-4]}AAAA"}}
    assert (await desk.ask("GET", EXPORT, params={"siteId": site}, **broken)).status_code == 401
    await desk.owner.execute("UPDATE site_keys SET revoked_at = now() WHERE site_id = $1", desk.world.site.id)
    assert (await desk.ask("GET", EXPORT, params={"siteId": site}, **bearer)).status_code == 401, (
        "it ends with the key"
    )


def test_a_token_ends_after_its_hour(desk: Carrier) -> None:
    keyring = desk.world.web.app._keyring
    token = oci_session.new_token(keyring, desk.key, now=1000.0)
    assert oci_session.opened(keyring, token, now=4599.0) == desk.key
    assert oci_session.opened(keyring, token, now=4600.0) is None
    for text in (
        "",
        "om_session_",
        "om_session_x.y",
        token + "x",
        token.replace("om_session_", "om_session_x"),
    ):
        assert oci_session.opened(keyring, text, now=1000.0) is None


async def test_a_signed_body_is_the_one_that_was_signed(desk: Carrier) -> None:
    await desk.sealed(1)
    claimed = await asked(desk, **CLAIM)
    body = {"siteId": desk.world.site.public_id, "queueIds": [claimed["items"][0]["id"]]}
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    signed = hmac.new(desk.key.encode(), text, hashlib.sha256).hexdigest()
    for signature, status in (("0" * 64, 401), ("ş", 401), ("", 401), (signed, 200)):
        headers = {
            "x-opsmantik-signature": signature.encode(),
            "content-type": "application/json",
            "x-api-key": desk.key,
        }
        answer = await desk.world.web.browser().http.post("/api/oci/ack", content=text, headers=headers)
        assert answer.status_code == status, signature
        assert await desk.states() == (["accepted"] if status == 200 else ["sent"])


async def test_only_a_key_with_the_scope_claims(desk: Carrier) -> None:
    await desk.sealed(1)
    site = desk.world.site.public_id
    by_browser = await desk.programs.get(EXPORT, {"siteId": site, **CLAIM})
    assert by_browser.status_code == 403 and await desk.states() == ["queued"], (
        "a link that is clicked claims nothing"
    )
    assert (await desk.programs.get(EXPORT, {"siteId": site})).status_code == 200
    assert (await desk.programs.post("/api/oci/v2/verify", {"siteId": site})).status_code == 403
    reads = await desk.new_key(Capability.READ, Capability.DECIDE)
    assert (await desk.ask("GET", EXPORT, key=reads, params={"siteId": site, **CLAIM})).status_code == 403
    assert (await desk.ask("POST", "/api/oci/ack", {"siteId": site}, key=reads)).status_code == 403
    await desk.route("file")
    answer = await desk.ask("GET", EXPORT, params={"siteId": site, **CLAIM})
    assert (answer.status_code, answer.json()["kind"]) == (409, "other_way")
