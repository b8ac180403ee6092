"""Copies of the whole database, and the way back.

A copy is a directory: ``database.dump`` (pg_dump's own format), ``manifest.json`` (what is in it, with the rows of every
table as they were counted in the very snapshot that was dumped), and ``SHA256SUMS`` over both and whatever else is put in.
It appears whole or not at all, and nothing is ever overwritten.

Enters: the owner's address. Row security binds the owner too, except where app.maintenance is on; a table that would keep
rows from the owner even then is found before anything is dumped, so that a copy is never silently short.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import msgspec

from opsmantik.db import binaries, cluster
from opsmantik.errors import DatabaseUnavailable, NotFound, Unprocessable
from opsmantik.settings import private_directory

FORMAT: Final = 1
DUMP, MANIFEST, SUMS = "database.dump", "manifest.json", "SHA256SUMS"
OPTIONS: Final = "-c app.maintenance=on -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"

# Tables with their rows; a partitioned one stands for its partitions. In "parts" there is nothing else.
TABLES: Final = """
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1
"""
# Tables, partitions too, whose row security would hide rows from us even with app.maintenance on.
HIDING: Final = """
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'parts') AND c.relkind IN ('r', 'p') AND c.relrowsecurity
      AND NOT (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles r WHERE r.rolname = current_user)
      AND (c.relforcerowsecurity OR NOT pg_has_role(current_user, c.relowner, 'USAGE'))
      AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
          AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0 OR pg_has_role(current_user, r, 'USAGE'))
          AND pg_get_expr(p.polqual, p.polrelid)
              IN ('true', '(current_setting(''app.maintenance''::text, true) = ''on''::text)'))
    ORDER BY 1
"""
EMPTY: Final = """
    SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'parts') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'))
      AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'parts')
"""
# What a database has before anything of ours is in it.
NOT_OURS: Final = re.compile(r" (?:EXTENSION|COMMENT - EXTENSION|SCHEMA - public|COMMENT - SCHEMA public) ")

Say = Callable[[str], object]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy holds. ``rows`` by table; ``secret`` and ``keys`` only name the keys that it belongs to."""

    format: int = FORMAT
    made_at: datetime
    program: str
    server: str
    owner: str
    migrations: list[str]
    rows: dict[str, int]
    dump_bytes: int
    secret: str
    keys: list[str]
    with_keys: bool

    @property
    def total(self) -> int:
        return sum(self.rows.values())


class Keys(msgspec.Struct, frozen=True):
    """What names the installation's keys, and what holds them, sealed, if they go into the copy."""

    secret: str
    keys: list[str]
    sealed: bytes | None = None


def fingerprint(secret: str) -> str:
    """A name for the secret key, from which nobody finds it: it has 256 bits, or so its owner promised."""
    return hashlib.sha256(b"opsmantik secret:" + secret.encode()).hexdigest()[:16]


def back_up(dsn: str, directory: Path, keys: Keys, say: Say) -> Manifest:
    """Make a copy. Events go on coming in meanwhile; what is committed after its beginning is not in it.

    Raises :class:`~opsmantik.errors.Unprocessable` where the directory is there already or the copy would be short.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Unprocessable(reason=f"{directory} is there already, and nothing is overwritten")
    unfinished = directory.with_name(f".{directory.name}.unfinished.{os.getpid()}")
    private_directory(unfinished)
    try:
        manifest = asyncio.run(_dump(dsn, unfinished, keys, say))
        (unfinished / MANIFEST).write_bytes(
            msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        )
        if keys.sealed is not None:
            (unfinished / "keys.sealed").write_bytes(keys.sealed)
        _write_sums(unfinished)
        if directory.exists():
            directory.rmdir()
        unfinished.rename(directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


async def _dump(dsn: str, directory: Path, keys: Keys, say: Say) -> Manifest:
    connection = await connect(dsn)
    try:
        hiding = [row["name"] for row in await connection.fetch(HIDING)]
        if hiding:
            raise Unprocessable(reason=f"row security would keep rows of {', '.join(hiding)} out of the copy")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            version = connection.get_server_version()
            server = await connection.fetchval("SELECT current_setting('server_version')")
            owner = await connection.fetchval("SELECT current_user::text")
            migrations = [
                r["name"] for r in await connection.fetch("SELECT name FROM schema_migrations ORDER BY 1")
            ]
            made_at = await connection.fetchval("SELECT now()")
            say("Copying the database ...")
            arguments = [
                "--format=custom", f"--snapshot={snapshot}", "--enable-row-security", "--no-password",
                f"--file={directory / DUMP}",
            ]  # fmt: skip
            await asyncio.to_thread(_run, client("pg_dump", version.major), arguments, dsn)
            say("Counting what is in it ...")
            rows = await count(connection)
    finally:
        await connection.close()
    return Manifest(
        made_at=made_at, program=metadata.version("opsmantik"), server=server, owner=owner,
        migrations=migrations, rows=rows, dump_bytes=(directory / DUMP).stat().st_size, secret=keys.secret, keys=keys.keys,
        with_keys=keys.sealed is not None,
    )  # fmt: skip


async def connect(dsn: str) -> Any:
    """A connection as the owner that sees every row. Raises :class:`~opsmantik.errors.DatabaseUnavailable`."""
    try:
        return await asyncpg.connect(
            dsn,
            timeout=10,
            server_settings={
                "app.maintenance": "on",
                "application_name": "opsmantik backup",
                "statement_timeout": "0",
            },
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as lost:
        raise DatabaseUnavailable from lost


async def count(connection: Any) -> dict[str, int]:
    """The rows of every table, counted one by one."""
    names = [row["name"] for row in await connection.fetch(TABLES)]
    # Names come from the catalogue, quoted by it.
    return {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in names}  # noqa: S608


def read(directory: Path) -> Manifest:
    """The manifest of a copy that is whole, by its checksums.

    Raises :class:`~opsmantik.errors.NotFound` for what is no copy, ``Unprocessable`` for one that has changed since.
    """
    try:
        lines = (directory / SUMS).read_text().splitlines()
        manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise NotFound(what=f"backup in {directory}") from None
    named = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in (DUMP, MANIFEST, *(["keys.sealed"] if manifest.with_keys else [])):
        if named.get(name) != _digest(directory / name):
            raise Unprocessable(reason=f"{directory / name} is not what it was when the backup was made")
    if manifest.format > FORMAT:
        raise Unprocessable(reason="it was made by a newer version of OpsMantik")
    return manifest


async def restore(dsn: str, directory: Path, manifest: Manifest, say: Say) -> dict[str, tuple[int, int]]:
    """Put a copy into an empty database, as its owner; the application's role has to be there.

    Returns where the rows differ from those that were counted: nowhere, or table by table (counted then, counted now).
    Raises :class:`~opsmantik.errors.Unprocessable` for a database that is not empty, or whose owner has another name.
    """
    connection = await connect(dsn)
    try:
        await refuse_unfit(connection, manifest)
        major = max(connection.get_server_version().major, int(manifest.server.partition(".")[0]))
        say(f"Restoring {manifest.total:,} rows ...")
        await asyncio.to_thread(_pg_restore, dsn, directory / DUMP, major)
        await connection.execute("ANALYZE")
        say("Counting what has arrived ...")
        return differences(manifest.rows, await count(connection))
    finally:
        await connection.close()


async def refuse_unfit(connection: Any, manifest: Manifest) -> None:
    """Raises :class:`~opsmantik.errors.Unprocessable` for a database into which this copy cannot go."""
    if not await connection.fetchval(EMPTY):
        raise Unprocessable(reason="the database is not empty, and nothing is overwritten")
    owner = await connection.fetchval("SELECT current_user::text")
    if owner != manifest.owner:  # the policies name it
        raise Unprocessable(
            reason=f"the schema's owner was called {manifest.owner} and here it is {owner}: connect as one of that name"
        )


def differences(was: dict[str, int], now: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Tables whose rows are not as many as before; a table that is not there has none."""
    names = sorted(was.keys() | now.keys())
    return {n: (was.get(n, 0), now.get(n, 0)) for n in names if was.get(n, 0) != now.get(n, 0)}


def _pg_restore(dsn: str, dump: Path, major: int) -> None:
    program = client("pg_restore", major)
    listed = _run(program, ["--list", str(dump)])
    ours = [line for line in listed.splitlines() if not line.startswith(";") and not NOT_OURS.search(line)]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as wanted:
        wanted.write("\n".join(ours) + "\n")
        wanted.flush()
        arguments = [
            f"--use-list={wanted.name}", "--no-owner", "--single-transaction", "--exit-on-error", "--no-password",
        ]  # fmt: skip
        _run(program, [*arguments, str(dump)], dsn)


def client(program: str, least: int) -> str:
    """A PostgreSQL program that understands a server of this major version: ours, on PATH, or in Debian's directory.

    Raises :class:`~opsmantik.errors.NotFound`.
    """
    for place in _places(program):
        said = subprocess.run([place, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        found = re.search(r"\(PostgreSQL\) (\d+)", said)
        if found and int(found[1]) >= least:
            return str(place)
    raise NotFound(
        what=f"{program} of PostgreSQL {least} or newer on this machine; install postgresql-client-{least}"
    )


def _places(program: str) -> Iterator[Path]:
    for directory in binaries.candidates():
        if os.access(directory / program, os.X_OK):
            yield directory / program
    if on_path := shutil.which(program):
        yield Path(on_path)


def _run(program: str, arguments: Sequence[str], dsn: str | None = None) -> str:
    """What it says. The password goes by the environment: everybody may read what programs are started with."""
    environ = cluster.environment() | {"PGOPTIONS": OPTIONS, "PGAPPNAME": "opsmantik backup"}
    words = [program, *arguments]
    if dsn is not None:
        address, environ["PGPASSWORD"] = _without_password(dsn)
        words.append(f"--dbname={address}")
    done = subprocess.run(words, capture_output=True, text=True, env=environ, check=False)  # noqa: S603
    if done.returncode != 0:
        # The last line says what it was; rows that are quoted are somebody's data.
        last = re.sub(r'"[^"]*"', '"..."', (done.stderr.strip().splitlines() or ["no word why"])[0])
        raise Unprocessable(reason=f"{Path(program).name} failed: {last[:300]}")
    return done.stdout


def _without_password(dsn: str) -> tuple[str, str]:
    parts = urlsplit(dsn)
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    netloc = f"{name}@{hosts}" if name else hosts
    return urlunsplit(parts._replace(netloc=netloc)), unquote(password)


def _write_sums(directory: Path) -> None:
    """As sha256sum writes them, so that it can check them too; and all of it on disk before it has its name."""
    files = sorted(path for path in directory.iterdir())
    (directory / SUMS).write_text("".join(f"{_digest(path)}  {path.name}\n" for path in files))
    for path in directory.iterdir():
        path.chmod(0o600)
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@contextmanager
def scratch(place: Path | None) -> Iterator[Path]:
    """A directory that is gone afterwards, for a server to try a copy in."""
    home = Path(tempfile.mkdtemp(prefix="opsmantik-drill-", dir=place))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def age(manifest: Manifest, now: datetime | None = None) -> str:
    """How old a copy is, in words."""
    hours = ((now or datetime.now(UTC)) - manifest.made_at).total_seconds() / 3600
    if hours < 2:
        return f"{max(hours * 60, 0):.0f} minutes"
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
