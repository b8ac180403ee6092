"""The demo's past is a function of seed and date, and looks like a business's days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from opsmantik.attribution.targets import read_target
from opsmantik.clock import site_day
from opsmantik.demo import wire
from opsmantik.demo.browsers import BOTS, BROWSERS, IN_APP
from opsmantik.demo.businesses import BUSINESSES, Business
from opsmantik.demo.entries import ENTRIES
from opsmantik.demo.scenario import visits_of_day
from opsmantik.demo.visits import Visit
from opsmantik.ingest.bots import bot_name
from opsmantik.sessions.device import read_user_agent

pytestmark = pytest.mark.slow

WEDNESDAY = date(2026, 10, 14)
EVERY = pytest.mark.parametrize("business", BUSINESSES.values(), ids=BUSINESSES)


def told(visits: list[Visit]) -> list[bytes]:
    return [wire.body(v, beat.event, v.start_ms + beat.after_ms, 0) for v in visits for beat in v.beats]


@EVERY
def test_a_day_told_twice_is_the_same_to_the_byte(business: Business) -> None:
    assert told(visits_of_day(business, WEDNESDAY)) == told(visits_of_day(business, WEDNESDAY))


@EVERY
def test_another_seed_and_another_day_are_other_days(business: Business) -> None:
    day = told(visits_of_day(business, WEDNESDAY))
    assert day != told(visits_of_day(business, WEDNESDAY, seed=7))
    assert not set(day) & set(told(visits_of_day(business, WEDNESDAY + timedelta(days=1))))


@EVERY
def test_visits_begin_on_the_businesss_own_day_and_in_order(business: Business) -> None:
    for day in (WEDNESDAY, date(2026, 10, 25), date(2026, 3, 29)):  # London's clocks go back, and forward
        start, end = site_day(business.time_zone, day)
        begun = [datetime.fromtimestamp(visit.start_ms / 1000, UTC) for visit in visits_of_day(business, day)]
        assert begun == sorted(begun)
        assert start <= begun[0] and begun[-1] < end


@EVERY
def test_two_weeks_look_like_this_kind_of_business(business: Business) -> None:
    days = [visits_of_day(business, WEDNESDAY + timedelta(days=n)) for n in range(14)]
    visits = [visit for day in days for visit in day]
    leads = [visit for visit in visits if any(is_lead(beat.event, business) for beat in visit.beats)]
    phones = [visit for visit in visits if read_user_agent(visit.user_agent).type == "mobile"]
    back = [visit for visit in visits if visit.start_ms != visit.person.first_ms]

    least, _, most = business.daily
    assert all(least <= len(day) <= most + 7 for day in days)  # bots and copied pages come on top
    assert 0.03 < len(leads) / len(visits) < 0.09
    assert 0.7 < len(phones) / len(visits) < 0.95
    assert 0.1 < len(back) / len(visits) < 0.2
    assert {visit.person.entry.kind for visit in visits} >= {kind for kind, _ in business.entries}


def test_nights_are_quieter_than_days() -> None:
    hours = [
        datetime.fromtimestamp(v.start_ms / 1000, UTC).hour
        for v in visits_of_day(BUSINESSES["vinc"], WEDNESDAY)
    ]
    assert hours.count(8) > 2 * hours.count(0)  # 11 o'clock and 3 o'clock in Istanbul


def test_who_returns_was_there_on_an_earlier_day() -> None:
    business = BUSINESSES["clinic"]
    returned = [v for v in visits_of_day(business, WEDNESDAY) if v.start_ms != v.person.first_ms]
    assert returned
    for visit in returned:
        first_day = datetime.fromtimestamp(visit.person.first_ms / 1000, UTC).date()
        firsts = visits_of_day(business, first_day) + visits_of_day(business, first_day + timedelta(days=1))
        assert visit.person.id in {earlier.person.id for earlier in firsts}
        assert visit.start_ms > visit.person.first_ms


@pytest.mark.parametrize("user_agent", BOTS)
def test_bots_are_known_as_bots(user_agent: str) -> None:
    assert bot_name(user_agent) is not None


@pytest.mark.parametrize("browser", [b for _, b in (*BROWSERS, *IN_APP["instagram"], *IN_APP["facebook_ad"])])
def test_browsers_are_people_on_a_known_machine(browser: msgspec.Struct) -> None:
    found = read_user_agent(browser.user_agent)  # type: ignore[attr-defined]
    assert bot_name(browser.user_agent) is None  # type: ignore[attr-defined]
    assert found.type in ("mobile", "tablet", "desktop") and found.browser and found.os


@EVERY
def test_entries_and_targets_exist(business: Business) -> None:
    assert {kind for kind, _ in business.entries} <= ENTRIES.keys()
    paths = {page.path for page in business.pages}
    assert {campaign.path for campaign in business.campaigns} <= paths
    for link in (business.phone, business.whatsapp):
        target = read_target(link, business.region)
        assert target is not None and target.lead and target.number


def is_lead(event: dict[str, object], business: Business) -> bool:
    return event["cat"] == "conversion" and event["label"] in (
        business.phone,
        business.whatsapp,
        business.form,
    )
