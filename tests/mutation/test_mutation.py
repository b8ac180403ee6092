"""That the count of ``make test-mutation`` means something: a hole is noticed, and what is none is not."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.mutation import run
from tests.mutation.mutants import HARMLESS, Mutant
from tests.mutation.run import Result, bench, own_server, report

CHOSEN = (
    r"^policy shows all: calls_select_accessible ON calls$",
    r"^column granted: SELECT \(password_hash\) ON users$",
    r"^key dropped: conversions_call_fkey ON conversions$",
)


@pytest.mark.slow
def test_holes_are_noticed_and_nothing_else() -> None:
    async def whole() -> list[Result]:
        async with bench(server) as made:
            found = await run.mutants_of(made)
            kinds = {m.kind for m in found}
            assert len(found) > 700 and len(kinds) > 20
            holes = [m for pattern in CHOSEN for m in found if re.search(pattern, str(m))]
            assert len(holes) == len(CHOSEN)
            return await run.run_all(made, [*holes, HARMLESS[0]], 1, lambda result: None)

    with own_server() as server:
        results = asyncio.run(whole())
    assert [r.killer is None for r in results] == [False] * len(CHOSEN) + [True], report(results, 0)


@pytest.mark.slow
def test_the_report_names_every_survivor() -> None:
    results = [
        Result(Mutant("policy dropped", "a", ""), "rows seen", "…"),
        Result(Mutant("policy dropped", "b", ""), None, ""),
    ]
    text = report(results, 3)
    assert "policy dropped                        1 of    2   rows seen 1" in text
    assert "SURVIVED  policy dropped: b" in text and text.endswith("1 of 2 killed: 50.0 %, in 3 s")
