"""Campaign facts written into a landing address: click ids, UTM tags and ValueTrack parameters.

Enters: the full page address as the browser reported it, query and fragment included.
Leaves: a `Campaign`; a value that cannot be trusted is absent rather than guessed at.

Three rules, each there because its absence mislabelled paid visits:

* A key counts only when it is written exactly: `mydevice=` is not `device=`.
* A template that the ad network never filled in (`{keyword}`) is no value.
* The fragment overrides the query for tags, because some sites route by fragment and copy the tags behind
  the `#`.  For click ids it only fills a gap: the network itself appends those to the query, before any `#`,
  so an id in a fragment is at best a copy and at worst one left over from an older click.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import msgspec

MAX_VALUE = 256
"""Longest tag kept, in characters; ad networks cap a single value at 250 (Microsoft) or less."""

_MAX_URL = 8192
_MAX_PAIRS = 255

# Google's ids are URL-safe base64 with dots allowed between parts; Meta's, Microsoft's and TikTok's fit the
# same alphabet.  Real ids are far longer than ten characters; shorter ones are typed by hand.
_CLICK_ID = re.compile(r"[A-Za-z0-9_.~-]{10,512}")
_FEWEST_CHARACTERS = 4

# {keyword} Google, Microsoft and Meta; __CAMPAIGN__ TikTok; %%KEYWORD%% some ad servers.  The percent-encoded
# brace is a template that was encoded twice on its way.
_TEMPLATE = re.compile(r"\{|__[A-Z][A-Z0-9_]*__|%%[^%]+%%|%7[Bb]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_PLACEHOLDERS = frozenset(
    {"undefined", "null", "none", "nan", "(none)", "(not set)", "(not provided)", "[object object]"}
)

_MATCH_TYPES = {
    "e": "e", "p": "p", "b": "b", "exact": "e", "phrase": "p", "broad": "b",
    "be": "e", "bp": "p", "bb": "b",  # what Microsoft's {BidMatchType} expands to
}  # fmt: skip
_DEVICES = frozenset({"m", "t", "c", "mobile", "tablet", "desktop", "computer"})
_NETWORK = re.compile(r"[a-z0-9_]{1,16}")


class Campaign(msgspec.Struct, frozen=True, gc=False):
    """What one address says about the click that led to it. Values keep their case; `None` means not said."""

    gclid: str | None = None
    wbraid: str | None = None
    gbraid: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    matchtype: str | None = None
    device: str | None = None
    network: str | None = None
    placement: str | None = None
    fbclid: str | None = None
    msclkid: str | None = None
    ttclid: str | None = None
    gad_source: str | None = None
    gad_campaignid: str | None = None

    @property
    def has_click_id(self) -> bool:
        """True when Google's own click id is known, the only kind its offline conversions accept."""
        return self.gclid is not None or self.wbraid is not None or self.gbraid is not None

    @property
    def click_id(self) -> tuple[str, str] | None:
        """The one id to report back, as (kind, value); Google refuses a conversion that carries two."""
        if self.gclid is not None:
            return ("gclid", self.gclid)
        if self.wbraid is not None:
            return ("wbraid", self.wbraid)
        if self.gbraid is not None:
            return ("gbraid", self.gbraid)
        return None

    @property
    def has_utm(self) -> bool:
        """True when any UTM tag is present."""
        return bool(
            self.utm_source or self.utm_medium or self.utm_campaign or self.utm_term or self.utm_content
        )

    @property
    def has_campaign(self) -> bool:
        """True when a tag or any network's click id is present.

        `device=` or `network=` alone do not count: shops use the same words for their own filters.
        """
        return bool(
            self.has_click_id
            or self.has_utm
            or self.msclkid
            or self.ttclid
            or self.fbclid
            or self.gad_source
            or self.gad_campaignid
        )


EMPTY = Campaign()
"""Shared by every address that says nothing."""


def read_url(url: str) -> Campaign:
    """Read the campaign facts out of `url`. Never raises; an address without any gives `EMPTY`."""
    if "?" not in url and "#" not in url:
        return EMPTY
    return _read(url)


def clean_click_id(value: object) -> str | None:
    """`value` as a usable click id, or None: wrong type, length or alphabet, or an obvious placeholder.

    Case is kept, because the ids are case-sensitive.
    """
    if not isinstance(value, str):
        return None
    text = _decoded(value.strip()) if "%" in value else value.strip()
    if _CLICK_ID.fullmatch(text) is None or len(set(text)) < _FEWEST_CHARACTERS:
        return None
    if "__" in text and _TEMPLATE.search(text):
        return None
    return text


@lru_cache(maxsize=4096)
def _read(url: str) -> Campaign:
    if not url.isascii():  # a lone surrogate cannot be encoded, so it must go before decoding starts
        url = url.encode("utf-8", "replace").decode("utf-8")
    address, _, fragment = url[:_MAX_URL].partition("#")
    found = _collect(address.partition("?")[2])
    if "=" in fragment:
        for key, value in _collect(_behind_hash(fragment)).items():
            if key not in found or key not in _BY_NETWORK:
                found[key] = value
    return Campaign(**found) if found else EMPTY


def _collect(query: str) -> dict[str, str]:
    """First usable value of each known key; an empty or refused one leaves room for the next."""
    found: dict[str, str] = {}
    if not query:
        return found
    for pair in query.split("&", _MAX_PAIRS):
        key, _, raw = pair.partition("=")
        reader = _READERS.get(key)
        if reader is None:
            if "%" not in key and not key.startswith("amp;"):
                continue
            key = _decoded(key).removeprefix("amp;")  # links copied out of HTML source keep `&amp;`
            reader = _READERS.get(key)
        if raw and reader is not None and key not in found:
            value = reader(raw)
            if value is not None:
                found[key] = value
    return found


def _behind_hash(fragment: str) -> str:
    """The part of a fragment that reads as a query: behind its first inner `?`, from the first known key on.

    `#4?utm_term=k&matchtype=p`, `#utm_source=x` and `#/page/utm_source=x` all occur in the field.
    """
    text = fragment.removeprefix("?")
    text = text.partition("?")[2] or text
    first = _FIRST_KEY.search(text)
    return text[first.start() :] if first else ""


def _decoded(raw: str) -> str:
    return unquote_to_bytes(raw.encode("utf-8", "replace")).decode("utf-8", "replace")


def _text(raw: str) -> str | None:
    text = raw.replace("+", " ") if "+" in raw else raw
    if "%" in text:
        text = _decoded(text)
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    text = text.strip()[:MAX_VALUE].rstrip()
    if not text or _TEMPLATE.search(text) or (len(text) < 16 and text.lower() in _PLACEHOLDERS):
        return None
    return text


def _match_type(raw: str) -> str | None:
    text = _text(raw)
    if text is None:
        return None
    word = text.lower()
    # A single unknown letter is a match type that the network introduced after this was written.
    return _MATCH_TYPES.get(word) or (word if len(word) == 1 and "a" <= word <= "z" else None)


def _device(raw: str) -> str | None:
    text = _text(raw)
    return text.lower() if text is not None and text.lower() in _DEVICES else None


def _network(raw: str) -> str | None:
    text = _text(raw)
    return text.lower() if text is not None and _NETWORK.fullmatch(text.lower()) else None


def _digits(raw: str) -> str | None:
    return raw if len(raw) <= 20 and raw.isascii() and raw.isdigit() else None


_BY_NETWORK: dict[str, Callable[[str], str | None]] = {
    "gclid": clean_click_id, "wbraid": clean_click_id, "gbraid": clean_click_id, "fbclid": clean_click_id,
    "msclkid": clean_click_id, "ttclid": clean_click_id, "gad_source": _digits, "gad_campaignid": _digits,
}  # fmt: skip
_READERS: dict[str, Callable[[str], str | None]] = _BY_NETWORK | {
    "utm_source": _text, "utm_medium": _text, "utm_campaign": _text, "utm_term": _text, "utm_content": _text,
    "matchtype": _match_type, "device": _device, "network": _network, "placement": _text,
}  # fmt: skip
_FIRST_KEY = re.compile(r"(?<![A-Za-z0-9_-])(?:" + "|".join(_READERS) + ")=")
