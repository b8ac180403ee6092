"""Saved views of the leads' list: a name for what an address says, a person's own or for all people of the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_suffix(".sql"))
MOST: Final = 50
"""Views of one person on one site."""
LONGEST_NAME: Final = 60
LONGEST_QUERY: Final = 4000

Outcome = Literal["kept", "taken", "many", "none"]


class View(msgspec.Struct, frozen=True):
    """A view; ``is_own``: the asker made it."""

    id: UUID
    name: str
    query: str
    is_shared: bool
    is_own: bool


async def saved_views(connection: Any, site_id: UUID, user_id: UUID | None) -> list[View]:
    """Those that the asker sees, by their names: their own, and the shared ones."""
    return [View(*row) for row in await connection.fetch(SQL.saved_views, site_id, user_id)]


async def keep(connection: Any, site_id: UUID, name: str, query: str, *, shared: bool) -> Outcome:
    """A new view. ``taken``: the asker has one of that name; ``many``: they have as many as one can."""
    outcome: Outcome = await connection.fetchval(SQL.keep_view, site_id, new_id(), name, query, shared, MOST)
    return outcome


async def change(connection: Any, site_id: UUID, view_id: UUID, name: str, *, shared: bool) -> Outcome:
    """Another name. ``none``: there is no such view, or it is not the asker's to change."""
    outcome: Outcome = await connection.fetchval(SQL.change_view, site_id, view_id, name, shared)
    return outcome


async def remove(connection: Any, site_id: UUID, view_id: UUID) -> bool:
    """Take it away, if it is the asker's."""
    return bool(await connection.fetchval(SQL.remove_view, site_id, view_id))


async def note_export(connection: Any, site_id: UUID, detail: dict[str, Any]) -> None:
    """That somebody took a file of leads with them: a line in the site's log, without what they searched for."""
    await connection.execute(SQL.note_export, site_id, new_id(), detail)
