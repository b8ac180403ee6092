"""Google's scheduled import, from our side: makes the batches that Google fetches, and says when they count as accepted.

A site whose conversions leave as a file may let Google fetch them (``"pull": "hourly"`` or ``"daily"`` in its route). Then
nobody acknowledges anything: Google tells this way nothing back. Every five minutes, for each such site:

1. at most once an hour, or a day, what is due goes into a batch a kind (``gather_pull``);
2. what was fetched whole a day ago counts as accepted, with the word ``unconfirmed`` beside it (``settle_pulls``); who has
   said no since is taken out of what is still to be fetched.

Enters: the owner's connection. Each site has a transaction of its own.
"""

from __future__ import annotations

from typing import Any, Final

import asyncpg
import structlog

from opsmantik.upkeep.exporting import MOST_IN_A_FILE

log = structlog.get_logger()

EVERY_SECONDS: Final = 300.0
SITES: Final = "SELECT pull_sites() AS site_id"
GATHER: Final = "SELECT gather_pull($1, $2)"
SETTLE: Final = "SELECT settle_pulls($1)"


async def scheduled_imports(connection: Any) -> dict[str, Any]:
    """One round; how many conversions were gathered, and how many batches count as accepted now."""
    gathered = settled = 0
    for row in await connection.fetch(SITES):
        try:
            settled += await connection.fetchval(SETTLE, row["site_id"])
            gathered += await connection.fetchval(GATHER, row["site_id"], MOST_IN_A_FILE)
        except asyncpg.PostgresError:  # one site's trouble must not keep the others waiting
            log.exception("conversions.scheduled_import_failed", site=str(row["site_id"]))
    return {"gathered": gathered, "settled": settled} if gathered or settled else {}
