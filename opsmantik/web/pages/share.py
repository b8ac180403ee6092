"""/share/{token}: a site's figures for whoever holds the link. Public, read-only, and without a person: it takes no cookie
and sets none, runs no script, and asks the database as the link, which sees one site (sites/share_links.py).

What it shows, and what it never does: docs/sharing.md.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from litestar import Response, get

from opsmantik import clock
from opsmantik.clock import Period
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.cards.command_centre import Figures
from opsmantik.dashboard.cards.timeline import Bucket, Timeline
from opsmantik.dashboard.shared import LEAST, SharedFigures, Table, change, shared_figures
from opsmantik.errors import BadRange
from opsmantik.sites.share_links import Shared, shared_by
from opsmantik.web import looking
from opsmantik.web.bars import Bar, bars
from opsmantik.web.guard import peer_address
from opsmantik.web.language import LANGUAGES, choose
from opsmantik.web.looking import PRESETS, Looking
from opsmantik.web.pace import REFUSED_SECONDS, Pace
from opsmantik.web.rendering import PageRequest, View, packed, slug

HERE: Final = "/share/{token:str}"
# The words of an address that mean something here: whole days only, and no filter.
WORDS: Final = frozenset({"day", "range", "first", "last", "scope", "compare"})
# The address is the secret: it goes to nobody with a link that is followed, and into no index.
HEADERS: Final = {"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow, noarchive"}


class Tile(NamedTuple):
    """One figure as it is read, beside that of the range before."""

    name: str
    value: str
    before: str
    grown: str
    """By how much it is more or less, in the reader's words; empty where that cannot be said."""
    note: str = ""


class Chart(NamedTuple):
    """One measure over time."""

    name: str
    top: int
    bars: list[Bar]


class Moment(NamedTuple):
    """A bucket: what it is called, and its figures now and before."""

    label: str
    now: Bucket
    before: Bucket | None
    has_begun: bool
    is_over: bool


@get(HERE, opt={"public": True})
async def show_share(request: PageRequest) -> Response[Any]:
    """The figures, or that the link shows nothing: 404 for whatever reason."""
    pace: Pace = request.app.state.share_pace
    address = peer_address(request, request.app.state.settings)
    wait = pace.wait(address)
    if wait:
        seconds = math.ceil(wait)
        return _answer(
            request, "share_closed.html", _view(request), status=429, too_fast=True,
            headers={"retry-after": str(seconds)},
        )  # fmt: skip
    pace.charge(address)
    link = await shared_by(request.app.state.database, request.path_params["token"])
    found = None if link is None else await _look(request, link)
    if found is None:
        pace.charge(address, REFUSED_SECONDS)
        return _answer(request, "share_closed.html", _view(request), status=404, too_fast=False)
    return found


async def _look(request: PageRequest, link: Shared) -> Response[Any] | None:
    """None where the link was revoked this moment."""
    async with request.app.state.database.as_person(link.asker) as (connection, holder):
        site = await asked_site(connection, holder, str(link.site_id))
        if site is None:
            return None
        view = _view(request, site.time_zone)
        look, is_bad = _looking(request, link, site, view.now)
        figures = await shared_figures(connection, site, look.period, paid=look.paid)
    moments = _moments(view, figures)
    fixed: dict[str, Any] = {"scope": None} if link.paid_only else {}
    return _answer(
        request, "share.html", view, status=422 if is_bad else 200, site=site, link=link, look=look,
        is_bad=is_bad, at=lambda **words: _at(request, look, view, **fixed | words), presets=PRESETS, least=LEAST,
        figures=figures, tiles=_tiles(view, site, figures, look.period), moments=moments,
        charts=[_chart(name, moments) for name in ("sessions", "leads")],
        marks=_marks(moments), label=lambda table, line: _label(view, table, line),
        languages={name: View(name, view.now).words("name") for name in LANGUAGES},
        previous=clock.previous(look.period).days,
    )  # fmt: skip


def _looking(request: PageRequest, link: Shared, site: AskedSite, now: datetime) -> tuple[Looking, bool]:
    """What is asked to be seen, as far as the link shows it; and whether that cannot be had: then it is today."""
    asked = {name: text for name, text in request.query_params.items() if name in WORDS}
    if link.paid_only:
        asked["scope"] = "paid"
    try:
        return looking.read(asked, site.time_zone, now), False
    except BadRange:
        return looking.read({"scope": asked.get("scope", "")}, site.time_zone, now), True


def _view(request: PageRequest, time_zone: str = "UTC") -> View:
    """In the language that was chosen here, else the browser's: there is no person whose language it could be."""
    wanted = request.query_params.get("lang")
    return View(choose(wanted, request.headers.get("accept-language", "")), datetime.now(UTC), time_zone)


def _at(request: PageRequest, look: Looking, view: View, lang: str = "", **words: str | None) -> str:
    """The address that shows the same, but for this."""
    asked = look.query(**words)
    chosen = lang or (view.language if "lang" in request.query_params else "")
    parts = [part for part in (asked, f"lang={chosen}" if chosen else "") if part]
    return f"{request.url.path}?{'&'.join(parts)}" if parts else request.url.path


def _answer(
    request: PageRequest,
    template: str,
    view: View,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response[Any]:
    """A page without a person: no cookie, no form token."""
    html = request.app.state.templates.get_template(template).render(view=view, t=view.words, **context)
    sent = {"vary": "Accept-Encoding, Accept-Language", **HEADERS, **(headers or {})}
    return packed(request, html, status=status, headers=sent)


def _tiles(view: View, site: AskedSite, figures: SharedFigures, asked: Period) -> list[Tile]:
    centre = figures.centre
    now, before = centre.figures, centre.previous.figures if centre.previous else None
    # A range that goes on cannot be said to be less than one that is over.
    is_over = asked.over.end <= centre.as_of

    def count(name: str, note: str = "") -> Tile:
        value, was = getattr(now, name), getattr(before, name) if before else None
        return Tile(name, view.number(value), _number(view, was), _grown(view, value, was, is_over), note)

    def money(amount: Any) -> str:
        return view.money(amount, centre.currency)

    unknown = view.words("common.unknown")
    rate = Tile("conversion_rate", _rate(view, now), _rate(view, before) if before else unknown, "")
    answered = Tile(
        "response_seconds", _duration(view, now), _duration(view, before) if before else unknown, ""
    )
    return [
        count("sessions"), count("leads"), count("leads_with_click_id"), count("waiting"),
        count("sealed", money(now.sealed_amount)), count("junk", money(now.budget_saved) if now.budget_saved else ""),
        rate, answered,
    ]  # fmt: skip


def _number(view: View, value: int | None) -> str:
    return view.words("common.unknown") if value is None else view.number(value)


def _rate(view: View, figures: Figures) -> str:
    rate = figures.conversion_rate
    return view.words("common.unknown") if rate is None else view.percent(rate, 1)


def _duration(view: View, figures: Figures) -> str:
    seconds = figures.decided.response_seconds
    return view.words("common.unknown") if seconds is None else view.duration(seconds)


def _grown(view: View, now: int, before: int | None, is_over: bool) -> str:
    by = change(now, before) if before is not None and is_over else None
    if by is None:
        return ""
    share = view.percent(abs(by))
    if by == 0:
        return view.words("share.same")
    return view.words("share.more", by=share) if by > 0 else view.words("share.less", by=share)


def _moments(view: View, figures: SharedFigures) -> list[Moment]:
    now: Timeline = figures.trend
    earlier = figures.before.buckets if figures.before else []
    found = []
    for bucket, before in zip_longest(now.buckets, earlier):
        if bucket is None:  # a longer month before this one, or a day of 25 hours
            break
        label = (
            bucket.start.astimezone(view.zone).strftime("%H:%M")
            if now.granularity == "hour"
            else view.day_short(bucket.day)
        )
        found.append(Moment(label, bucket, before, bucket.start <= now.as_of, bucket.end <= now.as_of))
    return found


def _chart(name: str, moments: list[Moment]) -> Chart:
    values = [getattr(moment.now, name) if moment.has_begun else None for moment in moments]
    before = [getattr(moment.before, name) if moment.before else None for moment in moments]
    return Chart(name, *bars(values, before))


def _marks(moments: list[Moment]) -> list[str]:
    """What is written under the chart: its first bucket, those between, its last."""
    if len(moments) <= 7:
        return [moment.label for moment in moments]
    places = [round(part * (len(moments) - 1) / 4) for part in range(5)]
    return [moments[place].label for place in places]


def _label(view: View, table: Table, line: Any) -> str:
    """A line's name: our own values in the reader's words, others as they are."""
    if line.kind == "other":
        return view.words("share.others", n=line.values)
    if line.kind == "none":
        return view.words("share.none")
    known = {"source": "source.", "device": "device."}.get(table.dimension)
    return view.words.get(known + slug(line.value), line.value) if known else str(line.value)


HANDLERS: Final = [show_share]
