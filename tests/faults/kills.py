"""Processes that are killed, as by the kernel or a power cut: kill -9 under load."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from load import Report

from opsmantik.cli import serve
from opsmantik.db import binaries, roles
from opsmantik.db.child import preparation
from opsmantik.db.cluster import SUPERUSER, environment
from opsmantik.settings import Settings
from tests.faults.house import Drive, House, Ledger, Supervised, outage, until
from tests.faults.rows import Given, Outcome, find, row

AGAIN_SECONDS = 10.0
ROUND_SECONDS = 25.0
SHARE_OF_DATABASE, SHARE_OF_CHILDREN, SHARE_OF_SERVER = 0.2, 0.3, 0.5
EIO_TIMES = 5

Kill = Callable[[], None]


def in_rounds(
    house: House, count: int, kill: Kill, back: Callable[[], bool], chance: random.Random
) -> Outcome:
    """Kill so often, in rounds of traffic; every outage is bounded and nothing that was acknowledged is lost."""
    reports: list[Report] = []
    outages: list[float] = []
    killed = 0
    while killed < count:
        drive = Drive(house, seconds=ROUND_SECONDS, seed=len(reports) + 1)
        began, moments = time.monotonic(), list[float]()
        while killed < count and time.monotonic() - began < ROUND_SECONDS - 3:
            time.sleep(chance.uniform(0.05, 0.5))
            moments.append(time.monotonic())
            stored = house.stored()
            kill()
            killed += 1
            if not until(back, 60) or not until(
                lambda n=stored, d=drive: house.stored() > n or d.is_over, 60
            ):
                return Outcome("it did not come back within a minute", ["it did not come back"], killed)
        report = drive.finish()
        reports.append(report)
        for moment, following in zip(moments, [*moments[1:], float("inf")], strict=True):
            outages.append(outage(report.told, moment, min(following, moment + 60)))
    ledger = Ledger.of(house, *reports)
    wrong = ledger.wrong()
    if max(outages) > AGAIN_SECONDS:
        wrong.append(f"once it took {max(outages):.1f} s to serve again")
    wrong += house.miscounted()
    figure = f"{killed} kills; {ledger.words}; serving again after {_median(outages):.1f} s, {max(outages):.1f} s at most"
    raw: dict[str, Any] = {
        "outages": [round(each, 3) for each in outages],
        "ledger": ledger.__class__.__name__,
    }
    raw["ledger"] = {name: getattr(ledger, name) for name in ledger.__struct_fields__}
    return Outcome(figure, wrong, killed, ledger.lost, raw)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _answers(house: House) -> bool:
    try:
        return bool(house.query("SELECT 1"))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


@row(
    "postgres-kill",
    injected="kill -9 of the postmaster and all its children, under `opsmantik up`, at 150 events/s",
    must="no acknowledged event lost; 503 meanwhile; serving again within 10 s; counters exact",
    limit=900,
)
def postgres_kill(given: Given) -> Outcome:
    with Supervised(given.directory) as house:
        return in_rounds(
            house, round(given.kills * SHARE_OF_DATABASE), house.kill_database, lambda: _answers(house),
            random.Random(1),
        )  # fmt: skip


@row(
    "postgres-child-kill",
    injected="kill -9 of one child of the postmaster, whichever: a connection, a writer, the checkpointer",
    must="no acknowledged event lost; serving again within 10 s; counters exact",
    limit=900,
)
def postgres_child_kill(given: Given) -> Outcome:
    chance = random.Random(2)
    with Supervised(given.directory) as house:
        return in_rounds(
            house, round(given.kills * SHARE_OF_CHILDREN), lambda: house.kill_one(chance), lambda: _answers(house),
            chance,
        )  # fmt: skip


class Nursery:
    """Servers of a house, each forked when the one before it has died."""

    def __init__(self, house: House) -> None:
        listener = serve.listen(Settings(port=house.port))
        listener.set_inheritable(True)
        log = (house.home / "server.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery", str(listener.fileno())], env=house.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, pass_fds=(listener.fileno(),),
            preexec_fn=preparation(at_parents_death=signal.SIGKILL),
        )  # fmt: skip
        log.close()
        listener.close()
        self._pid = self._next()

    def _next(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._pid = self._next()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # first this, or the next one would be forked
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self._process.wait(20)


class Nursed(House):
    """The database as in production; the server out of a nursery."""

    nursery: Nursery | None = None

    def _begin(self) -> None:
        self.nursery = Nursery(self)
        if not until(lambda: self.status("/readyz", seconds=2) == 200, 60):
            raise RuntimeError(self.words())

    def close(self) -> None:
        if self.nursery is not None:
            self.nursery.close()
            self.nursery = None
        super().close()


@row(
    "server-kill",
    injected="kill -9 of the server in the middle of batches, its successor forked at once, at 150 events/s",
    must="no acknowledged event lost; what was not acknowledged is sent again and is one row; serving again within 10 s",
    limit=900,
)
def server_kill(given: Given) -> Outcome:
    with Nursed(given.directory) as house:
        assert house.nursery is not None
        return in_rounds(
            house, round(given.kills * SHARE_OF_SERVER), house.nursery.kill,
            lambda: house.status("/healthz", seconds=5) == 200, random.Random(3),
        )  # fmt: skip


@row(
    "supervised-kill",
    injected="kill -9 of the server under `opsmantik up`, which starts it again after growing pauses",
    must="nobody is refused a connection; no acknowledged event lost; serving again within 10 s",
    limit=300,
)
def supervised_kill(given: Given) -> Outcome:
    with Supervised(given.directory) as house:
        return in_rounds(
            house, 4, lambda: os.kill(house.web_pid(), signal.SIGKILL),
            lambda: house.status("/healthz", seconds=20) == 200, random.Random(4),
        )  # fmt: skip


@row(
    "fdatasync-error",
    injected="EIO from fdatasync in a connection that commits (strace), five times: PANIC and recovery",
    must="no acknowledged event lost; serving again within 10 s; pg_amcheck finds nothing",
    needs=("strace",),
    limit=420,
)
def fdatasync_error(given: Given) -> Outcome:
    with Supervised(given.directory) as house:
        tracers: list[subprocess.Popen[bytes]] = []

        def inject() -> None:
            words = [find("strace") or "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]
            words += ["-e", "inject=fdatasync:error=EIO:when=5"]
            before = _boot(house)
            pids = [word for pid in house.backends() for word in ("-p", str(pid))]
            tracer = subprocess.Popen(
                words + pids, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                preexec_fn=preparation(at_parents_death=signal.SIGINT),
            )  # fmt: skip
            tracers.append(tracer)
            until(lambda: _boot(house) != before, 20)
            tracer.terminate()
            tracer.wait(10)

        outcome = in_rounds(house, EIO_TIMES, inject, lambda: _answers(house), random.Random(5))
        panics = sum(
            log.read_text(errors="replace").count("PANIC:") for log in house.postgres.log.glob("*.log")
        )
        if panics < EIO_TIMES:
            outcome.why.append(f"the server panicked {panics} times only: the fault was not injected")
        outcome.why += _amcheck(house)
        outcome.figure = outcome.figure.replace("kills", "errors", 1) + f"; {panics} PANICs; pg_amcheck run"
        outcome.kills = 0
        return outcome


def _boot(house: House) -> int:
    """Differs after each crash: the oldest process among the postmaster's own helpers."""
    return int(house.ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")[0])


def _amcheck(house: House) -> list[str]:
    """What pg_amcheck says against every table and index."""
    parts = urlsplit(house.admin_dsn)
    place = parse_qs(parts.query)
    words = [
        "-h",
        place["host"][0],
        "-p",
        place["port"][0],
        "-U",
        SUPERUSER,
        "--install-missing",
        "--heapallindexed",
    ]
    done = subprocess.run(
        [binaries.find()["pg_amcheck"], *words, roles.DATABASE], capture_output=True, text=True, timeout=200,
        env=environment() | {"PGPASSWORD": parts.password or ""},
    )  # fmt: skip
    return [] if done.returncode == 0 else ["pg_amcheck: " + (done.stdout + done.stderr).strip()[-300:]]
