"""Amounts of money: how many decimals a currency has, and what is no amount at all.

Enters: an amount as somebody wrote it, and the three letters of its currency.  Leaves: the same amount, checked.
The exponents are those of ISO 4217; whatever is not listed has two decimals.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from opsmantik.errors import Unprocessable

NO_DECIMALS: Final = frozenset({
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
    "XPF",
})  # fmt: skip
THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
MOST: Final = Decimal("999999999999")
"""A slip of the keyboard, not a sale."""

_CODE = re.compile(r"[A-Z]{3}")


def decimals_of(currency: str) -> int:
    """How many decimals an amount in this currency may have: 0, 2 or 3."""
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def check_currency(currency: str) -> str:
    """The code in capitals. Raises :class:`~opsmantik.errors.Unprocessable` for what has not its shape."""
    code = currency.strip().upper()
    if _CODE.fullmatch(code) is None:
        raise Unprocessable(reason="the currency is three letters, as in TRY", kind="bad_currency")
    return code


def check_amount(amount: Decimal, currency: str) -> Decimal:
    """The amount, if it can be one of this currency. Raises :class:`~opsmantik.errors.Unprocessable`."""
    if not amount.is_finite():
        raise Unprocessable(reason="the amount is not a number", kind="bad_amount")
    if amount < 0:
        raise Unprocessable(reason="the amount is less than nothing", kind="bad_amount")
    if amount > MOST:
        raise Unprocessable(reason=f"the amount is more than {MOST:,}", kind="bad_amount")
    places = decimals_of(currency)
    if amount != round(amount, places):
        words = f"at most {places} decimals" if places else "no decimals"
        raise Unprocessable(reason=f"an amount in {currency} has {words}", kind="too_many_decimals")
    return amount
