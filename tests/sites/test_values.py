"""What amounts a seal is offered with."""

from __future__ import annotations

from decimal import Decimal

import pytest

from opsmantik.sites.values import amount_chips


@pytest.mark.parametrize(
    ("config", "currency", "chips"),
    [
        ({}, "TRY", ["1000", "5000", "10000", "25000"]),
        ({}, "EUR", ["50", "100", "250", "500"]),
        ({"bounty_chips": [10, "20.50", 30.5]}, "EUR", ["10", "20.50", "30.5"]),
        ({"bounty_chips": [True, None, "x", -1, 0, "NaN", 7]}, "EUR", ["7"]),
        ({"bounty_chips": "1000"}, "EUR", ["50", "100", "250", "500"]),
        ({"bounty_chips": list(range(1, 20))}, "EUR", [str(n) for n in range(1, 9)]),
    ],
    ids=["lira", "others", "own", "nonsense is passed over", "not a list", "eight at most"],
)
def test_amount_chips(config, currency, chips):
    assert amount_chips(config, currency) == tuple(map(Decimal, chips))
