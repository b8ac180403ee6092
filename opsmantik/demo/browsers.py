"""Browsers that the demo's visitors use: user agents as the browsers send them, and what they tell a script.

Mostly phones, as it is for businesses that are called. Bots have a list of their own.
"""

from __future__ import annotations

import random
from typing import Final

import msgspec


class Browser(msgspec.Struct, frozen=True):
    """A browser: its user agent, what its scripts report of the machine, and whether it has a mouse."""

    user_agent: str
    screen: tuple[int, int]
    pixel_ratio: float
    memory: float | None
    cores: int
    network: str | None
    mouse: bool = False


_ANDROID = "Mozilla/5.0 (Linux; Android {}) AppleWebKit/537.36 (KHTML, like Gecko) "
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) "

_PHONES = (
    (28, Browser(f"{_ANDROID.format('10; K')}Chrome/143.0.0.0 Mobile Safari/537.36",
                 (412, 915), 2.625, 4, 8, "4g")),
    (9, Browser(f"{_ANDROID.format('10; K')}Chrome/142.0.0.0 Mobile Safari/537.36",
                (360, 800), 3, 2, 8, "4g")),
    (4, Browser(f"{_ANDROID.format('10; K')}Chrome/131.0.0.0 Mobile Safari/537.36",
                (393, 873), 2.75, 4, 8, "3g")),
    (10, Browser(f"{_ANDROID.format('10; K')}SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
                 (384, 854), 2.8125, 8, 8, "4g")),
    (24, Browser(f"{_IPHONE.format('18_7')}Version/26.1 Mobile/15E148 Safari/604.1",
                 (393, 852), 3, None, 6, None)),
    (7, Browser(f"{_IPHONE.format('17_6_1')}Version/17.6 Mobile/15E148 Safari/604.1",
                (390, 844), 3, None, 6, None)),
    (5, Browser(f"{_IPHONE.format('18_7')}CriOS/143.0.7499.38 Mobile/15E148 Safari/604.1",
                (430, 932), 3, None, 6, None)),
    (6, Browser(f"{_IPHONE.format('18_6_2')}GSA/392.0.825094118 Mobile/15E148 Safari/604.1",
                (393, 852), 3, None, 6, None)),
)  # fmt: skip
_DESKTOPS = (
    (11, Browser(f"{_WINDOWS}{_WEBKIT}Chrome/143.0.0.0 Safari/537.36", (1920, 1080), 1, 8, 12, "4g", True)),
    (4, Browser(f"{_WINDOWS}{_WEBKIT}Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0",
                (1536, 864), 1.25, 8, 8, "4g", True)),
    (2, Browser(f"{_WINDOWS.replace(') ', '; rv:145.0) ')}Gecko/20100101 Firefox/145.0",
                (1920, 1080), 1, None, 8, None, True)),
    (3, Browser(f"{_MAC}AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
                (1512, 982), 2, None, 8, None, True)),
    (2, Browser(f"{_MAC}{_WEBKIT}Chrome/143.0.0.0 Safari/537.36", (1728, 1117), 2, 8, 10, "4g", True)),
    (1, Browser("Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
                "Version/26.1 Mobile/15E148 Safari/604.1", (820, 1180), 2, None, 8, None)),
    (1, Browser(f"{_ANDROID.format('14; SM-X216B')}Chrome/143.0.0.0 Safari/537.36",
                (800, 1280), 1.5, 4, 8, "4g")),
)  # fmt: skip
_INSTAGRAM = (
    (6, Browser(f"{_IPHONE.format('18_7')}Mobile/22H20 Instagram 409.0.0.28.79 (iPhone15,2; iOS 18_7; tr_TR; "
                "tr; scale=3.00; 1179x2556; 812937812)", (393, 852), 3, None, 6, None)),
    (5, Browser("Mozilla/5.0 (Linux; Android 15; SM-A556E Build/AP3A.240905.015.A2; wv) AppleWebKit/537.36 "
                "(KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.171 Mobile Safari/537.36 "
                "Instagram 408.0.0.51.78 Android (35/15; 450dpi; 1080x2125; samsung; SM-A556E; a55x; "
                "s5e8845)",
                (384, 854), 2.8125, 8, 8, "4g")),
)  # fmt: skip
_FACEBOOK = (
    (5, Browser(f"{_IPHONE.format('18_6')}Mobile/15E148 [FBAN/FBIOS;FBAV/538.0.0.31.70;FBBV/830512345;"
                "FBDV/iPhone14,7;FBMD/iPhone;FBSN/iOS;FBSV/18.6;FBSS/3;FBID/phone;FBLC/en_GB;FBOP/5]",
                (390, 844), 3, None, 6, None)),
    (5, Browser("Mozilla/5.0 (Linux; Android 14; 23021RAA2Y Build/UKQ1.230917.001; wv) AppleWebKit/537.36 "
                "(KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.171 Mobile Safari/537.36 "
                "[FB_IAB/FB4A;FBAV/537.0.0.45.109;]", (393, 873), 2.75, 8, 8, "4g")),
)  # fmt: skip

BROWSERS: Final = (*_PHONES, *_DESKTOPS)
IN_APP: Final = {"instagram": _INSTAGRAM, "facebook_ad": (*_FACEBOOK, *_INSTAGRAM)}
"""By entry: who comes from inside an app mostly stays in the app's own browser."""

BOTS: Final = (
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/143.0.7499.40 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
    "+http://www.bing.com/bingbot.htm) Chrome/136.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 "
    "Safari/537.36",
)


def choose_browser(rng: random.Random, entry: str) -> Browser:
    """A browser that fits how the visitor came (a name from entries.ENTRIES)."""
    known = IN_APP.get(entry)
    choices = known if known is not None and rng.random() < 0.8 else BROWSERS
    return rng.choices([browser for _, browser in choices], [weight for weight, _ in choices])[0]


def environment(browser: Browser, language: str, time_zone: str) -> dict[str, object]:
    """What the tracker reports of the machine; what a browser does not tell is left out."""
    found: dict[str, object] = {
        "lang": language, "tz": time_zone, "sw": browser.screen[0], "sh": browser.screen[1],
        "dpr": browser.pixel_ratio, "cores": browser.cores,
    }  # fmt: skip
    if browser.memory is not None:
        found["mem"] = browser.memory
    if browser.network is not None:
        found["net"] = browser.network
    return found
