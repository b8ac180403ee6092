"""What a tapped link leads to: a phone number or a WhatsApp account, as one canonical value.

Enters: the raw `href` (or a number typed by a person) and the site's region.  Leaves: a `Target`, or None
when the link is neither.  The same number written in ten ways gives one value, because that value is compared
to tell a second tap from a new lead, and its hash may be sent to an ad network.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

import msgspec

from opsmantik.attribution.numbers import LONGEST_NUMBER, SHORTEST_NUMBER, clean, read_number
from opsmantik.attribution.referrer import bare_host

Channel = Literal["phone", "whatsapp"]

PHONE_ACTIONS: Final = frozenset({"phone_call", "phone_click", "call_click", "tel_click"})
WHATSAPP_ACTIONS: Final = frozenset({"whatsapp", "whatsapp_click", "wa_click"})
# Nobody has tapped anything yet in these, whatever link they carry as a label.
_NOT_TAPS = frozenset({"view", "cta_hover", "hover_intent", "scroll_depth", "heartbeat", "session_end"})

_WA_SHORT = frozenset({"wa.me", "wa.link"})
_WA_LONG = "whatsapp.com"
_WA_PAGES = frozenset({"send", "settings", "download", "business", "stickerpack", "legal", "features", "web"})

_MAX_HREF = 2048
_MAX_PATH = 160

# A pause (`,` `;` `p` `w`), `;ext=`, `ext.`, `x` or `#`, then nothing but further dialling: an extension.
_EXTENSION = re.compile(
    r"(?P<number>.*?\d)\s*(?:;?\s*(?:ext(?:ension)?|dahili|dah)[.=:\s]*|[,;pw]+|x|\#)\s*"
    r"(?P<extension>\d[\d,;pw#* ]*)",
    re.I,
)
_PARAMETER = re.compile(r";(?!ext)[a-z-]+=[^;]*", re.I)  # ;phone-context=… and its like
_TYPED_NUMBER = re.compile(r"[(+\d][\d\s()+.\-/]{2,31}")


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a tap leads. `lead` False comes with a `reason`: a WhatsApp share button is not an enquiry."""

    channel: Channel
    value: str
    """Canonical: `tel:+905000000012`, `tel:112`, `wa:+905000000012`, `wa:wa.me/message/ABC`."""
    number: str | None = None
    """E.164 with its plus, or None: short codes and invite links have none."""
    extension: str | None = None
    lead: bool = True
    reason: str | None = None


@lru_cache(maxsize=8192)
def read_target(href: str, region: str = "TR") -> Target | None:
    """Read a link or a typed number by the plan of `region` (ISO 3166-1). Never raises.

    None: neither phone nor WhatsApp.  Reasons when it is no lead: empty_number, impossible_number,
    service_code, share_link, group_invite, channel_link, call_link, no_number.
    """
    text = href[:_MAX_HREF].strip()
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in ("tel", "callto"):
        return _phone(rest.removeprefix("//"), region)
    parts = _whatsapp_parts(text)
    if parts is not None:
        return _whatsapp(*parts, region)
    if _TYPED_NUMBER.fullmatch(text) and sum(c.isdigit() for c in text) >= SHORTEST_NUMBER:
        return _phone(text, region)
    return None


def tap_channel(action: str, label: str | None) -> Channel | None:
    """Which channel an event is a tap on, by its action, or by a label that is itself a link.

    A label counts only if it *is* a `tel:` link or a WhatsApp address; a page title that mentions `wa.me` is
    a title.  Phone wins where action and label disagree.
    """
    name = action.strip().lower()
    if name in PHONE_ACTIONS:
        return "phone"
    if name in _NOT_TAPS:
        return None
    link = label[:_MAX_HREF].strip() if label else ""
    if link[:4].lower() == "tel:":
        return "phone"
    if name in WHATSAPP_ACTIONS or (link and _is_whatsapp(link)):
        return "whatsapp"
    return None


def _is_whatsapp(link: str) -> bool:
    lowered = link.lower()
    if "wa." not in lowered and "whatsapp" not in lowered:
        return False
    if "://" not in lowered and any(c.isspace() for c in lowered):
        return False  # a bare `wa.me/…` is one word; a sentence is not a link
    return _whatsapp_parts(link) is not None


def _whatsapp_parts(text: str) -> tuple[str, str, str] | None:
    """(host, path, query) if `text` is a WhatsApp link; host is empty for the app's own scheme."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        rest = text.removeprefix("//")
        if ":" in rest.partition("/")[0]:
            return None
    elif scheme.lower() == "whatsapp":
        path, _, query = rest.partition("?")
        return "", path, query.partition("#")[0]
    elif scheme.lower() == "intent" and "scheme=whatsapp" in rest.partition("#")[2].lower():
        path, _, query = rest.partition("#")[0].partition("?")
        return "", path, query
    elif scheme.lower() not in ("http", "https"):
        return None
    host = bare_host(rest)
    if host is None or not (host in _WA_SHORT or host == _WA_LONG or host.endswith("." + _WA_LONG)):
        return None
    path, _, query = rest.partition("#")[0].partition("?")
    return host, path.partition("/")[2], query


def _whatsapp(host: str, path: str, query: str, region: str) -> Target:
    segments = [segment for segment in path.split("/") if segment]
    first = segments[0].lower() if segments else ""
    place = "/".join(["wa.me" if first == "message" else host or "whatsapp", *segments])[:_MAX_PATH]
    if host.startswith("chat."):
        return _no_lead(place, "group_invite")
    if host.startswith("call."):
        return _no_lead(place, "call_link")
    if first == "channel":
        return _no_lead(place, "channel_link")
    for candidate in _written_numbers(segments, first, query):
        digits, number = read_number(candidate, region, international=True)
        if number is not None:
            return Target("whatsapp", f"wa:{number}", number)
        if len(digits) >= SHORTEST_NUMBER:
            return _no_lead(place, "impossible_number")
    if first in ("message", "qr", "c", "p", "catalog") and len(segments) > 1:
        return Target("whatsapp", f"wa:{place}")
    if host in _WA_SHORT and first and first not in _WA_PAGES:
        return Target("whatsapp", f"wa:{place}")  # a business's user name, or a shortened link to one
    shares = first == "send" or host == "wa.me"
    return _no_lead(place, "share_link" if shares and "text=" in query else "no_number")


def _written_numbers(segments: list[str], first: str, query: str) -> list[str]:
    """Every place where a WhatsApp link may carry a number, most explicit first."""
    found = []
    for pair in query.split("&", 64):
        key, _, raw = pair.partition("=")
        if key.lower() in ("phone", "p"):
            found.append(raw)  # a `+` here is a plus, not a blank
    if first in ("c", "catalog", "send"):
        found += segments[1:2]
    elif first == "p":
        found += segments[2:3]
    else:
        found += segments[:1]
    texts = [clean(raw) for raw in found]
    return [t for t in texts if any(c.isdigit() for c in t) and not any(c.isalpha() for c in t)]


def _no_lead(place: str, reason: str) -> Target:
    return Target("whatsapp", f"wa:{place}", lead=False, reason=reason)


def _phone(raw: str, region: str) -> Target:
    text = clean(raw)
    if text[:1] in ("*", "#"):
        return Target("phone", f"tel:{text[:32]}", lead=False, reason="service_code")
    extension = None
    text = _PARAMETER.sub("", text)
    dialled = _EXTENSION.fullmatch(text)
    if dialled:
        text = dialled["number"]
        extension = ",".join(re.findall(r"\d+", dialled["extension"]))[:32]
    digits, number = read_number(text, region)
    if number is not None:
        return Target("phone", f"tel:{number}", number, extension)
    if len(digits) < SHORTEST_NUMBER:
        return Target("phone", "tel:", lead=False, reason="empty_number")
    if len(digits) > LONGEST_NUMBER:
        return Target("phone", f"tel:{digits[:40]}", lead=False, reason="impossible_number")
    return Target("phone", f"tel:{digits}", None, extension)
