"""Device, browser and operating system, from the user agent.

Browser and system come from the uap-core patterns (ua-parser, its Rust engine); they have no device class,
so that is decided here.  What a browser no longer tells is left out rather than repeated: Chrome freezes
Android at `10; K`, and every Mac browser reports macOS 10.15.7, whatever the machine.

Known limit: an iPad in its default desktop mode sends a Mac's user agent and is counted as desktop.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final, Literal

import msgspec
from ua_parser import Parser
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

DeviceType = Literal["desktop", "mobile", "tablet", "unknown"]

_MAX_USER_AGENT = 512
_MAX_WORD = 64

_TELEVISION = re.compile(
    r"smart-?tv|\bTV\b|hbbtv|googletv|appletv|web0s|netcast|bravia|\bAFT[A-Z]|roku|playstation|xbox|nintendo",
    re.IGNORECASE,
)
# Models, because some tablets' browsers write "Mobile" like a phone: Amazon's KF…, Samsung's SM-T and SM-X.
_TABLET = re.compile(
    r"ipad|tablet(?! pc)|playbook|kindle|\bKF[A-Z]{3,6}\b|nexus (?:7|9|10)\b|\bsm-[tx]\d{3}", re.IGNORECASE
)
_MOBILE = re.compile(
    r"mobi|iphone|ipod|windows phone|blackberry|\bbb10\b|opera mini|ucweb|kaios|dalvik|symbian", re.IGNORECASE
)
_DESKTOP = re.compile(r"windows nt|macintosh|x11|cros |linux (?:x86_64|i686|aarch64)|openbsd|freebsd", re.I)

_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS", "Web0S": "webOS"}
_FROZEN_MAC = ("10", "15")

_VALUETRACK: dict[str, DeviceType] = {
    "m": "mobile", "mobile": "mobile", "t": "tablet", "tablet": "tablet",
    "c": "desktop", "desktop": "desktop", "computer": "desktop",
}  # fmt: skip


class Device(msgspec.Struct, frozen=True, gc=False):
    """One visitor's machine, as far as its browser tells. Words are at most 64 characters."""

    type: DeviceType = "unknown"
    browser: str | None = None
    browser_version: str | None = None
    os: str | None = None
    os_version: str | None = None
    brand: str | None = None
    model: str | None = None


UNKNOWN: Final = Device()


@lru_cache(maxsize=8192)
def read_user_agent(ua: str) -> Device:
    """Read a user agent. Never raises; an empty one gives `UNKNOWN`.

    A new one takes about 0.1 ms, a known one next to nothing.  The first call of a process loads the patterns
    (0.2 s), so make it before the first visitor does.
    """
    ua = ua[:_MAX_USER_AGENT].encode("utf-8", "replace").decode("utf-8").strip()
    if not ua:
        return UNKNOWN
    found = _parser().parse(ua)
    browser, system, device = found.user_agent, found.os, found.device
    model = device.model if device else None
    if model == "K" or (device and device.brand in (None, "Spider")):
        model = None
    return Device(
        type=_type_of(ua),
        browser=_word(browser.family) if browser else None,
        browser_version=_version(browser.major, browser.minor) if browser else None,
        os=_word(_SYSTEMS.get(system.family, system.family)) if system else None,
        os_version=_system_version(ua, system.family, system.major, system.minor) if system else None,
        brand=_word(device.brand) if device and model else None,
        model=_word(model),
    )


def device_from_valuetrack(value: str | None) -> DeviceType | None:
    """The device class behind a `device=` parameter: ValueTrack's m, t, c or the words written out.

    Only for visits whose user agent says nothing: an address can be shared from a phone to a desktop.
    """
    return _VALUETRACK.get(value.strip().lower()) if value else None


@cache
def _parser() -> Parser:
    return Parser(Resolver(load_lazy_builtins()))


def _type_of(ua: str) -> DeviceType:
    if _TELEVISION.search(ua):
        return "unknown"
    if _TABLET.search(ua):
        return "tablet"
    if _MOBILE.search(ua):
        return "mobile"
    # Android's own convention: phones write "Mobile", tablets leave it out.
    if "Android" in ua:
        return "tablet"
    return "desktop" if _DESKTOP.search(ua) else "unknown"


def _system_version(ua: str, family: str, major: str | None, minor: str | None) -> str | None:
    if family == "Mac OS X" and (major, minor) == _FROZEN_MAC:
        return None
    if family == "Android" and "Android 10; K)" in ua:
        return None
    return _version(major, minor)


def _version(major: str | None, minor: str | None) -> str | None:
    if not major:
        return None
    return _word(f"{major}.{minor}" if minor and minor != "0" else major)


def _word(text: str | None) -> str | None:
    return text[:_MAX_WORD] if text else None
