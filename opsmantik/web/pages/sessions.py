"""The visits of a range, newest first: the rows that the tile "sessions" and the rows of breakdowns count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get

from opsmantik.dashboard import paging
from opsmantik.dashboard.cards.live_visits import path_of
from opsmantik.dashboard.cards.newest_sessions import newest_sessions, sessions_count
from opsmantik.errors import Malformed
from opsmantik.web.api import READS
from opsmantik.web.looking import PRESETS
from opsmantik.web.pages.site_frame import looking_at, site_of, site_page
from opsmantik.web.rendering import PageRequest

ROWS: Final = 50
FILTERS: Final = (
    "source", "channel", "campaign", "keyword", "matchtype", "place", "device", "page", "click", "weekday", "hour",
)  # fmt: skip
"""Those of an address that are about visits. The others are left alone: they narrow down leads."""
CHANNELS: Final = (
    "paid_search", "display", "paid_video", "cross_network", "paid_social", "ads_assisted", "email", "affiliate",
    "organic_social", "organic_search", "assistant", "referral", "campaign", "direct",
)  # fmt: skip
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "channel": CHANNELS,
    "device": ("mobile", "desktop", "tablet"),
    "click": ("yes", "no"),
    "weekday": tuple(str(day) for day in range(1, 8)),
    "hour": tuple(str(hour) for hour in range(24)),
}
"""Filters whose values are known beforehand, for the form. The others come from links of the breakdowns."""


def _narrowed(filters: Mapping[str, str]) -> dict[str, Any]:
    """The filters as the card takes them. Raises :class:`~opsmantik.errors.Malformed` for one that cannot be meant."""
    asked: dict[str, Any] = {name: filters[name] for name in FILTERS if name in filters}
    for name in ("click", "weekday", "hour"):
        if name in asked and asked[name] not in CHOICES[name]:
            raise Malformed(reason=f"{name} is one of {', '.join(CHOICES[name])}")
    for name in ("weekday", "hour"):
        if name in asked:
            asked[name] = int(asked[name])
    return asked


@get("/sites/{site_id:uuid}/sessions", opt=READS)
async def show_sessions(request: PageRequest) -> Response[Any]:
    """A page of the list. ``cursor`` begins after the row that it names."""
    cursor = request.query_params.get("cursor")
    async with site_of(request) as (connection, site):
        look = looking_at(request, site)
        asked = _narrowed(look.filters)
        found = await newest_sessions(
            connection, site, look.period, ads_only=look.paid, limit=ROWS,
            cursor=paging.read(cursor) if cursor else None, **asked,
        )  # fmt: skip
        count: int | None = len(found.items)
        if found.next_cursor or cursor:
            count = await sessions_count(connection, site, look.period, ads_only=look.paid, **asked)
    here = f"/sites/{site.id}/sessions"
    pages = [(path_of(visit.session.entry_page), path_of(visit.session.exit_page)) for visit in found.items]
    whole = look.link(here, scope=None, **dict.fromkeys(FILTERS))
    return site_page(
        request, "sessions.html", site, "live", look=look, base=f"/sites/{site.id}", here=here, found=found, count=count,
        pages=pages, whole=whole,
        narrowed={name: look.filters[name] for name in FILTERS if name in look.filters}, choices=CHOICES,
        presets=[preset.split("=") for preset in PRESETS], is_first=not cursor, rows=ROWS,
    )  # fmt: skip


HANDLERS: Final = [show_sessions]
