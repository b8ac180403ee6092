"""All background jobs of the server: upkeep's own, those by which leads are decided, those that privacy asks for, audits.

They meet here, at a door, because decisions, audit and upkeep are flows beside each other and none calls another; and
because an erasure that was cut off needs the installation's keys, which only doors read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog

from opsmantik import settings as environment
from opsmantik.audit import run as audit
from opsmantik.audit import store as audits
from opsmantik.audit.checks import all_checks
from opsmantik.audit.given import GIVEN
from opsmantik.cli.watch import WATCH
from opsmantik.db import embedded
from opsmantik.decisions import auto
from opsmantik.errors import OpsMantikError
from opsmantik.keyring import keyring
from opsmantik.privacy import erasure
from opsmantik.privacy import store as privacy
from opsmantik.privacy.subject import Seals
from opsmantik.settings import Settings
from opsmantik.upkeep import archive as archives
from opsmantik.upkeep import archive_erasing, retention, runner, scheduled_imports, tending
from opsmantik.upkeep.archive import Archive
from opsmantik.upkeep.runner import HOUR, Detail, Job

log = structlog.get_logger()

# Younger ones are still under way.
CUT_OFF = timedelta(minutes=10)


def archive_of(installation: Settings) -> Archive:
    """Where this installation archives months, and whether it does."""
    return Archive(
        directory=installation.archive_directory or installation.home / "archive",
        is_on=installation.archive == "on", months=installation.archive_months or None,
    )  # fmt: skip


async def _retention(connection: Any) -> Detail:
    return await retention.expire(connection, archive=archive_of(environment.load()))


async def _archive(connection: Any) -> Detail:
    """Take whoever was erased out of archived months, too, and remove the files of those that are old enough."""

    @asynccontextmanager
    async def transactions() -> AsyncIterator[Any]:
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            yield connection

    if not await connection.fetchval("SELECT EXISTS (SELECT FROM archived_months)"):
        return {}
    installation = environment.load()
    archive = archive_of(installation)
    seals = Seals(environment.secret(installation))
    found: Detail = {}
    if gone := await archive_erasing.carry_out(
        connection, transactions, archive.directory, keyring(installation), seals
    ):
        found["erased"] = gone
    if old := await archives.forget_old(connection, archive):
        found["removed"] = old
    return found


async def _erasures(connection: Any) -> Detail:
    """Go on with erasures that were cut off."""

    @asynccontextmanager
    async def transactions() -> AsyncIterator[Any]:
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            yield connection

    async with transactions():
        waiting = await privacy.unfinished(connection, CUT_OFF)
    if not waiting:
        return {}
    installation = environment.load()
    keys, seals = keyring(installation), Seals(environment.secret(installation))
    finished = 0
    for site_id, erasure_id in waiting:
        try:
            await erasure.resume(transactions, site_id, erasure_id, keys, seals)
            finished += 1
        except OpsMantikError as refused:
            log.error(
                "privacy.erasure_waits", site=str(site_id), erasure=str(erasure_id), reason=refused.code
            )
    return {"finished": finished, "waiting": len(waiting) - finished}


async def _reindex(connection: Any) -> Detail:
    """Rebuild the indexes that the audit finds to be mostly air: there is one estimate of that."""
    check = [check for check in all_checks() if check.name == "bloated_indexes"]
    reader = await audit.connect(embedded.database_urls(environment.load())[0])
    try:
        report = await audit.audit(reader, check, GIVEN)
    finally:
        await reader.close()
    bloated = [finding.object for result in report.results for finding in result.findings]
    return await tending.reindex(connection, bloated)


async def _audit(connection: Any) -> Detail:
    """Ask every check about this database, keep the run, and say loudly what is wrong: names and counts, no more."""
    # Its own: every check has a read-only transaction, and values go in and out as the checks write them.
    reader = await audit.connect(embedded.database_urls(environment.load())[0])
    try:
        report = await audit.audit(reader, all_checks(), GIVEN)
    finally:
        await reader.close()
    await connection.execute("SET app.maintenance = 'on'")
    async with connection.transaction():
        before = await audits.latest(connection)
        await audits.keep(connection, report)
    new = len(audits.change(before, report).new) if before else len(report.keys())
    wrong = {
        level: [r.name for r in report.results if any(f.level == level for f in r.findings)]
        for level in ("error", "warn")
    }
    unknown = [result.name for result in report.unknown()]
    found = {"errors": report.count("error"), "warnings": report.count("warn"), "new": new}
    if wrong["error"]:
        log.error("audit.errors", checks=wrong["error"], **found)
    elif wrong["warn"]:
        log.warning("audit.warnings", checks=wrong["warn"], **found)
    if unknown:
        log.error("audit.not_answered", checks=unknown)
    return {**found, "not_answered": len(unknown)} if wrong["error"] or wrong["warn"] or unknown else {}


ARCHIVE = Job("archive", HOUR, _archive, longest_seconds=6 * HOUR)
JOBS = (
    *runner.JOBS,
    Job("auto_approve", HOUR, auto.approve_all),
    Job("auto_junk", HOUR, auto.junk_all),
    Job("erasures", HOUR, _erasures),
    Job("retention", 24 * HOUR, _retention, at_start=False, longest_seconds=6 * HOUR),
    ARCHIVE,
    Job("vacuum", 6 * HOUR, tending.vacuum, at_start=False, longest_seconds=6 * HOUR),
    Job("reindex", 24 * HOUR, _reindex, at_start=False, longest_seconds=6 * HOUR),
    Job("audit", 24 * HOUR, _audit, at_start=False),
    Job("scheduled_imports", scheduled_imports.EVERY_SECONDS, scheduled_imports.scheduled_imports),
    WATCH,
)
