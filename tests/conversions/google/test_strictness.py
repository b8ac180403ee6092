"""The fake itself: it has to refuse what Google refuses, or what passes here proves nothing."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from opsmantik.conversions.google_event import destination_of, event_of, request_of
from tests.conversions.google.data_manager import INGEST, STATUS, DataManager
from tests.conversions.google.made import TO, item, many
from tests.conversions.google.server import Fault
from tests.conversions.google.tokens import ADWORDS, DATA_MANAGER, JWT_BEARER


def good(*items: Any, rehearse: bool = False) -> dict[str, Any]:
    events = [event_of(one) for one in items or (item(1, phone="+905321112233"),)]
    return request_of(destination_of(TO), events, rehearse=rehearse)


async def ask(fake: DataManager, body: Any, token: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token or fake.tokens.access()}"}
    async with httpx.AsyncClient(base_url=fake.url, headers=headers) as client:
        return await client.post(INGEST, json=body)


def at(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        *way, last = path
        place: Any = body
        for step in way:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return change


EVENT = ("events", 0)
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], str | None]] = {
    "an unknown field": (at("extra", value=1), None),
    "an unknown field of an event": (at(*EVENT, "orderId", value="x"), None),
    "names of the proto": (at(*EVENT, "transaction_id", value="x"), None),
    "an enum's value that is none": (at(*EVENT, "eventSource", value="CALL"), None),
    "no source": (at(*EVENT, "eventSource", value=None), "REQUIRED_FIELD_MISSING"),
    "source unspecified": (at(*EVENT, "eventSource", value="EVENT_SOURCE_UNSPECIFIED"), "REQUIRED_FIELD_MISSING"),
    "a value as text": (at(*EVENT, "conversionValue", value="1500"), None),
    "a negative value": (at(*EVENT, "conversionValue", value=-1), "INVALID_NUMBER_FORMAT"),
    "a value without a currency": (at(*EVENT, "currency", value=None), "REQUIRED_FIELD_MISSING"),
    "no such currency": (at(*EVENT, "currency", value="XXQ"), "INVALID_CURRENCY_CODE"),
    "a time without a zone": (at(*EVENT, "eventTimestamp", value="2026-11-22T10:00:00"), None),
    "no time": (at(*EVENT, "eventTimestamp", value=None), "REQUIRED_FIELD_MISSING"),
    "tomorrow": (at(*EVENT, "eventTimestamp", value=TOMORROW), "EVENT_TIME_INVALID"),
    "no transaction id": (at(*EVENT, "transactionId", value=None), "REQUIRED_FIELD_MISSING"),
    "a number as text": (at(*EVENT, "transactionId", value=5), None),
    "two click ids": (at(*EVENT, "adIdentifiers", "wbraid", value="x"), "INVALID_EVENT"),
    "consent that is none": (at(*EVENT, "consent", "adUserData", value="GRANTED"), None),
    "a phone in the clear": (
        at(*EVENT, "userData", "userIdentifiers", 0, "phoneNumber", value="+905321112233"), "INVALID_HEX_ENCODING",
    ),
    "two in one identifier": (at(*EVENT, "userData", "userIdentifiers", 0, "emailAddress", value="0" * 64), None),
    "eleven identifiers": (
        at(*EVENT, "userData", "userIdentifiers", value=[{"phoneNumber": "0" * 64}] * 11), "TOO_MANY_USER_IDENTIFIERS",
    ),
    "no encoding": (at("encoding", value=None), "REQUIRED_FIELD_MISSING"),
    "no destination": (at("destinations", value=[]), "REQUIRED_FIELD_MISSING"),
    "eleven destinations": (at("destinations", value=[destination_of(TO)] * 11), "TOO_MANY_DESTINATIONS"),
    "no event": (at("events", value=[]), "REQUIRED_FIELD_MISSING"),
    "an account with hyphens": (
        at("destinations", 0, "operatingAccount", "accountId", value="123-456-7890"), "INVALID_DESTINATION",
    ),
    "an account as a number": (at("destinations", 0, "operatingAccount", "accountId", value=1234567890), None),
    "no account": (at("destinations", 0, "operatingAccount", value=None), "REQUIRED_FIELD_MISSING"),
    "no action": (at("destinations", 0, "productDestinationId", value=None), "REQUIRED_FIELD_MISSING"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG)
async def test_one_wrong_field_and_nothing_is_taken(
    fake: DataManager, change: Callable[[dict[str, Any]], None], reason: str | None
) -> None:
    body = copy.deepcopy(good())
    body["events"].append(event_of(item(2)))
    change(body)
    answer = await ask(fake, body)
    assert answer.status_code == 400 and answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    violations = [
        v
        for d in answer.json()["error"]["details"]
        if d["@type"].endswith("BadRequest")
        for v in d["fieldViolations"]
    ]
    assert violations and any(v.get("reason") == reason for v in violations)
    assert fake.holds() == {}


async def test_what_is_right_is_taken_and_only_rehearsed_where_that_is_asked(fake: DataManager) -> None:
    assert (await ask(fake, good(rehearse=True))).json() == {}
    assert fake.holds() == {}
    assert "requestId" in (await ask(fake, good())).json()
    assert len(fake.holds()) == 1


async def test_two_thousand_and_one_are_too_many(fake: DataManager) -> None:
    answer = await ask(fake, good(*many(2001)))
    assert answer.status_code == 400 and "TOO_MANY_EVENTS" in answer.text


async def test_the_same_click_at_the_same_second_is_one_conversion(fake: DataManager) -> None:
    first = item(1)
    await ask(fake, good(first))
    second = (await ask(fake, good(item(2, click_id="Cj0KCQiA-1", occurred_at=first.occurred_at)))).json()
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {fake.tokens.access()}"}) as client:
        status = (await client.get(fake.url + STATUS, params=second)).json()["requestStatusPerDestination"][0]
    assert status["requestStatus"] == "FAILED"
    assert status["errorInfo"]["errorCounts"][0]["reason"].endswith("DUPLICATE_GCLID")


CONSENTS = {
    "granted": ("granted", "CONSENT_GRANTED", True), "left to the account": ("implied", "CONSENT_GRANTED", True),
    "left to an account that says no": ("implied", "CONSENT_DENIED", False),
    "left to an account that says nothing": ("implied", None, False), "denied": ("denied", "CONSENT_GRANTED", False),
}  # fmt: skip


@pytest.mark.parametrize(("consent", "default", "held"), CONSENTS.values(), ids=CONSENTS)
async def test_consent_decides(fake: DataManager, consent: str, default: str | None, held: bool) -> None:
    fake.default_consent = default
    await ask(fake, good(item(1, consent=consent)))
    assert bool(fake.holds()) is held


async def test_a_correction_that_comes_too_early_is_undone_by_the_first_report(fake: DataManager) -> None:
    """Requests are carried out in the order in which they came."""
    fake.processing_seconds = 60
    await ask(fake, good(item(1, value=Decimal(7))))
    await ask(fake, good(item(1)))
    assert fake.holds() == {}
    fake.process()
    assert fake.holds()[item(1).order_id][:3] == (Decimal("1500.5"), "TRY", 1)


async def test_who_comes_in(fake: DataManager) -> None:
    assert (await ask(fake, good(), token="nobody")).status_code == 401
    assert (await ask(fake, good(), token=fake.tokens.access(ADWORDS))).status_code == 403
    token = fake.tokens.access()
    assert (await ask(fake, good(), token=token)).status_code == 200
    fake.tokens.revoke(token)
    assert (await ask(fake, good(), token=token)).status_code == 401


async def test_more_than_a_minutes_requests(fake: DataManager) -> None:
    fake.per_minute = 2
    codes = [await ask(fake, good(rehearse=True)) for _ in range(3)]
    assert [answer.status_code for answer in codes] == [200, 200, 429]
    assert 0 < int(codes[2].headers["retry-after"]) <= 61 and "RESOURCE_EXHAUSTED" in codes[2].text


async def test_faults_are_used_up_one_a_request(fake: DataManager) -> None:
    fake.faults += [Fault("before"), None, Fault("after"), Fault("status", 503)]
    token = fake.tokens.access()
    with pytest.raises(httpx.TransportError):
        await ask(fake, good(item(1)), token)
    assert fake.holds() == {}
    assert (await ask(fake, good(item(1)), token)).status_code == 200
    with pytest.raises(httpx.TransportError):
        await ask(fake, good(item(2)), token)
    assert len(fake.holds()) == 2
    assert (await ask(fake, good(item(3)), token)).status_code == 503
    assert len(fake.holds()) == 2


# The token endpoint.


async def token_of(fake: DataManager, **form: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=fake.url) as client:
        return await client.post("/token", data=form)


async def test_a_refresh_token_until_it_is_revoked(fake: DataManager) -> None:
    refresh = fake.tokens.refresh(DATA_MANAGER)
    form = {
        "grant_type": "refresh_token",
        "client_id": "client-1",
        "client_secret": "client-secret-1",
        "refresh_token": refresh,
    }
    access = (await token_of(fake, **form)).json()["access_token"]
    assert (await ask(fake, good(), token=access)).status_code == 200
    assert (await token_of(fake, **{**form, "client_secret": "x"})).json()["error"] == "invalid_client"
    async with httpx.AsyncClient(base_url=fake.url) as client:
        assert (await client.post("/revoke", data={"token": refresh})).status_code == 200
    assert (await token_of(fake, **form)).json()["error"] == "invalid_grant"
    assert (await ask(fake, good(), token=access)).status_code == 401, "what came from it ends with it"


ASSERTIONS: dict[str, tuple[dict[str, Any], int]] = {
    "as it should be": ({}, 200), "for somebody else": ({"aud": "https://example.com"}, 400),
    "too long": ({"exp": 7200}, 400),
    "over": ({"iat": -7200, "exp": -3700}, 400), "no scope": ({"scope": ""}, 400), "another account": ({"iss": "x@y"}, 400),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "status"), ASSERTIONS.values(), ids=ASSERTIONS)
async def test_a_service_account(fake: DataManager, changes: dict[str, Any], status: int) -> None:
    key = json.loads(fake.tokens.service_account(url=fake.url))
    now = int(time.time())
    claims = {
        "iss": key["client_email"],
        "scope": DATA_MANAGER,
        "aud": f"{fake.url}/token",
        "iat": 0,
        "exp": 3600,
        **changes,
    }
    claims |= {name: now + claims[name] for name in ("iat", "exp")}
    assertion = jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(key["private_key"]))
    answer = await token_of(fake, grant_type=JWT_BEARER, assertion=assertion)
    assert answer.status_code == status
    if status == 200:
        assert (await ask(fake, good(), token=answer.json()["access_token"])).status_code == 200
