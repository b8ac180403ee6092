"""The ladder: which one thing brought this visit.

Enters: the evidence of one arrival (campaign facts, referrer, an earlier ad click of the same visitor on the
same site).  Leaves: a `Source` that names the rule that won, the values it won by, and the rules that also
matched and lost, so that an operator can see why a visit is called what it is called.

Labels.  The first generation stored five: `First Click (Paid)`, `Paid (UTM)`, `Ads Assisted`, `Paid Social`
and `Organic`.  Each is kept where it was right.  Two were not: every social referrer was called `Paid
Social`, and everything left over was called `Organic`.  So `Paid Social` now needs a paid medium or an ad
network's click id, `Organic` means search that nobody paid for, and the rest has names of its own.  Reports
that group by "contains paid" or "contains organic" still group rightly.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from opsmantik.attribution import channels, referrer
from opsmantik.attribution.channels import medium_class, source_class
from opsmantik.attribution.click_ids import EMPTY, Campaign
from opsmantik.attribution.referrer import kind_of, same_site
from opsmantik.attribution.rules import RULES as RULES
from opsmantik.attribution.rules import RULES_VERSION as RULES_VERSION
from opsmantik.attribution.rules import Facts, Rule


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What is known about one arrival. Hosts are as `referrer.host_of` gives them."""

    campaign: Campaign = EMPTY
    referrer_host: str | None = None
    own_host: str | None = None
    earlier_ad_click: bool = False


class Source(msgspec.Struct, frozen=True):
    """The verdict. May be shared between visits: never change `evidence` in place."""

    label: str
    """What is stored as the session's attribution source and shown to people."""
    channel: str
    """Stable lower-case key for grouping."""
    paid: bool
    """An ad brought this visitor, in this visit or (`ads_assisted`) before it."""
    rule: str
    evidence: dict[str, str]
    losers: tuple[str, ...] = ()


# What {network} expands to: Google search and partners, display, YouTube, video partners, Google TV,
# Performance Max ("x"); Microsoft owned, syndicated, audience.
_NETWORKS = {
    "g": "paid_search", "s": "paid_search", "o": "paid_search", "d": "display", "a": "display",
    "ytv": "paid_video", "vp": "paid_video", "gtv": "paid_video", "x": "cross_network",
}  # fmt: skip
_DISPLAY_WORDS = ("display", "banner", "cpm", "retargeting", "remarketing", "native", "programmatic")
_PAID_LABELS = frozenset(rule.label.lower() for rule in RULES if rule.paid)
_WORDS = re.compile(r"[a-z]+")


def attribute(evidence: Evidence) -> Source:
    """The one source of a visit. Deterministic, never raises, always an answer (`direct` at worst)."""
    campaign = evidence.campaign
    if campaign is EMPTY:
        return _without_campaign(evidence.referrer_host, evidence.own_host, evidence.earlier_ad_click)
    return _verdict(evidence)


@lru_cache(maxsize=8192)
def _without_campaign(referrer_host: str | None, own_host: str | None, earlier_ad_click: bool) -> Source:
    return _verdict(Evidence(EMPTY, referrer_host, own_host, earlier_ad_click))


def _verdict(evidence: Evidence) -> Source:
    campaign = evidence.campaign
    rule, channel, losers = _climb(
        campaign.has_click_id,
        campaign.gad_source is not None or campaign.gad_campaignid is not None,
        campaign.msclkid is not None,
        campaign.ttclid is not None,
        campaign.fbclid is not None,
        campaign.utm_medium,
        campaign.utm_source,
        campaign.has_utm,
        campaign.matchtype is not None,
        campaign.network,
        campaign.placement is not None,
        evidence.referrer_host,
        evidence.own_host,
        evidence.earlier_ad_click,
    )
    return Source(rule.label, channel, rule.paid, rule.name, _proof(rule, evidence), losers)


def is_paid_traffic(
    *,
    gclid: str | None = None,
    wbraid: str | None = None,
    gbraid: str | None = None,
    attribution_source: str | None = None,
    utm_source: str | None = None,
    utm_medium: str | None = None,
) -> bool:
    """Whether a stored session counts as ad traffic, from its columns alone.

    The first generation looked for substrings, so `utm_source=google` with `utm_medium=organic` was an ad.
    Here a click id decides; then the medium, where it speaks; then what the ladder had stored; then a source
    that names an ad product.  `Paid Social` beside an explicitly unpaid medium is the first generation's
    mislabelled social referral, and does not count.
    """
    if (gclid and gclid.strip()) or (wbraid and wbraid.strip()) or (gbraid and gbraid.strip()):
        return True
    medium = medium_class(utm_medium) if utm_medium else None
    if medium == channels.PAID:
        return True
    says_unpaid = medium not in (None, channels.OTHER)
    label = (attribution_source or "").strip().lower()
    if label in _PAID_LABELS:
        return not (says_unpaid and label == "paid social")
    if says_unpaid:
        return False
    if not {"paid", "ads", "cpc", "ppc"}.isdisjoint(_WORDS.findall(label)):
        return True
    return bool(utm_source) and source_class(utm_source or "") == channels.AD_PRODUCT


@lru_cache(maxsize=8192)
def _climb(
    google_id: bool,
    google_tag: bool,
    microsoft_id: bool,
    tiktok_id: bool,
    facebook_id: bool,
    medium: str | None,
    source: str | None,
    any_utm: bool,
    matchtype: bool,
    network: str | None,
    placement: bool,
    referrer_host: str | None,
    own_host: str | None,
    earlier_ad_click: bool,
) -> tuple[Rule, str, tuple[str, ...]]:
    """Winner, channel and losers; cached, because all but the ids' values repeats from visit to visit."""
    medium_kind = medium_class(medium) if medium else None
    source_kind = source_class(source) if source else None
    referrer_kind = _referrer_kind(referrer_host, own_host)
    social = bool(source) and channels.is_social_name(source or "")
    if source_kind is None and not social:
        social = facebook_id or referrer_kind == referrer.SOCIAL
    facts = Facts(
        google_id,
        google_tag,
        microsoft_id,
        tiktok_id,
        facebook_id,
        medium_kind,
        source_kind,
        _campaign_kind(medium_kind, source_kind) if any_utm else None,
        referrer_kind,
        social,
        matchtype or (placement and network in _NETWORKS),
        earlier_ad_click,
    )
    matched = [rule for rule in RULES if rule.matches(facts)]
    winner = matched[0]
    losers = tuple(rule.name for rule in matched[1:] if rule is not RULES[-1])
    return winner, winner.channel or _paid_channel(network, medium), losers


def _campaign_kind(medium: str | None, source: str | None) -> str | None:
    """What unpaid tags say: the medium first, the source where the medium leaves it open."""
    if medium == channels.PAID:
        return None
    if medium in (referrer.EMAIL, channels.AFFILIATE, referrer.SOCIAL):
        return medium
    if source in (referrer.SOCIAL, referrer.EMAIL, referrer.ASSISTANT):
        return source
    if medium in (referrer.SEARCH, channels.REFERRAL):
        return medium
    if medium is None and source == referrer.SEARCH:
        return source
    return channels.OTHER


def _referrer_kind(host: str | None, own_host: str | None) -> str | None:
    if not host:
        return None
    return "own" if same_site(host, own_host) else kind_of(host) or "other"


def _paid_channel(network: str | None, medium: str | None) -> str:
    if network in _NETWORKS:
        return _NETWORKS[network]
    text = (medium or "").lower()
    if any(word in text for word in _DISPLAY_WORDS):
        return "display"
    return "paid_video" if "video" in text else "paid_search"


def _proof(rule: Rule, evidence: Evidence) -> dict[str, str]:
    proof: dict[str, str] = {}
    campaign = evidence.campaign
    for name in rule.proof:
        if name == "click_id":
            if campaign.click_id is not None:
                kind, value = campaign.click_id
                proof[kind] = value
        elif name == "referrer":
            if evidence.referrer_host:
                proof["referrer"] = evidence.referrer_host
        elif name == "earlier_ad_click":
            proof["earlier_ad_click"] = "yes"
        else:
            value = getattr(campaign, name)
            if value is not None:
                proof[name] = value
    return proof
