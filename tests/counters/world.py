"""A random site at work: visits with their events in any order, repeated, split over batches, on several days."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.event import Arrival, Event, Site
from opsmantik.ingest.pipeline import Pipeline, World
from opsmantik.ingest.present import read_item
from tests.ingest.conftest import CHROME

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
)
ENTRANCES: list[dict[str, Any]] = [
    {"url": "https://shop.example/", "ref": "https://www.google.com/"},
    {"url": "https://shop.example/fiyatlar?utm_source=newsletter&utm_medium=email&utm_campaign=may"},
    {
        "url": "https://shop.example/vinc?gclid=Cj0KCQabcdefghijk&utm_term=kiralik+vinc&utm_campaign=vinc"
        "&utm_source=google&utm_medium=cpc&matchtype=e&network=g"
    },
    {"url": "https://shop.example/", "ref": "https://l.facebook.com/"},
]


def site_of(made: Any, zone: str = "Europe/Istanbul") -> Site:
    """What the pipeline knows of a site made by the fixture."""
    return Site(made.id, made.public_id, "shop.example", zone, "TR", "TRY", "implied", 90, False, frozenset())


class Traffic:
    """Events of random visits; the same seed, the same visits."""

    def __init__(self, site: Site, seed: int, *, visitors: int = 12) -> None:
        self.site = site
        self.chance = random.Random(seed)
        self.visitors = [f"{self.chance.getrandbits(64):016x}" for _ in range(visitors)]
        self._pipeline = Pipeline(World(lambda address: None))

    def visit(self, began: datetime, *, live: bool) -> list[Event]:
        """All events of one visit. ``live``: their arrival is whatever the database's clock says."""
        chance = self.chance
        sid, vid = self._uuid(), chance.choice(self.visitors) if chance.random() < 0.9 else None
        entrance = chance.choice(ENTRANCES)
        agent = chance.choice((CHROME, IPHONE))
        plan: list[tuple[float, dict[str, Any]]] = [(0, entrance)]
        plan += [(m, {"url": f"https://shop.example/p{chance.randrange(4)}"}) for m in (1, 2)][
            : chance.randrange(3)
        ]
        plan.append(
            (
                2.5,
                {
                    "act": "scroll_depth",
                    "label": "50%",
                    "pulse": {"scroll": chance.randrange(101), "active": 30},
                },
            )
        )
        plan.append((3, {"cat": "system", "act": "heartbeat", "pulse": {"active": 60}}))
        for minute in (3.5, 4, 50)[: chance.choice((0, 0, 1, 2, 3))]:
            act, label = chance.choice(
                (("phone_call", "tel:05000000012"), ("whatsapp", "https://wa.me/905000000012"))
            )
            plan.append((minute, {"cat": "conversion", "act": act, "label": label}))
        if chance.random() < 0.2:
            plan.append((5, {"cat": "conversion", "act": "form_submit", "label": "contact"}))
        if chance.random() < 0.3:  # a click that is told of only later
            plan.append((6, {"click": {"gclid": "Cj0KCQlatelatelate", "at": _ms(began)}}))
        if chance.random() < 0.3:
            plan.append((51, {"act": "scroll_depth", "label": "90%", "pulse": {"scroll": 95, "active": 90}}))
        return [
            self._event(sid, vid, agent, began + timedelta(minutes=at), change, live) for at, change in plan
        ]

    def batches(self, events: list[Event]) -> list[list[Event]]:
        """In any order, some of them twice, cut anywhere."""
        chance = self.chance
        order = events + chance.sample(events, len(events) // 5)
        chance.shuffle(order)
        cut: list[list[Event]] = []
        while order:
            size = chance.randrange(1, 25)
            cut.append(order[:size])
            order = order[size:]
        return cut

    def _event(
        self, sid: UUID, vid: str | None, agent: str, at: datetime, change: dict[str, Any], live: bool
    ) -> Event:
        item = {
            "id": str(self._uuid()), "ts": _ms(at), "sid": str(sid), "cat": "interaction", "act": "view",
            "url": "https://shop.example/", "consent": {"analytics": True, "marketing": True},
        } | change  # fmt: skip
        if vid is not None and self.chance.random() < 0.8:  # told only after consent, say
            item["vid"] = vid if self.chance.random() < 0.9 else self.chance.choice(self.visitors)
        arrival = Arrival(
            "v1", self.site, None, "192.0.2.0", agent, _ms(at), received_at=None if live else at, tracker="t"
        )
        read = read_item(msgspec.json.encode(item), arrival, ())
        assert isinstance(read, Event), read
        event = self._pipeline.run(read)
        assert isinstance(event, Event), event
        return event

    def _uuid(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)


def _ms(at: datetime) -> int:
    return round(at.astimezone(UTC).timestamp() * 1000)
