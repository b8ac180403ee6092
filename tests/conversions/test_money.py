"""Amounts have their currency's decimals, and nothing else passes for an amount."""

from __future__ import annotations

from decimal import Decimal

import pytest

from opsmantik.conversions.money import MOST, check_amount, check_currency, decimals_of
from opsmantik.errors import Unprocessable

TAKEN = [
    ("0", "TRY"), ("0.00", "TRY"), ("1500", "TRY"), ("1500.5", "TRY"), ("1500.50", "EUR"), ("0.01", "USD"),
    ("1500.500", "TRY"),  # a zero more is no decimal more
    ("900", "JPY"), ("900.00", "KRW"), ("1.234", "KWD"), ("1.2", "BHD"), (str(MOST), "TRY"),
]  # fmt: skip
REFUSED = [
    ("-0.01", "TRY", "less than nothing"), ("-1", "JPY", "less than nothing"),
    ("10.555", "TRY", "at most 2 decimals"), ("0.5", "JPY", "no decimals"), ("1.2345", "KWD", "at most 3"),
    ("NaN", "TRY", "not a number"), ("Infinity", "TRY", "not a number"), ("-Infinity", "TRY", "not a number"),
    (str(MOST + 1), "TRY", "more than"),
]  # fmt: skip


@pytest.mark.parametrize(("amount", "currency"), TAKEN)
def test_an_amount_is_taken_as_it_is_written(amount: str, currency: str) -> None:
    assert str(check_amount(Decimal(amount), currency)) == amount


@pytest.mark.parametrize(("amount", "currency", "why"), REFUSED)
def test_an_amount_is_refused_in_words(amount: str, currency: str, why: str) -> None:
    with pytest.raises(Unprocessable, match=why):
        check_amount(Decimal(amount), currency)


def test_currencies_are_three_letters_in_either_case() -> None:
    assert [check_currency(code) for code in ("TRY", "eur", " Usd ")] == ["TRY", "EUR", "USD"]
    for wrong in ("", "TL", "LIRA", "T1Y", "₺", "TRYÜ"):
        with pytest.raises(Unprocessable, match="three letters"):
            check_currency(wrong)
    assert [decimals_of(code) for code in ("TRY", "JPY", "KWD", "XAU")] == [2, 0, 3, 2]
