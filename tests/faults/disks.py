"""A disk that is full: the data's, and the write-ahead log's, each a small one of its own in memory."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from tests.faults.house import Drive, Ledger, Supervised, outage, until
from tests.faults.rows import Given, Outcome, row

FULL_SECONDS = 8.0
AGAIN_SECONDS = 15.0
DATA_FREE_MB, WAL_MB = 24, 64


class Small(Supervised):
    """An installation with one of its two directories on a disk of a few megabytes. Needs a mount namespace of its own."""

    def __init__(self, directory: Path, which: Literal["data", "wal"]) -> None:
        super().__init__(directory, OPSMANTIK_DISK_FREE_MB="0")
        self._which = which
        self.disk = self.home / "disk"

    def _begin(self) -> None:
        self.postgres.stop()
        data, log = self.postgres.data, self.home / "wal"
        if self._which == "data":
            shutil.move(data / "pg_wal", log)
            (data / "pg_wal").symlink_to(log)
            whole = data.rename(data.with_name("data.whole"))
            data.mkdir(mode=0o700)
            self.disk = data
            self._mount(round(_megabytes(whole)) + DATA_FREE_MB)
            shutil.copytree(whole, data, symlinks=True, dirs_exist_ok=True)
            data.chmod(0o700)
            shutil.rmtree(whole)
        else:
            self.disk.mkdir(mode=0o700)
            self._mount(WAL_MB)
            shutil.move(data / "pg_wal", self.disk / "pg_wal")
            (data / "pg_wal").symlink_to(self.disk / "pg_wal")
        super()._begin()

    def _mount(self, megabytes: int) -> None:
        size = f"size={megabytes}m,mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "opsmantik-fault", str(self.disk)], check=True)

    def close(self) -> None:
        with suppress(OSError):
            self.free()
        super().close()
        subprocess.run(["umount", "--lazy", str(self.disk)], capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _ballast(self) -> Path:
        return self.disk / "ballast"

    def fill(self) -> None:
        """Leave no byte. Again and again: what is freed meanwhile is taken, too."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


def _megabytes(directory: Path) -> float:
    return sum(file.lstat().st_size for file in directory.rglob("*")) / 2**20


def _filled(house: Small, *, switch: bool) -> Outcome:
    cookie, site = house.sign_in_owner(), house.site_ids()[0]
    page = f"/api/v1/sites/{site}/command-centre"
    drive = Drive(house, seconds=16 + FULL_SECONDS)
    time.sleep(2)
    reads: list[int] = []
    refused = time.monotonic()
    ends = refused + FULL_SECONDS
    while time.monotonic() < ends:
        house.fill()
        if switch:  # so that the log comes to the end of its files sooner than in minutes
            with suppress(Exception):
                house.query("SELECT pg_switch_wal()")
        reads.append(house.status(page, cookie, seconds=20))
        time.sleep(0.2)
    house.free()
    freed = time.monotonic()
    back = until(lambda: house.status("/readyz", seconds=5) == 200, 60)
    report = drive.finish()
    ledger = Ledger.of(house, report)
    wrong = ledger.wrong() + house.miscounted()
    after = outage(report.told, freed, freed + 60)
    held_up = ledger.refusals.get("503", 0)
    if not back or after > AGAIN_SECONDS:
        wrong.append(f"it served again {after:.0f} s after there was room")
    if not held_up:
        wrong.append("nothing was refused: the disk was not full")
    good = sum(status == 200 for status in reads)
    if not switch and good != len(reads):
        wrong.append(f"of {len(reads)} reads {len(reads) - good} failed: {sorted(set(reads))}")
    figure = (
        f"{held_up} × 503; {good} of {len(reads)} reads answered meanwhile; {ledger.words}; events again {after:.1f} s"
        " after there was room"
    )
    return Outcome(figure, wrong, lost=ledger.lost, raw={"refusals": ledger.refusals, "reads": reads})


@row(
    "disk-full",
    injected=f"the data directory on a disk of its own that is filled to the last byte, for {FULL_SECONDS:.0f} s",
    must="503 and no acknowledgement without a row; reads work; it goes on by itself when there is room",
    needs=("unshare", "mount"),
    apart=("mount",),
)
def disk_full(given: Given) -> Outcome:
    with Small(given.directory, "data") as house:
        return _filled(house, switch=False)


@row(
    "wal-full",
    injected=f"the write-ahead log on a disk of its own ({WAL_MB} MB) that is filled, for {FULL_SECONDS:.0f} s: PANIC",
    must="503 and no acknowledgement without a row; it goes on by itself when there is room",
    needs=("unshare", "mount"),
    apart=("mount",),
)
def wal_full(given: Given) -> Outcome:
    with Small(given.directory, "wal") as house:
        return _filled(house, switch=True)
