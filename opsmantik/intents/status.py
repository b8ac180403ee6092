"""The states of a lead and the one table of moves between them.

Enters: a status and what somebody wants to do.  Leaves: the status after it, or that this is no move.

    intent → pending → sealed | junk | suspicious → conversion

Whoever decides wrongly can restore: everything decided leads back to pending. What cannot be reached here cannot be
reached at all, whichever door the request came through. Undo is a move of its own: it leads back to whatever was
before the latest decision, so its target stands in the log of acts, not here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class Status(enum.StrEnum):
    """Where a lead stands."""

    INTENT = "intent"
    """Captured; nobody has looked at it."""
    PENDING = "pending"
    """Somebody has it in hand, but has not decided."""
    SEALED = "sealed"
    """A person, or a rule that the site switched on, says that it is real."""
    JUNK = "junk"
    SUSPICIOUS = "suspicious"
    """A rule or a person doubts that a customer made it."""
    CONVERSION = "conversion"
    """Sealed, and the ad platform has taken it."""


class Action(enum.StrEnum):
    """What can be done to a lead. The words are those of the log of acts."""

    PEND = "pend"
    SEAL = "seal"
    JUNK = "junk"
    SUSPECT = "suspect"
    RESTORE = "restore"
    CONVERT = "convert"
    """Not a decision: the platform's answer. Nobody may ask for it."""
    NOTE = "note"
    QUALITY = "quality"
    STAGE = "stage"
    SALE = "sale"
    """Amount, currency and date of the sale."""
    UNDO = "undo"


class Stage(enum.StrEnum):
    """How far a sealed lead has come."""

    CONTACTED = "contacted"
    OFFERED = "offered"
    WON = "won"


WAITING: Final = (Status.INTENT, Status.PENDING)
"""Nobody has decided yet."""
SEALED: Final = (Status.SEALED, Status.CONVERSION)
"""What counts as sealed, in every figure."""
_DECIDED: Final = (Status.SEALED, Status.JUNK, Status.SUSPICIOUS, Status.CONVERSION)


def _to(target: Status, *sources: Status) -> Mapping[Status, Status]:
    return MappingProxyType(dict.fromkeys(sources, target))


def _stays(*sources: Status) -> Mapping[Status, Status]:
    return MappingProxyType({status: status for status in sources})


MOVES: Final[Mapping[Action, Mapping[Status, Status]]] = MappingProxyType(
    {
        Action.PEND: _to(Status.PENDING, Status.INTENT),
        Action.SEAL: _to(Status.SEALED, *WAITING, Status.SUSPICIOUS),
        # A sealed lead may turn out to be none; what was reported of it is then taken back.
        Action.JUNK: _to(Status.JUNK, *WAITING, Status.SUSPICIOUS, *SEALED),
        Action.SUSPECT: _to(Status.SUSPICIOUS, *WAITING, *SEALED),
        Action.RESTORE: _to(Status.PENDING, *_DECIDED),
        Action.CONVERT: _to(Status.CONVERSION, Status.SEALED),
        Action.NOTE: _stays(*Status),
        Action.QUALITY: _stays(*Status),
        Action.STAGE: _stays(*SEALED),
        Action.SALE: _stays(*SEALED),
    }
)
"""What each act makes of each status. A status that is missing is one from which there is no such move."""


def after(status: str, action: Action) -> Status | None:
    """The status after the act; None if there is no such move."""
    return MOVES.get(action, {}).get(Status(status))


def action_towards(status: str, wanted: str) -> Action | None:
    """The act that leads from one status to another, for doors that only name where they want to be.

    Somebody who asks for "intent" asks for a lead that waits again: the first generation had but that word for it.
    """
    targets = WAITING if wanted in WAITING else (Status(wanted),)
    for action in (Action.PEND, Action.SEAL, Action.JUNK, Action.SUSPECT, Action.RESTORE):
        if after(status, action) in targets:
            return action
    return None


STARS: Final = range(1, 6)
MOST_QUALITY: Final = 100


def quality_of(stars: int) -> int:
    """The quality that so many stars (1 to 5) stand for: 20 each. Raises ``ValueError`` for other numbers."""
    if stars not in STARS:
        raise ValueError(f"{stars} stars")
    return stars * MOST_QUALITY // len(STARS)


def stars_of(quality: int) -> int:
    """The stars that show a quality of 0 to 100, to the nearest one."""
    return (quality * len(STARS) + MOST_QUALITY // 2) // MOST_QUALITY


JUNK_REASONS: Final = (
    "spam", "wrong_number", "no_answer", "not_interested", "outside_area", "job_seeker", "supplier",
    "existing_customer", "duplicate", "test", "unspecified",
)  # fmt: skip
"""Reasons that screens offer by name, the last for whoever gives none. Others are written out."""

# The first generation's statuses, and the later state's. Null was what nobody had looked at.
_FROM_FIRST: Final[Mapping[str | None, tuple[Status, Stage | None]]] = MappingProxyType(
    {
        None: (Status.INTENT, None),
        "intent": (Status.INTENT, None),
        "confirmed": (Status.SEALED, None),
        "qualified": (Status.SEALED, None),
        "real": (Status.SEALED, None),
        "junk": (Status.JUNK, None),
        "suspicious": (Status.SUSPICIOUS, None),
        "cancelled": (Status.JUNK, None),
        "contacted": (Status.SEALED, Stage.CONTACTED),
        "offered": (Status.SEALED, Stage.OFFERED),
        "won": (Status.SEALED, Stage.WON),
    }
)
_TO_FIRST: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.INTENT: "intent",
        Status.PENDING: "intent",
        Status.SEALED: "confirmed",
        Status.CONVERSION: "confirmed",
        Status.JUNK: "junk",
        Status.SUSPICIOUS: "suspicious",
    }
)


def from_first_generation(status: str | None) -> tuple[Status, Stage | None]:
    """What one of the first generation's statuses means here, and at which stage. ``KeyError`` for other words."""
    return _FROM_FIRST[status]


def first_generation() -> tuple[str, ...]:
    """The first generation's statuses by name; besides these a row could have none."""
    return tuple(word for word in _FROM_FIRST if word is not None)


def to_first_generation(status: str) -> str:
    """The word by which the first generation's dashboards know a status."""
    return _TO_FIRST[Status(status)]
