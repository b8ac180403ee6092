"""What a page about a site looks at: the range, the scope, whether it compares, and what it leaves out.

All of it is in the address, so that it survives a reload, a bookmark and midnight: ``day=today`` is today whenever it
is opened. The words are those of the interface for programs (``day``, ``range``, ``from``, ``to``), and besides

- ``first`` and ``last``: whole days of the site, both included, as a person writes them (``2026-02-01``)
- ``range``: ``all`` for whatever there ever was, where a page is a list of rows: figures have no such range
- ``scope``: ``paid`` for traffic that the attribution ladder calls paid; without it all of it
- ``compare``: ``0`` to leave out the range before
- the filters of :data:`FILTERS`, which leads and visits are narrowed down by

Links between pages are made by :meth:`Looking.link`, which carries all of it on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from opsmantik import clock
from opsmantik.clock import ONE_DAY, Period, Range
from opsmantik.errors import BadRange

FILTERS: Final = (
    "status", "by", "action", "click", "source", "channel", "campaign", "keyword", "matchtype", "place", "device", "page",
    "weekday", "hour", "captured_by", "q",
)  # fmt: skip
"""Names of what narrows down. ``status`` is of a lead (or waiting, sealed, all), several separated by commas; ``by`` is
captured (the default) or decided: which time of the lead the range is about; ``click`` is yes or no; ``weekday`` 1 to 7
from Monday and ``hour`` 0 to 23 by the site's clock; ``q`` is searched for; the others are keys as breakdowns have them."""
PRESETS: Final = ("day=today", "day=yesterday", "range=7d", "range=30d", "range=month")
EVERYTHING: Final = {"range": "all"}
LONGEST: Final = 300
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Looking(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks to see of a site."""

    period: Period
    paid: bool
    compare: bool
    filters: Mapping[str, str]
    words: Mapping[str, str]
    """The words of the range as they were written; none of them means today."""
    everything: bool = False
    """Whether rows of any time are asked for (``range=all``); ``period`` is today's then, and says nothing."""

    @property
    def over(self) -> Range | None:
        """The instants that rows lie between; None for any time."""
        return None if self.everything else self.period.over

    @property
    def first(self) -> date:
        """The first day that has a part in the range."""
        return self.period.days[0]

    @property
    def last(self) -> date:
        """The last such day."""
        return self.period.days[-1]

    @property
    def preset(self) -> str:
        """``day=today`` and so on where the range was asked for by a name, otherwise nothing."""
        asked = urlencode(self.words) or PRESETS[0]
        return asked if asked in PRESETS or self.everything else ""

    def query(self, **changes: str | None) -> str:
        """The query that asks for the same, with ``changes``; ``None`` takes a word away.

        A word of a range replaces the range: the others that it was asked for by are taken away.
        """
        asked: dict[str, str] = dict(self.words)
        if any(_word(name) in RANGE_WORDS for name in changes):
            asked = {}
        asked |= {"scope": "paid"} if self.paid else {}
        asked |= {} if self.compare else {"compare": "0"}
        asked |= self.filters
        for name, value in changes.items():
            asked.pop(_word(name), None)
            if value is not None:
                asked[_word(name)] = value
        return urlencode(asked, quote_via=quote)

    def link(self, path: str, **changes: str | None) -> str:
        """The address of a page that looks at the same."""
        query = self.query(**changes)
        return f"{path}?{query}" if query else path


RANGE_WORDS = ("day", "range", "from", "to", "first", "last")


def _word(name: str) -> str:
    """``from`` cannot be a name in Python; ``from_`` can."""
    return name.rstrip("_")


def read(query: Mapping[str, str], zone_name: str, now: datetime, *, is_list: bool = False) -> Looking:
    """What the words of an address ask for. Others are left alone: they are somebody else's. ``is_list``: whether the page
    lists rows, which may be of any time.

    Raises :class:`~opsmantik.errors.BadRange` for a range that cannot be had, in words.
    """
    words = {name: query[name].strip() for name in RANGE_WORDS if query.get(name, "").strip()}
    filters = {
        name: query[name].replace("\x00", "").strip()[:LONGEST]
        for name in FILTERS
        if query.get(name, "").replace("\x00", "").strip()
    }
    everything = is_list and words == EVERYTHING
    return Looking(
        period=_period({} if everything else words, zone_name, now), everything=everything,
        paid=query.get("scope") == "paid", compare=query.get("compare") != "0", filters=filters, words=words,
    )  # fmt: skip


def _period(words: Mapping[str, str], zone_name: str, now: datetime) -> Period:
    if "first" in words or "last" in words:
        if set(words) != {"first", "last"}:
            raise BadRange(explanation="first and last go together, and with no other word of a range")
        first, last = (_day(name, words[name]) for name in ("first", "last"))
        if first > last:
            raise BadRange(explanation=f"first ({first}) is later than last ({last})")
        start, end = clock.site_day(zone_name, first).start, clock.site_day(zone_name, last + ONE_DAY).start
        return clock.period(zone_name, now, start=start.isoformat(), end=end.isoformat())
    names = {"day": "day", "range": "span", "from": "start", "to": "end"}
    return clock.period(zone_name, now, **{names[name]: text for name, text in words.items()})


def _day(name: str, text: str) -> date:
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not clock.FIRST_DAY <= day <= clock.LAST_DAY:
        raise BadRange(explanation=f"{name} {text[:40]!r} is no day: write it like 2026-02-01")
    return day
