"""``opsmantik up`` and ``opsmantik down``: the whole system, in the foreground or behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from opsmantik import settings as environment
from opsmantik.db import lockfile
from opsmantik.errors import AlreadyRunning
from opsmantik.settings import Settings

LARGEST_LOG = 10 * 2**20
DOWN_SECONDS = 120


def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="With two demo sites, a demo user, and visitors.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when all is up; it stays, until down.")
    ] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Instead of OPSMANTIK_PORT.")] = None,
    host: Annotated[str | None, typer.Option(help="Instead of OPSMANTIK_HOST.")] = None,
    ready_fd: Annotated[int | None, typer.Option(hidden=True, help="Where to report that all is up.")] = None,
) -> None:
    """Start everything: database, web server and, with --demo, a living demonstration. Ctrl-C stops it."""
    if port is not None:
        os.environ["OPSMANTIK_PORT"] = str(port)
    if host is not None:
        os.environ["OPSMANTIK_HOST"] = host
    settings = environment.load()
    while (before := _running(settings)) is not None and before.is_stopping:
        time.sleep(0.1)
    try:
        if detach:
            _start_behind(settings, demo)
        else:
            _run(settings, demo, ready_fd)
    except AlreadyRunning:
        if (who := _running(settings)) is None:  # not a whole system: another command uses the database
            raise
        typer.echo(f"OpsMantik is up already, at {who.url} (process {who.pid}). Stop it with: opsmantik down")


def down() -> None:
    """Stop what `opsmantik up` started, in order; nothing happens if nothing runs."""
    settings = environment.load()
    who = _running(settings)
    if who is None:
        typer.echo(f"Nothing is running in {settings.home}.")
        return
    os.kill(who.pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while time.monotonic() < deadline:
        now = _running(settings)
        if now is None or now.pid != who.pid:
            typer.echo(f"Stopped. Everything is kept in {settings.home}.")
            return
        time.sleep(0.05)
    typer.echo(f"Process {who.pid} was asked to stop and still has not after {DOWN_SECONDS} s.", err=True)
    raise typer.Exit(1)


class Running(msgspec.Struct, frozen=True):
    """The supervisor that has this home directory."""

    pid: int
    url: str
    is_stopping: bool


def _running(settings: Settings) -> Running | None:
    """Who holds the pid file: a lock, so a file that a dead process left proves nothing."""
    for _ in range(20):
        lines = lockfile.holder(_pid_file(settings))
        if lines is None:
            return None
        if len(lines) > 1:  # else it is being written this moment
            return Running(int(lines[0]), lines[1], len(lines) > 2)
        time.sleep(0.05)
    return None


def _pid_file(settings: Settings) -> Path:
    return settings.home / "run" / "opsmantik.pid"


def _run(settings: Settings, demo: bool, ready_fd: int | None) -> None:
    """Be the supervisor; behind, its words go to the terminal until all is up, and to the log from then."""
    from opsmantik.cli.supervisor import Supervisor

    log = _open_log(settings) if ready_fd is not None else None

    def when_up(lines: list[str]) -> None:
        _say("\n".join(["", *lines, "Stop it with: opsmantik down" if log else "Ctrl-C stops it.", ""]))
        if log is not None and ready_fd is not None:
            for output in (1, 2):
                os.dup2(log.fileno(), output)
            supervisor.say = _say_and_when
            os.write(ready_fd, b"up\n")
            os.close(ready_fd)

    supervisor = Supervisor(settings, _pid_file(settings), demo=demo, say=_say, output=log)
    supervisor.run(when_up)


def _start_behind(settings: Settings, demo: bool) -> None:
    """Start the supervisor in a session of its own and wait for its word that all is up."""
    if _running(settings) is not None:
        raise AlreadyRunning(pid="", home=settings.home)
    told, tell = os.pipe()
    command = [
        sys.executable,
        "-m",
        "opsmantik.cli",
        "up",
        "--ready-fd",
        str(tell),
        *(["--demo"] if demo else []),
    ]
    behind = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, pass_fds=(tell,), start_new_session=True
    )
    os.close(tell)
    try:
        with os.fdopen(told) as word:
            is_up = word.readline() == "up\n"
    except KeyboardInterrupt:
        behind.terminate()
        is_up = False
    if not is_up:
        raise typer.Exit(behind.wait() or 1)


def _open_log(settings: Settings) -> BinaryIO:
    log = environment.private_directory(settings.home / "log") / "opsmantik.log"
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


def _say(line: str) -> None:
    print(line, flush=True)


def _say_and_when(line: str) -> None:
    _say(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}")
