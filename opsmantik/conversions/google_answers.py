"""What Google's Data Manager API says, in the ledger's words: refusals of a request, and what became of one.

Pure. Only codes and names of fields are kept of what Google says about events: its sentences may quote what was sent.
Error model: https://developers.google.com/data-manager/api/devguides/concepts/understand-errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from opsmantik.conversions.adapters import Kind, Outcome, Trouble, Why
from opsmantik.conversions.http import Reply

SIX_HOURS: Final = 6 * 3600.0
HOUR: Final = 3600.0

SETUP: Final = frozenset({
    "INVALID_DESTINATION", "INVALID_CONVERSION_ACTION_ID", "INVALID_CONVERSION_ACTION_TYPE", "NOT_ALLOWLISTED",
    "TERMS_AND_CONDITIONS_NOT_SIGNED", "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
    "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
    "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED", "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
    "DESTINATION_ACCOUNT_TYPE_MISMATCH", "MISMATCHED_ACCOUNT_TYPE", "EVENT_SOURCE_AND_DESTINATION_MISMATCH",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED", "PERMISSION_DENIED",
})  # fmt: skip
"""ErrorReason: somebody has to put something right at Google, or in the destination, whichever event it is said about."""

LATER: Final[Mapping[str, float]] = {"CONVERSION_ACTION_TOO_RECENTLY_CREATED": SIX_HOURS}
"""ErrorReason: time puts it right; nothing of the request was taken."""

LOST: Final = frozenset({"INVALID_REQUEST_ID", "REQUEST_TOO_OLD", "NOT_FOUND"})
"""ErrorReason: Google does not say any more what became of a request."""

THERE: Final = frozenset({"DUPLICATE_TRANSACTION_ID"})
"""ProcessingErrorReason: of a first report, that Google has it already. Not DUPLICATE_GCLID: there Google has a conversion
of that click and second which is not known by this order id, so it could neither be corrected nor taken back by it."""
GONE: Final = frozenset({"ORIGINAL_CONVERSIONS_NOT_FOUND"})
"""ProcessingErrorReason: of a correction, that there is nothing to correct."""
AGAIN: Final[Mapping[str, float]] = {"TOO_RECENT_CLICK": SIX_HOURS, "INTERNAL_ERROR": HOUR}
"""ProcessingErrorReason: tried again after so many seconds. All others stay as they are until somebody looks at them."""

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,79}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]]{0,150}")
_EVENT = re.compile(r"^(?:events\.)?events\[(\d+)\]\.?(.*)$")
_PREFIX = re.compile(r"^PROCESSING_(?:ERROR|WARNING)_(?:REASON_)?")


class Refusal(msgspec.Struct, frozen=True):
    """A request that was not taken. ``events``: index in it: (reason, detail); empty where Google does not say which."""

    events: Mapping[int, tuple[str, str]]
    reason: str
    detail: str


class Status(msgspec.Struct, frozen=True):
    """What became of a request."""

    state: Literal["processing", "success", "failed", "partial", "lost"]
    errors: Mapping[str, int] = {}
    """ProcessingErrorReason without its prefix: how many."""
    warnings: Mapping[str, int] = {}


def refusal_of(reply: Reply) -> Refusal:
    """Why a request was not taken, where that is about its events. Raises :class:`Trouble` for everything else."""
    error = _error(reply)
    violations = _violations(error)
    reasons = [reason for _, reason in violations] + [_info(error)]
    if reply.status != 400:
        raise _trouble(reply.status, _info(error), _sentence(error))
    for reason in reasons:
        if reason in SETUP:
            raise Trouble(Why.SETUP, reason.lower(), _where(violations, reason))
        if reason in LATER:
            raise Trouble(Why.BUSY, reason.lower(), _where(violations, reason), LATER[reason])
    events: dict[int, tuple[str, str]] = {}
    for field, reason in violations:
        found = _EVENT.match(field)
        if found:
            events.setdefault(int(found[1]), (reason.lower() or "refused", f"{found[2]} {reason}".strip()))
        elif field.startswith("destinations"):
            raise Trouble(Why.SETUP, reason.lower() or "refused", f"{field} {reason}".strip())
    code = next((reason for reason in reasons if reason), "")
    return Refusal(events, code.lower() or "refused", _where(violations, code))


def _trouble(status: int, reason: str, sentence: str) -> Trouble:
    if status == 401 or reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
        return Trouble(Why.NOT_CONNECTED, reason.lower() or "unauthenticated", sentence)
    if status == 403 and reason in ("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"):
        return Trouble(Why.BUSY, "quota", sentence)
    if status in (403, 404):  # the API is switched off, the account is somebody else's, the address is wrong
        return Trouble(
            Why.SETUP, reason.lower() or ("permission_denied" if status == 403 else "not_found"), sentence
        )
    return Trouble(Why.UNSURE, "unexpected", f"{status} {sentence}".strip())


def status_of(reply: Reply) -> Status:
    """What became of a request, as ``requestStatus:retrieve`` has it. Raises :class:`Trouble`."""
    if reply.status != 200:
        error = _error(reply)
        reasons = {_info(error), *(reason for _, reason in _violations(error))}
        if reply.status in (400, 404) and reasons & LOST:
            return Status("lost")
        if reply.status == 400:
            raise Trouble(Why.UNSURE, "unexpected", _where(_violations(error), _info(error)))
        raise _trouble(reply.status, _info(error), _sentence(error))
    places = _dict(reply.body).get("requestStatusPerDestination")
    place = _dict(places[0]) if isinstance(places, list) and places else {}
    # The definition says FAILED, the guide to diagnostics FAILURE.
    state = {"SUCCESS": "success", "FAILED": "failed", "FAILURE": "failed", "PARTIAL_SUCCESS": "partial"}.get(
        str(place.get("requestStatus")), "processing"
    )
    errors = _counts(_dict(place.get("errorInfo")).get("errorCounts"))
    warnings = _counts(_dict(place.get("warningInfo")).get("warningCounts"))
    return Status(state, errors, warnings)  # type: ignore[arg-type]


def warnings_of(body: Any) -> list[str]:
    """What the answer to a request that was taken warns of: fields and codes."""
    found = _dict(body).get("fieldWarnings")
    return [
        f"{_kept(_FIELD, one.get('field'))} {_kept(_CODE, one.get('reason'))}".strip()
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
    ]


def outcome_of(position: int, kind: Kind, reasons: Mapping[str, int]) -> Outcome:
    """Of one that failed, for one of these reasons. No reason: Google did not say."""
    words = (
        ", ".join(f"{reason} ×{n}" if len(reasons) > 1 else reason for reason, n in reasons.items()) or None
    )
    if reasons and reasons.keys() <= there(kind):
        return Outcome(position, "accepted", "already_there", words)
    if reasons and kind != "new" and reasons.keys() <= GONE:
        return Outcome(position, "gone", "gone", words)
    waits = [AGAIN[reason] for reason in reasons if reason in AGAIN]
    name = next(iter(reasons)).lower() if len(reasons) == 1 else "several" if reasons else "no_reason_given"
    return Outcome(position, "failed", name, words, min(waits) if waits else None)


def there(kind: Kind) -> frozenset[str]:
    """The reasons that say that nothing is left to do. A correction that is called a duplicate was not carried out."""
    return THERE if kind == "new" else frozenset()


def _error(reply: Reply) -> dict[str, Any]:
    return _dict(_dict(reply.body).get("error"))


def _details(error: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    found = error.get("details")
    details = [_dict(one) for one in found] if isinstance(found, list) else []
    return [one for one in details if str(one.get("@type")).endswith(f"google.rpc.{kind}")]


def _violations(error: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for one in _details(error, "BadRequest"):
        listed = one.get("fieldViolations")
        for violation in listed if isinstance(listed, list) else []:
            found.append(
                (_kept(_FIELD, _dict(violation).get("field")), _kept(_CODE, _dict(violation).get("reason")))
            )
    return found


def _info(error: Mapping[str, Any]) -> str:
    return next((_kept(_CODE, one.get("reason")) for one in _details(error, "ErrorInfo")), "")


def _sentence(error: Mapping[str, Any]) -> str:
    """Of refusals that are about who asks, and so quote nothing of a visitor."""
    return str(error.get("message") or "")[:300]


def _where(violations: list[tuple[str, str]], reason: str) -> str:
    return next((f"{field} {code}".strip() for field, code in violations if code == reason), reason)


def _counts(found: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in found if isinstance(found, list) else []:
        reason = _PREFIX.sub("", _kept(_CODE, _dict(one).get("reason"))) or "UNSPECIFIED"
        number = str(_dict(one).get("recordCount", "0"))  # an int64 is a string in JSON
        counts[reason] = counts.get(reason, 0) + (
            int(number) if number.isdecimal() and number.isascii() else 0
        )
    return counts


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _kept(form: re.Pattern[str], found: Any) -> str:
    return found if isinstance(found, str) and form.fullmatch(found) else ""
