"""Sessions, events and calls are written by functions of ingest, of decisions, of privacy and of upkeep, and by nothing else."""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import opsmantik
from opsmantik.audit.house import DECISIONS, INGEST, WRITERS
from tests.db.catalogue import read_functions

FACTS = ("sessions", "events", "calls")
PRODUCT = Path(opsmantik.__file__).parent
# The statement that changes rows, and of which table; %I is a partition whose name is put in.
WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|(?<!FOR )(?<!KEY )(?<!DO )UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|DROP\s+TABLE|COPY)"
    r"\s+(?:ONLY\s+)?(?:public\.)?(parts\.%I|parts\.\w+|%[Is]|" + "|".join(FACTS) + r")(?!\w)",
    re.IGNORECASE,
)

# Statements outside of functions, run by the owner.
STATEMENTS = {
    "adopt/queries.sql": "what the first generation had is written once, as the owner, from its own database",
    "demo/queries.sql": "the demo's leads get the decisions that its scenario has for them",
}


def written(text: str) -> set[str]:
    plain = re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return {"a month" if found.lower() not in FACTS else found.lower() for found in WRITES.findall(plain)}


# Of those that are not of ingest or of decisions, which the application may call; the others are the owner's.
# An erasure (erase_visits) and a removal of tests go through drop_visits, which is the owner's.
FOR_APP = {"remove_test_visits": "tests of an installation, by whoever may change the site"}


async def test_the_application_writes_them_by_ingest_and_decisions_and_erases_by_order(owner: Any) -> None:
    called = {f.name for f in await read_functions(owner) if f.for_app}
    others = {name for name, (flow, _) in WRITERS.items() if flow not in (INGEST, DECISIONS)}
    assert called & others == set(FOR_APP)
    assert {name for name, (flow, _) in WRITERS.items() if flow in (INGEST, DECISIONS)} <= called


async def test_facts_are_written_by_these_functions_and_no_other(owner: Any) -> None:
    found = {f.name: written(f.body) for f in await read_functions(owner)}
    assert {name: tables for name, tables in found.items() if tables} == {
        name: tables for name, (_, tables) in WRITERS.items()
    }


def test_no_statement_outside_of_functions_writes_them() -> None:
    places = [
        p
        for p in [*PRODUCT.rglob("*.sql"), *PRODUCT.rglob("*.py")]
        # What a check of the audit names as a remedy is text; tests/audit holds that it only reads.
        if p.parent.name not in ("functions", "migrations", "checks")
    ]
    found = {
        str(p.relative_to(PRODUCT))
        for p in places
        if p.name != "schema.sql" and written(p.read_text()) & set(FACTS)
    }
    assert found == set(STATEMENTS)


def test_what_writes_is_recognised() -> None:
    for text, tables in {
        "INSERT INTO sessions AS s (a) SELECT": {"sessions"},
        "update ONLY public.events set": {"events"},
        "DELETE\n FROM calls c USING": {"calls"},
        "EXECUTE format('DELETE FROM parts.%I', x)": {"a month"},
        "TRUNCATE calls": {"calls"},
        "SELECT FROM calls c FOR NO KEY UPDATE": set(),
        "ON CONFLICT DO UPDATE SET events = 1": set(),
        "INSERT INTO calls_of_others": set(),
        "-- DELETE FROM calls\nSELECT": set(),
    }.items():
        assert written(text) == tables, text
