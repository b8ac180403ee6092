"""What a seal is worth on a site: the amounts that it is offered with, and when its conversion is dated and leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.conversions.ledger import NO_STAGE, WEIGHTS, weights_of
from opsmantik.conversions.money import decimals_of
from opsmantik.errors import Unprocessable
from opsmantik.people.capabilities import Capability
from opsmantik.sites import values
from opsmantik.sites.values import LARGEST, MOMENTS, MOST_CHIPS, UNDO_MINUTES, read_amount
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.general import NOTHING, latest_act, plain_number, seen_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, view_of

WRITES: Final = needs(Capability.WRITE)
PART: Final = "values"
HERE: Final = "/sites/{site_id:uuid}/settings/values"
PLACES: Final = 2
STAGES: Final = tuple(stage or NO_STAGE for stage in WEIGHTS)


async def _page(
    request: PageRequest,
    *,
    status: int = 200,
    given: Mapping[str, str] = NOTHING,
    amounts: Sequence[str] = (),
    problems: Mapping[str, str] = NOTHING,
    stale: bool = False,
) -> Response[Any]:
    view = view_of(request)
    async with settings_of(request) as (connection, site):
        known = await values.values(connection, site.id)
        latest = await latest_act(request, connection, site.id) if stale else None
    own = [plain_number(view, chip) for chip in known.chips] if known.has_own_chips else []
    shown = [*(amounts if given else own), *[""] * MOST_CHIPS][:MOST_CHIPS]
    weights = {
        f"weight_{stage or NO_STAGE}": "" if weight is None else plain_number(view, weight)
        for stage, weight in weights_of(known.weights).items()
    }
    fields = {
        **weights, "conversion_time": known.conversion_time, "undo_minutes": str(known.undo_minutes), **given,
    }  # fmt: skip
    return settings_page(
        request, PART, site, status=status, known=known, fields=fields, amounts=shown, moments=MOMENTS, stages=STAGES,
        bounds=UNDO_MINUTES, usual=values.usual_chips(site.currency), problems=problems, stale=stale, latest=latest,
        done="done" in request.query_params,
    )  # fmt: skip


@get(HERE, opt=WRITES)
async def show_values(request: PageRequest) -> Response[Any]:
    """The form."""
    return await _page(request)


@post(HERE, opt=WRITES, status_code=200)
async def set_values(request: PageRequest) -> Response[Any]:
    """Change them."""
    form, words = await form_of(request), view_of(request).words
    async with settings_of(request) as (_, site):  # who may not is told that, whatever they sent
        pass
    amounts = [form.get(f"amount_{place}", "").strip()[:20] for place in range(1, MOST_CHIPS + 1)]
    written = ("conversion_time", "undo_minutes", *(f"weight_{stage}" for stage in STAGES))
    given = {name: form.get(name, "").strip()[:20] for name in written}
    problems: dict[str, str] = {}
    minutes = given["undo_minutes"]
    undo = int(minutes) if minutes.isascii() and minutes.isdecimal() and len(minutes) < 5 else -1
    if not UNDO_MINUTES[0] <= undo <= UNDO_MINUTES[1]:
        problems["undo_minutes"] = words("values.bad_undo", least=UNDO_MINUTES[0], most=UNDO_MINUTES[1])
    if given["conversion_time"] not in MOMENTS:
        raise Unprocessable(reason="there is no such moment")
    chips: list[Decimal] = []
    for place, text in enumerate(amounts, 1):
        try:
            chips += [read_amount(text, LARGEST, PLACES)] if text else []
        except Unprocessable:
            problems[f"amount_{place}"] = words("values.bad_amount")
    if any(chip <= 0 for chip in chips):
        problems["amounts"] = words("values.bad_amount")
    weights: dict[str, Decimal | None] = {}
    for stage in STAGES:
        text = given[f"weight_{stage}"]
        try:
            weights[stage] = read_amount(text, LARGEST, decimals_of(site.currency)) if text else None
        except Unprocessable:
            problems[f"weight_{stage}"] = words("values.bad_weight")
    if problems:
        return await _page(request, status=422, given=given, amounts=amounts, problems=problems)
    own = None if weights == {stage or NO_STAGE: weight for stage, weight in WEIGHTS.items()} else weights
    seen = seen_of(form)
    async with settings_of(request, write=True) as (connection, site):
        outcome = await values.change_values(
            connection, site.id, seen, chips=sorted(set(chips)), weights=own, conversion_time=given["conversion_time"],
            undo_minutes=undo,
        )  # fmt: skip
    if outcome == "stale":
        return await _page(request, status=409, given=given, amounts=amounts, stale=True)
    return Redirect(f"/sites/{site.id}/settings/{PART}?done", status_code=303)


HANDLERS: Final = [show_values, set_values]
