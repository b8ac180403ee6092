"""Who came on a day: every visit of a business's past, as a function of a seed and the date alone.

Nothing is remembered from one day to the next, so any stretch of days can be told by itself, and two tellings
agree: that is how a demo that was off for a week fills its gap. Who comes back is found the same way:
somebody of an earlier day is told anew.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import msgspec

from opsmantik.clock import zone
from opsmantik.demo.browsers import BOTS
from opsmantik.demo.businesses import BUSINESSES, Business
from opsmantik.demo.entries import Entry, come_back
from opsmantik.demo.visits import Person, Visit, new_person, plan_visit

SEED = 20_200_101
# Of a day's visits so many are by people who were there before, so many days earlier.
_RETURNING = 0.14
_DAYS_LATER = (1, 1, 2, 3, 4, 6, 8, 12, 17)


def visits_of_day(business: Business, day: date, seed: int = SEED) -> list[Visit]:
    """The visits that begin on the business's own day, earliest first; bots and refused pages among them."""
    rng = _randomness(seed, business, day, "day")
    fresh, returning = _volume(business, day, seed)
    visits = [_first_visit(business, day, number, seed) for number in range(fresh)]
    visits += [_return(business, day, number, seed) for number in range(returning)]
    visits += [_bot(rng, business, day) for _ in range(rng.choices(range(5), (20, 30, 25, 15, 10))[0])]
    visits += [_copied_page(rng, business, day) for _ in range(rng.choices(range(4), (40, 35, 18, 7))[0])]
    return sorted(visits, key=lambda visit: (visit.start_ms, visit.session))


def _randomness(seed: int, business: Business, day: date, what: str) -> random.Random:
    return random.Random(f"{seed}:{business.slug}:{day.isoformat()}:{what}")


@lru_cache(maxsize=256)
def _volume_by_slug(slug: str, day: date, seed: int) -> tuple[int, int]:
    business = BUSINESSES[slug]
    least, usual, most = business.daily
    rng = _randomness(seed, business, day, "volume")
    visits = round(usual * business.weekdays[day.weekday()] * rng.gauss(1, 0.07))
    visits = min(max(visits, least), most)
    returning = round(visits * _RETURNING)
    return visits - returning, returning


def _volume(business: Business, day: date, seed: int) -> tuple[int, int]:
    """How many come for the first time, and how many return."""
    return _volume_by_slug(business.slug, day, seed)


def _moment(rng: random.Random, business: Business, day: date) -> int:
    """An instant of the business's day, by its rhythm, in epoch milliseconds."""
    hour = rng.choices(range(24), business.hours)[0]
    local = datetime(day.year, day.month, day.day, hour, tzinfo=zone(business.time_zone))
    return int(local.astimezone(UTC).timestamp() * 1000) + rng.randrange(3_600_000)


def _person(business: Business, day: date, number: int, seed: int) -> Person:
    rng = _randomness(seed, business, day, f"person {number}")
    return new_person(rng, business, _moment(rng, business, day))


def _first_visit(business: Business, day: date, number: int, seed: int) -> Visit:
    person = _person(business, day, number, seed)
    return plan_visit(_randomness(seed, business, day, f"visit {number}"), business, person, person.first_ms)


def _return(business: Business, day: date, number: int, seed: int) -> Visit:
    rng = _randomness(seed, business, day, f"return {number}")
    earlier = day - timedelta(days=rng.choice(_DAYS_LATER))
    person = _person(business, earlier, rng.randrange(_volume(business, earlier, seed)[0]), seed)
    return plan_visit(rng, business, person, _moment(rng, business, day), entry=come_back(rng, business))


def _bot(rng: random.Random, business: Business, day: date) -> Visit:
    """A crawler that runs scripts: it views a page or two and is set aside."""
    start = _moment(rng, business, day)
    visit = plan_visit(rng, business, _passer_by(rng, business, start), start, lead=False)
    return msgspec.structs.replace(visit, beats=visit.beats[:1], user_agent=rng.choice(BOTS), skew_ms=0)


def _copied_page(rng: random.Random, business: Business, day: date) -> Visit:
    """Somebody's copy of the page, snippet and all, on a host that may not post for the site."""
    start = _moment(rng, business, day)
    visit = plan_visit(rng, business, _passer_by(rng, business, start), start, lead=False)
    return msgspec.structs.replace(visit, origin=f"https://{business.slug}.copied-page.example", skew_ms=0)


def _passer_by(rng: random.Random, business: Business, start_ms: int) -> Person:
    person = new_person(rng, business, start_ms)
    entry = Entry("direct", "/", "", "", 0.0, {})
    return msgspec.structs.replace(person, entry=entry, first_generation=False)
