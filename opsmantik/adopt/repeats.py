"""Which leads are one tap told twice. Pure.

The first generation told repeats apart by ten seconds and lost that race; here a tap within half an hour of another of the
same visit is the same lead once more. Only what waits is folded: what somebody has decided stays, with its amount.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from opsmantik.adopt.leads import NO_TIME, OldCall, status_of, tapped_at
from opsmantik.attribution.targets import read_target
from opsmantik.intents.status import Status

SAME_LEAD: Final = timedelta(minutes=30)
_Visit = tuple[UUID, UUID, str | None, str]


class Repeats:
    """Asked about one lead after the other: those that are decided before those that wait."""

    def __init__(self) -> None:
        self._stamps: dict[tuple[UUID, str], UUID] = {}
        self._visits: dict[_Visit, list[tuple[datetime, UUID]]] = {}

    def of(self, call: OldCall, region: str) -> tuple[UUID | None, bool]:
        """The lead that this one repeats, or None; and whether another one has its stamp."""
        stamp = (call.site_id, call.intent_stamp) if call.intent_stamp else None
        has_stamp = stamp in self._stamps
        status, _ = status_of(call.status)
        at, visit = tapped_at(call.intent_stamp, call.created_at or NO_TIME), _visit(call, region)
        if status is Status.INTENT:
            near = (
                [lead for then, lead in self._visits.get(visit, ()) if abs(at - then) <= SAME_LEAD]
                if visit
                else []
            )
            found = self._stamps[stamp] if stamp and has_stamp else next(iter(near), None)
            if found is not None:
                return found, has_stamp
        if stamp is not None:
            self._stamps.setdefault(stamp, call.id)
        if visit is not None and status is not Status.JUNK:
            self._visits.setdefault(visit, []).append((at, call.id))
        return None, has_stamp


def _visit(call: OldCall, region: str) -> _Visit | None:
    """Visit, act and number; None for what is no tap of a visit."""
    if call.matched_session_id is None or (call.source or "click") != "click" or not call.intent_target:
        return None
    target = read_target(call.intent_target, region)
    return (
        call.site_id,
        call.matched_session_id,
        call.intent_action,
        target.value if target else call.intent_target,
    )
