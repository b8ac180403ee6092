"""The process that ``opsmantik up`` is: starts the parts in order, keeps them alive, stops them in order.

Parts: the embedded database (unless DATABASE_URL names another), the web server, and with ``--demo`` the
simulated visitors. A part that crashes is started again without taking another with it; the supervisor holds
the listening socket, so nobody is refused while the web server is away for a moment.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from opsmantik import settings as environment
from opsmantik.cli import serve
from opsmantik.cli.db import await_database, bring_up_to_date
from opsmantik.db import embedded
from opsmantik.db.child import preparation
from opsmantik.db.connect import UNREACHABLE
from opsmantik.db.lockfile import LockFile
from opsmantik.errors import NotReady, OpsMantikError
from opsmantik.settings import Settings

READY_SECONDS = 60
STOP_SECONDS = serve.DRAIN_SECONDS + 5
LONGEST_PAUSE = 30.0
STOPPING = "stopping"  # the pid file's third line, from then on
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], object]


class Part:
    """A child process that is started again when it ends: at once, then after longer and longer pauses."""

    def __init__(
        self, command: list[str], environ: dict[str, str], output: IO[Any] | None, fd: int | None = None
    ):
        self.command = command
        self._environ = environ
        self._output = output
        self._fds = () if fd is None else (fd,)
        self._crashes = 0
        self._started = self._due = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "opsmantik.cli", *self.command],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            env=self._environ,
            pass_fds=self._fds,
            start_new_session=True,  # Ctrl-C reaches the supervisor, which stops the parts in order
            preexec_fn=preparation(),
        )

    def ended(self) -> int | None:
        """Its exit code if it has ended."""
        return self.process.poll() if self.process is not None else None

    def revive(self, say: Say) -> None:
        """To be called again and again: notices an end, and starts it again when its pause is over."""
        if self.process is not None and (code := self.process.poll()) is not None:
            if time.monotonic() - self._started > 2 * LONGEST_PAUSE:
                self._crashes = 0
            self._due = time.monotonic() + pause_after(self._crashes)
            self._crashes += 1
            self.process = None
            say(f"opsmantik {' '.join(self.command[:2])} ended with code {code}; it is started again.")
        if self.process is None and time.monotonic() >= self._due:
            self.start()

    def stop(self, seconds: float) -> None:
        """Ask it to end, wait, then insist."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Supervisor:
    """One run of the whole system."""

    def __init__(
        self, settings: Settings, pid_file: Path, *, demo: bool, say: Say, output: IO[Any] | None = None
    ) -> None:
        self.settings = settings
        self.demo = demo
        self.say = say
        self._output = output
        self._lock = LockFile(pid_file)
        self._listener: socket.socket | None = None
        self._server: embedded.EmbeddedServer | None = None
        self._parts: list[Part] = []  # in the order of their start

    def run(self, when_up: Callable[[list[str]], object]) -> None:
        """Bring everything up, report the lines to show, and stay until SIGINT, SIGTERM or SIGHUP.

        Raises :class:`~opsmantik.errors.AlreadyRunning`, ``PortInUse`` and what keeps a part from starting.
        """
        self._lock.acquire(self.settings.base_url)
        for sign in SIGNALS:
            if signal.getsignal(sign) is not signal.SIG_IGN:  # nohup stays nohup
                signal.signal(sign, _interrupt)
        try:
            when_up(self._bring_up())
            self._watch()
        except KeyboardInterrupt:
            self.say("Stopping ...")
        finally:
            self._take_down()
        self.say(f"Stopped. Everything is kept in {self.settings.home}.")

    def _bring_up(self) -> list[str]:
        self._listener = serve.listen(self.settings)
        owner, app = embedded.database_urls(self.settings)
        if self.settings.database_url is None:
            self._server = embedded.EmbeddedServer(self.settings.home, environment.secret(self.settings))
            self._server.start(self.say)
        else:
            asyncio.run(await_database(owner, self.say))
        asyncio.run(bring_up_to_date(self.settings, owner, app, self.say))
        web = self._part(["serve", "--fd", str(self._listener.fileno())], self._listener.fileno())
        self._await_readiness(web)
        return [f"OpsMantik is up at {self.settings.base_url}", *self._sign_in(owner, app)]

    def _sign_in(self, owner: str, app: str) -> list[str]:
        """How the first person gets in."""
        if self.demo:
            from opsmantik.cli.progress import Bar
            from opsmantik.demo.seed import ensure_demo

            with Bar() as bar:
                account = asyncio.run(ensure_demo(self.settings, owner_dsn=owner, app_dsn=app, progress=bar))
            self._part(["demo", "visitors"])
            return [
                f"Sign in as {account.email} with the password {account.password}",
                "Open one of these in another tab and tap the phone number:",
                *(f"  {address}" for address in account.landing_urls),
            ]
        from opsmantik.people.first_admin import setup_link

        link = asyncio.run(setup_link(owner, self.settings.base_url))
        return [f"Make the first administrator with this link, which works once: {link}"] if link else []

    def _watch(self) -> None:
        failures = 0
        while True:
            time.sleep(0.2)
            if self._server is not None and not self._server.is_running():
                self.say("The database server has ended; it is started again.")
                try:
                    self._server.start(self.say)
                    failures = 0
                except (OpsMantikError, *UNREACHABLE) as failed:
                    self.say(f"It does not start: {failed}")
                    failures += 1
                    time.sleep(pause_after(failures))
            for part in self._parts:
                part.revive(self.say)

    def _take_down(self) -> None:
        """Accept nothing more, finish what was accepted, and only then stop the database."""
        _ignore_signals()
        self._lock.tell(self.settings.base_url, STOPPING)
        if self._listener is not None:
            self._listener.close()
        for part in reversed(self._parts):
            part.stop(STOP_SECONDS)
        if self._server is not None:
            self._server.stop()
        self._lock.release()

    def _part(self, command: list[str], fd: int | None = None) -> Part:
        environ = os.environ | {
            "OPSMANTIK_HOME": str(self.settings.home),
            "OPSMANTIK_HOST": self.settings.host,
            "OPSMANTIK_PORT": str(self.settings.port),
        }
        part = Part(command, environ, self._output, fd)
        self._parts.append(part)
        part.start()
        return part

    def _await_readiness(self, web: Part) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if (code := web.ended()) is not None:
                raise NotReady(
                    reason=f"it ended with code {code}; the lines above, or log/opsmantik.log, tell why"
                )
            if is_ready(self.settings):
                return
            time.sleep(0.05)
        raise NotReady(reason=f"/readyz did not answer 200 within {READY_SECONDS} s")


def pause_after(crashes: int) -> float:
    """Seconds before the next try: none after the first crash, then doubling, half a minute at most."""
    return min(0.25 * (1 << min(crashes, 10)) - 0.25, LONGEST_PAUSE)


def is_ready(settings: Settings) -> bool:
    """Whether ``/readyz`` answers 200 now."""
    place = urlsplit(settings.local_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _interrupt(signum: int, frame: Any) -> None:
    _ignore_signals()  # once is enough
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for sign in SIGNALS:
        signal.signal(sign, signal.SIG_IGN)
