"""How a child process starts: as whom, and bound to its parent's life.

PostgreSQL refuses to run as root. Root therefore starts it in one of these ways, none of which adds a user,
opens a directory, or copies a file:

1. as the user who owns the data already, if that is not root;
2. in a user namespace of its own, in which root's number reads as another. Files stay root's;
3. as nobody, keeping the one privilege of passing directories (CAP_DAC_OVERRIDE). The data becomes nobody's.
   For containers that forbid namespaces, and for programs that lie in another user's closed directory.

It refuses users without a name too, as some containers run under; the second way serves them as well.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from opsmantik.errors import CannotDropRoot

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT = 1, 8, 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION = 0x20080522
NOBODY = 65534  # where no user has that name

_IS_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


class Identity(msgspec.Struct, frozen=True):
    """Whom a child runs as: ``enter`` runs in it before its program; its files on disk are ``owner``'s."""

    name: str
    owner: int
    enter: Callable[[], object]


def choose_identity(program: str, directory: Path, ways: Iterable[Identity] | None = None) -> Identity:
    """The first way in which this program can run here and work in this directory.

    Raises :class:`~opsmantik.errors.CannotDropRoot` if root has none.
    """
    reasons = []
    for way in ways or _ways(directory.stat().st_uid):
        if (problem := _try(way, program, directory)) is None:
            return way
        reasons.append(f"{way.name}: {problem}")
    if os.geteuid() != 0:
        return as_self()
    raise CannotDropRoot(reason="; ".join(reasons))


def as_self() -> Identity:
    """No change."""
    return Identity("self", os.geteuid(), lambda: None)


def as_namespaced() -> Identity:
    """Ourselves, but reading as nobody inside; needs the right to make user namespaces."""
    uid, gid, inside = os.geteuid(), os.getegid(), nobody()
    return Identity("namespace", uid, lambda: _enter_namespace(uid, gid, inside))


def as_user(uid: int) -> Identity:
    """Another user who may pass every directory; needs the privileges that root in a container has."""
    try:
        group = pwd.getpwuid(uid).pw_gid
    except KeyError:
        group = uid
    return Identity(f"user {uid}", uid, lambda: _become(uid, group))


def nobody() -> int:
    """The number of the user nobody."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return NOBODY


def preparation(
    identity: Identity | None = None, at_parents_death: int = signal.SIGTERM
) -> Callable[[], None]:
    """A ``preexec_fn``: take on the identity, and be sent this signal when the parent ends, however it ends.

    Linux binds the child to the *thread* that started it: start children from the main thread. Elsewhere than
    on Linux the child may outlive its parent.
    """
    parent = os.getpid()

    def prepare() -> None:
        if identity is not None:
            identity.enter()
        if _IS_LINUX:
            # After the change of user, which would undo it.
            _check(_libc.prctl(PR_SET_PDEATHSIG, at_parents_death, 0, 0, 0), "prctl")
            if os.getppid() != parent:  # it died in between: the signal would never come
                os._exit(1)

    return prepare


def _ways(owner: int) -> Iterator[Identity]:
    if os.geteuid() != 0:
        if _is_named(os.geteuid()) or not _IS_LINUX:
            yield as_self()
        else:
            yield as_namespaced()
        return
    if owner != 0:
        yield as_user(owner)
    if _IS_LINUX:
        yield as_namespaced()
        yield as_user(nobody())


def _is_named(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return False


def _try(way: Identity, program: str, directory: Path) -> str | None:
    def enter() -> None:
        try:
            way.enter()
            os.listdir(directory)  # noqa: PTH208 - between fork and exec: no more than needed
        except OSError as refused:
            os.write(2, str(refused).encode())
            os._exit(1)

    command = [program, "--version"]
    tried = subprocess.run(command, capture_output=True, text=True, preexec_fn=enter)  # noqa: S603
    return None if tried.returncode == 0 else (tried.stderr.strip() or f"exit code {tried.returncode}")


def _enter_namespace(uid: int, gid: int, inside: int) -> None:
    _check(_libc.unshare(CLONE_NEWUSER), "unshare")
    maps = ("uid_map", f"{inside} {uid} 1"), ("setgroups", "deny"), ("gid_map", f"{inside} {gid} 1")
    for name, text in maps:
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(fd, text.encode())
        os.close(fd)


def _become(uid: int, group: int) -> None:
    """Change the user for good and keep one capability across both that and exec (hence "ambient")."""
    if _IS_LINUX:
        _check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setgroups([])
    os.setgid(group)
    os.setuid(uid)
    if _IS_LINUX:
        bit = 1 << CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
        sets = (ctypes.c_uint32 * 6)(
            bit, bit, bit, 0, 0, 0
        )  # effective, permitted, inheritable; low half first
        _check(_libc.capset(header, sets), "capset")
        _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0), "prctl")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
