"""What is measured: the real server (``opsmantik serve``) before a database of its own, both gone afterwards.

The data lies on a disk (``/var/tmp`` unless told otherwise, since ``/tmp`` is memory on many systems): a commit that
has nothing to wait for proves nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import asyncpg
import msgspec
from load import Order, Report
from machine import Machine, describe, syncs_a_second
from mix import SITES, Kind

from opsmantik.db import roles
from opsmantik.db.child import preparation
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.migrate import migrate
from opsmantik.event import new_id
from opsmantik.people.store import new_token, token_hash
from opsmantik.web.guard import cookie_name

HERE = Path(__file__).parent
READY_SECONDS = 60
MEMORY_FILESYSTEMS = ("tmpfs", "ramfs")
INGEST = "%ingest_batch_v2($1%"


class VoidError(Exception):
    """A run that proves nothing: an answer was not 200, or what was answered is not what was stored."""


class Books(msgspec.Struct):
    """What the database holds, to be compared before and after a run."""

    events: int
    pulses: int
    calls: int
    transactions: int  # that ingested; the others are not counted
    ingested: int  # events and pulses by the server's own books

    def since(self, before: Books) -> Books:
        """By how much each grew."""
        return Books(*(getattr(self, name) - getattr(before, name) for name in self.__struct_fields__))


class Stand:
    """A database and a server, running between ``__enter__`` and ``__exit__``; from the main thread only."""

    def __init__(self, directory: Path, **variables: str) -> None:
        """``variables``: of the server's environment, beyond what every stand sets."""
        self._variables = variables
        self.home = Path(tempfile.mkdtemp(prefix="opsmantik-bench-", dir=directory))
        self.secret = secrets.token_hex(32)
        self.port = free_port()
        self.postgres = EmbeddedServer(self.home, self.secret)
        self.owner = f"bench-{secrets.token_hex(4)}@example.com"
        self.person = uuid4()  # who has that address and owns all sites
        self.sites: list[tuple[str, str]] = []  # public id and domain, as the traffic needs them
        self.machine: Machine | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.postgres.start(lambda words: None)
            asyncio.run(self._prepare())
            self.machine = describe(self.home, self.postgres.version())
            if self.machine.filesystem in MEMORY_FILESYSTEMS:
                raise VoidError(
                    f"{self.home} is in memory ({self.machine.filesystem}): name a directory on a disk"
                )
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server, then the database, then remove every trace."""
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(20)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self.postgres.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def processes(self) -> dict[str, int]:
        """Whose CPU time is counted."""
        assert self._server is not None and self.postgres.pid is not None
        return {"server": self._server.pid, "postgres": self.postgres.pid}

    @property
    def cores(self) -> int:
        assert self.machine is not None
        return self.machine.cores_used

    @property
    def admin_dsn(self) -> str:
        return self.postgres.admin_dsn(roles.DATABASE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _begin(self) -> None:
        self._start_server()
        self._work_in()

    async def _prepare(self) -> None:
        password = roles.role_password(self.secret, roles.APP)
        await migrate(
            self.postgres.role_dsn(roles.OWNER), app_password=password, on_progress=lambda words: None
        )
        admin = await asyncpg.connect(self.admin_dsn)
        try:
            await admin.execute(
                "INSERT INTO users (id, email, name) VALUES ($1, $2, 'Bench')", self.person, self.owner
            )
            await admin.execute("INSERT INTO profiles (id) VALUES ($1)", self.person)
            await self._add_sites(admin)
        finally:
            await admin.close()

    async def _add_sites(self, admin: Any) -> None:
        for domain in SITES:
            site, public_id = new_id(), secrets.token_hex(16)
            await admin.execute(
                "INSERT INTO sites (id, user_id, public_id, name, domain) VALUES ($1, $2, $3, $4, $4)",
                site, self.person, public_id, domain,
            )  # fmt: skip
            await admin.execute(
                "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'owner')",
                site,
                self.person,
            )
            await admin.execute(
                "INSERT INTO site_origins (site_id, origin) VALUES ($1, $2)", site, f"https://www.{domain}"
            )
            self.sites.append((public_id, domain))

    def environment(self) -> dict[str, str]:
        """Of the server, and of commands beside it: as in production, behind a proxy on this machine that names the
        visitors' addresses."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPSMANTIK_", "DATABASE_"))
        }
        return kept | {
            "OPSMANTIK_HOME": str(self.home),
            "OPSMANTIK_PORT": str(self.port),
            "OPSMANTIK_SECRET_KEY": self.secret,
            "OPSMANTIK_TRUSTED_PROXIES": "127.0.0.1/32",
            "OPSMANTIK_LOG_LEVEL": "warning",
            # What a server can take is measured with a few sites: none of them is held back.
            "OPSMANTIK_SITE_RATE_LIMIT_PER_MINUTE": "100000000",
        } | self._variables  # fmt: skip

    def _start_server(self) -> None:
        log = (self.home / "server.log").open("wb")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "opsmantik.cli", "serve"], env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, preexec_fn=preparation(),
        )  # fmt: skip
        log.close()
        self._await_readiness()

    def _await_readiness(self) -> None:
        assert self._server is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._server.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise VoidError(f"the server did not get ready:\n{self.words()}")

    def _work_in(self) -> None:
        """Have a few thousand events stored: what is measured is an installation at work, not an empty one."""
        self.drive("present", connections=64, seconds=2.0, warm=0.5)

    def words(self) -> str:
        """The last of what the server said."""
        return "\n".join((self.home / "server.log").read_text(errors="replace").splitlines()[-20:])

    def query(self, sql: str, *values: Any) -> Any:
        """The first row, as the superuser."""

        async def ask() -> Any:
            connection = await asyncpg.connect(self.admin_dsn)
            try:
                return await connection.fetchrow(sql, *values)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def sign_in(self, person: UUID) -> dict[str, str]:
        """Somebody signs in; the cookie that their browser keeps."""
        token = new_token()
        self.query(
            "INSERT INTO sign_ins (token_hash, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day') RETURNING 1",
            token_hash(token), person,
        )  # fmt: skip
        return {cookie_name("session", secure=False): token}

    def books(self) -> Books:
        """Count everything."""
        row = self.query(
            "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM calls) AS calls,"
            " (SELECT coalesce(sum(n), 0)::bigint FROM ingest_counts WHERE outcome = 'pulse') AS pulses,"
            " (SELECT coalesce(sum(n), 0)::bigint FROM ingest_counts WHERE outcome IN ('stored', 'pulse')) AS ingested,"
            " (SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE query LIKE $1) AS transactions",
            INGEST,
        )
        return Books(**dict(row))

    def settle(self) -> None:
        """Let no run pay for what an earlier one left: write it out, and tell the planner how large tables are.

        Autovacuum would tell it too, within a minute; until then plans made for empty tables stay in use.
        """
        self.query("ANALYZE")
        self.query("CHECKPOINT")

    def syncs_a_second(self) -> float:
        return syncs_a_second(self.postgres.data)

    def order(
        self,
        kind: Kind,
        *,
        connections: int,
        seconds: float,
        warm: float,
        rate: float | None = None,
        seed: int = 1,
    ) -> Order:
        """What the generator shall do here."""
        return Order(
            kind=kind, port=self.port, sites=self.sites, connections=connections, warm_seconds=warm,
            seconds=seconds, processes=self.processes, rate=rate, seed=seed, most=40_000 if kind == "batch" else 12_000,
        )  # fmt: skip

    def drive(
        self,
        kind: Kind,
        *,
        connections: int,
        seconds: float,
        warm: float,
        rate: float | None = None,
        seed: int = 1,
    ) -> tuple[Report, Books]:
        """Run the generator; its report, and by how much the books grew.

        Raises :class:`VoidError` unless every answer was 200 and every answered event is stored, exactly once.
        """
        self.settle()
        before = self.books()
        order = self.order(kind, connections=connections, seconds=seconds, warm=warm, rate=rate, seed=seed)
        done = subprocess.run(
            [sys.executable, str(HERE / "load.py")],
            input=msgspec.json.encode(order), stdout=subprocess.PIPE, check=True, timeout=seconds + warm + 120,
        )  # fmt: skip
        report = msgspec.json.decode(done.stdout, type=Report)
        grown = self.books().since(before)
        expected = (report.whole_rows, report.whole_events - report.whole_rows, report.whole_taps)
        stored = (grown.events, grown.pulses, grown.calls)
        if report.failures:
            raise VoidError(f"not every answer was 200: {report.failures}\n{self.words()}")
        if stored != expected:
            raise VoidError(f"answered {expected} and stored {stored} (rows, pulses, calls)")
        return report, grown


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
