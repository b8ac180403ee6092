"""The next month has no partition at midnight, under load: nothing is lost, it is told, the next upkeep run mends it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from opsmantik.upkeep import runner, watching
from opsmantik.upkeep.partitions import waiting_months
from opsmantik.upkeep.runner import JOBS, connect, run_job

pytestmark = pytest.mark.slow

CLOSE_TO_MIDNIGHT = timedelta(seconds=40)


class Visitors:
    """They come, tap and go on around midnight, ever later; what was answered is remembered."""

    def __init__(self, traffic: Any, midnight: datetime) -> None:
        self.traffic, self.midnight = traffic, midnight
        self.clock = -CLOSE_TO_MIDNIGHT
        self.events: Counter[UUID] = Counter()
        self.visits: dict[UUID, int] = {}
        self.stop = False

    async def browse(self) -> None:
        last: UUID | None = None
        while not self.stop:
            self.clock += timedelta(milliseconds=250)
            again = last if self.clock.microseconds < 500_000 else None
            last, events = await self.traffic.visit(self.midnight + self.clock, session=again, views=2)
            self.visits[last] = self.visits.get(last, 0) + len(events)
            self.events.update(events)

    async def past(self, clock: timedelta) -> None:
        async with asyncio.timeout(60):
            while self.clock < clock:
                await asyncio.sleep(0.01)


async def told(connection: Any) -> set[str]:
    found = await watching.look(connection, mail_is_on=False, free_mb=None, least_free_mb=0)
    return {trouble.name for trouble in found} & {"partitions", "default_partitions"}


async def test_a_month_that_is_missing_at_midnight_under_load(
    database: Any, owner: Any, traffic: Any
) -> None:
    today = datetime.now(UTC).date()
    month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    for table in ("events", "sessions"):
        await owner.execute(f"ALTER TABLE {table} DETACH PARTITION parts.{table}_{month:%Y_%m}")
        await owner.execute(f"DROP TABLE parts.{table}_{month:%Y_%m}")
    visitors = Visitors(traffic, datetime(month.year, month.month, 1, tzinfo=UTC))
    upkeep = await connect(database.owner)
    browsing = [asyncio.create_task(visitors.browse()) for _ in range(4)]
    try:
        assert await told(upkeep) == {"partitions"}
        await visitors.past(timedelta(seconds=10))
        assert await told(upkeep) == {"partitions", "default_partitions"}
        assert [waiting.month for waiting in await waiting_months(upkeep)] == [month]

        for _ in range(3):  # a job that could not have its locks is tried again
            runs = [
                await run_job(database.owner, job)
                for job in JOBS
                if job.name in ("partitions_ahead", "drain_default")
            ]
            if {run.outcome for run in runs} == {"ok"}:
                break
        assert {run.outcome for run in runs} == {"ok"}, runs
        await visitors.past(visitors.clock + timedelta(seconds=10))
        visitors.stop = True
        await asyncio.gather(*browsing)
        assert await told(upkeep) == set() and await waiting_months(upkeep) == []
    finally:
        visitors.stop = True
        await asyncio.gather(*browsing, return_exceptions=True)
        await upkeep.close()

    stored = Counter(row["id"] for row in await owner.fetch("SELECT id FROM events"))
    assert stored == visitors.events
    counted = {
        row["id"]: row["event_count"] for row in await owner.fetch("SELECT id, event_count FROM sessions")
    }
    assert counted == visitors.visits
    places = {
        row["place"]
        for row in await owner.fetch("SELECT DISTINCT tableoid::regclass::text AS place FROM events")
    }
    assert places == {f"parts.events_{m:%Y_%m}" for m in (month, month - timedelta(days=1))}
    taps = await owner.fetchval("SELECT count(*) FROM calls")
    assert taps == sum(visitors.visits.values()) / 3
    assert (await runner.latest_runs(owner))["partitions_ahead"].outcome == "ok"
