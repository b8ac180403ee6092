"""The list of functions that the audit holds a database against is that of a fresh one.

After a change that is meant: OPSMANTIK_WRITE_SIGNATURES=1 pytest tests/audit/test_signatures.py writes it anew.
"""

from __future__ import annotations

import os
import re
from typing import Any

from opsmantik.audit import run
from opsmantik.audit.checks import all_checks
from opsmantik.audit.house import SIGNATURES
from opsmantik.audit.needs import Catalogue
from tests.conftest import Dsns

CHECK = next(check for check in all_checks() if check.name == "signatures")


async def nothing(_: Any, __: Catalogue) -> dict[str, Any]:
    """A promise of nothing: then the check names every function, and what it is."""
    return {"promised": {}, "made": []}


async def found(dsn: str) -> list[str]:
    connection = await run.connect(dsn)
    try:
        report = await run.audit(connection, [CHECK], {"signatures": nothing})
    finally:
        await connection.close()
    lines = []
    for finding in report.results[0].findings:
        said = re.fullmatch(r"Nobody promised it\. It is: (.+)\.", finding.detail)
        assert said, finding
        lines.append(f"{finding.object}\t{said[1]}\n")
    return lines


async def test_the_promised_signatures_are_those_of_a_fresh_database(database: Dsns) -> None:
    lines = sorted(await found(database.owner))
    assert len(lines) > 200
    if os.environ.get("OPSMANTIK_WRITE_SIGNATURES"):
        SIGNATURES.write_text("".join(lines), encoding="utf-8")
    assert SIGNATURES.read_text(encoding="utf-8").splitlines(keepends=True) == lines
