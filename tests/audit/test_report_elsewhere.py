"""Both reports over the first generation's database: it is only read, and what does not apply says so."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from opsmantik.audit import run
from opsmantik.audit.checks import all_checks
from opsmantik.audit.given import GIVEN
from opsmantik.audit.report.backlog import backlog
from opsmantik.audit.report.document import as_markdown
from opsmantik.audit.report.facts import Usage
from opsmantik.audit.report.gather import gather
from opsmantik.audit.report.page import as_html
from opsmantik.audit.report.phase0 import phase0
from opsmantik.audit.report.write import read_usage
from opsmantik.cli import build
from tests.audit.test_report import BACKLOG, HOLE, PHASE0, row, words_of
from tests.first_generation.fixtures import (  # noqa: F401 - fixtures are found by their names here
    first_generation,
    first_generation_server,
    old_copy,
)

pytestmark = pytest.mark.slow


class Reports(NamedTuple):
    phase0: Any
    backlog: Any
    usage: Usage
    hidden: list[str]


async def reported(dsn: str, role: str = "") -> Reports:
    connection = await run.connect(dsn)
    try:
        if role:
            await connection.execute(f"SET ROLE {role}")
        found = await gather(connection, await run.audit(connection, all_checks(), GIVEN))
    finally:
        await connection.close()
    usage = read_usage(found)
    return Reports(phase0(found, usage), backlog(found), usage, list(found.hidden))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reports(first_generation: str) -> AsyncIterator[Reports]:  # noqa: F811
    yield await reported(first_generation)


def test_it_has_the_same_sections_and_no_hole(reports: Reports) -> None:
    for document, sections in ((reports.phase0, PHASE0), (reports.backlog, BACKLOG)):
        assert tuple(s.title for s in document.sections) == sections
        said = [words for s in document.sections for block in s.blocks for words in words_of(block)]
        assert [w for w in said if not w.strip() or HOLE.search(re.sub(r"`[^`]*`", "", w))] == []
        assert as_html(document).count("<section id=") == len(sections)


async def test_its_partitions_add_up(reports: Reports, first_generation: str) -> None:  # noqa: F811
    admin: Any = await asyncpg.connect(first_generation)
    for table in ("sessions", "events"):
        count = await admin.fetchval(f"SELECT count(*) FROM {table}")
        assert row(reports.phase0, "Core tables", f"`{table}`")["Rows"] == f"{count:,}" != "0"
    await admin.close()


def test_what_does_not_apply_says_so(reports: Reports) -> None:
    text = as_markdown(reports.phase0)
    assert "This database is not one of this program's." in text
    assert text.count("the program's source is not here") == 2
    assert not any(use.entries for use in reports.usage.columns.values())
    assert "opsmantik audit report backlog --dsn" in text
    assert "opsmantik audit --dsn … --only" in as_markdown(reports.backlog)


def test_its_own_functions_and_triggers_are_read(reports: Reports) -> None:
    use = reports.usage.columns
    assert "sessions_set_created_month()" in use["public.sessions", "created_month"].writes
    assert "events_set_session_month_from_session()" in use["public.sessions", "created_month"].reads
    assert reports.usage.unread == []


def test_its_faults_are_findings(reports: Reports) -> None:
    text = as_markdown(reports.backlog)
    assert "0021_row_security_not_forced" in text, "the first generation forced no row security"
    assert "pg_dump" in text or "**Rollback:**" in text


async def test_what_a_role_may_not_see_is_said(first_generation: str) -> None:  # noqa: F811
    found = await reported(first_generation, "authenticated")
    assert "calls" in found.hidden
    assert row(found.phase0, "Columns of calls", "`phone_number`")["Filled"] == "hidden"
    assert "How filled these are is hidden from" in as_markdown(found.phase0)


def test_the_command_writes_either_report(first_generation: str, tmp_path: Path) -> None:  # noqa: F811
    run_it = CliRunner()
    page = tmp_path / "page.html"
    done = run_it.invoke(
        build("audit"), ["audit", "report", "backlog", "--dsn", first_generation, "--html", "-o", str(page)]
    )
    assert done.exit_code == 0, done.output
    assert page.read_text().startswith("<!doctype html>")
    done = run_it.invoke(build("audit"), ["audit", "report", "phase0", "--dsn", first_generation])
    assert done.stdout.startswith("# Phase 0 audit report: first_generation\n")


@pytest.mark.parametrize(
    "asked", [["phase1"], ["phase0", "--html", "--markdown"]], ids=["no such report", "two forms"]
)
def test_what_makes_no_sense_is_refused(asked: list[str]) -> None:
    done = CliRunner().invoke(build("audit"), ["audit", "report", *asked, "--dsn", "postgresql://nowhere"])
    assert done.exit_code == 1
