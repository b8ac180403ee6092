"""The figures of a site's day: sessions, leads, leads with a click id, leads that wait for a decision."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.clock import Range
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class Tiles(msgspec.Struct, frozen=True):
    """One snapshot. Counts are over the site's days in the range, by the time of arrival; scope: all traffic."""

    sessions: int
    intents: int
    with_click_id: int
    waiting: int
    as_of: datetime
    sequence: int
    last_event_at: datetime | None
    last_intent_at: datetime | None
    range: Range


async def tiles(connection: Any, site_id: UUID, over: Range) -> Tiles:
    """The figures of the site's days that begin in the range, with the sequence number that they are true for.

    Zeros for a site that the asker may not see.
    """
    return Tiles(range=over, **await connection.fetchrow(SQL.tiles, site_id, over.start, over.end))
