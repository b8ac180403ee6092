"""Which host an address names, and which kind of site that host is.

Hosts are compared label by label from the right: `x.com` is a social network, `netflix.com` is not, and
neither is `x.com.example`.  Search engines with an address in every country (`google.com.tr`) are matched by
their name with a country ending, and only on the hosts that answer searches: `mail.google.com` is a mailbox.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

SEARCH: Final = "search"
SOCIAL: Final = "social"
EMAIL: Final = "email"
ASSISTANT: Final = "assistant"
ADS: Final = "ads"
PASSAGE: Final = "passage"

_SCHEMES = frozenset({"http", "https", "android-app", "ios-app"})
_HOST = re.compile(r"[\w.-]{1,253}")
_COUNTRY_ENDING = r"(?:com|[a-z]{2}|com?\.[a-z]{2}|cat)"

_GOOGLE = re.compile(rf"(?:(?P<part>[\w.-]+)\.)?google\.{_COUNTRY_ENDING}")
_GOOGLE_SEARCH = frozenset({None, "www", "m", "maps", "images", "lens", "cse", "encrypted", "ipv4", "ipv6"})
_GOOGLE_OTHER = {
    "mail": EMAIL, "inbox": EMAIL, "gemini": ASSISTANT, "bard": ASSISTANT,
    "accounts": PASSAGE, "pay": PASSAGE, "adservice": ADS,
}  # fmt: skip
_YANDEX = re.compile(rf"(?:(?P<part>[\w.-]+)\.)?yandex\.{_COUNTRY_ENDING}")
_SEARCH_ANYWHERE = re.compile(
    rf"(?:[\w-]+\.)*(?:search\.yahoo\.{_COUNTRY_ENDING}|{_COUNTRY_ENDING}\.search\.yahoo\.com)"
)
_SOCIAL_ANYWHERE = re.compile(rf"(?:[\w-]+\.)*pinterest\.{_COUNTRY_ENDING}")
_MAILBOX = re.compile(r"(?:web)?mail\d?\..+|e\.mail\.ru")

_BY_KIND: dict[str, str] = {
    SEARCH: """bing.com duckduckgo.com ecosia.org baidu.com startpage.com qwant.com search.brave.com ya.ru
        search.naver.com seznam.cz search.aol.com ask.com sogou.com so.com petalsearch.com mojeek.com kagi.com
        swisscows.com metager.org presearch.com search.yahoo.com yandex.com.tr lite.duckduckgo.com""",
    SOCIAL: """facebook.com fb.com fb.me messenger.com m.me instagram.com threads.net threads.com twitter.com
        x.com t.co linkedin.com lnkd.in tiktok.com reddit.com redd.it youtube.com youtu.be snapchat.com t.me
        telegram.org telegram.me whatsapp.com wa.me vk.com ok.ru tumblr.com quora.com discord.com bsky.app
        mastodon.social eksisozluk.com nextdoor.com weibo.com line.me viber.com xing.com twitch.tv pin.it
        linktr.ee donanimhaber.com""",
    ASSISTANT: """chatgpt.com chat.openai.com openai.com perplexity.ai copilot.microsoft.com claude.ai
        poe.com you.com phind.com chat.deepseek.com grok.com meta.ai chat.mistral.ai""",
    EMAIL: """outlook.live.com outlook.office.com outlook.office365.com mail.yahoo.com mail.proton.me mail.ru
        mail.yandex.ru mail.zoho.com mail.aol.com""",
    ADS: """doubleclick.net googleadservices.com googlesyndication.com adsrvr.org taboola.com outbrain.com
        criteo.com criteo.net adform.net bat.bing.com""",
    # A visitor who returns from one of these only paid or signed in there; it sent nobody.
    PASSAGE: """paypal.com checkout.stripe.com iyzipay.com iyzico.com paytr.com login.microsoftonline.com
        appleid.apple.com""",
}
_KINDS = {host: kind for kind, hosts in _BY_KIND.items() for host in hosts.split()}

# Android apps name their package where a browser names a host.  Matched whole, never by ending.
_APPS = {
    "com.google.android.googlequicksearchbox": SEARCH, "com.google.android.gm": EMAIL,
    "com.microsoft.office.outlook": EMAIL, "com.facebook.katana": SOCIAL, "com.facebook.orca": SOCIAL,
    "com.instagram.android": SOCIAL, "com.twitter.android": SOCIAL, "com.linkedin.android": SOCIAL,
    "com.zhiliaoapp.musically": SOCIAL, "com.pinterest": SOCIAL, "com.reddit.frontpage": SOCIAL,
    "com.google.android.youtube": SOCIAL, "com.whatsapp": SOCIAL, "com.whatsapp.w4b": SOCIAL,
    "org.telegram.messenger": SOCIAL, "com.snapchat.android": SOCIAL, "com.openai.chatgpt": ASSISTANT,
}  # fmt: skip


@lru_cache(maxsize=8192)
def host_of(url: str) -> str | None:
    """The host that `url` names: lower-case, without port, user, leading `www.` or closing dot.

    `android-app://com.example.app/…` gives the package name.  Anything that is not a web or app address
    (`about:blank`, a path, broken text) gives None.
    """
    scheme, mark, rest = url[:2048].strip().partition("://")
    if not mark:
        if not scheme.startswith("//"):
            return None
        rest = scheme[2:]
    elif scheme.lower() not in _SCHEMES:
        return None
    return bare_host(rest)


def bare_host(rest: str) -> str | None:
    """The host at the start of `rest`, which is an address from behind its `//` on."""
    for end in "/?#\\":
        if end in rest:
            rest = rest.partition(end)[0]
    if "@" in rest:
        rest = rest.rpartition("@")[2]
    if rest.startswith("["):  # an IPv6 address
        inner, closed, _ = rest[1:].partition("]")
        return inner.lower() if closed and inner.replace(":", "").replace(".", "").isalnum() else None
    host = rest.partition(":")[0].lower().removeprefix("www.").rstrip(".")
    return host if host and _HOST.fullmatch(host) and not host.startswith(".") else None


@lru_cache(maxsize=8192)
def kind_of(host: str) -> str | None:
    """The kind of site behind `host` (as `host_of` gives it), one of the constants above, or None."""
    if host in _APPS:
        return _APPS[host]
    google = _GOOGLE.fullmatch(host)
    if google:
        part = google["part"]
        return SEARCH if part in _GOOGLE_SEARCH else _GOOGLE_OTHER.get(part)
    yandex = _YANDEX.fullmatch(host)
    if yandex:
        return {None: SEARCH, "m": SEARCH, "search": SEARCH, "mail": EMAIL}.get(yandex["part"])
    if _SEARCH_ANYWHERE.fullmatch(host):
        return SEARCH
    if _SOCIAL_ANYWHERE.fullmatch(host):
        return SOCIAL
    rest = host
    while rest:
        if rest in _KINDS:
            return _KINDS[rest]
        rest = rest.partition(".")[2]
    return EMAIL if _MAILBOX.fullmatch(host) else None


def same_site(host: str, own_host: str | None) -> bool:
    """True when `host` is the site itself, a part of it, or the domain that it is a part of."""
    if not own_host:
        return False
    own = own_host.lower().removeprefix("www.")
    return host == own or host.endswith("." + own) or ("." in host and own.endswith("." + host))
