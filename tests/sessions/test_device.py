"""Real user agents and what each machine is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.sessions.device import UNKNOWN, Device, device_from_valuetrack, read_user_agent

GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{GECKO} Chrome/131.0.0.0"

# user agent → (type, browser, version, system, version)
MACHINES = {
    "iPhone": (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/17.5 Mobile/15E148 Safari/604.1",
        ("mobile", "Mobile Safari", "17.5", "iOS", "17.5"),
    ),
    "iPad that says so": (
        "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 "
        "Mobile/15E148 Safari/604.1",
        ("tablet", "Mobile Safari", "16.6", "iOS", "16.6"),
    ),
    "Android phone, reduced": (
        f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36",
        ("mobile", "Chrome Mobile", "131", "Android", None),
    ),
    "Android tablet, reduced": (
        f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Safari/537.36",
        ("tablet", "Chrome", "131", "Android", None),
    ),
    "Android tablet whose app writes Mobile": (
        f"Mozilla/5.0 (Linux; Android 13; SM-X906C Build/QP1A; wv) {GECKO} Version/4.0 Chrome/80.0.3987.119 "
        "Mobile Safari/537.36",
        ("tablet", "Chrome Mobile WebView", "80", "Android", "13"),
    ),
    "Android phone, not reduced": (
        f"Mozilla/5.0 (Linux; Android 14; SM-A546B) {GECKO} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile",
        ("mobile", "Samsung Internet", "25", "Android", "14"),
    ),
    "Firefox on a phone": (
        "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
        ("mobile", "Firefox Mobile", "132", "Android", "14"),
    ),
    "Firefox on a tablet": (
        "Mozilla/5.0 (Android 13; Tablet; rv:132.0) Gecko/132.0 Firefox/132.0",
        ("tablet", "Firefox Mobile", "132", "Android", "13"),
    ),
    "Amazon's tablet": (
        f"Mozilla/5.0 (Linux; Android 11; KFTRWI) {GECKO} Silk/108.2 like Chrome/108.0.5359.160",
        ("tablet", "Amazon Silk", "108.2", "Android", "11"),
    ),
    "Facebook's browser": (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Mobile/21F90 [FBAN/FBIOS;FBAV/466.0.0.38.106;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.5.1]",
        ("mobile", "Facebook", "466", "iOS", "17.5"),
    ),
    "Windows": (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/131.0.0.0",
        ("desktop", "Edge", "131", "Windows", "10"),
    ),
    "Windows with a pen": (
        "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; WOW64; Trident/5.0; Tablet PC 2.0)",
        ("desktop", "IE", "9", "Windows", "7"),
    ),
    "Mac": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.1 Safari/605.1.15",
        ("desktop", "Safari", "18.1", "macOS", None),
    ),
    "Mac that tells its version": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.14; rv:109.0) Gecko/20100101 Firefox/115.0",
        ("desktop", "Firefox", "115", "macOS", "10.14"),
    ),
    "Linux": (
        f"Mozilla/5.0 (X11; Linux x86_64) {GECKO} HeadlessChrome/131.0.0.0 Safari/537.36",
        ("desktop", "HeadlessChrome", "131", "Linux", None),
    ),
    "Chromebook": (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36",
        ("desktop", "Chrome", "131", "ChromeOS", "14541"),
    ),
    "Opera Mini": (
        "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16",
        ("mobile", "Opera Mini", "36.2", "Android", None),
    ),
    "television": (
        "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 "
        "TV Safari/537.36",
        ("unknown", "Safari", None, "Tizen", "6"),
    ),
    "Android on a television": (
        f"Mozilla/5.0 (Linux; Android 9; AFTMM) {GECKO} Silk/108.2 like Chrome/108.0.5359.160",
        ("unknown", "Amazon Silk", "108.2", "Android", "9"),
    ),
    "program": ("curl/8.5.0", ("unknown", "curl", "8.5", None, None)),
}


@pytest.mark.parametrize(("ua", "expected"), MACHINES.values(), ids=MACHINES.keys())
def test_a_user_agent_is_read(ua, expected):
    device = read_user_agent(ua)
    assert (device.type, device.browser, device.browser_version, device.os, device.os_version) == expected


def test_brand_and_model_are_given_only_where_the_browser_still_tells():
    samsung = read_user_agent(MACHINES["Android phone, not reduced"][0])
    assert (samsung.brand, samsung.model) == ("Samsung", "SM-A546B")
    reduced = read_user_agent(MACHINES["Android phone, reduced"][0])
    assert (reduced.brand, reduced.model) == (None, None)


def test_an_empty_user_agent_is_unknown():
    assert read_user_agent("") == read_user_agent("   ") == UNKNOWN == Device()


@pytest.mark.parametrize(
    ("value", "device"),
    [
        ("m", "mobile"),
        ("T", "tablet"),
        ("c", "desktop"),
        (" Desktop ", "desktop"),
        ("iphone", None),
        ("", None),
        (None, None),
    ],
)
def test_valuetrack_names_the_device(value, device):
    assert device_from_valuetrack(value) == device


@given(st.text())
def test_no_text_raises(text):
    device = read_user_agent(text)
    assert device.type in ("desktop", "mobile", "tablet", "unknown")
    for word in (device.browser, device.os, device.brand, device.model):
        assert word is None or 0 < len(word) <= 64
