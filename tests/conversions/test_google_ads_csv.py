"""Files as Google takes them: golden ones, byte for byte, and read back by a reader that forgives nothing.

With OPSMANTIK_WRITE_GOLDEN=1 the golden files are written anew: look at the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from opsmantik.conversions import google_ads_csv as google_csv
from opsmantik.conversions.adapters import Batch, Item
from opsmantik.conversions.money import NO_DECIMALS, THREE_DECIMALS, decimals_of
from opsmantik.errors import Unprocessable

HERE = Path(__file__).parent / "csv"
NOON = datetime(2026, 11, 22, 9, 0, 5, tzinfo=UTC)


def item(position: int = 1, **fields: Any) -> Item:
    return Item(
        **{
            "position": position, "conversion_id": UUID(int=position), "order_id": f"om-{position:032x}-1",
            "occurred_at": NOON,
            "value": Decimal("1250.50"), "currency": "TRY", "click_id": "Cj0KCQiA-_~.x", "click_id_kind": "gclid",
            "consent": "granted", **fields,
        }
    )  # fmt: skip


def batch(*items: Item, name: str = "Sealed lead", **fields: Any) -> Batch:
    return Batch(
        **{
            "site_id": UUID(int=1), "id": UUID(int=2), "kind": "new", "adapter": "file",
            "destination": {"conversion_name": name},
            "state": "open", "attempts": 1, "request_id": None, "created_at": datetime(2026, 11, 23, 6, 30, tzinfo=UTC),
            "site_name": "Vinç", "public_id": "c" * 32, "time_zone": "Europe/Istanbul", "with_hashes": False,
            "items": items, **fields,
        }
    )  # fmt: skip


def strictly(body: bytes) -> list[list[str]]:
    """RFC 4180, and nothing beside it: CRLF, quotes only around whole fields, doubled within, no mark in front."""
    text = body.decode("utf-8")
    assert not text.startswith("\ufeff") and text.endswith("\r\n")
    rows: list[list[str]] = [[]]
    field = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)')
    at = 0
    while at < len(text):
        found = field.match(text, at)
        assert found, f"no field at {at}: {text[at : at + 40]!r}"
        quoted, plain, end = found.groups()
        rows[-1].append(plain if quoted is None else quoted.replace('""', '"'))
        if end == "\r\n":
            rows.append([])
        at = found.end()
    assert rows.pop() == []
    return rows


def read_back(body: bytes) -> list[dict[str, str]]:
    """The rows by their headings, after the Parameters row where there is one."""
    rows = strictly(body)
    if rows[0][0].startswith("Parameters:"):
        assert len(rows.pop(0)) == 1
    heads = rows.pop(0)
    assert all(len(row) == len(heads) for row in rows)
    return [dict(zip(heads, row, strict=True)) for row in rows]


# The clocks of New York go back at 2:00 on 1 November 2026, those of Lord Howe forward by half an hour on 4 October.
NIGHT = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
GOLDEN: dict[str, Batch] = {
    "every_kind_of_click_id": batch(
        item(1), item(2, click_id_kind="wbraid", click_id="CjkKCQ-wbraid"),
        item(3, click_id_kind="gbraid", click_id="0AAAAA-gbraid"),
        item(4, consent="implied"),
    ),
    "quotes_and_turkish_letters": batch(item(1), item(2), name='Onaylı "talep", İstanbul Şişli — ğüöç'),
    "a_name_like_a_formula": batch(item(1), name='=HYPERLINK("https://x.example","a")'),
    "an_hour_that_is_there_twice": batch(
        item(1, occurred_at=NIGHT), item(2, occurred_at=NIGHT + timedelta(hours=1)), time_zone="America/New_York"
    ),
    "an_hour_that_is_not_there": batch(
        *(item(n, occurred_at=datetime(2026, 10, 3, 15, m, tzinfo=UTC)) for n, m in ((1, 29), (2, 30))),
        time_zone="Australia/Lord_Howe",
    ),
    "decimals_of_currencies": batch(
        *(
            item(n, value=Decimal(value), currency=currency)
            for n, (value, currency) in enumerate(
                [
                    ("1500", "TRY"), ("0.5", "EUR"), ("1500", "JPY"), ("12.5", "KWD"), ("0", "USD"),
                    ("999999999999", "TND"), ("10.000", "CLP"),
                ], 1,
            )
        )
    ),
    "restated": batch(item(1, value=Decimal("900")), item(2, value=Decimal(0)), kind="restate"),
    "taken_back": batch(item(1, value=Decimal(0), click_id=None, click_id_kind=None), kind="retract"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    file = google_csv.file_of(GOLDEN[name])
    golden = HERE / f"{name}.csv"
    if os.environ.get("OPSMANTIK_WRITE_GOLDEN"):
        golden.write_bytes(file.body)
    assert file.body == golden.read_bytes()
    assert file.body == google_csv.file_of(GOLDEN[name]).body
    assert len(read_back(file.body)) == file.rows == len(GOLDEN[name].items) and file.left_out == 0


def test_there_is_a_case_for_each_golden_file() -> None:
    assert {path.stem for path in HERE.glob("*.csv")} == set(GOLDEN)


def test_each_click_id_is_in_its_own_column_and_in_no_other() -> None:
    ids = ("Google Click ID", "WBRAID", "GBRAID")
    for row, column in zip(
        read_back(google_csv.file_of(GOLDEN["every_kind_of_click_id"]).body), ids, strict=False
    ):
        assert [name for name in ids if row[name]] == [column]
        assert row["Ad User Data"] == row["Ad Personalization"] == "GRANTED"


def test_who_said_nothing_is_not_said_to_have_agreed() -> None:
    assert read_back(google_csv.file_of(batch(item(consent="legacy"))).body)[0]["Ad User Data"] == ""


def test_the_first_seven_columns_are_the_first_generations() -> None:
    assert strictly(google_csv.file_of(batch(item())).body)[1][:7] == [
        "Google Click ID", "GBRAID", "WBRAID", "Conversion Name", "Conversion Time", "Conversion Value",
        "Conversion Currency",
    ]  # fmt: skip


def test_what_is_taken_back_has_no_value_and_names_no_click() -> None:
    row = read_back(google_csv.file_of(GOLDEN["taken_back"]).body)[0]
    assert (
        row["Adjustment Type"] == "RETRACT" and row["Adjusted Value"] == row["Adjusted Value Currency"] == ""
    )
    assert "Google Click ID" not in row


def test_what_google_fetches_has_its_headings_in_the_first_row() -> None:
    two = [batch(item(1)), batch(item(2), time_zone="UTC")]
    file = google_csv.feed_of(two, adjustments=False)
    rows = strictly(file.body)
    assert tuple(rows[0]) == google_csv.COLUMNS and file.rows == 2
    assert [row[4] for row in rows[1:]] == ["2026-11-22 12:00:05+0300", "2026-11-22 09:00:05+0000"]
    assert strictly(google_csv.feed_of([], adjustments=True).body) == [list(google_csv.ADJUSTMENT_COLUMNS)]


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Europe/Istanbul", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]
)
def test_every_minute_of_a_year_is_one_moment_and_reads_back(zone: str) -> None:
    known, at = ZoneInfo(zone), datetime(2026, 1, 1, tzinfo=UTC)
    seen = set()
    for step in range(0, 365 * 24 * 60, 17):
        moment = at + timedelta(minutes=step)
        text = google_csv.moment(moment, known)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}", text)
        assert datetime.strptime(text, "%Y-%m-%d %H:%M:%S%z") == moment
        seen.add(text)
    assert len(seen) == len(range(0, 365 * 24 * 60, 17))


@pytest.mark.parametrize("currency", sorted([*NO_DECIMALS, *THREE_DECIMALS, "TRY", "USD"]))
def test_amounts_have_the_currencys_decimals_and_read_back(currency: str) -> None:
    for value in (Decimal(0), Decimal(7), Decimal("1234567"), Decimal(10) ** -decimals_of(currency)):
        text = google_csv.amount(value, currency)
        assert Decimal(text) == value
        assert len(text.partition(".")[2]) == decimals_of(currency) and "e" not in text.lower()


def test_an_amount_with_more_decimals_than_its_currency_loses_none() -> None:
    assert google_csv.amount(Decimal("10.125"), "TRY") == "10.125"


@pytest.mark.parametrize("click", ["=cmd|' /C calc'!A0", "a,b", 'a"b', "a\nb", "+1+1", "", None])
def test_a_click_id_that_no_platform_made_is_left_out_and_said(click: str | None) -> None:
    file = google_csv.file_of(batch(item(1), item(2, click_id=click)))
    assert (file.rows, file.left_out) == (1, 1)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "＝1"])
def test_a_name_like_a_formula_is_shown_and_not_calculated(name: str) -> None:
    row = read_back(google_csv.file_of(batch(item(), name=name)).body)[0]
    assert row["Conversion Name"].startswith("'") and row["Google Click ID"] == item().click_id
    with pytest.raises(Unprocessable):
        google_csv.check_conversion_name(name)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "two\nlines", "a\x00b"])
def test_names_that_cannot_be_set(name: str) -> None:
    with pytest.raises(Unprocessable):
        google_csv.check_conversion_name(name)


def test_names_that_can() -> None:
    assert google_csv.check_conversion_name("  Onaylı talep (TR) – 2 ") == "Onaylı talep (TR) – 2"


def test_a_files_name_says_what_and_when_by_the_sites_clock() -> None:
    late = batch(item(), created_at=datetime(2026, 11, 22, 22, 0, tzinfo=UTC), id=UUID(int=0xABC))
    assert google_csv.file_of(late).name == "conversions-2026-11-23-000000000abc.csv"
    assert google_csv.file_of(GOLDEN["restated"]).name.startswith("adjustments-")
