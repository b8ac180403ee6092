"""What single rows of the first generation become: tables of named cases, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from opsmantik.adopt.leads import (
    CALL_COLUMNS,
    CONVERSION_COLUMNS,
    KNOWN_STATUSES,
    Lead,
    MatchedVisit,
    OldCall,
    Site,
    lead,
    status_of,
)
from opsmantik.adopt.people import OldPerson, OldSite, accounts, sites
from opsmantik.adopt.repeats import Repeats
from opsmantik.adopt.visits import COLUMNS, Facts, First, OldVisit, visit
from opsmantik.intents.status import _FROM_FIRST, Status

SITE = Site(
    id=UUID(int=1),
    domain="shop.example",
    region="TR",
    currency="TRY",
    consent_mode="legacy",
    conversion_time="intent",
    undo_minutes=10,
    keep_ip=True,
)
AT = datetime(2026, 2, 3, 9, tzinfo=UTC)
NOW = AT + timedelta(days=10)
PERSON = UUID(int=7)
VISIT = MatchedVisit(
    month=date(2026, 2, 1),
    gclid=None,
    wbraid="Cj8-a-braid-of-a-visit",
    gbraid=None,
    clicked_at=AT,
    consent_marketing=None,
)


def made(visit: MatchedVisit | None = VISIT, *, queue_unsent: bool = False, **columns: Any) -> Lead:
    base: dict[str, Any] = {
        "id": UUID(int=3),
        "site_id": SITE.id,
        "created_at": AT,
        "status": "confirmed",
        "source": "click",
        "intent_stamp": "stamp",
        "intent_action": "phone",
        "intent_target": "tel:0500 000 00 12",
        "matched_session_id": UUID(int=4),
        "confirmed_at": AT + timedelta(hours=1),
    }
    old = OldCall(**base | columns)
    return lead(
        old,
        SITE,
        visit,
        people={PERSON: PERSON},
        repeats=None,
        stamp_taken=False,
        now=NOW,
        queue_unsent=queue_unsent,
    )


def call(found: Lead) -> dict[str, Any]:
    return dict(zip(CALL_COLUMNS, found.call, strict=True))


def conversion(found: Lead) -> dict[str, Any]:
    assert found.conversion is not None
    return dict(zip(CONVERSION_COLUMNS, found.conversion, strict=True))


def test_the_report_knows_the_words_that_the_model_knows() -> None:
    assert set(KNOWN_STATUSES) == {word for word in _FROM_FIRST if word is not None}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (None, "intent"),
        ("intent", "intent"),
        ("confirmed", "sealed"),
        ("qualified", "sealed"),
        ("real", "sealed"),
        ("junk", "junk"),
        ("suspicious", "suspicious"),
        (" Confirmed ", "sealed"),
        ("won", "sealed"),
        ("cancelled", "junk"),
        ("called_twice", "pending"),
    ],
)
def test_statuses(word: str | None, status: str) -> None:
    assert status_of(word)[0] == status


LEDGER = {
    "never sent": ({}, ("skipped", "first_generation", "legacy")),
    "no click id": ({"visit": None}, ("skipped", "no_click_id", "legacy")),
    "uploaded by its mark": ({"oci_status": "uploaded"}, ("accepted", "first_generation", "legacy")),
    "uploaded by its time": (
        {"oci_uploaded_at": AT + timedelta(days=1)},
        ("accepted", "first_generation", "legacy"),
    ),
    "matched": (
        {"oci_status": "uploaded", "oci_matched_at": AT + timedelta(days=2)},
        ("matched", "first_generation", "legacy"),
    ),
    "failed": ({"oci_status": "failed"}, ("failed", "first_generation", "legacy")),
    "junk that was sent": (
        {"status": "junk", "oci_status": "uploaded"},
        ("retracted", "junked_after_sending", "legacy"),
    ),
    "waits and was sent": (
        {"status": None, "oci_status": "uploaded"},
        ("retracted", "restored_after_sending", "legacy"),
    ),
    "queued": ({"queue_unsent": True}, ("held", "stage_weight", "legacy")),
    "queued, and sent before": (
        {"queue_unsent": True, "oci_status": "uploaded"},
        ("accepted", "first_generation", "legacy"),
    ),
}


@pytest.mark.parametrize("name", LEDGER)
def test_what_the_ledger_says(name: str) -> None:
    given, expected = LEDGER[name]
    row = conversion(made(**given))
    assert (row["state"], row["reason"], row["consent"]) == expected
    if row["state"] in ("accepted", "matched"):
        assert row["consent_at"] >= row["due_at"], "the constraint on what goes out"
    assert row["order_id"] == f"om-{UUID(int=3).hex}-1"


def test_who_waits_or_is_junk_has_no_row_in_the_ledger() -> None:
    assert made(status="junk").conversion is None and made(status="intent").conversion is None


INTENTS = {
    "as it is": ({}, ("click", "phone", "tel:0500 000 00 12", "+905000000012", "stamp")),
    "only a number": (
        {"intent_target": None, "intent_action": None, "phone_number": "0500 000 00 12"},
        ("click", "phone", "0500 000 00 12", "+905000000012", "stamp"),
    ),
    "no stamp": (
        {"intent_stamp": None},
        ("click", "phone", "tel:0500 000 00 12", "+905000000012", str(UUID(int=3))),
    ),
    "nothing": (
        {"intent_target": None, "intent_action": None, "intent_stamp": None},
        ("api", None, None, None, None),
    ),
    "a short code": ({"intent_target": "tel:444 1 234"}, ("click", "phone", "tel:444 1 234", None, "stamp")),
    "a chat": (
        {"intent_action": "whatsapp", "intent_target": "wa:+905000000012"},
        ("click", "whatsapp", "wa:+905000000012", None, "stamp"),
    ),
    "an unknown source": (
        {"source": "import"},
        ("manual", "phone", "tel:0500 000 00 12", "+905000000012", "stamp"),
    ),
}


@pytest.mark.parametrize("name", INTENTS)
def test_what_was_tapped(name: str) -> None:
    given, expected = INTENTS[name]
    row = call(made(**given))
    names = ("source", "intent_action", "intent_target", "phone_number", "intent_stamp")
    assert tuple(row[column] for column in names) == expected


CLICKS = {
    "none": (None, VISIT, (None, None)),
    "the visit's": ("Cj8-a-braid-of-a-visit", VISIT, ("wbraid", "Cj8-a-braid-of-a-visit")),
    "another than the visit's, of its kind": ("Cj8-another", VISIT, ("wbraid", "Cj8-another")),
    "of no visit": ("Cj0-nobody-knows", None, (None, None)),
}


@pytest.mark.parametrize("name", CLICKS)
def test_click_ids_get_the_kind_that_the_visit_says(name: str) -> None:
    given, matched, expected = CLICKS[name]
    row = call(made(matched, click_id=given))
    assert (row["click_id_kind"], row["click_id"]) == expected
    lost = given is not None and expected == (None, None)
    assert (row["score_breakdown"] == b'{"adopted":{"click_id":"Cj0-nobody-knows"}}') is lost


def test_a_tap_that_waited_in_an_outbox_has_its_own_time() -> None:
    tapped = AT - timedelta(hours=5)
    assert (
        call(made(intent_stamp=f"{int(tapped.timestamp() * 1000)}-ab12-tel-00ff00"))["occurred_at"] == tapped
    )
    assert call(made(intent_stamp="1999999999999-ab12-tel-00ff00"))["occurred_at"] == AT, (
        "a clock in the future is wrong"
    )


REPEATS = {
    "the same stamp": ({"intent_stamp": "one"}, True),
    "eleven seconds later, spelt otherwise": (
        {"created_at": AT + timedelta(seconds=11), "intent_target": "tel:+905000000012"},
        True,
    ),
    "an hour later": ({"created_at": AT + timedelta(hours=1)}, False),
    "another number": ({"intent_target": "tel:0500 000 00 34"}, False),
    "another act": ({"intent_action": "whatsapp"}, False),
    "another visit": ({"matched_session_id": UUID(int=5)}, False),
    "decided": ({"intent_stamp": "one", "status": "confirmed"}, False),
}


@pytest.mark.parametrize("name", REPEATS)
def test_what_repeats_a_tap(name: str) -> None:
    given, folded = REPEATS[name]
    base: dict[str, Any] = {
        "site_id": SITE.id,
        "created_at": AT,
        "matched_session_id": UUID(int=4),
        "intent_action": "phone",
        "intent_target": "tel:0500 000 00 12",
        "source": "click",
    }
    repeats = Repeats()
    assert repeats.of(OldCall(id=UUID(int=3), **base | {"intent_stamp": "one"}), "TR") == (None, False)
    found, has_stamp = repeats.of(OldCall(id=UUID(int=6), **base | {"intent_stamp": "two"} | given), "TR")
    assert (found == UUID(int=3)) is folded and has_stamp is (given.get("intent_stamp") == "one")


def seen(rows: list[OldVisit], facts: Facts) -> dict[str, Any]:
    return dict(
        zip(COLUMNS, visit(SITE.id, UUID(int=4), rows, facts, domain="shop.example").row, strict=True)
    )


def test_two_rows_of_one_visit_are_joined() -> None:
    first = OldVisit(
        created_month=date(2026, 1, 1),
        created_at=datetime(2026, 1, 31, 23, 59, tzinfo=UTC),
        max_scroll_percentage=20,
        utm_source="google",
        exit_page="/a",
    )
    second = OldVisit(
        created_month=date(2026, 2, 1),
        created_at=datetime(2026, 2, 1, 0, 1, tzinfo=UTC),
        max_scroll_percentage=90,
        utm_source="other",
        utm_medium="cpc",
        exit_page="/b",
    )
    row = seen([second, first], Facts(last_at=second.created_at))
    assert (row["created_month"], row["created_at"]) == (date(2026, 1, 1), first.created_at)
    assert (row["max_scroll_percentage"], row["utm_source"], row["utm_medium"], row["exit_page"]) == (
        90,
        "google",
        "cpc",
        "/b",
    )
    assert row["total_duration_sec"] == 120


SOURCES = {
    "a click id": (
        {"gclid": "Cj0KCQiA-some-click", "attribution_source": "First Click (Paid)"},
        ("First Click (Paid)", "paid_search", True),
    ),
    "paid tags": (
        {"utm_source": "google", "utm_medium": "cpc", "attribution_source": "Paid (UTM)"},
        ("Paid (UTM)", "paid_search", True),
    ),
    "called social, but nobody paid": (
        {"referrer_host": "facebook.com", "attribution_source": "Paid Social"},
        ("Paid Social", "organic_social", False),
    ),
    "left over": ({"attribution_source": "Organic"}, ("Organic", "direct", False)),
    "assisted": (
        {"attribution_source": "Ads Assisted", "referrer_host": "google.com"},
        ("Ads Assisted", "ads_assisted", True),
    ),
    "a word of nobody's": (
        {"attribution_source": "Bilinmiyor", "referrer_host": "bing.com"},
        ("Organic", "organic_search", False),
    ),
    "a click id that cannot be": (
        {"gclid": "{gclid}", "attribution_source": "First Click (Paid)"},
        ("First Click (Paid)", "direct", False),
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_what_was_shown_stays_and_the_ladder_says_what_was_paid(name: str) -> None:
    given, expected = SOURCES[name]
    row = seen([OldVisit(created_month=date(2026, 2, 1), created_at=AT, **given)], Facts())
    assert (row["attribution_source"], row["channel"], row["is_paid"]) == expected
    assert (
        b'"rule":"adopted"' in row["attribution"]
        and given["attribution_source"].encode() in row["attribution"]
    )


def test_a_visit_without_a_row_is_made_of_its_first_page() -> None:
    first = First(
        url="https://shop.example/?utm_source=bing&utm_medium=cpc",
        referrer="https://www.bing.com/",
        fingerprint="fp",
    )
    row = seen([], Facts(first_at=AT, last_at=AT, events=1, first=first))
    assert (
        row["created_at"],
        row["utm_medium"],
        row["is_paid"],
        row["referrer_host"],
        row["fingerprint"],
    ) == (
        AT,
        "cpc",
        True,
        "bing.com",
        "fp",
    )


@pytest.mark.parametrize(
    ("address", "kept"),
    [("203.0.113.77", "203.0.113.0"), ("2001:db8:1:2::3/128", "2001:db8:1::"), ("odd", None), (None, None)],
)
def test_addresses_are_cut(address: str | None, kept: str | None) -> None:
    assert (
        seen([OldVisit(created_month=date(2026, 2, 1), created_at=AT, ip_address=address)], Facts())[
            "ip_address"
        ]
        == kept
    )


def test_accounts() -> None:
    one, two, three, four = (UUID(int=n) for n in (11, 12, 13, 14))
    new, ids = accounts(
        [
            OldPerson(id=one, email="A@x.example", role="admin"),
            OldPerson(id=two, email="a@X.example"),
            OldPerson(id=three),
            OldPerson(id=four, email="here@x.example", role="admin"),
        ],
        {"here@x.example": UUID(int=99)},
        keep_admins=False,
    )
    assert ids == {one: one, two: one, three: three, four: UUID(int=99)}
    assert [(p.email, p.is_admin, p.is_off) for p in new] == [
        ("a@x.example", False, False),
        (f"{three.hex}@adopted.invalid", False, True),
    ]


def test_sites_get_a_public_id_that_a_tracker_can_name() -> None:
    user = UUID(int=11)
    given = ["5F0C9A52-7D1E-4B38-9A61-0C1D2E3F4A5B", "5f0c9a527d1e4b389a610c1d2e3f4a5b", "test-site"]
    old = [
        OldSite(id=UUID(int=n), user_id=user, public_id=p, domain="x.example", created_at=AT)
        for n, p in enumerate(given, 20)
    ]
    first, again = sites(old, {user: user}), sites(old, {user: user})
    assert first == again and len({site.public_id for site in first}) == 3
    assert [site.has_new_public_id for site in first] == [False, True, True]
    assert first[0].public_id == given[1]


CURRENCIES = {
    "of the column": ({"currency": "EUR"}, "EUR"),
    "of the configuration": ({"currency": "EUR", "config": {"currency": "usd"}}, "USD"),
    "nonsense": ({"currency": "lira", "config": {"currency": 7}}, "TRY"),
    "none": ({}, "TRY"),
}


@pytest.mark.parametrize("name", CURRENCIES)
def test_one_currency(name: str) -> None:
    given, expected = CURRENCIES[name]
    found = sites([OldSite(id=UUID(int=1), user_id=PERSON, public_id="x", **given)], {PERSON: PERSON})[0]
    assert found.currency == expected and found.assumed_cpc == Decimal(0)


def test_who_sealed_it() -> None:
    by = made(confirmed_by=PERSON)
    assert call(by)["confirmed_by"] == PERSON and by.actions[0][4:7] == (PERSON, "person", "seal")
    gone = made(confirmed_by=UUID(int=8))
    assert call(gone)["confirmed_by"] is None and gone.actions[0][4:7] == (None, "person", "seal")
    rule = made(confirmed_by=None, score_breakdown={"auto_approved": True})
    assert call(rule)["is_automatic"] and rule.actions[0][4:7] == (None, "rule", "seal")
    assert (
        call(made(status="suspicious"))["confirmed_at"] is None
        and made(status="suspicious").status is Status.SUSPICIOUS
    )
