"""Both reports over a database with something planted in it: every section, no hole, and the figures as they are."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.audit import run
from opsmantik.audit.checks import all_checks
from opsmantik.audit.given import GIVEN
from opsmantik.audit.report.backlog import backlog
from opsmantik.audit.report.document import (
    Bars,
    Block,
    Document,
    Dots,
    Grid,
    Heading,
    Items,
    Text,
    as_markdown,
)
from opsmantik.audit.report.facts import Facts, Usage
from opsmantik.audit.report.gather import gather
from opsmantik.audit.report.page import as_html
from opsmantik.audit.report.phase0 import phase0
from opsmantik.audit.report.write import read_usage
from opsmantik.db import roles
from opsmantik.db.connect import prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from tests.conftest import Dsns

pytestmark = pytest.mark.slow

PHASE0 = (
    "Executive summary", "1. Table audit map", "2. Row estimates", "3. Index analysis",
    "4. Partition strategy verification", "5. RLS policy gap analysis", "6. Touch list: column usage analysis",
    "7. Foreign key relationships", "8. Query performance indicators", "9. Codebase column usage analysis",
    "10. Recommendations", "Next steps",
)  # fmt: skip
BACKLOG = (
    "1. Summary", "2. Findings", "3. Evidence (index)", "4. Plan (ordered, smallest viable first)", "5. Verification",
    "6. Prioritized backlog",
)  # fmt: skip
HEADINGS = (
    "Core tables", "Partition tables", "Missing indexes analysis", "Partition pruning verification", "RLS gap analysis",
    "Strengths", "Areas for improvement", "Priorities", "From routes, pages, commands and jobs",
    "From queries and statements", "From functions of the database",
)  # fmt: skip
HOLE = re.compile(r"\b(?:TBD|TODO|None|nan|NaN|null)\b(?! is needed)")
PLANTED = """
CREATE TABLE planted (id integer PRIMARY KEY, filled text, half text, empty text);
INSERT INTO planted SELECT n, 'v' || n % 10, CASE WHEN n % 2 = 0 THEN 'x' END, NULL FROM generate_series(1, 1000) n;
CREATE INDEX planted_filled_idx ON planted (filled);
COMMENT ON INDEX planted_filled_idx IS 'What the test looks up';
CREATE FUNCTION planted_reader() RETURNS bigint LANGUAGE sql AS $$ SELECT count(half) FROM planted $$;
ANALYZE planted;
SET enable_seqscan = off;
"""
SCANS = 7
FAULT = "ALTER TABLE calls NO FORCE ROW LEVEL SECURITY"


class Made(NamedTuple):
    facts: Facts
    usage: Usage
    phase0: Document
    backlog: Document
    true: dict[str, Any]
    """What is so, as counted here."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(server: EmbeddedServer, healthy: Dsns) -> AsyncIterator[Made]:
    admin = await asyncpg.connect(server.admin_dsn())
    source = healthy.owner.rpartition("/")[2].partition("?")[0]
    await admin.execute(f"CREATE DATABASE audit_report TEMPLATE {source} OWNER {roles.OWNER}")
    try:
        yield await _made(healthy.owner.replace(f"/{source}", "/audit_report"))
    finally:
        await admin.execute("DROP DATABASE audit_report WITH (FORCE)")
        await admin.close()


async def _made(dsn: str) -> Made:
    owner: Any = await asyncpg.connect(dsn)
    await prepare_connection(owner)
    await owner.execute(f"SET app.maintenance = 'on'; {PLANTED} {FAULT}; ANALYZE")
    for _ in range(SCANS):
        await owner.fetch("SELECT FROM planted WHERE filled = 'v1'")
    await owner.execute("SELECT pg_stat_force_next_flush()")
    true = {
        "visits": await owner.fetchval("SELECT count(*) FROM sessions"),
        "clicked": await owner.fetchval("SELECT round(100.0 * count(gclid) / count(*), 1) FROM sessions"),
        "statuses": await owner.fetchval("SELECT count(DISTINCT status) FROM calls"),
    }
    await owner.close()
    connection = await run.connect(dsn)
    try:
        facts = await gather(connection, await run.audit(connection, all_checks(), GIVEN))
    finally:
        await connection.close()
    usage = read_usage(facts)
    return Made(facts, usage, phase0(facts, usage), backlog(facts), true)


def grid(document: Document, label: str) -> Grid:
    return next(b for s in document.sections for b in s.blocks if isinstance(b, Grid) and b.label == label)


def row(document: Document, label: str, first: str) -> dict[str, str]:
    found = grid(document, label)
    cells = next(cells for cells in found.rows if cells[0] == first)
    return dict(zip(found.titles, cells, strict=True))


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_section_of_the_first_report_is_there(made: Made) -> None:
    text = as_markdown(made.phase0)
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == PHASE0
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert set(HEADINGS) <= set(headings)
    for table in ("sessions", "events", "calls", "sites", "site_members", "profiles", "user_credentials"):
        assert f"Indexes of `{table}`" in headings
        assert f"`{table}`" in headings, "its policies"


def test_every_section_of_the_second_report_is_there(made: Made) -> None:
    text = as_markdown(made.backlog)
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == BACKLOG
    assert [p for p in ("P0", "P1", "P2") if f"### {p}: " in text] == ["P0", "P1", "P2"]


@pytest.mark.parametrize("name", ["phase0", "backlog"])
def test_nothing_is_left_to_be_filled_in(made: Made, name: str) -> None:
    said = [words for s in getattr(made, name).sections for block in s.blocks for words in words_of(block)]
    assert [words for words in said if not words.strip()] == []
    assert [words for words in said if HOLE.search(re.sub(r"`[^`]*`", "", words))] == []


def words_of(block: Block) -> list[str]:
    if isinstance(block, Grid):
        return [words for cells in block.rows for words in cells]
    if isinstance(block, Items):
        return list(block.each)
    return [block.words] if isinstance(block, Text | Heading) else []


def test_rows_sizes_and_columns_of_a_table(made: Made) -> None:
    found = row(made.phase0, "Core tables", "`planted`")
    assert (found["Rows"], found["Columns"], found["Has FK"], found["Type"]) == ("1,000", "4", "no", "MAIN")


def test_a_partitioned_table_is_the_sum_of_its_partitions(made: Made) -> None:
    parts = [r for r in grid(made.phase0, "Partition tables").rows if r[1] == "`sessions`"]
    whole = row(made.phase0, "Core tables", "`sessions`")
    assert len(parts) > 3
    assert sum(int(r[3].replace(",", "")) for r in parts) == made.true["visits"] > 0
    assert whole["Rows"] == f"{made.true['visits']:,}"
    assert whole["Type"] == "PARTITIONED"
    assert [r[2] for r in grid(made.phase0, "Partitions of sessions").rows][-1] == "fallback, empty"
    assert "current" in {r[2] for r in grid(made.phase0, "Partitions of sessions").rows}


def test_an_index_with_its_scans_and_purpose(made: Made) -> None:
    found = row(made.phase0, "Indexes of planted", "`planted_filled_idx`")
    assert (found["Scans"], found["Purpose"]) == (str(SCANS), "What the test looks up")
    assert found["Size"].endswith("KiB")
    ours = row(made.phase0, "Indexes of calls", "`calls_site_created_idx`")
    assert ours["Purpose"] == "The list of leads, in its order"


def test_every_index_has_a_purpose(made: Made) -> None:
    for indexes in made.facts.indexes.values():
        for index in indexes:
            table = next(t for t in made.facts.tables if t.oid == index.table)
            assert row(made.phase0, f"Indexes of {table.title}", f"`{index.name}`")["Purpose"]


def test_how_filled_columns_are_by_statistics(made: Made) -> None:
    filled = {
        name: row(made.phase0, "Columns of planted", f"`{name}`") for name in ("filled", "half", "empty")
    }
    assert {name: r["Filled"] for name, r in filled.items()} == {
        "filled": "100.0 %", "half": "50.0 %", "empty": "0.0 %",
    }  # fmt: skip
    assert filled["filled"]["Values"] == "10"


def test_how_filled_columns_are_by_a_sample_where_statistics_are_hidden(made: Made) -> None:
    table = next(t for t in made.facts.whole() if t.name == "sessions")
    assert all(column.is_sampled for column in made.facts.columns[table.oid])
    assert 0 < made.true["clicked"] < 100
    assert row(made.phase0, "Columns of sessions", "`gclid`")["Filled"] == f"{made.true['clicked']} %"
    assert row(made.phase0, "Columns of calls", "`status`")["Values"] == str(made.true["statuses"])


def test_what_uses_a_column(made: Made) -> None:
    use = made.usage.columns["public.calls", "status"]
    assert {"dashboard/cards/queue.queue", "decide_intent()"} <= set(use.reads)
    assert "decide_intent()" in use.writes
    assert {
        "GET /sites/{site_id}/queue",
        "POST /api/v1/sites/{site_name}/intents/{intent_id}/decisions",
    } <= set(use.entries)
    assert made.usage.columns["public.planted", "half"].reads == ["planted_reader()"]
    queue = row(made.phase0, "From queries and statements", "`dashboard/cards/queue.queue`")
    assert "GET /sites/{site_id}/queue" in queue["Asked by"]
    decided = row(made.phase0, "From functions of the database", "`decide_intent()`")
    assert "`calls`:" in decided["Writes"] and "status" in decided["Writes"]


def test_what_nothing_uses(made: Made) -> None:
    found = row(made.phase0, "Columns of planted", "`empty`")
    assert (found["Read by"], found["Written by"]) == ("nothing", "nothing")
    text = as_markdown(made.phase0)
    assert "**nothing uses** `empty`. Never filled: `empty`." in section(text, PHASE0[6])
    assert "`planted`: nothing of the program or the database uses `empty`." in section(text, PHASE0[10])
    assert "`half`" not in section(text, PHASE0[10])


def test_a_finding_with_its_remedy_and_the_way_back(made: Made) -> None:
    remedy = "ALTER TABLE public.calls FORCE ROW LEVEL SECURITY"
    advice = row(made.phase0, "Findings P0", "P0-1")
    assert (advice["Object"], advice["Remedy"]) == ("`public.calls`", remedy)
    text = as_markdown(made.backlog)
    assert "`public.calls`: Row security does not bind the owner" in section(text, BACKLOG[1])
    plan = section(text, BACKLOG[3])
    assert (
        f"```sql\n{remedy};\n```\n\n**Rollback:**\n\n```sql\nALTER TABLE public.calls NO FORCE ROW LEVEL SECURITY;\n```"
        in plan
    )
    checked = section(text, BACKLOG[4])
    assert "`opsmantik audit --only 0021 --fail-on warn`" in checked
    assert "NOT c.relforcerowsecurity" in checked, "the query itself"
    assert re.search(
        r"^1\. \*\*\[P0\]\*\* `public\.calls`: .+ \*\*Rollback:\*\*", section(text, BACKLOG[5]), re.MULTILINE
    )


def test_priorities_come_in_their_order(made: Made) -> None:
    steps = re.findall(r"^### Step \d+ \[(P\d)\]", as_markdown(made.backlog), re.MULTILINE)
    assert steps and steps == sorted(steps)


@pytest.mark.parametrize("name", ["phase0", "backlog"])
def test_a_page_needs_nothing_else(made: Made, name: str) -> None:
    text = as_html(getattr(made, name))
    assert "<script" not in text and "<link" not in text and "<img" not in text
    assert not re.search(r"(?:src|href)=\"(?!#)|url\(|@import", text)
    assert text.count("<section id=") == len(getattr(made, name).sections)


def charts(document: Document) -> Sequence[Bars | Dots]:
    return [b for s in document.sections for b in s.blocks if isinstance(b, Bars | Dots)]


def test_charts_show_what_the_tables_say(made: Made) -> None:
    found = {chart.title: chart for chart in charts(made.phase0)}
    assert {"Sizes by table", "Rows by partition of events"} <= set(found)
    rows = found["Rows by partition of sessions"]
    assert isinstance(rows, Bars) and sum(bar.parts[0] for bar in rows.bars) == made.true["visits"]
    dots = found["Index size against scans"]
    assert isinstance(dots, Dots) and next(d.x for d in dots.dots if d.name == "planted_filled_idx") == SCANS
    assert as_html(made.phase0).count("<svg") == len(found)


def test_without_the_grammar_it_says_so(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "postgast", None)
    for name in ("usage", "functions", "touches", "grammar"):
        monkeypatch.delitem(sys.modules, f"opsmantik.audit.report.{name}")
    monkeypatch.delattr("opsmantik.audit.report.usage")
    usage = read_usage(made.facts)
    assert usage.has_no_grammar
    text = as_markdown(phase0(made.facts, usage))
    assert text.count("`postgast`, PostgreSQL's own grammar, is not installed") == 3
    assert "nothing uses" not in text
