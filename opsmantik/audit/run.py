"""Runs the checks against a database, ours or any other, and never changes it.

Every check has a read-only transaction of its own, so that no lock is held for longer than one of them takes and a
check that fails takes no other with it. A lock is waited for a second at most: whoever waits for an exclusive lock
holds up everybody behind. What a check needs and the database lacks makes it "not applicable", in words.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

import asyncpg
import msgspec

from opsmantik.audit.checks import COLUMNS, Check, Variant
from opsmantik.audit.findings import NOTHING, Baseline, Finding, Report, Result, accept
from opsmantik.audit.needs import Catalogue, catalogue

Given = Mapping[str, Callable[[Any, Catalogue], Awaitable[Any]]]
"""What the program knows, by name; each is asked for once a run, and only if a check wants it."""

STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 1
# The owner sees every row of ours only with the first; it means nothing elsewhere. The second makes one plan and one run
# of each statement: parallel workers would take the processors that ingest needs.
SETTINGS: Final = (
    "SET LOCAL app.maintenance = 'on'; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off;"
    " SET LOCAL lock_timeout = '{lock}s'; SET LOCAL statement_timeout = '{statement}s'; SET LOCAL TimeZone = 'UTC';"
    " SET LOCAL row_security = {rows}"
)
# Row security gives a role that it binds fewer rows, or none, and says nothing: a check would be clean for want of them.
# With it "off" such a read is an error instead. Our own policies let the owner see everything, so there it stays on.
OPEN_TO_OWNER: Final = (
    "SELECT EXISTS (SELECT FROM pg_policy p CROSS JOIN LATERAL unnest(p.polroles) AS r (role)"
    " WHERE p.polname = 'by_owner_function' AND p.polrelid = to_regclass('public.session_keys')"
    " AND pg_has_role(r.role, 'USAGE'))"
)
HIDES: Final = "row security hides rows"
"""How the reason begins that a check gives which was not asked for that."""
HIDDEN: Final = re.compile(r'affected by row-level security policy for table "([^"]+)"')


async def connect(dsn: str) -> Any:
    """A connection that writes nothing. Prepared statements are not kept: a pooler may stand in between."""
    return await asyncpg.connect(
        dsn, timeout=10, statement_cache_size=0,
        server_settings={"application_name": "opsmantik audit", "default_transaction_read_only": "on"},
    )  # fmt: skip


async def audit(
    connection: Any,
    checks: Sequence[Check],
    given: Given,
    *,
    baseline: Baseline = NOTHING,
    statement_seconds: int = STATEMENT_SECONDS,
    on_progress: Callable[[Check], None] = lambda check: None,
) -> Report:
    """Run these checks, in this order, over :func:`connect`'s connection."""
    began, started_at = time.monotonic(), datetime.now(UTC)
    async with _transaction(connection, _settings(statement_seconds, "on")):
        is_open = await connection.fetchval(OPEN_TO_OWNER)
        there = await catalogue(connection)
        database, server = await connection.fetchrow(
            "SELECT current_database(), current_setting('server_version')"
        )
    settings = _settings(statement_seconds, "on" if is_open else "off")
    known: dict[str, bytes] = {}
    results = []
    for check in checks:
        on_progress(check)
        results.append(await _one(connection, check, there, given, known, settings))
    results, expired, unused = accept(results, baseline, started_at.date())
    return Report(
        program=metadata.version("opsmantik"), database=database, server=server, started_at=started_at,
        seconds=round(time.monotonic() - began, 3), results=results, expired=expired, unused=unused,
    )  # fmt: skip


async def _one(
    connection: Any,
    check: Check,
    there: Catalogue,
    given: Given,
    known: dict[str, bytes],
    settings: str,
) -> Result:
    began = time.monotonic()

    def result(outcome: str, **more: Any) -> Result:
        return msgspec.convert(
            {
                "stem": check.stem, "name": check.name, "title": check.title, "group": check.group,
                "level": check.level, "outcome": outcome, "seconds": round(time.monotonic() - began, 3), **more,
            },
            Result,
        )  # fmt: skip

    variant, missing = _variant(check, there)
    if variant is None:
        return result("not_applicable", reason=f"there is not {missing}")
    try:
        arguments = await _arguments(connection, check, there, given, known, settings)
        async with _transaction(connection, settings):
            for statement in variant.statements[:-1]:
                await connection.execute(statement)
            rows = await connection.fetch(variant.statements[-1], *arguments)
        findings = [_finding(check, row) for row in rows]
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if hidden := HIDDEN.search(str(error)):
            return result("not_applicable", reason=f"{HIDES} of {hidden[1]} from this role")
        return result("unknown", reason=_words(error))
    wrong = any(finding.level != "info" for finding in findings)
    return result("found" if wrong else "clean", findings=msgspec.to_builtins(findings))


def _settings(statement_seconds: int, rows: str) -> str:
    return SETTINGS.format(lock=LOCK_SECONDS, statement=statement_seconds, rows=rows)


def _variant(check: Check, there: Catalogue) -> tuple[Variant | None, str]:
    missing = ""
    for variant in check.variants:
        lacks = there.lacks(variant.needs)
        if not lacks:
            return variant, ""
        missing = missing or ", nor ".join(lacks)
    return None, missing


async def _arguments(
    connection: Any,
    check: Check,
    there: Catalogue,
    given: Given,
    known: dict[str, bytes],
    settings: str,
) -> list[str]:
    if check.given is None:
        return []
    if check.given not in known:
        async with _transaction(connection, settings):
            known[check.given] = msgspec.json.encode(await given[check.given](connection, there))
    return [known[check.given].decode()]


def _finding(check: Check, row: Any) -> Finding:
    if tuple(row.keys()) != COLUMNS or row["name"] != check.name:
        raise asyncpg.InterfaceError(
            f"{check.stem} answers {tuple(row.keys())} by the name {row.get('name')!r}"
        )
    values = dict(row)
    values["figure"] = None if values["figure"] is None else float(values["figure"])
    return Finding(**values)


def _words(error: Exception) -> str:
    """Without what stands in quotes: the database's own words may hold a visitor's row."""
    words = re.sub(r'"[^"]*"?', '"..."', str(error).partition("\n")[0])
    return f"{type(error).__name__}: {words}"[:300]


@asynccontextmanager
async def _transaction(connection: Any, settings: str) -> AsyncIterator[None]:
    """A read-only transaction that is always rolled back: a check may take a role or a setting on for its length."""
    transaction = connection.transaction(readonly=True)
    await transaction.start()
    try:
        await connection.execute(settings)
        yield
    finally:
        if not connection.is_closed():
            await transaction.rollback()
