"""What was done about a site's leads: who decided what, newest first, each with its way back."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response, get

from opsmantik.dashboard import paging
from opsmantik.dashboard.cards.activity import activity
from opsmantik.intents.status import Action
from opsmantik.web.api import READS
from opsmantik.web.looking import Looking
from opsmantik.web.pages import record
from opsmantik.web.pages.site_frame import looking_at, site_of, site_page
from opsmantik.web.rendering import PageRequest

ROWS: Final = 50
RULES, KEYS = "rule", "key"


class Filter(msgspec.Struct, frozen=True):
    """What the page leaves out. ``who`` is a person's id, or rule, or key; ``act`` a kind of act."""

    who: str = ""
    act: str = ""
    undoable: bool = False

    @property
    def actor(self) -> UUID | None:
        """The person, if it is one."""
        return UUID(self.who) if self.who and self.who not in (RULES, KEYS) else None

    @property
    def by(self) -> str | None:
        """Rules or keys, if it is those."""
        return self.who if self.who in (RULES, KEYS) else None

    def at(self, path: str, look: Looking, cursor: str = "", **changes: str) -> str:
        """The address of the same page, with another range or further on."""
        own = {"who": self.who, "act": self.act, "undoable": "1" if self.undoable else "", "cursor": cursor}
        query = "&".join(
            part for part in (look.query(**changes), urlencode({k: v for k, v in own.items() if v})) if part
        )
        return f"{path}?{query}" if query else path


def _filter(request: PageRequest) -> Filter:
    """What the address asks for; what is no such word asks for nothing."""
    who, act = request.query_params.get("who", ""), request.query_params.get("act", "")
    if who not in (RULES, KEYS):
        try:
            who = str(UUID(who)) if who else ""
        except ValueError:
            who = ""
    return Filter(who, act if act in set(Action) else "", request.query_params.get("undoable") == "1")


@get("/sites/{site_id:uuid}/activity", opt=READS)
async def show_activity(request: PageRequest) -> Response[Any]:
    """The acts of the range, by the page."""
    cursor, wanted = request.query_params.get("cursor"), _filter(request)
    async with site_of(request) as (connection, site):
        look = looking_at(request, site)
        found = await activity(
            connection, site, look.period, actor=wanted.actor, by=wanted.by,
            action=[wanted.act] if wanted.act else None, undoable=wanted.undoable, limit=ROWS,
            cursor=paging.read(cursor) if cursor else None,
        )  # fmt: skip
    return site_page(
        request,
        "activity_rows.html" if "hx-request" in request.headers else "activity.html",
        site,
        "leads",
        found=found,
        look=look,
        wanted=wanted,
        cursor=cursor,
        kinds=[str(action) for action in Action],
        changes_of=record.changes_of,
        line_of=record.line_of,
        path_of=record.path_of,
        here=f"/sites/{site.id}/activity",
    )


HANDLERS: Final = [show_activity]
