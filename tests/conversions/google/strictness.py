"""Reads a request to the Data Manager API as its definition says, and as its guides say: what is not written there is
refused, and with one bad event all others."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from babel.numbers import list_currencies

from tests.conversions.google.definition import (
    MESSAGES,
    MOST_DESTINATIONS,
    MOST_EVENTS,
    MOST_IDENTIFIERS,
    ONE_OF,
    Kind,
)
from tests.conversions.google.errors import Violation

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z")
_HASH = {"HEX": re.compile(r"[0-9a-f]{64}"), "BASE64": re.compile(r"[A-Za-z0-9+/]{43}=")}
_CURRENCIES = list_currencies("en")


def shape(message: str, found: Any, path: str = "") -> list[Violation]:
    """What the JSON has that the message has not."""
    if not isinstance(found, dict):
        return [Violation(path, None, "Invalid JSON payload received. It is no message.")]
    wrong: list[Violation] = []
    for name, value in found.items():
        here = f"{path}.{name}" if path else name
        if name not in MESSAGES[message]:
            words = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            wrong.append(Violation(path or name, None, words))
        else:
            wrong += _kind(MESSAGES[message][name], value, here)
    if len([name for name in ONE_OF.get(message, ()) if name in found]) > 1:
        wrong.append(Violation(path, None, "oneof field is already set."))
    return wrong


def _kind(kind: Kind, value: Any, path: str) -> list[Violation]:
    if kind is None:
        return [Violation(path, "INVALID_ARGUMENT", "conversions of Google Ads have no use for this here")]
    if isinstance(kind, tuple):
        ok = value in kind
    elif kind.startswith("["):
        if isinstance(value, list):
            return [v for n, one in enumerate(value) for v in _kind(kind[1:-1], one, f"{path}[{n}]")]
        ok = False
    elif kind == "Timestamp":
        ok = isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None
    elif kind in ("string", "bool"):
        ok = isinstance(value, str if kind == "string" else bool)
    elif kind == "double":
        ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    else:
        return shape(kind, value, path)
    return [] if ok else [Violation(path, None, f"Invalid value at '{path}'")]


def sense(request: dict[str, Any], *, wants_identifier: bool) -> list[Violation]:
    """What the guides forbid; the request has its shape already."""
    wrong: list[Violation] = []
    destinations, events = request.get("destinations", []), request.get("events", [])
    for name, given, most, reason in (
        ("destinations", destinations, MOST_DESTINATIONS, "TOO_MANY_DESTINATIONS"),
        ("events", events, MOST_EVENTS, "TOO_MANY_EVENTS"),
    ):
        if not given:
            wrong.append(Violation(name, "REQUIRED_FIELD_MISSING", "at least one is required"))
        if len(given) > most:
            wrong.append(Violation(name, reason, f"at most {most}"))
    for n, destination in enumerate(destinations):
        wrong += _destination(destination, f"destinations.destinations[{n}]")
    encoding = request.get("encoding", "ENCODING_UNSPECIFIED")
    for n, event in enumerate(events[:MOST_EVENTS]):
        wrong += _event(event, f"events.events[{n}]", encoding, wants_identifier)
    return wrong


def _destination(destination: dict[str, Any], path: str) -> list[Violation]:
    wrong = []
    account = destination.get("operatingAccount", {})
    for name in ("operatingAccount", "loginAccount"):
        one = destination.get(name)
        if name == "operatingAccount" and one is None:
            wrong.append(Violation(f"{path}.operating_account", "REQUIRED_FIELD_MISSING", "required"))
        if one is not None and not re.fullmatch(r"\d{10}", one.get("accountId", "")):
            wrong.append(Violation(f"{path}.{name}.account_id", "INVALID_DESTINATION", "ten digits"))
    if account.get("accountType") != "GOOGLE_ADS":
        wrong.append(
            Violation(f"{path}.operating_account", "INVALID_ENUM_VALUE", "only Google Ads is served here")
        )
    if not destination.get("productDestinationId"):
        wrong.append(Violation(f"{path}.product_destination_id", "REQUIRED_FIELD_MISSING", "required"))
    return wrong


def _event(event: dict[str, Any], path: str, encoding: str, wants_identifier: bool) -> list[Violation]:
    wrong = []
    if not event.get("transactionId"):
        wrong.append(
            Violation(f"{path}.transaction_id", "REQUIRED_FIELD_MISSING", "each send has to be safe")
        )
    elif len(event["transactionId"]) > 64:
        wrong.append(Violation(f"{path}.transaction_id", "FIELD_VALUE_TOO_LONG", "at most 64 characters"))
    wrong += _time(event.get("eventTimestamp"), f"{path}.event_timestamp")
    if event.get("eventSource", "EVENT_SOURCE_UNSPECIFIED") == "EVENT_SOURCE_UNSPECIFIED":
        wrong.append(
            Violation(f"{path}.event_source", "REQUIRED_FIELD_MISSING", "required for offline conversions")
        )
    if ("conversionValue" in event) != ("currency" in event):
        wrong.append(Violation(f"{path}.currency", "REQUIRED_FIELD_MISSING", "a value has a currency"))
    elif "currency" in event and event["currency"] not in _CURRENCIES:
        wrong.append(Violation(f"{path}.currency", "INVALID_CURRENCY_CODE", "three letters of ISO 4217"))
    if event.get("conversionValue", 0) < 0:
        wrong.append(Violation(f"{path}.conversion_value", "INVALID_NUMBER_FORMAT", "not below 0"))
    clicks = [name for name in ("gclid", "gbraid", "wbraid") if event.get("adIdentifiers", {}).get(name)]
    people = event.get("userData", {}).get("userIdentifiers", [])
    if wants_identifier and not clicks and not people:
        wrong.append(Violation(path, "NO_IDENTIFIERS_PROVIDED", "no user identifiers and no ad identifiers"))
    if len(clicks) > 1:
        wrong.append(Violation(f"{path}.ad_identifiers", "INVALID_EVENT", "one click id"))
    return wrong + _people(people, f"{path}.user_data", encoding, clicks)


def _time(text: str | None, path: str) -> list[Violation]:
    if text is None:
        return [Violation(path, "REQUIRED_FIELD_MISSING", "required")]
    if datetime.fromisoformat(text) > datetime.now(UTC) + timedelta(minutes=5):
        return [Violation(path, "EVENT_TIME_INVALID", "it lies in the future")]
    return []


def _people(people: list[dict[str, str]], path: str, encoding: str, clicks: list[str]) -> list[Violation]:
    wrong = []
    if people and encoding not in _HASH:
        return [Violation("encoding", "REQUIRED_FIELD_MISSING", "required where there is user data")]
    if len(people) > MOST_IDENTIFIERS:
        wrong.append(Violation(path, "TOO_MANY_USER_IDENTIFIERS", f"at most {MOST_IDENTIFIERS}"))
    if people and any(name != "gclid" for name in clicks):
        wrong.append(Violation(path, "INVALID_EVENT", "no user data beside a braid"))
    for n, one in enumerate(people):
        value = one.get("emailAddress") or one.get("phoneNumber") or ""
        if not _HASH[encoding].fullmatch(value):
            reason = "INVALID_HEX_ENCODING" if encoding == "HEX" else "INVALID_BASE64_ENCODING"
            wrong.append(
                Violation(f"{path}.user_identifiers[{n}]", reason, "it is not a hash in this encoding")
            )
    return wrong
