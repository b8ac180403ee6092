"""Erasures are carried out in archived months as well: whoever was erased does not come back with a month.

Enters: the owner's connection, and what opens the sealed subjects of erasures. Every month that somebody is to be taken out
of is read once, whoever they all are, and written anew without them; a line in the site's log says how many rows that were.
An erasure knows of the months that were archived, or being archived, when it began. A visitor whom only an archived visit
leads to is then erased from the database, too.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog

from opsmantik.errors import OpsMantikError
from opsmantik.event import new_id
from opsmantik.keyring import Keyring
from opsmantik.privacy import erasure
from opsmantik.privacy.erasure import Transactions
from opsmantik.privacy.subject import Kind, Seals, Subject
from opsmantik.upkeep import archive

log = structlog.get_logger()

WAITING: Final = (
    "SELECT a.month, m.node, m.files, array_agg(a.site_id ORDER BY a.site_id, a.erasure_id) AS sites,"
    " array_agg(a.erasure_id ORDER BY a.site_id, a.erasure_id) AS erasures"
    " FROM archive_erasures a JOIN archived_months m ON m.month = a.month AND m.files IS NOT NULL"
    # One that is under way in the database is not made to wait for its row while files are written.
    " JOIN erasures e ON e.site_id = a.site_id AND e.id = a.erasure_id AND e.finished_at IS NOT NULL"
    " GROUP BY a.month, m.node, m.files ORDER BY a.month"
)


TAKE_OUT: Final = {
    "sessions": "DELETE FROM pg_temp.archived_sessions s WHERE s.site_id = $1 AND s.id = ANY ($2)",
    "events": "DELETE FROM pg_temp.archived_events e WHERE e.site_id = $1 AND e.session_id = ANY ($2)",
}

Visitors = set[tuple[UUID, str]]


async def carry_out(
    connection: Any, transactions: Transactions, directory: Path, keyring: Keyring, seals: Seals
) -> dict[str, int]:
    """Carry out in the archive what waits for it. How many rows went, by month and table.

    Whatever one month fails by, the others are done first; then it is raised.
    """
    gone: dict[str, int] = {}
    failed: list[Exception] = []
    found: Visitors = set()
    async with transactions():
        waiting = await connection.fetch(WAITING)
    for row in waiting:
        try:
            async with transactions():
                done, visitors = await _month(connection, directory, row, keyring)
        except (OpsMantikError, OSError) as error:
            log.error("archive.erasure_waits", month=f"{row['month']:%Y-%m}", reason=str(error)[:300])
            failed.append(error)
            continue
        found |= visitors
        gone |= {f"{row['month']:%Y-%m} {table}": n for table, n in done.items() if n}
    await archive.tidy(connection, directory)
    for site_id, visitor in sorted(found):
        subject = Subject(kind=Kind.VISITOR, value=visitor)
        try:
            await erasure.erase(transactions, site_id, subject, keyring, seals)
        except OpsMantikError as refused:
            log.error("archive.visitor_stays", site=str(site_id), reason=refused.code)
    if failed:
        raise failed[0]
    return gone


async def _month(
    connection: Any, directory: Path, row: Any, keyring: Keyring
) -> tuple[dict[str, int], Visitors]:
    month: date = row["month"]
    files = archive.files_of(row["files"])
    await archive.load(connection, directory, month, files, row["node"])
    total: dict[str, int] = defaultdict(int)
    found: Visitors = set()
    for site_id, erasure_id in zip(row["sites"], row["erasures"], strict=True):
        subject, known = await erasure.work_of(connection, site_id, erasure_id, keyring)
        there = await connection.fetchrow(
            "SELECT sessions, visitors FROM find_archived($1, $2, $3, $4, $5, $6, $7)", site_id, str(subject.kind),
            subject.value, subject.pattern, subject.with_taps, known.sessions, known.visitors,
        )  # fmt: skip
        if subject.kind is not Kind.SESSION:
            mentioned = {*known.visitors, subject.value if subject.kind is Kind.VISITOR else ""}
            found |= {(site_id, visitor) for visitor in there["visitors"] if visitor not in mentioned}
        counts = {
            table: int((await connection.execute(statement, site_id, there["sessions"])).rpartition(" ")[2])
            for table, statement in TAKE_OUT.items()
        }
        if any(counts.values()):
            await connection.execute(
                "SELECT note_act($1, $2, 'privacy.archive', $3, $4)", site_id, new_id(), f"{month:%Y-%m}", counts
            )  # fmt: skip
        for table, n in counts.items():
            total[table] += n
        await connection.execute("SELECT end_archive_erasure($1, $2, $3)", site_id, erasure_id, month)
    if any(total.values()):
        await archive.rewrite(connection, directory, month, files)
    return dict(total), found
