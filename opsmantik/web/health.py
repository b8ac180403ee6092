"""Is the process alive (/healthz), and should it get traffic (/readyz)?

A process that is alive but cannot store an event must not be sent any: readiness fails when something that it
depends on fails, and says what. Whoever asks often, as several proxies do, is told what was found a second ago.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from litestar import MediaType, Response, get
from litestar.datastructures import State

from opsmantik.db.connect import UNREACHABLE, Database, refuse_unsafe_role
from opsmantik.db.readiness import missing_partitions
from opsmantik.errors import DatabaseUnavailable, OpsMantikError

ANSWER_SECONDS = 3.0
KEPT_SECONDS: Final = 1.0
MEGABYTE: Final = 1_000_000


class Readiness:
    """What this process depends on.

    ``home`` must have ``least_free_mb`` left on its disk. ``workers``: what runs beside the requests, by name; each says
    whether it is well.
    """

    def __init__(
        self,
        database: Database,
        collect_healthy: Callable[[], bool],
        *,
        home: Path | None = None,
        least_free_mb: int = 0,
        workers: Mapping[str, Callable[[], bool]] | None = None,
    ) -> None:
        self._database = database
        self._collect_healthy = collect_healthy
        self._home = home
        self._least_free_mb = least_free_mb
        self._kept: tuple[float, list[dict[str, str]]] | None = None
        self._asking = asyncio.Lock()
        self.workers = dict(workers or {})
        self.stopping = False

    async def lately(self) -> list[dict[str, str]]:
        """The reasons as they were a second ago at most; asked for once, however many want to know."""
        if self.stopping:
            return await self.reasons()
        async with self._asking:
            if self._kept is None or time.monotonic() - self._kept[0] > KEPT_SECONDS:
                found = await self.reasons()
                self._kept = time.monotonic(), found
            return self._kept[1]

    async def reasons(self) -> list[dict[str, str]]:
        """Why it should get no traffic; empty when it should."""
        if self.stopping:
            return [{"code": "stopping", "message": "The server is shutting down."}]
        found = []
        if not self._collect_healthy():
            found.append({"code": "collect", "message": "The ingest doors are not open."})
        if tired := [name for name, is_well in self.workers.items() if not is_well()]:
            found.append(
                {"code": "worker", "message": f"Ended by itself: {', '.join(tired)}. Start it again."}
            )
        found += self._of_disk()
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

    def _of_disk(self) -> list[dict[str, str]]:
        free = free_bytes(self._home) if self._home is not None and self._least_free_mb else None
        if free is None or free >= self._least_free_mb * MEGABYTE:
            return []
        message = (
            f"Only {free // MEGABYTE} MB are free on the home directory's disk; {self._least_free_mb} must be"
            " (OPSMANTIK_DISK_FREE_MB)."
        )
        return [{"code": "disk", "message": message}]

    async def _of_database(self) -> list[dict[str, str]]:
        async with self._database.connection() as connection:
            await refuse_unsafe_role(connection)
            missing = await missing_partitions(connection, datetime.now(UTC))
        message = f"Partitions are missing: {', '.join(missing)}. Run: opsmantik db migrate"
        return [{"code": "partitions", "message": message}] if missing else []


def free_bytes(home: Path) -> int | None:
    """Bytes that are free on the disk of this directory, or of the nearest one above that is there."""
    for place in (home, *home.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


@get("/healthz", opt={"public": True, "probe": True}, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process runs and its event loop turns."""
    return {"status": "ok"}


@get("/readyz", opt={"public": True, "probe": True})
async def readyz(state: State) -> Response[dict[str, Any]]:
    """Whether requests should be sent here; 503 with the reasons if not."""
    reasons = await state.readiness.lately()
    status = "unready" if reasons else "ready"
    return Response(
        {"status": status, "reasons": reasons},
        status_code=503 if reasons else 200,
        media_type=MediaType.JSON,
        headers={"cache-control": "no-store"},
    )
