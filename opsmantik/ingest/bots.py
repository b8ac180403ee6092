"""Which automatic visitor a user agent belongs to, if any.

Enters: a user agent.  Leaves: the name by which the machine calls itself, or None for a person.

Only what a user agent says of itself is judged here.  The browsers inside apps (Facebook, Instagram,
WhatsApp, TikTok, Google) are people; the same companies' preview fetchers are not.  Whether a named visitor
is set aside is the pipeline's decision, not this module's: a test run's own HeadlessChrome may be welcome.
"""

from __future__ import annotations

import re
from functools import lru_cache

NO_USER_AGENT = "no user agent"
"""Name given to an empty user agent: every browser sends one."""
UNNAMED = "unnamed robot"

_MAX_USER_AGENT = 512
_MAX_NAME = 48

# Programs that are not browsers; they name themselves at the very start.  WhatsApp's fetcher is nothing but
# `WhatsApp/2…`; its in-app browser begins with Mozilla like any other.
_AT_START = r"""
    python-[\w-]+ Python/ aiohttp httpx curl/ libcurl Wget go-http-client Go\ http Java/ okhttp
    Apache-HttpClient Apache-HttpAsyncClient axios/ node-fetch undici node/ node$ got\ \( got/ superagent
    Deno/ Bun/ libwww-perl LWP:: Ruby/ Ruby$ Faraday PHP/ GuzzleHttp Symfony Dart/ reqwest ureq hyper/ Scrapy
    PostmanRuntime insomnia HTTPie k6/ wrk/ ApacheBench vegeta Artillery Locust check_http
    WhatsApp/ Viber/ Iframely WordPress/ Drupal Jetpack facebookplatform Microsoft\ Office
    kube-probe ELB-HealthChecker GoogleHC Prometheus Blackbox Zabbix Monit/
"""
# Names that give the machine away wherever they stand.
_ANYWHERE = r"""
    HeadlessChrome PhantomJS SlimerJS HtmlUnit jsdom Selenium Playwright Puppeteer Cypress/ Nightmare/
    facebookexternalhit Facebot meta-external\w+ facebookcatalog SkypeUriPreview Snap\ URL\ Preview
    vkShare Slack-ImgProxy Embedly BingPreview AdIdxBot CFNetwork/
    Mediapartners-Google APIs-Google AdsBot-Google[\w-]* Google-(?!TV)[A-Z][\w-]+ GoogleOther[\w-]*
    GoogleProducer FeedFetcher-Google DuplexWeb-Google Storebot-Google Chrome-Lighthouse Google\ Favicon
    Google\ Web\ Preview PageSpeed
    Yandex(?:Images|Metrika|Direct|Media|Blogs|News|Webmaster|Pagechecker|Screenshot\w*)
    Yahoo!\ Slurp Sogou\ web ia_archiver archive\.org Wayback Diffbot
    Pingdom StatusCake Site24x7 GTmetrix DatadogSynthetics NewRelic\w* Uptime[\w-]* Better\ ?(?:Stack|Uptime)
    Checkly HetrixTools Catchpoint AppInsights RuxitSynthetic Freshping Montastic updown\.io NodePing
    CloudFlare-\w+ W3C_\w+ W3C-checklink Screaming\ Frog Ahrefs\w* Semrush\w* Sitebulb Netcraft\w*
    BuiltWith Wappalyzer WhatCMS Nmap masscan zgrab nuclei sqlmap Nikto Nessus Qualys CensysInspect Expanse
    Barracuda BarkRowler DomainCrawler HTTrack WebCopier Offline\ Explorer
"""


def _alternatives(words: str) -> str:
    return "|".join(re.split(r"(?<!\\)\s+", words.strip()))


_START = re.compile(rf"(?:{_alternatives(_AT_START)})", re.IGNORECASE)
_NAME = re.compile(rf"(?<![A-Za-z])(?:{_alternatives(_ANYWHERE)})", re.IGNORECASE)
# Anything that calls itself a bot, crawler or spider; a Cubot is a telephone.
_SELF_NAMED = re.compile(
    r"(?<![\w.-])[\w.-]*?(?:(?<!cu)bot|crawler|crawling|spider|scraper|fetcher|monitoring)(?![a-z])[\w-]*",
    re.IGNORECASE,
)
# Robots leave an address to complain to; browsers do not.
_CONTACT = re.compile(
    r"\+\s?https?://|\+mailto:|\+[\w.-]+@[\w.-]+|https?://[^\s;)]*(?:bot|crawl|spider)", re.IGNORECASE
)
# One product and nothing else is a script with a name of its own.
_LONE_PRODUCT = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_PARTS = re.compile(r"[;()]")


@lru_cache(maxsize=8192)
def bot_name(ua: str) -> str | None:
    """The name of the automatic visitor behind `ua` (at most 48 characters); None for a person's browser."""
    ua = ua[:_MAX_USER_AGENT].strip()
    if not ua or ua == "-":
        return NO_USER_AGENT
    at_start = _START.match(ua)
    if at_start:
        return _tidy(ua.split("/", 1)[0].split(" (", 1)[0])
    for pattern in (_NAME, _SELF_NAMED):
        found = pattern.search(ua)
        if found:
            return _tidy(found[0])
    contact = _CONTACT.search(ua)
    if contact:
        named = _PARTS.split(ua[: contact.start()].rstrip(" ;(,"))[-1]
        return _tidy(named.partition("/")[0]) or UNNAMED
    if _LONE_PRODUCT.fullmatch(ua):
        return _tidy(ua.split("/", 1)[0])
    return None


def _tidy(name: str) -> str:
    return name.strip(" /(;-")[:_MAX_NAME]
