"""One visit, from landing to leaving, as the tracker would tell it: what happens, and when.

Enters: a source of randomness, a business, a person, and how they came. Leaves: a :class:`Visit`, whose beats
are events of the present format without their times; wire.py makes bodies of them. Pure: the same randomness
tells the same visit, whether it is written as history or played live.
"""

from __future__ import annotations

import random
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

import msgspec

from opsmantik.demo.browsers import Browser, choose_browser, environment
from opsmantik.demo.businesses import Business
from opsmantik.demo.entries import Entry, choose_entry
from opsmantik.sessions.place import Place

# The networks that RFC 5737 keeps for documents: nobody's address.
_NETWORKS: Final = ("192.0.2.0", "198.51.100.0", "203.0.113.0")
_HEARTBEAT_SEC: Final = 30


class Person(msgspec.Struct, frozen=True):
    """Somebody with a browser, recognised by ``id`` when coming back. ``first_ms``: when they first came."""

    id: str
    browser: Browser
    place: Place
    address: str
    first_generation: bool
    entry: Entry
    first_ms: int


class Beat(NamedTuple):
    """One event, so many ms after the landing. ``is_resent``: sent twice, as after a lost answer."""

    after_ms: int
    event: dict[str, Any]
    is_resent: bool = False


class Visit(msgspec.Struct, frozen=True):
    """What one person does on one occasion. ``skew_ms`` is how wrong the clock of their device goes."""

    business: Business
    person: Person
    start_ms: int
    session: UUID
    beats: tuple[Beat, ...]
    origin: str
    user_agent: str
    skew_ms: int = 0

    @property
    def first_generation(self) -> bool:
        """Told by a first-generation tracker, at its own door."""
        return self.person.first_generation


def new_uuid(rng: random.Random) -> UUID:
    """A version 4 UUID from this source of randomness."""
    return UUID(int=rng.getrandbits(128), version=4)


def new_person(rng: random.Random, business: Business, first_ms: int) -> Person:
    """Somebody who comes for the first time, by the business's own mix of ways."""
    entry = choose_entry(rng, business)
    place = rng.choices([place for _, place in business.places], [weight for weight, _ in business.places])[0]
    old = rng.random() < business.first_generation
    return Person(
        # the first generation's id is a short hash of the device, the present one's a random UUID
        id=format(rng.getrandbits(31), "x") if old else str(new_uuid(rng)),
        browser=choose_browser(rng, entry.kind),
        place=place,
        address=rng.choice(_NETWORKS),
        first_generation=old,
        entry=entry,
        first_ms=first_ms,
    )


def plan_visit(
    rng: random.Random,
    business: Business,
    person: Person,
    start_ms: int,
    *,
    entry: Entry | None = None,
    lead: bool | None = None,
) -> Visit:
    """A visit of this person. ``entry``: how they come back (their first visit if not given); ``lead``:
    whether they get in touch (by chance if not given).
    """
    entry = entry or person.entry
    returns = entry is not person.entry
    if lead is None:
        lead = rng.random() < entry.lead_chance * business.lead_factor * (1.6 if returns else 1)
    story = _Story(rng, business, person, entry, start_ms, returns=returns)
    if story.consent is not None and not story.consent["analytics"]:
        story.view(entry.path)  # the page sends it against the visitor's word; the server has to refuse it
    else:
        story.tell(_route(rng, business, entry, lead=lead), lead=lead)
    wrong_clock = rng.choice((-3_600_000, -95_000, 240_000, 7_200_000)) if rng.random() < 0.015 else 0
    return Visit(
        business, person, start_ms, story.session, tuple(story.beats), business.origin,
        person.browser.user_agent, wrong_clock,
    )  # fmt: skip


def _route(rng: random.Random, business: Business, entry: Entry, *, lead: bool) -> list[str]:
    """The pages of the visit, the landing first. Most look at one or two; who gets in touch looks at more."""
    length = rng.choices((1, 2, 3, 4, 5), (28, 34, 22, 11, 5) if lead else (52, 26, 12, 6, 4))[0]
    path = [entry.path]
    while len(path) < length:
        page = rng.choices(business.pages, [page.weight for page in business.pages])[0].path
        if page != path[-1]:
            path.append(page)
    return path


class _Story:
    """A visit being told: the clock, the running totals, and the beats so far."""

    def __init__(
        self,
        rng: random.Random,
        business: Business,
        person: Person,
        entry: Entry,
        start_ms: int,
        *,
        returns: bool,
    ) -> None:
        self._rng = rng
        self._business = business
        self._person = person
        self._entry = entry
        self._titles = {page.path: page.title for page in business.pages}
        self._clock_ms = 0
        self._scroll = self._hovers = 0
        self._focus = self._active = 0.0
        self._url = ""
        self._referrer = entry.referrer
        self.session = new_uuid(rng)
        self.beats: list[Beat] = []
        self.consent = self._consent()
        self._environment = environment(person.browser, business.language, business.time_zone)
        self._click = self._remembered(start_ms, returns=returns)

    def tell(self, route: list[str], *, lead: bool) -> None:
        """Page after page; then the lead, if there is to be one; then the end."""
        for path in route:
            self.view(path)
            self._read(lead=lead)
        if self._person.first_generation and self._rng.random() < 0.03:
            # to friends, not to the business: no lead
            self._happen("conversion", "whatsapp", f"https://wa.me/?text={quote(self._url, safe='')}")
        if lead:
            self._get_in_touch()
        if self._rng.random() < 0.85:
            self._happen("system", "session_end", "page_unload")

    def view(self, path: str) -> None:
        """A page is opened: the landing at the address that the ad made, the others from the one before."""
        query = "" if self.beats else self._entry.query
        if self.beats:
            self._referrer = self._url
        self._url = f"{self._business.origin}{path}{query}"
        self._title = self._titles.get(path, self._business.name)
        self._happen("interaction", "view")

    def _read(self, *, lead: bool) -> None:
        """Some seconds on the page: down it, or away from it at once."""
        rng = self._rng
        seconds = min(rng.lognormvariate(3.5 if lead else 2.9, 0.8), 600)
        depth = int(min(100, max(0, rng.gauss(66 if lead else 48, 30))))
        for mark in (50, 90):
            # the first generation tells a depth once a visit, the present tracker once a page
            if depth >= mark and not (self._person.first_generation and self._scroll >= mark):
                self._wait(seconds * 0.35)
                self._scroll = max(self._scroll, depth if mark == 90 else min(depth, 89))
                self._happen("interaction", "scroll_depth", f"{mark}%", mark)
        self._scroll = max(self._scroll, depth)
        self._wait(seconds * 0.3 if depth >= 90 else seconds * 0.65 if depth >= 50 else seconds)
        if self._person.browser.mouse and rng.random() < 0.35:
            self._hovers += rng.randrange(1, 4)
        if seconds > _HEARTBEAT_SEC:
            # One every 30 seconds; totals run on, so the last one tells what all of them did.
            self._happen("system", "heartbeat", "session_active")

    def _get_in_touch(self) -> None:
        rng, business = self._rng, self._business
        targets = {"phone_call": business.phone, "whatsapp": business.whatsapp, "form_submit": business.form}
        names, weights = zip(*business.channels, strict=True)
        channel: str = rng.choices(names, weights)[0]
        target = targets[channel]
        if channel == "form_submit":
            seconds = rng.uniform(15, 70)
            self._focus += seconds
            self._wait(seconds)
        self._wait(rng.uniform(1, 5))
        self._happen("conversion", channel, target, is_resent=rng.random() < 0.04)
        if channel != "form_submit" and rng.random() < 0.06:
            self._clock_ms += rng.randrange(20_000, 180_000)  # engaged: they try again
            self._happen("conversion", channel, target)
        self._wait(rng.uniform(1, 20))

    def _wait(self, seconds: float) -> None:
        self._clock_ms += int(seconds * 1000)
        self._active += seconds

    def _happen(
        self, category: str, action: str, label: str | None = None, value: float | None = None, *,
        is_resent: bool = False,
    ) -> None:  # fmt: skip
        event: dict[str, Any] = {
            "id": str(new_uuid(self._rng)), "sid": str(self.session), "vid": self._person.id, "cat": category,
            "act": action, "url": self._url, "pulse": self._pulse(),
        }  # fmt: skip
        if label is not None:
            event["label"] = label
        if value is not None:
            event["value"] = value
        if self.consent is not None:
            event["consent"] = self.consent
        if category != "system":
            event.update(ref=self._referrer, title=self._title, env=self._environment)
            if self._click is not None:
                event["click"] = self._click
        is_resent = is_resent or self._rng.random() < 0.008
        self.beats.append(Beat(self._clock_ms, event, is_resent))
        self._clock_ms += 40

    def _pulse(self) -> dict[str, int]:
        totals = {
            "scroll": self._scroll, "hovers": self._hovers,
            "focus": int(self._focus), "active": int(self._active),
        }  # fmt: skip
        return {name: value for name, value in totals.items() if value}

    def _consent(self) -> dict[str, bool] | None:
        if not self._business.asks_consent:
            return None
        return {"analytics": self._rng.random() > 0.012, "marketing": self._rng.random() < 0.85}

    def _remembered(self, start_ms: int, *, returns: bool) -> dict[str, Any] | None:
        """The ad click and landing that the device remembers; half of those who return have lost it."""
        person = self._person
        entry, at = (person.entry, person.first_ms) if returns else (self._entry, start_ms)
        unwelcome = self.consent is not None and not self.consent["marketing"]
        # The first generation remembers a click id only, and only as long as the tab is open.
        tagged = entry.ids if person.first_generation else entry.ids or "utm_" in entry.query
        if not tagged or unwelcome or (returns and (person.first_generation or self._rng.random() < 0.5)):
            return None
        url = f"{self._business.origin}{entry.path}{entry.query}"
        return {**entry.ids, "url": url, "ref": entry.referrer, "at": at}
