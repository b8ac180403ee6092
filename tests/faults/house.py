"""A whole installation that faults are done to, its traffic, and the ledger: what was acknowledged, what is stored."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import asyncpg
import msgspec
from load import Report, Told, percentiles
from stand import HERE, Stand, VoidError, free_port

from opsmantik.db import postmaster, roles
from opsmantik.db.child import preparation

RATE = 150.0
PATIENCE = 60.0
__all__ = ["RATE", "Drive", "House", "Ledger", "Supervised", "VoidError", "free_port", "outage", "until"]


class House(Stand):
    """Database and server as in ``opsmantik serve``; the data may lie in memory, and no traffic has been before."""

    def __enter__(self) -> Self:
        try:
            self.postgres.start(lambda words: None)
            asyncio.run(self._prepare())
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def _begin(self) -> None:
        self._start_server()

    @property
    def server(self) -> subprocess.Popen[bytes]:
        assert self._server is not None
        return self._server

    @property
    def processes(self) -> dict[str, int]:
        """Nobody's CPU time is counted: they come and go."""
        return {}

    def run(self, *words: str, seconds: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
        """An ``opsmantik`` command on this installation."""
        return subprocess.run(
            [sys.executable, "-m", "opsmantik.cli", *words], env=self.environment() | variables,
            capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip

    def sign_in_owner(self) -> str:
        """The cookie header of the person who owns all sites."""
        return "; ".join(f"{name}={token}" for name, token in self.sign_in(self.person).items())

    def status(self, path: str, cookie: str = "", seconds: float = 30.0) -> int:
        """What a page or endpoint answers; 0 for nothing."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Cookie": cookie} if cookie else {})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0

    def site_ids(self) -> list[Any]:
        return list(self.query("SELECT array_agg(id ORDER BY domain) FROM sites")[0])

    def stored(self) -> int:
        """Rows in events; waits while the database cannot be asked."""
        return int(self.ask("SELECT count(*) FROM events")[0])

    def ask(self, sql: str, *values: Any) -> Any:
        """As :meth:`query`, of a database that may have been killed a moment ago."""
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return self.query(sql, *values)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)

    def ids(self) -> list[str]:
        """Of all stored events, as often as they are stored."""
        return [str(found) for found in self.ask("SELECT coalesce(array_agg(id), '{}') FROM events")[0]]

    def miscounted(self) -> list[str]:
        """What ``opsmantik counters verify`` complains about."""
        done = self.run("counters", "verify")
        return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()[:6]

    def backends(self) -> list[int]:
        """Process ids of the server's own connections."""
        sql = "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity WHERE usename = $1"
        return list(self.ask(sql, roles.APP)[0])

    def kill_database(self) -> None:
        """SIGKILL for the postmaster and everybody who works there."""
        first = self.postgres.pid
        everybody = postmaster.at_work(self.postgres.data)
        for pid in sorted(everybody, key=lambda pid: pid != first):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL for one of the postmaster's children, whichever."""
        first = self.postgres.pid
        others = [pid for pid in postmaster.at_work(self.postgres.data) if pid != first]
        if others:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(others), signal.SIGKILL)


class Supervised(House):
    """All of it kept alive by ``opsmantik up``."""

    def _begin(self) -> None:
        self.postgres.stop()
        log = (self.home / "server.log").open("wb")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "opsmantik.cli", "up"], env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, preexec_fn=preparation(),
        )  # fmt: skip
        log.close()
        self._await_readiness()

    def close(self) -> None:
        if self._server is not None and self._server.poll() is None:
            self._server.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._server.wait(40)
        super().close()

    def web_pid(self) -> int:
        """The process that serves, once there is one."""

        def found() -> int | None:
            for pid in Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text().split():
                with suppress(OSError):
                    if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        return int(pid)
            return None

        until(lambda: found() is not None, PATIENCE)
        pid = found()
        assert pid is not None
        return pid


class Drive:
    """The load generator on a house, until its time is over; what fails is sent again until it is acknowledged."""

    def __init__(
        self,
        house: House,
        *,
        seconds: float,
        rate: float = RATE,
        connections: int = 32,
        seed: int = 1,
        insists: bool = True,
        port: int | None = None,
        sites: Sequence[int] = (),
    ) -> None:
        order = house.order(
            "present", connections=connections, seconds=seconds, warm=0.0, rate=rate, seed=seed
        )
        order.insists, order.told = insists, True
        if port is not None:
            order.port = port
        if sites:
            order.sites = [house.sites[place] for place in sites]
        self._seconds, self._house = seconds, house
        before = house.stored()
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "load.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=preparation(at_parents_death=signal.SIGKILL),
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order))
        self._process.stdin.close()
        self._process.stdin = None
        until(lambda: house.stored() > before, PATIENCE)

    @property
    def is_over(self) -> bool:
        """Whether the generator has ended."""
        return self._process.poll() is not None

    def finish(self) -> Report:
        out, _ = self._process.communicate(timeout=self._seconds + 240)
        if self._process.returncode:
            raise VoidError("the generator broke")
        return msgspec.json.decode(out, type=Report)


class Ledger(msgspec.Struct):
    """Acknowledged against stored. ``lost``: acknowledged and not there; ``twice``: there more often than once."""

    acknowledged: int
    stored: int
    lost: int
    twice: int
    given_up: int
    refusals: dict[str, int]

    @classmethod
    def of(cls, house: House, *reports: Report) -> Ledger:
        """Of everything that these runs sent."""
        stored = house.ids()
        there = set(stored)
        acknowledged = {name for report in reports for told in report.told for name in told.rows}
        refusals: dict[str, int] = {}
        for report in reports:
            for status, n in report.failures.items():
                refusals[status] = refusals.get(status, 0) + n
        return cls(
            acknowledged=len(acknowledged), stored=len(stored), lost=len(acknowledged - there),
            twice=len(stored) - len(there), given_up=sum(report.given_up for report in reports), refusals=refusals,
        )  # fmt: skip

    def wrong(self, *, all_of_it: bool = True) -> list[str]:
        """What did not hold: of these three nothing may be. ``all_of_it``: nothing else wrote events."""
        found = []
        if self.lost:
            found.append(f"{self.lost} acknowledged events are not stored")
        if self.twice:
            found.append(f"{self.twice} events are stored twice")
        if self.given_up:
            found.append(f"{self.given_up} requests were never acknowledged")
        if all_of_it and not found and self.stored != self.acknowledged:
            found.append(f"{self.stored} events are stored, {self.acknowledged} were acknowledged")
        if others := {status for status in self.refusals if status not in RETRYABLE}:
            found.append(f"answers that no client may expect: {', '.join(sorted(others))}")
        return found

    @property
    def words(self) -> str:
        return f"{self.acknowledged:,} acknowledged, {self.lost} lost, {self.twice} twice"


RETRYABLE = ("503", "429", "ConnectionResetError", "BrokenPipeError")
"""What a client hears that may try again: to wait, or nothing because the connection broke."""


def outage(told: Sequence[Told], begins: float, ends: float) -> float:
    """The longest time without an acknowledgement that began between these moments."""
    good = sorted(each.at for each in told if each.status == "200")
    longest = 0.0
    for earlier, later in pairwise(good):
        if later > begins and earlier < ends:
            longest = max(longest, later - max(earlier, begins))
    if good and good[-1] < begins:
        return float("inf")
    return longest


def slowest(told: Sequence[Told], begins: float = 0.0, ends: float = float("inf")) -> dict[str, float]:
    """Percentiles, in milliseconds, of single answers of any kind between these moments."""
    return percentiles([each.at - each.sent for each in told if begins <= each.sent < ends])


def until(true: Any, seconds: float, pause: float = 0.02) -> bool:
    """Wait for it; whether it came."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(pause)
    return True
