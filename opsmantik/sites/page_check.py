"""What a page of a site says about its own installation: the tracker's tag, and whether the page's policy lets it work.

Enters: a page as it was fetched, and what the site's tag should be.  Leaves: what is in it. Pure: fetching is somebody
else's.

The content policy is read as far as it decides about one script by its address and one request by its address (CSP
level 3): directives and their fallbacks, host, scheme and keyword sources, nonces and strict-dynamic. A hash of an external
script is taken for a block, because ours changes with every version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

SITE_ATTRIBUTES: Final = ("data-site-id", "data-ops-site-id", "data-site")
"""The tracker's own order: the first that is there counts (tracker/src/tag.js)."""
_SCRIPT_PATHS: Final = ("/core.js", "/ux-core.js")
_SITE_IN_TEXT: Final = re.compile(
    r"""data-(?:ops-)?site(?:-id)?["']?\s*[,=:]\s*["']([0-9a-fA-F-]{32,36})["']"""
)
_TAG_MANAGER: Final = re.compile(r"googletagmanager\.com/gtm\.js|\bGTM-[A-Z0-9]{4,}\b")
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Tag(msgspec.Struct, frozen=True):
    """A script element that is, or looks like, a tracker's. ``src`` is absolute."""

    src: str
    site: str | None
    api: str | None
    nonce: str | None
    consent: str | None
    written: bool = True
    """False: it is made by a script of the page, so what it will be is a guess."""


class PageCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``problem`` is the first of :data:`PROBLEMS` that applies, or None."""

    problem: str | None
    tags: list[Tag]
    tag_manager: bool
    blocked: str | None
    """The directive of the page's content policy that is in the way."""
    other_site: str | None
    """The site id in the page, where it is not this site's."""
    sends_to: str | None
    """Where the tag sends events to."""


PROBLEMS: Final = (
    "no_tag",
    "other_site",
    "script_blocked",
    "events_blocked",
    "no_address",
    "first_generation",
)
"""In the order in which they hurt."""


def check_page(
    html: str, address: str, headers: Mapping[str, str], public_id: str, base_url: str
) -> PageCheck:
    """Read a page that was found at ``address``. ``headers``: names in lower case."""
    page = _Page(address)
    page.feed(html)
    page.close()
    tags = page.tags
    mine = next((tag for tag in tags if tag.site is not None and _plain(tag.site) == _plain(public_id)), None)
    policies = [headers[name] for name in ("content-security-policy",) if name in headers] + page.policies
    tag = mine or (tags[0] if tags else None)
    if tag is None:
        return PageCheck(
            problem="no_tag",
            tags=[],
            tag_manager=page.tag_manager,
            blocked=None,
            other_site=None,
            sends_to=None,
        )
    door = urljoin(address, tag.api) if tag.api else urljoin(tag.src, "/v1/events")
    script = blocking(policies, "script-src", tag.src, address, nonce=tag.nonce)
    events = blocking(policies, "connect-src", door, address)
    problem = None
    if mine is None:
        problem = "other_site" if tag.site else "no_address"
    elif script:
        problem = "script_blocked"
    elif events:
        problem = "events_blocked"
    elif urlsplit(door).path.endswith("/api/sync"):
        problem = "first_generation"
    return PageCheck(
        problem=problem, tags=tags, tag_manager=page.tag_manager, blocked=script or events,
        other_site=tag.site if mine is None else None, sends_to=door,
    )  # fmt: skip


def _plain(site: str) -> str:
    return site.replace("-", "").lower()


class _Page(HTMLParser):
    """Collects script elements and policies. Never raises: a page is whatever somebody wrote."""

    def __init__(self, address: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base = address
        self.tags: list[Tag] = []
        self.policies: list[str] = []
        self.tag_manager = False
        self._inline: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in reversed(attrs)}
        if tag == "base" and found.get("href"):
            self.base = _joined(self.base, found["href"])
        elif tag == "meta" and found.get("http-equiv", "").strip().lower() == "content-security-policy":
            self.policies.append(found.get("content", ""))
        elif tag == "script":
            self._inline = []
            self._script(found)

    def _script(self, found: Mapping[str, str]) -> None:
        src = _joined(self.base, found["src"].strip()) if found.get("src") else ""
        if _TAG_MANAGER.search(src):
            self.tag_manager = True
        site = next((found[name] for name in SITE_ATTRIBUTES if found.get(name)), None)
        if src and (site or urlsplit(src).path.endswith(_SCRIPT_PATHS)):
            tag = Tag(
                src,
                site,
                found.get("data-api") or None,
                found.get("nonce") or None,
                found.get("data-consent") or None,
            )
            self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self._inline is not None:
            self._inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag != "script" or self._inline is None:
            return
        text, self._inline = "".join(self._inline), None
        if _TAG_MANAGER.search(text):
            self.tag_manager = True
        src = re.search(r"""["']((?:https?:)?//[^"'\s]+/core\.js[^"'\s]*)["']""", text)
        site = _SITE_IN_TEXT.search(text)
        if src and site:
            self.tags.append(Tag(_joined(self.base, src[1]), site[1], None, None, None, written=False))


def _joined(base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError:
        return address


def blocking(
    policies: Sequence[str], directive: str, url: str, page: str, *, nonce: str | None = None
) -> str | None:
    """The directive by which one of the policies stops this address on this page; None where all let it through.

    ``directive``: script-src or connect-src. A policy is as in the header, where several are separated by commas.
    """
    for policy in (one for text in policies for one in text.split(",")):
        rules: dict[str, list[str]] = {}
        for part in policy.split(";"):
            name, *sources = part.split()[:200] or [""]
            rules.setdefault(name.lower(), sources)
        for name in (f"{directive}-elem", directive, "default-src"):
            if name in rules:
                if not _allows(rules[name], url, page, nonce):
                    return name
                break
    return None


def _allows(sources: list[str], url: str, page: str, nonce: str | None) -> bool:
    lower = [source.lower() for source in sources]
    if nonce and f"'nonce-{nonce}'" in sources:
        return True
    if "'strict-dynamic'" in lower:
        return False
    try:
        wanted, here = urlsplit(url), urlsplit(page)
        return any(_matches(source, wanted, here) for source in lower)
    except ValueError:
        return False


def _matches(source: str, url: SplitResult, page: SplitResult) -> bool:
    if source == "'self'":
        return (
            url.hostname == page.hostname
            and _port(url) == _port(page)
            and url.scheme in (page.scheme, "https")
        )
    if source == "*":
        return url.scheme in ("http", "https", page.scheme)
    if source.startswith("'"):
        return False
    if source.endswith(":") and "/" not in source:
        return url.scheme == source[:-1] or (source == "http:" and url.scheme == "https")
    scheme, separator, rest = source.partition("://")
    if not separator:
        scheme, rest = page.scheme, source
    if url.scheme != scheme and not (scheme == "http" and url.scheme == "https"):
        return False
    host, slash, path = rest.partition("/")
    host, _, port = host.partition(":")
    if port and port != "*" and port != str(_port(url)):
        return False
    if not port and _port(url) != _PORTS.get(url.scheme):
        return False
    name = url.hostname or ""
    if not (name == host or (host.startswith("*.") and name.endswith(host[1:])) or host == "*"):
        return False
    if not path:
        return True
    whole = slash + path
    return url.path.startswith(whole) if whole.endswith("/") else url.path == whole


def _port(url: SplitResult) -> int | None:
    return url.port or _PORTS.get(url.scheme)
