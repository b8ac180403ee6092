"""From a connection to a document: gathers, reads the program's own SQL, and writes one of the two reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opsmantik.audit.findings import Report
from opsmantik.audit.report.backlog import backlog
from opsmantik.audit.report.document import Document, as_markdown
from opsmantik.audit.report.facts import Facts, Usage
from opsmantik.audit.report.gather import gather
from opsmantik.audit.report.page import as_html
from opsmantik.audit.report.phase0 import phase0

WRITERS: Final[dict[str, Callable[[Document], str]]] = {"markdown": as_markdown, "html": as_html}
KINDS: Final = ("phase0", "backlog")


async def document(connection: Any, audit: Report, kind: str) -> Document:
    """The report of this kind, from what ``audit`` found and what the database says besides.

    ``connection`` is one of :func:`opsmantik.audit.run.connect`.
    """
    facts = await gather(connection, audit)
    return backlog(facts) if kind == "backlog" else phase0(facts, read_usage(facts))


def read_usage(facts: Facts) -> Usage:
    """The touch list; an empty one that says so where PostgreSQL's grammar is not installed."""
    try:
        from opsmantik.audit.report.usage import usage
    except ModuleNotFoundError as missing:
        if missing.name is None or not missing.name.startswith(("postgast", "google")):
            raise
        return Usage(columns={}, places=(), entries={}, unread=(), has_no_grammar=True)
    return usage(facts)
