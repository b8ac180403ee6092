"""Slows down whoever guesses passwords: by account and address, and by address alone.

In memory, for this process: a restart forgives. An attempt is counted before the password is looked at, so
many at once gain nothing; a right password forgives the account at that address.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

FREE_BY_ACCOUNT = 5
FREE_BY_ADDRESS = 30
LONGEST_SECONDS = 300.0
FORGET_SECONDS = 3600.0
REMEMBERED = 20_000


class Attempts:
    """Counts attempts; says how long the next one has to wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()  # count, next allowed at

    def begin(self, account: str, address: str) -> float:
        """0 if this attempt may go on (it is counted), else the seconds to wait (it is not)."""
        now = self._clock()
        keys = self._keys(account, address)
        wait = max(self._seen.get(key, (0, 0.0))[1] - now for key, _ in keys)
        if wait > 0:
            return wait
        for key, free in keys:
            count, allowed = self._seen.pop(key, (0, now))
            count = 1 if now - allowed > FORGET_SECONDS else count + 1
            over = count - free
            self._seen[key] = count, now + (min(2.0**over, LONGEST_SECONDS) if over >= 0 else 0)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return 0

    def succeeded(self, account: str, address: str) -> None:
        """The password was right: this account may be mistyped again here, and this attempt is taken back."""
        (own, _), (network, _) = self._keys(account, address)
        self._seen.pop(own, None)
        count, allowed = self._seen.get(network, (1, 0.0))
        self._seen[network] = count - 1, min(allowed, self._clock())

    def _keys(self, account: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        network = _network(address)
        return ((account.strip().lower()[:254], network), FREE_BY_ACCOUNT), (("", network), FREE_BY_ADDRESS)


def _network(address: str) -> str:
    """One home has one IPv4 address but 2**64 of IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else address
