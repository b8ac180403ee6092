"""Every check in three beats: the healthy database is clean; with its fault planted it finds that and nothing else does;
mended by the remedy that it names, it is clean again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from opsmantik.audit import run
from opsmantik.audit.checks import all_checks
from opsmantik.audit.findings import Report, Result
from opsmantik.audit.given import GIVEN
from tests.audit.case import Case, cases_of
from tests.audit.conftest import Clone
from tests.conftest import Dsns

CHECKS = {check.stem: check for check in all_checks()}


async def audited(dsn: str, *stems: str) -> Report:
    connection = await run.connect(dsn)
    try:
        return await run.audit(connection, [CHECKS[s] for s in stems or CHECKS], GIVEN)
    finally:
        await connection.close()


def wrong(result: Result) -> list[str]:
    return [f"{f.level} {f.object}: {f.detail}" for f in result.findings if f.level != "info"]


@asynccontextmanager
async def second_session(dsn: str, statements: str) -> AsyncIterator[None]:
    """Runs them at the side of what is within, which lets them end; they have been at it for more than a second."""
    if not statements:
        yield
        return
    connection: Any = await asyncpg.connect(dsn)
    running = asyncio.create_task(connection.execute(statements))
    try:
        await asyncio.sleep(1.2)
        yield
        await running
    finally:
        running.cancel()
        connection.terminate()


@pytest.mark.slow
async def test_the_healthy_database_is_clean(healthy: Dsns) -> None:
    report = await audited(healthy.owner)
    assert {r.stem: r.reason for r in report.unknown()} == {}
    assert {r.stem: wrong(r) for r in report.results if r.outcome == "found"} == {}


def every_case() -> list[Case]:
    return [case for stem in CHECKS for case in cases_of(stem)]


def beside(case: Case) -> list[str]:
    """What else must see nothing: everything, but for the plans of all our statements, which take as long as all else
    together, where the fault is one that no plan depends on."""
    planned = CHECKS[case.stem].group in ("indexes", "partitions")
    return [
        stem
        for stem, check in CHECKS.items()
        if planned or check.given != "plans" or stem in (case.stem, *case.also)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("case", every_case(), ids=lambda case: f"{case.stem}-{case.number}")
async def test_a_planted_fault_is_found_and_nothing_else_and_its_remedy_clears_it(
    clone: Clone, case: Case
) -> None:
    dsns = await clone()
    admin: Any = await asyncpg.connect(dsns.admin)
    await admin.execute("SET app.maintenance = 'on'")
    try:
        await admin.execute(case.broken)
        async with second_session(dsns.admin, case.beside):
            report = await audited(dsns.owner, *beside(case))
            by_stem = {result.stem: result for result in report.results}
            found = [f for f in by_stem[case.stem].findings if f.level != "info"]
            objects = [finding.object for finding in found]
            assert found, f"{by_stem[case.stem].outcome}: {by_stem[case.stem].reason}"
            for pattern in case.finds:
                assert any(re.fullmatch(pattern, name) for name in objects), (pattern, objects)
            assert [n for n in objects if not any(re.fullmatch(p, n) for p in case.finds)] == []
            others = {
                stem: wrong(r) for stem, r in by_stem.items() if r.outcome == "found" and stem != case.stem
            }
            assert others.keys() == case.also, others
            assert {r.stem: r.reason for r in report.unknown()} == {}
            for finding in found:
                assert finding.detail and finding.remedy, finding
            assert len({f.cache_key for f in found}) == len(found)
            for statement in [case.fixed] if case.fixed else [finding.remedy for finding in found]:
                await admin.execute(statement)
    finally:
        await admin.close()
    after = await audited(dsns.owner, case.stem, *case.also)
    assert {r.stem: wrong(r) for r in after.results if r.outcome != "clean"} == {}
