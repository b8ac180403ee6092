"""Is the tracker on the site's pages, and does what it sends arrive? The one question of every installation."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))

State = Literal["missing", "refused", "quiet", "outdated", "receiving"]
# Small sites have nights and Sundays without a visitor.
RECEIVES_WITHIN: Final = timedelta(days=3)
# The oldest version of the tracker that does all that this server can. The first generation's names none.
TRACKER: Final = "1.0.0"
NEWEST_VISITS: Final = 20


class InstallState(msgspec.Struct, frozen=True):
    """``missing``: nothing has come, stored or refused; ``refused``: something comes, and all of it is refused;
    ``quiet``: nothing for three days; ``outdated``: most of the newest visits are by an old tracker; ``receiving``."""

    state: State
    last_event_at: datetime | None
    refused: int
    """Events that were refused in the last three days, for any reason but bots and haste."""
    tracker: str | None
    """The version of the newest visit's tracker; null: it names none."""


async def install_state(connection: Any, site_id: UUID) -> InstallState:
    """How the installation stands at this moment."""
    row = await connection.fetchrow(SQL.install_state, site_id, RECEIVES_WITHIN, NEWEST_VISITS)
    versions: list[str | None] = row["trackers"] or []
    return InstallState(
        state=state_of(row["last_event_at"], row["as_of"], row["refused"], versions),
        last_event_at=row["last_event_at"],
        refused=row["refused"],
        tracker=versions[0] if versions else None,
    )


def state_of(
    last_event_at: datetime | None, now: datetime, refused: int, trackers: list[str | None]
) -> State:
    """What it means that something last came in then, so much was refused since, and these versions sent the rest."""
    if last_event_at is None or now - last_event_at > RECEIVES_WITHIN:
        if refused:
            return "refused"
        return "missing" if last_event_at is None else "quiet"
    old = sum(1 for version in trackers if is_old(version))
    return "outdated" if 2 * old > len(trackers) else "receiving"


def is_old(version: str | None) -> bool:
    """Whether this version of the tracker lacks something; one that cannot be read does."""
    try:
        return tuple(map(int, (version or "").split("."))) < tuple(map(int, TRACKER.split(".")))
    except ValueError:
        return True
