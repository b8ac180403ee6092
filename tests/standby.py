"""A streaming standby of an embedded server, made and run as an administrator would: pg_basebackup, then postgres."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import psutil

from opsmantik.db import binaries, cluster, postmaster, roles
from opsmantik.db.child import choose_identity, preparation
from opsmantik.db.embedded import EmbeddedServer, socket_directory


class Standby:
    """The running standby."""

    def __init__(self, primary: EmbeddedServer, folder: Path) -> None:
        self.primary = primary
        self.folder = folder
        self.data = folder / "postgres" / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """The base backup; -R writes how to follow."""
        self.data.parent.mkdir(parents=True)
        (self.folder / "postgres" / "log").mkdir()
        parts = urlsplit(self.primary.admin_dsn())
        options = dict(one.split("=") for one in parts.query.split("&"))
        subprocess.run(
            [
                binaries.find()["pg_basebackup"], "-h", unquote(options["host"]), "-p", options["port"],
                "-U", cluster.SUPERUSER, "-D", str(self.data), "-R", "--checkpoint=fast", "-X", "stream",
            ],
            env={**cluster.environment(), "PGPASSWORD": unquote(parts.password or "")},
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write("hot_standby_feedback = on\n")
        self.data.chmod(0o700)

    def start(self) -> None:
        programs = binaries.find()
        identity = choose_identity(programs["postgres"], self.data.parent)
        cluster.give(self.data, identity.owner)
        cluster.give(self.folder / "postgres" / "log", identity.owner)
        sockets = socket_directory(self.folder)
        sockets.mkdir(mode=0o700, exist_ok=True)
        os.chown(sockets, identity.owner, -1)
        options = {"port": "5432", "listen_addresses": "", "unix_socket_directories": f'"{sockets}"'}
        self._process = subprocess.Popen(
            [programs["postgres"], "-D", str(self.data), *(w for n, v in options.items() for w in ("-c", f"{n}={v}"))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=cluster.environment(),
            start_new_session=True, preexec_fn=preparation(identity, signal.SIGINT),
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while (found := postmaster.read(self.data)) is None or found.state not in ("ready", "standby"):
            assert self._process.poll() is None and time.monotonic() < deadline, self.words()
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def freeze(self, number: int = signal.SIGSTOP) -> None:
        """All of its processes stand still, or go on (SIGCONT): as a machine whose network is cut looks from here."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        for process in [*parent.children(recursive=True), parent]:
            process.send_signal(number)

    def words(self) -> str:
        return "\n".join(p.read_text()[-2000:] for p in (self.folder / "postgres" / "log").glob("*"))

    def dsn(self, role: str) -> str:
        """Its address for a role of ours."""
        password = roles.role_password(self.primary.secret_key, role)
        place = quote(str(socket_directory(self.folder)), safe="")
        return f"postgresql://{role}:{password}@/{roles.DATABASE}?host={place}&port=5432"

    def admin_dsn(self) -> str:
        password = quote(self.primary.password_file.read_text().strip(), safe="")
        place = quote(str(socket_directory(self.folder)), safe="")
        return f"postgresql://{cluster.SUPERUSER}:{password}@/{roles.DATABASE}?host={place}&port=5432"


@contextmanager
def standby_of(primary: EmbeddedServer, folder: Path) -> Iterator[Standby]:
    """One that follows, until the end of the block."""
    found = Standby(primary, folder)
    found.make()
    found.start()
    try:
        yield found
    finally:
        found.stop()
