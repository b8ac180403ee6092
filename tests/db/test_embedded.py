"""The embedded server keeps what was committed, whoever is killed, and lets nobody in without a password."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from opsmantik import settings
from opsmantik.db import child, embedded, postmaster, roles
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.errors import AlreadyRunning, NotRunning, PostgresFailed

pytestmark = pytest.mark.slow  # kills, recoveries and waits: seconds each

KEY = "k" * 32
IS_ROOT = os.geteuid() == 0

# A process that starts the server, says its number, and then does as it is told.
SUPERVISOR = """
import os, signal, sys, time
from pathlib import Path
from opsmantik.db.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), "k" * 32)
server.start()
if sys.argv[2] != "hold":
    server._lock.release()  # as if it had died where the kernel does not tell its children
if sys.argv[2] == "zombie":
    os.kill(server.pid, signal.SIGKILL)  # and it never looks at what became of it
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for the module; a test that needs it stopped stops it, and the next has it started."""
    made = EmbeddedServer(tmp_path_factory.mktemp("pg") / "home", KEY)
    made.start()
    asyncio.run(execute(made, "CREATE TABLE kept (word text)"))
    yield made
    made.stop()


@pytest.fixture
def running(server: EmbeddedServer) -> EmbeddedServer:
    server.start()
    return server


@pytest.fixture
def supervise(server: EmbeddedServer) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Another process has the server, in one of the ways of SUPERVISOR."""
    started: list[subprocess.Popen[str]] = []

    def start(way: str) -> subprocess.Popen[str]:
        server.stop()
        command = [sys.executable, "-c", SUPERVISOR, str(server.home), way]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def execute(server: EmbeddedServer, sql: str, *values: object) -> Any:
    connection = await asyncpg.connect(server.role_dsn(roles.OWNER))
    try:
        return await connection.fetchval(sql, *values)
    finally:
        await connection.close()


def write(server: EmbeddedServer, word: str) -> None:
    asyncio.run(execute(server, "INSERT INTO kept VALUES ($1)", word))


def has(server: EmbeddedServer, word: str) -> bool:
    return bool(asyncio.run(execute(server, "SELECT count(*) = 1 FROM kept WHERE word = $1", word)))


def gone_within(server: EmbeddedServer, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while postmaster.at_work(server.data) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not postmaster.at_work(server.data)


# What it is made like.


@pytest.mark.parametrize(
    ("setting", "value"),
    {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "jit": "off",
        "wal_level": "replica",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
        "listen_addresses": "",
        "track_io_timing": "on",
    }.items(),
)
def test_is_set_up(running: EmbeddedServer, setting: str, value: str) -> None:
    assert asyncio.run(execute(running, f"SHOW {setting}")) == value


def test_the_owner_is_no_superuser_and_may_make_roles(running: EmbeddedServer) -> None:
    flags = "SELECT ARRAY[rolsuper, rolbypassrls, rolcreaterole] FROM pg_roles WHERE rolname = current_user"
    assert asyncio.run(execute(running, flags)) == [False, False, True]
    assert asyncio.run(execute(running, "SELECT count(*) > 0 FROM pg_stat_statements"))


def test_only_its_user_can_read_what_it_keeps(running: EmbeddedServer) -> None:
    modes = {
        place: stat.S_IMODE((running.home / place).stat().st_mode)
        for place in (".", "postgres", "postgres/data", "postgres/log", "postgres/password", "run")
    }
    assert modes.pop("postgres/password") == 0o600
    assert set(modes.values()) == {0o700}


@pytest.mark.parametrize("password", ["", "guess", roles.role_password("another key", roles.OWNER)])
@pytest.mark.parametrize("user", ["postgres", roles.OWNER])
def test_nobody_gets_in_without_the_password(running: EmbeddedServer, user: str, password: str) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(running.dsn(user, "postgres", password)))


def test_the_settings_lead_to_it(running: EmbeddedServer) -> None:
    mine = settings.load({"OPSMANTIK_HOME": str(running.home), "OPSMANTIK_SECRET_KEY": KEY})
    owner, app = embedded.database_urls(mine)
    assert owner == running.role_dsn(roles.OWNER) and roles.APP in app
    embedded.require_running(mine)


def test_a_database_elsewhere_gets_the_application_role_and_its_password() -> None:
    mine = settings.load(
        {"DATABASE_URL": "postgresql://o:p@a,b:6/d?sslmode=require&user=o", "OPSMANTIK_SECRET_KEY": KEY}
    )
    owner, app = embedded.database_urls(mine)
    assert owner == mine.database_url
    password = roles.role_password(KEY, "opsmantik_app")
    assert app == f"postgresql://opsmantik_app:{password}@a,b:6/d?sslmode=require"


# Stopping, and starting again.


def test_stop_leaves_nobody_behind_and_can_be_repeated(running: EmbeddedServer) -> None:
    running.stop()
    assert not postmaster.at_work(running.data) and not (running.data / "postmaster.pid").exists()
    running.stop()
    assert not running.is_running()
    mine = settings.load({"OPSMANTIK_HOME": str(running.home)})
    with pytest.raises(NotRunning):
        embedded.require_running(mine)


def test_start_while_it_runs_changes_nothing(running: EmbeddedServer) -> None:
    before = running.pid
    running.start()
    assert running.pid == before


def test_rows_outlive_the_kill_of_the_server(running: EmbeddedServer) -> None:
    write(running, "server killed")
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    assert gone_within(running, 5) and not running.is_running()
    running.start()
    assert has(running, "server killed")


def test_the_server_goes_down_with_its_killed_parent(server: EmbeddedServer, supervise: Any) -> None:
    parent = supervise("hold")
    write(server, "parent killed")
    parent.kill()
    parent.wait()
    if sys.platform == "linux":
        assert gone_within(server, 10)
        assert not (server.data / "postmaster.pid").exists()  # it shut down in order
    server.start()
    assert has(server, "parent killed")


def test_start_right_after_the_kill_of_the_parent(server: EmbeddedServer, supervise: Any) -> None:
    parent = supervise("hold")
    parent.kill()
    parent.wait()
    server.start()  # no wait: the old server may not even know yet
    time.sleep(0.3)
    write(server, "at once")
    assert has(server, "at once")


def test_rows_outlive_the_kill_of_both(server: EmbeddedServer, supervise: Any) -> None:
    parent = supervise("hold")
    write(server, "both killed")
    for pid in (server.pid, parent.pid):
        os.kill(pid, signal.SIGKILL)
    parent.wait()
    server.start()
    assert has(server, "both killed")


def test_a_server_without_a_parent_is_taken_over(server: EmbeddedServer, supervise: Any) -> None:
    supervise("orphan")
    write(server, "orphaned")
    before, said = server.pid, list[str]()
    server.start(said.append)
    assert server.pid not in (None, before) and has(server, "orphaned")
    assert any("left behind" in line for line in said)


def test_a_zombie_does_not_stop_the_start(server: EmbeddedServer, supervise: Any) -> None:
    supervise("zombie")
    server.start()
    assert server.is_running()


def test_a_lock_file_with_somebody_elses_process_number_does_not_stop_the_start(
    running: EmbeddedServer,
) -> None:
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    assert gone_within(running, 5)
    running.stop()
    for left in (running.data / "postmaster.pid", running.home / "run" / ".s.PGSQL.5432.lock"):
        lines = left.read_text().splitlines(keepends=True)
        left.write_text("".join([f"{os.getppid()}\n", *lines[1:]]))
    running.start()
    assert running.is_running()


def test_the_second_to_start_is_told_who_was_first(server: EmbeddedServer, supervise: Any) -> None:
    parent = supervise("hold")
    with pytest.raises(AlreadyRunning) as refused:
        server.start()
    assert f"Process {parent.pid} " in refused.value.message and str(server.home) in refused.value.message
    assert server.is_running()  # and the first is not disturbed


def test_a_lost_password_file_is_made_anew(running: EmbeddedServer) -> None:
    running.stop()
    running.password_file.unlink()
    running.start()
    assert asyncio.run(asyncpg.connect(running.admin_dsn())) is not None


def test_data_of_another_version_is_refused_in_words(running: EmbeddedServer) -> None:
    running.stop()
    version = running.data / "PG_VERSION"
    original = version.read_text()
    version.write_text("9\n")
    try:
        with pytest.raises(PostgresFailed, match="made by PostgreSQL 9"):
            running.start()
    finally:
        version.write_text(original)


def test_a_wrong_configuration_is_told_in_the_servers_words(running: EmbeddedServer) -> None:
    running.stop()
    local = running.home / "postgres" / "local.conf"
    local.write_text("shared_buffers = plenty\n")
    with pytest.raises(PostgresFailed, match="shared_buffers"):
        running.start()
    local.write_text("work_mem = 5MB\n")
    running.start()
    assert asyncio.run(execute(running, "SHOW work_mem")) == "5MB"
    local.unlink()


# Where it lives, and as whom.


@pytest.mark.parametrize("name", ["with a space", "deep/" + "x" * 120, "a,comma"])
def test_homes_of_every_name(tmp_path: Path, name: str) -> None:
    made = EmbeddedServer(tmp_path / name, KEY, tcp=True)
    try:
        made.start()
        assert asyncio.run(execute(made, "SELECT 1")) == 1
        over_tcp = made.dsn("postgres", "postgres", made.password_file.read_text().strip(), tcp=True)
        assert asyncio.run(asyncpg.connect(over_tcp)) is not None
    finally:
        made.stop()
    sockets = embedded.socket_directory(made.home)
    assert not sockets.exists() or sockets == made.home / "run"


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_root_without_namespaces_uses_nobody_and_data_stays_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container; then once more where namespaces are allowed."""
    made = EmbeddedServer(tmp_path / "home", KEY)
    tmp_path.chmod(0o700)
    choose = child.choose_identity
    for ways in ([child.as_user(child.nobody())], None):
        monkeypatch.setattr(embedded, "choose_identity", partial(choose, ways=ways))
        try:
            made.start()
            uid = Path(f"/proc/{made.pid}").stat().st_uid
            assert uid == child.nobody() == made.data.stat().st_uid
            assert stat.S_IMODE(made.data.stat().st_mode) == 0o700
            assert asyncio.run(execute(made, "SELECT 1")) == 1
        finally:
            made.stop()


@pytest.mark.skipif(not IS_ROOT, reason="it is run by an ordinary user already")
def test_an_ordinary_user_can_run_it(tmp_path: Path) -> None:
    home, uid = tmp_path / "home", child.nobody()
    home.mkdir(mode=0o700)
    os.chown(home, uid, -1)
    command = [sys.executable, "-c", SUPERVISOR, str(home), "hold"]
    enter: Any = child.as_user(uid).enter
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=enter)
    try:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        assert (home / "postgres" / "data").stat().st_uid == uid
    finally:
        process.kill()
        process.communicate()
    assert gone_within(EmbeddedServer(home, KEY), 10)
