"""A summary of a site in words: yesterday, or last week, against the one before, as text, as HTML and as a picture.

The figures are asked for as the person who gets the mail, from the contracts, so they are those of their screens; nobody's
name, number or words are among them. Rare values are counted together, as for a link (dashboard/shared.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from jinja2 import Environment

from opsmantik import clock
from opsmantik.clock import LONGEST_DAYS, ONE_DAY
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.cards.command_centre import Figures, command_centre
from opsmantik.dashboard.shared import Line, SharedFigures, Table, change, shared_figures
from opsmantik.db.connect import Asker, Database
from opsmantik.errors import Forbidden
from opsmantik.notifications import summary
from opsmantik.notifications.summary_store import DueSummary
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.settings import Settings
from opsmantik.upkeep.notifying import Letter
from opsmantik.web.language import LANGUAGES
from opsmantik.web.lead_mail import Signer
from opsmantik.web.rendering import View, slug
from opsmantik.web.trend_picture import SHOWN, Measure, shown_height, trend_picture

PURPOSE: Final = b"stop-summaries"
"""What a link at the end of a summary is signed for: it stops these and no other mail."""
PICTURE: Final = "trend"
MOST_LINES: Final = 5


class Row(NamedTuple):
    """A figure beside the one before."""

    name: str
    now: str
    before: str
    grown: str


class SummaryMail:
    """Puts summaries into the words of whoever reads them."""

    def __init__(
        self, settings: Settings, database: Database, signer: Signer, templates: Environment
    ) -> None:
        self._base_url = settings.base_url
        self._host = urlsplit(settings.base_url).hostname or "localhost"
        self._database = database
        self._signer = signer
        self._templates = templates

    async def __call__(self, due: DueSummary, day: date) -> Letter | None:
        """The summary that was due on ``day``. However often it is sent, it has the same Message-ID."""
        letter = await self.letter(due.site_id, due.user_id, due.pace, due.language, day)
        if letter is None:
            return None
        named = hashlib.sha256(f"{due.site_id} {due.user_id} {due.pace} {day}".encode()).hexdigest()[:32]
        return Letter(
            letter.subject, letter.text, {**letter.headers, "Message-ID": f"<summary.{named}@{self._host}>"},
            letter.html, letter.pictures,
        )  # fmt: skip

    async def letter(
        self, site_id: UUID, user_id: UUID, pace: str, language: str, day: date
    ) -> Letter | None:
        """None for somebody who may not see the site."""
        asker = Asker(user_id, roles_with(Capability.READ), only=site_id)
        try:
            async with self._database.as_person(asker) as (connection, person):
                site = await asked_site(connection, person, str(site_id))
                if site is None:
                    return None
                figures = await _figures(connection, site, pace, day)
                waiting = await _waiting(connection, site)
        except Forbidden:
            return None
        view = View(language if language in LANGUAGES else LANGUAGES[0], datetime.now(UTC), site.time_zone)
        return self._written(view, site, user_id, pace, day, figures, waiting)

    def _written(
        self,
        view: View,
        site: AskedSite,
        user_id: UUID,
        pace: str,
        day: date,
        figures: SharedFigures,
        waiting: int,
    ) -> Letter:
        words = view.words
        over = summary.about(pace, day, site.time_zone)
        before = clock.previous(over)
        stop = f"{self._base_url}/stop-summary/{self._signer.token(site.id, user_id)}"
        picture, said = _picture(view, figures)
        known: dict[str, Any] = {
            "site": site.name, "days": view.days(over.days[0], over.days[-1]),
            "days_before": view.days(before.days[0], before.days[-1]), "rows": _rows(view, figures),
            "tables": [(table.dimension, _lines(view, table)) for table in figures.tables], "waiting": waiting,
            "queue": f"{self._base_url}/sites/{site.id}/queue", "page": f"{self._base_url}/sites/{site.id}",
            "wishes": f"{self._base_url}/sites/{site.id}/settings/notifications", "stop": stop, "zone": site.time_zone,
            "alt": said, "picture": PICTURE, "width": SHOWN, "height": shown_height(2), "pace": pace,
        }  # fmt: skip
        leads = figures.centre.figures.leads
        return Letter(
            words("summary.subject", n=view.number(leads), site=site.name, days=known["days"]),
            _text(view, known),
            {"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
            self._templates.get_template("summary_mail.html").render(view=view, t=words, **known),
            {PICTURE: picture},
        )


async def _figures(connection: Any, site: AskedSite, pace: str, day: date) -> SharedFigures:
    return await shared_figures(
        connection, site, summary.about(pace, day, site.time_zone),
        trend=summary.trend_of(pace, day, site.time_zone), granularity="week" if pace == "weekly" else "day",
        dimensions=("source", "campaign"),
    )  # fmt: skip


async def _waiting(connection: Any, site: AskedSite) -> int:
    """How many leads of the last half year nobody has decided about."""
    today = clock.today(site.time_zone, datetime.now(UTC))
    start = clock.site_day(site.time_zone, today - (LONGEST_DAYS - 1) * ONE_DAY).start
    end = clock.site_day(site.time_zone, today).end
    half_year = clock.period(site.time_zone, end, start=start.isoformat(), end=end.isoformat())
    return (await command_centre(connection, site, half_year)).figures.waiting


def _rows(view: View, figures: SharedFigures) -> list[Row]:
    centre = figures.centre
    now, before = centre.figures, centre.previous.figures if centre.previous else None
    words, unknown = view.words, view.words("common.unknown")

    def count(name: str) -> Row:
        value, was = getattr(now, name), getattr(before, name) if before else None
        return Row(
            words(f"share_tiles.{name}"), view.number(value), unknown if was is None else view.number(was),
            _grown(view, value, was),
        )  # fmt: skip

    def rate(each: Figures | None) -> str:
        known = each.conversion_rate if each else None
        return unknown if known is None else view.percent(known, 1)

    def money(each: Figures | None) -> str:
        return view.money(each.sealed_amount, centre.currency) if each else unknown

    def duration(each: Figures | None) -> str:
        known = each.decided.response_seconds if each else None
        return unknown if known is None else view.duration(known)

    counted = {name: count(name) for name in ("sessions", "leads", "leads_with_click_id", "sealed", "junk")}
    return [
        *(counted[name] for name in ("sessions", "leads", "leads_with_click_id", "sealed")),
        Row(words("summary.sealed_amount"), money(now), money(before), ""),
        counted["junk"],
        Row(words("share_tiles.conversion_rate"), rate(now), rate(before), ""),
        Row(words("share_tiles.response_seconds"), duration(now), duration(before), ""),
    ]


def _grown(view: View, now: int, before: int | None) -> str:
    by = change(now, before) if before is not None else None
    if by is None:
        return ""
    if by == 0:
        return view.words("share.same")
    share = view.percent(abs(by))
    return view.words("share.more", by=share) if by > 0 else view.words("share.less", by=share)


def _lines(view: View, table: Table) -> list[tuple[str, str, str, str]]:
    """The largest values of a dimension, by their names: visits, leads, sealed."""
    named: Sequence[Line] = [line for line in table.lines if line.kind == "value"][:MOST_LINES]
    return [
        (
            view.words.get(f"source.{slug(line.value)}", line.value) if table.dimension == "source" else line.value,
            view.number(line.sessions), view.number(line.leads), view.number(line.sealed),
        )
        for line in named
    ]  # fmt: skip


def _picture(view: View, figures: SharedFigures) -> tuple[bytes, str]:
    """The picture, and the same in words."""
    buckets = figures.trend.buckets
    labels = [view.day_short(bucket.day) for bucket in buckets]
    measures = []
    for name in ("sessions", "leads"):
        values = [getattr(bucket, name) for bucket in buckets]
        measures.append(
            Measure(view.words(f"share_tiles.{name}"), values, [view.number(value) for value in values])
        )
    said = [
        f"{measure.name}: "
        + ", ".join(f"{day} {value}" for day, value in zip(labels, measure.said, strict=True))
        for measure in measures
    ]
    return trend_picture(measures, labels), ". ".join(said) + "."


def _text(view: View, known: dict[str, Any]) -> str:
    """The mail for programs that show no HTML; it says all that the other does."""
    words = view.words
    widest = max(len(row.name) for row in known["rows"])
    lines = [words("summary.head", site=known["site"], days=known["days"], before=known["days_before"]), ""]
    for row in known["rows"]:
        grown = f", {row.grown}" if row.grown else ""
        lines.append(f"{row.name:<{widest}}  {row.now}  ({words('share.before')} {row.before}{grown})")
    for dimension, table in known["tables"]:
        if table:
            lines += ["", words(f"share_by.{dimension}")]
            lines += [
                f"- {name}: {words('summary.line', sessions=sessions, leads=leads, sealed=sealed)}"
                for name, sessions, leads, sealed in table
            ]
    lines += ["", known["alt"], ""]
    if known["waiting"]:
        lines += [words("summary.waiting", n=view.number(known["waiting"])), known["queue"]]
    else:
        lines += [words("summary.none_waiting"), known["page"]]
    lines += ["", words("summary.why", wishes=known["wishes"], zone=known["zone"])]
    lines += [words("summary.stop", stop=known["stop"])]
    return "\n".join(lines) + "\n"
