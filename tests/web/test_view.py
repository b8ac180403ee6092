"""Figures, money and spans of time as a reader of each language writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from opsmantik.web.rendering import View

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EN, TR = (View(language, NOW, "Europe/Istanbul") for language in ("en", "tr"))


@pytest.mark.parametrize(
    ("amount", "currency", "english", "turkish"),
    [
        ("1250", "TRY", "₺1,250", "₺1.250"),
        ("1250.5", "TRY", "₺1,250.50", "₺1.250,50"),
        ("1250.5", "KWD", "KWD\u00a01,250.500", "KWD\u00a01.250,500"),
        ("1251", "JPY", "¥1,251", "¥1.251"),
        ("0", "EUR", "€0", "€0"),
        ("-3.1", "EUR", "-€3.10", "-€3,10"),
    ],
)
def test_money(amount, currency, english, turkish):
    assert (EN.money(Decimal(amount), currency), TR.money(Decimal(amount), currency)) == (english, turkish)


@pytest.mark.parametrize(
    ("seconds", "english", "turkish"),
    [
        (0, "0 s", "0 sn"),
        (59.4, "59 s", "59 sn"),
        (59.6, "1 min", "1 dk"),
        (723, "12 min", "12 dk"),
        (3600, "1 h", "1 sa"),
        (12000, "3 h 20 min", "3 sa 20 dk"),
        (86400 * 2 + 59, "2 d", "2 gün"),
        (86400 * 1000 + 7200, "1,000 d 2 h", "1.000 gün 2 sa"),
    ],
)
def test_durations(seconds, english, turkish):
    assert (EN.duration(seconds), TR.duration(seconds)) == (english, turkish)


def test_ratios_and_decimals():
    assert [EN.percent(0.123), EN.percent(Decimal("0.1234"), 1), EN.percent(0), EN.percent(2)] == [
        "12%", "12.3%", "0%", "200%",
    ]  # fmt: skip
    assert [TR.percent(0.123), TR.percent(Decimal("0.1234"), 1)] == ["%12", "%12,3"]
    assert [EN.decimal(1.25), EN.decimal(Decimal(3)), TR.decimal(1234.56, 2)] == ["1.2", "3", "1.234,56"]


def test_days():
    assert EN.days(date(2026, 11, 1), date(2026, 11, 22)) == "1 Nov – 22 Nov"
    assert TR.days(date(2026, 11, 22), date(2026, 11, 22)) == "22 Kas"
    assert EN.day_short(date(2025, 1, 1)) == "1 Jan 2025"
