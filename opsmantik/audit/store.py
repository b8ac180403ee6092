"""Runs of the audit over our own database, kept to be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from opsmantik.audit.findings import Report
from opsmantik.db.sql import queries

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
    return None if row is None else msgspec.convert(row, Report, strict=False)
