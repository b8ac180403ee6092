"""The background jobs of the server: each in its turn, on one node of several, never at the server's expense.

Enters: the owner's DSN. It has to reach PostgreSQL directly, or through a pooler that keeps sessions, because
a job's lease is an advisory lock of its session: whoever dies lets go of it. Leaves: a row in ``upkeep_runs``
for every run. A job that fails is logged and tried again before its turn; a run whose process died is found
by the next one and marked as lost.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec
import structlog

from opsmantik.counters import store as counters
from opsmantik.db.connect import prepare_connection
from opsmantik.upkeep.partitions import drain_default, make_months_ahead
from opsmantik.upkeep.purge import purge

log = structlog.get_logger()

HOUR = 3600.0
CONNECT_SECONDS = 10.0
# A run that takes longer than this, or than its job says, hangs; its transaction is rolled back and the job tried again.
LONGEST_RUN_SECONDS = 1800.0
FIRST_RETRY_SECONDS = 30.0

LEASE = "SELECT pg_try_advisory_lock(hashtextextended('opsmantik job: ' || $1, 0))"
FRESH = (
    "SELECT EXISTS (SELECT FROM upkeep_runs WHERE job = $1 AND outcome = 'ok'"
    " AND started_at > clock_timestamp() - make_interval(secs => $2))"
)
# Under the lease no other run can be under way: what has no end was cut off.
MARK_LOST = (
    "UPDATE upkeep_runs SET outcome = 'lost', finished_at = clock_timestamp()"
    " WHERE job = $1 AND finished_at IS NULL"
)
WISHED = "DELETE FROM upkeep_wishes WHERE job = ANY ($1) RETURNING job"
BEGIN = "INSERT INTO upkeep_runs (job, node) VALUES ($1, $2) RETURNING id"
END = "UPDATE upkeep_runs SET finished_at = clock_timestamp(), outcome = $2, detail = $3 WHERE id = $1"
LATEST = (
    "SELECT DISTINCT ON (job) job, started_at, finished_at, outcome, detail, node FROM upkeep_runs"
    " WHERE job = ANY ($1) ORDER BY job, started_at DESC"
)
# An advisory lock of one bigint: its upper half is the class, its lower half the object.
HOLDERS = (
    "SELECT j.job,"
    " coalesce(nullif(split_part(a.application_name, ' upkeep ', 2), ''), a.application_name, 'session ' || l.pid)"
    " AS holder"
    " FROM unnest($1::text[]) AS j (job)"
    " CROSS JOIN LATERAL (SELECT hashtextextended('opsmantik job: ' || j.job, 0) AS key) k"
    " JOIN pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted"
    "  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    "  AND l.classid = ((k.key >> 32) & 4294967295)::oid AND l.objid = (k.key & 4294967295)::oid"
    " LEFT JOIN pg_stat_activity a ON a.pid = l.pid"
)

Detail = dict[str, Any]


class Job(msgspec.Struct, frozen=True):
    """A job: what it is called, how often it is due, and what it does.

    ``run`` gets the owner's connection outside any transaction; what it returns is kept as the run's detail,
    empty when there was nothing to do. It must be safe to repeat, and to be cut off between transactions.
    """

    name: str
    every_seconds: float
    run: Callable[[Any], Awaitable[Detail]]
    at_start: bool = True  # whether a server that starts makes sure by itself, however lately another did
    longest_seconds: float | None = None  # what reads or writes whole tables may take longer than others


class Run(msgspec.Struct, frozen=True):
    """How a run went. ``elsewhere``: another node is at it; ``fresh``: another node has just done it."""

    job: str
    outcome: Literal["ok", "failed", "elsewhere", "fresh"]
    detail: Detail


class Latest(msgspec.Struct, frozen=True):
    """The newest run of a job on any node; ``outcome`` is None while it goes on."""

    job: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    detail: Detail | None
    node: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it goes on."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


async def _partitions_ahead(connection: Any) -> Detail:
    made = await make_months_ahead(connection)
    return {"made": made} if made else {}


async def _drain_default(connection: Any) -> Detail:
    drained = await drain_default(connection)
    return {"months": [msgspec.to_builtins(month) for month in drained]} if drained else {}


async def _purge(connection: Any) -> Detail:
    return dict(await purge(connection))


async def _note_quotas(connection: Any) -> Detail:
    noted: int = await connection.fetchval("SELECT note_quotas()")
    return {"noted": noted} if noted else {}


async def _verify_counters(connection: Any) -> Detail:
    """Compare every figure of every site with its rows, and what leads are searched by. A difference is a fault of ours: it
    is said loudly, and kept."""
    await connection.execute("SET app.maintenance = 'on'")
    wrong: Detail = {}
    for site_id, _ in await counters.sites(connection):
        found = await counters.differences(connection, site_id)
        if found:
            wrong[str(site_id)] = len(found)
            # Not the key: a page or a campaign may be one person's own.
            first = f"{found[0].day} {found[0].dimension} {found[0].measure}"
            log.error("counters.differ", site=str(site_id), figures=len(found), first=first)
        leads = await counters.lead_differences(connection, site_id)
        if leads:
            wrong[str(site_id)] = len(found) + len(leads)
            log.error("lead_search.differs", site=str(site_id), leads=len(leads), first=str(leads[0]))
    return wrong


JOBS = (
    Job("partitions_ahead", HOUR, _partitions_ahead),
    Job("drain_default", HOUR, _drain_default),
    Job("purge", HOUR, _purge),
    Job("note_quotas", HOUR / 6, _note_quotas),
    Job("verify_counters", 24 * HOUR, _verify_counters, at_start=False),
)


class Upkeep:
    """Runs the jobs at start and whenever they are due, until stopped."""

    def __init__(self, owner_dsn: str, jobs: Sequence[Job] = JOBS) -> None:
        self._owner_dsn = owner_dsn
        self._jobs = jobs
        self._failures = dict.fromkeys((job.name for job in jobs), 0)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background; the server need not wait for the first runs."""
        self._task = asyncio.create_task(self._lanes(), name="upkeep")

    async def stop(self) -> None:
        """Cut off what is under way; its transaction is rolled back and the next start does it again."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def healthy(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    async def _lanes(self) -> None:
        """One after another, but those that may take hours beside the others: the watchdog must not wait for them."""
        lanes = [[job for job in self._jobs if bool(job.longest_seconds) is long] for long in (False, True)]
        async with asyncio.TaskGroup() as group:
            for lane in filter(None, lanes):
                group.create_task(self._work(lane))

    async def _work(self, jobs: Sequence[Job]) -> None:
        turns = dict.fromkeys((job.name for job in jobs), 0.0)
        started: set[str] = set()
        while True:
            wished = await self._wished(list(turns))
            for job in jobs:
                if turns[job.name] > time.monotonic() and job.name not in wished:
                    continue
                # Several nodes take turns, but at its own start each makes sure for itself.
                again = (job.name in started or not job.at_start) and job.name not in wished
                fresh = job.every_seconds / 2 if again else 0.0
                started.add(job.name)
                turns[job.name] = time.monotonic() + await self._attempt(job, fresh)
            await asyncio.sleep(max(0.0, min(turns.values()) - time.monotonic()))

    async def _wished(self, names: list[str]) -> set[str]:
        """Jobs that somebody wants now. Whoever takes a wish runs the job."""
        try:
            connection = await connect(self._owner_dsn)
            try:
                rows = await connection.fetch(WISHED, names)
            finally:
                await _close(connection)
        except Exception:  # the database is away: the jobs say so
            return set()
        return {row["job"] for row in rows}

    async def _attempt(self, job: Job, fresh_seconds: float) -> float:
        """Run a job and return the seconds until its next turn."""
        try:
            run = await run_job(self._owner_dsn, job, fresh_seconds=fresh_seconds)
        except Exception as error:  # the database is away, say: no job may end the server
            log.warning("upkeep.unreachable", job=job.name, error=f"{type(error).__name__}: {error}")
            run = Run(job.name, "failed", {})
        if run.outcome in ("ok", "fresh"):
            self._failures[job.name] = 0
            return job.every_seconds
        retry = min(FIRST_RETRY_SECONDS * 2.0 ** self._failures[job.name], job.every_seconds)
        if run.outcome == "failed":
            self._failures[job.name] = min(self._failures[job.name] + 1, 16)
        return float(retry)


async def run_job(owner_dsn: str, job: Job, *, fresh_seconds: float = 0.0) -> Run:
    """Run a job once, now, unless another node is at it or has done it less than ``fresh_seconds`` ago.

    A failure of the job is logged and recorded, and is the outcome. Raises what ``asyncpg`` raises when the
    database cannot be reached.
    """
    connection = await connect(owner_dsn)
    try:
        if not await connection.fetchval(LEASE, job.name):
            return Run(job.name, "elsewhere", {})
        if fresh_seconds and await connection.fetchval(FRESH, job.name, fresh_seconds):
            return Run(job.name, "fresh", {})
        return await _recorded_run(connection, job)
    finally:
        await _close(connection)


async def latest_runs(connection: Any, jobs: Sequence[Job] = JOBS) -> dict[str, Latest]:
    """The newest run of each job that ever ran, by the job's name."""
    rows = await connection.fetch(LATEST, [job.name for job in jobs])
    return {row["job"]: Latest(**row) for row in rows}


async def lease_holders(connection: Any, jobs: Sequence[Job] = JOBS) -> dict[str, str]:
    """Who holds the lease of which job at this moment: the machine and process, as :func:`node_name` names it."""
    rows = await connection.fetch(HOLDERS, [job.name for job in jobs])
    return {row["job"]: row["holder"] for row in rows}


def node_name() -> str:
    """This process, among several of several machines. PostgreSQL keeps 63 bytes of a connection's name."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}"


async def connect(owner_dsn: str) -> Any:
    """A connection as the owner. It waits for no lock for long: whoever waits holds up those behind."""
    connection = await asyncpg.connect(
        owner_dsn,
        timeout=CONNECT_SECONDS,
        server_settings={
            "application_name": f"opsmantik upkeep {node_name()}",
            "jit": "off",
            "lock_timeout": "5s",
        },
    )
    await prepare_connection(connection)
    return connection


async def _recorded_run(connection: Any, job: Job) -> Run:
    await connection.execute(MARK_LOST, job.name)
    run_id = await connection.fetchval(BEGIN, job.name, node_name())
    began = time.monotonic()
    try:
        async with asyncio.timeout(job.longest_seconds or LONGEST_RUN_SECONDS):
            run = Run(job.name, "ok", await job.run(connection))
    except Exception as error:
        log.exception("upkeep.failed", job=job.name)
        # The database's own words may quote a visitor's row.
        words = str(error)
        if isinstance(error, asyncpg.PostgresError):
            words = re.sub(r'"[^"]*"?', '"..."', str(error.args[0]) if error.args else "")
        run = Run(job.name, "failed", {"error": f"{type(error).__name__}: {words}"[:500]})
    else:
        if run.detail:
            log.info(
                "upkeep.ran", job=job.name, seconds=round(time.monotonic() - began, 3), detail=run.detail
            )
    await connection.execute(END, run_id, run.outcome, run.detail)
    return run


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=5)
    except Exception:
        connection.terminate()
