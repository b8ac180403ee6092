"""The rungs of the ladder, in order: what each asks, what it calls the visit, and what it shows as evidence.

Raise RULES_VERSION whenever a rule, its order or its meaning changes, so that verdicts of different versions
can be told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from opsmantik.attribution import channels, referrer

RULES_VERSION: Final = 1


class Facts(NamedTuple):
    """The evidence in the words that the rules speak. `*_kind` are constants of `referrer` and `channels`."""

    google_id: bool
    google_tag: bool
    microsoft_id: bool
    tiktok_id: bool
    facebook_id: bool
    medium_kind: str | None
    source_kind: str | None
    campaign_kind: str | None
    """What unpaid tags say; None when there are none, or when the medium is a paid one."""
    referrer_kind: str | None
    """`own` for the site itself, `other` for a host that is on no list, None without a referrer."""
    social: bool
    """The tags, or for want of a known source the click itself, point at a social network."""
    valuetrack: bool
    earlier_ad_click: bool


class Rule(NamedTuple):
    """One rung. An empty `channel` means that the network and the medium decide it; `proof` names the values
    that are shown as evidence."""

    name: str
    label: str
    channel: str
    paid: bool
    matches: Callable[[Facts], bool]
    proof: tuple[str, ...]


def _paid_utm(f: Facts) -> bool:
    return f.medium_kind == channels.PAID


def _ad_product(f: Facts) -> bool:
    """`utm_source=adwords` with no medium, or one that says nothing against it."""
    return f.source_kind == channels.AD_PRODUCT and f.medium_kind in (None, channels.PAID, channels.OTHER)


def _valuetrack(f: Facts) -> bool:
    """Parameters that only an ad's tracking template writes, left over when a browser strips the click id."""
    return f.valuetrack and f.medium_kind in (None, channels.PAID, channels.OTHER)


def _ads_assisted(f: Facts) -> bool:
    """Back by search, or by no visible way, after an earlier ad click: the ad is what made the site known.

    Whoever comes back through a newsletter, a social network or another site was sent by that.
    """
    if not f.earlier_ad_click or f.facebook_id:
        return False
    if f.campaign_kind is not None:
        return f.campaign_kind == referrer.SEARCH
    return f.referrer_kind in (None, "own", referrer.PASSAGE, referrer.SEARCH)


def _tagged(kind: str) -> Callable[[Facts], bool]:
    return lambda f: f.campaign_kind == kind


def _referred(*kinds: str) -> Callable[[Facts], bool]:
    return lambda f: f.referrer_kind in kinds


_UTM = ("utm_source", "utm_medium", "utm_campaign")

RULES: tuple[Rule, ...] = (
    Rule("google_click_id", "First Click (Paid)", "", True, lambda f: f.google_id, ("click_id",)),
    Rule("google_ad_tag", "First Click (Paid)", "", True, lambda f: f.google_tag,
         ("gad_source", "gad_campaignid")),
    Rule("microsoft_click_id", "Paid (Microsoft)", "paid_search", True, lambda f: f.microsoft_id,
         ("msclkid",)),
    Rule("tiktok_click_id", "Paid Social", "paid_social", True, lambda f: f.tiktok_id, ("ttclid",)),
    Rule("paid_social_utm", "Paid Social", "paid_social", True,
         lambda f: (_paid_utm(f) or _ad_product(f)) and f.social, (*_UTM, "fbclid", "referrer")),
    Rule("paid_utm", "Paid (UTM)", "", True, _paid_utm, _UTM),
    Rule("ad_product_utm", "Paid (UTM)", "", True, _ad_product, _UTM),
    Rule("valuetrack", "Paid (UTM)", "", True, _valuetrack, ("matchtype", "network", "placement", "device")),
    Rule("ad_network_referrer", "Paid (Display)", "display", True, _referred(referrer.ADS), ("referrer",)),
    Rule("ads_assisted", "Ads Assisted", "ads_assisted", True, _ads_assisted,
         ("earlier_ad_click", "referrer", *_UTM)),
    Rule("email_utm", "Email", "email", False, _tagged(referrer.EMAIL), _UTM),
    Rule("affiliate_utm", "Affiliate", "affiliate", False, _tagged(channels.AFFILIATE), _UTM),
    Rule("social_utm", "Organic Social", "organic_social", False, _tagged(referrer.SOCIAL), _UTM),
    Rule("assistant_utm", "Assistant", "assistant", False, _tagged(referrer.ASSISTANT), _UTM),
    Rule("organic_utm", "Organic", "organic_search", False, _tagged(referrer.SEARCH), _UTM),
    Rule("referral_utm", "Referral", "referral", False, _tagged(channels.REFERRAL), (*_UTM, "referrer")),
    Rule("other_utm", "Campaign", "campaign", False, _tagged(channels.OTHER),
         (*_UTM, "utm_term", "utm_content")),
    Rule("facebook_click_id", "Organic Social", "organic_social", False, lambda f: f.facebook_id,
         ("fbclid",)),
    Rule("email_referrer", "Email", "email", False, _referred(referrer.EMAIL), ("referrer",)),
    Rule("social_referrer", "Organic Social", "organic_social", False, _referred(referrer.SOCIAL),
         ("referrer",)),
    Rule("assistant_referrer", "Assistant", "assistant", False, _referred(referrer.ASSISTANT), ("referrer",)),
    Rule("search_referrer", "Organic", "organic_search", False, _referred(referrer.SEARCH), ("referrer",)),
    Rule("referral", "Referral", "referral", False, _referred("other"), ("referrer",)),
    Rule("direct", "Direct", "direct", False, lambda f: True, ("referrer",)),
)  # fmt: skip
"""First match wins. Click ids come first, because nobody types them; `direct` matches always and comes last.

Meta's `fbclid` is not among the paid ids: it is added to every outgoing link, paid or not.
"""
