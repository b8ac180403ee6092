"""All background jobs of the server: upkeep's own, the rules by which sites let leads be decided, and what privacy asks.

They meet here, at a door, because decisions and upkeep are flows beside each other and neither calls the other; and because
an erasure that was cut off needs the installation's keys, which only doors read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog

from opsmantik import settings as environment
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


JOBS = (
    *runner.JOBS,
    Job("auto_approve", HOUR, auto.approve_all),
    Job("auto_junk", HOUR, auto.junk_all),
    Job("erasures", HOUR, _erasures),
    Job("retention", 24 * HOUR, _retention, at_start=False),
)
