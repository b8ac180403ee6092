"""From what is known to what is seen: templates, figures, times, and the answer that carries a page."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent, get_currency_precision, get_currency_symbol
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie
from markupsafe import Markup
from phonenumbers.geodata.locale import LOCALE_DATA

from opsmantik import clock
from opsmantik.people.store import SignedIn, new_token
from opsmantik.web import guard
from opsmantik.web.language import Words, choose
from opsmantik.web.static_files import StaticFiles

PACKAGE = Path(__file__).parents[1]
TEMPLATES = (PACKAGE / "web" / "templates", PACKAGE / "dashboard" / "cards")
WORTH_PACKING = 1024  # bytes
PageRequest = Request[Any, Any, Any]


def environment(static: StaticFiles) -> Environment:
    """The templates: pages in web/templates, each card beside its query."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["static"] = static.url
    made.filters["slug"] = slug
    return made


def slug(label: str) -> str:
    """A label's key in the words: "First Click (Paid)" is first_click_paid."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


class View:
    """How one reader sees things: their language, and the time zone of the site that they look at."""

    def __init__(self, language: str, now: datetime, time_zone: str = "UTC") -> None:
        self.words = Words(language)
        self.language = language
        self.now = now
        self.zone_name = time_zone
        self.zone: ZoneInfo = clock.zone(time_zone)

    def number(self, value: int) -> str:
        """12,345 or 12.345."""
        return f"{value:,}".replace(",", self.words("format.thousands"))

    def decimal(self, value: Decimal | float, places: int = 1) -> str:
        """1.5 or 1,5: at most so many places."""
        return str(format_decimal(value, f"#,##0.{'#' * places}", locale=self.language))

    def money(self, amount: Decimal, currency: str) -> str:
        """₺1.250 or ₺1.250,50, in the reader's manner: with the currency's decimals where they say something."""
        is_whole = amount == amount.to_integral_value()
        places = 0 if is_whole else get_currency_precision(currency)
        # A sign stands close to its figure, a code apart from it. Everybody who sees lira knows their sign.
        sign = get_currency_symbol(currency, "tr" if currency == "TRY" else self.language)
        pattern = f"{sign}\u00a0#,##0" if sign.isalpha() else f"{sign}#,##0"
        pattern += f".{'0' * places}" if places else ""
        return str(format_decimal(amount, pattern, locale=self.language))

    def percent(self, ratio: Decimal | float, places: int = 0) -> str:
        """12% or %12, of a ratio between 0 and 1."""
        pattern = "%#,##0" if self.language == "tr" else "#,##0%"
        if places:
            pattern = pattern.replace("#,##0", f"#,##0.{'#' * places}")
        return str(format_percent(ratio, pattern, locale=self.language))

    def duration(self, seconds: float) -> str:
        """45 s, 12 min, 3 h 20 min, 2 d 4 h: two units at most, since the third says nothing."""
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        said = [
            days and self.words("duration.days", n=self.number(days)),
            hours and self.words("duration.hours", n=hours),
            minutes and self.words("duration.minutes", n=minutes),
        ]
        largest = next((place for place, each in enumerate(said) if each), None)
        if largest is None:
            return self.words("duration.seconds", n=rest)
        return " ".join(each for each in said[largest : largest + 2] if each)

    def day_short(self, day: date) -> str:
        """22 Nov, or 22 Nov 2025 in another year than this."""
        this = self.now.astimezone(self.zone).year
        return str(format_date(day, "d MMM" if day.year == this else "d MMM y", locale=self.language))

    def days(self, first: date, last: date) -> str:
        """22 Nov, or 1 Nov – 22 Nov."""
        return self.day_short(first) if first == last else f"{self.day_short(first)} – {self.day_short(last)}"

    def clock_time(self, at: datetime) -> str:
        """14:32:05 in the site's zone."""
        return at.astimezone(self.zone).strftime("%H:%M:%S")

    def moment(self, at: datetime) -> str:
        """22 November 2026, 14:32:05, in the site's zone."""
        return self.words(
            "format.moment", time=self.clock_time(at), **self._parts(at.astimezone(self.zone).date())
        )

    def day(self, day: date) -> str:
        """Sunday 22 November."""
        return self.words("format.day", **self._parts(day))

    def _parts(self, day: date) -> dict[str, object]:
        return {
            "day": day.day,
            "month": self.words.table("format.months")[day.month - 1],
            "month_short": self.words.table("format.months_short")[day.month - 1],
            "weekday": self.words.table("format.weekdays")[day.weekday()],
            "year": day.year,
        }

    def ago(self, at: datetime) -> str:
        """In words while it is fresh, then the day and time. The page keeps it true with the same words."""
        age = self.now - at
        if age < timedelta(minutes=1):
            return self.words("ago.now")
        if age < timedelta(hours=1):
            return self.words("ago.minutes", n=int(age.total_seconds() // 60))
        if age < timedelta(hours=24):
            return self.words("ago.hours", n=int(age.total_seconds() // 3600))
        local = at.astimezone(self.zone)
        return self.words("format.day_short", **self._parts(local.date())) + local.strftime(" %H:%M")

    def when(self, at: datetime, note: str = "") -> Markup:
        """A time element: relative words, the absolute time and its zone on hover."""
        title = f"{self.moment(at)}, {self.zone_name}" + (f"; {note}" if note else "")
        machine = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
            machine, title, self.ago(at)
        )

    def country(self, code: str) -> str:
        """Turkey for TR: in English, where the page has not yet put the reader's own word for it."""
        names: dict[str, str] = LOCALE_DATA.get(code, {})
        name = names.get("en", code)
        return names.get(name[1:], code) if name.startswith("*") else name  # "*aa": the same as under "aa"

    def target(self, number: str | None, target: str | None) -> str:
        """The number as people write it, or the link's own account name."""
        if number:
            try:
                parsed = phonenumbers.parse(number)
            except phonenumbers.NumberParseException:
                return number
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        return (target or "").removeprefix("tel:").removeprefix("wa:").removeprefix("form:")


def view_of(request: PageRequest, time_zone: str = "UTC") -> View:
    """How the asker sees things."""
    person: SignedIn | None = request.state.get("person")
    language = choose(person.language if person else None, request.headers.get("accept-language", ""))
    return View(language, datetime.now(UTC), time_zone)


def page(
    request: PageRequest,
    template: str,
    *,
    view: View | None = None,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response[bytes]:
    """A whole page, or a card of one, rendered for this asker."""
    state = request.app.state
    view = view or view_of(request)
    cookies = list(cookies)
    proof = guard.form_proof(request, state.settings)
    if not proof:
        proof = new_token()
        cookies.append(guard.cookie(request, state.settings, "form", proof, None))
    html = state.templates.get_template(template).render(
        view=view,
        t=view.words,
        person=request.state.get("person"),
        path=request.url.path,
        form_token=state.form_keys.form_token(proof),
        **context,
    )
    return packed(request, html, status=status, cookies=cookies, headers=headers)


def packed(
    request: PageRequest,
    html: str,
    *,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    """The answer that carries a page: smaller, where the browser takes that."""
    body, sent = (
        html.encode("utf-8", "replace"),
        {"vary": "Accept-Encoding, Accept-Language, Cookie", **(headers or {})},
    )
    if len(body) >= WORTH_PACKING and "gzip" in request.headers.get("accept-encoding", ""):
        body, sent["content-encoding"] = gzip.compress(body, 5, mtime=0), "gzip"
    return Response(
        body, status_code=status, media_type="text/html; charset=utf-8", headers=sent, cookies=list(cookies)
    )
