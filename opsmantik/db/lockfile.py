"""A file that one process at a time holds, and that names the holder.

The lock is the kernel's (flock), so it ends with its process, however that ends: a stale one cannot exist.
The text in the file is for the others: the holder's process id, then lines that it wishes to tell.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from opsmantik.errors import AlreadyRunning
from opsmantik.settings import private_directory

# A look at the file (holder) takes the lock for an instant, so being refused once proves nothing.
TRIES = 4
TRY_SECONDS = 0.05


class LockFile:
    """Hold it from :meth:`acquire` to :meth:`release`; children do not inherit it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self, *tell: str) -> None:
        """Take the lock; :class:`~opsmantik.errors.AlreadyRunning` names the process that has it."""
        if self._fd is not None:
            return
        private_directory(self.path.parent)
        for attempt in range(TRIES):
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if _lock(fd, fcntl.LOCK_EX) and _is_at(fd, self.path):
                self._fd = fd
                self.tell(*tell)
                return
            os.close(fd)
            if attempt + 1 < TRIES:
                time.sleep(TRY_SECONDS)
        pid = (holder(self.path) or ["unknown"])[0]
        raise AlreadyRunning(pid=pid, home=self.path.parent.parent)

    def tell(self, *lines: str) -> None:
        """Replace what the file says below the process id."""
        assert self._fd is not None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, "".join(f"{line}\n" for line in (os.getpid(), *lines)).encode(), 0)

    def release(self) -> None:
        """Let go; nothing happens if it is not held."""
        if self._fd is not None:
            self.path.unlink(missing_ok=True)  # while it is held: a newcomer notices that its file is gone
            os.close(self._fd)
            self._fd = None


def holder(path: Path) -> list[str] | None:
    """What the file says, process id first, if a living process holds it; None if nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if _lock(fd, fcntl.LOCK_SH):
            return None
        return os.pread(fd, 4096, 0).decode().split("\n")[:-1] or ["unknown"]
    finally:
        os.close(fd)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
