"""What visits and leads of a range came by: source, place, device, campaign, keyword, page, hour of the week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import msgspec

from opsmantik.clock import Period
from opsmantik.dashboard.asked import AskedSite, Over, over
from opsmantik.dashboard.figures import parts, ratio
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

SQL = queries(Path(__file__).with_suffix(".sql"))

Dimension = Literal[
    "source", "channel", "device", "city", "place", "campaign", "keyword", "matchtype", "page", "hour"
]
DIMENSIONS: Final[tuple[str, ...]] = get_args(Dimension)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Visits and leads. ``share`` is that of the visits among all visits of the scope."""

    sessions: int
    paid_sessions: int
    sessions_with_click_id: int
    leads: int
    leads_with_click_id: int
    sealed: int
    junk: int
    sealed_amount: Decimal
    share: Decimal | None
    conversion_rate: Decimal | None


class Row(Counts, frozen=True, kw_only=True):
    """One value of the dimension; None where it is not known, or a visit has none."""

    value: str | None
    city: str | None
    """Of a place, as is the district."""
    district: str | None
    weekday: int | None
    """Of an hour: 1 is Monday, 7 is Sunday."""
    hour: int | None


class Rest(Counts, frozen=True, kw_only=True):
    """All other values of the dimension together, and how many they are."""

    values: int


class Part(msgspec.Struct, frozen=True):
    """One dimension. Rows and rest add up to the total."""

    dimension: str
    rows: list[Row]
    rest: Rest | None


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot."""

    range: Over
    ads_only: bool
    as_of: datetime
    sequence: int
    currency: str
    total: Counts
    dimensions: list[Part]


async def breakdown(
    connection: Any,
    site: AskedSite,
    asked: Period,
    *,
    ads_only: bool = False,
    dimension: Sequence[str] = ("source",),
    limit: int | None = 20,
) -> Breakdown:
    """The values of each dimension with most visits, at most ``limit`` (None: all); of hours always all.

    Raises :class:`~opsmantik.errors.NotFound` for a site that the connection's asker may not see.
    """
    names = list(dict.fromkeys(dimension))
    found = await connection.fetch(
        SQL.breakdown, site.id, *parts(asked), ads_only, names, site.time_zone, limit
    )
    if not found:
        raise NotFound(what="site")
    total = next(record for record in found if record["name"] == "")
    whole: int = total["sessions"]
    return Breakdown(
        range=over(site, asked),
        ads_only=ads_only,
        as_of=found[0]["as_of"],
        sequence=found[0]["sequence"],
        currency=site.currency,
        total=Counts(**_counts(total, whole)),
        dimensions=[_part(name, [r for r in found if r["name"] == name], whole) for name in names],
    )


def _part(name: str, records: Sequence[Any], whole: int) -> Part:
    """``value`` of what is beyond the limit is null; a value that is not known is the empty text."""
    rows = [_row(name, record, whole) for record in records if record["value"] is not None]
    rest = [Rest(values=r["others"], **_counts(r, whole)) for r in records if r["value"] is None]
    if name == "hour":
        rows.sort(key=lambda row: (row.weekday, row.hour))
    return Part(name, rows, rest[0] if rest else None)


def _row(name: str, record: Any, whole: int) -> Row:
    value: str = record["value"]
    city = district = weekday = hour = None
    if name == "place":
        city, _, district = value.partition("/")
    elif name == "city":
        city = value
    elif name == "hour":
        weekday, hour = map(int, value.split(" "))
    return Row(
        value=value or None,
        city=city or None,
        district=district or None,
        weekday=weekday,
        hour=hour,
        **_counts(record, whole),
    )


def _counts(record: Any, whole: int) -> dict[str, Any]:
    measures = {field: record[field] for field in Counts.__struct_fields__ if field in _MEASURES}
    return measures | {
        "share": ratio(record["sessions"], whole),
        "conversion_rate": ratio(record["sealed"], record["sessions"]),
    }


_MEASURES: Final = frozenset(Counts.__struct_fields__) - {"share", "conversion_rate"}

DEFINITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "total": "All visits and leads of the range and scope.",
        "dimensions[].rows": "Visits by one value of the dimension, and the leads that came from them; most visits first,"
        " then most leads, then by value, and hours in their order.",
        "dimensions[].rows[].value": "The value; null where it is not known, where a visit has none, and of leads"
        " without a visit.",
        "dimensions[].rows[].share": "The row's visits divided by all visits of the scope, four decimals; null without a"
        " visit.",
        "dimensions[].rows[].*": "Every other figure of a row is what command_centre calls so, of the row.",
        "dimensions[].rest": "All values beyond the limit together, and how many they are: rows and rest add up to the"
        " total.",
        "dimension": "source, channel, device, city, place (city and district), campaign, keyword, matchtype, page (the"
        " first of the visit, without host and query), hour (of the week, by the site's clock).",
    }
)
