"""A PostgreSQL server of our own: made, started, adopted after accidents, and stopped here.

Everything lives in the home directory: ``postgres/data``, ``postgres/password`` (the superuser's),
``postgres/log``, ``postgres/lock``, and the socket in ``run``. The server runs as a direct child of the
process that starts it: that process reaps it, so a killed server never stays as a zombie that blocks the next
start; and the kernel asks it to shut down when its parent dies, however that dies.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from opsmantik.db import binaries, cluster, postmaster, roles
from opsmantik.db.child import choose_identity, preparation
from opsmantik.db.connect import Database
from opsmantik.db.lockfile import LockFile, holder
from opsmantik.errors import AlreadyRunning, NotRunning, PostgresFailed
from opsmantik.settings import Settings, keep_secret, private_directory, secret

PORT = 5432  # only the name of the socket file, as long as nobody asks for TCP
LONGEST_SOCKET = 107  # bytes of a path that fit a socket address on Linux
RECOVERY_SECONDS = 300
SET_UP = "set up"  # the lock file's second line, for the other processes
STOP_SECONDS = 60

Progress = Callable[[str], object]


def _silently(_: str) -> None:
    pass


class EmbeddedServer:
    """The server of one home directory. ``secret_key`` is what the roles' passwords are derived from."""

    def __init__(self, home: Path, secret_key: str, *, tcp: bool = False) -> None:
        self.home = home.absolute()
        self.secret_key = secret_key
        self.data = self.home / "postgres" / "data"
        self.log = self.home / "postgres" / "log"
        self.password_file = self.home / "postgres" / "password"
        self._lock = LockFile(self.home / "postgres" / "lock")
        self._tcp = tcp
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, say: Progress = _silently) -> None:
        """Have the server up, recovered and set up (role, database, extension); from the main thread only.

        Takes up to five minutes for a recovery, and tells ``say`` about anything slow. A server that a killed
        process left behind is shut down first: being nobody's child, it would have nobody to restart it.

        Raises :class:`~opsmantik.errors.AlreadyRunning` if another process has a server up here,
        :class:`~opsmantik.errors.NoPostgres`, :class:`~opsmantik.errors.CannotDropRoot` and
        :class:`~opsmantik.errors.PostgresFailed`.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the server would end together with the thread that starts it")
        if self._process is not None and self.is_running():
            return
        self._lock.acquire()
        self._lock.tell()
        try:
            self._start(say)
            self._lock.tell(SET_UP)
        except BaseException:
            self.stop()
            raise

    def _start(self, say: Progress) -> None:
        programs = binaries.find()
        private_directory(self.log)
        if (orphan := postmaster.living(self.data)) is not None:
            say("Shutting down the database server that a killed process left behind ...")
            postmaster.end(orphan.pid, self.data, say)
        is_new, had_password = not (self.data / "PG_VERSION").exists(), self.password_file.exists()
        keep_secret(self.password_file)
        identity = choose_identity(programs["initdb"], self.data.parent if is_new else self.data)
        if is_new:
            say(f"Making a PostgreSQL {programs.version[0]} database in {self.data} ...")
            cluster.initialise(programs, identity, self.data, self.password_file)
        self._refuse_other_version(programs)
        cluster.configure(programs, self.data)
        cluster.give(self.data, identity.owner)
        cluster.give(self.log, identity.owner)
        self._clear_the_way()
        if not is_new and not had_password:
            cluster.reset_password(programs, identity, self.data, self.password_file)
        self._port = self._port or (_free_port() if self._tcp else PORT)
        with (self.log / "start.log").open("wb") as words:
            self._process = subprocess.Popen(  # noqa: S603
                [programs["postgres"], "-D", str(self.data), *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=cluster.environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for the parent, which stops us in order
                preexec_fn=preparation(identity, signal.SIGINT),  # to PostgreSQL: shut down fast
            )
        self._await_readiness(say)
        _run(roles.bootstrap(self.admin_dsn(), self.admin_dsn(roles.DATABASE), self.secret_key))

    def stop(self, *, wait_for_clients: bool = False) -> None:
        """Shut the server down and let go of the home directory.

        Open transactions are rolled back, unless ``wait_for_clients``: then those have a minute to go by
        themselves, and nobody new is let in.
        """
        steps = [(signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10), (signal.SIGKILL, None)]
        if wait_for_clients:
            steps.insert(0, (signal.SIGTERM, STOP_SECONDS))
        if self._process is not None:
            for sign, seconds in steps:
                self._process.send_signal(sign)
                try:
                    self._process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._process = None
            if (sockets := socket_directory(self.home)).parent != self.home:
                with suppress(OSError):
                    sockets.rmdir()
        self._lock.release()

    def is_running(self) -> bool:
        """Whether a server is up and set up here, whosever child it is."""
        if self._process is not None and self._process.poll() is not None:  # poll: or it stays a zombie
            self._process = None
        if self._process is None and (holder(self._lock.path) or [])[1:] != [SET_UP]:
            return False
        server = postmaster.living(self.data)
        return server is not None and server.state == "ready"

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        server = postmaster.living(self.data)
        return server.pid if server else None

    def version(self) -> str:
        """Of the programs, as in 18.6."""
        return ".".join(map(str, binaries.find().version))

    def dsn(self, user: str, database: str, password: str, *, tcp: bool = False) -> str:
        """Address for a role; through the socket, or through TCP if the server was made with it."""
        server = None if self._port else postmaster.living(self.data)
        port = self._port or (server.port if server else PORT)
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        if tcp:
            return f"postgresql://{who}@127.0.0.1:{port}/{database}"
        place = quote(str(socket_directory(self.home)), safe="")
        return f"postgresql://{who}@/{database}?host={place}&port={port}"

    def admin_dsn(self, database: str = "postgres") -> str:
        """Address for the superuser."""
        return self.dsn(cluster.SUPERUSER, database, self.password_file.read_text().strip())

    def role_dsn(self, role: str) -> str:
        """Address of OpsMantik's database for its owner or its application role."""
        return self.dsn(role, roles.DATABASE, roles.role_password(self.secret_key, role))

    def _options(self) -> list[str]:
        options = {
            "port": str(self._port),
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "unix_socket_directories": f'"{socket_directory(self.home)}"',
            "unix_socket_permissions": "0700",
        }
        return [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

    def _clear_the_way(self) -> None:
        """Nobody lives in the data directory any more; what the dead left must not stop us.

        PostgreSQL itself takes a lock file for valid while *any* process has that number, as happens after a
        restart of the machine or container. We hold the home's lock and have looked at the process itself.
        """
        postmaster.clear_survivors(self.data)
        if (dead := postmaster.read(self.data)) is not None and postmaster.exists(dead.pid):
            (self.data / "postmaster.pid").unlink()
        directory = socket_directory(self.home)
        _make_private(directory)
        for left in directory.glob(".s.PGSQL.*"):
            left.unlink()

    def _await_readiness(self, say: Progress) -> None:
        assert self._process is not None
        begin, told = time.monotonic(), 0
        while (waited := time.monotonic() - begin) < RECOVERY_SECONDS:
            if self._process.poll() is not None:
                raise PostgresFailed(what="start", log=self._last_words())
            server = postmaster.read(self.data)
            if server and server.pid == self._process.pid and server.state in ("ready", "standby"):
                return
            if waited > 5 * (told + 1):
                told += 1
                say(f"The database recovers from an unclean stop ({waited:.0f} s) ...")
            time.sleep(0.02)
        raise PostgresFailed(what=f"recover within {RECOVERY_SECONDS} s", log=self._last_words())

    def _last_words(self) -> str:
        logs = sorted(self.log.glob("*.log"), key=lambda log: log.stat().st_mtime)
        lines = [
            line for log in logs[-2:] for line in log.read_text(errors="replace").splitlines() if line.strip()
        ]
        return " / ".join(lines[-6:]) or "(none)"

    def _refuse_other_version(self, programs: binaries.Binaries) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != str(programs.version[0]):
            raise PostgresFailed(
                what="start",
                log=f"the data was made by PostgreSQL {made_by}, the programs in {programs.directory} are"
                f" {programs.version[0]}; use those of {made_by}, or dump and restore",
            )


def database_urls(settings: Settings) -> tuple[str, str]:
    """Addresses of the database for the schema's owner and for the application's role."""
    key = secret(settings)
    if settings.database_url is None:
        server = EmbeddedServer(settings.home, key)
        return server.role_dsn(roles.OWNER), server.role_dsn(roles.APP)
    app = settings.app_database_url or roles.with_credentials(
        settings.database_url, roles.APP, roles.role_password(key, roles.APP)
    )
    return settings.database_url, app


def app_pool(settings: Settings, app_dsn: str | None = None, *, max_size: int = 10) -> Database:
    """A pool as the application's role, closed as yet, by the way that the settings say.

    ``app_dsn``: another address than theirs.
    """
    owner, app = database_urls(settings)
    pooled = settings.pooler == "transaction"
    if not pooled or settings.database_url is None:
        return Database(app_dsn or app, max_size=max_size)
    password = roles.app_password(app, secret(settings))
    around = roles.with_credentials(owner, roles.APP, password)
    return Database(app_dsn or app, max_size=max_size, pooled=True, direct_dsn=around)


@contextmanager
def up(settings: Settings, say: Progress = _silently) -> Iterator[None]:
    """Have the database up for a while: an embedded server that does not run is started, and then stopped.

    If another process is about to start it, wait for that one. If another has begun to use ours, wait too.
    """
    server = EmbeddedServer(settings.home, secret(settings))
    deadline = time.monotonic() + RECOVERY_SECONDS
    while settings.database_url is None and not server.is_running():
        try:
            server.start(say)
        except AlreadyRunning:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    try:
        yield
    finally:
        server.stop(wait_for_clients=True)


def require_running(settings: Settings) -> None:
    """Raise :class:`~opsmantik.errors.NotRunning` if the embedded server is meant and does not run."""
    if settings.database_url is None and not EmbeddedServer(settings.home, "").is_running():
        raise NotRunning(home=settings.home)


def socket_directory(home: Path) -> Path:
    """``run`` in the home directory; where a socket cannot have such a path, one for temporary files."""
    directory = home / "run"
    name = os.fsencode(directory / f".s.PGSQL.{65535}")
    if len(name) <= LONGEST_SOCKET and not set(str(directory)) & set(',"'):  # those two separate directories
        return directory
    temporary = tempfile.gettempdir()
    return Path(temporary, f"opsmantik-{os.geteuid()}-{sha256(os.fsencode(home)).hexdigest()[:12]}")


def _make_private(directory: Path) -> None:
    """Ours alone: in a directory that all may write, somebody else could have been there first."""
    private_directory(directory)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PostgresFailed(
            what="start", log=f"{directory} is not a directory of ours that only we may enter"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(task: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end whether or not this thread has a loop running."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, task).result()
