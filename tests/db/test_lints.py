"""The generic lints of a schema, and that each finds what it is for."""
# ruff: noqa: E501 - a statement a line

from __future__ import annotations

from typing import Any

import pytest

from tests.db.lints import ELSEWHERE, LINTS, UNINDEXED, lint

# For each lint: what would be wrong.
FAULTS = {
    "0001": "CREATE TABLE fault (site_id uuid REFERENCES sites (id))",
    "0004": "CREATE TABLE fault (id integer)",
    "0006": "CREATE POLICY fault ON calls FOR SELECT USING (site_id = nullif(current_setting('app.sites', true), '')::uuid)",
    "0007": "ALTER TABLE calls DISABLE ROW LEVEL SECURITY",
    "0008": "CREATE TABLE fault (id integer PRIMARY KEY); ALTER TABLE fault ENABLE ROW LEVEL SECURITY",
    "0009": "CREATE INDEX fault ON calls (site_id, created_at DESC, id DESC)",
    "0010": "CREATE VIEW fault AS SELECT site_id FROM calls",
    "0011": "ALTER FUNCTION signed_in(bytea) RESET search_path",
    "0013": "ALTER TABLE parts.events_default NO FORCE ROW LEVEL SECURITY",
    "0016": "CREATE MATERIALIZED VIEW fault AS SELECT site_id FROM calls",
    "0024": "CREATE POLICY fault ON users FOR SELECT USING (true)",
    "own: facts": "ALTER POLICY by_owner_function ON calls USING (true) WITH CHECK (true)",
    "own: a function": "GRANT EXECUTE ON FUNCTION signed_in(bytea) TO PUBLIC",
}
# Needs an extension or a server of its own to be seen.
UNTRIED = {"0017"}


async def test_the_schema_passes(owner: Any) -> None:
    complaints = await lint(owner)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("name", FAULTS)
async def test_the_lint_finds_its_fault(owner: Any, name: str) -> None:
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute(FAULTS[name])
        assert any(complaint.startswith(name) for complaint in await lint(owner))
    finally:
        await transaction.rollback()


def test_every_lint_is_tried() -> None:
    assert all(any(name.startswith(tried) for tried in (*FAULTS, *UNTRIED)) for name in LINTS)
    numbers = {name[:4] for name in (*LINTS, *ELSEWHERE)}
    assert {
        "0001",
        "0003",
        "0004",
        "0005",
        "0006",
        "0007",
        "0008",
        "0009",
        "0010",
        "0011",
        "0013",
        "0020",
        "0024",
    } <= numbers


async def test_every_exception_is_still_one(owner: Any) -> None:
    rows = await owner.fetch(next(query for name, query in LINTS.items() if name.startswith("0001")))
    assert {row[0].rpartition(".")[2] for row in rows} >= set(UNINDEXED)
