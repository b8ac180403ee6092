"""The audit's own promises: it writes nothing, waits for nobody, fails for nothing that is not there, and says what it
could not ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from opsmantik.audit import run
from opsmantik.audit.checks import Check, all_checks
from opsmantik.audit.findings import Report
from opsmantik.audit.needs import Catalogue
from tests.conftest import Dsns

ROW = (
    "SELECT '{name}' AS name, '{level}' AS level, 'public.thing' AS object, 'It is wrong.' AS detail, 3 AS figure,"
    " 'Mend it.' AS remedy, '{name} thing' AS cache_key"
)


@pytest.fixture
def check(tmp_path: Path) -> Any:
    """A check made of this text."""

    def make(body: str, *, name: str = "thing", level: str = "error", more: str = "") -> Check:
        directory = tmp_path / f"checks-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        (directory / f"0001_{name}.sql").write_text(
            f"-- Things are right.\n-- group: integrity\n-- level: {level}\n{more}{body}\n"
        )
        return all_checks(directory)[0]

    return make


async def audited(dsn: str, *checks: Check, **more: Any) -> Report:
    connection = await run.connect(dsn)
    try:
        return await run.audit(connection, checks, more.pop("given", {}), **more)
    finally:
        await connection.close()


async def test_rows_are_findings(database: Dsns, check: Any) -> None:
    report = await audited(database.owner, check(ROW.format(name="thing", level="error")))
    result = report.results[0]
    assert (result.outcome, result.stem, result.title) == ("found", "0001_thing", "Things are right.")
    assert [(f.object, f.figure, f.level) for f in result.findings] == [("public.thing", 3.0, "error")]
    assert (report.count("error"), report.count("warn"), report.fails("error")) == (1, 0, True)


async def test_what_is_only_told_is_no_fault(database: Dsns, check: Any) -> None:
    report = await audited(database.owner, check(ROW.format(name="thing", level="info")))
    assert (report.results[0].outcome, report.count("info"), report.fails("warn")) == ("clean", 1, False)


@pytest.mark.parametrize(
    ("need", "outcome", "reason"),
    [
        ("public.sites(id, name)", "found", None),
        ("public.nowhere", "not_applicable", "there is not the table public.nowhere"),
        ("public.sites(id, no_such)", "not_applicable", "there is not the column public.sites.no_such"),
        ("extension no_such", "not_applicable", "there is not the extension no_such"),
        ("role no_such", "not_applicable", "there is not the role no_such"),
        ("function public.site_role", "found", None),
        ("function public.no_such", "not_applicable", "there is not the function public.no_such"),
        ("server >= 15", "found", None),
        ("server >= 99; public.sites", "not_applicable", "there is not PostgreSQL 99 (this is"),
    ],
)
async def test_what_a_statement_needs(
    database: Dsns, check: Any, need: str, outcome: str, reason: str | None
) -> None:
    report = await audited(
        database.owner, check(f"-- when: {need}\n" + ROW.format(name="thing", level="warn"))
    )
    result = report.results[0]
    assert result.outcome == outcome
    assert (result.reason or "").startswith(reason or "") and (reason is None) == (result.reason is None)


async def test_the_first_variant_that_fits_is_asked(database: Dsns, check: Any) -> None:
    body = "-- when: public.nowhere\nSELECT nonsense;\n-- when: public.sites(id)\n" + ROW.format(
        name="thing", level="warn"
    )
    assert (await audited(database.owner, check(body))).results[0].outcome == "found"


def test_a_need_that_is_not_written_right_is_a_mistake() -> None:
    nothing = Catalogue(15, frozenset(), frozenset(), frozenset(), {})
    with pytest.raises(ValueError, match="not a need"):
        nothing.lacks(["sites, please"])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x (y int)",
        "INSERT INTO schema_migrations (name) VALUES ('x')",
        "SELECT nextval('upkeep_runs_id_seq')",
    ],
)
async def test_nothing_is_written(database: Dsns, check: Any, statement: str) -> None:
    body = f"{statement};\n-- then\n" + ROW.format(name="thing", level="warn")
    report = await audited(database.owner, check(body))
    assert report.results[0].outcome == "unknown"
    assert "read-only" in (report.results[0].reason or "")
    assert report.fails("error")


async def test_a_check_that_fails_takes_no_other_with_it_and_leaves_nothing_behind(
    database: Dsns, check: Any
) -> None:
    broken = check("SET LOCAL app.sites = 'x';\n-- then\nSELECT 1/0", name="broken")
    after = check(
        ROW.format(name="after", level="info").replace(
            "'It is wrong.'", "coalesce(nullif(current_setting('app.sites', true), ''), 'nothing')"
        ),
        name="after",
    )
    report = await audited(database.owner, broken, after)
    assert [r.outcome for r in report.results] == ["unknown", "clean"]
    assert report.results[1].findings[0].detail == "nothing"
    assert report.results[0].reason == "DivisionByZeroError: division by zero"


@pytest.mark.slow
async def test_a_check_that_takes_too_long_is_cut_off(database: Dsns, check: Any) -> None:
    slow = check("SELECT pg_sleep(20);\n-- then\n" + ROW.format(name="thing", level="warn"))
    report = await asyncio.wait_for(audited(database.owner, slow, statement_seconds=1), 10)
    assert (report.results[0].reason or "").startswith("QueryCanceledError")


@pytest.mark.slow
async def test_a_lock_is_waited_for_a_second(database: Dsns, check: Any) -> None:
    holder = await asyncpg.connect(database.owner)
    async with holder.transaction():
        await holder.execute("LOCK TABLE upkeep_runs IN ACCESS EXCLUSIVE MODE")
        asked = check("SELECT count(*) FROM upkeep_runs;\n-- then\n" + ROW.format(name="thing", level="warn"))
        report = await asyncio.wait_for(audited(database.owner, asked), 10)
    await holder.close()
    assert (report.results[0].reason or "").startswith("LockNotAvailableError")


async def test_what_the_program_knows_is_asked_for_once(database: Dsns, check: Any) -> None:
    asked = []

    async def plans(connection: Any, there: Catalogue) -> Any:
        asked.append(there.server)
        return {"object": "public.given"}

    body = ROW.format(name="{0}", level="info").replace("'public.thing'", "$1::jsonb ->> 'object'")
    checks = [check(body.format(name), name=name, more="-- given: plans\n") for name in ("one", "two")]
    report = await audited(database.owner, *checks, given={"plans": plans})
    assert [r.findings[0].object for r in report.results] == ["public.given"] * 2
    assert len(asked) == 1


async def test_columns_that_are_not_those_of_a_finding_are_said(database: Dsns, check: Any) -> None:
    report = await audited(database.owner, check("SELECT 1 AS one"))
    assert report.results[0].outcome == "unknown"


async def test_the_databases_own_words_are_not_repeated(database: Dsns, check: Any) -> None:
    body = "SELECT '+90 532 000 00 00'::integer;\n-- then\n" + ROW.format(name="thing", level="warn")
    report = await audited(database.owner, check(body))
    assert "532" not in (report.results[0].reason or "532")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "-- Title.\n-- group: nowhere\n-- level: error\nSELECT 1",
        "-- Title.\n-- group: integrity\nSELECT 1",
    ],
)
def test_a_file_without_its_head_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "0001_thing.sql").write_text(text)
    with pytest.raises(ValueError, match=r"0001_thing\.sql"):
        all_checks(tmp_path)


def test_two_checks_have_two_numbers(tmp_path: Path) -> None:
    for name in ("0001_one", "0001_two"):
        (tmp_path / f"{name}.sql").write_text("-- Title.\n-- group: integrity\n-- level: error\nSELECT 1")
    with pytest.raises(ValueError, match="one number"):
        all_checks(tmp_path)
