"""A pgbouncer in front of a server, as Debian has it: transaction pooling, few connections, none of it remembered."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# The smallest file that serves; docs/scale.md shows the same lines.
CONFIGURATION = """[databases]
{database} = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
server_reset_query =
logfile = {log}
pidfile = {pid}
"""


@contextmanager
def pooling(dsn: str, size: int) -> Iterator[tuple[str, Path]]:
    """The address of the pooler for this role and database (by TCP), and its log; ended by its own process id."""
    assert PROGRAM is not None
    parts = urlsplit(dsn)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(
        tempfile.mkdtemp(prefix="om-pooler-")
    )  # not a test's own: those are closed to the user it runs as
    log, users, configuration = folder / "log", folder / "users", folder / "pgbouncer.ini"
    users.write_text(f'"{parts.username}" "{unquote(parts.password or "")}"\n')
    database = parts.path.lstrip("/")
    configuration.write_text(
        CONFIGURATION.format(
            database=database, server_port=parts.port, port=port, users=users, size=size, log=log, pid=folder / "pid"
        )
    )  # fmt: skip
    user = 65534 if os.geteuid() == 0 else None  # it refuses to run as root
    if user is not None:
        for path in (folder, users, configuration):
            os.chown(path, user, user)
    process = subprocess.Popen(
        [PROGRAM, str(configuration)], user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < deadline, (
                log.read_text() if log.exists() else "?"
            )
            time.sleep(0.05)
        yield f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}/{database}", log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
