"""The traffic that the figures are measured with: whole visits, byte for byte as the trackers send them.

A visit has four to eight events (views, two depths of scrolling, heartbeats); half come from an ad click with its
click id and UTMs, which later events carry along as the tracker remembers them; 15 in 100 tap a phone or WhatsApp
link; one in five is by a visitor who was there before. Visits go on side by side: what is sent next is the next
event of any of them. Every request names its visitor's address, as behind a proxy, so places are looked up.

Requests are made before the measurement. Only the time is put in when one is sent: a body is kept as the pieces
around it, so ``stamp.join(pieces)`` is the whole request.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["present", "first_generation", "batch"]

TIME = "@" * 13  # where the milliseconds go; as long as they are, so that Content-Length is right
SEPARATOR = TIME.encode()
AT_ONCE = 2000  # visits that go on side by side
AT_ONCE_IN_BATCHES = 60  # a sender that gathers events of one site sees some twenty of its visitors
BATCH = 50
MOST_KNOWN = 5000

TAP_SHARE, AD_SHARE, RETURNING_SHARE = 0.15, 0.5, 0.2
SITES = ("kepez-vinc.example", "lara-klinik.example", "kent-nakliyat.example")

_APPLE, _CHROME = (
    "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5",
    "AppleWebKit/537.36 (KHTML, like Gecko)",
)
BROWSERS = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_APPLE} Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME} Chrome/141.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 15; SM-S921B) {_CHROME} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Chrome/141.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE} Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
)
PAGES = (
    "",
    "kiralik-vinc",
    "fiyatlar",
    "iletisim",
    "hakkimizda",
    "hizmetler/sehirler-arasi",
    "blog/sss",
    "randevu",
)
TITLES = (
    "Ana sayfa", "Kiralık vinç | Kepez", "Fiyatlar", "İletişim", "Hakkımızda", "Şehirler arası nakliyat",
    "Sık sorulanlar", "Randevu",
)  # fmt: skip
GOOGLE = "https://www.google.com/"
REFERRERS = (GOOGLE, "", "https://l.facebook.com/", "https://www.instagram.com/", "https://www.bing.com/")
KEYWORDS = (
    "kiralik+vinc",
    "sepetli+vinc+fiyat",
    "dis+klinigi+antalya",
    "evden+eve+nakliyat",
    "implant+fiyatlari",
)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ENVIRONMENTS = (
    '"lang":"tr-TR","tz":"Europe/Istanbul","sw":390,"sh":844,"dpr":3,"cores":6,"net":"4g"',
    '"lang":"tr-TR","tz":"Europe/Istanbul","sw":412,"sh":915,"dpr":2.625,"mem":8,"cores":8,"net":"4g"',
    '"lang":"en-US","tz":"Europe/Istanbul","sw":1920,"sh":1080,"dpr":1,"mem":8,"cores":12,"net":"4g"',
)
FIRST_ENVIRONMENTS = (
    '"lan":"tr-TR","con":6,"sw":390,"sh":844,"dpr":3',
    '"lan":"tr-TR","mem":8,"con":8,"sw":412,"sh":915,"dpr":2.625,"gpu":"Mali-G78","con_type":"4g"',
    '"lan":"en-US","mem":8,"con":12,"sw":1920,"sh":1080,"dpr":1,"gpu":"ANGLE (Intel, Mesa Intel(R) UHD)","con_type":"4g"',
)


class Site(NamedTuple):
    """A site to post for; ``domain`` without ``www.``."""

    public_id: str
    domain: str


class Shot(NamedTuple):
    """One request: the pieces around the time, and what it must leave in the database."""

    pieces: list[bytes]
    events: int
    rows: int  # in events; heartbeats leave none
    taps: int  # rows in calls
    site: int  # its place among the traffic's sites


class Traffic:
    """An endless supply of requests of one kind; the same seed gives the same visits, under new ids."""

    def __init__(self, kind: Kind, sites: list[Site], seed: int = 1) -> None:
        self.kind = kind
        self.sites = sites
        self.choices = random.Random(seed)
        self._ids = random.Random()
        self.known: list[str] = []  # visitors whose visit has ended
        each = (AT_ONCE_IN_BATCHES if kind == "batch" else AT_ONCE) // len(sites)
        self._visits = [[_Visit(self, site) for _ in range(each)] for site in sites]
        for going_on in self._visits:  # in the middle of things, not all at their first page
            for visit in going_on:
                visit.step = self.choices.randrange(len(visit.plan))

    def shots(self, events: int) -> Iterator[Shot]:
        """Requests with at least so many events in all."""
        made = 0
        while made < events:
            shot = self._batch() if self.kind == "batch" else self._single()
            made += shot.events
            yield shot

    def hex(self, digits: int) -> str:
        return f"{self._ids.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        text = f"{self._ids.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def _next(self, site: int) -> tuple[_Visit, str, str]:
        """A visit of the site, and its next act and event."""
        going_on = self._visits[site]
        place = int(self.choices.random() * len(going_on))
        visit = going_on[place]
        if visit.step >= len(visit.plan):
            self._remember(visit.visitor)
            visit = going_on[place] = _Visit(self, self.sites[site])
        act = visit.plan[visit.step]
        event = visit.first_generation(act) if self.kind == "first_generation" else visit.present(act)
        visit.step += 1
        return visit, act, event

    def _remember(self, visitor: str) -> None:
        """As one who may come again; of so many, that the database has to look for them."""
        if len(self.known) < MOST_KNOWN:
            self.known.append(visitor)
        else:
            self.known[self.choices.randrange(MOST_KNOWN)] = visitor

    def _single(self) -> Shot:
        site = self.choices.randrange(len(self.sites))
        visit, act, event = self._next(site)
        if self.kind == "first_generation":
            return _shot(visit, site, f"/api/sync?_ts={TIME}", "application/json", event, [act])
        return _shot(visit, site, "/v1/events", "text/plain;charset=UTF-8", visit.wrapped([event]), [act])

    def _batch(self) -> Shot:
        site = self.choices.randrange(len(self.sites))
        taken = [self._next(site) for _ in range(BATCH)]
        visit = taken[0][0]
        body = visit.wrapped([event for _, _, event in taken])
        return _shot(
            visit, site, "/v1/events", "text/plain;charset=UTF-8", body, [act for _, act, _ in taken]
        )


class _Visit:
    """One visit, and what its tracker would send."""

    __slots__ = (
        "_browser", "_campaign", "_device", "_gclid", "_referrer", "_traffic", "address", "plan", "sid", "site", "step",
        "visitor",
    )  # fmt: skip

    def __init__(self, traffic: Traffic, site: Site) -> None:
        choose = traffic.choices
        self._traffic, self.site, self.step = traffic, site, 0
        self.sid = traffic.uuid()
        returns = traffic.known and choose.random() < RETURNING_SHARE
        self.visitor = choose.choice(traffic.known) if returns else traffic.uuid()
        network = f"{choose.choice((78, 85, 88, 176))}.{choose.randrange(160, 190)}"
        self.address = f"{network}.{choose.randrange(256)}.{choose.randrange(1, 255)}"
        self._browser = choose.randrange(len(BROWSERS))
        self._device = choose.randrange(len(ENVIRONMENTS))
        self.plan = _plan(choose)
        self._gclid = self._campaign = ""
        self._referrer = choose.choice(REFERRERS)
        if choose.random() < AD_SHARE:
            self._gclid = "Cj0KCQ" + "".join(choose.choices(ALPHABET, k=74)) + traffic.hex(12)
            self._referrer = GOOGLE
            self._campaign = (
                f"?utm_source=google&utm_medium=cpc&utm_campaign=kampanya-{choose.randrange(20)}"
                f"&utm_term={choose.choice(KEYWORDS)}&matchtype={choose.choice('epb')}&network=g&gclid={self._gclid}"
            )

    def head(self, path: str, content_type: str, length: int) -> str:
        return (
            f"POST {path} HTTP/1.1\r\nHost: opsmantik.example\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n"
            f"X-Forwarded-For: {self.address}\r\nUser-Agent: {BROWSERS[self._browser]}\r\n"
            f"Content-Type: {content_type}\r\nAccept: */*\r\nOrigin: https://www.{self.site.domain}\r\n"
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
            f"Referer: https://www.{self.site.domain}/\r\nAccept-Encoding: gzip, deflate, br\r\n"
            "Accept-Language: tr-TR,tr;q=0.9,en-US;q=0.8\r\n\r\n"
        )

    def wrapped(self, events: list[str]) -> str:
        inside = ",".join(events)
        return f'{{"site":"{self.site.public_id}","sent":{TIME},"v":"1.0.0","events":[{inside}]}}'

    def _url(self) -> str:
        query = self._campaign if self.step == 0 else ""
        return f"https://www.{self.site.domain}/{PAGES[self.step % len(PAGES)]}{query}"

    def present(self, act: str) -> str:
        """The event as the present tracker sends it."""
        category, label = self._category(act)
        told = f',"label":"{label}"' if label else ""
        pulse = f'"scroll":{min(100, 12 * self.step)},"active":{9 * self.step}'
        text = (
            f'{{"id":"{self._traffic.uuid()}","ts":{TIME},"sid":"{self.sid}","cat":"{category}","act":"{act}"{told},'
            f'"url":"{self._url()}","vid":"{self.visitor}","pulse":{{{pulse}}}'
        )
        if act == "heartbeat":
            return text + "}"
        if self._gclid:
            landing = f"https://www.{self.site.domain}/{self._campaign}"
            text += f',"click":{{"url":"{landing}","ref":"{GOOGLE}","at":{TIME},"gclid":"{self._gclid}"}}'
        title = TITLES[self.step % len(TITLES)]
        return f'{text},"ref":"{self._referrer}","title":"{title}","env":{{{ENVIRONMENTS[self._device]}}}}}'

    def first_generation(self, act: str) -> str:
        """The event as the first generation's tracker sends it: no id, no time, totals with pulses and taps only."""
        category, label = self._category(act)
        gclid = f'"{self._gclid}"' if self._gclid else "null"
        meta = f'"fp":"{self.visitor[:8]}","gclid":{gclid},{FIRST_ENVIRONMENTS[self._device]}'
        value = ""
        if act == "scroll_depth":
            value = f',"ev":{label[:2]}'
        elif act != "view":
            meta += f',"scroll_pct":{min(100, 12 * self.step)},"active_sec":{9 * self.step + 1}'
            value = ',"ev":null' if category == "conversion" else ""
        if category == "conversion":
            channel = "tel" if act == "phone_call" else "wa"
            stamp = f"{int(time.time() * 1000)}-{self._traffic.hex(4)}-{channel}-{self._traffic.hex(6)}"
            meta += f',"intent_stamp":"{stamp}","intent_action":"{act}"'
        label = label or TITLES[self.step % len(TITLES)]
        return (
            f'{{"s":"{self.site.public_id}","u":"{self._url()}","sid":"{self.sid}","sm":"{time.strftime("%Y-%m-01")}",'
            f'"ec":"{category}","ea":"{act}","el":"{label}"{value},"r":"{self._referrer}","meta":{{{meta}}}}}'
        )

    def _category(self, act: str) -> tuple[str, str]:
        """Category and label of an act."""
        if act == "phone_call":
            return "conversion", f"tel:0500 000 {10 + self._device:02d} {self.step:02d}"
        if act == "whatsapp":
            return "conversion", f"https://wa.me/9050000010{self._device}{self.step}?text=Merhaba"
        if act == "scroll_depth":
            return "interaction", "90%" if "scroll_depth" in self.plan[: self.step] else "50%"
        if act == "heartbeat":
            return "system", "session_active"
        return "interaction", ""


def _plan(choose: random.Random) -> list[str]:
    """What a visit does, in order."""
    length = choose.choice((4, 5, 6, 6, 7, 8))
    plan = ["view"]
    while len(plan) < length:
        act = choose.choices(("view", "scroll_depth", "heartbeat"), (45, 35, 20))[0]
        plan.append("view" if act == "scroll_depth" and plan.count(act) == 2 else act)
    if choose.random() < TAP_SHARE:
        plan[-2] = choose.choice(("phone_call", "phone_call", "whatsapp"))
    return plan


def _shot(visit: _Visit, site: int, path: str, content_type: str, body: str, acts: list[str]) -> Shot:
    content = body.encode()
    whole = visit.head(path, content_type, len(content)).encode() + content
    pulses = acts.count("heartbeat")
    taps = acts.count("phone_call") + acts.count("whatsapp")
    return Shot(whole.split(SEPARATOR), len(acts), len(acts) - pulses, taps, site)
