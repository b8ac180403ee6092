"""The leads' list between its address and its rows: what the address asks the card for, and the list as a file.

A file for spreadsheets is a text that a program takes for numbers, dates and commands, and visitors choose some of
what stands in it. So a cell that a spreadsheet would carry out is written as text, and so is every number of a phone:
with an apostrophe before it, which spreadsheets take for just that.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from opsmantik.clock import Range
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.lead_search import KEYS, STATUSES, LeadPage, LeadRow, Wanted
from opsmantik.errors import Malformed
from opsmantik.web.looking import Looking
from opsmantik.web.rendering import View, slug

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("waiting", "sealed", "junk", "suspicious"),
    "by": ("captured", "decided"),
    "action": ("phone", "whatsapp", "form"),
    "click": ("yes", "no"),
    "device": ("mobile", "desktop", "tablet"),
    "captured_by": ("click", "form", "api", "manual"),
    "weekday": tuple(str(day) for day in range(1, 8)),
    "hour": tuple(str(hour) for hour in range(24)),
}
"""Filters with few values, as the form offers them."""


def wanted_of(look: Looking) -> Wanted:
    """What an address asks for. Raises :class:`~opsmantik.errors.Malformed` for a filter that can mean nothing."""
    filters = look.filters
    statuses: list[str] = []
    for word in filters.get("status", "all").split(","):
        if word not in STATUSES:
            raise Malformed(reason=f"status is one of {', '.join(STATUSES)}")
        statuses += STATUSES[word]
    return Wanted(
        over=look.over,
        decided=_one(filters, "by", ("captured", "decided")) == "decided",
        paid=look.paid,
        statuses=tuple(dict.fromkeys(statuses)),
        keys={name: filters[name] for name in KEYS if name in filters},
        click={"yes": True, "no": False, None: None}[_one(filters, "click", ("yes", "no"))],
        weekday=_number(filters, "weekday"),
        hour=_number(filters, "hour"),
        search=filters.get("q", ""),
    )


def _one(filters: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = filters.get(name)
    if value is not None and value not in choices:
        raise Malformed(reason=f"{name} is one of {', '.join(choices)}")
    return value


def _number(filters: Mapping[str, str], name: str) -> int | None:
    value = _one(filters, name, CHOICES[name])
    return None if value is None else int(value)


def since(wanted: Wanted, at: datetime) -> Wanted:
    """The same, but none of before that instant."""
    start, end = wanted.over or (at, datetime.max.replace(tzinfo=at.tzinfo))
    return Wanted(**{name: getattr(wanted, name) for name in Wanted.__struct_fields__ if name != "over"},
                  over=Range(max(start, at), end))  # fmt: skip


# The file.

COLUMNS: Final = (
    "time", "kind", "number", "status", "source", "channel", "campaign", "keyword", "matchtype", "place", "device", "page",
    "click_id", "click_id_kind", "score", "value", "currency", "sale_at", "quality", "reason", "note", "decided_at",
    "decided_by", "captured_by", "id",
)  # fmt: skip
# What a spreadsheet begins a command with; and what it skips before one.
_COMMANDS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
BOM: Final = "\ufeff"


def safe(cell: str) -> str:
    """The cell as a spreadsheet shows it and does not carry it out."""
    return f"'{cell}" if cell.startswith(_COMMANDS) or cell.lstrip().startswith(_COMMANDS[:4]) else cell


async def csv_of(
    view: View, site: AskedSite, pages: AsyncIterator[LeadPage], *, bom: bool
) -> AsyncIterator[bytes]:
    """The leads in the order of the list, a line each, their head first; as UTF-8, with a mark of it for programs that
    would guess otherwise."""
    head = [view.words(f"leads_list.column_{name}") for name in COLUMNS]
    yield ((BOM if bom else "") + _lines([head])).encode()
    async for found in pages:
        yield _lines([_cells(view, site, row, found) for row in found.items]).encode()


def _lines(rows: list[list[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def _cells(view: View, site: AskedSite, row: LeadRow, found: LeadPage) -> list[str]:
    words = view.words
    number = row.phone_number or row.target or ""
    made: dict[str, Any] = {
        "time": _moment(view, row.occurred_at),
        "kind": words.get(f"action.{row.action}", row.action or words("action.other")),
        "status": words.get(f"status.{row.status}", row.status),
        "source": words.get(f"source.{slug(row.attribution_source or '')}", row.attribution_source or ""),
        "channel": words.get(f"channel.{row.channel}", row.channel or ""), "campaign": row.campaign, "keyword": row.keyword,
        "matchtype": row.matchtype, "place": ", ".join(filter(None, (row.district, row.city))),
        "device": words.get(f"device.{row.device_type}", row.device_type or ""), "page": row.entry_page or row.page_url,
        "click_id": row.click_id, "click_id_kind": row.click_id_kind, "score": row.lead_score, "value": row.sale_amount,
        "currency": row.currency if row.sale_amount is not None else "", "sale_at": _moment(view, row.sale_at),
        "quality": row.quality, "reason": words.get(f"junk_reason.{row.junk_reason}", row.junk_reason or ""),
        "note": row.note, "decided_at": _moment(view, row.decided_at), "decided_by": who_decided(view, row, found),
        "captured_by": words.get(f"leads_list.captured_by_{row.captured_by}", row.captured_by), "id": str(row.id),
    }  # fmt: skip
    cells = {name: safe(_text(value)) for name, value in made.items()}
    # As text whatever it looks like: a spreadsheet makes 9.05E+11 of a number without an apostrophe.
    cells["number"] = f"'{number}" if number else ""
    return [cells[name] for name in COLUMNS]


def _text(value: str | int | Decimal | None) -> str:
    return "" if value is None else str(value)


def _moment(view: View, at: datetime | None) -> str:
    """As spreadsheets read it, by the site's clock."""
    return "" if at is None else f"{at.astimezone(view.zone):%Y-%m-%d %H:%M:%S}"


def who_decided(view: View, row: LeadRow, found: LeadPage) -> str:
    """A name, a rule, or nothing where nobody has, or nobody knows."""
    if row.decided_at is None:
        return ""
    if row.is_automatic:
        return view.words("leads_list.by_rule")
    return found.names.get(row.decided_by, "") if row.decided_by else ""
