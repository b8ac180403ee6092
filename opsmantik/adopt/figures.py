"""What there is on either side, by site and month, and whether every difference has a reason.

A month is the UTC month of the day on which something happened, on both sides: so that a row which lay in a wrong month
is no difference. Heartbeats count on neither side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from opsmantik.adopt.leads import status_of
from opsmantik.adopt.old import SQL, Old
from opsmantik.intents.status import SEALED

VISITS, EVENTS, AMOUNT = "visits", "events", "sealed amount"


class Place(NamedTuple):
    """One figure: of a site (None: of nobody), in a month, what is counted."""

    site_id: UUID | None
    month: date
    measure: str


class Line(NamedTuple):
    """One figure on both sides. ``reasons``: by how much each changes it."""

    place: Place
    before: Decimal
    after: Decimal
    reasons: dict[str, Decimal]

    @property
    def unexplained(self) -> Decimal:
        """What no reason accounts for; 0 is what must be."""
        return self.after - self.before - sum(self.reasons.values(), Decimal(0))


class Figures:
    """Both sides while an import runs. ``before`` is what the snapshot says; the others grow as rows are read back."""

    def __init__(self, before: Counter[Place]) -> None:
        self.before = before
        self.after: Counter[Place] = Counter()
        self.reasons: dict[str, Counter[Place]] = {}

    def there(self, rows: list[Any], measure: str) -> None:
        """Rows (site_id, month, n) that were counted here."""
        for row in rows:
            self.after[Place(row["site_id"], row["month"], measure)] += row["n"]

    def because(self, reason: str, place: Place, n: Any) -> None:
        """A reason changes a figure by so much."""
        self.reasons.setdefault(reason, Counter())[place] += n

    def lines(self) -> list[Line]:
        """Every figure that is not nothing on both sides, in the order of sites, months and measures."""
        places = set(self.before) | set(self.after)
        found = []
        for place in sorted(places, key=lambda p: (str(p.site_id or ""), p.month, p.measure)):
            reasons = {name: Decimal(n[place]) for name, n in self.reasons.items() if n[place]}
            found.append(Line(place, Decimal(self.before[place]), Decimal(self.after[place]), reasons))
        return found


async def before(old: Old, adopted: Mapping[UUID, Any] | None = None) -> Figures:
    """What the first generation's database says, with the reasons that can be counted in it alone.

    ``adopted``: the sites that are taken over; what belongs to others, or to none, stays behind, and that is the reason.
    """
    counted: Counter[Place] = Counter()
    goodbyes: Counter[Place] = Counter()
    for row in await old.rows(SQL.count_visits):
        counted[Place(row["site_id"], row["month"], VISITS)] += row["n"]
    for row in await old.rows(SQL.count_events):
        place = Place(row["site_id"], row["month"], EVENTS)
        counted[place] += row["n"]
        goodbyes[place] -= row["goodbyes"]
    for row in await old.rows(SQL.count_calls):
        status, _ = status_of(row["status"])
        measure = measure_of(status)
        counted[Place(row["site_id"], row["month"], measure)] += row["n"]
        if status in SEALED:
            counted[Place(row["site_id"], row["month"], AMOUNT)] += row["amount"]
    found = Figures(counted)
    for place, n in goodbyes.items():
        if n:
            found.because("ends of visits are no events", place, n)
    for row in await old.rows(SQL.count_doubled_events):
        found.because("an id twice within one visit", Place(row["site_id"], row["month"], EVENTS), -row["n"])
    if adopted is not None:
        for place, n in counted.items():
            if place.site_id not in adopted and n:
                taken = sum(reasons[place] for reasons in found.reasons.values())
                found.because("nobody can tell whose it is", place, -(n + taken))
    return found


def measure_of(status: str) -> str:
    """The measure under which a lead counts: one for all that is sealed."""
    return f"leads {'sealed' if status in SEALED else status}"
