"""What the overview's tiles and trend say, in the reader's words. The figures are the contracts'."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

import msgspec

from opsmantik.dashboard.asked import AskedSite, Over
from opsmantik.dashboard.cards.command_centre import CommandCentre, Figures
from opsmantik.dashboard.overview import Change, Comparison, Point
from opsmantik.people.capabilities import Capability
from opsmantik.web.looking import PRESETS, Looking
from opsmantik.web.pages.site_frame import may
from opsmantik.web.rendering import View

Tone = Literal["good", "bad", ""]
_NO_DECIMALS_FROM: Final = Decimal("0.1")
_ONE_PERCENT: Final = Decimal("0.01")


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One figure and what is said of it. ``link`` opens the rows that it counts."""

    name: str
    figure: str
    link: str
    about: str
    """What it is made of, or what it comes to."""
    about_link: str | None = None
    change: Change | None = None
    size: str = ""
    """How much more or less; what of now is compared (of a range that is not over: what has gone by), and with what."""
    now: str = ""
    before: str = ""
    tone: Tone = ""


def tiles(
    view: View, site: AskedSite, look: Looking, found: CommandCentre, compared: Comparison | None
) -> list[Tile]:
    """The eight of them. What is not known is "—"."""
    words, figures = view.words, found.figures
    say = _Changes(view, compared)
    number, unknown = view.number, words("common.unknown")

    def rows(page: str = "leads", **filters: str) -> str:
        return look.link(f"/sites/{site.id}/{page}", **filters)

    def part(of: int) -> str:
        return (
            words("overview.of_leads", share=view.percent(Decimal(of) / figures.leads))
            if figures.leads
            else unknown
        )

    def rate_of(rate: Decimal) -> str:
        return view.percent(rate, _places(rate))

    response = figures.decided.response_seconds
    cost, cost_link = _cost(view, site, found)
    return [
        Tile(name="sessions", figure=number(figures.sessions), link=rows("sessions"),
             about=words("overview.visitors", n=number(figures.visitors)), **say("sessions", number, 1)),
        Tile(name="leads", figure=number(figures.leads), link=rows(), about=_ways(view, figures),
             **say("leads", number, 1)),
        Tile(name="with_click_id", figure=number(figures.leads_with_click_id), link=rows(click="yes"),
             about=part(figures.leads_with_click_id), **say("leads_with_click_id", number, 1)),
        Tile(name="waiting", figure=number(figures.waiting), link=rows(status="waiting"), about=part(figures.waiting),
             **say("waiting", number, 0)),
        Tile(name="sealed", figure=number(figures.sealed), link=rows(status="sealed"),
             about=" + ".join(_amounts(view, found)), **say("sealed", number, 1)),
        Tile(name="junk", figure=number(figures.junk), link=rows(status="junk"), about=cost, about_link=cost_link,
             **say("junk", number, -1)),
        Tile(name="conversion_rate", link=rows(status="sealed"),
             figure=unknown if figures.conversion_rate is None else rate_of(figures.conversion_rate),
             about=words("overview.sealed_of_sessions"),
             **say("conversion_rate", rate_of, 1, is_rate=True)),
        Tile(name="response", link=rows(by="decided"), figure=unknown if response is None else view.duration(response),
             about=words("overview.decided", n=number(figures.decided.leads)),
             **say("response_seconds", lambda seconds: view.duration(float(seconds)), -1)),
    ]  # fmt: skip


def _places(rate: Decimal) -> int:
    """Decimals of a rate in percent: so many that it says something."""
    return 1 if abs(rate) >= _ONE_PERCENT else 2


def _ways(view: View, figures: Figures) -> str:
    """By which way the leads came, the ways that any came by."""
    words, number = view.words, view.number
    said = [
        figures.phone_leads and words("overview.by_phone", n=number(figures.phone_leads)),
        figures.whatsapp_leads and words("overview.by_whatsapp", n=number(figures.whatsapp_leads)),
        figures.form_leads and words("overview.by_form", n=number(figures.form_leads)),
    ]
    return " · ".join(each for each in said if each) or words("common.unknown")


def _amounts(view: View, found: CommandCentre) -> list[str]:
    """The value of what is sealed: in the site's currency, and in each other beside it."""
    others = [amount for amount in found.figures.other_amounts if amount.amount]
    own = [view.money(found.figures.sealed_amount, found.currency)]
    if not found.figures.sealed_amount and others:
        own = []
    return own + [view.money(amount.amount, amount.currency) for amount in others]


def _cost(view: View, site: AskedSite, found: CommandCentre) -> tuple[str, str | None]:
    """What junk cost, by the cost per click that the site assumes; without one where to set it, for those who may."""
    if found.assumed_cpc:
        return view.words(
            "overview.cost", amount=view.money(found.figures.budget_saved, found.currency)
        ), None
    link = f"/sites/{site.id}/settings/general" if may(site, Capability.WRITE) else None
    return view.words("overview.set_cpc") if link else view.words("overview.no_cpc"), link


class _Changes:
    """What is said of each change. ``better`` is 1 where more is better, -1 where less is, 0 where neither is."""

    def __init__(self, view: View, compared: Comparison | None) -> None:
        self._view = view
        self._compared = compared

    def __call__(
        self, name: str, written: Callable[[Any], str], better: int, *, is_rate: bool = False
    ) -> dict[str, Any]:
        if self._compared is None:
            return {}
        found, words = self._compared.changes[name], self._view.words
        if found.share is None or found.before is None or found.difference is None:
            return {"change": found}
        if is_rate:
            size = words(
                "overview.points",
                n=self._view.decimal(abs(found.difference) * 100, _places(found.difference)),
            )
        else:
            size = self._view.percent(found.share, 0 if found.share >= _NO_DECIMALS_FROM else 1)
        is_better = (found.way == "more") == (better > 0)
        tone: Tone = "" if found.way == "same" or not better else "good" if is_better else "bad"
        now, before = (written(n if is_rate else int(n)) for n in (found.now or Decimal(0), found.before))
        return {"change": found, "tone": tone, "size": size, "now": now, "before": before}


class Preset(NamedTuple):
    """A range by name, and whether it is the present one."""

    label: str
    link: str
    is_current: bool


def presets(view: View, look: Looking, path: str) -> list[Preset]:
    """The ranges that have names. Today is what is shown without a word, so its link has none."""
    words = view.words
    labels = (
        words("overview.range_today"), words("overview.range_yesterday"), words("overview.range_seven"),
        words("overview.range_thirty"), words("overview.range_month"),
    )  # fmt: skip
    links = [look.link(path, day=None)]
    links += [look.link(path, **dict([preset.split("=")])) for preset in PRESETS[1:]]
    return [
        Preset(label, link, look.preset == preset)
        for label, link, preset in zip(labels, links, PRESETS, strict=True)
    ]


def range_name(view: View, look: Looking) -> str:
    """Today, 7 days, 1 Nov – 22 Nov."""
    named = next((preset.label for preset in presets(view, look, "") if preset.is_current), None)
    return named or view.days(look.first, look.last)


def days_of(view: View, over: Over) -> str:
    """The days that have a part in the range."""
    last = over.end - timedelta(microseconds=1)
    return view.days(over.start.astimezone(view.zone).date(), last.astimezone(view.zone).date())


def until(view: View, compared: Comparison | None, found: CommandCentre) -> str:
    """14:00; where the range has several days 22 Nov 14:00, or 21 Nov where that day is the last that is over.

    Nothing where whole ranges are compared.
    """
    if compared is None or compared.until is None:
        return ""
    at = compared.until.astimezone(view.zone)
    if found.range.end - found.range.start < timedelta(hours=26):
        return f"{at:%H:%M}"
    if f"{at:%H:%M}" == "00:00":
        return view.day_short((at - timedelta(microseconds=1)).date())
    return f"{view.day_short(at.date())} {at:%H:%M}"


class Moment(msgspec.Struct, frozen=True):
    """How a bucket is called: in full, and at the axis (nothing where it has no place there)."""

    full: str
    tick: str


def moments(view: View, step: str, starts: list[tuple[datetime, date]]) -> list[Moment]:
    """The buckets of a line by their first instant and day."""
    if step != "hour":
        return [Moment(_bucket(view, step, day), view.day_short(day)) for _, day in starts]
    several = len({day for _, day in starts}) > 1
    said, last = [], None
    for start, day in starts:
        time = start.astimezone(view.zone).strftime("%H:%M")
        if several:
            said.append(Moment(f"{view.day_short(day)} {time}", view.day_short(day) if day != last else ""))
        else:
            said.append(Moment(time, time))
        last = day
    return said


def _bucket(view: View, step: str, day: date) -> str:
    return view.words("overview.week_of", day=view.day_short(day)) if step == "week" else view.day(day)


class TrendRow(msgspec.Struct, frozen=True):
    """A bucket as it is drawn and written."""

    moment: Moment
    before_moment: Moment | None
    point: Point


def trend_rows(view: View, step: str, line: list[Point]) -> list[TrendRow]:
    """The trend with its words."""
    now = moments(view, step, [(point.now.start, point.now.day) for point in line])
    earlier = [point.before for point in line if point.before is not None]
    before = moments(view, step, [(bucket.start, bucket.day) for bucket in earlier])
    return [
        TrendRow(now[place], before[place] if place < len(before) else None, point)
        for place, point in enumerate(line)
    ]
