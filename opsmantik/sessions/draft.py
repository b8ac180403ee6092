"""What one event, or several, say about their session, before the database merges it with what it knows.

A draft holds groups of columns. In each group one event has the say: the one with the smallest order key (for
the exit page, the last touch and consent: the largest). Numbers that only grow take the maximum. That makes the
merge commutative, associative and idempotent, so that any order of arrival, repeated or not, gives one result;
``db/functions/ingest_batch_v2.sql`` merges into the stored row by the same rule.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

# Each group is (key, *values); None where no event has anything to say.
Group = tuple[Any, ...]

_NO_ENVIRONMENT: Group = (None,) * 11
_NO_CLICK: Group = (None,) * 6
_NO_CAMPAIGN: Group = (None,) * 9
_NO_ASSIST: Group = (None,) * 5
_NO_TOUCH: Group = (None, None)
_NO_CONSENT: Group = (None, None, None)


class SessionDraft(msgspec.Struct, gc=False):
    """The groups, in the order of the database type ``session_draft``."""

    site_id: UUID
    id: UUID
    received_at: datetime | None
    started_at: datetime
    last_event_at: datetime
    pulse: bool
    visitor: str | None
    totals: tuple[int, int, int, int]
    first: Group
    exit: Group
    source: Group
    environment: Group | None = None
    click: Group | None = None
    campaign: Group | None = None
    assist: Group | None = None
    last_touch: Group | None = None
    consent: Group | None = None
    # events, views, conversions, intents, forms of this batch, should all of its events be new
    counts: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)

    def row(self) -> tuple[Any, ...]:
        """The draft as one value of the database type ``session_draft``."""
        return (
            self.site_id,
            self.id,
            self.received_at,
            self.started_at,
            self.last_event_at,
            self.pulse,
            self.visitor,
            *self.totals,
            *self.first,
            *self.exit,
            *(self.environment or _NO_ENVIRONMENT),
            *(self.click or _NO_CLICK),
            *(self.campaign or _NO_CAMPAIGN),
            *self.source,
            *(self.assist or _NO_ASSIST),
            *(self.last_touch or _NO_TOUCH),
            *(self.consent or _NO_CONSENT),
            *self.counts,
        )


def merge(a: SessionDraft, b: SessionDraft) -> SessionDraft:
    """Two drafts of one session as one."""
    first_source = a.source[0] <= b.source[0]
    at, bt = a.totals, b.totals
    ac, bc = a.counts, b.counts
    return SessionDraft(
        site_id=a.site_id,
        id=a.id,
        received_at=_earlier(a.received_at, b.received_at),
        started_at=min(a.started_at, b.started_at),
        last_event_at=max(a.last_event_at, b.last_event_at),
        pulse=a.pulse or b.pulse,
        visitor=_earlier(a.visitor, b.visitor),
        totals=(max(at[0], bt[0]), max(at[1], bt[1]), max(at[2], bt[2]), max(at[3], bt[3])),
        first=a.first if a.first[0] <= b.first[0] else b.first,
        exit=a.exit if a.exit[0] >= b.exit[0] else b.exit,
        source=a.source if first_source else b.source,
        environment=_first(a.environment, b.environment),
        click=_click(a.click, b.click),
        campaign=_first(a.campaign, b.campaign),
        # what the source would be after an earlier ad click goes with the source that it would replace
        assist=a.assist if first_source else b.assist,
        last_touch=_last(a.last_touch, b.last_touch),
        consent=_last(a.consent, b.consent),
        counts=(ac[0] + bc[0], ac[1] + bc[1], ac[2] + bc[2], ac[3] + bc[3], ac[4] + bc[4]),
    )


def _earlier(a: Any, b: Any) -> Any:
    """The smaller of two values, where None stands for nothing said."""
    if a is None or b is None:
        return a if b is None else b
    return min(a, b)


def _first(a: Group | None, b: Group | None) -> Group | None:
    if a is None or b is None:
        return a if b is None else b
    return a if a[0] <= b[0] else b


def _last(a: Group | None, b: Group | None) -> Group | None:
    if a is None or b is None:
        return a if b is None else b
    return a if a[0] >= b[0] else b


def _click(a: Group | None, b: Group | None) -> Group | None:
    """The first click of the visit, and beside it the time of the latest fresh one, which the visitor keeps."""
    if a is None or b is None:
        return a if b is None else b
    winner = a if a[0] <= b[0] else b
    fresh = [moment for moment in (a[5], b[5]) if moment is not None]
    return (*winner[:5], max(fresh) if fresh else None)
