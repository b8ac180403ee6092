"""How figures stand against the range before: pure cases, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from opsmantik.dashboard.asked import Over
from opsmantik.dashboard.cards.command_centre import CommandCentre, Decided, Figures, Ledger, Previous
from opsmantik.dashboard.cards.timeline import Bucket, Timeline
from opsmantik.dashboard.overview import change, compare, points

START = datetime(2026, 11, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR

CHANGES = {
    "more": (15, 10, "more", Decimal("0.5")),
    "less": (5, 10, "less", Decimal("0.5")),
    "the same": (10, 10, "same", Decimal(0)),
    "all gone": (0, 10, "less", Decimal(1)),
    "from nothing": (3, 0, "new", None),
    "nothing, and nothing before": (0, 0, "unknown", None),
    "not known now": (None, 10, "unknown", None),
    "not known before": (10, None, "unknown", None),
}


@pytest.mark.parametrize(("now", "before", "way", "share"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_a_part_of_what_was_and_of_nothing_there_is_none(
    now: int | None, before: int | None, way: str, share: Decimal | None
) -> None:
    found = change(now, before)
    assert (found.way, found.share) == (way, share)


def figures(**changes: Any) -> Figures:
    zeros: dict[str, Any] = {
        field.name: 0 if field.type is int else None for field in msgspec.structs.fields(Figures)
    }
    ledger = Ledger(**dict.fromkeys(Ledger.__struct_fields__, 0))
    decided = Decided(
        **dict.fromkeys(Decided.__struct_fields__, 0) | {"response_seconds": changes.pop("seconds", None)}
    )
    return Figures(
        **zeros | {"ledger": ledger, "decided": decided, "leads_by": [], "other_amounts": []} | changes
    )


def answer(now: Figures, before: Figures | None, as_of: datetime) -> CommandCentre:
    over = Over(START, START + DAY, "UTC")
    return CommandCentre(
        range=over, ads_only=False, as_of=as_of, sequence=1, last_event_at=None, last_lead_at=None, currency="TRY",
        assumed_cpc=Decimal(0), forms_enabled=False, figures=now,
        previous=Previous(Over(START - DAY, START, "UTC"), before) if before else None,
    )  # fmt: skip


def line(start: datetime, as_of: datetime, **measures: list[int]) -> Timeline:
    """Hours of a day, each measure as it is given, and zeros after it."""

    def bucket(hour: int) -> Bucket:
        names = (
            "sessions",
            "visitors",
            "events",
            "conversion_events",
            "leads",
            "leads_with_click_id",
            "waiting",
            "sealed",
            "junk",
        )
        counts = {name: (measures.get(name, []) + [0] * 24)[hour] for name in names}
        at = start + hour * HOUR
        return Bucket(
            start=at, end=at + HOUR, day=at.date(), sealed_amount=Decimal(0), decided=None, **counts
        )

    return Timeline(
        range=Over(start, start + DAY, "UTC"), ads_only=False, as_of=as_of, sequence=1, currency="TRY",
        granularity="hour", buckets=[bucket(hour) for hour in range(24)],
    )  # fmt: skip


def test_a_range_that_is_over_is_compared_with_the_whole_one_before() -> None:
    as_of = START + 2 * DAY
    now = figures(leads=6, sealed=3, conversion_rate=Decimal("0.5"))
    found = compare(
        answer(now, figures(leads=4, conversion_rate=Decimal("0.25")), as_of),
        line(START, as_of, leads=[6]), line(START - DAY, as_of, leads=[1, 3]),
    )  # fmt: skip
    assert found is not None and found.until is None
    assert (found.changes["leads"].before, found.changes["leads"].share) == (4, Decimal("0.5"))
    assert found.changes["sealed"].way == "new"
    assert found.changes["conversion_rate"].difference == Decimal("0.25")


def test_of_a_range_that_is_not_over_only_what_has_gone_by_is_compared() -> None:
    """At half past two there are two whole hours; the third is not over, and yesterday's was."""
    as_of = START + 2.5 * HOUR
    found = compare(
        answer(figures(leads=9, seconds=60), figures(leads=40, seconds=120), as_of),
        line(START, as_of, leads=[3, 3, 3]), line(START - DAY, as_of, leads=[1, 2, 30, 7]),
    )  # fmt: skip
    assert found is not None and found.until == START + 2 * HOUR
    leads = found.changes["leads"]
    assert (leads.now, leads.before, leads.share) == (6, 3, Decimal(1))
    # A mean is no sum: it is compared as it is.
    assert found.changes["response_seconds"].share == Decimal("0.5")


def test_before_the_first_hour_is_over_there_is_nothing_to_compare() -> None:
    as_of = START + HOUR / 2
    lines = line(START, as_of, leads=[3]), line(START - DAY, as_of, leads=[40])
    found = compare(answer(figures(leads=3), figures(leads=40), as_of), *lines)
    assert found is not None and found.until == START
    assert found.changes["leads"].way == "unknown"


def test_without_a_range_before_nothing_is_compared() -> None:
    as_of = START + 2 * DAY
    assert compare(answer(figures(), None, as_of), line(START, as_of), None) is None


def test_the_trend_says_of_each_bucket_whether_it_is_over_and_what_was_at_its_place() -> None:
    as_of = START + 2.5 * HOUR
    found = points(line(START, as_of, leads=[1, 2, 3]), line(START - DAY, as_of, leads=[7, 8]))
    assert [point.state for point in found] == ["done", "done", "open"] + ["ahead"] * 21
    assert [(point.now.leads, point.before and point.before.leads) for point in found[:3]] == [
        (1, 7),
        (2, 8),
        (3, 0),
    ]
    assert found[0].before is not None and found[0].before.day == date(2026, 11, 21)
    assert all(point.before is None for point in points(line(START, as_of), None))
    shorter = line(START - DAY, as_of)
    shorter = msgspec.structs.replace(shorter, buckets=shorter.buckets[:23])  # a day of 23 hours
    assert points(line(START, as_of), shorter)[23].before is None
