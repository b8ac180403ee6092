"""An archive or a restore that is killed loses nothing and leaves nothing half; two nodes are as one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from opsmantik.upkeep import archive, retention
from opsmantik.upkeep.archive import Archive
from opsmantik.upkeep.runner import Job, lease_holders, node_name, run_job
from tests.upkeep.archived import Month, is_there, make_month, names, place, upkeep

__all__ = ["make_month", "place", "upkeep"]

pytestmark = pytest.mark.slow

# A process of its own that stops dead where it is told to, so that it can be killed there.
CHILD = """
import asyncio, sys, time
from datetime import date
from pathlib import Path
from opsmantik.upkeep import archive, parquet, retention
from opsmantik.upkeep.archive import Archive
from opsmantik.upkeep.runner import connect

dsn, directory, what, month, module, name = sys.argv[1:]
module = {"archive": archive, "parquet": parquet, "retention": retention}[module]
name, _, calls = name.partition("@")
real, left = getattr(module, name), [int(calls or 1)]
def stop(*args, **named):
    left[0] -= 1
    if left[0]:
        return real(*args, **named)
    print("here", flush=True)
    time.sleep(60)
setattr(module, name, stop)

async def main():
    connection = await connect(dsn)
    if what == "archive":
        await retention.expire(connection, archive=Archive(Path(directory), is_on=True))
    else:
        await archive.restore(connection, Path(directory), date.fromisoformat(month), 30)
asyncio.run(main())
"""


async def killed(dsn: str, directory: Path, what: str, month: date, at: str) -> None:
    """Run it in a process of its own until it stands where it is to be killed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, dsn, str(directory), what, f"{month}", *at.split("."), stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    try:
        assert child.stdout is not None
        async with asyncio.timeout(30):
            while (line := await child.stdout.readline()) != b"here\n":
                assert line, "it ended without coming there"
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()


async def alone(owner: Any) -> None:
    """Wait until PostgreSQL has noticed that the process is gone."""
    async with asyncio.timeout(10):
        while await owner.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'opsmantik upkeep %' AND application_name NOT LIKE '%:' || $1)",
            str(os.getpid()),
        ):
            await asyncio.sleep(0.05)


ARCHIVE = {
    "as it is noted": ("archive.archive_month", True),
    "before a row is read back": ("parquet.read_content", True),
    "before the month is noted as whole": ("archive._on_disk", True),
    "before the first partition goes": ("retention._drop", True),
    "before the visits go": ("retention._months", False),
}


@pytest.mark.parametrize(("at", "whole"), ARCHIVE.values(), ids=ARCHIVE)
async def test_an_archive_that_is_killed_is_finished_by_the_next_run(
    make_month: Any, owner: Any, upkeep: Any, place: Archive, database: Any, at: str, whole: bool
) -> None:
    month: Month = await make_month(3)
    before = await month.rows()
    await killed(database.owner, place.directory, "archive", month.month, at)
    await alone(owner)
    assert (await month.rows() == before) is whole
    await retention.expire(upkeep, archive=place)
    assert not await is_there(owner, month.month)
    kept = await owner.fetchval("SELECT files FROM archived_months WHERE month = $1", month.month)
    files = {file["file"] for file in kept.values()}
    await archive.tidy(upkeep, place.directory)
    assert names(place) == files | {f"{Path(name).stem}.json" for name in files}
    await archive.restore(upkeep, place.directory, month.month, 30)
    assert await month.rows() == before


RESTORE = {
    "before the events' sum is compared": "parquet.content@2",
    "when the visits are back and their events not": "archive._put_back@2",
}


@pytest.mark.parametrize("at", RESTORE.values(), ids=RESTORE)
async def test_a_restore_that_is_killed_leaves_nothing_half(
    make_month: Any, owner: Any, upkeep: Any, place: Archive, database: Any, at: str
) -> None:
    month: Month = await make_month(3)
    before = await month.rows()
    await retention.expire(upkeep, archive=place)
    await killed(database.owner, place.directory, "restore", month.month, at)
    await alone(owner)
    assert await month.rows() == {table: [] for table in before}
    assert await owner.fetchval("SELECT restored_until FROM archived_months") is None
    await archive.restore(upkeep, place.directory, month.month, 30)
    assert await month.rows() == before


async def test_two_nodes_archive_a_month_once(
    make_month: Any, owner: Any, upkeep: Any, place: Archive, database: Any, tmp_path: Path
) -> None:
    month: Month = await make_month(20)
    before = await month.rows()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OPSMANTIK_")} | {
        "DATABASE_URL": database.owner, "OPSMANTIK_HOME": str(tmp_path), "OPSMANTIK_ARCHIVE": "on",
        "OPSMANTIK_ARCHIVE_DIRECTORY": str(place.directory), "OPSMANTIK_SECRET_KEY": "k" * 40,
    }  # fmt: skip
    command = [sys.executable, "-m", "opsmantik.cli", "upkeep"]

    async def said(*words: str) -> tuple[int | None, str]:
        child = await asyncio.create_subprocess_exec(
            *command, *words, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await child.communicate()
        return child.returncode, out.decode()

    both = await asyncio.gather(said("run", "retention"), said("run", "retention"))
    assert [code for code, _ in both] == [0, 0], both
    assert sum(f"archived: ['{month.month:%Y-%m}']" in words for _, words in both) == 1, both
    assert len(names(place)) == 4 and not await is_there(owner, month.month)

    name = f"{month.month:%Y-%m}"
    both = await asyncio.gather(said("restore", name), said("restore", name))
    assert sorted(code or 0 for code, _ in both) == [0, 1], both
    assert sum("sessions: 20 rows are back" in words for _, words in both) == 1, both
    assert await month.rows() == before


async def test_events_go_on_coming_in_while_a_month_leaves_and_comes_back(
    make_month: Any, owner: Any, upkeep: Any, place: Archive, traffic: Any
) -> None:
    month: Month = await make_month(60)
    before, longest, stop = await month.rows(), 0.0, asyncio.Event()

    async def browse() -> int:
        nonlocal longest
        n = 0
        while not stop.is_set():
            began = time.monotonic()
            await traffic.visit(datetime.now(UTC))
            longest, n = max(longest, time.monotonic() - began), n + 1
        return n

    browsing = [asyncio.create_task(browse()) for _ in range(3)]
    await asyncio.sleep(0.2)
    for _ in range(3):  # a job that could not have its locks is tried again
        try:
            await retention.expire(upkeep, archive=place)
            break
        except asyncpg.LockNotAvailableError:
            continue
    assert not await is_there(owner, month.month)
    await archive.restore(upkeep, place.directory, month.month, 30)
    stop.set()
    assert sum(await asyncio.gather(*browsing)) > 10
    assert longest < 1.5, longest
    assert await month.rows() == before


async def test_who_holds_a_lease_is_told(database: Any, upkeep: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def work(connection: Any) -> dict[str, Any]:
        entered.set()
        await leave.wait()
        return {}

    job, other = Job("held_job", 60, work), Job("free_job", 60, work)
    running = asyncio.create_task(run_job(database.owner, job))
    await entered.wait()
    assert await lease_holders(upkeep, [job, other]) == {"held_job": node_name()}
    leave.set()
    await running
    async with asyncio.timeout(5):
        while await lease_holders(upkeep, [job, other]):
            await asyncio.sleep(0.02)
