"""A site's general settings: what it is called, whose clock and money it goes by, how far back an ad click counts.

Another clock or currency makes all figures anew, so it is asked for twice. Two people who change the site at once do
not write over each other: the form names the state that it was made from, and the later one is shown what is there by now.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from babel.numbers import list_currencies
from litestar import Response, get, post
from litestar.response import Redirect
from phonenumbers import SUPPORTED_REGIONS

from opsmantik import clock
from opsmantik.dashboard import acts
from opsmantik.errors import Malformed, Unprocessable
from opsmantik.people.capabilities import Capability
from opsmantik.sites import general
from opsmantik.sites.domain import read_domain
from opsmantik.sites.general import General, Wanted
from opsmantik.sites.store import LONGEST_NAME
from opsmantik.sites.values import read_amount
from opsmantik.web.acts import said
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.rendering import PageRequest, View, view_of

WRITES: Final = needs(Capability.WRITE)
PART: Final = "general"
HERE: Final = "/sites/{site_id:uuid}/settings/general"
FIELDS: Final = (
    "name", "domain", "time_zone", "region", "currency", "assumed_cpc", "attribution_window_days",
)  # fmt: skip
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def seen_of(form: Mapping[str, str]) -> datetime:
    """The state that a form was made from. Raises :class:`~opsmantik.errors.Malformed`."""
    try:
        return datetime.fromisoformat(form.get("seen", "")).astimezone(UTC)
    except ValueError:
        raise Malformed(reason="the form does not say which state it changes") from None


def plain_number(view: View, amount: Decimal) -> str:
    """An amount as it stands in a field: no thousands, the reader's decimal sign."""
    text = f"{amount.normalize():f}"
    return text.replace(".", ",") if view.language == "tr" else text


async def latest_act(request: PageRequest, connection: Any, site_id: Any) -> tuple[Any, str] | None:
    """Who changed the site last, and what they did, in words."""
    found = (await acts.site_acts(connection, site_id, None, 1)).acts
    if not found:
        return None
    words = view_of(request).words
    return found[0], said(words, words.get(f"acts.{found[0].action}", words("act_log.unknown")), found[0])


async def _page(
    request: PageRequest,
    *,
    status: int = 200,
    given: Mapping[str, str] = NOTHING,
    problems: Mapping[str, str] = NOTHING,
    stale: bool = False,
    confirm: bool = False,
) -> Response[Any]:
    """The form; with ``given`` as somebody filled it in, beside what is wrong with it."""
    view = view_of(request)
    async with settings_of(request) as (connection, site):
        known = await general.general(connection, site.id)
        reach = await general.reach(connection, site.id) if confirm else None
        latest = await latest_act(request, connection, site.id) if stale else None
    present = _fields(view, known)
    fields = {**present, **given}
    differs = [name for name in FIELDS if given and given[name] != present[name]]
    return settings_page(
        request, PART, site, status=status, known=known, fields=fields, present=present, problems=problems, stale=stale,
        latest=latest, differs=differs, reach=reach, zones=sorted(clock.zone_names()),
        regions=sorted((view.country(code), code) for code in SUPPORTED_REGIONS), bounds=general.WINDOW,
        done=request.query_params.get("done", ""),
    )  # fmt: skip


def _fields(view: View, known: General) -> dict[str, str]:
    return {
        name: plain_number(view, value) if isinstance(value, Decimal) else str(value)
        for name in FIELDS
        for value in [getattr(known, name)]
    }


@get(HERE, opt=WRITES)
async def show_general(request: PageRequest) -> Response[Any]:
    """The form."""
    return await _page(request)


@post(HERE, opt=WRITES, status_code=200)
async def set_general(request: PageRequest) -> Response[Any]:
    """Change them; another clock or currency once it has been confirmed."""
    form = await form_of(request)
    async with settings_of(request) as (connection, site):  # who may not is told that, whatever they sent
        known = await general.general(connection, site.id)
    given = {name: " ".join(form.get(name, "").replace("\x00", "").split()) for name in FIELDS}
    given["currency"] = given["currency"].upper()
    seen = seen_of(form)
    wanted = _wanted(given, view_of(request))
    if not isinstance(wanted, Wanted):
        return await _page(request, status=422, given=given, problems=wanted)
    recounts = (wanted.time_zone, wanted.currency) != (known.time_zone, known.currency)
    if recounts and known.updated_at == seen and form.get("confirm") != "yes":
        return await _page(request, given=given, confirm=True)
    async with settings_of(request, write=True) as (connection, site):
        outcome = await general.change_general(connection, site.id, seen, wanted)
    if outcome == "stale":
        return await _page(request, status=409, given=given, stale=True)
    done = "moved" if wanted.domain != known.domain else "recounted" if recounts else "saved"
    return Redirect(f"/sites/{site.id}/settings/{PART}?done={done}", status_code=303)


def _wanted(given: Mapping[str, str], view: View) -> Wanted | dict[str, str]:
    """What the form asks for; or what cannot be taken, by field, in the reader's words."""
    problems: dict[str, str] = {}
    domain, cpc = "", Decimal()
    try:
        domain = read_domain(given["domain"])
    except Unprocessable:
        problems["domain"] = view.words("new_site.bad_domain")
    try:
        cpc = read_amount(given["assumed_cpc"] or "0", general.LARGEST_CPC, general.CPC_PLACES)
    except Unprocessable:
        problems["assumed_cpc"] = view.words("general.bad_assumed_cpc")
    days = given["attribution_window_days"]
    window = int(days) if days.isascii() and days.isdecimal() and len(days) < 4 else 0
    least, most = general.WINDOW
    if not least <= window <= most:
        problems["attribution_window_days"] = view.words("general.bad_window", least=least, most=most)
    if not 1 <= len(given["name"]) <= LONGEST_NAME:
        problems["name"] = view.words("general.bad_name", most=LONGEST_NAME)
    if given["time_zone"] not in clock.zone_names():
        problems["time_zone"] = view.words("new_site.bad_time_zone")
    if given["region"] not in SUPPORTED_REGIONS:
        problems["region"] = view.words("new_site.bad_region")
    if given["currency"] not in list_currencies():
        problems["currency"] = view.words("new_site.bad_currency")
    if problems:
        return problems
    return Wanted(
        name=given["name"], domain=domain, time_zone=given["time_zone"], region=given["region"],
        currency=given["currency"], assumed_cpc=cpc, attribution_window_days=window,
    )  # fmt: skip


HANDLERS: Final = [show_general, set_general]
