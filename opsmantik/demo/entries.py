"""How a visit begins: the landing address with what ad networks write into it, and the referrer.

One small function a kind of entry; which of them a business sees, and how often, stands in businesses.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import msgspec

from opsmantik.demo.businesses import AdCampaign, Business

_ID_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"


class Entry(msgspec.Struct, frozen=True):
    """Where a visitor lands, from where, and how likely a lead becomes of it."""

    kind: str
    path: str
    query: str
    referrer: str
    lead_chance: float
    ids: dict[str, str]


def _token(rng: random.Random, prefix: str, length: int) -> str:
    return prefix + "".join(rng.choices(_ID_LETTERS, k=length))


def _campaign(rng: random.Random, business: Business) -> AdCampaign:
    return rng.choices(business.campaigns, [campaign.weight for campaign in business.campaigns])[0]


def _page(rng: random.Random, business: Business) -> str:
    return rng.choices(business.pages, [page.weight for page in business.pages])[0].path


def _ad(
    rng: random.Random,
    business: Business,
    kind: str,
    tags: dict[str, str],
    ids: dict[str, str],
    chance: float,
    referrer: str,
) -> Entry:
    campaign = _campaign(rng, business)
    keyword = rng.choice(campaign.keywords)
    if rng.random() < 0.01:
        keyword = "{keyword}"  # a tracking template that nobody filled in: seen in every account
    query = {
        "utm_source": "google", "utm_medium": "cpc", "utm_campaign": campaign.name, "utm_term": keyword,
        **tags,
    }  # fmt: skip
    written = urlencode({name: value for name, value in query.items() if value} | ids)
    return Entry(kind, campaign.path, f"?{written}", referrer, chance, ids)


def _google_ad(rng: random.Random, business: Business) -> Entry:
    ids = {"gclid": _token(rng, "Cj0KCQ", 70)}
    match_type = rng.choices("epb", (4, 3, 3))[0]
    tags = {
        "utm_content": str(rng.randrange(6_900_000_000, 6_900_000_008)), "matchtype": match_type,
        "network": "g" if rng.random() < 0.94 else "s", "device": "m" if rng.random() < 0.75 else "c",
    }  # fmt: skip
    return _ad(rng, business, "google_ad", tags, ids, 0.064, business.google)


def _google_ad_app(rng: random.Random, business: Business) -> Entry:
    """iOS: the click id is an aggregate one, wbraid from the web and gbraid from an app."""
    ids = (
        {"wbraid": _token(rng, "CjgKCA", 40)} if rng.random() < 0.6 else {"gbraid": _token(rng, "0AAAAA", 36)}
    )
    tags = {"network": "g", "device": "m", "matchtype": "b"}
    return _ad(rng, business, "google_ad_app", tags, ids, 0.056, "")


def _performance_max(rng: random.Random, business: Business) -> Entry:
    ids = {"gclid": _token(rng, "EAIaIQob", 60)}
    tags = {"network": "x", "utm_term": "", "utm_campaign": "pmax", "gad_source": "5"}
    return _ad(rng, business, "performance_max", tags, ids, 0.03, business.google)


def _display_ad(rng: random.Random, business: Business) -> Entry:
    ids = {"gclid": _token(rng, "EAIaIQob", 60)}
    tags = {
        "network": "d", "utm_term": "", "utm_medium": "display", "utm_campaign": "remarketing",
        "placement": rng.choice(("haber.example", "weather.example", "mobileapp::2-com.oyun.example")),
    }  # fmt: skip
    return _ad(rng, business, "display_ad", tags, ids, 0.008, "https://googleads.g.doubleclick.net/")


def _microsoft_ad(rng: random.Random, business: Business) -> Entry:
    tags = {"utm_source": "bing", "msclkid": rng.randbytes(16).hex()}
    return _ad(rng, business, "microsoft_ad", tags, {}, 0.04, "https://www.bing.com/")


def _facebook_ad(rng: random.Random, business: Business) -> Entry:
    """The tags of a paid campaign beside the fbclid that every link on Facebook has."""
    network = rng.choice(("facebook", "instagram"))
    query = {
        "utm_source": network, "utm_medium": "paid_social", "utm_campaign": f"{business.slug}-lookalike",
        "utm_content": rng.choice(("video-1", "carousel-2", "image-3")),
        "fbclid": _token(rng, "IwY2xjaw", 50),
    }  # fmt: skip
    return Entry("facebook_ad", "/", f"?{urlencode(query)}", f"https://l.{network}.com/", 0.014, {})


def _instagram(rng: random.Random, business: Business) -> Entry:
    query = f"?fbclid={_token(rng, 'PAZXh0bg', 50)}" if rng.random() < 0.7 else ""
    return Entry("instagram", "/", query, "https://l.instagram.com/", 0.012, {})


def _search(rng: random.Random, business: Business) -> Entry:
    engine = rng.choices((business.google, "https://www.google.com/", "https://www.bing.com/"), (6, 4, 1))[0]
    return Entry("search", _page(rng, business), "", engine, 0.03, {})


def _yandex(rng: random.Random, business: Business) -> Entry:
    return Entry("yandex", _page(rng, business), "", "https://yandex.com.tr/", 0.03, {})


def _maps(rng: random.Random, business: Business) -> Entry:
    query = urlencode({"utm_source": "gbp", "utm_medium": "organic", "utm_campaign": "profile"})
    return Entry("maps", "/", f"?{query}", business.google, 0.055, {})


def _direct(rng: random.Random, business: Business) -> Entry:
    return Entry("direct", "/" if rng.random() < 0.8 else _page(rng, business), "", "", 0.042, {})


def _referral(rng: random.Random, business: Business) -> Entry:
    return Entry("referral", "/", "", rng.choice(business.referrals), 0.035, {})


def _assistant(rng: random.Random, business: Business) -> Entry:
    query = "?utm_source=chatgpt.com" if rng.random() < 0.8 else ""
    return Entry("assistant", _page(rng, business), query, "https://chatgpt.com/", 0.05, {})


def _newsletter(rng: random.Random, business: Business) -> Entry:
    query = urlencode({"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "autumn-check-up"})
    return Entry("newsletter", _page(rng, business), f"?{query}", "", 0.045, {})


ENTRIES: Final[dict[str, Callable[[random.Random, Business], Entry]]] = {
    "google_ad": _google_ad, "google_ad_app": _google_ad_app, "performance_max": _performance_max,
    "display_ad": _display_ad, "microsoft_ad": _microsoft_ad, "facebook_ad": _facebook_ad,
    "instagram": _instagram, "search": _search, "yandex": _yandex, "maps": _maps, "direct": _direct,
    "referral": _referral, "assistant": _assistant, "newsletter": _newsletter,
}  # fmt: skip


def choose_entry(rng: random.Random, business: Business) -> Entry:
    """How one visit begins, by the business's own mix."""
    kind = rng.choices([name for name, _ in business.entries], [weight for _, weight in business.entries])[0]
    return ENTRIES[kind](rng, business)


def come_back(rng: random.Random, business: Business) -> Entry:
    """How somebody returns who knows the business: by its address, or by searching for its name."""
    return (_direct if rng.random() < 0.55 else _search)(rng, business)
