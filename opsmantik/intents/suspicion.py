"""Whether a lead looks as if no customer had made it, and by which rules.

Enters: a few facts about a tap or a reported call.  Leaves: the names of the rules that found something, in the
order of the enum; none for an ordinary lead.

A rule only raises a question: the lead is shown apart and a person answers. So the limits lie where honest visitors
hardly ever come, and each stands here with its reason.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec


class Suspicion(enum.StrEnum):
    """Every rule. Closed: screens have a sentence for each."""

    SESSION_AFTER_CALL = "session_after_call"
    """The visit that it was matched to began after it."""
    BURST = "burst"
    """One device or one address taps faster than people do."""
    KNOWN_BOT = "known_bot"
    """The visitor calls itself an automatic one."""
    CLOCK_IMPOSSIBLE = "clock_impossible"
    """The device's clock is wrong by more than any time zone explains."""


SESSION_SLACK: Final = timedelta(minutes=2)
"""A telephone system's clock and ours may differ by so much."""
BURST_WINDOW: Final = timedelta(minutes=1)
MOST_TAPS_OF_DEVICE: Final = 5
"""Somebody whose telephone app opens slowly taps two or three times."""
MOST_TAPS_OF_ADDRESS: Final = 15
"""Mobile carriers put hundreds of subscribers behind one address, but not many of one site in one minute."""
MOST_CLOCK_SHIFT: Final = timedelta(hours=26)
"""The world's zones span 26 hours: a clock set by hand in the wrong zone is off by no more."""


class LeadFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a lead when it is stored. What is not known stays as it is here, and accuses nobody."""

    happened_at: datetime
    """The tap or the call, by the corrected clock."""
    session_began_at: datetime | None = None
    """When the matched visit began (``sessions.started_at``)."""
    taps_of_device: int = 1
    """Taps of this device on this site within :data:`BURST_WINDOW` up to this one, itself included."""
    taps_of_address: int = 1
    """The same of its network address."""
    bot: str | None = None
    """The name by which the visitor's user agent calls itself an automatic one."""
    clock_shift: timedelta = timedelta(0)
    """By how much the device's clock had to be put right, in either direction."""


RULES: Final[tuple[tuple[Suspicion, Callable[[LeadFacts], bool]], ...]] = (
    (
        Suspicion.SESSION_AFTER_CALL,
        lambda facts: (
            facts.session_began_at is not None and facts.session_began_at - facts.happened_at > SESSION_SLACK
        ),
    ),
    (
        Suspicion.BURST,
        lambda facts: (
            facts.taps_of_device > MOST_TAPS_OF_DEVICE or facts.taps_of_address > MOST_TAPS_OF_ADDRESS
        ),
    ),
    (Suspicion.KNOWN_BOT, lambda facts: bool(facts.bot)),
    (Suspicion.CLOCK_IMPOSSIBLE, lambda facts: abs(facts.clock_shift) > MOST_CLOCK_SHIFT),
)


def suspicions(facts: LeadFacts) -> tuple[Suspicion, ...]:
    """The rules that find this lead suspicious; empty for an ordinary one."""
    return tuple(name for name, holds in RULES if holds(facts))
