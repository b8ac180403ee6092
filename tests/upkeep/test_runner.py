"""Jobs run in their turn, on one node at a time, and whatever happens to them the server goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
import structlog

from opsmantik.upkeep import runner
from opsmantik.upkeep.runner import JOBS, Job, Upkeep, latest_runs, run_job

pytestmark = pytest.mark.slow

_numbers = count(1)


@pytest.fixture
def name() -> str:
    return f"job_{next(_numbers)}"


@pytest_asyncio.fixture(loop_scope="session")
async def upkeep(database: Any) -> AsyncIterator[Callable[..., Any]]:
    """Starts nodes; all are stopped at the end."""
    nodes: list[Upkeep] = []

    async def start(*jobs: Job, dsn: str | None = None) -> Upkeep:
        node = Upkeep(dsn or database.owner, jobs)
        nodes.append(node)
        await node.start()
        return node

    yield start
    for node in nodes:
        await node.stop()


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def runs(owner: Any, name: str) -> list[tuple[str | None, Any]]:
    rows = await owner.fetch("SELECT outcome, detail FROM upkeep_runs WHERE job = $1 ORDER BY id", name)
    return [(row["outcome"], row["detail"]) for row in rows]


async def test_the_server_s_jobs_run_at_its_start_and_leave_a_note(
    database: Any, owner: Any, upkeep: Callable[..., Any]
) -> None:
    await upkeep(*JOBS)
    names = {job.name for job in JOBS}
    async with asyncio.timeout(20):
        while {n for n, run in (await latest_runs(owner)).items() if run.outcome is not None} != names:
            await asyncio.sleep(0.02)
    for run in (await latest_runs(owner)).values():
        assert run.outcome == "ok"
        assert run.finished_at is not None and run.finished_at >= run.started_at
        assert run.detail == {}


async def test_a_job_comes_round_again(database: Any, upkeep: Callable[..., Any], name: str) -> None:
    ran = []

    async def work(connection: Any) -> dict[str, Any]:
        ran.append(1)
        return {}

    await upkeep(Job(name, 0.05, work))
    await until(lambda: len(ran) >= 3)


async def test_one_node_of_two_runs_a_job(database: Any, owner: Any, name: str) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def work(connection: Any) -> dict[str, Any]:
        entered.set()
        await leave.wait()
        return {"by": "first"}

    async def never(connection: Any) -> dict[str, Any]:
        raise AssertionError("two nodes at the same job")

    first = asyncio.create_task(run_job(database.owner, Job(name, 60, work)))
    await entered.wait()
    assert (await run_job(database.owner, Job(name, 60, never))).outcome == "elsewhere"
    other = await run_job(database.owner, Job(name + "_other", 60, lambda connection: asyncio.sleep(0, {})))
    assert other.outcome == "ok", "another job is not held up"
    leave.set()
    assert (await first).outcome == "ok"
    # What the other node has just done need not be done again; what it did long ago is due.
    assert (await run_job(database.owner, Job(name, 60, never), fresh_seconds=30)).outcome == "fresh"
    await owner.execute(
        "UPDATE upkeep_runs SET started_at = started_at - interval '31 s' WHERE job = $1", name
    )
    assert (await run_job(database.owner, Job(name, 60, never), fresh_seconds=30)).outcome == "failed"
    assert [outcome for outcome, _ in await runs(owner, name)] == ["ok", "failed"]


async def test_a_failing_job_is_logged_recorded_and_tried_again_before_its_turn(
    database: Any, owner: Any, upkeep: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_SECONDS", 0.05)
    tries, others = [], []

    async def work(connection: Any) -> dict[str, Any]:
        tries.append(1)
        if len(tries) < 3:
            await connection.execute("SELECT 1 / 0")
        return {"tries": len(tries)}

    async def other(connection: Any) -> dict[str, Any]:
        others.append(1)
        return {}

    with structlog.testing.capture_logs() as logged:
        await upkeep(Job(name, 3600, work), Job(f"{name}_other", 3600, other))
        await until(lambda: any(entry["event"] == "upkeep.ran" and entry["job"] == name for entry in logged))
    failures = [entry for entry in logged if entry["event"] == "upkeep.failed"]
    assert [(entry["job"], entry["log_level"]) for entry in failures] == [(name, "error")] * 2
    assert others == [1]
    async with asyncio.timeout(5):
        while len(noted := [run for run in await runs(owner, name) if run[0]]) < 3:
            await asyncio.sleep(0.02)
    error = {"error": "DivisionByZeroError: division by zero"}
    assert noted == [("failed", error), ("failed", error), ("ok", {"tries": 3})]


async def test_a_job_that_hangs_is_ended_and_the_next_one_runs(
    database: Any, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LONGEST_RUN_SECONDS", 0.2)

    async def work(connection: Any) -> dict[str, Any]:
        async with connection.transaction():
            await connection.execute("CREATE TABLE half_done (id int)")
            await connection.execute("SELECT pg_sleep(60)")
        return {}

    async with asyncio.timeout(10):
        assert (await run_job(database.owner, Job(name, 60, work))).outcome == "failed"
    assert [outcome for outcome, _ in await runs(owner, name)] == ["failed"]
    assert await owner.fetchval("SELECT to_regclass('half_done')") is None


async def test_stop_cuts_a_run_off_and_the_next_run_marks_it_as_lost(
    database: Any, owner: Any, upkeep: Callable[..., Any], name: str
) -> None:
    entered = asyncio.Event()

    async def work(connection: Any) -> dict[str, Any]:
        entered.set()
        await connection.execute("SELECT pg_sleep(60)")
        return {}

    node = await upkeep(Job(name, 60, work))
    await entered.wait()
    async with asyncio.timeout(10):
        await node.stop()
    assert [outcome for outcome, _ in await runs(owner, name)] == [None]
    # Its lease is gone with its connection.
    async with asyncio.timeout(10):
        while (await run_job(database.owner, Job(name, 60, lambda c: asyncio.sleep(0, {})))).outcome != "ok":
            await asyncio.sleep(0.05)
    assert [outcome for outcome, _ in await runs(owner, name)] == ["lost", "ok"]


async def test_without_a_database_upkeep_waits_and_tries_again(
    upkeep: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_SECONDS", 0.05)
    with structlog.testing.capture_logs() as logged:
        node = await upkeep(
            Job(name, 60, lambda c: asyncio.sleep(0, {})), dsn=f"postgresql:///x?host={tmp_path}"
        )
        await until(lambda: sum(entry["event"] == "upkeep.unreachable" for entry in logged) >= 2)
    await node.stop()
