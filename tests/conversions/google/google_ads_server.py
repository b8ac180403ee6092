"""The Google Ads API, as far as conversions go: uploads, their adjustments, and the queries of a connection test.

Fields, formats and limits are those of the public definitions (google/ads/googleads/v25 and later:
services/conversion_upload_service.proto, conversion_adjustment_upload_service.proto, errors/*.proto), in proto3's JSON: a
field that is not defined is refused as Google refuses it, with the whole request. Each conversion is taken or refused by
itself; a refusal is an error in the details of ``partialFailureError`` with the index in its path, and an empty result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conversions.google.errors import STATUS, no
from tests.conversions.google.google_ads_codes import ADJUSTMENT as ADJUSTMENTS
from tests.conversions.google.google_ads_codes import FUTURE, UPLOAD
from tests.conversions.google.server import Request, Response
from tests.conversions.google.tokens import ADWORDS, Tokens

VERSION = "v26"
FAILURE = f"type.googleapis.com/google.ads.googleads.{VERSION}.errors.GoogleAdsFailure"
MOST = 2000
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")
ACTION = re.compile(r"customers/\d{1,10}/conversionActions/(\d{1,19})")
HASH = re.compile(r"[0-9a-f]{64}")
CONSENT = {"GRANTED", "DENIED", "UNSPECIFIED"}

# JSON fields of the messages, and the types of their values.
TEXT, NUMBER, LIST, OBJECT, BOOLEAN = str, (int, float), list, dict, bool
CONVERSION = {
    "gclid": TEXT, "gbraid": TEXT, "wbraid": TEXT, "conversionAction": TEXT, "conversionDateTime": TEXT,
    "conversionValue": NUMBER, "currencyCode": TEXT, "orderId": TEXT, "externalAttributionData": OBJECT,
    "customVariables": LIST, "cartData": OBJECT, "userIdentifiers": LIST, "conversionEnvironment": TEXT,
    "consent": OBJECT, "customerType": TEXT, "userIpAddress": TEXT, "sessionAttributesEncoded": TEXT,
    "sessionAttributesKeyValuePairs": OBJECT,
}  # fmt: skip
ADJUSTMENT = {
    "gclidDateTimePair": OBJECT, "orderId": TEXT, "conversionAction": TEXT, "adjustmentDateTime": TEXT,
    "adjustmentType": TEXT, "restatementValue": OBJECT, "userIdentifiers": LIST, "userAgent": TEXT,
}  # fmt: skip
UPLOAD_REQUEST = {"conversions": LIST, "partialFailure": BOOLEAN, "validateOnly": BOOLEAN, "jobId": int}
ADJUST_REQUEST = {
    "conversionAdjustments": LIST,
    "partialFailure": BOOLEAN,
    "validateOnly": BOOLEAN,
    "jobId": int,
}
IDENTIFIER = {
    "userIdentifierSource": TEXT, "hashedEmail": TEXT, "hashedPhoneNumber": TEXT, "mobileId": TEXT,
    "thirdPartyUserId": TEXT, "addressInfo": OBJECT,
}  # fmt: skip
RESTATEMENT = {"adjustedValue": NUMBER, "currencyCode": TEXT}
CONSENT_FIELDS = {"adUserData": TEXT, "adPersonalization": TEXT}


class Refused(Exception):  # noqa: N818 - what the API says, no mistake of ours
    """One error about one conversion."""

    def __init__(self, code: str, *path: str, family: str = "", message: str = "") -> None:
        self.code, self.path, self.family, self.message = code, path, family, message


class Malformed(Exception):  # noqa: N818
    """What no parser of the API reads: the whole request is refused."""


@dataclass
class Action:
    id: str
    name: str = "Sealed lead"
    type: str = "UPLOAD_CLICKS"
    status: str = "ENABLED"
    is_new: bool = False


@dataclass
class Held:
    """A conversion that the account holds."""

    value: float
    currency: str
    at: datetime
    identifier: str
    kind: str
    has_hashes: bool
    retracted: bool = False
    adjusted: list[datetime] = field(default_factory=list)


@dataclass
class Account:
    """One customer. ``clicks``: when each click was made, by its id; those not named are old enough and its own."""

    id: str
    actions: dict[str, Action] = field(default_factory=dict)
    held: dict[tuple[str, str], Held] = field(default_factory=dict)
    """By conversion action and order id."""
    seen: set[tuple[str, str, datetime]] = field(default_factory=set)
    """By conversion action, click and time."""
    clicks: dict[str, datetime] = field(default_factory=dict)
    managers: set[str] = field(default_factory=set)
    is_allow_listed: bool = True
    has_terms: bool = True
    is_enhanced: bool = True
    conversion_customer: str | None = None

    @property
    def total(self) -> float:
        """What its reports say."""
        return sum(0 if held.retracted else held.value for held in self.held.values())


class GoogleAdsServer:
    """``refuse`` names codes for order ids that are to be refused whatever the request says, each used ``times``."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.accounts: dict[str, Account] = {}
        self.codes: dict[str, list[Refused]] = {}
        self.uploads: list[dict[str, Any]] = []
        """The requests that were read, each as it came."""

    def account(self, customer: str = "1234567890", action: str = "987654321") -> Account:
        """A new account with one conversion action."""
        self.accounts[customer] = Account(customer, {action: Action(action)})
        return self.accounts[customer]

    def refuse(
        self, order_id: str, code: str, *, times: int = 1, family: str = "", message: str = ""
    ) -> None:
        """Refuse this order id with this code as often."""
        assert family or code in UPLOAD | ADJUSTMENTS | {FUTURE}, f"the API has no {code}"
        self.codes.setdefault(order_id, []).extend([Refused(code, family=family, message=message)] * times)

    async def handle(self, request: Request) -> Response | None:
        found = re.fullmatch(rf"/{VERSION}/customers/([^/:]+)(:\w+|/googleAds:search)", request.path)
        if found is None or request.method != "POST":
            return None
        if (refusal := self.tokens.refusal(request, ADWORDS)) is not None:
            return refusal
        if "developer-token" in request.headers:
            raise AssertionError("developer tokens have been sunset")
        account = self.accounts.get(found[1])
        if re.fullmatch(r"\d{10}", found[1]) is None:
            return whole(400, "INVALID_CUSTOMER_ID", "requestError", "The customer id is invalid.")
        login = request.headers.get("login-customer-id")
        if login is not None and re.fullmatch(r"\d{10}", login) is None:
            return whole(400, "INVALID_LOGIN_CUSTOMER_ID", "headerError", "The login customer id is invalid.")
        if account is None or (account.managers and login not in account.managers):
            words = "User doesn't have permission to access customer."
            return whole(403, "USER_PERMISSION_DENIED", "authorizationError", words)
        if found[2] == "/googleAds:search":
            return self._search(account, request.json())
        methods: dict[str, Callable[[Account, Any], Response]] = {
            ":uploadClickConversions": self._upload, ":uploadConversionAdjustments": self._adjust,
        }  # fmt: skip
        method = methods.get(found[2])
        if method is None:
            return None
        try:
            return method(account, request.json())
        except Malformed as wrong:
            return no(400, f"Invalid JSON payload received. {wrong}", domain="googleads.googleapis.com")

    # Uploads.

    def _upload(self, account: Account, body: Any) -> Response:
        rows = _request(body, UPLOAD_REQUEST, "conversions")
        for row in rows:
            _conversion_shape(row)
        if not account.is_allow_listed:
            words = "The customer is not allowlisted for this feature."
            return whole(403, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "notAllowlistedError", words)
        if len(rows) > MOST:
            return whole(
                400, "TOO_MANY_CONVERSIONS_IN_REQUEST", "conversionUploadError", "Too many conversions."
            )
        orders = [row.get("orderId") for row in rows]

        def carry_out(row: dict[str, Any], *, really: bool) -> dict[str, Any]:
            if row.get("orderId") and orders.count(row["orderId"]) > 1:
                raise Refused("DUPLICATE_ORDER_ID", "order_id")
            return _take(account, row, really=really)

        return self._answer(body, rows, "conversions", "conversionUploadError", carry_out)

    def _adjust(self, account: Account, body: Any) -> Response:
        rows = _request(body, ADJUST_REQUEST, "conversionAdjustments")
        for row in rows:
            _known(row, ADJUSTMENT)
            _known(row.get("restatementValue", {}), RESTATEMENT)
        if len(rows) > MOST:
            code = "TOO_MANY_ADJUSTMENTS_IN_REQUEST"
            return whole(400, code, "conversionAdjustmentUploadError", "Too many adjustments.")

        def carry_out(row: dict[str, Any], *, really: bool) -> dict[str, Any]:
            return _change(account, row, really=really)

        return self._answer(
            body, rows, "conversion_adjustments", "conversionAdjustmentUploadError", carry_out
        )

    def _answer(
        self, body: Any, rows: list[Any], name: str, family: str, carry_out: Callable[..., Any]
    ) -> Response:
        if body.get("partialFailure") is not True:
            words = "This method requires the partial failure field to be true."
            return whole(400, "PARTIAL_FAILURE_MODE_REQUIRED", "partialFailureError", words)
        self.uploads.append(body)
        validates = body.get("validateOnly", False)
        results, errors = [], []
        for index, row in enumerate(rows):
            try:
                if self.codes.get(row.get("orderId", "")) and not validates:
                    raise self.codes[row["orderId"]].pop(0)
                results.append(carry_out(row, really=not validates))
            except Refused as refused:
                results.append({})
                errors.append(_error(refused, family, name, index))
        answer: dict[str, Any] = {"jobId": "2147483999"}
        if not validates:
            answer["results"] = results
        if errors:
            details = [{"@type": FAILURE, "errors": errors, "requestId": "r-1"}]
            answer["partialFailureError"] = {
                "code": 3,
                "message": "Multiple errors in 'details'.",
                "details": details,
            }
        return Response(200, answer)

    # Queries.

    def _search(self, account: Account, body: Any) -> Response:
        if not isinstance(body, dict) or body.keys() != {"query"}:
            return no(400, "Invalid JSON payload received.", domain="googleads.googleapis.com")
        found = re.fullmatch(
            r"SELECT ([a-z_., ]+) FROM (customer|conversion_action)(?: WHERE conversion_action\.id = (\d+))?(?: LIMIT 1)?",
            body["query"],
        )
        if found is None:
            return whole(400, "BAD_VALUE", "queryError", "Error in query.", path="query")
        fields = [name.strip() for name in found[1].split(",")]
        if found[2] == "customer":
            setting = {
                "accepted_customer_data_terms": account.has_terms,
                "effective_enablement_setting": "ON" if account.is_enhanced else "OFF",
                "google_ads_conversion_customer": f"customers/{account.conversion_customer or account.id}",
            }  # fmt: skip
            known = {f"customer.conversion_tracking_setting.{name}": value for name, value in setting.items()}
            rows = [known | {"customer.id": account.id, "customer.resource_name": f"customers/{account.id}"}]
        else:
            rows = [
                {
                    f"conversion_action.{name}": getattr(action, name)
                    for name in ("id", "name", "type", "status")
                }
                for action in account.actions.values()
                if found[3] is None or action.id == found[3]
            ]
        if rows and (unknown := [name for name in fields if name not in rows[0]]):
            words = f"Unrecognized fields in the query: {unknown}."
            return whole(400, "UNRECOGNIZED_FIELD", "queryError", words, path="query")
        answer = {"fieldMask": ",".join(fields)}
        return Response(
            200, {"results": [_nested(row, fields) for row in rows], **answer} if rows else answer
        )


def whole(
    status: int,
    code: str,
    family: str,
    message: str,
    *,
    path: str = "",
    details: Mapping[str, Any] | None = None,
) -> Response:
    """A request that is refused as a whole."""
    error: dict[str, Any] = {"errorCode": {family: code}, "message": message}
    if path:
        error["location"] = {"fieldPathElements": [{"fieldName": path}]}
    if details:
        error["details"] = details
    found = [{"@type": FAILURE, "errors": [error], "requestId": "r-1"}]
    words = (
        "Request contains an invalid argument." if status == 400 else "The caller does not have permission"
    )
    return Response(
        status, {"error": {"code": status, "message": words, "status": STATUS[status], "details": found}}
    )


def _error(refused: Refused, family: str, name: str, index: int) -> dict[str, Any]:
    known = {"conversionUploadError": UPLOAD, "conversionAdjustmentUploadError": ADJUSTMENTS}[family] | {
        FUTURE
    }
    assert refused.family or refused.code in known, f"{family} has no {refused.code}"
    path: list[dict[str, Any]] = [{"fieldName": name, "index": index}]
    path += [{"fieldName": part} for part in refused.path]
    return {
        "errorCode": {refused.family or family: refused.code},
        "message": refused.message or f"It was refused: {refused.code}.",
        "trigger": {"stringValue": "the value that is wrong"},
        "location": {"fieldPathElements": path},
    }


def _request(body: Any, fields: Mapping[str, Any], name: str) -> list[Any]:
    _known(body, fields)
    rows = body.get(name)
    if not rows:
        raise Malformed(f"{name} is required")
    return list(rows)


def _known(found: Any, fields: Mapping[str, Any]) -> None:
    if not isinstance(found, dict):
        raise Malformed(f"Invalid value (Object), {type(found).__name__}")
    for name, value in found.items():
        if name not in fields:
            raise Malformed(f'Unknown name "{name}": Cannot find field.')
        kinds = fields[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not BOOLEAN):
            raise Malformed(f"Invalid value at '{name}'")


def _conversion_shape(row: Any) -> None:
    _known(row, CONVERSION)
    _known(row.get("consent", {}), CONSENT_FIELDS)
    for said in row.get("consent", {}).values():
        if said not in CONSENT:
            raise Malformed(f"Invalid value at 'consent' (ConsentStatus), {said}")
    for identifier in row.get("userIdentifiers", []):
        _known(identifier, IDENTIFIER)


def _take(account: Account, row: dict[str, Any], *, really: bool) -> dict[str, Any]:
    """Record one conversion. Raises :class:`Refused`."""
    action = _action(account, row, "UPLOAD_CLICKS")
    kinds = [kind for kind in ("gclid", "gbraid", "wbraid") if row.get(kind)]
    if {"gbraid", "wbraid"} <= set(kinds):
        raise Refused("GBRAID_WBRAID_BOTH_SET")
    identifiers = row.get("userIdentifiers", [])
    if len(kinds) > 1 or (identifiers and kinds != ["gclid"]):
        raise Refused("VALUE_MUST_BE_UNSET", kinds[0], family="fieldError")
    if not kinds and not identifiers:
        raise Refused("REQUIRED", "gclid", family="fieldError")
    at = _moment(row.get("conversionDateTime"), "conversion_date_time")
    if at > datetime.now(UTC) + timedelta(minutes=5):
        raise Refused("LATER_THAN_MAXIMUM_DATE", "conversion_date_time", family="dateError")
    _identifiers(account, identifiers)
    order = row.get("orderId", "")
    if order and re.search(r"\+?\d[\d ().-]{8,}\d|@", re.sub(r"[0-9a-f]{32}", "", order)):
        raise Refused("ORDER_ID_CONTAINS_PII", "order_id")
    value, currency = row.get("conversionValue", 0), row.get("currencyCode", "")
    if value < 0 or (currency and re.fullmatch(r"[A-Z]{3}", currency) is None):
        raise Refused("INVALID_VALUE", "conversion_value", family="fieldError")
    if (action.id, order) in account.held:
        raise Refused("ORDER_ID_ALREADY_IN_USE", "order_id")
    click = row[kinds[0]] if kinds else ""
    if kinds:
        _click(account, kinds[0], click, at)
    if (action.id, click, at) in account.seen:
        raise Refused("CLICK_CONVERSION_ALREADY_EXISTS")
    if really:
        kind = kinds[0] if kinds else "hash"
        account.seen.add((action.id, click, at))
        account.held[action.id, order] = Held(float(value), currency, at, click, kind, bool(identifiers))
    named = {kind: row[kind] for kind in kinds}
    return named | {
        "conversionAction": row["conversionAction"],
        "conversionDateTime": row["conversionDateTime"],
    }


def _click(account: Account, kind: str, click: str, at: datetime) -> None:
    """Case matters, and ids have a shape: letters, digits, dash and underscore."""
    if re.fullmatch(r"[A-Za-z0-9_.-]{10,}", click) is None:
        raise Refused(f"UNPARSEABLE_{kind.upper()}", kind)
    made = account.clicks.get(click, at - timedelta(days=1))
    now = datetime.now(UTC)
    if made > now - timedelta(hours=6):
        raise Refused("TOO_RECENT_EVENT", kind)
    if now - made > timedelta(days=90):
        raise Refused("EXPIRED_EVENT", kind)
    if at <= made:
        raise Refused("CONVERSION_PRECEDES_EVENT", "conversion_date_time")


def _identifiers(account: Account, identifiers: list[dict[str, Any]]) -> None:
    if len(identifiers) > 5:
        raise Refused("INVALID_VALUE", "user_identifiers", family="fieldError")
    for identifier in identifiers:
        hashed = [value for name, value in identifier.items() if name != "userIdentifierSource"]
        if identifier.keys() - {"userIdentifierSource", "hashedEmail", "hashedPhoneNumber"}:
            raise Refused("UNSUPPORTED_USER_IDENTIFIER", "user_identifiers")
        if len(hashed) != 1 or HASH.fullmatch(hashed[0]) is None:
            raise Refused("INVALID_USER_IDENTIFIER", "user_identifiers")
    if identifiers and not account.has_terms:
        raise Refused("CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS")
    if identifiers and not account.is_enhanced:
        raise Refused("CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS")


def _change(account: Account, row: dict[str, Any], *, really: bool) -> dict[str, Any]:
    """Adjust one conversion. Raises :class:`Refused`."""
    action = _action(account, row, "UPLOAD_CLICKS", "WEBPAGE", "SALESFORCE")
    kind, restated = row.get("adjustmentType"), row.get("restatementValue")
    if kind not in ("RETRACTION", "RESTATEMENT"):
        raise Refused("INVALID_ENUM_VALUE", "adjustment_type", family="requestError")
    if kind == "RETRACTION" and restated is not None:
        raise Refused("VALUE_MUST_BE_UNSET", "restatement_value", family="fieldError")
    if kind == "RESTATEMENT" and (not restated or "adjustedValue" not in restated):
        raise Refused("REQUIRED", "restatement_value", family="fieldError")
    if "gclidDateTimePair" in row:
        raise Refused("GCLID_DATE_TIME_PAIR_AND_ORDER_ID_BOTH_SET")
    at = _moment(row.get("adjustmentDateTime"), "adjustment_date_time")
    held = account.held.get((action.id, row.get("orderId", "")))
    if held is None or held.kind == "wbraid":
        raise Refused("CONVERSION_NOT_FOUND", "order_id")
    if held.retracted:
        raise Refused("CONVERSION_ALREADY_RETRACTED", "order_id")
    if at <= held.at:
        raise Refused("ADJUSTMENT_PRECEDES_CONVERSION", "adjustment_date_time")
    if datetime.now(UTC) - held.at > timedelta(days=54):
        raise Refused("CONVERSION_EXPIRED", "order_id")
    if kind == "RESTATEMENT" and at in held.adjusted:
        raise Refused("RESTATEMENT_ALREADY_EXISTS", "adjustment_date_time")
    if any(at < before for before in held.adjusted):
        raise Refused("MORE_RECENT_RESTATEMENT_FOUND", "adjustment_date_time")
    if really and kind == "RETRACTION":
        held.retracted = True
    elif really and restated:
        held.value, held.currency = (
            float(restated["adjustedValue"]),
            restated.get("currencyCode", held.currency),
        )
        held.adjusted.append(at)
    return {
        name: row[name] for name in ("orderId", "conversionAction", "adjustmentDateTime", "adjustmentType")
    }


def _action(account: Account, row: dict[str, Any], *types: str) -> Action:
    named = ACTION.fullmatch(row.get("conversionAction", ""))
    if named is None:
        raise Refused("RESOURCE_NAME_MALFORMED", "conversion_action", family="requestError")
    action = account.actions.get(named[1])
    if action is None or action.status != "ENABLED":
        raise Refused("NO_CONVERSION_ACTION_FOUND", "conversion_action")
    if action.type not in types:
        raise Refused("INVALID_CONVERSION_ACTION_TYPE", "conversion_action")
    if action.is_new:
        raise Refused("TOO_RECENT_CONVERSION_ACTION", "conversion_action")
    return action


def _moment(text: Any, name: str) -> datetime:
    if not isinstance(text, str) or DATE_TIME.fullmatch(text) is None:
        raise Refused("INVALID_STRING_DATE_TIME", name, family="dateError")
    return datetime.fromisoformat(text)


def _nested(row: Mapping[str, Any], fields: list[str]) -> dict[str, Any]:
    """Dotted names as objects, in proto3's JSON names."""
    found: dict[str, Any] = {}
    for name in fields:
        *path, last = [re.sub(r"_(.)", lambda m: m[1].upper(), part) for part in name.split(".")]
        place = found
        for part in path:
            place = place.setdefault(part, {})
        place[last] = row[name]
    return found
