"""Every figure by its definition: the sentence of docs/contracts.md, and what it comes to in a world counted by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio

from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards.breakdown import Row, breakdown
from opsmantik.dashboard.cards.command_centre import Amount, Figures, LeadCount, command_centre
from opsmantik.dashboard.cards.timeline import timeline
from opsmantik.dashboard.cards.watchdog import watchdog
from opsmantik.dashboard.contracts import contract
from opsmantik.db.connect import Database
from opsmantik.errors import NotFound
from tests.dashboard.small_world import CPC, END, START, ZONE, at, lay
from tests.dashboard.world import Asker, World, new_site

DOCS = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()
MINE = ("command_centre", "timeline", "breakdown", "watchdog")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asker(app_database: Database, owner: Any) -> Asker:
    """Who may ask about the small world."""
    user, site = await new_site(owner, time_zone=ZONE, assumed_cpc=CPC)
    await lay(World(owner, site))
    return Asker(app_database, user, site, ZONE)


def defined(name: str, figure: str, sentence: str) -> None:
    """The sentence defines the figure, in the list and in the page that people read."""
    assert contract(name).definitions[figure] == sentence
    assert sentence in DOCS


class Case(NamedTuple):
    """A figure, its sentence, and what it is of all traffic and of ads only."""

    figure: str
    sentence: str
    all_traffic: Any
    ads: Any


CASES = (
    Case("sessions", "Visits whose first event came in within the range.", 5, 3),
    Case("paid_sessions", "Those of the visits whose source is a paid one.", 3, 3),
    Case("sessions_with_click_id", "Those of the visits that carry a Google click id (gclid, wbraid or gbraid).", 1, 1),
    Case("visitors", "Devices seen, each counted once on each of the site's days in the range.", 4, 3),
    Case("events", "Events that came in within the range, whenever their visit began; heartbeats and goodbyes are none.",
         9, 6),
    Case("conversion_events", "Those of the events whose category is conversion.", 2, 2),
    Case("forms", "Those of the conversion events that are a form sent.", 1, 1),
    Case("leads", "Leads that came in within the range: taps on a number or a chat, forms sent, calls reported; a repeated"
         " tap is no lead.", 7, 3),
    Case("leads_with_click_id", "Those of the leads whose tap or visit carries a Google click id.", 3, 2),
    Case("phone_leads", "Those of the leads that are taps on a telephone number.", 3, 2),
    Case("whatsapp_leads", "Those of the leads that are taps on a WhatsApp link.", 2, 0),
    Case("form_leads", "Those of the leads that are forms sent.", 1, 1),
    Case("waiting", "Those of the leads that nobody has decided about: intent or pending.", 2, 2),
    Case("sealed", "Those of the leads that are sealed or converted by now, whoever sealed them.", 3, 1),
    Case("junk", "Those of the leads that are junk by now.", 1, 0),
    Case("suspicious", "Those of the leads that are suspicious by now.", 1, 0),
    Case("auto_approved", "Sealed leads of the range that a rule sealed, whatever the scope.", 1, 1),
    Case("conversion_rate", "Sealed leads divided by visits, four decimals; null without a visit.",
         Decimal("0.6000"), Decimal("0.3333")),
    Case("sealed_amount", "The sale amounts of the sealed leads in the site's currency, added up.",
         Decimal("1500"), Decimal("1000")),
    Case("other_amounts", "The sale amounts of the sealed leads in each other currency, never converted.",
         [Amount("EUR", Decimal("50"), 1)], []),
    Case("budget_saved", "Junk leads times the cost per click that the site assumes, two decimals.",
         Decimal("3.50"), Decimal("0.00")),
    Case("mean_scroll", "How far the visits of the leads scrolled, in percent, each lead once, one decimal; null where it"
         " is not known of any.", Decimal("46.7"), Decimal("73.3")),
)  # fmt: skip
LEDGER = (
    Case("uploaded", "Conversions that the platform has accepted or matched.", 2, 2),
    Case(
        "matchable",
        "Sealed leads with a Google click id, whatever the scope: those that can be uploaded.",
        2,
        2,
    ),
)
DECIDED = (
    Case("automatic", "Those of the decided leads that a rule decided about.", 2, 0),
    Case("response_seconds", "The mean time from a lead's arrival to the decision, of decisions taken by people within"
         " the range, in whole seconds; null without one.", 32_400, 7_200),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.figure)
async def test_a_figure_is_what_its_sentence_says(asker: Asker, case: Case) -> None:
    defined("command_centre", case.figure, case.sentence)
    asked = asker.over(START, END)
    for ads_only, expected in ((False, case.all_traffic), (True, case.ads)):
        found = await asker.ask(command_centre, asked, ads_only=ads_only)
        got = getattr(found.figures, case.figure)
        assert got == expected and str(got) == str(expected)  # with all its decimals


@pytest.mark.parametrize(
    ("group", "case"), [*(("ledger", case) for case in LEDGER), *(("decided", case) for case in DECIDED)],
    ids=lambda case: getattr(case, "figure", case),
)  # fmt: skip
async def test_a_figure_of_the_ledger_and_of_decisions(asker: Asker, group: str, case: Case) -> None:
    defined("command_centre", case.figure, case.sentence)
    for ads_only, expected in ((False, case.all_traffic), (True, case.ads)):
        found = await asker.ask(command_centre, asker.over(START, END), ads_only=ads_only)
        assert getattr(getattr(found.figures, group), case.figure) == expected


async def test_the_ledger_counts_by_state_whatever_the_scope(asker: Asker) -> None:
    defined(
        "command_centre",
        "ledger",
        "Conversions of the leads of the range by their state now, whatever the scope.",
    )
    for ads_only in (False, True):
        ledger = (await asker.ask(command_centre, asker.over(START, END), ads_only=ads_only)).figures.ledger
        states = {state: n for state, n in msgspec.structs.asdict(ledger).items() if n}
        assert states == {
            "matched": 1, "accepted": 1, "failed": 1, "retracted": 1, "uploaded": 2, "matchable": 2,
        }  # fmt: skip


async def test_what_was_decided_is_counted_when_it_was_decided(asker: Asker) -> None:
    defined(
        "command_centre", "decided",
        "Leads whose present status was decided within the range, whenever they came in.",
    )  # fmt: skip
    decided = (await asker.ask(command_centre, asker.over(START, END))).figures.decided
    assert (decided.leads, decided.sealed, decided.junk, decided.suspicious) == (6, 4, 1, 1)
    assert decided.sealed_amount == 1700  # with what came in on the day before, without euros
    ads = (await asker.ask(command_centre, asker.over(START, END), ads_only=True)).figures.decided
    assert (ads.leads, ads.sealed, ads.junk, ads.sealed_amount) == (1, 1, 0, 1000)


async def test_the_figures_about_leads_are_their_counts_added_up(asker: Asker) -> None:
    defined(
        "command_centre",
        "leads_by",
        "The leads by status, action, way of capture and whether a rule decided.",
    )
    figures: Figures = (await asker.ask(command_centre, asker.over(START, END))).figures
    assert sum(count.leads for count in figures.leads_by) == figures.leads
    assert sum(count.leads_with_click_id for count in figures.leads_by) == figures.leads_with_click_id
    assert sum(count.sealed_amount for count in figures.leads_by) == figures.sealed_amount
    assert figures.leads_by[0] == LeadCount(
        status="conversion", action="whatsapp", captured_by="click", is_automatic=True, leads=1,
        leads_with_click_id=0, sealed_amount=Decimal("500"), scroll_percent=10, scrolled=1,
    )  # fmt: skip


async def test_what_is_said_of_the_site_itself(asker: Asker, owner: Any) -> None:
    sentences = {
        "last_event_at": "When the site's newest event came in, of any day and all traffic.",
        "last_lead_at": "When the site's newest lead came in, of any day and all traffic.",
        "forms_enabled": "Whether a form was sent within 365 days before the end of the range.",
    }
    for figure, sentence in sentences.items():
        defined("command_centre", figure, sentence)
    await owner.execute(
        "INSERT INTO counter_journal (site_id, changed_at, last_event_at, last_intent_at) VALUES ($1, $2, $2, $3)",
        asker.site_id, END + timedelta(days=1), END,
    )  # fmt: skip
    found = await asker.ask(command_centre, asker.over(START, END), ads_only=True)
    assert (found.last_event_at, found.last_lead_at) == (END + timedelta(days=1), END)
    assert (found.currency, found.assumed_cpc, found.range.time_zone) == ("TRY", CPC, ZONE)
    form = at(10, "10:05")
    year = timedelta(days=365)
    tick = timedelta(microseconds=1)
    asked = {form: False, form + tick: True, form + year: True, form + year + tick: False}
    for end, expected in asked.items():
        found = await asker.ask(command_centre, asker.over(end - timedelta(hours=1), end))
        assert found.forms_enabled is expected, end


# The ends of the range: what lies on the first instant is in it, what lies on the last is not. "sessions" is enough to
# see it; test_figures_recount.py compares all of them.
RANGES = {
    "to the microsecond before the last visit": (at(10, "0:00"), at(11, "13:00"), 4),
    "to the microsecond after it": (at(10, "0:00"), at(11, "13:00") + timedelta(microseconds=1), 5),
    "from the first visit": (at(10, "8:00"), END, 5),
    "from just after it": (at(10, "8:00") + timedelta(microseconds=1), END, 4),
    "no whole day, over a midnight": (at(10, "9:00"), at(11, "13:00"), 3),
    "a part, a whole day, a part": (at(9, "23:30"), at(11, "13:00"), 5),
    "within one day": (at(11, "12:00"), at(11, "13:00"), 1),
    "nothing happened": (at(11, "15:00"), at(11, "16:00"), 0),
}


@pytest.mark.parametrize(("start", "end", "sessions"), RANGES.values(), ids=RANGES.keys())
async def test_a_range_may_begin_and_end_anywhere(asker: Asker, start: Any, end: Any, sessions: int) -> None:
    found = await asker.ask(command_centre, asker.over(start, end))
    assert found.figures.sessions == sessions
    assert (found.range.start, found.range.end) == (start, end)


async def test_of_nothing_there_is_no_rate_and_no_mean(asker: Asker) -> None:
    figures = (await asker.ask(command_centre, asker.over(at(11, "15:00"), at(11, "16:00")))).figures
    assert (figures.conversion_rate, figures.mean_scroll, figures.decided.response_seconds) == (
        None,
        None,
        None,
    )
    assert (figures.leads, figures.sealed_amount, str(figures.budget_saved)) == (0, 0, "0.00")


async def test_the_range_before_is_of_the_same_snapshot(asker: Asker) -> None:
    defined(
        "command_centre", "previous",
        "The same figures of as many site days before the range, or of the same length of time where it is not made of"
        " whole days.",
    )  # fmt: skip
    found = await asker.ask(command_centre, asker.over(at(11, "0:00"), END), compare=True)
    first = await asker.ask(command_centre, asker.over(START, at(11, "0:00")))
    assert found.previous.figures == first.figures and found.previous.range == first.range
    assert found.figures.sessions == 2 and first.figures.sessions == 3
    part = await asker.ask(command_centre, asker.over(at(11, "12:00"), at(11, "14:00")), compare=True)
    assert (part.previous.range.start, part.previous.range.end) == (at(11, "10:00"), at(11, "12:00"))
    assert (await asker.ask(command_centre, asker.over(START, END))).previous is None


async def test_a_timeline_has_every_bucket_and_the_first_holds_what_lies_in_the_range(asker: Asker) -> None:
    sentences = {
        "buckets": "Every hour, day or week of the site that has an instant in the range, also where nothing happened; the"
        " first and the last hold only what lies in the range.",
        "buckets[].visitors": "Devices seen in the bucket: of an hour or a day each once, of a week once on each of its"
        " days.",
        "buckets[].waiting": "Leads of the bucket that nobody has decided about.",
        "buckets[].*": "Every other figure of a bucket is what command_centre calls so, of the bucket.",
        "buckets[].decided": "What was decided within the bucket, about leads of any day; null of hours.",
    }
    for figure, sentence in sentences.items():
        defined("timeline", figure, sentence)
    days = await asker.ask(timeline, asker.over(at(8, "0:00"), at(11, "13:30")), granularity="day")
    assert [(b.day.day, b.sessions, b.visitors, b.leads, b.waiting) for b in days.buckets] == [
        (8, 0, 0, 0, 0), (9, 1, 1, 1, 0), (10, 3, 3, 3, 1), (11, 2, 1, 2, 1),
    ]  # fmt: skip
    assert (days.buckets[-1].start, days.buckets[-1].end) == (at(11, "0:00"), END)
    ninth, tenth = days.buckets[1].decided, days.buckets[2].decided
    assert (ninth.sealed, ninth.response_seconds) == (0, None)  # its lead was decided on the tenth
    assert (tenth.sealed, tenth.sealed_amount, tenth.response_seconds) == (2, 1200, (7_200 + 35_400) // 2)
    hours = await asker.ask(timeline, asker.over(at(10, "9:30"), at(10, "12:00")))
    assert [
        (b.start, b.sessions, b.visitors, b.events, b.leads, b.waiting, b.decided) for b in hours.buckets
    ] == [
        (at(10, "9:00"), 0, 0, 0, 0, 0, None),
        (at(10, "10:00"), 1, 1, 3, 2, 1, None),
        (at(10, "11:00"), 1, 1, 1, 1, 0, None),
    ]
    weeks = await asker.ask(timeline, asker.over(at(8, "0:00"), END), granularity="week")
    assert [(b.day.day, b.sessions, b.visitors) for b in weeks.buckets] == [(2, 0, 0), (9, 6, 5)]
    assert weeks.buckets[0].end == weeks.buckets[1].start == at(9, "0:00")
    ads = await asker.ask(timeline, asker.over(START, END), granularity="day", ads_only=True)
    assert [(b.sessions, b.visitors, b.events, b.leads, b.sealed) for b in ads.buckets] == [
        (2, 2, 4, 2, 1), (1, 1, 2, 1, 0),
    ]  # fmt: skip


GRANULARITIES = {
    "7 days and a bit": (7.4, "hour"),
    "8 days": (8, "day"),
    "30 days": (30, "day"),
    "31 days": (31, "week"),
}


@pytest.mark.parametrize(("days", "expected"), GRANULARITIES.values(), ids=GRANULARITIES.keys())
async def test_auto_goes_by_the_length_of_the_range(asker: Asker, days: float, expected: str) -> None:
    defined(
        "timeline", "granularity",
        "Of auto: hours for a range of up to 7 days, days for one of up to 30, else weeks; weeks begin on Mondays.",
    )  # fmt: skip
    found = await asker.ask(timeline, asker.over(END - timedelta(days=days), END))
    assert found.granularity == expected
    assert all(bucket.start.weekday() == 6 for bucket in found.buckets) == (
        expected == "week"
    )  # 21:00 UTC, Sunday


BREAKDOWNS = {
    "source": [("Paid Social", 2), ("Direct", 1), ("First Click (Paid)", 1), ("Organic", 1), (None, 0)],
    "channel": [("paid_social", 2), ("direct", 1), ("paid_search", 1), ("organic_search", 1), (None, 0)],
    "device": [("mobile", 3), (None, 1), ("desktop", 1)],
    "city": [("İstanbul", 3), (None, 1), ("Ankara", 1)],
    "place": [("İstanbul/", 2), (None, 1), ("İstanbul/Kadıköy", 1), ("Ankara/", 1)],
    "campaign": [(None, 2), ("bahar", 2), ("vinc", 1)],
    "keyword": [(None, 4), ("kiralık vinç", 1)],
    "matchtype": [(None, 4), ("e", 1)],
    "page": [(None, 3), ("/fiyat", 1), ("/", 1)],
    "hour": [("2 08", 1), ("2 10", 1), ("2 11", 1), ("3 12", 1), ("3 13", 1), ("3 14", 0)],
}


@pytest.mark.parametrize(("dimension", "expected"), BREAKDOWNS.items(), ids=BREAKDOWNS.keys())
async def test_a_breakdown_adds_up_to_the_whole(asker: Asker, dimension: str, expected: Any) -> None:
    sentences = {
        "total": "All visits and leads of the range and scope.",
        "dimensions[].rows[].*": "Every other figure of a row is what command_centre calls so, of the row.",
        "dimensions[].rows": "Visits by one value of the dimension, and the leads that came from them; most visits first,"
        " then most leads, then by value, and hours in their order.",
        "dimensions[].rows[].value": "The value; null where it is not known, where a visit has none, and of leads without a"
        " visit.",
    }
    for figure, sentence in sentences.items():
        defined("breakdown", figure, sentence)
    found = await asker.ask(breakdown, asker.over(START, END), dimension=[dimension])
    (part,) = found.dimensions
    assert [(row.value, row.sessions) for row in part.rows] == expected and part.rest is None
    for measure in ("sessions", "paid_sessions", "sessions_with_click_id", "leads", "leads_with_click_id", "sealed", "junk",
                    "sealed_amount"):  # fmt: skip
        assert sum(getattr(row, measure) for row in part.rows) == getattr(found.total, measure), measure
    assert (found.total.sessions, found.total.leads, found.total.sealed_amount) == (5, 7, 1500)


async def test_a_row_of_a_breakdown(asker: Asker) -> None:
    defined(
        "breakdown", "dimensions[].rows[].share",
        "The row's visits divided by all visits of the scope, four decimals; null without a visit.",
    )  # fmt: skip
    found = await asker.ask(breakdown, asker.over(START, END), dimension=["place", "hour"], ads_only=True)
    place, hour = found.dimensions
    assert place.rows[0] == Row(
        value="İstanbul/", city="İstanbul", district=None, weekday=None, hour=None, sessions=2, paid_sessions=2,
        sessions_with_click_id=0, leads=1, leads_with_click_id=0, sealed=0, junk=0, sealed_amount=Decimal("0"),
        share=Decimal("0.6667"), conversion_rate=Decimal("0.0000"),
    )  # fmt: skip
    assert str(place.rows[1].share) == "0.3333" and (place.rows[1].sealed, place.rows[1].sealed_amount) == (
        1,
        1000,
    )
    assert [(row.weekday, row.hour, row.sessions) for row in hour.rows] == [(2, 8, 1), (2, 10, 1), (3, 12, 1)]


async def test_beyond_the_limit_is_one_row_and_says_how_many_it_stands_for(asker: Asker) -> None:
    defined(
        "breakdown", "dimensions[].rest",
        "All values beyond the limit together, and how many they are: rows and rest add up to the total.",
    )  # fmt: skip
    found = await asker.ask(breakdown, asker.over(START, END), dimension=["source", "hour"], limit=2)
    source, hour = found.dimensions
    assert [row.value for row in source.rows] == ["Paid Social", "Direct"]
    assert source.rest is not None and (source.rest.values, source.rest.sessions, source.rest.leads) == (
        3,
        2,
        4,
    )
    assert str(source.rest.share) == "0.4000"
    assert len(hour.rows) == 6 and hour.rest is None  # a week's hours are never cut


async def test_the_watchdog_compares_taps_with_what_they_made(asker: Asker) -> None:
    sentences = {
        "tap_events": "Events of the range whose action says that a number or a chat was tapped, of visits that began in"
        " it.",
        "tap_intents": "Leads that taps of the range made, decided about or not, repeated taps included; with ads_only of"
        " paid visits that began in it.",
        "waiting_intents": "Those of the leads, without repeated taps, that nobody has decided about.",
        "ratio": "tap_intents divided by tap_events, four decimals; null without an event. Taps on links that are no lead"
        " (a share button, a service number) keep it below one.",
    }
    for figure, sentence in sentences.items():
        defined("watchdog", figure, sentence)
    for ads_only, expected in ((False, (1, 6, 1, "6.0000")), (True, (1, 3, 1, "3.0000"))):
        found = await asker.ask(watchdog, asker.over(START, END), ads_only=ads_only)
        assert (found.tap_events, found.tap_intents, found.waiting_intents, str(found.ratio)) == expected
    none = await asker.ask(watchdog, asker.over(at(10, "0:00"), at(10, "9:00")))
    assert (none.tap_events, none.ratio) == (0, None)


@pytest.mark.parametrize("name", MINE)
async def test_somebody_elses_site_is_not_there(asker: Asker, owner: Any, name: str) -> None:
    """The doors find out before they ask; were one to forget, row security would not."""
    stranger, _ = await new_site(owner)
    async with asker.database.as_person(asker.user_id) as (connection, person):
        site = await asked_site(connection, person, str(asker.site_id))
    async with asker.database.as_person(stranger) as (connection, _):
        with pytest.raises(NotFound):
            await contract(name).ask(connection, site, asker.over(START, END))


@pytest.mark.parametrize("name", MINE)
def test_every_definition_and_deviation_is_in_the_page(name: str) -> None:
    """Whatever is defined there is quoted by a test above, but for what is no figure of its own."""
    found = contract(name)
    for sentence in (*found.definitions.values(), *found.deviations):
        assert sentence in DOCS
