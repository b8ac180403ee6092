"""The leads of a site, all that it ever had: searched, narrowed down, counted and listed by the page.

What is asked for is a :class:`Wanted`; ``db/functions/lead_search.sql`` finds the rows, in milliseconds however many
leads there are, and the rows themselves are read as any other, under the asker's row security.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.clock import Range
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.db.sql import queries
from opsmantik.intents.status import SEALED, WAITING

SQL = queries(Path(__file__).with_suffix(".sql"))
ROWS: Final = 50
COUNTED: Final = 50_000
"""Up to so many are counted; beyond that it is said that there are more."""
KEYS: Final = (
    "action", "captured_by", "source", "channel", "campaign", "keyword", "matchtype", "place", "device", "page",
)  # fmt: skip
"""What leads are narrowed down by as it is; the keys of breakdowns."""
NOTHING: Final = "-"
"""As a key: where it is not known, or there is none."""
STATUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "waiting": tuple(map(str, WAITING)), "sealed": tuple(map(str, SEALED)), "junk": ("junk",),
    "suspicious": ("suspicious",), "all": (), "intent": ("intent",), "pending": ("pending",), "conversion": ("conversion",),
}  # fmt: skip
"""The words for statuses, and the statuses that each means; none of them means any."""
_LONGEST_WORDS: Final = 12
_NUMBER: Final = re.compile(r"[\d\s()+./-]{3,}")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which leads. What is not given leaves none out."""

    over: Range | None = None
    """None: of any time."""
    decided: bool = False
    """Whether the range is about when they were decided, and not captured; then only decided ones."""
    paid: bool = False
    statuses: tuple[str, ...] = ()
    keys: Mapping[str, str] = {}
    """By the names of :data:`KEYS`; :data:`NOTHING` for what is not known."""
    click: bool | None = None
    weekday: int | None = None
    """1 to 7 from Monday, by the site's clock; so is ``hour``, 0 to 23."""
    hour: int | None = None
    search: str = ""
    """Words, all of which are to stand in what a lead is searched by; or a number, however it is written."""


class LeadRow(msgspec.Struct, frozen=True, kw_only=True):
    """One lead of the list. ``None`` is "not known", never a guess."""

    at: datetime
    """The time that the list is ordered by."""
    id: UUID
    created_at: datetime
    occurred_at: datetime
    status: str
    version: int
    is_automatic: bool
    note: str | None
    junk_reason: str | None
    quality: int | None
    stage: str | None
    decided_at: datetime | None
    decided_by: UUID | None
    captured_by: str
    action: str | None
    target: str | None
    phone_number: str | None
    page_url: str | None
    lead_score: int
    click_id: str | None
    click_id_kind: str | None
    has_click_id: bool
    is_paid: bool
    sale_amount: Decimal | None
    sale_at: datetime | None
    currency: str
    keyword: str | None
    campaign: str | None
    matchtype: str | None
    attribution_source: str | None
    channel: str | None
    referrer_host: str | None
    entry_page: str | None
    city: str | None
    district: str | None
    country: str | None
    device_type: str | None


class LeadPage(msgspec.Struct, frozen=True):
    """One page, newest first. ``next_cursor`` is None on the last one."""

    items: list[LeadRow]
    next_cursor: Cursor | None
    names: Mapping[UUID, str]
    """Who decided, as far as their names are known."""
    as_of: datetime
    sequence: int


async def lead_search(
    connection: Any, site: AskedSite, wanted: Wanted, *, limit: int = ROWS, cursor: Cursor | None = None
) -> LeadPage:
    """A page of the leads, after ``cursor``."""
    found = await connection.fetch(
        SQL.lead_search, site.id, *_asked(site, wanted), *(cursor or FIRST_PAGE), limit + 1
    )
    items = [_row(record) for record in found[:limit] if record["id"] is not None]
    last = Cursor(items[-1].at, items[-1].id) if len(found) > limit else None
    names = await _names(connection, site, items)
    return LeadPage(items, last, names, found[0]["as_of"], found[0]["sequence"])


async def lead_count(connection: Any, site: AskedSite, wanted: Wanted, *, most: int = COUNTED) -> int | None:
    """How many leads; None: more than ``most``."""
    count: int = await connection.fetchval(SQL.lead_count, site.id, *_asked(site, wanted), most)
    return None if count > most else count


async def lead_rows(connection: Any, site: AskedSite, ids: Sequence[UUID]) -> LeadPage:
    """These leads as they are now, newest first."""
    found = await connection.fetch(SQL.lead_rows, site.id, list(ids))
    items = [_row(record) for record in found if record["id"] is not None]
    return LeadPage(
        items, None, await _names(connection, site, items), found[0]["as_of"], found[0]["sequence"]
    )


async def matching(
    connection: Any, site: AskedSite, wanted: Wanted, *, most: int, until: datetime
) -> list[tuple[UUID, int]]:
    """Ids and versions of at most ``most`` leads that match and came until then."""
    found = await connection.fetch(SQL.matching, site.id, *_asked(site, wanted), *FIRST_PAGE, most, until)
    return [(record["id"], record["version"]) for record in found]


def search_of(text: str) -> dict[str, Any]:
    """What is searched for, as the database is asked: words, and the number that it may be.

    A number is found by any part of three digits or more, with or without its country's code, however it is spaced:
    0532 123…, +90 532 123…, 0090532123…: what stands before the first digit that matters is left out.
    """
    plain = unicodedata.normalize("NFC", text)
    asked: dict[str, Any] = {"words": plain.split()[:_LONGEST_WORDS]}
    if _NUMBER.fullmatch(plain.strip()):
        digits = re.sub(r"\D", "", plain)
        digits = digits[2:] if digits.startswith("00") else digits.removeprefix("0")
        if len(digits) >= 3:
            asked["number"] = digits
    return asked if asked["words"] else {}


def _asked(site: AskedSite, wanted: Wanted) -> tuple[Any, ...]:
    """The arguments that say which leads, for all statements alike."""
    asked: dict[str, Any] = {
        name: "" if value == NOTHING else value for name, value in wanted.keys.items() if name in KEYS
    }
    if wanted.statuses:
        asked["status"] = list(wanted.statuses)
    if wanted.paid:
        asked["is_paid"] = True
    if wanted.click is not None:
        asked["has_click_id"] = wanted.click
    for name, value in (("weekday", wanted.weekday), ("hour", wanted.hour)):
        if value is not None:
            asked[name] = value
    asked |= search_of(wanted.search)
    start, end = wanted.over or (None, None)
    return asked, wanted.decided, site.time_zone, start, end


def _row(record: Any) -> LeadRow:
    return LeadRow(**{field: record[field] for field in LeadRow.__struct_fields__})


async def _names(connection: Any, site: AskedSite, items: Sequence[LeadRow]) -> dict[UUID, str]:
    ids = list({item.decided_by for item in items if item.decided_by is not None})
    found = await connection.fetch(SQL.deciders, site.id, ids) if ids else []
    return {record["id"]: record["name"] for record in found if record["name"]}
