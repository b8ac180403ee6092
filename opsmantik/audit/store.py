"""Runs of the audit over our own database, kept to be compared."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.audit.checks import Level
from opsmantik.audit.findings import Report
from opsmantik.db.sql import queries
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_name("queries.sql"))
KEPT: Final = 400


class Change(msgspec.Struct, frozen=True):
    """What differs from the run before: what is wrong by its keys."""

    new: frozenset[str]
    gone: frozenset[str]


async def keep(connection: Any, report: Report) -> None:
    """Store a run of every check, as the owner with app.maintenance on, and forget the oldest beyond :data:`KEPT`."""
    await connection.execute(
        SQL.keep, report.started_at, report.seconds, report.count("error"), report.count("warn"), len(report.unknown()),
        msgspec.to_builtins(report, builtin_types=()),
    )  # fmt: skip
    await connection.execute(SQL.forget, KEPT)


def change(before: Report, after: Report) -> Change:
    """What is new and what is gone. A check that was not asked in one of the two says nothing about it."""
    asked = [
        {r.name for r in report.results if r.outcome in ("clean", "found")} for report in (before, after)
    ]
    both = asked[0] & asked[1]
    was, now = (_keys(report, both) for report in (before, after))
    return Change(frozenset(now - was), frozenset(was - now))


def _keys(report: Report, names: set[str]) -> set[str]:
    wrong = report.keys()
    return {
        f.cache_key for r in report.results if r.name in names for f in r.findings if f.cache_key in wrong
    }


async def latest(connection: Any) -> Report | None:
    """The newest run."""
    row = await connection.fetchval(SQL.latest)
    return _read(row)


def _read(kept: Any) -> Report | None:
    """A kept report; None for one of another version's shape: it is nothing to compare with or to show."""
    try:
        return None if kept is None else msgspec.convert(kept, Report, strict=False)
    except msgspec.ValidationError:
        return None


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """The newest run and the one before it, if there are; ``asked_at``: since when another is asked for."""

    newest: Report | None
    before: Report | None
    asked_at: datetime | None


class SiteFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one site. There is no ``detail`` where it would name another; no ``remedy`` where that is not the
    site's to do."""

    stem: str
    name: str
    group: str
    title: str
    level: Level
    detail: str | None
    remedy: str | None


class SiteAudit(msgspec.Struct, frozen=True):
    """The newest run, as far as it is about one site; errors first."""

    started_at: datetime
    findings: list[SiteFinding]


Asked = Literal["asked", "lately", "under_way"]


async def runs(connection: Any) -> Runs:
    """As whoever runs the platform; the database refuses everybody else."""
    rows = await connection.fetch(SQL.platform, 2)
    found = [report for row in rows if (report := _read(row["report"]))]
    newest, before, *_ = (*found, None, None)
    return Runs(newest=newest, before=before, asked_at=rows[0]["asked_at"])


async def of_site(connection: Any, site_id: UUID) -> SiteAudit | None:
    """What the newest run found about a site of the asker's; None: there was no run."""
    row = await connection.fetchrow(SQL.of_site, site_id)
    return None if row is None else msgspec.convert(dict(row), SiteAudit, strict=False)


async def ask(connection: Any) -> Asked:
    """Ask for a run now, as whoever runs the platform: "lately" and "under_way" say why there is none."""
    answer: Asked = await connection.fetchval(SQL.ask, new_id())
    return answer
