"""Months leave the database for files, and come back: what ``retention`` is about to forget is archived first, if wanted.

Enters: the owner's connection outside any transaction, and a directory. Leaves: for every month and table one Parquet file
and a manifest beside it, and a row of ``archived_months``, which alone says which files are the month's and what is in
them: a copy from elsewhere, of before somebody was erased, say, is not taken back.

In this order, so that it can be cut off anywhere: the month is noted (from then on nothing of it is forgotten, and
erasures know of it); its rows are read in one snapshot, written, and read back; the files get their names; the row says
that they are whole. Only then retention drops the partitions, as it does without an archive. PostgreSQL detaches no
partition CONCURRENTLY from a table with a default one, so that is done as ever: short locks, tried again.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from opsmantik.errors import Conflict, NotFound, Unprocessable
from opsmantik.settings import private_directory
from opsmantik.upkeep import parquet
from opsmantik.upkeep.parquet import Column, Content

log = structlog.get_logger()

FORMAT: Final = 1
MONTH_COLUMN: Final = {"sessions": "created_month", "events": "session_month"}
TABLES: Final = tuple(MONTH_COLUMN)
# Where somebody was is not kept beyond the site's own time for it, not even by its network.
LEFT_OUT: Final = {"sessions": {"ip_address"}}
FORGET_BATCH: Final = 100

COLUMNS: Final = (
    "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
    " WHERE attrelid = to_regclass('public.' || $1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
    " ORDER BY attnum"
)
MONTHS: Final = (
    "SELECT DISTINCT to_date(right(c.relname, 7), 'YYYY_MM') AS month"
    " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent IN ('events'::regclass, 'sessions'::regclass) AND c.relname ~ '_[0-9]{4}_[0-9]{2}$' ORDER BY 1"
)
UNFINISHED: Final = "SELECT month FROM archived_months WHERE archived_at IS NULL ORDER BY month"
SCHEMA: Final = (
    "SELECT name FROM schema_migrations"
    " ORDER BY left(name, 10) DESC, split_part(name, '-', 4)::integer DESC LIMIT 1"
)
WHOLE: Final = (
    "UPDATE archived_months SET archived_at = coalesce(archived_at, now()), node = $2, files = $3"
    " WHERE month = $1"
)
KNOWN: Final = "SELECT *, restored_until > now() AS is_back FROM archived_months WHERE month = $1"
KNOWN_LOCKED: Final = KNOWN + " FOR UPDATE"
OLD: Final = (
    "SELECT month, node, files FROM archived_months WHERE forgotten_at IS NULL"
    " AND archived_at < now() - make_interval(months => $1) ORDER BY month"
)


class Archive(msgspec.Struct, frozen=True):
    """Where archived months lie, whether more are to come, and how many months they are kept (None: for ever)."""

    directory: Path
    is_on: bool
    months: int | None = None


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One file, by which it is known again."""

    file: str
    sha256: str
    bytes: int
    rows: int
    checksum: str
    columns: list[Column]

    @property
    def content(self) -> Content:
        return Content(self.rows, self.checksum)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a file, for whoever reads it without us."""

    format: int = FORMAT
    table: str
    month: str
    archived_at: datetime
    schema: str
    program: str
    compression: str = parquet.COMPRESSION
    checksum_is: str = (
        "the sum over all rows of the first 60 bits of a row's MD5, as opsmantik/upkeep/parquet.py reads it"
    )
    file: FileInfo


Files = dict[str, FileInfo]


class Restored(msgspec.Struct, frozen=True):
    """How many rows of a table are back, and how many its file holds; the others are there still, or have no place now."""

    table: str
    back: int
    held: int


def node() -> str:
    """This machine, for people."""
    return socket.gethostname()


def files_of(value: Any) -> Files:
    """The column ``archived_months.files``."""
    return msgspec.convert(value, Files)


async def begin_all(connection: Any) -> list[date]:
    """Note every month that has expired for all who have rows in it; those that are to be archived, the oldest first."""
    for row in await connection.fetch(MONTHS):
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            await connection.execute("SELECT begin_archive($1)", row["month"])
    return await unfinished(connection)


async def unfinished(connection: Any) -> list[date]:
    """Months that are noted and whose files are not whole."""
    return [row["month"] for row in await connection.fetch(UNFINISHED)]


async def archive_month(connection: Any, directory: Path, month: date) -> Files:
    """Write a month's files, read them back, and note that they are whole.

    Raises :class:`~opsmantik.errors.Unprocessable` if what was read back is not what was written, and ``OSError`` where the
    directory cannot be written: then the month stays as it was.
    """
    private_directory(directory)
    generation = _next_generation(directory, month)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        sites = await connection.fetchval("SELECT sites FROM archived_months WHERE month = $1", month)
        sources = {
            table: (f"public.{table} WHERE {column} = $1 AND site_id = ANY ($2)", (month, sites))
            for table, column in MONTH_COLUMN.items()
        }
        files = await _write_files(connection, directory, month, generation, sources)
    await connection.execute(WHOLE, month, node(), msgspec.to_builtins(files))
    _sweep(directory, month, files)
    log.info(
        "archive.written", month=f"{month:%Y-%m}", rows={name: file.rows for name, file in files.items()}
    )
    return files


async def columns_of(connection: Any, table: str) -> list[Column]:
    """What of a table is archived."""
    rows = await connection.fetch(COLUMNS, table)
    return [Column(**row) for row in rows if row["name"] not in LEFT_OUT.get(table, ())]


async def _write_files(
    connection: Any,
    directory: Path,
    month: date,
    generation: int,
    sources: Mapping[str, tuple[str, Sequence[Any]]],
    columns: dict[str, list[Column]] | None = None,
) -> Files:
    files: Files = {}
    schema = await connection.fetchval(SCHEMA)
    for table, (source, values) in sources.items():
        known = columns[table] if columns else await columns_of(connection, table)
        path = directory / f"{table}_{month:%Y-%m}.{generation}.parquet"
        fresh = path.with_suffix(".parquet.unfinished")
        was = await parquet.content(connection, known, source, *values)
        await parquet.write(connection, known, source, fresh, *values)
        found = await asyncio.to_thread(parquet.read_content, fresh, known)
        if found != was:
            raise Unprocessable(
                reason=f"{fresh} does not hold what was written into it: {found} instead of {was}"
            )
        file = FileInfo(
            file=path.name, sha256=await asyncio.to_thread(parquet.digest, fresh), bytes=fresh.stat().st_size,
            rows=was.rows, checksum=was.checksum, columns=known,
        )  # fmt: skip
        manifest = Manifest(
            table=table, month=f"{month:%Y-%m}", archived_at=datetime.now(UTC), schema=schema,
            program=metadata.version("opsmantik"), file=file,
        )  # fmt: skip
        fresh.rename(path)
        _write_manifest(path.with_suffix(".json"), manifest)
        files[table] = file
    _on_disk(directory)
    return files


def _write_manifest(path: Path, manifest: Manifest) -> None:
    fresh = path.with_suffix(".json.unfinished")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _on_disk(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _of_month(directory: Path, month: date) -> list[tuple[int, Path]]:
    name = re.compile(rf"(?:sessions|events)_{month:%Y-%m}\.([0-9]+)\.(?:parquet|json)(?:\.unfinished)?")
    found = []
    for path in directory.iterdir() if directory.is_dir() else ():
        if match := name.fullmatch(path.name):
            found.append((int(match[1]), path))
    return found


def _next_generation(directory: Path, month: date) -> int:
    return max((generation for generation, _ in _of_month(directory, month)), default=0) + 1


def _sweep(directory: Path, month: date, files: Files) -> None:
    """Remove what is left of earlier writings of these files: somebody who was erased since may be in it."""
    kept = {name for file in files.values() for name in (file.file, f"{Path(file.file).stem}.json")}
    for _, path in _of_month(directory, month):
        if path.name not in kept:
            path.unlink(missing_ok=True)


async def forget_old(connection: Any, archive: Archive) -> list[str]:
    """Remove the files of months that have been archived for longer than they are kept; which months that were."""
    if archive.months is None:
        return []
    gone = []
    for row in await connection.fetch(OLD, archive.months):
        files = files_of(row["files"])
        _refuse_missing(archive.directory, row["month"], row["node"], files)
        for _, path in _of_month(archive.directory, row["month"]):
            path.unlink(missing_ok=True)
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            await connection.execute("SELECT forget_archive($1)", row["month"])
        gone.append(f"{row['month']:%Y-%m}")
    return gone


def _refuse_missing(directory: Path, month: date, at: str, files: Files) -> None:
    missing = [file.file for file in files.values() if not (directory / file.file).is_file()]
    if missing:
        raise NotFound(
            what=f"file {missing[0]} of {month:%Y-%m} in {directory}; it was written on {at} (OPSMANTIK_ARCHIVE_DIRECTORY)"
        )


async def load(connection: Any, directory: Path, month: date, files: Files, at: str) -> None:
    """Put a month's files into temporary tables archived_sessions and archived_events, until the transaction ends.

    Raises :class:`~opsmantik.errors.NotFound` where a file is not here, :class:`~opsmantik.errors.Unprocessable` for one
    that is not what was written.
    """
    _refuse_missing(directory, month, at, files)
    for table, file in files.items():
        path, temporary = directory / file.file, f"archived_{table}"
        if await asyncio.to_thread(parquet.digest, path) != file.sha256:
            raise Unprocessable(reason=f"{path} is not the file that was written for this month")
        # Names and types were read from the catalogue, and come from our own row.
        columns = ", ".join(f'"{column.name}" {column.type}' for column in file.columns)
        await connection.execute(f"CREATE TEMPORARY TABLE {temporary} ({columns}) ON COMMIT DROP")
        await connection.copy_to_table(
            temporary, source=parquet.copy_lines(path, file.columns), columns=[c.name for c in file.columns], format="text"
        )  # fmt: skip
        found = await parquet.content(connection, file.columns, f"pg_temp.{temporary}")
        if found != file.content:
            raise Unprocessable(reason=f"{path} holds {found}, and {file.content} was written")
        await connection.execute(f"ANALYZE pg_temp.{temporary}")


async def rewrite(connection: Any, directory: Path, month: date, files: Files) -> Files:
    """Write a month's files anew from the temporary tables of :func:`load`, in the same transaction. The old ones are the
    month's until it commits; :func:`tidy` removes them afterwards."""
    fresh = await _write_files(
        connection, directory, month, _next_generation(directory, month),
        {table: (f"pg_temp.archived_{table}", ()) for table in files},
        {table: file.columns for table, file in files.items()},
    )  # fmt: skip
    await connection.execute(WHOLE, month, node(), msgspec.to_builtins(fresh))
    return fresh


async def tidy(connection: Any, directory: Path) -> None:
    """Remove files that are no month's any more: a run may have been cut off before it came to it."""
    for row in await connection.fetch("SELECT month, files FROM archived_months WHERE files IS NOT NULL"):
        _sweep(directory, row["month"], files_of(row["files"]))


async def restore(connection: Any, directory: Path, month: date, days: int) -> list[Restored]:
    """Put an archived month back into the database, where retention leaves it alone for so many days.

    One transaction: cut off, it leaves an empty partition at most, and can be done again. Rows that are there still (a
    visit that stayed for its lead), whose site is gone, or whose visit's id has come back in another month since are left
    as they are. Raises :class:`~opsmantik.errors.NotFound`, :class:`~opsmantik.errors.Conflict` for a month that is back
    already or in which an erasure has to be carried out first, and as :func:`load`.
    """
    row = await _restorable(connection, month)
    files = files_of(row["files"])
    _refuse_missing(directory, month, row["node"], files)
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        await connection.execute("SELECT make_month($1)", month)
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        row = await _restorable(connection, month, locked=True)
        files = files_of(row["files"])
        await load(connection, directory, month, files, row["node"])
        back = [
            await _put_back(connection, "sessions", "SELECT put_back_visits($1)", files["sessions"]),
            await _put_back(connection, "events", "SELECT put_back_events($1)", files["events"]),
        ]
        await connection.execute(
            "UPDATE archived_months SET restored_until = now() + $2::interval WHERE month = $1", month, timedelta(days=days)
        )  # fmt: skip
    log.info("archive.restored", month=f"{month:%Y-%m}", rows={r.table: r.back for r in back}, days=days)
    return back


async def _restorable(connection: Any, month: date, *, locked: bool = False) -> Any:
    row = await connection.fetchrow(KNOWN_LOCKED if locked else KNOWN, month)
    if row is None or row["archived_at"] is None:
        raise NotFound(what=f"archived month {month:%Y-%m}")
    if row["forgotten_at"] is not None:
        raise NotFound(
            what=f"archived month {month:%Y-%m}: its files were removed on {row['forgotten_at']:%Y-%m-%d}"
        )
    if row["is_back"]:
        raise Conflict(reason=f"{month:%Y-%m} is back already, until {row['restored_until']:%Y-%m-%d}")
    async with _seeing(connection):
        waits = await connection.fetchval("SELECT count(*) FROM archive_erasures WHERE month = $1", month)
    if waits:
        raise Conflict(
            reason=f"{waits} erasures have to be carried out in this month first: opsmantik upkeep run archive"
        )
    return row


@asynccontextmanager
async def _seeing(connection: Any) -> AsyncIterator[None]:
    """A transaction, or a part of one, that sees tenants' rows."""
    async with connection.transaction():
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        yield


async def _put_back(connection: Any, table: str, statement: str, file: FileInfo) -> Restored:
    now = {column.name for column in await columns_of(connection, table)}
    names = [column.name for column in file.columns if column.name in now]
    return Restored(table, await connection.fetchval(statement, names), file.rows)
