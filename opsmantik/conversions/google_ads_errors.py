"""What the Google Ads API's errors mean for one conversion, and for a whole batch.

Google answers each refused conversion with a code of its own (``ConversionUploadError``,
``ConversionAdjustmentUploadError``), in the details of the answer (``GoogleAdsFailure``), with the index of the
conversion in its path. The classes here are those of Google's guide to such errors: wait, done, never, put right.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from opsmantik.conversions.adapters import Trouble, Why

HOUR: Final = 3600.0
SIX_HOURS: Final = 6 * HOUR
UNKNOWN_AGAIN: Final = (HOUR, SIX_HOURS, 24 * HOUR)
"""After the first, second and third refusal by a code that is not known here; then never by itself."""
_INDEXED: Final = ("conversions", "conversion_adjustments", "conversionAdjustments")


class Means(enum.Enum):
    """What is to be done about a conversion that got a code."""

    DONE = enum.auto()
    """Google has it, from an earlier try."""
    SETUP = enum.auto()
    """Nothing of this site can go through before somebody has put that right at Google."""
    NEVER = enum.auto()
    """It will not be taken, however often it is sent."""
    GONE = enum.auto()
    """There is nothing to put right or to take back."""
    WAIT = enum.auto()
    """Too early."""
    SOON = enum.auto()
    """Google's own fault."""
    WITHOUT_HASHES = enum.auto()
    """The hashes are what it does not want; it may want the click."""
    UNKNOWN = enum.auto()


# Where a conversion has several codes, the first of these counts.
_ORDER: Final = tuple(Means)

UPLOAD: Final[Mapping[str, Means]] = {
    "ORDER_ID_ALREADY_IN_USE": Means.DONE,
    "CLICK_CONVERSION_ALREADY_EXISTS": Means.DONE,
    "TOO_RECENT_EVENT": Means.WAIT,
    "TOO_RECENT_CONVERSION_ACTION": Means.WAIT,
    "UNPARSEABLE_GCLID": Means.NEVER,
    "UNPARSEABLE_WBRAID": Means.NEVER,
    "UNPARSEABLE_GBRAID": Means.NEVER,
    "GBRAID_WBRAID_BOTH_SET": Means.NEVER,
    "EXPIRED_EVENT": Means.NEVER,
    "CONVERSION_PRECEDES_EVENT": Means.NEVER,
    "EVENT_NOT_FOUND": Means.NEVER,
    "ORDER_ID_CONTAINS_PII": Means.NEVER,
    "CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY": Means.NEVER,
    "CONVERSION_TRACKING_NOT_ENABLED_AT_IMPRESSION_TIME": Means.NEVER,
    # Of one click, which came from somebody else's advertisement; the next one's may be ours.
    "INVALID_CUSTOMER_FOR_CLICK": Means.NEVER,
    "UNAUTHORIZED_CUSTOMER": Means.NEVER,
    # Of braids alone; other clicks of the same action go through.
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID": Means.NEVER,
    "CLICK_NOT_FOUND": Means.WITHOUT_HASHES,
    "INVALID_USER_IDENTIFIER": Means.WITHOUT_HASHES,
    "UNSUPPORTED_USER_IDENTIFIER": Means.WITHOUT_HASHES,
    "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": Means.WITHOUT_HASHES,
    "EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION_NOT_PERMITTED_WITH_USER_IDENTIFIER": Means.WITHOUT_HASHES,
    "NO_CONVERSION_ACTION_FOUND": Means.SETUP,
    "INVALID_CONVERSION_ACTION_TYPE": Means.SETUP,
    "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS": Means.SETUP,
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": Means.SETUP,
    "EXTERNAL_ATTRIBUTION_DATA_NOT_SET_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION": Means.SETUP,
    "ORDER_ID_NOT_PERMITTED_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION": Means.SETUP,
}
ADJUSTMENT: Final[Mapping[str, Means]] = {
    "TOO_RECENT_CONVERSION": Means.WAIT,
    "TOO_RECENT_CONVERSION_ACTION": Means.WAIT,
    "CONVERSION_NOT_FOUND": Means.GONE,
    "CONVERSION_EXPIRED": Means.NEVER,
    "TOO_MANY_ADJUSTMENTS": Means.NEVER,
    "ORDER_ID_CONTAINS_PII": Means.NEVER,
    "MISSING_ORDER_ID_FOR_WEBPAGE": Means.NEVER,
    # New conversions go through all the same.
    "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE": Means.NEVER,
    "NO_CONVERSION_ACTION_FOUND": Means.SETUP,
    "INVALID_CONVERSION_ACTION_TYPE": Means.SETUP,
    "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS": Means.SETUP,
}
# What a refused token means, where that is more than that it is refused.
_UNAUTHENTICATED: Final[Mapping[str, str]] = {
    "OAUTH_TOKEN_REVOKED": "revoked",
    "OAUTH_TOKEN_DISABLED": "revoked",
    "GOOGLE_ACCOUNT_DELETED": "revoked",
    "NOT_ADS_USER": "not_ads_user",
    "TWO_STEP_VERIFICATION_NOT_ENROLLED": "two_step_needed",
    "ADVANCED_PROTECTION_NOT_ENROLLED": "two_step_needed",
}
_SOON: Final = frozenset({"TRANSIENT_ERROR", "INTERNAL_ERROR", "DEADLINE_EXCEEDED"})


class Failure(msgspec.Struct, frozen=True):
    """One error: the enum that it is from, its name there, what is said in words, and which conversion it is about."""

    family: str
    """As in the JSON: conversionUploadError."""
    code: str
    words: str
    index: int | None

    @property
    def word(self) -> str:
        """The code as the ledger keeps it."""
        return self.code.lower()[:100]

    def means(self) -> Means:
        """What is to be done about the conversion."""
        if self.family == "notAllowlistedError":
            return Means.SETUP
        if self.family == "internalError" and self.code in _SOON:
            return Means.SOON
        table = {"conversionUploadError": UPLOAD, "conversionAdjustmentUploadError": ADJUSTMENT}.get(
            self.family, {}
        )
        return table.get(self.code, Means.UNKNOWN)


UNNAMED: Final = Failure("", "refused_without_reason", "", None)


def failures_of(status: Any) -> list[Failure]:
    """The errors in a google.rpc.Status: the ``error`` of a refused request, or ``partialFailureError``."""
    return list(_failures(status))


def _failures(status: Any) -> Iterator[Failure]:
    for detail in _list(_dict(status).get("details")):
        for error in _list(_dict(detail).get("errors")):
            code = _dict(_dict(error).get("errorCode"))
            family, name = next(((f, str(n)) for f, n in code.items()), ("", ""))
            unpublished = _dict(_dict(error).get("details")).get("unpublishedErrorCode")
            if isinstance(unpublished, str) and unpublished:
                name = unpublished.rpartition(".")[2]
            path = _list(_dict(_dict(error).get("location")).get("fieldPathElements"))
            yield Failure(family, name or "unknown", _words(error), _index(path))


def worst(failures: Sequence[Failure]) -> Failure:
    """Of several about one conversion, the one that decides."""
    return min(failures, key=lambda failure: _ORDER.index(failure.means()))


def refused(status: int, body: Any) -> Trouble:
    """What a request that was refused as a whole (4xx other than 429) means."""
    error = _dict(_dict(body).get("error"))
    failures = failures_of(error)
    words = failures[0].words if failures else _words(error)
    code = failures[0].code if failures else _reason(error) or str(error.get("status") or f"http_{status}")
    word = code.lower()[:60]
    if code == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
        return Trouble(Why.NOT_CONNECTED, "scope_missing", words)
    if any(f.family == "quotaError" for f in failures) and code != "ACCESS_PROHIBITED":
        return Trouble(Why.BUSY, "quota", words)
    if any(f.family == "internalError" for f in failures):
        return Trouble(Why.UNSURE, word, words)
    if status == 401 and code != "CUSTOMER_NOT_FOUND":
        return Trouble(Why.NOT_CONNECTED, _UNAUTHENTICATED.get(code, "token_refused"), words)
    return Trouble(Why.SETUP, word, words)


def _reason(error: Mapping[str, Any]) -> str:
    """The reason of a google.rpc.ErrorInfo: what lies before the API itself, such as that it is not switched on."""
    for detail in _list(error.get("details")):
        reason = _dict(detail).get("reason")
        if isinstance(reason, str):
            return reason
    return ""


def _index(path: Sequence[Any]) -> int | None:
    for element in path:
        if _dict(element).get("fieldName") in _INDEXED:
            index = _dict(element).get("index")
            return index if isinstance(index, int) and index >= 0 else None
    return None


def _words(error: Any) -> str:
    """Google's message. What triggered it (``trigger``) is left out: that may be the visitor's."""
    said = _dict(error).get("message")
    return said[:300] if isinstance(said, str) else ""


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
