"""One conversion as an event, field by field; and which never become one."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.conversions.google_event import destination_of, event_of, flaw_of, request_of
from tests.conversions.google.made import TO, item
from tests.conversions.google.strictness import sense, shape

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = datetime(2026, 11, 22, 9, 30, 15, 999_000, tzinfo=UTC)
CLICK = AT - timedelta(hours=1)


def made(**changes: Any) -> Any:
    return item(**{"occurred_at": AT, "clicked_at": CLICK, "click_id": "Cj0KCQiA-AbC", **changes})


def test_an_event_has_all_that_google_wants_and_nothing_else() -> None:
    assert event_of(made()) == {
        "transactionId": "om-00000000000000000000000000000001-1", "eventTimestamp": "2026-11-22T09:30:15Z",
        "eventSource": "PHONE", "conversionValue": 1500.5, "currency": "TRY",
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
        "adIdentifiers": {"gclid": "Cj0KCQiA-AbC"},
    }  # fmt: skip


def test_a_correction_is_the_same_event_with_another_value() -> None:
    """Taking back too: 0 is a value, and is there."""
    before, after = event_of(made()), event_of(made(value=Decimal(0)))
    assert after["conversionValue"] == 0.0
    assert {**after, "conversionValue": before["conversionValue"]} == before


@pytest.mark.parametrize("kind", ["gclid", "wbraid", "gbraid"])
def test_exactly_one_click_id_by_its_own_name_and_as_it_is(kind: str) -> None:
    assert event_of(made(click_id="aBc-_X", click_id_kind=kind))["adIdentifiers"] == {kind: "aBc-_X"}


def test_without_a_click_there_is_none() -> None:
    assert "adIdentifiers" not in event_of(made(click_id=None, click_id_kind=None))


SAID = {
    "granted": "CONSENT_GRANTED",
    "denied": "CONSENT_DENIED",
    "implied": "CONSENT_STATUS_UNSPECIFIED",
    "legacy": "CONSENT_STATUS_UNSPECIFIED",
    "missing": "CONSENT_STATUS_UNSPECIFIED",
}


@pytest.mark.parametrize(("consent", "word"), SAID.items(), ids=SAID)
def test_consent_is_always_sent_and_never_made_up(consent: str, word: str) -> None:
    assert event_of(made(consent=consent))["consent"] == {"adUserData": word, "adPersonalization": word}


@pytest.mark.parametrize(
    ("action", "source"), [("phone", "PHONE"), ("whatsapp", "WEB"), ("form", "WEB"), (None, "WEB")]
)
def test_where_it_happened(action: str | None, source: str) -> None:
    assert event_of(made(action=action))["eventSource"] == source


def test_hashes_go_along_in_hex() -> None:
    event = event_of(made(phone="+90 532 111 22 33", email="A.Yse+x@gmail.com"))
    assert event["userData"] == {"userIdentifiers": [
        {"emailAddress": hashlib.sha256(b"ayse@gmail.com").hexdigest()},
        {"phoneNumber": hashlib.sha256(b"+905321112233").hexdigest()},
    ]}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"consent": "implied"},
        {"consent": "legacy"},
        {"click_id_kind": "wbraid"},
        {"click_id_kind": "gbraid"},
        {"phone": "12"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_no_hashes_without_consent_beside_a_braid_or_of_nonsense(changes: dict[str, Any]) -> None:
    assert "userData" not in event_of(made(**{"phone": "+905321112233", **changes}))


@pytest.mark.parametrize("text", ["+905321112233", "ayse@example.com"])
def test_nobody_is_in_it_in_the_clear(text: str) -> None:
    assert text not in str(event_of(made(phone="+905321112233", email="ayse@example.com")))


FLAWS: dict[str, tuple[dict[str, Any], str]] = {
    "no order id": ({"order_id": ""}, "bad_order_id"),
    "a space in the order id": ({"order_id": "om 1"}, "bad_order_id"),
    "letters that no id has": ({"order_id": "om-ş"}, "bad_order_id"),
    "an endless order id": ({"order_id": "x" * 65}, "bad_order_id"),
    "a time without a zone": ({"occurred_at": AT.replace(tzinfo=None)}, "bad_time"),
    "no number": ({"value": Decimal("NaN")}, "bad_amount"),
    "endless": ({"value": Decimal("Infinity")}, "bad_amount"),
    "less than nothing": ({"value": Decimal("-0.01")}, "bad_amount"),
    "a slip of the keyboard": ({"value": Decimal("1e13")}, "bad_amount"),
    "no currency": ({"currency": ""}, "bad_currency"),
    "a sign for a currency": ({"currency": "₺"}, "bad_currency"),
    "small letters": ({"currency": "try"}, "bad_currency"),
    "a click of no kind": ({"click_id_kind": None}, "bad_click_id"),
    "a kind of no click": ({"click_id": None}, "bad_click_id"),
    "an empty click id": ({"click_id": ""}, "bad_click_id"),
    "a line break in the click id": ({"click_id": "Cj0\n"}, "bad_click_id"),
    "an endless click id": ({"click_id": "x" * 1001}, "bad_click_id"),
    "no click": ({"click_id": None, "click_id_kind": None}, "no_click_id"),
    "before the click": ({"clicked_at": AT}, "precedes_click"),
    "a click of 91 days ago": ({"clicked_at": NOW - timedelta(days=91)}, "too_old"),
    "91 days ago itself": ({"clicked_at": None, "occurred_at": NOW - timedelta(days=91)}, "too_old"),
    "tomorrow": ({"occurred_at": NOW + timedelta(days=1)}, "in_the_future"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), FLAWS.values(), ids=FLAWS)
def test_what_is_flawed_fails_by_itself(changes: dict[str, Any], reason: str) -> None:
    flaw = flaw_of(made(**changes), "new", NOW, first=True)
    assert flaw is not None
    assert (flaw.position, flaw.outcome, flaw.reason) == (1, "failed", reason)
    assert (flaw.seconds is not None) == (reason == "in_the_future"), "only time puts right what is too early"


def test_what_is_sound_has_no_flaw() -> None:
    assert flaw_of(made(), "new", NOW, first=True) is None
    assert flaw_of(made(value=Decimal(0), currency="JPY"), "new", NOW, first=True) is None
    assert flaw_of(made(clicked_at=NOW - timedelta(days=89, hours=23)), "new", NOW, first=True) is None
    assert flaw_of(made(occurred_at=NOW + timedelta(minutes=4)), "new", NOW, first=True) is None, (
        "clocks differ"
    )


def test_what_google_may_have_already_is_not_called_too_old() -> None:
    assert flaw_of(made(clicked_at=NOW - timedelta(days=91)), "new", NOW, first=False) is None


def test_a_correction_may_name_no_click_and_be_late() -> None:
    old = made(click_id=None, click_id_kind=None, clicked_at=None, occurred_at=NOW - timedelta(days=200))
    assert flaw_of(old, "retract", NOW, first=True) is None


def test_times_are_sent_in_utc() -> None:
    istanbul = timezone(timedelta(hours=3))
    assert event_of(made(occurred_at=AT.astimezone(istanbul)))["eventTimestamp"] == "2026-11-22T09:30:15Z"


def test_a_destination_is_the_account_that_owns_the_action() -> None:
    assert destination_of(TO) == {
        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"}, "productDestinationId": "77"
    }  # fmt: skip
    managed = destination_of({**TO, "login_account_id": "9999999999"})
    assert managed["loginAccount"] == {"accountType": "GOOGLE_ADS", "accountId": "9999999999"}
    assert "loginAccount" not in destination_of({**TO, "login_account_id": TO["account_id"]})


@pytest.mark.parametrize(
    "destination",
    [{}, {**TO, "account_id": "123-456-7890"}, {**TO, "account_id": 1234567890}, {**TO, "action_id": "customers/1/x"},
     {**TO, "login_account_id": "12"}],
    ids=["nothing", "hyphens", "a number", "a resource's name", "short"],
)  # fmt: skip
def test_a_destination_that_google_would_refuse_stops_the_site(destination: dict[str, Any]) -> None:
    with pytest.raises(Trouble) as caught:
        destination_of(destination)
    assert caught.value.why is Why.SETUP


def test_every_form_of_it_is_what_the_definition_says() -> None:
    items = [
        made(), made(click_id_kind="wbraid"), made(click_id_kind="gbraid"), made(consent="denied"), made(consent="legacy"),
        made(phone="+905321112233", email="a@example.com"), made(action="form", value=Decimal(0)),
    ]  # fmt: skip
    for rehearse in (True, False):
        request = request_of(
            destination_of({**TO, "login_account_id": "9999999999"}),
            [event_of(i) for i in items],
            rehearse=rehearse,
        )
        assert shape("IngestEventsRequest", request) == []
        assert sense(request, wants_identifier=True) == []
