"""How one site fares, in plain words: each thing with a level, what is known, and where to do something about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from litestar import Response, get

from opsmantik.audit import store as audits
from opsmantik.conversions.adapters import CARRIED
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards.install_state import RECEIVES_WITHIN
from opsmantik.dashboard.cards.site_health import LEFT_TO_GO, Books, SiteHealth, site_health
from opsmantik.dashboard.cards.site_status import RECEIVES_WITHIN as FRESH
from opsmantik.db.readiness import missing_partitions
from opsmantik.people.capabilities import Capability
from opsmantik.sites.trackers import is_old
from opsmantik.web.api import READS
from opsmantik.web.conversion_words import reason_of
from opsmantik.web.pages.settings import settings_of, settings_page
from opsmantik.web.pages.site_frame import may
from opsmantik.web.rendering import PageRequest, View, view_of

Level = Literal["fine", "look", "broken", "unknown"]
WORST: Final[tuple[Level, ...]] = ("broken", "look")
# Fewer of something say nothing about a share of it.
ENOUGH: Final = 20
# So many events that would have been usual, and not one came.
MISSED: Final = 10
# Refused for reasons that are nobody's mistake: programs, and people who said no.
AS_IT_SHOULD: Final = frozenset({"bot", "no_consent"})


class Check(NamedTuple):
    """One line: its name in the words, its level, what there is to say, and where it leads (below the site)."""

    name: str
    level: Level
    says: str
    link: str = ""


def checks(view: View, site: AskedSite, found: SiteHealth, *, sends_mail: bool) -> list[Check]:
    """All that can be said of the site, in the order in which an event walks."""
    return [
        _receiving(view, found), _rate(view, found.books), _refused(view, site, found.books), _twice(view, found.books),
        _taps(view, found),
        _clicks(view, found), _consent(view, site, found), _trackers(view, found), _conversions(view, found),
        *_webhooks(view, site, found), *_mail(view, found, sends_mail=sends_mail),
    ]  # fmt: skip


def _receiving(view: View, found: SiteHealth) -> Check:
    words = view.words
    if found.disabled_at is not None:
        return Check(
            "receiving", "look", words("health.off", when=view.ago(found.disabled_at)), "settings/ownership"
        )
    if found.last_event_at is None:
        return Check("receiving", "unknown", words("health.never"), "install")
    silent = found.as_of - found.last_event_at
    said = words("health.last", when=view.ago(found.last_event_at))
    if silent <= FRESH:
        return Check("receiving", "fine", said)
    whole = [hour for hour in found.books.hours[:-1] if hour.start >= found.last_event_at]
    missed = round(sum(hour.usual or 0 for hour in whole))
    if missed >= MISSED:
        return Check(
            "receiving", "broken", f"{said} {words('health.missed', n=view.number(missed))}", "install"
        )
    if silent > RECEIVES_WITHIN:
        return Check(
            "receiving",
            "look",
            f"{said} {words('health.silent', span=view.duration(silent.total_seconds()))}",
            "install",
        )
    return Check("receiving", "fine", f"{said} {words('health.quiet')}")


def _rate(view: View, books: Books) -> Check:
    whole = books.hours[:-1]
    stored = sum(hour.stored for hour in whole)
    usual = round(sum(hour.usual or 0 for hour in whole))
    if any(hour.usual is None for hour in whole) or usual < ENOUGH:
        return Check("rate", "unknown", view.words("health.rate_young", n=view.number(stored)))
    said = view.words("health.rate", n=view.number(stored), usual=view.number(usual))
    share = stored / usual
    return Check("rate", "broken" if share < 0.1 else "look" if share < 0.5 or share > 3 else "fine", said)


def _refused(view: View, site: AskedSite, books: Books) -> Check:
    wrong = sum(n for reason, n in books.refused.items() if reason not in AS_IT_SHOULD)
    right = sum(books.refused.values()) - wrong
    every = books.stored + wrong
    link = "settings/refused" if may(site, Capability.TEND) else ""
    if not every and not right:
        return Check("refused", "unknown", view.words("health.nothing"))
    share = wrong / every if every else 0.0
    said = view.words("health.refused", n=view.number(wrong), share=view.percent(share, 1))
    if right:
        said += " " + view.words("health.refused_right", n=view.number(right))
    return Check(
        "refused",
        "broken" if share >= 0.2 else "look" if share >= 0.02 else "fine",
        said,
        link if books.refused else "",
    )


def _twice(view: View, books: Books) -> Check:
    every = books.stored + books.duplicates
    if not every:
        return Check("twice", "unknown", view.words("health.nothing"))
    share = books.duplicates / every
    said = view.words("health.twice", n=view.number(books.duplicates), share=view.percent(share, 1))
    return Check("twice", "look" if share > 0.2 else "fine", said)


def _clicks(view: View, found: SiteHealth) -> Check:
    if not found.paid:
        return Check("clicks", "unknown", view.words("health.no_paid"))
    share = found.paid_with_click / found.paid
    said = view.words(
        "health.clicks",
        share=view.percent(share),
        n=view.number(found.paid_with_click),
        paid=view.number(found.paid),
    )
    if found.paid < ENOUGH:
        return Check("clicks", "unknown", said)
    return Check("clicks", "look" if share < 0.5 else "fine", said, "install" if share < 0.5 else "")


def _consent(view: View, site: AskedSite, found: SiteHealth) -> Check:
    visits = found.visits
    if not visits.looked_at:
        return Check("consent", "unknown", view.words("health.nothing"))
    parts = {
        f"{about}_{said}": view.percent(n / visits.looked_at)
        for about, answers in (("analytics", visits.analytics), ("marketing", visits.marketing))
        for said, n in answers.items()
    }
    says = view.words("health.consent", n=view.number(visits.looked_at), **parts)
    return Check("consent", "fine", says, "settings/privacy" if may(site, Capability.ERASE) else "")


def _trackers(view: View, found: SiteHealth) -> Check:
    versions = found.visits.trackers
    every = sum(versions.values())
    if not every:
        return Check("trackers", "unknown", view.words("health.nothing"))
    named = ", ".join(
        f"{version or view.words('health.tracker_unnamed')} ({view.percent(n / every)})"
        for version, n in versions.items()
    )
    old = sum(n for version, n in versions.items() if is_old(version))
    is_mostly_old = 2 * old > every
    return Check("trackers", "look" if is_mostly_old else "fine", named, "install" if is_mostly_old else "")


def _taps(view: View, found: SiteHealth) -> Check:
    """From the rows on both sides: they differ where something is broken."""
    taps = found.taps
    if not taps.tap_events:
        return Check("taps", "unknown", view.words("health.no_taps"))
    said = view.words("health.taps", n=view.number(taps.tap_events), leads=view.number(taps.tap_intents))
    if taps.tap_events < ENOUGH:
        return Check("taps", "fine" if taps.tap_intents else "unknown", said)
    share = taps.tap_intents / taps.tap_events
    return Check("taps", "broken" if not taps.tap_intents else "look" if share < 0.5 else "fine", said)


def _conversions(view: View, found: SiteHealth) -> Check:
    if not found.conversions:
        return Check("conversions", "unknown", view.words("health.no_conversions"))
    by_state = {state.state: state for state in found.conversions}
    waiting = [by_state[name] for name in LEFT_TO_GO if name in by_state]
    failed = by_state["failed"].n if "failed" in by_state else 0
    said = view.words(
        "health.conversions", n=view.number(sum(state.sent_today for state in found.conversions)),
        failed=view.number(failed), waiting=view.number(sum(state.n for state in waiting)),
    )  # fmt: skip
    if waiting:
        said += " " + view.words("health.oldest_waits", when=view.ago(min(state.oldest for state in waiting)))
    late = sum(state.late for state in waiting)
    if found.way is None:
        return Check(
            "conversions",
            "look" if waiting else "fine",
            f"{said} {view.words('health.no_way')}",
            "conversions",
        )
    if found.way.trouble is not None:
        why = view.words.get(f"conversion_reason.{reason_of(found.way.trouble)}", found.way.trouble)
        return Check(
            "conversions", "broken", f"{said} {view.words('health.way_trouble', why=why)}", "conversions"
        )
    if not found.way.is_on:
        said += " " + view.words("health.way_off")
    elif late:
        said += " " + view.words(
            "health.late", n=view.number(late), when=view.ago(min(s.oldest for s in waiting))
        )
    is_stuck = late and found.way.adapter not in CARRIED
    return Check(
        "conversions", "look" if is_stuck or failed or not found.way.is_on else "fine", said, "conversions"
    )


def _webhooks(view: View, site: AskedSite, found: SiteHealth) -> Iterator[Check]:
    """One line for all of them; none where there is none."""
    if not found.webhooks:
        return
    off = [hook for hook in found.webhooks if hook.off_reason in ("gone", "failing")]
    failing = [hook for hook in found.webhooks if hook.failing_since is not None and hook not in off]
    waiting = sum(hook.waiting for hook in found.webhooks)
    said = view.words("health.webhooks", n=len(found.webhooks), waiting=view.number(waiting))
    for hook in (*off, *failing):
        since = view.ago(hook.failing_since) if hook.failing_since else view.words("common.unknown")
        said += " " + view.words("health.webhook_failing", url=_host(hook.url), when=since)
    link = "settings/webhooks" if may(site, Capability.WRITE) else ""
    yield Check("webhooks", "broken" if off else "look" if failing else "fine", said, link)


def _mail(view: View, found: SiteHealth, *, sends_mail: bool) -> Iterator[Check]:
    if found.own_mail_failures is None:
        return
    if not sends_mail:
        yield Check("mail", "look", view.words("health.mail_off"), "settings/notifications")
    elif found.own_mail_failures:
        says = view.words("health.mail_failing", n=found.own_mail_failures)
        yield Check("mail", "broken", says, "settings/notifications")
    else:
        yield Check("mail", "fine", view.words("health.mail_on"), "settings/notifications")


def _host(url: str) -> str:
    return url.split("/")[2] if url.count("/") >= 2 else url


def storage(view: View, milliseconds: float, missing: list[str]) -> Check:
    """The database, and the places that events of this month and the next go to."""
    said = view.words("health.database", n=max(1, round(milliseconds)))
    if missing:
        return Check(
            "database", "broken", f"{said} {view.words('health.no_place', names=', '.join(missing))}"
        )
    return Check("database", "fine", f"{said} {view.words('health.places')}")


def audited(view: View, audit: audits.SiteAudit | None) -> Check:
    """What the daily look at the database found about the site."""
    if audit is None:
        return Check("audit", "unknown", view.words("audit.never"))
    when = view.ago(audit.started_at)
    if not audit.findings:
        return Check("audit", "fine", view.words("audit.site_fine", when=when))
    is_broken = any(finding.level == "error" for finding in audit.findings)
    said = view.words("audit.site_found", n=len(audit.findings), when=when)
    return Check("audit", "broken" if is_broken else "look", said, "health#audit")


def bars(books: Books) -> dict[str, Any]:
    """Hours as bars of a picture 600 wide and 100 high, the usual behind each."""
    highest = max([hour.stored for hour in books.hours] + [hour.usual or 0 for hour in books.hours] + [1])
    step = 600 / len(books.hours)
    scale = 96 / highest
    return {
        "highest": highest,
        "hours": [
            {
                "x": round(place * step, 2), "width": round(step - 3, 2), "start": hour.start, "stored": hour.stored,
                "height": round(hour.stored * scale, 2), "top": round(100 - hour.stored * scale, 2), "usual": hour.usual,
                "usual_height": round((hour.usual or 0) * scale, 2), "usual_top": round(100 - (hour.usual or 0) * scale, 2),
                "runs": place == len(books.hours) - 1,
            }
            for place, hour in enumerate(books.hours)
        ],
    }  # fmt: skip


@get("/sites/{site_id:uuid}/health", opt=READS)
async def show_site_health(request: PageRequest) -> Response[Any]:
    """The lines, and the figures behind them."""
    begun = time.perf_counter()
    async with settings_of(request) as (connection, site):
        found = await site_health(connection, site, request.state.person.user_id)
        taken = (time.perf_counter() - begun) * 1000
        missing = await missing_partitions(connection, datetime.now(UTC))
        audit = await audits.of_site(connection, site.id)
    view = View(view_of(request).language, found.as_of, site.time_zone)
    lines = checks(view, site, found, sends_mail=request.app.state.mailer.is_on)
    lines += [storage(view, taken, missing), audited(view, audit)]
    worst = next((level for level in WORST if any(line.level == level for line in lines)), "fine")
    return settings_page(
        request, "health", site, found=found, lines=lines, worst=worst, bars=bars(found.books), audit=audit,
        wrong=sum(1 for line in lines if line.level == worst), tends=may(site, Capability.TEND),
    )  # fmt: skip


HANDLERS: Final = [show_site_health]
