"""A conversion as an event of Google's Data Manager API, and what is wrong with one before it is sent.

The API refuses a whole request for one bad event, so every field is looked at here first. Pure: no network, no clock of
its own. https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from opsmantik.conversions.adapters import Item, Kind, Outcome, Trouble, Why
from opsmantik.conversions.hashing import hashed_email, hashed_phone
from opsmantik.conversions.ledger import LONGEST_CLICK_AGE
from opsmantik.conversions.money import MOST

LONGEST_ORDER_ID: Final = 64
LONGEST_CLICK_ID: Final = 1000
CLOCKS_DIFFER: Final = timedelta(minutes=5)

# What a visitor said, in the API's words. "implied" and "legacy" mean that nobody asked them: to call that granted would be
# a lie, and denied one too. Unspecified leaves it to what the advertiser has declared for the account. Both answers go
# along with each event, always: one that is left out would take the request's.
CONSENT: Final[Mapping[str, str]] = {
    "granted": "CONSENT_GRANTED",
    "denied": "CONSENT_DENIED",
}
NOT_SAID: Final = "CONSENT_STATUS_UNSPECIFIED"

# Required of offline conversions. A phone tap is a call; a WhatsApp tap and a form happened on the website. The enum also
# has MESSAGE, later than the guides for offline conversions, which name WEB, APP, IN_STORE, PHONE and OTHER: a source that
# does not fit the conversion action is refused (EVENT_SOURCE_AND_DESTINATION_MISMATCH), with all other events.
SOURCE: Final[Mapping[str | None, str]] = {"phone": "PHONE"}
OTHER_SOURCE: Final = "WEB"

_PRINTABLE = re.compile(r"[!-~]+")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DIGITS = re.compile(r"[0-9]{1,20}")
_ACCOUNT = re.compile(r"[0-9]{10}")


def destination_of(destination: Mapping[str, Any]) -> dict[str, Any]:
    """Account and conversion action in the API's form. Raises :class:`Trouble` (setup) where one is missing or amiss."""
    account, action = destination.get("account_id"), destination.get("action_id")
    login = destination.get("login_account_id")
    given = {"account_id": account, "action_id": action, **({"login_account_id": login} if login else {})}
    for name, value in given.items():
        form = _DIGITS if name == "action_id" else _ACCOUNT
        if not isinstance(value, str) or not form.fullmatch(value):
            raise Trouble(Why.SETUP, f"bad_{name}", "digits only, ten for an account")
    found: dict[str, Any] = {
        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": account},
        "productDestinationId": action,
    }
    if login and login != account:
        found["loginAccount"] = {"accountType": "GOOGLE_ADS", "accountId": login}
    return found


def request_of(
    destination: Mapping[str, Any], events: Sequence[Mapping[str, Any]], *, rehearse: bool
) -> dict[str, Any]:
    """The body of ``events:ingest``. ``rehearse``: it is looked at and not carried out."""
    return {"destinations": [destination], "events": events, "encoding": "HEX", "validateOnly": rehearse}


def event_of(item: Item) -> dict[str, Any]:
    """One event. A correction is the same event with another value: the transaction id says so."""
    said = CONSENT.get(item.consent, NOT_SAID)
    event: dict[str, Any] = {
        "transactionId": item.order_id,
        # Whole seconds: as in all other formats, and so that the same conversion never has two times.
        "eventTimestamp": f"{item.occurred_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": SOURCE.get(item.action, OTHER_SOURCE),
        "conversionValue": float(item.value),
        "currency": item.currency,
        "consent": {"adUserData": said, "adPersonalization": said},
    }
    if item.click_id is not None and item.click_id_kind is not None:
        event["adIdentifiers"] = {item.click_id_kind: item.click_id}
    people = _people(item)
    if people:
        event["userData"] = {"userIdentifiers": people}
    return event


def _people(item: Item) -> list[dict[str, str]]:
    """Hashes of a visitor who agreed, and not beside a braid: Google has refused the two together."""
    if item.consent != "granted" or item.click_id_kind in ("wbraid", "gbraid"):
        return []
    email = hashed_email(item.email) if item.email else None
    phone = hashed_phone(item.phone) if item.phone else None
    return ([{"emailAddress": email}] if email else []) + ([{"phoneNumber": phone}] if phone else [])


def flaw_of(item: Item, kind: Kind, now: datetime, *, first: bool) -> Outcome | None:
    """Why this one must not be sent.

    ``first``: the batch was never sent before. What has become too old since then is no reason: Google may have it.
    """
    reason, detail = _form(item)
    if reason is None and kind == "new":
        reason, detail = _click(item)
        if reason is None and first and now - (item.clicked_at or item.occurred_at) > LONGEST_CLICK_AGE:
            reason, detail = "too_old", "Google takes none whose click is older than 90 days"
    if reason is not None:
        return Outcome(item.position, "failed", reason, detail)
    ahead = item.occurred_at - now - CLOCKS_DIFFER
    if ahead > timedelta(0):
        return Outcome(
            item.position, "failed", "in_the_future", "it has not happened yet", ahead.total_seconds() + 60
        )
    return None


def _form(item: Item) -> tuple[str | None, str]:
    if len(item.order_id) > LONGEST_ORDER_ID or not _PRINTABLE.fullmatch(item.order_id):
        return "bad_order_id", f"at most {LONGEST_ORDER_ID} characters, none of them a space"
    if item.occurred_at.tzinfo is None:
        return "bad_time", "the time has no zone"
    if not item.value.is_finite() or not 0 <= item.value <= MOST:
        return "bad_amount", f"from 0 to {MOST:,}"
    if not _CURRENCY.fullmatch(item.currency):
        return "bad_currency", "three capital letters"
    if (item.click_id is None) != (item.click_id_kind is None):
        return "bad_click_id", "a click id and what kind of one belong together"
    if item.click_id is not None and not (
        len(item.click_id) <= LONGEST_CLICK_ID and _PRINTABLE.fullmatch(item.click_id)
    ):
        return "bad_click_id", "no click id looks like this"
    return None, ""


def _click(item: Item) -> tuple[str | None, str]:
    if item.click_id is None:
        return "no_click_id", "Google takes no conversion that names no click"
    if item.clicked_at is not None and item.occurred_at <= item.clicked_at:
        return "precedes_click", "it has to be later than the click"
    return None, ""
