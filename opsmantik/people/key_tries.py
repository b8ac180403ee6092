"""Slows down a network that keeps asking with keys that are none.

Nobody guesses 256 bits; but looking up guesses, or a program that goes on with an expired key, costs the database a
question each. Thirty refusals are free, then one every three seconds. Keys that were good here lately are looked up all
the same: one program with an old key must not shut out the others of its office. In memory: a restart forgives.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

FREE: Final = 30
SECONDS_EACH: Final = 3.0
REMEMBERED: Final = 20_000


class KeyTries:
    """Counts refusals by network; says how long the next unknown key has to wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()  # when a network's refusals so far are paid off
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def wait(self, address: str, kept: bytes) -> float:
        """0 if a key with this hash may be looked up, else the seconds until it may."""
        if kept in self._good:
            return 0.0
        ahead = self._due.get(network(address), 0.0) - self._clock()
        return max(ahead - (FREE - 1) * SECONDS_EACH, 0.0)

    def refused(self, address: str, kept: bytes) -> None:
        """It was none."""
        self._good.pop(kept, None)
        name = network(address)
        self._due[name] = max(self._due.pop(name, 0.0), self._clock()) + SECONDS_EACH
        if len(self._due) > REMEMBERED:
            self._due.popitem(last=False)

    def accepted(self, kept: bytes) -> None:
        """It was one."""
        self._good[kept] = None
        self._good.move_to_end(kept)
        if len(self._good) > REMEMBERED:
            self._good.popitem(last=False)


def network(address: str) -> str:
    """One home has one IPv4 address but 2**64 of IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else address
