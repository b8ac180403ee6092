"""Is the process alive (/healthz), and should it get traffic (/readyz)?

A process that is alive but cannot store an event must not be sent any: readiness fails when something that it
depends on fails, and says what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from litestar import MediaType, Response, get
from litestar.datastructures import State

from opsmantik.db.connect import UNREACHABLE, Database, refuse_unsafe_role
from opsmantik.db.readiness import missing_partitions
from opsmantik.errors import DatabaseUnavailable, OpsMantikError

ANSWER_SECONDS = 3.0


class Readiness:
    """What this process depends on."""

    def __init__(self, database: Database, collect_healthy: Callable[[], bool]) -> None:
        self._database = database
        self._collect_healthy = collect_healthy
        self.stopping = False

    async def reasons(self) -> list[dict[str, str]]:
        """Why it should get no traffic; empty when it should."""
        if self.stopping:
            return [{"code": "stopping", "message": "The server is shutting down."}]
        found = []
        if not self._collect_healthy():
            found.append({"code": "collect", "message": "The ingest doors are not open."})
        try:
            found += await asyncio.wait_for(self._of_database(), ANSWER_SECONDS)
        except TimeoutError:
            message = f"The database did not answer within {ANSWER_SECONDS:.0f} seconds."
            found.append({"code": DatabaseUnavailable.code, "message": message})
        except UNREACHABLE:
            found.append({"code": DatabaseUnavailable.code, "message": DatabaseUnavailable().message})
        except OpsMantikError as error:
            found.append({"code": error.code, "message": error.message})
        return found

    async def _of_database(self) -> list[dict[str, str]]:
        async with self._database.connection() as connection:
            await refuse_unsafe_role(connection)
            missing = await missing_partitions(connection, datetime.now(UTC))
        message = f"Partitions are missing: {', '.join(missing)}. Run: opsmantik db migrate"
        return [{"code": "partitions", "message": message}] if missing else []


@get("/healthz", opt={"public": True, "probe": True}, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process runs and its event loop turns."""
    return {"status": "ok"}


@get("/readyz", opt={"public": True, "probe": True})
async def readyz(state: State) -> Response[dict[str, Any]]:
    """Whether requests should be sent here; 503 with the reasons if not."""
    reasons = await state.readiness.reasons()
    status = "unready" if reasons else "ready"
    return Response(
        {"status": status, "reasons": reasons},
        status_code=503 if reasons else 200,
        media_type=MediaType.JSON,
        headers={"cache-control": "no-store"},
    )
