"""A site's limits: events a month, events a minute for one client, and how long refused events are kept."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.people.capabilities import Capability
from opsmantik.sites import limits
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest

WRITES = needs(Capability.WRITE)
PATH = "/sites/{site_id:uuid}/settings/limits"
# Field, whether it may be left empty, and its bounds.
FIELDS = {
    "monthly_quota": (True, limits.QUOTAS),
    "rate_per_minute": (True, limits.RATES),
    "quarantine_days": (False, limits.QUARANTINE_DAYS),
}


async def _page(
    request: PageRequest,
    status: int = 200,
    given: dict[str, str] | None = None,
    problems: frozenset[str] = frozenset(),
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        known = await limits.limits(connection, site.id)
        quota = await limits.quota(connection, site.id)
    fields = given or {name: str(getattr(known, name) or "") for name in FIELDS}
    return settings_page(
        request, "limits", site, status=status, fields=fields, problems=problems, quota=quota,
        bounds={name: bounds for name, (_, bounds) in FIELDS.items()},
        rate=request.app.state.settings.rate_limit_per_minute, done=request.query_params.get("done", ""),
    )  # fmt: skip


@get(PATH, opt=WRITES)
async def show_limits(request: PageRequest) -> Response[Any]:
    """The form, and what has been used this month."""
    return await _page(request)


@post(PATH, opt=WRITES)
async def set_limits(request: PageRequest) -> Response[Any]:
    """Change them."""
    form = await form_of(request)
    given = {name: form.get(name, "").strip() for name in FIELDS}
    wanted = {name: _number(given[name], *FIELDS[name]) for name in FIELDS}
    problems = frozenset(name for name, value in wanted.items() if value == 0)
    if problems:
        return await _page(request, 422, {name: text[:20] for name, text in given.items()}, problems)
    async with settings_of(request) as (_, site):
        pass
    await limits.set_limits(
        request.app.state.database, asker(request), site.id,
        limits.Limits(
            wanted["monthly_quota"], wanted["rate_per_minute"], wanted["quarantine_days"] or 0, allowed_bots=[],
        ),
    )  # fmt: skip
    return Redirect(f"/sites/{site.id}/settings/limits?done=saved", status_code=303)


def _number(text: str, may_be_empty: bool, bounds: tuple[int, int]) -> int | None:
    """The number; ``None`` for nothing where that is allowed; 0, which none of the fields can be, for what is none."""
    if not text and may_be_empty:
        return None
    plain = text.replace(".", "").replace(",", "").replace(" ", "")
    if not (plain.isascii() and plain.isdecimal() and len(plain) <= 13):
        return 0
    return int(plain) if bounds[0] <= int(plain) <= bounds[1] else 0


HANDLERS = [show_limits, set_limits]
