"""Brings a database to the present schema: migrations once, forward only; functions on every run.

Enters: the owner's DSN and the password that the application's role shall have. Leaves: the names of what was
applied. Two processes at once are safe: the second waits for the first and finds nothing to do. A migration that
cannot have its lock within a second (and a little, so that a vacuum in the way is ended) lets go, so that nobody
queues behind it, and tries again; after :data:`LOCK_TRIES` it says so (:class:`~opsmantik.errors.MigrationBusy`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from opsmantik.db.connect import ROLE_SETTINGS, STATEMENT_SECONDS
from opsmantik.db.sql import quote_literal
from opsmantik.errors import DatabaseTooOld, MigrationBusy, MigrationChanged

HERE = Path(__file__).parent
APP_ROLE = "opsmantik_app"
# Any constant will do; it must never change, or two versions could migrate at once.
ADVISORY_LOCK = 0x0B5_3A4711
LOCK_TRIES = 30
MONTHS_AHEAD = 3
OLDEST_POSTGRES = 150000  # ON DELETE SET NULL (column) and the public schema closed by default


def migration_files() -> list[Path]:
    """All migrations in the order in which they apply: date, number, name."""
    return sorted((HERE / "migrations").glob("*.sql"), key=lambda p: _order(p.name))


def function_files() -> list[Path]:
    """One SQL function, or one family of them, a file."""
    return sorted((HERE / "functions").glob("*.sql"))


def _order(name: str) -> tuple[str, int, str]:
    return name[:10], int(name[11:].split("-", 1)[0]), name


async def migrate(
    owner_dsn: str, *, app_password: str, on_progress: Callable[[str], object] = print
) -> list[str]:
    """Apply what is missing and return its names, oldest first; an empty list when nothing was."""
    connection = await asyncpg.connect(owner_dsn)
    try:
        if connection.get_server_version().major * 10000 < OLDEST_POSTGRES:
            raise DatabaseTooOld(version=".".join(map(str, connection.get_server_version()[:2])))
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        return await _migrate(connection, app_password, on_progress)
    finally:
        await connection.close()  # lets go of the advisory lock too


async def _migrate(connection: Any, app_password: str, on_progress: Callable[[str], object]) -> list[str]:
    await ensure_app_role(connection, app_password)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        " name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    known = {
        r["name"]: r["checksum"]
        for r in await connection.fetch("SELECT name, checksum FROM schema_migrations")
    }
    applied: list[str] = []
    for path in migration_files():
        text = path.read_text()
        checksum = hashlib.sha256(text.encode()).hexdigest()
        if path.name in known:
            if known[path.name] != checksum:
                raise MigrationChanged(name=path.name)
            continue
        await _apply(connection, path.name, text, checksum, on_progress)
        applied.append(path.name)
    await _apply_functions(connection, on_progress)
    await _make_months(connection)
    await _build_counters(connection, on_progress)
    await _gather_leads(connection, on_progress)
    return applied


async def ensure_app_role(connection: Any, password: str) -> None:
    """The role that the server connects as. It may log in (shards refuse roles that may not) and owns nothing."""
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", APP_ROLE):
        await connection.execute(
            f"CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"
        )
    if await connection.fetchval(
        "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    ):
        await connection.execute(f"ALTER ROLE {APP_ROLE} PASSWORD {quote_literal(password)}")
        await _let_owner_try_it(connection)
        await _set_limits(connection)
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {APP_ROLE}")


async def _set_limits(connection: Any) -> None:
    """What each of its connections begins with, wherever it comes from: a pooler passes on no settings of ours."""
    wanted = {"statement_timeout": str(int(STATEMENT_SECONDS * 1000)), **ROLE_SETTINGS}
    kept = await connection.fetchval(
        "SELECT coalesce(rolconfig, '{}') FROM pg_roles WHERE rolname = $1", APP_ROLE
    )
    for name, value in wanted.items():
        # One that is set already stays: somebody may have chosen it.
        if not any(each.startswith(f"{name}=") for each in kept):
            await connection.execute(f"ALTER ROLE {APP_ROLE} SET {name} = {quote_literal(value)}")


async def _let_owner_try_it(connection: Any) -> None:
    """The audit takes the application's role on, to try what it can see. The owner gains no right by it."""
    is_15 = connection.get_server_version().major < 16
    if not await connection.fetchval(
        # Neither twice nor in a circle, which would be refused.
        "SELECT pg_has_role($1, $2) OR pg_has_role($1, current_user, 'MEMBER')",
        APP_ROLE,
        "MEMBER" if is_15 else "SET",
    ):
        how = "" if is_15 else " WITH INHERIT FALSE, SET TRUE"
        await connection.execute(f"GRANT {APP_ROLE} TO CURRENT_USER{how}")


async def _apply(
    connection: Any, name: str, text: str, checksum: str, on_progress: Callable[[str], object]
) -> None:
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1200ms'")
                await connection.execute(text)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", name, checksum
                )
            on_progress(f"migrated {name}")
            return
        except asyncpg.LockNotAvailableError:
            on_progress(
                f"{name}: another transaction holds a lock it needs; trying again ({attempt}/{LOCK_TRIES})"
            )
            await asyncio.sleep(min(0.2 * attempt, 2))
    raise MigrationBusy(name=name, tries=LOCK_TRIES)


async def _apply_functions(connection: Any, on_progress: Callable[[str], object]) -> None:
    """Functions carry no data: all of them, each time, in one transaction."""
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1200ms'")
                for path in function_files():
                    await connection.execute(path.read_text())
            return
        except (asyncpg.LockNotAvailableError, asyncpg.InternalServerError) as busy:
            on_progress(f"functions: {busy}; trying again ({attempt}/{LOCK_TRIES})")
            await asyncio.sleep(min(0.2 * attempt, 2))
    raise MigrationBusy(name="functions", tries=LOCK_TRIES)


async def _build_counters(connection: Any, on_progress: Callable[[str], object]) -> None:
    """Counters for sites whose rows are from before there were any; some seconds for a million events."""
    async with connection.transaction():
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        found = await connection.fetch(
            "SELECT site_id FROM site_pulse WHERE counted_at IS NULL ORDER BY site_id"
        )
    for number, row in enumerate(found, 1):
        on_progress(f"counting the rows of site {number} of {len(found)}")
        await connection.execute("SELECT rebuild_counters($1)", row["site_id"])


async def _gather_leads(connection: Any, on_progress: Callable[[str], object]) -> None:
    """What leads are searched by, for sites whose leads are from before that; some minutes for a million of them."""
    async with connection.transaction():
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        found = await connection.fetch(
            "SELECT site_id FROM site_pulse WHERE leads_gathered_at IS NULL ORDER BY site_id"
        )
    for number, row in enumerate(found, 1):
        on_progress(f"gathering the leads of site {number} of {len(found)}")
        await connection.execute("SELECT gather_leads($1)", row["site_id"])


async def _make_months(connection: Any) -> None:
    """This month and those ahead; upkeep goes on from here."""
    try:
        await _make_months_ahead(connection)
    except asyncpg.LockNotAvailableError as busy:
        raise MigrationBusy(name="of the months ahead", tries=1) from busy


async def _make_months_ahead(connection: Any) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        await connection.execute(
            "SELECT make_month((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead))::date)"
            " FROM generate_series(0, $1::int) AS ahead",
            MONTHS_AHEAD,
        )
