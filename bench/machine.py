"""What a figure was measured on, and what it cost: processors, disk, and CPU seconds of other processes."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import msgspec

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = b"\x5a" * 8192  # PostgreSQL's block


class Machine(msgspec.Struct):
    """The facts without which a figure says nothing."""

    processor: str
    cores_used: int
    cores_present: int
    memory_gb: int
    kernel: str
    filesystem: str
    python: str
    postgresql: str


def use_cores(count: int) -> int:
    """Bind this process, and all that it starts, to so many processors; returns how many there are to use."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[:count])
    return len(os.sched_getaffinity(0))


def describe(directory: Path, postgresql: str) -> Machine:
    """This machine; ``directory`` is where the data lies."""
    words = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    model = next((value for name, value in words.items() if name.strip() == "model name"), platform.machine())
    return Machine(
        processor=model.strip(),
        cores_used=len(os.sched_getaffinity(0)),
        cores_present=os.cpu_count() or 0,
        memory_gb=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        kernel=f"{platform.system()} {platform.release()}",
        filesystem=filesystem(directory),
        python=platform.python_version(),
        postgresql=postgresql,
    )


def filesystem(directory: Path) -> str:
    """The type of the filesystem that holds this directory: ext4, or tmpfs, which makes no promise to keep."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(point), kind) for point, kind in mounts if directory.resolve().is_relative_to(point)]
    return max(holding)[1] if holding else "unknown"


def load_average() -> list[float]:
    """Of 1, 5 and 15 minutes: how busy the machine is with everything."""
    return [round(value, 2) for value in os.getloadavg()]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, of the children that it has buried, and of its living children; 0 if it is gone.

    For PostgreSQL's first process: the whole server, WAL writer and workers that came and went included.
    """
    total = _own(pid, with_buried=True)
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(child) for thread in threads for child in (thread / "children").read_text().split()}
    except OSError:
        return total
    return total + sum(_own(child) for child in children)


def busy_seconds() -> float:
    """CPU time that anything at all took on the processors that we may use, since the machine started."""
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    # user, nice, system, (idle, iowait,) irq, softirq, steal; guests are in user already
    return sum(sum(map(int, line[1:4] + line[6:9])) for line in lines if line[0] in ours) / TICKS


def _own(pid: int, with_buried: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_buried else 13])) / TICKS


def syncs_a_second(directory: Path, seconds: float = 1.0) -> float:
    """How often a block can be written and put on disk (fdatasync), one after the other, as a commit does it."""
    path = directory / "sync.probe"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, PAGE * 64, 0)
        os.fsync(file)
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            os.pwrite(file, PAGE, count % 64 * len(PAGE))
            os.fdatasync(file)
            count += 1
        return count / spent
    finally:
        os.close(file)
        path.unlink()
