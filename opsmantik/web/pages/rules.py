"""What a site decides without anybody: leads that are sealed or junked by rule, always with what the rule would do now;
automatic visitors that are let in; and whether calls need a signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard.cards.refused import refused_bots
from opsmantik.decisions import auto
from opsmantik.people.capabilities import Capability
from opsmantik.sites import limits, rules
from opsmantik.sites.rules import APPROVE_HOURS, JUNK_DAYS
from opsmantik.web.guard import asker, needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.general import NOTHING, latest_act, seen_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.pages.site_frame import may
from opsmantik.web.rendering import PageRequest, view_of

WRITES: Final = needs(Capability.WRITE)
PART: Final = "rules"
HERE: Final = "/sites/{site_id:uuid}/settings/rules"
# What the fields show while a rule is off.
USUAL_HOURS, USUAL_DAYS = 24, 90


async def _page(
    request: PageRequest,
    *,
    status: int = 200,
    given: Mapping[str, str] = NOTHING,
    problems: Mapping[str, str] = NOTHING,
    stale: bool = False,
    asked: bool = False,
) -> Response[Any]:
    async with settings_of(request) as (connection, site):
        known = await rules.rules(connection, site.id)
        fields = {
            "approve": "on" if known.approve_hours else "off", "hours": str(known.approve_hours or USUAL_HOURS),
            "junk": "on" if known.junk_days else "off", "days": str(known.junk_days or USUAL_DAYS), **given,
        }  # fmt: skip
        hours = _number(fields["hours"], APPROVE_HOURS) or known.approve_hours or USUAL_HOURS
        days = _number(fields["days"], JUNK_DAYS) if fields["junk"] == "on" else None
        seen = await auto.preview(connection, site.id, hours, days)
        bots = await refused_bots(connection, site.id)
        latest = await latest_act(request, connection, site.id) if stale else None
    return settings_page(
        request, PART, site, status=status, known=known, fields=fields, seen=seen, problems=problems, stale=stale,
        latest=latest, asked=asked, bounds={"hours": APPROVE_HOURS, "days": JUNK_DAYS}, most=auto.MOST,
        looked_at=auto.LOOKED_AT, seconds=auto.LEAST_SECONDS,
        refused_bots=[bot for bot in bots if bot.name not in known.allowed_bots],
        keys=may(site, Capability.KEYS), done=request.query_params.get("done", ""),
    )  # fmt: skip


@get(HERE, opt=WRITES)
async def show_rules(request: PageRequest) -> Response[Any]:
    """The rules, and what they would do now."""
    return await _page(request)


@post(HERE, opt=WRITES, status_code=200)
async def set_rules(request: PageRequest) -> Response[Any]:
    """Change after how long leads are decided; or, by the other button, only look at what that would do."""
    form, words = await form_of(request), view_of(request).words
    async with settings_of(request):  # who may not is told that, whatever they sent
        pass
    given = {name: form.get(name, "").strip()[:10] for name in ("approve", "hours", "junk", "days")}
    given |= {name: "on" if given[name] == "on" else "off" for name in ("approve", "junk")}
    problems: dict[str, str] = {}
    for name, switch, bounds in (("hours", "approve", APPROVE_HOURS), ("days", "junk", JUNK_DAYS)):
        wanted = given[switch] == "on" or (name == "hours" and form.get("do") == "preview")
        if wanted and _number(given[name], bounds) is None:
            problems[name] = words("general.bad_window", least=bounds[0], most=bounds[1])
    if problems:
        return await _page(request, status=422, given=given, problems=problems)
    if form.get("do") == "preview":
        return await _page(request, given=given, asked=True)
    seen = seen_of(form)
    hours = _number(given["hours"], APPROVE_HOURS) if given["approve"] == "on" else None
    days = _number(given["days"], JUNK_DAYS) if given["junk"] == "on" else None
    async with settings_of(request, write=True) as (connection, site):
        outcome = await rules.change_rules(connection, site.id, seen, hours, days)
    if outcome == "stale":
        return await _page(request, status=409, given=given, stale=True)
    return Redirect(f"/sites/{site.id}/settings/{PART}?done=saved", status_code=303)


@post(f"{HERE}/bots", opt=WRITES)
async def set_bot(request: PageRequest) -> Response[Any]:
    """Let an automatic visitor in from now on, or no longer."""
    form = await form_of(request)
    async with settings_of(request) as (_, site):
        pass
    await limits.allow_bot(
        request.app.state.database, asker(request), site.id, form.get("name", ""),
        allowed=form.get("allowed") == "yes",
    )  # fmt: skip
    return Redirect(f"/sites/{site.id}/settings/{PART}?done=saved#bots", status_code=303)


def _number(text: str, bounds: tuple[int, int]) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else -1
    return number if bounds[0] <= number <= bounds[1] else None


HANDLERS: Final = [show_rules, set_rules, set_bot]
