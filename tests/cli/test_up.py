"""`opsmantik up` brings the whole system up, keeps it up, and takes it down in order."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from opsmantik.cli.supervisor import LONGEST_PAUSE, pause_after
from opsmantik.db import postmaster

pytestmark = pytest.mark.slow

PROGRAM = [sys.executable, "-m", "opsmantik.cli"]


class Installation:
    """A home directory and a port of its own, and the program to run on them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        kept = {k: v for k, v in os.environ.items() if k != "DATABASE_URL" and not k.startswith("OPSMANTIK_")}
        self.environ = kept | {"OPSMANTIK_HOME": str(home), "OPSMANTIK_PORT": str(self.port)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words], env=self.environ, capture_output=True, text=True, timeout=120
        )

    def status(self, path: str = "/readyz") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def pid(self) -> int:
        return int((self.home / "run" / "opsmantik.pid").read_text().split()[0])

    def web_pid(self) -> int | None:
        """The supervisor's child that serves."""
        children = psutil.Process(self.pid()).children()
        return next((child.pid for child in children if "serve" in child.cmdline()), None)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("up") / "home")
    started = installation.run("up", "--detach")
    assert started.returncode == 0, started.stderr
    installation.environ["STARTED"] = started.stdout
    yield installation
    installation.run("down")


def wait(until: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_detached_it_returns_when_all_is_up_and_says_how_to_get_in(up: Installation) -> None:
    assert up.status() == 200
    said = up.environ["STARTED"]
    assert f"http://127.0.0.1:{up.port}\n" in said
    assert f"http://127.0.0.1:{up.port}/set-up/" in said  # nobody is there yet: a link that works once


@pytest.mark.parametrize("words", [("up",), ("up", "--detach")], ids=" ".join)
def test_a_second_up_says_who_is_up_and_changes_nothing(up: Installation, words: tuple[str, ...]) -> None:
    before = up.pid()
    second = up.run(*words)
    assert second.returncode == 0
    assert f"up already, at http://127.0.0.1:{up.port} (process {before})" in second.stdout
    assert up.pid() == before and up.status() == 200


def test_a_port_in_use_is_told_with_the_variable_that_changes_it(up: Installation, tmp_path: Path) -> None:
    other = Installation(tmp_path / "home")
    other.environ["OPSMANTIK_PORT"] = str(up.port)
    refused = other.run("up")
    assert refused.returncode == 1
    assert str(up.port) in refused.stderr and "OPSMANTIK_PORT" in refused.stderr
    assert not (tmp_path / "home" / "postgres").exists()  # found out before anything was started


def test_commands_use_the_database_that_is_up(up: Installation) -> None:
    migrated = up.run("db", "migrate")
    assert (migrated.returncode, migrated.stdout) == (0, "The schema is up to date.\n")


def test_a_killed_web_server_is_back_and_the_database_stays(up: Installation) -> None:
    server, web = postmaster.living(up.home / "postgres" / "data"), up.web_pid()
    assert server is not None and web is not None
    os.kill(web, signal.SIGKILL)
    assert up.status() == 200  # at once: the supervisor holds the socket, so the request waits
    assert up.web_pid() != web
    assert postmaster.living(up.home / "postgres" / "data") == server


def test_a_killed_database_server_is_back(up: Installation) -> None:
    data = up.home / "postgres" / "data"
    before = postmaster.living(data)
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    assert wait(lambda: (now := postmaster.living(data)) and now.pid != before.pid and now.state == "ready")
    assert wait(lambda: up.status() == 200)


def test_after_the_kill_of_the_supervisor_it_starts_again_at_once(up: Installation) -> None:
    os.kill(up.pid(), signal.SIGKILL)
    again = up.run("up", "--detach")
    assert again.returncode == 0, again.stderr
    assert up.status() == 200


def test_down_takes_everything_down_and_can_be_repeated(up: Installation) -> None:
    first = up.run("down")
    assert (first.returncode, first.stdout) == (0, f"Stopped. Everything is kept in {up.home}.\n")
    assert not postmaster.at_work(up.home / "postgres" / "data") and up.status() == 0
    second = up.run("down")
    assert (second.returncode, second.stdout) == (0, f"Nothing is running in {up.home}.\n")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_ends_cleanly(up: Installation, sign: signal.Signals) -> None:
    process = subprocess.Popen([*PROGRAM, "up"], env=up.environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any("Ctrl-C" in line for line in process.stdout)
    process.send_signal(sign)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and said.endswith(f"Stopped. Everything is kept in {up.home}.\n")
    assert not postmaster.at_work(up.home / "postgres" / "data")


def test_up_waits_for_one_that_is_stopping(up: Installation) -> None:
    assert up.run("up", "--detach").returncode == 0
    before = up.pid()
    os.kill(before, signal.SIGTERM)
    time.sleep(0.05)  # the signal is there; taking everything down takes longer
    assert up.run("up", "--detach").returncode == 0
    assert up.pid() != before and up.status() == 200
    up.run("down")


def test_the_web_server_needs_a_database_and_says_which(tmp_path: Path) -> None:
    alone = Installation(tmp_path / "home").run("serve")
    assert alone.returncode == 1 and "opsmantik up" in alone.stderr and "DATABASE_URL" in alone.stderr


def test_processes_that_migrate_at_once_agree(tmp_path: Path) -> None:
    fresh = Installation(tmp_path / "home")
    command = [*PROGRAM, "db", "migrate"]
    several = [
        subprocess.Popen(
            command, env=fresh.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0] for process in several]
    assert [process.returncode for process in several] == [0, 0, 0], said
    assert sum("migrations applied" in words for words in said) == 1
    assert sum("up to date" in words for words in said) == 2


def test_pauses_grow_and_have_an_end() -> None:
    pauses = [pause_after(crashes) for crashes in range(40)]
    assert pauses[0] == 0 and pauses == sorted(pauses) and pauses[-1] == LONGEST_PAUSE
