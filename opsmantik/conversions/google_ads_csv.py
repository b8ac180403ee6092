"""Google's own file formats for conversions that somebody carries: by hand, on Google's schedule, or by a script.

Enters: a :class:`~opsmantik.conversions.adapters.Batch`. Leaves: bytes; made anew from the same batch they are the same.
Pure. What was chosen, and why:

- **Columns** are those of Google's click template, with one column for each kind of click id: a braid in the column for
  gclids is refused row by row. Exactly one of the three is filled. ``Order ID`` is what makes a second upload of the same
  file harmless. No hashed contact data: the click template must not have columns beside its own.
- **Corrections** are another template and never share a file with new conversions. The file says RETRACT and RESTATE,
  where the API says RETRACTION and RESTATEMENT. Their time is that of the batch: after the conversion, and later for each
  further correction, without which Google takes the second for a copy of the first.
- **Times** are the site's own, each with its offset, ``2026-10-25 02:30:00+0300``: an hour that the clock shows twice is
  still one hour. The offset has no colon: that is how Google's help writes it, and the form with a colon was refused in
  practice. ``Parameters:TimeZone`` says the zone once more, for readers; where both are given the cell counts.
- **The first row** of a file for people is that Parameters row. Google's Data Manager wants the headings first, so what it
  fetches by itself has none.
- **RFC 4180**: commas, quotes doubled, and CRLF. UTF-8 without a mark in front, which would be read as part of the heading.
- **Formulas**: of all cells only the name of the conversion action is free text; one that a spreadsheet would calculate
  gets an apostrophe in front. Such a name is refused when it is set (:func:`check_conversion_name`), since Google would not
  find it then. Ids are never changed; one that no platform can have made is left out.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from opsmantik.conversions.adapters import Batch, Item
from opsmantik.conversions.money import decimals_of
from opsmantik.errors import Unprocessable

COLUMNS: Final = (
    "Google Click ID", "GBRAID", "WBRAID", "Conversion Name", "Conversion Time", "Conversion Value",
    "Conversion Currency", "Order ID", "Ad User Data", "Ad Personalization",
)  # fmt: skip
"""The first seven, in this order, are those of the first generation's file."""
ADJUSTMENT_COLUMNS: Final = (
    "Order ID", "Conversion Name", "Adjustment Time", "Adjustment Type", "Adjusted Value", "Adjusted Value Currency",
)  # fmt: skip
TYPES: Final = {"restate": "RESTATE", "retract": "RETRACT"}
LONGEST_NAME: Final = 100

_COLUMN_OF: Final = {"gclid": "Google Click ID", "gbraid": "GBRAID", "wbraid": "WBRAID"}
_CLICK_ID: Final = re.compile(r"[A-Za-z0-9_.~-]{1,512}")
_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class File(msgspec.Struct, frozen=True):
    """A file, ready to be handed over."""

    name: str
    body: bytes
    rows: int
    left_out: int
    """Conversions of the batch that are not in it: a click id that cannot be used."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the body."""
        return hashlib.sha256(self.body).digest()


def check_conversion_name(name: str) -> str:
    """The name of a conversion action as it may stand in a file, without blanks around it.

    Raises :class:`~opsmantik.errors.Unprocessable` for an empty or long one, and for one that begins as a formula does.
    """
    plain = name.strip()
    if not plain or len(plain) > LONGEST_NAME:
        raise Unprocessable(
            reason=f"the conversion's name has 1 to {LONGEST_NAME} characters", kind="bad_conversion_name"
        )
    if _CONTROL.search(plain) or _FORMULA.match(plain):
        raise Unprocessable(
            reason="the conversion's name begins with no =, +, - or @, and is one line: a spreadsheet would calculate it",
            kind="bad_conversion_name",
        )
    return plain


def file_of(batch: Batch) -> File:
    """The batch as a file for people, in the template of its kind."""
    rows = list(rows_of(batch))
    word = "conversions" if batch.kind == "new" else "adjustments"
    name = f"{word}-{batch.created_at.astimezone(_zone(batch)):%Y-%m-%d}-{batch.id.hex[-12:]}.csv"
    body = _written([(f"Parameters:TimeZone={batch.time_zone}",)], columns_of(batch), rows)
    return File(name, body, len(rows), len(batch.items) - len(rows))


def feed_of(batches: Sequence[Batch], *, adjustments: bool) -> File:
    """Several batches in one file for Google to fetch: the headings in the first row, also where nothing is due.

    ``adjustments``: the batches are all corrections, or none of them is.
    """
    columns = ADJUSTMENT_COLUMNS if adjustments else COLUMNS
    rows = [row for batch in batches for row in rows_of(batch)]
    name = "adjustments.csv" if adjustments else "conversions.csv"
    return File(name, _written([], columns, rows), len(rows), sum(len(b.items) for b in batches) - len(rows))


def columns_of(batch: Batch) -> tuple[str, ...]:
    """The headings of the batch's template."""
    return COLUMNS if batch.kind == "new" else ADJUSTMENT_COLUMNS


def rows_of(batch: Batch) -> Iterable[dict[str, str]]:
    """The rows by their headings, in the order of the batch; without those that no file can carry."""
    if batch.kind != "new":
        return (_adjustment(batch, item) for item in batch.items)
    return (_conversion(batch, item) for item in batch.items if is_usable(item))


def is_usable(item: Item) -> bool:
    """Whether it names a click by an id that a platform can have made."""
    return bool(item.click_id_kind and item.click_id and _CLICK_ID.fullmatch(item.click_id))


def moment(at: datetime, zone: ZoneInfo) -> str:
    """``2026-10-25 02:30:00+0300``: the local time, and what makes it one moment."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S%z}"


def amount(value: Decimal, currency: str) -> str:
    """With the currency's decimals and a point; no currency's decimals are cut off, whatever stands behind them."""
    places = decimals_of(currency)
    rounded = round(value, places)
    return f"{rounded if rounded == value else value.normalize():f}"


def consent_of(item: Item) -> str:
    """What is said about the visitor's consent, for both of Google's questions. An empty cell is Google's "unspecified":
    the visitor has said nothing, and what leaves of theirs leaves by the site's policy."""
    return "GRANTED" if item.consent == "granted" else ""


def _conversion(batch: Batch, item: Item) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "")
    row[_COLUMN_OF[item.click_id_kind or "gclid"]] = item.click_id or ""
    return row | {
        "Conversion Name": _name(batch),
        "Conversion Time": moment(item.occurred_at, _zone(batch)),
        "Conversion Value": amount(item.value, item.currency),
        "Conversion Currency": item.currency,
        "Order ID": item.order_id,
        "Ad User Data": consent_of(item),
        "Ad Personalization": consent_of(item),
    }


def _adjustment(batch: Batch, item: Item) -> dict[str, str]:
    restated = batch.kind == "restate"
    return {
        "Order ID": item.order_id,
        "Conversion Name": _name(batch),
        "Adjustment Time": moment(batch.created_at, _zone(batch)),
        "Adjustment Type": TYPES[batch.kind],
        "Adjusted Value": amount(item.value, item.currency) if restated else "",
        "Adjusted Value Currency": item.currency if restated else "",
    }


def _name(batch: Batch) -> str:
    return _harmless(str(batch.destination.get("conversion_name", "")))


def _harmless(text: str) -> str:
    """Free text as a spreadsheet shows it, and does not calculate it; in one line."""
    line = _CONTROL.sub(" ", text)
    return f"'{line}" if _FORMULA.match(line) else line


def _zone(batch: Batch) -> ZoneInfo:
    return ZoneInfo(batch.time_zone)


def _written(
    before: Iterable[Sequence[str]], columns: Sequence[str], rows: Iterable[dict[str, str]]
) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows(before)
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return text.getvalue().encode()
