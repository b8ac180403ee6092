"""Copies that are put back: made while events come in, put back while everybody waits."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from load import Told

from opsmantik.db import binaries
from opsmantik.db.child import choose_identity, preparation
from opsmantik.db.cluster import SUPERUSER, environment
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.keyring import FILE
from tests.faults.house import Drive, House, until
from tests.faults.rows import Given, Outcome, row

RTO_SECONDS, RPO_SECONDS = 300.0, 60.0


class Again(House):
    """An installation that is put back into a home directory of its own, with the keys of the one that was lost."""

    def __init__(self, directory: Path, lost: House) -> None:
        super().__init__(directory)
        self.secret, self.sites, self.person = lost.secret, lost.sites, lost.person
        self.postgres = EmbeddedServer(self.home, self.secret)

    def open(self) -> None:
        """Start the database that lies there, and the server."""
        self.postgres.start(lambda words: None)
        self._begin()

    def take(self, base: Path, wal: Path, password: str) -> None:
        """A base backup, and the log up to the end of what there is of it."""
        directory = self.postgres.data.parent
        directory.mkdir(mode=0o700, exist_ok=True)
        shutil.move(base, self.postgres.data)
        (self.postgres.data / "recovery.signal").touch()
        (directory / "local.conf").write_text(
            f'restore_command = \'cp "{wal}/%f" "%p" || cp "{wal}/%f.partial" "%p"\'\n'
        )
        self.postgres.password_file.write_text(password)
        self.postgres.password_file.chmod(0o600)
        self._recover()

    def _recover(self) -> None:
        """Replay the log to its end, once, and shut down: from then on it is a directory like any other."""
        programs, data = binaries.find(), self.postgres.data
        words = ["-D", str(data), "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.home}"]
        process = subprocess.Popen(
            [programs["postgres"], *words], env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=preparation(choose_identity(programs["postgres"], data), signal.SIGINT),
        )  # fmt: skip
        signal_file = data / "recovery.signal"
        until(lambda: process.poll() is not None or not signal_file.exists(), RTO_SECONDS)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        if signal_file.exists():
            raise RuntimeError("the log was not replayed to its end")


def _judged(
    house: House, told: Sequence[Told], moment: float, seconds: float, made: str, *, may_miss: float
) -> Outcome:
    """``moment``: all that was acknowledged before it is owed, but for the last ``may_miss`` seconds of it."""
    stored = house.ids()
    there = set(stored)
    missing = [each.at for each in told if each.at < moment and not there.issuperset(each.rows)]
    behind = moment - min(missing) if missing else 0.0
    wrong = house.miscounted()
    if behind > may_miss:
        wrong.append(f"the copy is {behind:.1f} s behind")
    if len(there) != len(stored):
        wrong.append("events are there twice")
    if seconds > RTO_SECONDS:
        wrong.append("it took longer")
    figure = f"{made}; {len(stored):,} events back, {behind * 1000:.0f} ms of traffic lost; serving after {seconds:.1f} s"
    return Outcome(figure, wrong, raw={"stored": len(stored), "behind": behind, "seconds": seconds})


@row(
    "backup",
    injected="`opsmantik backup` at 150 events/s; all is gone then, and `opsmantik restore` puts it back elsewhere",
    must="all that was acknowledged before the copy began is in it, once; counters exact; serving within 5 min",
    limit=300,
)
def backup(given: Given) -> Outcome:
    copy = given.directory / "copy"
    with House(given.directory) as house:
        drive = Drive(house, seconds=16)
        time.sleep(6)
        began = time.monotonic()
        made = house.run("backup", str(copy))
        took = time.monotonic() - began
        report = drive.finish()
        if made.returncode:
            return Outcome("no copy", [(made.stdout + made.stderr)[-300:]])
        again = Again(given.directory, house)
        shutil.copy2(house.home / FILE, again.home / FILE)
    try:
        start = time.monotonic()
        restored = again.run("restore", str(copy))
        if restored.returncode:
            return Outcome("not put back", [(restored.stdout + restored.stderr)[-300:]])
        again.open()
        seconds = time.monotonic() - start
        return _judged(again, report.told, began, seconds, f"copied in {took:.1f} s under load", may_miss=0.0)
    finally:
        again.close()


@row(
    "base-backup",
    injected="PostgreSQL's base backup at 150 events/s, its log streamed on; kill -9 and the data directory lost",
    must="put back elsewhere it lacks at most the last 60 s, nothing is there twice; counters exact; within 5 min",
    limit=300,
)
def base_backup(given: Given) -> Outcome:
    base, wal = given.directory / "base", given.directory / "wal"
    wal.mkdir()
    with House(given.directory) as house:
        parts = urlsplit(house.admin_dsn)
        place = parse_qs(parts.query)
        where = ["-h", place["host"][0], "-p", place["port"][0], "-U", SUPERUSER]
        known = environment() | {"PGPASSWORD": parts.password or ""}
        stream = subprocess.Popen(
            [binaries.find()["pg_receivewal"], "-D", str(wal), "--synchronous", *where], env=known,
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=preparation(),
        )  # fmt: skip
        drive = Drive(house, seconds=16, insists=False)
        time.sleep(3)
        began = time.monotonic()
        copied = subprocess.run(
            [binaries.find()["pg_basebackup"], "-D", str(base), "-c", "fast", "-X", "none", *where], env=known,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        took = time.monotonic() - began
        time.sleep(4)
        killed = time.monotonic()
        house.kill_database()
        stream.send_signal(signal.SIGINT)
        stream.wait(20)
        report = drive.finish()
        if copied.returncode:
            return Outcome("no copy", [copied.stderr[-300:]])
        again = Again(given.directory, house)
        shutil.copy2(house.home / FILE, again.home / FILE)
        password = house.postgres.password_file.read_text()
    try:
        start = time.monotonic()
        again.take(base, wal, password)
        again.open()
        seconds = time.monotonic() - start
        return _judged(again, report.told, killed, seconds, f"copied in {took:.1f} s", may_miss=RPO_SECONDS)
    finally:
        again.close()
