"""Where a tapped link leads. The numbers are invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.attribution.targets import Target, read_target, tap_channel

TR = "+905000000012"

# href → (value, number); all on a Turkish site
NUMBERS = {
    "tel:05000000012": (f"tel:{TR}", TR),
    "5000000012": (f"tel:{TR}", TR),
    "(+90) 500 000 00 12": (f"tel:{TR}", TR),
    "TEL:905000000012": (f"tel:{TR}", TR),
    "tel:00905000000012": (f"tel:{TR}", TR),
    "tel:+90 500 000 00 12": (f"tel:{TR}", TR),
    "tel://+905000000012": (f"tel:{TR}", TR),
    "tel:+1 (415) 555-0123": ("tel:+14155550123", "+14155550123"),
    "tel:14155550123": ("tel:+14155550123", "+14155550123"),
    "tel:444 1 234": ("tel:4441234", None),
    "tel:+4441234": ("tel:4441234", None),
    "tel:112": ("tel:112", None),
    "tel:+112": ("tel:112", None),
    "tel:1930": ("tel:1930", None),
    "tel:0850 123 45 67": ("tel:+908501234567", "+908501234567"),
    "tel:+90%20500%20000%2000%2012": (f"tel:{TR}", TR),
    "tel:%2B905000000012": (f"tel:{TR}", TR),
    "tel:%252B905000000012": (f"tel:{TR}", TR),
    "tel:+90 (0) 500 000 00 12": (f"tel:{TR}", TR),
    "tel:+9005000000012": (f"tel:{TR}", TR),
    "tel:+05000000012": (f"tel:{TR}", TR),
    "tel:+5000000012": (f"tel:{TR}", TR),
    "tel:\u202a+90\xa0500 000 00 12\u202c": (f"tel:{TR}", TR),
    "tel:٠٥٠٠٠٠٠٠٠١٢": (f"tel:{TR}", TR),
    "tel:+90 500 000 00 12 GSM": (f"tel:{TR}", TR),
    "tel:0500 000 00 12;phone-context=+90": (f"tel:{TR}", TR),
    "https://wa.me/905000000012": (f"wa:{TR}", TR),
    "wa.me/05000000012": (f"wa:{TR}", TR),
    "https://wa.me/5000000012": (f"wa:{TR}", TR),
    "https://wa.me/%2B905000000012": (f"wa:{TR}", TR),
    "https://wa.me/905000000012?text=merhaba%20905000000099": (f"wa:{TR}", TR),
    "https://wa.me/c/905000000012": (f"wa:{TR}", TR),
    "https://wa.me/6581234567": ("wa:+6581234567", "+6581234567"),
    "https://wa.me/14155550123": ("wa:+14155550123", "+14155550123"),
    "https://api.whatsapp.com/send?phone=+905000000012&text=hi": (f"wa:{TR}", TR),
    "https://web.whatsapp.com/send?phone=+905000000012&text=hi": (f"wa:{TR}", TR),
    "https://API.WhatsApp.com/send/?phone=90%20500%20000%2000%2012": (f"wa:{TR}", TR),
    "https://api.whatsapp.com/send?p=905000000012": (f"wa:{TR}", TR),
    "whatsapp://send?phone=905000000012": (f"wa:{TR}", TR),
    "intent://send?phone=905000000012#Intent;scheme=whatsapp;package=com.whatsapp;end": (f"wa:{TR}", TR),
    "https://wa.me/message/ABCDEF": ("wa:wa.me/message/ABCDEF", None),
    "https://api.whatsapp.com/message/ABCDEF?src=qr": ("wa:wa.me/message/ABCDEF", None),
    "https://wa.me/klinikadi": ("wa:wa.me/klinikadi", None),
}


@pytest.mark.parametrize(("href", "expected"), NUMBERS.items())
def test_a_link_that_is_a_lead(href, expected):
    target = read_target(href)
    assert target is not None
    assert (target.value, target.number) == expected
    assert (target.lead, target.reason) == (True, None)
    assert target.channel == ("phone" if target.value.startswith("tel:") else "whatsapp")


NO_LEADS = {
    "tel:": ("tel:", "empty_number"),
    "tel:+": ("tel:", "empty_number"),
    "tel:unknown": ("tel:", "empty_number"),
    "tel:12345678901234567890": ("tel:12345678901234567890", "impossible_number"),
    "tel:*100#": ("tel:*100#", "service_code"),
    "https://wa.me/?text=hi": ("wa:wa.me", "share_link"),
    "https://api.whatsapp.com/send?text=x": ("wa:api.whatsapp.com/send", "share_link"),
    "whatsapp://send?text=x": ("wa:whatsapp/send", "share_link"),
    "https://chat.whatsapp.com/Hk5x0123456789Ab": ("wa:chat.whatsapp.com/Hk5x0123456789Ab", "group_invite"),
    "https://whatsapp.com/channel/0029VaXYZ1234567890": (
        "wa:whatsapp.com/channel/0029VaXYZ1234567890",
        "channel_link",
    ),
    "https://call.whatsapp.com/voice/abc123": ("wa:call.whatsapp.com/voice/abc123", "call_link"),
    "https://www.whatsapp.com/": ("wa:whatsapp.com", "no_number"),
    "https://wa.me/123": ("wa:wa.me/123", "impossible_number"),
}


@pytest.mark.parametrize(("href", "expected"), NO_LEADS.items())
def test_a_link_that_is_no_lead(href, expected):
    target = read_target(href)
    assert target is not None
    assert (target.value, target.reason) == expected
    assert (target.lead, target.number) == (False, None)


@pytest.mark.parametrize(
    "href",
    [
        "",
        "mailto:a@b.example",
        "https://netflix.com/wa.me/905000000012",
        "https://wa.me.evil.example/905000000012",
        "https://notwhatsapp.com/send?phone=905000000012",
        "50%",
        "90",
        "form",
        "https://klinik.example/#tel:905000000012",
        "sms:+905000000012",
        "intent://send?phone=905000000012#Intent;scheme=other;end",
    ],
)
def test_a_link_that_is_neither(href):
    assert read_target(href) is None


@pytest.mark.parametrize(
    ("href", "extension"),
    [
        ("tel:+905000000012,,12", "12"),
        ("tel:+905000000012,,12,,3#", "12,3"),
        ("tel:+905000000012;ext=12", "12"),
        ("tel:+905000000012p12", "12"),
        ("tel:+90 500 000 00 12 x12", "12"),
        ("tel:0500 000 00 12 dahili 4", "4"),
        ("tel:+905000000012", None),
    ],
)
def test_an_extension_is_kept_apart_from_the_number(href, extension):
    assert read_target(href) == Target("phone", f"tel:{TR}", TR, extension)


REGIONS = {
    ("tel:4155550123", "US"): "tel:+14155550123",
    ("tel:1-800-FLOWERS", "US"): "tel:+18003569377",
    ("tel:905000000012", "US"): f"tel:{TR}",
    ("tel:020 7946 0018", "GB"): "tel:+442079460018",
    ("tel:061234567", "IT"): "tel:+39061234567",
    ("tel:+39 (0)6 1234567", "TR"): "tel:+39061234567",
    ("tel:+44 (0)20 7946 0018", "TR"): "tel:+442079460018",
    ("wa.me/4915112345678", "DE"): "wa:+4915112345678",
    ("wa.me/905321234567", "DE"): "wa:+905321234567",
    ("tel:555-0123", "US"): "tel:5550123",
    ("tel:+905000000012", "XX"): f"tel:{TR}",
}


@pytest.mark.parametrize(("link", "value"), REGIONS.items())
def test_a_number_is_read_by_the_plan_of_the_sites_country(link, value):
    target = read_target(*link)
    assert target is not None
    assert target.value == value


TAPS = {
    "phone_call": ("phone_call", "tel:+905000000012", "phone"),
    "upper case, blanks": (" Phone_Click ", None, "phone"),
    "wa_click": ("wa_click", None, "whatsapp"),
    "link as label of an unknown action": ("click", "tel:112", "phone"),
    "WhatsApp link as label": ("click", "https://wa.me/905000000012?text=hi there", "whatsapp"),
    "bare WhatsApp link": ("click", "wa.me/905000000012", "whatsapp"),
    "app link": ("click", "whatsapp://send?phone=905000000012", "whatsapp"),
    "phone wins": ("whatsapp", "tel:+905000000012", "phone"),
    "phone wins the other way round": ("phone_call", "https://wa.me/905000000012", "phone"),
    "page title that mentions it": ("click", "Bize wa.me/905000000012 adresinden yazın", None),
    "page title that begins with it": ("click", "wa.me nedir?", None),
    "page title that begins with a whole link": ("click", "wa.me/905000000012 bizim numaramız", None),
    "page title with a whole address": ("click", "https://wa.me adresi nedir", None),
    "host that only contains it": ("click", "https://wa.me.evil.example/905000000012", None),
    "address that only mentions it": ("click", "https://blog.example/whatsapp.com", None),
    "a view is never a tap": ("view", "https://wa.me/905000000012", None),
    "nor is a hover": ("cta_hover", "tel:+905000000012", None),
    "no label": ("form_submit", None, None),
    "empty": ("", "", None),
}


@pytest.mark.parametrize(("action", "label", "channel"), TAPS.values(), ids=TAPS.keys())
def test_an_event_is_a_tap_on(action, label, channel):
    assert tap_channel(action, label) == channel


regions = st.sampled_from(["TR", "US", "DE", "IT", "", "XX", "tr", "🙂"])
starts = st.sampled_from(
    ["", "tel:", "tel:+", "https://wa.me/", "https://api.whatsapp.com/send?phone=", "whatsapp://"]
)


@given(starts, st.one_of(st.text(), st.text("0123456789+()-,;pwx#*% ")), regions)
def test_no_text_raises(start, text, region):
    target = read_target(start + text, region)
    if target is not None:
        assert (target.reason is None) == target.lead
        assert target.value.startswith("tel:" if target.channel == "phone" else "wa:")
        assert len(target.value) <= 200
        if target.number is not None:
            assert target.number[0] == "+"
            assert target.number[1:].isdigit()
            assert target.value.endswith(target.number)
    tap_channel(text, start + text)


@given(st.from_regex(r"5[0-9]{9}", fullmatch=True), st.sampled_from(["{}", "0{}", "+90{}", "0090{}", "90{}"]))
def test_ways_to_write_a_turkish_mobile_number_agree(digits, form):
    plain, written = read_target(f"tel:+90{digits}"), read_target("tel:" + form.format(digits))
    assert plain is not None
    assert written is not None
    assert plain.number == f"+90{digits}"
    assert written.number == plain.number
