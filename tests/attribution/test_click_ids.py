"""What a landing address says about the click: every row is one address as it occurs in the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.attribution.click_ids import EMPTY, MAX_VALUE, Campaign, clean_click_id, read_url

GCLID = "Cj0KCQjw8eOdBhD9ARIsANSiJ7kQ2fP0aXq9"
OTHER = "EAIaIQobChMI9eqKxY3D8QIVkrWyCh2yTAQ5"
SITE = "https://klinik.example/"

SAID = {
    "gclid in the query": (f"?gclid={GCLID}", {"gclid": GCLID}),
    "ids of iOS traffic": (f"?wbraid={GCLID}&gbraid={OTHER}", {"wbraid": GCLID, "gbraid": OTHER}),
    "gclid behind the hash": (f"#gclid={GCLID}", {"gclid": GCLID}),
    "gclid behind a route": (f"#/randevu?gclid={GCLID}", {"gclid": GCLID}),
    "all five tags": (
        "?utm_source=google&utm_medium=cpc&utm_campaign=implant&utm_term=dis&utm_content=a1",
        {
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "implant",
            "utm_term": "dis",
            "utm_content": "a1",
        },
    ),
    "Turkish letters, plus and percent": (
        "?utm_term=implant+fiyatlar%C4%B1%20%C5%9Fi%C5%9Fli",
        {"utm_term": "implant fiyatları şişli"},
    ),
    "letters that were never encoded": ("?utm_term=diş", {"utm_term": "diş"}),
    "case is kept": ("?utm_campaign=Yaz_KAMPANYA", {"utm_campaign": "Yaz_KAMPANYA"}),
    "ValueTrack": (
        "?matchtype=p&device=m&network=g&placement=www.haber.example",
        {"matchtype": "p", "device": "m", "network": "g", "placement": "www.haber.example"},
    ),
    "ValueTrack spelled out": ("?matchtype=Exact&device=Mobile", {"matchtype": "e", "device": "mobile"}),
    "tags behind a fragment's own question mark": (
        f"?gclid={GCLID}#4?utm_term=k&matchtype=p",
        {"gclid": GCLID, "utm_term": "k", "matchtype": "p"},
    ),
    "fragment that starts with a question mark": ("#?utm_source=x", {"utm_source": "x"}),
    "what stands before a fragment's inner question mark is dropped": (
        "#utm_source=a?utm_term=b",
        {"utm_term": "b"},
    ),
    "tags glued to a route": (
        "#/page/utm_source=google&utm_medium=cpc",
        {"utm_source": "google", "utm_medium": "cpc"},
    ),
    "fragment overrides tags": ("?utm_term=old#utm_term=new", {"utm_term": "new"}),
    "fragment does not override the network's id": (f"?gclid={GCLID}#gclid={OTHER}", {"gclid": GCLID}),
    "first occurrence wins": ("?utm_term=a&utm_term=b", {"utm_term": "a"}),
    "an empty first occurrence does not": ("?utm_term=&utm_term=b", {"utm_term": "b"}),
    "nor does an unexpanded one": ("?utm_term={keyword}&utm_term=b", {"utm_term": "b"}),
    "encoded key": ("?utm%5Fsource=x", {"utm_source": "x"}),
    "ampersands copied out of HTML": ("?a=1&amp;utm_source=x", {"utm_source": "x"}),
    "value with an equals sign": ("?utm_content=a=b", {"utm_content": "a=b"}),
    "other networks": (
        "?fbclid=IwAR0abcdefghij&msclkid=0a1b2c3d4e5f60718293&ttclid=E.C.P.abcdefghij",
        {"fbclid": "IwAR0abcdefghij", "msclkid": "0a1b2c3d4e5f60718293", "ttclid": "E.C.P.abcdefghij"},
    ),
    "Google's tag that survives when the id is stripped": (
        "?gad_source=1&gad_campaignid=20123456789",
        {"gad_source": "1", "gad_campaignid": "20123456789"},
    ),
}


@pytest.mark.parametrize(("rest", "expected"), SAID.values(), ids=SAID.keys())
def test_an_address_says(rest, expected):
    assert read_url(SITE + rest) == Campaign(**expected)


REFUSED = {
    "key that only ends like a known one": "?mydevice=m&xgclid=" + GCLID,
    "key that only begins like one": "?utm_sources=x&gclid2=" + GCLID,
    "the same behind the hash": "#mydevice=m&x_utm_source=a",
    "key in upper case": "?UTM_SOURCE=x",
    "template": "?utm_term={keyword}",
    "encoded template": "?utm_term=%7Bkeyword%7D",
    "template encoded twice": "?utm_term=%257Bkeyword%257D",
    "template of a whole address": "?utm_content={lpurl}",
    "template inside a value": "?utm_campaign=brand-{campaignid}",
    "Meta's template": "?utm_campaign={{campaign.name}}",
    "TikTok's template": "?utm_campaign=__CAMPAIGN_NAME__",
    "template as a click id": "?gclid={gclid}",
    "word for nothing": "?utm_term=undefined&utm_source=(not%20set)&utm_medium=NULL",
    "short id": "?gclid=abc123",
    "id with a script": "?gclid=%3Cscript%3Ealert(1)%3C/script%3E",
    "id of 4 kB": "?gclid=" + "aB3-" * 1024,
    "id of one character": "?gclid=" + "0" * 30,
    "id with a plus": "?gclid=Cj0KCQjw+8eOdBhD9",
    "shop's own filter": "?device=iphone-15",
    "not a match type": "?matchtype=fuzzy",
    "blank value": "?utm_term=+%20",
    "no value": "?utm_term&gclid",
    "nothing but a page": "",
    "a hash that is an anchor": "#fiyatlar",
}


@pytest.mark.parametrize("rest", REFUSED.values(), ids=REFUSED.keys())
def test_an_address_that_says_nothing_gives_the_shared_empty_campaign(rest):
    assert read_url(SITE + rest) is EMPTY


def test_a_value_is_cut_at_its_longest_and_loses_control_characters():
    assert read_url(f"{SITE}?utm_term={'a' * 5000}").utm_term == "a" * MAX_VALUE
    assert read_url(f"{SITE}?utm_term=a%00b%0Ac").utm_term == "a b c"
    assert read_url(f"{SITE}?utm_term=%FF").utm_term == "\ufffd"
    assert read_url(f"{SITE}?utm_term=a\ud800b").utm_term == "a?b"


def test_one_click_id_is_reported_gclid_before_wbraid_before_gbraid():
    assert Campaign(gclid="a", wbraid="b", gbraid="c").click_id == ("gclid", "a")
    assert Campaign(wbraid="b", gbraid="c").click_id == ("wbraid", "b")
    assert Campaign(gbraid="c").click_id == ("gbraid", "c")
    assert EMPTY.click_id is None


@pytest.mark.parametrize("field", ["gclid", "wbraid", "gbraid"])
def test_googles_ids_are_click_ids(field):
    assert Campaign(**{field: GCLID}).has_click_id


@pytest.mark.parametrize("field", ["msclkid", "fbclid", "ttclid", "utm_source", "gad_source"])
def test_other_facts_make_a_campaign_but_no_click_id(field):
    assert Campaign(**{field: "x"}).has_campaign
    assert not Campaign(**{field: "x"}).has_click_id


@pytest.mark.parametrize("field", ["device", "network", "matchtype", "placement"])
def test_parameters_that_shops_use_too_make_no_campaign(field):
    assert not Campaign(**{field: "x"}).has_campaign


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f" {GCLID} ", GCLID),
        (None, None),
        (17, None),
        ({"a": 1}, None),
        ("", None),
        ("a%2Db-cdefghij", "a-b-cdefghij"),
        ("__GCLID_HERE__", None),
        ("IwAR_aem__x_abcdef", "IwAR_aem__x_abcdef"),
    ],
)
def test_a_click_id_from_a_body_is_cleaned_like_one_from_an_address(value, expected):
    assert clean_click_id(value) == expected


@given(st.text())
def test_no_text_raises(text):
    assert isinstance(read_url(text), Campaign)
    assert isinstance(read_url("https://a/?gclid=" + text), Campaign)
    assert isinstance(read_url("https://a/#utm_source=" + text), Campaign)
    clean_click_id(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="&#{%"), min_size=1))
def test_a_tag_never_holds_what_a_database_refuses(text):
    value = read_url(f"https://a/?utm_term={text}").utm_term
    if value is not None:
        assert "\x00" not in value
        assert len(value) <= MAX_VALUE
        assert value == value.strip()
        value.encode("utf-8")


@given(
    st.from_regex(r"[A-Za-z0-9_-]{20,100}", fullmatch=True).filter(
        lambda v: len(set(v)) > 4 and "__" not in v
    )
)
def test_a_real_looking_id_survives_untouched_wherever_it_stands(value):
    assert read_url(f"https://a/?x=1&gclid={value}&y=2").gclid == value
    assert read_url(f"https://a/#wbraid={value}").wbraid == value
