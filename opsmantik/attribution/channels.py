"""What the words in `utm_medium` and `utm_source` mean.

Tags are typed by people, so the same thing arrives as `cpc`, `CPC`, `paid-social`, `paid_social` and
`PaidSocial`.  Words are compared whole, after splitting at anything but letters and digits: `unpaid` is not
`paid`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from opsmantik.attribution.referrer import ASSISTANT, EMAIL, SEARCH, SOCIAL, kind_of

PAID: Final = "paid"
AFFILIATE: Final = "affiliate"
REFERRAL: Final = "referral"
OTHER: Final = "other"
AD_PRODUCT: Final = "ad_product"

_SPLIT = re.compile(r"[^a-z0-9]+")

_PAID_WORDS = frozenset({
    "cpc", "ppc", "cpm", "cpv", "cpa", "cpl", "ppv", "paid", "sem", "ad", "ads", "adwords", "pmax",
    "display", "banner", "banners", "retargeting", "remarketing", "programmatic", "native", "interstitial",
    "paidsearch", "paidsocial", "paidmedia", "paidads", "paidvideo", "searchads", "socialads", "socialpaid",
    "sponsored", "discovery", "demandgen", "shopping",
})  # fmt: skip
_UNPAID_WORDS = frozenset({"organic", "unpaid", "non", "not", "free", "earned"})
_EMAIL_WORDS = frozenset({"email", "mail", "newsletter", "edm", "eposta", "bulten"})
_SOCIAL_WORDS = frozenset({"social", "sm", "socialmedia", "socialnetwork", "sosyal", "bio"})
_AFFILIATE_WORDS = frozenset({"affiliate", "affiliates", "partner"})
_ORGANIC_WORDS = frozenset({"organic", "seo", "gmb", "gbp", "maps"})
_REFERRAL_WORDS = frozenset({"referral", "referrer"})

_SOCIAL_AD_PRODUCTS = frozenset(
    {"facebookads", "fbads", "metaads", "instagramads", "igads", "tiktokads", "linkedinads"}
)
_AD_PRODUCTS = _SOCIAL_AD_PRODUCTS | {
    "ads", "adwords", "gads", "googleads", "bingads", "microsoftads", "youtubeads", "yandexdirect",
    "cpc", "ppc",
}  # fmt: skip
_NAMES = {
    SEARCH: "google bing yahoo yandex duckduckgo ecosia baidu gmb gbp googlemaps googlemybusiness",
    SOCIAL: """facebook fb ig instagram meta threads twitter x linkedin tiktok pinterest reddit youtube yt
        snapchat telegram whatsapp messenger vk tumblr quora discord linktree""",
    EMAIL: "newsletter email mail mailchimp klaviyo sendgrid hubspot brevo mailerlite bulten eposta",
    ASSISTANT: "chatgpt openai perplexity copilot gemini claude",
}
_SOURCES = {name: kind for kind, names in _NAMES.items() for name in names.split()}


@lru_cache(maxsize=4096)
def medium_class(medium: str) -> str | None:
    """What a `utm_medium` says about the visit: PAID, EMAIL, SOCIAL, SEARCH, AFFILIATE, REFERRAL, OTHER.

    None when there is no medium.  An explicit `organic` or `unpaid` outweighs any paid word beside it.
    """
    words = _words(medium)
    if not words:
        return None
    if not words & _UNPAID_WORDS and words & _PAID_WORDS:
        return PAID
    for known, kind in (
        (_EMAIL_WORDS, EMAIL),
        (_AFFILIATE_WORDS, AFFILIATE),
        (_SOCIAL_WORDS, SOCIAL),
        (_ORGANIC_WORDS, SEARCH),
        (_REFERRAL_WORDS, REFERRAL),
    ):
        if words & known:
            return kind
    return OTHER


@lru_cache(maxsize=4096)
def source_class(source: str) -> str | None:
    """What a `utm_source` names: AD_PRODUCT, SEARCH, SOCIAL, EMAIL, ASSISTANT, or None if nothing known.

    A source written as a host (`chatgpt.com`, `m.facebook.com`) is read as one.
    """
    text = source.strip().lower()
    words = _words(text)
    if words & _AD_PRODUCTS:
        return AD_PRODUCT
    if "." in text:
        kind = kind_of(text.removeprefix("www."))
        if kind is not None:
            return kind
    found = {_SOURCES[word] for word in words if word in _SOURCES}
    return found.pop() if len(found) == 1 else None


def is_social_name(source: str) -> bool:
    """True when the words of a source name a social network, even beside `ads` (`fb_ads`, `facebook-ads`)."""
    words = _words(source)
    return bool(words & _SOCIAL_AD_PRODUCTS) or any(_SOURCES.get(word) == SOCIAL for word in words)


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in _SPLIT.split(text.lower()) if word)
