"""Why a conversion is not sent, was refused, or waits: which words say it, and where something can be done about it.

The ledger keeps the platforms' own codes in lower case. Many mean the same to whoever reads them; here each is one of a few
reasons that the words (words/*/conversions.toml) have a sentence for. A code that is not known is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.ledger import Conversion
from opsmantik.people.capabilities import Capability
from opsmantik.web.pages.site_frame import may

_SAME: Final[Mapping[str, str]] = {
    code: reason
    for reason, codes in {
        "click_unknown": "event_not_found click_not_found gclid_not_found invalid_gclid invalid_wbraid invalid_gbraid",
        "click_bad": "unparseable_gclid unparseable_wbraid unparseable_gbraid bad_click_id gbraid_wbraid_both_set",
        "expired": "expired_event conversion_older_than_expiry click_too_old expired_click",
        "before_click": "conversion_precedes_event event_time_before_click conversion_precedes_click",
        "too_recent": (
            "too_recent_event too_recent_click too_recent_conversion_action too_recent_conversion "
            "conversion_action_too_recently_created"
        ),
        "other_account": "invalid_customer_for_click unauthorized_customer",
        "action_missing": "no_conversion_action_found invalid_conversion_action_id bad_action_id",
        "action_type": "invalid_conversion_action_type event_source_and_destination_mismatch",
        "terms": (
            "customer_not_accepted_customer_data_terms terms_and_conditions_not_signed "
            "destination_account_enhanced_conversions_terms_not_signed"
        ),
        "enhanced_off": (
            "customer_not_enabled_enhanced_conversions_for_leads "
            "destination_account_not_enabled_enhanced_conversions_for_leads "
            "destination_account_data_policy_prohibits_enhanced_conversions "
            "customer_data_policy_prohibits_enhanced_conversions"
        ),
        "not_let_in": "customer_not_allowlisted_for_this_feature not_allowlisted developer_token_not_approved",
        "no_access": (
            "permission_denied user_permission_denied not_found operating_account_login_account_mismatch "
            "customer_not_found destination_account_type_mismatch mismatched_account_type invalid_destination "
            "bad_account_id bad_login_account_id customer_not_enabled not_allowed not_ads_user invalid_customer_id "
            "invalid_login_customer_id"
        ),
        "project_not_ready": (
            "service_disabled cloud_project_not_approved_for_production cloud_project_not_found project_disabled "
            "access_prohibited cloud_project_not_under_organization organization_not_approved unsupported_version"
        ),
        "political": "eu_political_advertising_declaration_required",
        "not_correctable": (
            "cannot_be_changed too_many_adjustments conversion_expired "
            "cannot_restate_conversion_action_that_always_uses_default_conversion_value missing_order_id_for_webpage "
            "wbraid_not_adjustable"
        ),
        "no_contact": "no_contact_data invalid_user_identifier unsupported_user_identifier",
        "malformed": "bad_order_id bad_time bad_amount bad_currency in_the_future order_id_contains_pii",
        "refused": "validation refused_without_reason several no_reason_given unknown",
        "busy": "quota rate_limit no_token",
        "no_answer": "broken unreadable unexpected no_connection not_called internal_error",
        "token_refused": "unauthenticated auth access_token_expired",
        "key_refused": "client_refused",
        "revoked": "oauth_token_revoked google_account_deleted oauth_token_disabled",
        "scope_missing": "access_token_scope_insufficient",
    }.items()
    for code in codes.split()
}

# Where something can be done about it: a page of ours below the site's, or one of the platform's.
_OURS: Final[Mapping[str, tuple[str, Capability]]] = {
    "settings": ("settings/conversions", Capability.EXPORT),
    "values": ("settings/values", Capability.WRITE),
    "privacy": ("settings/privacy", Capability.ERASE),
    "install": ("install", Capability.READ),
}
_THEIRS: Final[Mapping[str, str]] = {
    "google_actions": "https://ads.google.com/aw/conversions",
    "google_terms": "https://ads.google.com/aw/conversions/customersettings",
    "google_access": "https://ads.google.com/aw/accountaccess/users",
    "google_help": "https://support.google.com/google-ads/answer/13321563",
}
_TO_DO: Final[Mapping[str, str]] = {
    "no_click_id": "install", "no_consent": "privacy", "value_unknown": "values", "stage_weight": "values",
    "action_missing": "settings", "action_type": "google_actions", "terms": "google_terms", "enhanced_off": "google_terms",
    "not_let_in": "settings", "no_access": "google_access", "political": "google_help", "other_account": "google_actions",
    "before_click": "values", "no_contact": "settings", "not_connected": "settings",
    "two_step_needed": "google_access",
    "revoked": "settings", "no_longer_member": "settings", "token_refused": "settings", "scope_missing": "settings",
    "key_refused": "settings", "no_client": "settings", "seal_broken": "settings", "signature_refused": "settings",
    "receiver_refuses": "settings",
}  # fmt: skip
LATER: Final = ("_after_sending",)


class Remedy(NamedTuple):
    """Where something can be done: the key of its words, the address, and whether that is somebody else's site."""

    name: str
    address: str
    is_foreign: bool


def reason_of(code: str) -> str:
    """The reason that a code means, by its name in the words."""
    return _SAME.get(code, code)


def remedy(site: AskedSite, code: str | None) -> Remedy | None:
    """Where this asker can do something about it."""
    name = _TO_DO.get(reason_of(code or ""))
    if name is None:
        return None
    if name in _THEIRS:
        return Remedy(name, _THEIRS[name], True)
    path, needed = _OURS[name]
    return Remedy(name, f"/sites/{site.id}/{path}", False) if may(site, needed) else None


def can_retry(row: Conversion) -> bool:
    """Whether it can be tried again at once: something is owed, nothing carries it, and it is not due anyway."""
    is_due = row.next_at is not None and row.next_at <= datetime.now(UTC)
    return row.owed is not None and row.batch_id is None and not is_due


def can_drop(row: Conversion) -> bool:
    """Whether it can still be kept from leaving."""
    return row.state in ("held", "queued", "failed") and row.batch_id is None


def taken_back_by(row: Conversion) -> str | None:
    """What taking it back means where it went, by the name in the words: what cannot be undone there is said there.

    None where nothing was sent.
    """
    if row.sent_by is not None:
        return row.sent_by
    if row.reason == "first_generation" or (
        row.state in ("accepted", "matched") and row.platform_value is None
    ):
        return "first_generation"
    return "first_generation" if (row.reason or "").endswith(LATER) and row.platform_value is None else None


def words_for(site: AskedSite) -> dict[str, Any]:
    """What templates that show conversions need besides the rows."""
    return {
        "reason_of": reason_of, "remedy": lambda code: remedy(site, code), "can_retry": can_retry, "can_drop": can_drop,
        "taken_back_by": taken_back_by, "sends": may(site, Capability.EXPORT),
    }  # fmt: skip
