"""Conversions by the Google Ads API: what is sent, field by field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from opsmantik.conversions.adapters import Outcome, Trouble, Why
from opsmantik.conversions.google_ads import stamp
from opsmantik.conversions.hashing import hashed_email, hashed_phone
from tests.conversions.google.google_ads_world import ACTION, CUSTOMER, DAY, NOW, TO, World, item


async def test_a_conversion_field_by_field(world: World) -> None:
    one = item(
        occurred_at=datetime(2026, 11, 1, 21, 30, 15, 700000, UTC),
        clicked_at=datetime(2026, 10, 30, tzinfo=UTC),
    )
    answer = await world.send(one)
    assert (
        answer.state == "done"
        and answer.outcomes == [Outcome(1, "accepted")]
        and answer.request_id == "2147483999"
    )
    assert world.ads.uploads == [
        {
            "partialFailure": True,
            "conversions": [
                {
                    "gclid": one.click_id, "conversionAction": f"customers/{CUSTOMER}/conversionActions/{ACTION}",
                    "conversionDateTime": "2026-11-02 00:30:15+03:00", "conversionValue": 1234.5, "currencyCode": "TRY",
                    "orderId": one.order_id, "consent": {"adUserData": "GRANTED", "adPersonalization": "GRANTED"},
                }
            ],
        }
    ]  # fmt: skip
    ((request, status),) = world.server.requests
    assert (request.path, status) == (f"/v26/customers/{CUSTOMER}:uploadClickConversions", 200)
    assert "login-customer-id" not in request.headers and request.query == {}


async def test_the_manager_through_which_the_account_is_reached_is_named(world: World) -> None:
    world.account.managers = {"5555555555"}
    with pytest.raises(Trouble) as refused:
        await world.send(item())
    assert (refused.value.why, refused.value.reason) == (Why.SETUP, "user_permission_denied")
    answer = await world.send(item(), destination=TO | {"login_customer_id": "5555555555"})
    assert answer.outcomes[0].outcome == "accepted"


@pytest.mark.parametrize("kind", ["gclid", "wbraid", "gbraid"])
async def test_exactly_one_identifier_with_its_case(world: World, kind: Any) -> None:
    await world.outcome(item(click_id="AbC-dEf_123456", click_id_kind=kind))
    (row,) = world.ads.uploads[0]["conversions"]
    assert {name: row[name] for name in ("gclid", "wbraid", "gbraid") if name in row} == {
        kind: "AbC-dEf_123456"
    }


TIMES = {
    "a day ahead in the site's zone": (
        "2026-11-01T21:30:15Z",
        "Europe/Istanbul",
        "2026-11-02 00:30:15+03:00",
    ),
    "behind UTC": ("2026-11-02T00:30:15Z", "America/Sao_Paulo", "2026-11-01 21:30:15-03:00"),
    "half an hour": ("2026-11-01T12:00:00Z", "Asia/Kolkata", "2026-11-01 17:30:00+05:30"),
    "UTC has an offset too": ("2026-11-01T12:00:00Z", "UTC", "2026-11-01 12:00:00+00:00"),
    "summer, before the hour comes twice": (
        "2026-10-25T00:30:00Z",
        "Europe/Berlin",
        "2026-10-25 02:30:00+02:00",
    ),
    "winter, the same hour again": ("2026-10-25T01:30:00Z", "Europe/Berlin", "2026-10-25 02:30:00+01:00"),
    "no parts of a second": ("2026-11-01T12:00:00.999999Z", "UTC", "2026-11-01 12:00:00+00:00"),
}


@pytest.mark.parametrize(("at", "zone", "said"), TIMES.values(), ids=TIMES.keys())
def test_times_are_the_site_s_with_a_colon_in_the_offset(at: str, zone: str, said: str) -> None:
    assert stamp(datetime.fromisoformat(at), zone) == said


async def test_a_conversion_is_after_its_click_in_whole_seconds(world: World) -> None:
    clicked = (NOW - DAY).replace(microsecond=900_000)
    one = item(clicked_at=clicked, occurred_at=clicked + timedelta(milliseconds=50))
    world.account.clicks[str(one.click_id)] = clicked
    assert (await world.outcome(one)).outcome == "accepted"


VALUES = {
    "two decimals": ("TRY", "1234.50", 1234.5), "none": ("JPY", "1500", 1500), "three": ("KWD", "1.234", 1.234),
    "nothing is an amount": ("EUR", "0", 0), "large": ("TRY", "999999999999.99", 999999999999.99),
}  # fmt: skip


@pytest.mark.parametrize(("currency", "value", "said"), VALUES.values(), ids=VALUES.keys())
async def test_values_have_the_currency_s_decimals(
    world: World, currency: str, value: str, said: float
) -> None:
    await world.outcome(item(currency=currency, value=Decimal(value)))
    (row,) = world.ads.uploads[0]["conversions"]
    assert (row["conversionValue"], row["currencyCode"]) == (said, currency)


@pytest.mark.parametrize(
    ("consent", "said"), [("granted", "GRANTED"), ("implied", "UNSPECIFIED"), ("legacy", "UNSPECIFIED")]
)
async def test_consent_is_always_sent_and_nothing_is_claimed(world: World, consent: str, said: str) -> None:
    await world.outcome(item(consent=consent))
    (row,) = world.ads.uploads[0]["conversions"]
    assert row["consent"] == {"adUserData": said, "adPersonalization": said}


HASHES: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "of those who agreed, where the site wants it": ({}, True, True),
    "not where the site does not": ({}, False, False),
    "not of those who were not asked": ({"consent": "implied"}, True, False),
    "not beside a braid": ({"click_id_kind": "wbraid"}, True, False),
}


@pytest.mark.parametrize(("changes", "wants", "goes"), HASHES.values(), ids=HASHES.keys())
async def test_hashes_go_along(world: World, changes: dict[str, Any], wants: bool, goes: bool) -> None:
    phone, email = "+905321234567", "Ayse.Yilmaz+x@gmail.com"
    found = await world.outcome(item(phone=phone, email=email, **changes), with_hashes=wants)
    assert found.outcome == "accepted"
    (row,) = world.ads.uploads[0]["conversions"]
    hashes = [
        {"userIdentifierSource": "FIRST_PARTY", "hashedEmail": hashed_email("ayseyilmaz@gmail.com")},
        {"userIdentifierSource": "FIRST_PARTY", "hashedPhoneNumber": hashed_phone(phone)},
    ]
    assert row.get("userIdentifiers") == (hashes if goes else None)
    assert phone not in str(world.ads.uploads) and "gmail" not in str(world.ads.uploads)


async def test_one_that_names_no_click_stays_here(world: World) -> None:
    answer = await world.send(item(1, click_id=None, click_id_kind=None), item(2))
    assert [(o.position, o.outcome, o.reason, o.seconds) for o in answer.outcomes] == [
        (1, "failed", "no_click_id", None), (2, "accepted", None, None),
    ]  # fmt: skip
    assert len(world.ads.uploads[0]["conversions"]) == 1


async def test_two_thousand_fit(world: World) -> None:
    answer = await world.send(*(item(n) for n in range(1, world.adapter.most + 1)))
    assert {o.outcome for o in answer.outcomes} == {"accepted"} and len(world.account.held) == 2000
