"""The connection test of the Google Ads API: what is there and what is missing, found by asking alone.

The account and its conversion action are read by query (``googleAds:search``). Whether the account is let in at all is
told by an upload that is only validated (``validateOnly``), of a click that never was: the answer to one that is shut out
is another than that there is no such click.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from opsmantik.conversions import google_ads_errors
from opsmantik.conversions.adapters import Finding, Grant, Trouble, Why
from opsmantik.conversions.google_ads_errors import Means
from opsmantik.conversions.http import Reply

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Reply]]

NOT_ALLOW_LISTED: Final = "customer_not_allowlisted_for_this_feature"
CUSTOMER: Final = (
    "SELECT customer.id, customer.conversion_tracking_setting.accepted_customer_data_terms,"
    " customer.conversion_tracking_setting.google_ads_conversion_customer FROM customer LIMIT 1"
)
ENHANCED: Final = (
    "SELECT customer.conversion_tracking_setting.effective_enablement_setting FROM customer LIMIT 1"
)
ACTION: Final = (
    "SELECT conversion_action.id, conversion_action.name, conversion_action.status, conversion_action.type"
    " FROM conversion_action WHERE conversion_action.id = {}"
)
NO_CLICK: Final = "opsmantik-connection-test"


async def findings(destination: Mapping[str, Any], grant: Grant, ask: Ask) -> list[Finding]:
    """Each line of the test, until one after which the next make no sense."""
    found: list[Finding] = []
    path = f"customers/{destination['customer_id']}"
    try:
        await grant.token()
        found.append(Finding("connected", True))
        rows = await _search(ask, path, CUSTOMER)
    except Trouble as trouble:
        if trouble.why is Why.NOT_CONNECTED:
            return [Finding("connected", False, trouble.reason)]
        return [*found, Finding("account" if trouble.why is Why.SETUP else "reached", False, trouble.reason)]
    found.append(Finding("account", True))
    setting = _at(rows, "customer", "conversionTrackingSetting")
    keeper = str(setting.get("googleAdsConversionCustomer") or path)
    found.append(
        Finding("conversion_account", keeper == path, "" if keeper == path else keeper.rpartition("/")[2])
    )
    found += await _action(destination, path, ask)
    found.append(Finding("data_terms", setting.get("acceptedCustomerDataTerms") is True))
    found.append(await _enhanced(path, ask))
    found.append(await _allow_listed(destination, path, ask))
    return found


async def _action(destination: Mapping[str, Any], path: str, ask: Ask) -> list[Finding]:
    try:
        rows = await _search(ask, path, ACTION.format(int(destination["action_id"])))
    except Trouble as trouble:
        return [Finding("action", False, trouble.reason)]
    action = _at(rows, "conversionAction")
    if not action:
        return [Finding("action", False)]
    kind, status = str(action.get("type", "")), str(action.get("status", ""))
    return [
        Finding("action", True, str(action.get("name", ""))[:100]),
        Finding("action_type", kind == "UPLOAD_CLICKS", "" if kind == "UPLOAD_CLICKS" else kind[:60]),
        Finding("action_enabled", status == "ENABLED", "" if status == "ENABLED" else status[:60]),
    ]


async def _enhanced(path: str, ask: Ask) -> Finding:
    try:
        setting = _at(await _search(ask, path, ENHANCED), "customer", "conversionTrackingSetting")
    except Trouble as trouble:
        return Finding("enhanced_conversions", False, trouble.reason)
    return Finding("enhanced_conversions", setting.get("effectiveEnablementSetting") == "ON")


async def _allow_listed(destination: Mapping[str, Any], path: str, ask: Ask) -> Finding:
    row = {
        "gclid": NO_CLICK, "conversionAction": f"{path}/conversionActions/{destination['action_id']}",
        "conversionDateTime": datetime.now(UTC).replace(microsecond=0).isoformat(sep=" "), "orderId": NO_CLICK,
    }  # fmt: skip
    body = {"conversions": [row], "partialFailure": True, "validateOnly": True}
    try:
        reply = await ask(f"{path}:uploadClickConversions", body)
    except Trouble as trouble:
        return Finding("allow_listed", False, trouble.reason)
    status = reply.body.get("partialFailureError") if isinstance(reply.body, dict) else None
    shut = [f for f in google_ads_errors.failures_of(status) if f.family == "notAllowlistedError"]
    wrong = [f for f in google_ads_errors.failures_of(status) if f.means() is Means.SETUP and not shut]
    return Finding("allow_listed", not shut, (shut or wrong)[0].word if shut or wrong else "")


async def _search(ask: Ask, path: str, query: str) -> list[Any]:
    reply = await ask(f"{path}/googleAds:search", {"query": query})
    rows = reply.body.get("results", []) if isinstance(reply.body, dict) else None
    if not isinstance(rows, list):
        raise Trouble(Why.UNSURE, "unreadable", "the answer has no rows")
    return rows


def _at(rows: list[Any], *path: str) -> Mapping[str, Any]:
    """What lies at this path of the first row; nothing, where there is none."""
    found: Any = rows[0] if rows else None
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
