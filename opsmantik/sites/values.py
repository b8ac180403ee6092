"""What a site's people have said about money: the amounts that a seal is offered with, and which moment a conversion is
reported with, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.errors import Unprocessable
from opsmantik.event import new_id
from opsmantik.sites.general import Outcome

SQL = queries(Path(__file__).with_suffix(".sql"))

# The first generation's defaults were in lira.
_LIRA: Final = (Decimal(1000), Decimal(5000), Decimal(10000), Decimal(25000))
_OTHERS: Final = (Decimal(50), Decimal(100), Decimal(250), Decimal(500))
MOST_CHIPS: Final = 8
LARGEST: Final = Decimal(10) ** 12
MOMENTS: Final = ("intent", "decision")
"""What a conversion without a sale date is reported with: the moment of the tap, or of the decision about it."""
UNDO_MINUTES: Final = (0, 1440)


class Values(msgspec.Struct, frozen=True):
    """The values as they are; ``updated_at`` is what a change of them must name."""

    chips: tuple[Decimal, ...]
    has_own_chips: bool
    weights: Any
    """What stands in for an amount, by stage, as the settings have it (``stage_weights``); weights_of reads it."""
    conversion_time: str
    undo_minutes: int
    """How long a conversion is held before it may leave."""
    updated_at: datetime


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


def usual_chips(currency: str) -> tuple[Decimal, ...]:
    """What is offered where the site has said nothing."""
    return amount_chips({}, currency)


async def values(connection: Any, site_id: UUID) -> Values:
    """The values of a site that the transaction sees."""
    row = await connection.fetchrow(SQL.values, site_id)
    return Values(
        amount_chips(row["config"], row["currency"]), "bounty_chips" in row["config"],
        row["config"].get("stage_weights"), row["conversion_time"],
        row["undo_minutes"], row["updated_at"],
    )  # fmt: skip


async def change_values(
    connection: Any,
    site_id: UUID,
    seen: datetime,
    *,
    chips: Sequence[Decimal],
    weights: Mapping[str, Decimal | None] | None,
    conversion_time: str,
    undo_minutes: int,
) -> Outcome:
    """Change them; no ``chips``: the usual ones; no ``weights`` (by stage, None for a stage that is not reported without
    an amount): the usual ones too. Conversions that are there already keep their moment and value."""
    amounts = [_plain(chip) for chip in chips]
    by_stage = {name: None if each is None else _plain(each) for name, each in (weights or {}).items()}
    outcome: Outcome = await connection.fetchval(
        SQL.change_values,
        site_id,
        new_id(),
        seen,
        amounts or None,
        by_stage or None,
        conversion_time,
        undo_minutes,
    )
    return outcome


def _plain(amount: Decimal) -> int | str:
    """As JSON has it without a loss."""
    return int(amount) if amount == amount.to_integral_value() else str(amount)


def read_amount(text: str, largest: Decimal, places: int) -> Decimal:
    """An amount as people write it in either language: 1250, 1,250.50, 1.250,50 or 1 250,50.

    A single point or comma with three digits behind it is ambiguous; it separates thousands, as nobody writes thousandths
    of money. Raises :class:`~opsmantik.errors.Unprocessable`.
    """
    plain = text.strip().replace("\u00a0", "").replace(" ", "")
    comma, point = plain.rfind(","), plain.rfind(".")
    last = max(comma, point)
    both = comma >= 0 and point >= 0
    if last >= 0:
        mark, other = plain[last], "." if plain[last] == "," else ","
        thousands = not both and (plain.count(mark) > 1 or (len(plain) - last == 4 and plain[:last] != "0"))
        plain = plain.replace(other, "")
        plain = plain.replace(mark, "") if thousands else plain.replace(mark, ".", 1)
    try:
        if not plain.isascii() or not plain.replace(".", "", 1).isdecimal() or len(plain) > 20:
            raise InvalidOperation
        amount = Decimal(plain)
    except InvalidOperation:
        raise Unprocessable(reason="that is no amount") from None
    if amount > largest or -int(amount.as_tuple().exponent) > places:
        raise Unprocessable(reason=f"an amount is at most {largest}, with at most {places} decimals")
    return amount
