"""The ladder, the words it reads and the hosts it knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.attribution.channels import medium_class, source_class
from opsmantik.attribution.click_ids import EMPTY, Campaign
from opsmantik.attribution.referrer import host_of, kind_of, same_site
from opsmantik.attribution.source import RULES, Evidence, Source, attribute, is_paid_traffic

GCLID = "Cj0KCQjw8eOdBhD9ARIsANSiJ7kQ2fP0aXq9"


def arrive(referrer=None, earlier=False, **tags):
    return attribute(Evidence(Campaign(**tags), referrer, "klinik.example", earlier))


def utm(source=None, medium=None, **more):
    return {"utm_source": source, "utm_medium": medium, **more}


ARRIVALS = {
    "gclid": (arrive(gclid=GCLID), "google_click_id"),
    "wbraid, iOS": (arrive(wbraid=GCLID), "google_click_id"),
    "gbraid, iOS": (arrive(gbraid=GCLID), "google_click_id"),
    "gclid beats tags and referrer": (
        arrive("facebook.com", gclid=GCLID, **utm("newsletter", "email")),
        "google_click_id",
    ),
    "gclid from the display network": (arrive(gclid=GCLID, network="d"), "google_click_id"),
    "gclid from YouTube": (arrive(gclid=GCLID, network="ytv"), "google_click_id"),
    "id stripped, Google's tag left": (arrive("google.com", gad_source="1"), "google_ad_tag"),
    "Microsoft's id": (arrive("bing.com", msclkid="a" * 20), "microsoft_click_id"),
    "TikTok's id": (arrive(ttclid="E.C.P.abcdef"), "tiktok_click_id"),
    "medium cpc": (arrive(**utm("google", "cpc")), "paid_utm"),
    "medium cpc, no source": (arrive(**utm(None, "ppc")), "paid_utm"),
    "medium in capitals": (arrive(**utm("Google", "CPC")), "paid_utm"),
    "medium display": (arrive(**utm("google", "display")), "paid_utm"),
    "facebook cpc": (arrive(**utm("facebook", "cpc")), "paid_social_utm"),
    "paid_social": (arrive(**utm("ig", "paid_social")), "paid_social_utm"),
    "fb_ads without a medium": (arrive(**utm("fb_ads")), "paid_social_utm"),
    "cpc that names no source, from a social host": (
        arrive("l.instagram.com", **utm(None, "cpc")),
        "paid_social_utm",
    ),
    "adwords without a medium": (arrive(**utm("adwords")), "ad_product_utm"),
    "only ValueTrack left": (arrive("google.com", matchtype="p"), "valuetrack"),
    "placement on the display network": (arrive(network="d", placement="haber.example"), "valuetrack"),
    "a shop's own network filter": (arrive(network="g"), "direct"),
    "ad server as referrer": (arrive("googleads.g.doubleclick.net"), "ad_network_referrer"),
    "back by search after an ad": (arrive("google.com.tr", earlier=True), "ads_assisted"),
    "back directly after an ad": (arrive(earlier=True), "ads_assisted"),
    "back through the business profile after an ad": (
        arrive("google.com", earlier=True, **utm("google", "organic")),
        "ads_assisted",
    ),
    "back by newsletter after an ad": (arrive(earlier=True, **utm("newsletter", "email")), "email_utm"),
    "back through a social network after an ad": (arrive("facebook.com", earlier=True), "social_referrer"),
    "earlier ad, and another now": (arrive(earlier=True, gclid=GCLID), "google_click_id"),
    "back by a social network's app after an ad": (
        arrive(earlier=True, fbclid="IwAR0abcdef"),
        "facebook_click_id",
    ),
    "newsletter": (arrive(**utm("mailchimp", "email")), "email_utm"),
    "affiliate": (arrive(**utm("ortak", "affiliate")), "affiliate_utm"),
    "social, not paid": (arrive("facebook.com", **utm("facebook", "social")), "social_utm"),
    "link in a profile": (arrive(**utm("instagram", "link_in_bio")), "social_utm"),
    "assistant that tags its links": (arrive(**utm("chatgpt.com")), "assistant_utm"),
    "google, organic": (arrive(**utm("google", "organic")), "organic_utm"),
    "google without a medium": (arrive(**utm("google")), "organic_utm"),
    "unpaid is not paid": (arrive(**utm("dergi", "unpaid")), "other_utm"),
    "medium referral": (arrive(**utm("dergi", "referral")), "referral_utm"),
    "code on a poster": (arrive(**utm("poster", "qr")), "other_utm"),
    "only a campaign": (arrive(utm_campaign="yaz"), "other_utm"),
    "fbclid alone is no proof of payment": (arrive(fbclid="IwAR0abcdef"), "facebook_click_id"),
    "search": (arrive("google.com.tr"), "search_referrer"),
    "mailbox": (arrive("mail.google.com"), "email_referrer"),
    "social": (arrive("t.co"), "social_referrer"),
    "film service that ends like a social network": (arrive("netflix.com"), "referral"),
    "assistant": (arrive("perplexity.ai"), "assistant_referrer"),
    "another site": (arrive("haber.example"), "referral"),
    "own sub-domain": (arrive("blog.klinik.example"), "direct"),
    "back from paying": (arrive("paytr.com"), "direct"),
    "nothing": (arrive(), "direct"),
}

# rule → (label, paid)
CALLED = {
    "google_click_id": ("First Click (Paid)", True),
    "google_ad_tag": ("First Click (Paid)", True),
    "microsoft_click_id": ("Paid (Microsoft)", True),
    "tiktok_click_id": ("Paid Social", True),
    "paid_utm": ("Paid (UTM)", True),
    "paid_social_utm": ("Paid Social", True),
    "ad_product_utm": ("Paid (UTM)", True),
    "valuetrack": ("Paid (UTM)", True),
    "direct": ("Direct", False),
    "ad_network_referrer": ("Paid (Display)", True),
    "ads_assisted": ("Ads Assisted", True),
    "email_utm": ("Email", False),
    "social_referrer": ("Organic Social", False),
    "affiliate_utm": ("Affiliate", False),
    "social_utm": ("Organic Social", False),
    "assistant_utm": ("Assistant", False),
    "organic_utm": ("Organic", False),
    "other_utm": ("Campaign", False),
    "referral_utm": ("Referral", False),
    "facebook_click_id": ("Organic Social", False),
    "search_referrer": ("Organic", False),
    "email_referrer": ("Email", False),
    "referral": ("Referral", False),
    "assistant_referrer": ("Assistant", False),
}

CHANNELS = {
    "gclid": "paid_search",
    "gclid from the display network": "display",
    "gclid from YouTube": "paid_video",
    "id stripped, Google's tag left": "paid_search",
    "Microsoft's id": "paid_search",
    "TikTok's id": "paid_social",
    "medium cpc": "paid_search",
    "medium display": "display",
    "facebook cpc": "paid_social",
    "adwords without a medium": "paid_search",
    "only ValueTrack left": "paid_search",
    "placement on the display network": "display",
    "a shop's own network filter": "direct",
    "ad server as referrer": "display",
    "back by search after an ad": "ads_assisted",
    "back by newsletter after an ad": "email",
    "back through a social network after an ad": "organic_social",
    "affiliate": "affiliate",
    "social, not paid": "organic_social",
    "assistant that tags its links": "assistant",
    "google, organic": "organic_search",
    "unpaid is not paid": "campaign",
    "medium referral": "referral",
    "fbclid alone is no proof of payment": "organic_social",
    "search": "organic_search",
    "mailbox": "email",
    "film service that ends like a social network": "referral",
    "assistant": "assistant",
}


@pytest.mark.parametrize(("source", "rule"), ARRIVALS.values(), ids=ARRIVALS.keys())
def test_an_arrival_is_called(source, rule):
    assert source.rule == rule
    assert (source.label, source.paid) == CALLED[rule]


@pytest.mark.parametrize(("case", "channel"), CHANNELS.items())
def test_an_arrival_belongs_to_the_channel(case, channel):
    assert ARRIVALS[case][0].channel == channel


def test_every_rule_has_an_arrival_that_it_wins():
    assert {rule for _, rule in ARRIVALS.values()} == {rule.name for rule in RULES}


def test_the_answer_shows_its_evidence_and_who_lost():
    source = arrive("google.com", gclid=GCLID, **utm("google", "cpc", utm_campaign="yaz"))
    assert source.evidence == {"gclid": GCLID}
    assert source.losers == ("paid_utm", "search_referrer")
    assert arrive("google.com", **utm("google", "cpc", utm_campaign="yaz")).evidence == {
        "utm_source": "google",
        "utm_medium": "cpc",
        "utm_campaign": "yaz",
    }
    assert arrive("google.com", earlier=True).evidence == {
        "earlier_ad_click": "yes",
        "referrer": "google.com",
    }
    assert arrive("google.com", earlier=True).losers == ("search_referrer",)
    assert arrive().losers == ()


def test_no_referrer_alone_is_ever_paid_unless_it_is_an_ad_server():
    for host in ("facebook.com", "x.com", "instagram.com", "google.com", "linkedin.com", "netflix.com"):
        assert not arrive(host).paid


def test_the_first_generations_five_labels_are_still_given():
    labels = {rule.label for rule in RULES}
    assert {"First Click (Paid)", "Paid (UTM)", "Ads Assisted", "Paid Social", "Organic"} <= labels


words = st.one_of(
    st.none(), st.sampled_from(["google", "facebook", "cpc", "organic", "email", "x"]), st.text()
)
campaigns = st.builds(
    Campaign,
    gclid=words,
    wbraid=words,
    utm_source=words,
    utm_medium=words,
    utm_campaign=words,
    matchtype=words,
    network=words,
    placement=words,
    fbclid=words,
    msclkid=words,
)
hosts = st.one_of(st.none(), st.sampled_from(["google.com", "x.com", "klinik.example"]), st.text())


@given(campaigns, hosts, hosts, st.booleans())
def test_the_verdict_is_deterministic_and_always_there(campaign, referrer, own, earlier):
    evidence = Evidence(campaign, referrer, own, earlier)
    first = attribute(evidence)
    assert isinstance(first, Source)
    assert first.rule in {rule.name for rule in RULES}
    assert first.rule not in first.losers
    rebuilt = Campaign(**{name: getattr(campaign, name) for name in Campaign.__struct_fields__})
    assert attribute(Evidence(rebuilt, referrer, own, earlier)) == first


@given(hosts, st.booleans())
def test_the_shared_empty_campaign_is_no_other_than_an_equal_one(referrer, earlier):
    shared = attribute(Evidence(EMPTY, referrer, "klinik.example", earlier))
    assert shared == attribute(Evidence(Campaign(), referrer, "klinik.example", earlier))


PAID = {
    "click id": ({"gclid": "x"}, True),
    "blank click id": ({"gclid": "  "}, False),
    "wbraid": ({"wbraid": "x"}, True),
    "medium cpc": ({"utm_medium": "cpc"}, True),
    "medium paid-search": ({"utm_medium": "Paid-Search"}, True),
    "google, organic": ({"utm_source": "google", "utm_medium": "organic"}, False),
    "google, no medium": ({"utm_source": "google"}, False),
    "instagram, no medium": ({"utm_source": "instagram"}, False),
    "adwords, no medium": ({"utm_source": "adwords"}, True),
    "adwords, email": ({"utm_source": "adwords", "utm_medium": "email"}, False),
    "our label": ({"attribution_source": "First Click (Paid)"}, True),
    "assisted": ({"attribution_source": "Ads Assisted"}, True),
    "assisted, by an organic link": ({"attribution_source": "Ads Assisted", "utm_medium": "organic"}, True),
    "organic": ({"attribution_source": "Organic"}, False),
    "organic social": ({"attribution_source": "Organic Social", "utm_source": "facebook"}, False),
    "paid social": ({"attribution_source": "Paid Social"}, True),
    "old mislabelled social link": ({"attribution_source": "Paid Social", "utm_medium": "social"}, False),
    "foreign label": ({"attribution_source": "google ads"}, True),
    "foreign label that only contains the word": ({"attribution_source": "unpaid leads"}, False),
    "nothing": ({}, False),
}


@pytest.mark.parametrize(("columns", "paid"), PAID.values(), ids=PAID.keys())
def test_a_stored_session_counts_as_paid(columns, paid):
    assert is_paid_traffic(**columns) is paid


@pytest.mark.parametrize("case", ARRIVALS)
def test_what_the_ladder_calls_paid_stays_paid_in_the_stored_row(case):
    source = ARRIVALS[case][0]
    assert is_paid_traffic(attribution_source=source.label) is source.paid


HOSTS = {
    "https://www.google.com/": "google.com",
    "HTTPS://WWW.Google.COM.TR:443/search?q=x": "google.com.tr",
    "http://user:pw@shop.example:8080/a": "shop.example",
    "//cdn.example/x": "cdn.example",
    "https://example.com.": "example.com",
    "https://example.com?x=https://other.example/": "example.com",
    "https://example.com#@other.example": "example.com",
    "https://example.com\\@other.example": "example.com",
    "android-app://com.google.android.gm/": "com.google.android.gm",
    "http://[2001:DB8::1]:80/": "2001:db8::1",
    "https://www.müller.example/": "müller.example",
    "about:blank": None,
    "file:///etc/passwd": None,
    "javascript://google.com/": None,
    "/relative": None,
    "": None,
    "https://": None,
    "https://a b/": None,
    "https://<script>/": None,
    "https://.example": None,
}


@pytest.mark.parametrize(("url", "host"), HOSTS.items())
def test_an_address_names_the_host(url, host):
    assert host_of(url) == host


@given(st.text())
def test_no_text_raises_as_a_host(text):
    host = host_of("https://" + text)
    if host is not None:
        assert host == host.lower()
        kind_of(host)


KINDS = {
    "search": """google.com google.com.tr google.co.uk google.de maps.google.com bing.com cn.bing.com
        duckduckgo.com yandex.com.tr yandex.ru ya.ru tr.search.yahoo.com
        com.google.android.googlequicksearchbox""",
    "social": """facebook.com l.facebook.com x.com t.co instagram.com l.instagram.com pinterest.de
        pinterest.com.tr youtube.com linkedin.com com.facebook.katana web.whatsapp.com""",
    "assistant": "chatgpt.com gemini.google.com copilot.microsoft.com perplexity.ai",
    "email": "mail.google.com com.google.android.gm outlook.live.com webmail.firma.example mail.yandex.com",
    "ads": "googleads.g.doubleclick.net googleadservices.com outbrain.com",
    "passage": "accounts.google.com paypal.com",
    None: """netflix.com x.com.example notfacebook.com google.com.evil.example google.evil mygoogle.com
        docs.google.com search.google.com yahoo.com att.com example.com bing.com.example""",
}


@pytest.mark.parametrize(
    ("kind", "host"),
    [(kind, host) for kind, known in KINDS.items() for host in known.split()],
)
def test_a_host_is_of_the_kind(kind, host):
    assert kind_of(host) == kind


def test_a_site_is_itself_with_its_parts_and_nothing_that_only_ends_alike():
    assert same_site("klinik.example", "www.klinik.example")
    assert same_site("blog.klinik.example", "klinik.example")
    assert same_site("klinik.example", "shop.klinik.example")
    assert not same_site("meinklinik.example", "klinik.example")
    assert not same_site("example", "klinik.example")
    assert not same_site("klinik.example", None)


@pytest.mark.parametrize(
    ("medium", "kind"),
    [
        ("cpc", "paid"),
        ("Paid_Search", "paid"),
        ("paid social", "paid"),
        ("display-ads", "paid"),
        ("organic", "search"),
        ("organic-social", "social"),
        ("unpaid", "other"),
        ("non-paid", "other"),
        ("e-mail", "email"),
        ("email", "email"),
        ("prepaid", "other"),
        ("", None),
        ("---", None),
    ],
)
def test_a_medium_is_read_by_whole_words(medium, kind):
    assert medium_class(medium) == kind


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("google", "search"),
        ("google_ads", "ad_product"),
        ("GoogleAds", "ad_product"),
        ("facebook.com", "social"),
        ("m.facebook.com", "social"),
        ("chatgpt.com", "assistant"),
        ("netflix.com", None),
        ("goodreads", None),
        ("", None),
    ],
)
def test_a_source_is_read_by_whole_words(source, kind):
    assert source_class(source) == kind
