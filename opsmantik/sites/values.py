"""What a site's people have said about money: the amounts that a seal is offered with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

# The first generation's defaults were in lira.
_LIRA: Final = (Decimal(1000), Decimal(5000), Decimal(10000), Decimal(25000))
_OTHERS: Final = (Decimal(50), Decimal(100), Decimal(250), Decimal(500))
MOST_CHIPS: Final = 8
LARGEST: Final = Decimal(10) ** 12


def amount_chips(config: Mapping[str, Any], currency: str) -> tuple[Decimal, ...]:
    """The amounts to offer with one tap, as the site's settings (``bounty_chips``) have them.

    What is in there and no amount is passed over: it was written by whoever had the database open.
    """
    given = config.get("bounty_chips")
    amounts = [_amount(each) for each in given] if isinstance(given, list) else []
    found = tuple(amount for amount in amounts if amount is not None)[:MOST_CHIPS]
    return found or (_LIRA if currency == "TRY" else _OTHERS)


def _amount(given: Any) -> Decimal | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        amount = Decimal(str(given))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 < amount <= LARGEST else None
