"""``opsmantik doctor``: is this machine, and how OpsMantik is set up on it, fit to run it? One line a question, with
what to do about it. Nothing is changed, started or sent. Ends with 1 where something is bad.

Every question is a function that yields lines; one that breaks is a bad line itself, and no other is lost with it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import platform
import resource
import socket
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import metadata, util
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import asyncpg
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from opsmantik import keyring
from opsmantik import settings as environment
from opsmantik.db import backup, embedded
from opsmantik.db.connect import UNREACHABLE, refuse_unsafe_role
from opsmantik.db.migrate import migration_files
from opsmantik.db.readiness import missing_partitions
from opsmantik.errors import OpsMantikError
from opsmantik.settings import Settings
from opsmantik.web.health import MEGABYTE, free_bytes
from opsmantik.web.tracing import VARIABLES

Level = Literal["ok", "warn", "bad"]
SECONDS: Final = 5.0
LITTLE_MEMORY_MB: Final = 900
FEW_FILES: Final = 4096
LATE_SECONDS: Final = (1.0, 5.0)
STYLES: Final = {"ok": "green", "warn": "yellow", "bad": "red"}
# The loss of each means that an answer was a lie.
DURABLE: Final = ("fsync", "full_page_writes")

# The offset of every zone, once a week of a year from $1 on: a rule that moves a change by a week shows.
ZONES: Final = """
    SELECT z.name,
        array_agg(extract(epoch FROM (m AT TIME ZONE z.name) - (m AT TIME ZONE 'UTC'))::integer ORDER BY m) AS offsets
    FROM pg_timezone_names z
    CROSS JOIN generate_series($1::timestamptz, $1::timestamptz + interval '52 weeks', interval '1 week') m
    WHERE z.name = ANY ($2) GROUP BY z.name
"""


class Line(msgspec.Struct, frozen=True):
    """One answer: how it is, what was asked, what there is to say, and what to do."""

    level: Level
    what: str
    says: str
    do: str = ""


Lines = Iterator[Line]
ManyLines = AsyncIterator[Line]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look over the machine, the settings and what they lead to."""
    found = asyncio.run(examine())
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        table = Table(box=None, header_style="bold", show_header=False, pad_edge=False)
        for line in found:
            words = f"{line.says} → {line.do}" if line.do else line.says
            table.add_row(f"[{STYLES[line.level]}]{line.level}[/]", line.what, words)
        Console(highlight=False).print(table)
    if any(line.level == "bad" for line in found):
        raise typer.Exit(1)


async def examine(settings: Settings | None = None) -> list[Line]:
    """Every line."""
    found = _lines("python", _python)
    try:
        settings = settings or environment.load()
    except OpsMantikError as wrong:
        return [*found, Line("bad", "settings", wrong.message, "Correct it; see docs/settings.md.")]
    known = settings
    for name, ask in ON_THE_SPOT.items():
        found += _lines(name, lambda ask=ask: ask(known))  # type: ignore[misc]
    for name, look in FURTHER.items():
        found += await _many(name, look(known))
    return found


def _lines(name: str, ask: Callable[[], Lines]) -> list[Line]:
    try:
        return list(ask())
    except Exception as error:
        return [_broken(name, error)]


async def _many(name: str, lines: ManyLines) -> list[Line]:
    found = []
    try:
        async with asyncio.timeout(60):
            async for line in lines:
                found.append(line)
    except Exception as error:
        found.append(_broken(name, error))
    return found


def _broken(name: str, error: Exception) -> Line:
    words = error.message if isinstance(error, OpsMantikError) else f"{type(error).__name__}: {error}"
    return Line("bad", name, words)


def _python() -> Lines:
    said = f"OpsMantik {metadata.version('opsmantik')}, Python {platform.python_version()} on {platform.platform()}"
    yield Line("ok", "python", said)


def _disk(settings: Settings) -> Lines:
    free = free_bytes(settings.home)
    if free is None:
        yield Line("warn", "disk", f"nobody knows how much is free for {settings.home}")
        return
    said = f"{free / 1e9:.1f} GB free for {settings.home}"
    if free < settings.disk_free_mb * MEGABYTE:
        yield Line(
            "bad",
            "disk",
            said,
            f"Make room: with less than {settings.disk_free_mb} MB the server is not ready.",
        )
    elif free < 4 * settings.disk_free_mb * MEGABYTE:
        yield Line("warn", "disk", said, "Make room soon.")
    else:
        yield Line("ok", "disk", said)


def _memory(settings: Settings) -> Lines:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    said = f"{memory / 1e9:.1f} GB, {os.cpu_count()} processors"
    little = memory < LITTLE_MEMORY_MB * MEGABYTE
    yield Line("warn" if little else "ok", "memory", said, "Have 1 GB or more." if little else "")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = 0 <= files < FEW_FILES
    yield Line(
        "warn" if few else "ok", "open files", f"{files} at once",
        f"Raise the limit (ulimit -n, LimitNOFILE=) to {FEW_FILES} or more: each open page takes one." if few else "",
    )  # fmt: skip


def _port(settings: Settings) -> Lines:
    place = urlsplit(settings.local_url)
    where = f"port {settings.port} on {settings.host}"
    try:
        with socket.create_connection((place.hostname or "", settings.port), timeout=2) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: doctor\r\nconnection: close\r\n\r\n")
            connection.settimeout(2)
            answer = connection.recv(4096)
    except ConnectionRefusedError:
        yield Line("ok", "port", f"{where} is free")
    except OSError as failed:
        yield Line("warn", "port", f"{where}: {failed}", "See who listens there.")
    else:
        if b"content-security-policy" in answer.lower() and b" 200 " in answer[:20]:
            yield Line("ok", "port", f"OpsMantik answers at {settings.local_url}")
        else:
            yield Line(
                "bad", "port", f"another program has {where}", "Stop it, or choose another by OPSMANTIK_PORT."
            )


def _files(settings: Settings) -> Lines:
    home = settings.home
    if not home.exists():
        yield Line("ok", "home", f"{home} will be made")
        return
    private = [home, home / "secret.key", home / keyring.FILE, home / "postgres" / "password"]
    open_ = [path for path in private if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in open_:
        mode = stat.S_IMODE(path.stat().st_mode)
        level: Level = "warn" if path == home else "bad"
        yield Line(level, "file modes", f"{path} is open to others ({mode:04o})", f"chmod go-rwx {path}")
    if not open_:
        yield Line("ok", "file modes", f"what is in {home} is ours alone")
    if not os.access(home, os.W_OK | os.X_OK):
        yield Line(
            "bad",
            "home",
            f"{home} cannot be written",
            "Run it as its owner, or choose another by OPSMANTIK_HOME.",
        )


def _keys(settings: Settings) -> Lines:
    shared = settings.database_url is not None
    for what, given, name in (
        ("secret key", bool(settings.secret_key), "secret.key"),
        ("encryption keys", bool(settings.encryption_keys), keyring.FILE),
    ):
        variable = environment.variable(what.replace(" ", "_"))
        if given:
            yield Line("ok", what, f"from {variable}")
        elif not (settings.home / name).exists():
            yield Line("ok", what, f"will be made in {settings.home / name}")
        elif shared:
            yield Line(
                "warn", what, f"only in {settings.home / name}",
                f"Set {variable} where several machines share the database; keep a copy elsewhere in any case.",
            )  # fmt: skip
        else:
            yield Line("ok", what, f"in {settings.home / name}; keep a copy elsewhere")
    if settings.encryption_keys or (settings.home / keyring.FILE).exists():
        keyring.keyring(settings)  # raises what is wrong with them


def _address(settings: Settings) -> Lines:
    url, local = urlsplit(settings.base_url), _is_local(settings.host)
    if settings.public_url is None:
        if local:
            yield Line("ok", "public address", f"not set: {settings.base_url}, for this machine")
        else:
            yield Line(
                "warn", "public address", f"not set, and everybody may connect to {settings.host}",
                "Set OPSMANTIK_PUBLIC_URL to what browsers call it: links and cookies depend on it.",
            )  # fmt: skip
        return
    if url.path not in ("", "/"):
        yield Line(
            "bad",
            "public address",
            f"{settings.base_url} has a path",
            "Give OpsMantik a host name of its own.",
        )
    elif url.scheme != "https" and not _is_local(url.hostname or ""):
        yield Line(
            "warn", "public address", f"{settings.base_url} is not encrypted",
            "Let a proxy end TLS; the tracker of a page with https cannot post to http.",
        )  # fmt: skip
    else:
        yield Line("ok", "public address", settings.base_url)


def _proxies(settings: Settings) -> Lines:
    trusted = settings.trusted_proxies
    everybody = [str(network) for network in trusted if network.prefixlen == 0]
    if everybody:
        yield Line(
            "bad", "trusted proxies", f"{', '.join(everybody)} is everybody: anyone could pass for anyone",
            "Name the addresses of your proxies alone.",
        )  # fmt: skip
    elif not trusted and settings.base_url.startswith("https:"):
        yield Line(
            "warn", "trusted proxies", "none, though a proxy must be ending TLS for the public address",
            "Set OPSMANTIK_TRUSTED_PROXIES: without it all visitors share the proxy's address, and its rate limit.",
        )  # fmt: skip
    else:
        yield Line("ok", "trusted proxies", ", ".join(map(str, trusted)) or "none")
    if settings.geo_headers != "none" and not trusted:
        yield Line(
            "warn", "places", f"{settings.geo_headers}'s headers are believed from nobody",
            "Set OPSMANTIK_TRUSTED_PROXIES.",
        )  # fmt: skip
    if settings.geoip_database is not None and not settings.geoip_database.is_file():
        yield Line(
            "bad", "places", f"{settings.geoip_database} is not there", "Correct OPSMANTIK_GEOIP_DATABASE."
        )


def _optional(settings: Settings) -> Lines:
    hook = settings.alert_webhook
    if hook is None and settings.smtp_url is None:
        yield Line(
            "warn", "alerts", "nobody is told when something goes wrong",
            "Set OPSMANTIK_SMTP_URL or OPSMANTIK_ALERT_WEBHOOK.",
        )  # fmt: skip
    elif hook is not None and hook.startswith("http:") and not settings.webhook_networks:
        yield Line(
            "bad",
            "alerts",
            "the webhook is not https",
            "Use https, or name its network in OPSMANTIK_WEBHOOK_NETWORKS.",
        )
    else:
        yield Line(
            "ok",
            "alerts",
            "by " + " and ".join(w for w, on in (("mail", settings.smtp_url), ("webhook", hook)) if on),
        )
    if any(os.environ.get(name) for name in VARIABLES) and util.find_spec("opentelemetry") is None:
        yield Line(
            "warn",
            "OpenTelemetry",
            "an endpoint is set, and its package is missing",
            "pip install 'opsmantik[otel]'",
        )


async def _database(settings: Settings) -> ManyLines:
    try:
        embedded.require_running(settings)
    except OpsMantikError:
        yield Line(
            "warn", "database", f"the server in {settings.home} does not run", "opsmantik up; then ask again."
        )
        return
    owner, app = embedded.database_urls(settings)
    try:
        connection = await asyncpg.connect(owner, timeout=SECONDS)
    except (*UNREACHABLE, asyncpg.PostgresError) as error:
        yield Line(
            "bad", "database", f"{type(error).__name__}: {error}"[:200], "Is it up, and DATABASE_URL right?"
        )
        return
    try:
        for ask in (_server, _clock, _migrations, _zones):
            async for line in ask(connection):
                yield line
    finally:
        await connection.close()
    yield await _role(app)


async def _server(connection: Any) -> ManyLines:
    version = connection.get_server_version()
    told = await connection.fetchval("SELECT current_setting('server_version')")
    said = f"PostgreSQL {told}"
    fit = version.major >= 15
    yield Line("ok" if fit else "bad", "database", said, "" if fit else "OpsMantik needs 15 or newer.")
    for name in DURABLE:
        if await connection.fetchval("SELECT current_setting($1)", name) == "off":
            yield Line(
                "bad", "durability", f"{name} is off: what was answered may be lost", f"Set {name} = on."
            )
    if await connection.fetchval("SELECT current_setting('synchronous_commit')") == "off":
        yield Line(
            "bad",
            "durability",
            "synchronous_commit is off: an answer comes before the commit",
            "Set it to on.",
        )
    if not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')"
    ):
        yield Line("warn", "extensions", "pg_stat_statements is missing: the audit cannot name slow statements",
                   "Load it (shared_preload_libraries) and CREATE EXTENSION pg_stat_statements.")  # fmt: skip
    else:
        yield Line("ok", "extensions", "pg_stat_statements")
    try:
        yield Line("ok", "backup", backup.client("pg_dump", version.major))
    except OpsMantikError as missing:
        yield Line("warn", "backup", missing.message)


async def _clock(connection: Any) -> ManyLines:
    before = time.time()
    there = await connection.fetchval("SELECT clock_timestamp()")
    apart = abs(there.timestamp() - (before + time.time()) / 2)
    level: Level = "ok" if apart < LATE_SECONDS[0] else "warn" if apart < LATE_SECONDS[1] else "bad"
    do = "" if level == "ok" else "Let both machines keep time (NTP)."
    yield Line(level, "clock", f"{apart:.2f} s from the database's", do)


async def _migrations(connection: Any) -> ManyLines:
    if not await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
        yield Line("bad", "migrations", "the database is empty", "opsmantik db migrate")
        return
    applied = {row["name"] for row in await connection.fetch("SELECT name FROM schema_migrations")}
    ours = {path.name for path in migration_files()}
    if pending := sorted(ours - applied):
        yield Line(
            "bad", "migrations", f"{len(pending)} are pending, the first {pending[0]}", "opsmantik db migrate"
        )
    elif more := sorted(applied - ours):
        yield Line("warn", "migrations", f"the database knows {len(more)} that this version does not, as {more[0]}",
                   "Use the newer version of OpsMantik that made them.")  # fmt: skip
    else:
        yield Line("ok", "migrations", f"all {len(ours)} are applied")
    if missing := await missing_partitions(connection, datetime.now(UTC)):
        yield Line(
            "bad", "partitions", f"{', '.join(missing)} are missing", "opsmantik upkeep run partitions_ahead"
        )
    else:
        yield Line("ok", "partitions", "this month and the next are there")


async def _zones(connection: Any) -> ManyLines:
    """Days are cut by Python and by the database: both have to know the same rules."""
    names = sorted(available_timezones())
    start = datetime(datetime.now(UTC).year, 1, 1, 12, tzinfo=UTC)
    weeks = [start + timedelta(weeks=n) for n in range(53)]
    rows = await connection.fetch(ZONES, start, names)
    differ = {row["name"] for row in rows if row["offsets"] != [_offset(row["name"], at) for at in weeks]}
    used: set[str] = set()
    if await connection.fetchval("SELECT to_regclass('public.sites') IS NOT NULL"):
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            found = await connection.fetch("SELECT DISTINCT time_zone FROM sites")
        used = {row["time_zone"] for row in found}
    unknown = used - {row["name"] for row in rows}
    do = "Bring both to the same release: pip install -U tzdata, and the database server's package."
    if unknown:
        yield Line(
            "bad",
            "time zones",
            f"sites use {', '.join(sorted(unknown))}, which is not known on both sides",
            do,
        )
    if wrong := used & differ:
        yield Line(
            "bad", "time zones", f"{', '.join(sorted(wrong))} is not the same here and in the database", do
        )
    elif differ:
        some = ", ".join(sorted(differ)[:5])
        yield Line(
            "warn",
            "time zones",
            f"{len(differ)} differ from the database's this year, as {some}; no site uses them",
            do,
        )
    elif not unknown:
        yield Line("ok", "time zones", f"{len(rows)} are the same here and in the database this year")


def _offset(name: str, at: datetime) -> int:
    offset = at.astimezone(ZoneInfo(name)).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


async def _role(app: str) -> Line:
    try:
        # Without a name, which a pooler might keep for the next one.
        connection = await asyncpg.connect(app, timeout=SECONDS, statement_cache_size=0)
    except (*UNREACHABLE, asyncpg.PostgresError) as error:
        return Line(
            "bad",
            "role",
            f"the application cannot sign in: {type(error).__name__}",
            "opsmantik db migrate sets its password.",
        )
    try:
        await refuse_unsafe_role(connection)
    except OpsMantikError as unsafe:
        return Line("bad", "role", unsafe.message)
    finally:
        await connection.close()
    return Line("ok", "role", "the application's role is bound by row security")


async def _standby(settings: Settings) -> ManyLines:
    """Only where one is set: without, there is nothing to say."""
    if settings.read_database_url is None:
        return
    try:
        connection = await asyncpg.connect(
            settings.read_database_url, timeout=SECONDS, statement_cache_size=0
        )
    except (*UNREACHABLE, asyncpg.PostgresError) as error:
        yield Line(
            "bad", "standby", f"{type(error).__name__}: {error}"[:200],
            "Is it up, and OPSMANTIK_READ_DATABASE_URL right? Until then the primary answers everything.",
        )  # fmt: skip
        return
    try:
        if await connection.fetchval("SELECT pg_is_in_recovery()"):
            yield Line("ok", "standby", "it follows a primary; people's pages read from it")
        else:
            yield Line(
                "bad", "standby", "it follows nobody: it is no standby, and nothing is read from it",
                "Point OPSMANTIK_READ_DATABASE_URL at a streaming standby, or unset it.",
            )  # fmt: skip
    finally:
        await connection.close()


async def _mail(settings: Settings) -> ManyLines:
    if settings.smtp_url is None:
        yield Line("ok", "mail", "no server is set: links are shown to be copied")
        return
    url = urlsplit(settings.smtp_url)
    yield await _reaches(
        "mail", url.hostname or "", url.port or (465 if url.scheme == "smtps" else 587), "OPSMANTIK_SMTP_URL"
    )


async def _valkey(settings: Settings) -> ManyLines:
    if settings.valkey_url is None:
        yield Line("ok", "valkey", "not set: each server limits by itself")
        return
    from valkey.asyncio import Valkey
    from valkey.exceptions import ValkeyError

    client: Any = Valkey.from_url(settings.valkey_url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
    try:
        await client.ping()
        yield Line("ok", "valkey", "it answers")
    except (ValkeyError, OSError) as lost:
        yield Line(
            "bad",
            "valkey",
            f"{type(lost).__name__}: {lost}"[:200],
            "Is it up, and OPSMANTIK_VALKEY_URL right?",
        )
    finally:
        await client.aclose()


async def _reaches(what: str, host: str, port: int, variable: str) -> Line:
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as failed:
        return Line(
            "bad", what, f"{host}, port {port}: {failed or 'no answer'}", f"Is it up, and {variable} right?"
        )
    return Line("ok", what, f"{host}, port {port} can be reached")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


ON_THE_SPOT: Final[dict[str, Callable[[Settings], Lines]]] = {
    "disk": _disk, "memory": _memory, "port": _port, "file modes": _files, "keys": _keys,
    "public address": _address, "trusted proxies": _proxies, "alerts": _optional,
}  # fmt: skip
FURTHER: Final[dict[str, Callable[[Settings], ManyLines]]] = {
    "database": _database,
    "mail": _mail,
    "valkey": _valkey,
    "standby": _standby,
}
