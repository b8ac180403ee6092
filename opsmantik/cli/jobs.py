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
from opsmantik.upkeep import retention, runner
from opsmantik.upkeep.runner import HOUR, Detail, Job

log = structlog.get_logger()

# Younger ones are still under way.
CUT_OFF = timedelta(minutes=10)


async def _retention(connection: Any) -> Detail:
    return await retention.expire(connection)


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


JOBS = (
    *runner.JOBS,
    Job("auto_approve", HOUR, auto.approve_all),
    Job("auto_junk", HOUR, auto.junk_all),
    Job("erasures", HOUR, _erasures),
    Job("retention", 24 * HOUR, _retention, at_start=False),
    Job("audit", 24 * HOUR, _audit, at_start=False),
    WATCH,
)
