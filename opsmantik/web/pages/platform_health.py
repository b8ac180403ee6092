"""For whoever runs the installation: all of its sites, and how it fares itself."""

from __future__ import annotations

import platform
import shutil
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NamedTuple, cast, get_args

from litestar import Response, get

from opsmantik.audit import store as audits
from opsmantik.dashboard.cards import platform_sites as listed
from opsmantik.dashboard.cards.platform_health import MOST, JobRun, PlatformHealth, platform_health
from opsmantik.dashboard.cards.platform_sites import FILTERS, platform_sites
from opsmantik.db.readiness import missing_partitions
from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import asker, needs
from opsmantik.web.pages import audit
from opsmantik.web.pages.providers import provider_lines
from opsmantik.web.pages.site_health import WORST, Level
from opsmantik.web.rendering import PageRequest, View, page, view_of

RUNS: Final = needs(Capability.PLATFORM)
PAGE: Final = 50
LONGEST: Final = 200
# Every job is due once a day at least.
DUE: Final = timedelta(hours=26)
LITTLE_SPACE: Final = (0.05, 0.15)
"""Shares of a disk: with less left it is broken, or to be looked at."""


class Line(NamedTuple):
    """One thing about the installation: its name in the words, its level, what there is to say, and where it leads."""

    name: str
    level: Level
    says: str
    link: str = ""


class JobLine(NamedTuple):
    """One background job."""

    run: JobRun
    level: Level
    state: str


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else 1


@get("/admin/sites", opt=RUNS)
async def show_platform_sites(request: PageRequest) -> Response[Any]:
    """All sites, searched and by the page."""
    asked = request.query_params
    q = asked.get("q", "").replace("\x00", "").strip()[:LONGEST]
    only = asked["only"] if asked.get("only") in FILTERS else None
    number = max(1, _number(asked.get("page")))
    view = view_of(request)
    async with request.app.state.database.as_person(asker(request)) as (connection, person):
        found = await platform_sites(
            connection, person, q=q, only=only, limit=PAGE, offset=(number - 1) * PAGE
        )
    rows = [(site, View(view.language, view.now, site.time_zone)) for site in found.items]
    return page(
        request, "admin_sites.html", view=view, part="sites", rows=rows, found=found.found, q=q, only=only,
        filters=FILTERS, number=number, has_more=number * PAGE < found.found,
        first=(number - 1) * PAGE + 1, silent_after=listed.SILENT_AFTER,
    )  # fmt: skip


@get("/admin/health", opt=RUNS)
async def show_platform_health(request: PageRequest) -> Response[Any]:
    """Background jobs, places for events, the database, and what all sites together have trouble with."""
    view = view_of(request)
    now = datetime.now(UTC)
    async with request.app.state.database.as_person(asker(request), write=True) as (connection, _):
        found = await platform_health(connection)
        missing = await missing_partitions(connection, now)
        runs = await audits.runs(connection)
        platforms = await provider_lines(connection, now)
    audited = audit.audited(runs)
    jobs = [_job(run, now) for run in found.jobs]
    lines = [
        _jobs(view, jobs), _months(view, found, missing, now), _set_aside(view, found), _database(view, request, found),
        _sites(view, found), _refused(view, found), _deliveries(view, found), _audit(view, audited),
    ]  # fmt: skip
    worst = next((level for level in WORST if any(line.level == level for line in lines)), "fine")
    return page(
        request, "admin_health.html", view=view, part="health", lines=lines, jobs=jobs, worst=worst,
        wrong=sum(1 for line in lines if line.level == worst), versions=_versions(found),
        providers=platforms, audit=audited, asked_at=runs.asked_at, asked=_asked(request),
    )  # fmt: skip


def _audit(view: View, audited: audit.Audited | None) -> Line:
    level, said = audit.said(view, audited)
    return Line("audit", cast(Level, level), said, "#audit")


def _asked(request: PageRequest) -> str | None:
    answer = request.query_params.get("audit")
    return answer if answer in get_args(audits.Asked) else None


def _job(run: JobRun, now: datetime) -> JobLine:
    """A job that failed is to be looked at; one that has not gone well for a day is broken, and so are wrong figures."""
    is_late = run.last_ok_at is None or now - run.last_ok_at > DUE
    if run.outcome is None:
        return JobLine(run, "look" if is_late else "fine", "under_way")
    if run.outcome != "ok":
        return JobLine(run, "broken" if is_late else "look", run.outcome)
    if run.job == "verify_counters" and run.detail:
        return JobLine(run, "broken", "differ")
    return JobLine(run, "look" if is_late else "fine", "late" if is_late else "ok")


def _jobs(view: View, jobs: list[JobLine]) -> Line:
    if not jobs:
        return Line("jobs", "unknown", view.words("platform.no_jobs"))
    wrong = [job for job in jobs if job.level != "fine"]
    if not wrong:
        return Line("jobs", "fine", view.words("platform.jobs_fine", n=len(jobs)), "#jobs")
    worst: Level = "broken" if any(job.level == "broken" for job in wrong) else "look"
    return Line(
        "jobs",
        worst,
        view.words("platform.jobs_wrong", names=", ".join(job.run.job for job in wrong)),
        "#jobs",
    )


def _months(view: View, found: PlatformHealth, missing: list[str], now: datetime) -> Line:
    if missing:
        return Line("months", "broken", view.words("health.no_place", names=", ".join(missing)))
    this = f"{now:%Y-%m}"
    ahead = [month for month in found.months if month > this]
    last = ahead[-1] if ahead else this
    said = view.words("platform.months", n=len(ahead), last=last)
    return Line("months", "fine" if ahead else "look", said)


def _counted(view: View, n: int) -> str:
    return view.words("rules.or_more", n=view.number(n)) if n >= MOST else view.number(n)


def _set_aside(view: View, found: PlatformHealth) -> Line:
    sessions, events = _counted(view, found.default_sessions), _counted(view, found.default_events)
    if not found.default_sessions + found.default_events:
        return Line("default", "fine", view.words("platform.default_none"))
    return Line("default", "look", view.words("platform.default", sessions=sessions, events=events))


def _database(view: View, request: PageRequest, found: PlatformHealth) -> Line:
    said = view.words("platform.database", size=size_of(view, found.database_bytes))
    settings = request.app.state.settings
    if settings.database_url:  # on a disk that this process does not see
        return Line("database", "fine", said)
    disk = shutil.disk_usage(settings.home)
    share = disk.free / disk.total
    said += " " + view.words("platform.free", size=size_of(view, disk.free), share=view.percent(share))
    return Line(
        "database",
        "broken" if share < LITTLE_SPACE[0] else "look" if share < LITTLE_SPACE[1] else "fine",
        said,
    )


def _sites(view: View, found: PlatformHealth) -> Line:
    said = view.words(
        "platform.sites", n=view.number(found.sites), silent=view.number(found.silent), never=view.number(found.never),
        off=view.number(found.sites_off),
    )  # fmt: skip
    return Line(
        "sites",
        "look" if found.silent else "fine",
        said,
        "/admin/sites?only=silent" if found.silent else "/admin/sites",
    )


def _refused(view: View, found: PlatformHealth) -> Line:
    said = view.words(
        "platform.refused", n=_counted(view, found.refused), waiting=_counted(view, found.waiting)
    )
    return Line("refused", "fine", said)


def _deliveries(view: View, found: PlatformHealth) -> Line:
    said = view.words(
        "platform.deliveries",
        webhooks=view.number(found.webhooks_failing),
        mails=view.number(found.mails_failing),
    )
    return Line("deliveries", "look" if found.webhooks_failing + found.mails_failing else "fine", said)


def size_of(view: View, size: int) -> str:
    """12.3 GB, in powers of a thousand as disks are sold."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{view.decimal(amount)}\u00a0{unit}"


def _versions(found: PlatformHealth) -> list[tuple[str, str]]:
    try:
        own = version("opsmantik")
    except PackageNotFoundError:  # run from a checkout that was never installed
        own = "—"
    return [("OpsMantik", own), ("PostgreSQL", found.version), ("Python", platform.python_version())]


HANDLERS: Final = [show_platform_sites, show_platform_health]
