"""What an address asks to see of a site, and the addresses that ask for it again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import parse_qsl

import pytest

from opsmantik.errors import BadRange
from opsmantik.web.looking import Looking, read

NOW = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)  # the 23rd in Istanbul


def look(query: str) -> Looking:
    return read(dict(parse_qsl(query)), "Europe/Istanbul", NOW)


@pytest.mark.parametrize(
    ("query", "first", "last", "preset"),
    [
        ("", date(2026, 11, 23), date(2026, 11, 23), "day=today"),
        ("day=yesterday", date(2026, 11, 22), date(2026, 11, 22), "day=yesterday"),
        ("range=7d", date(2026, 11, 17), date(2026, 11, 23), "range=7d"),
        ("first=2026-02-01&last=2026-02-10", date(2026, 2, 1), date(2026, 2, 10), ""),
        ("first=2026-02-01&last=2026-02-01", date(2026, 2, 1), date(2026, 2, 1), ""),
        ("from=2026-01-31T21:00:00Z&to=2026-02-01T21:00:00Z", date(2026, 2, 1), date(2026, 2, 1), ""),
    ],
)
def test_ranges(query, first, last, preset):
    found = look(query)
    assert (found.first, found.last, found.preset) == (first, last, preset)


def test_the_last_day_is_in_the_range_whole():
    over = look("first=2026-02-01&last=2026-02-10").period.over
    assert (over.start.isoformat(), over.end.isoformat()) == (
        "2026-01-31T21:00:00+00:00", "2026-02-10T21:00:00+00:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    "query",
    ["first=2026-02-01", "first=2026-02-10&last=2026-02-01", "first=1.2.2026&last=2026-02-10", "range=90d",
     "first=2026-01-01&last=2026-12-31", "day=today&first=2026-02-01&last=2026-02-02", "day=2026-02-30"],
)  # fmt: skip
def test_a_range_that_cannot_be_had_is_refused(query):
    with pytest.raises(BadRange):
        look(query)


def test_what_an_address_says_is_carried_on():
    found = look("range=7d&scope=paid&compare=0&status=sealed&q=vin%C3%A7&something=else")
    assert found.paid and not found.compare
    assert found.filters == {"status": "sealed", "q": "vinç"}
    assert found.link("/leads") == "/leads?range=7d&scope=paid&compare=0&status=sealed&q=vin%C3%A7"
    assert found.query(day="yesterday", q=None) == "scope=paid&compare=0&status=sealed&day=yesterday"
    assert found.query(scope=None, compare=None) == "range=7d&status=sealed&q=vin%C3%A7"
    assert found.query(first="2026-02-01", last="2026-02-02").endswith("first=2026-02-01&last=2026-02-02")
    assert look("").link("/x") == "/x"


def test_a_range_by_instants_can_be_linked_to():
    query = "from=2026-01-31T21%3A00%3A00Z&to=2026-02-01T21%3A00%3A00Z"
    assert look(query).query() == query
    assert (
        look(query)
        .query(from_="2026-01-30T21:00:00Z", to="2026-02-01T21:00:00Z")
        .startswith("from=2026-01-30")
    )


def test_a_list_of_rows_may_be_of_any_time():
    found = read({"range": "all", "status": "junk"}, "Europe/Istanbul", NOW, is_list=True)
    assert found.everything and found.over is None and found.preset == "range=all"
    assert found.link("/leads") == "/leads?range=all&status=junk"
    assert found.query(day="today") == "status=junk&day=today"
    with pytest.raises(BadRange):
        look("range=all")  # figures have no such range
    today = read({}, "Europe/Istanbul", NOW, is_list=True)
    assert not today.everything and today.over == today.period.over and today.preset == "day=today"
