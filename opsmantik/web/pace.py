"""How fast one network may open what is open to everybody who has the address.

A request costs a second, a refused one ten; sixty seconds' worth are free, and time pays them off. That is a page a second
for an office that reads, and one guess in ten seconds for whoever tries addresses. In memory: a restart forgives.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from opsmantik.people.key_tries import network

FREE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 1.0
REFUSED_SECONDS: Final = 10.0
REMEMBERED: Final = 20_000


class Pace:
    """Counts by network."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()  # when what a network has cost so far is paid off

    def wait(self, address: str) -> float:
        """0 where somebody from there may ask now, else the seconds until then."""
        ahead = self._due.get(network(address), 0.0) - self._clock()
        return max(ahead - FREE_SECONDS, 0.0)

    def charge(self, address: str, seconds: float = LOOK_SECONDS) -> None:
        """Somebody from there has asked."""
        name = network(address)
        self._due[name] = max(self._due.pop(name, 0.0), self._clock()) + seconds
        if len(self._due) > REMEMBERED:
            self._due.popitem(last=False)
