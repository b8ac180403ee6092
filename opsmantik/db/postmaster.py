"""What a data directory tells about the server that works in it, and who still does.

The server writes ``postmaster.pid``: process id, directory, start time, port, socket directory, address,
shared memory, state; one a line. After a SIGKILL the file stays and says nothing true, so the process itself
is looked at: every PostgreSQL process has the data directory as its working directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

_IS_LINUX = sys.platform == "linux"


class Postmaster(msgspec.Struct, frozen=True):
    """The contents of ``postmaster.pid`` that matter here."""

    pid: int
    port: int
    state: str  # starting, ready, standby, stopping; empty before the first of these


def read(data: Path) -> Postmaster | None:
    """What the file says, true or not; None without a (readable) file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        port = int(lines[3]) if len(lines) > 3 else 0
        return Postmaster(abs(int(lines[0])), port, lines[7].strip() if len(lines) > 7 else "")
    except (FileNotFoundError, ValueError, IndexError):
        return None


def living(data: Path) -> Postmaster | None:
    """The server that lives in this directory; None if there is none (a zombie is none)."""
    server = read(data)
    return server if server is not None and is_at_work(server.pid, data) else None


def is_at_work(pid: int, data: Path) -> bool:
    """Whether this process lives and works in this directory; a reused process id does not."""
    if _IS_LINUX:
        try:
            command, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
            if (
                command != "postgres" or rest.split()[0] in "ZX"
            ):  # a shell may stand there too; zombies are dead
                return False
            return _stands_in(pid, data)
        except OSError:
            return False
    return exists(pid)


def exists(pid: int) -> bool:
    """Whether any process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def at_work(data: Path) -> list[int]:
    """All processes that work in this directory; on Linux. Elsewhere at most the postmaster."""
    if _IS_LINUX:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    else:
        pids = [server.pid] if (server := read(data)) else []
    return [pid for pid in pids if is_at_work(pid, data)]


def end(pid: int, data: Path, say: Callable[[str], object], patience: float = 120) -> None:
    """Shut down a server that is not our child: politely, at once, by force; each with a fair wait."""
    for sign, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        _send(pid, sign)
        if _wait(lambda: not is_at_work(pid, data), seconds):
            return
        say(f"PostgreSQL (process {pid}) does not end at {sign.name}")


def clear_survivors(data: Path) -> None:
    """Backends can outlive a killed postmaster for a moment; none may write when the next server starts."""
    if not _wait(lambda: not at_work(data), 3):
        for pid in at_work(data):
            _send(pid, signal.SIGKILL)  # their postmaster is gone: recovery follows whatever happens to them
        _wait(lambda: not at_work(data), 10)


def _stands_in(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except PermissionError:  # root in a container may not look into another user's process; a postmaster's
        return (
            f"\0-D\0{data}\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        )  # command line says it too


def _send(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
