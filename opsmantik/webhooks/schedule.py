"""When a message is tried again, and when no more. Pure."""

from __future__ import annotations

from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DELAYS: Final = (5.0, 30.0, 2 * MINUTE, 10 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, 24 * HOUR)
"""Seconds after the first, the second … failure; after one more the message is given up."""
MOST_ATTEMPTS: Final = len(DELAYS) + 1
JITTER: Final = 0.2
"""A delay is up to so much longer or shorter, so that a receiver that comes back is not met by everything at once."""
LONGEST_WAIT: Final = 24 * HOUR
FAILING_DAYS: Final = 5
"""After so many days of nothing but failures a webhook is switched off."""


def delay(attempts: int, chance: float, asked: float | None = None) -> float | None:
    """Seconds until the next try after ``attempts`` of them failed; None: given up.

    ``chance`` is a random number from 0 to 1. ``asked`` is what the receiver's Retry-After says: it is not called
    earlier, but a day is the most that it can ask for.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    seconds = DELAYS[attempts - 1] * (1 - JITTER + 2 * JITTER * chance)
    return max(seconds, min(asked, LONGEST_WAIT)) if asked is not None else seconds
