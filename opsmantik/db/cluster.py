"""Makes a data directory and writes its configuration.

``opsmantik.conf`` in the data directory is written at every start. What an administrator wants otherwise goes
to ``postgres/local.conf`` in the home directory, which is read after it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from opsmantik.db import postmaster
from opsmantik.db.binaries import Binaries
from opsmantik.db.child import Identity, preparation
from opsmantik.errors import PostgresFailed

SUPERUSER = "postgres"

# Answers are given after the commit, so a commit must be on disk: the first two lines are not for tuning.
CONFIGURATION = """\
# Written by OpsMantik at every start. Your own settings go to ../local.conf.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica                 # base backups and standbys
max_wal_size = 4GB
checkpoint_timeout = 15min
shared_buffers = {shared_buffers}MB
effective_cache_size = {cache}MB
work_mem = 16MB
maintenance_work_mem = 128MB
random_page_cost = 1.1
max_locks_per_transaction = 256     # every month's partition of every table counts
jit = off                           # compiling costs more than our queries run
track_io_timing = on
shared_preload_libraries = '{preload}'
password_encryption = 'scram-sha-256'
idle_in_transaction_session_timeout = 60s
timezone = 'UTC'
log_timezone = 'UTC'
cluster_name = 'opsmantik'
logging_collector = on
log_directory = '../log'
log_filename = 'postgresql-%a.log'  # one for each weekday, begun anew a week later
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_min_messages = warning
log_min_duration_statement = 2s
log_parameter_max_length = 0        # parameters are visitors' data,
log_error_verbosity = terse         # and so are the rows in an error's details
log_line_prefix = '%m [%p] %u@%d '
"""


def initialise(binaries: Binaries, identity: Identity, data: Path, password: Path) -> None:
    """Make the data directory (UTF-8, checksums, passwords required); it appears whole or not at all."""
    unfinished = data.with_name("data.new")
    # The locale that comes with PostgreSQL itself sorts alike on every machine and in every later version.
    provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.version >= (17,) else []
    words = ["-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile=/dev/stdin", "-E", "UTF8", "--data-checksums"]
    for locale in ("C.UTF-8", "C"):  # the second where the system's library does not know the first
        _remove(unfinished)
        where = ["-D", str(unfinished), f"--locale={locale}", "--no-instructions"]
        made = _run([binaries["initdb"], *where, *words, *provider], identity, password.read_text())
        if made.returncode == 0:
            break
    else:
        raise PostgresFailed(what="make its data directory", log=made.stderr.strip())
    with (unfinished / "postgresql.conf").open("a") as file:
        file.write("\ninclude = 'opsmantik.conf'\ninclude_if_exists = '../local.conf'\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(data)


def configure(binaries: Binaries, data: Path) -> None:
    """Write ``opsmantik.conf`` for this machine."""
    memory = _memory() // 2**20
    (data / "opsmantik.conf").write_text(
        CONFIGURATION.format(
            shared_buffers=min(max(memory // 8, 64), 512),
            cache=max(memory // 2, 128),
            preload="pg_stat_statements" if binaries.has_library("pg_stat_statements") else "",
        )
    )


def reset_password(binaries: Binaries, identity: Identity, data: Path, password: Path) -> None:
    """Give the superuser the password in the file again: for a home directory in which that file was lost."""
    sql = f"ALTER ROLE {SUPERUSER} PASSWORD '{password.read_text().strip()}'\n"
    done = _run([binaries["postgres"], "--single", "-D", str(data), "postgres"], identity, sql)
    if done.returncode != 0:
        raise PostgresFailed(what="take a new password", log=done.stderr.strip())


def give(path: Path, owner: int) -> None:
    """Let this user own the directory and everything in it."""
    if path.stat().st_uid == owner:
        return
    for directory, _, files in os.walk(path, topdown=False):
        for name in files:
            os.chown(Path(directory, name), owner, -1, follow_symlinks=False)
        os.chown(directory, owner, -1)  # the top comes last: until then the next start does it again


def environment() -> dict[str, str]:
    """The process's own without what would steer PostgreSQL (PGPORT and its like) or its language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _run(command: list[str], identity: Identity, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        command,
        input=text,
        capture_output=True,
        text=True,
        env=environment(),
        cwd="/",
        preexec_fn=preparation(identity),
    )


def _remove(unfinished: Path) -> None:
    """What an interrupted attempt left behind, and whoever still works in it."""
    if unfinished.exists():
        postmaster.clear_survivors(unfinished)
        shutil.rmtree(unfinished)


def _memory() -> int:
    """Bytes of memory that this machine, or the container on it, may use."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(installed, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no control group, or one without a limit ("max")
        return installed
