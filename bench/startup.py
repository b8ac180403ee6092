"""How long ``opsmantik up --demo --detach`` takes: with nothing there, and with everything there.

``make up`` from a fresh clone takes the first of these, and the installation of the packages before it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from results import Figure, Wanted, figures
from stand import VoidError, free_port

LATER = 3
LONGEST = 180


def startup(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """One first start (database, schema, sixty days of demo history), then later ones."""
    home = Path(tempfile.mkdtemp(prefix="opsmantik-bench-", dir=directory))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPSMANTIK_", "DATABASE_"))
    }
    environ = kept | {"OPSMANTIK_HOME": str(home), "OPSMANTIK_PORT": str(free_port())}
    try:
        first = _timed(environ, "up", "--demo", "--detach")
        later, stops = [], []
        for _ in range(LATER if scale == 1 else 1):
            stops.append(_timed(environ, "down"))
            later.append(_timed(environ, "up", "--demo", "--detach"))
    finally:
        subprocess.run(_command("down"), env=environ, capture_output=True, timeout=LONGEST, check=False)
        shutil.rmtree(home, ignore_errors=True)
    runs = [
        {"first": first, "later": seconds, "stop": stop} for seconds, stop in zip(later, stops, strict=True)
    ]
    wanted = [
        Wanted("first start, with 60 days of demo history", "s", lambda run: run["first"], None, 60, True),
        Wanted("later starts", "s", lambda run: run["later"], None, 5, True),
        Wanted("stop", "s", lambda run: run["stop"]),
    ]
    return figures(
        runs, wanted, "importing Python packages, starting PostgreSQL; at first: writing the history"
    ), runs


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "opsmantik.cli", *words]


def _timed(environ: dict[str, str], *words: str) -> float:
    # Into a file: what stays behind keeps the output open, and a pipe would be waited for.
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        done = subprocess.run(
            _command(*words), env=environ, stdout=said, stderr=said, timeout=LONGEST, check=False
        )
        spent = time.perf_counter() - start
        if done.returncode:
            said.seek(0)
            raise VoidError(
                f"opsmantik {' '.join(words)} ended with {done.returncode}:\n{said.read().decode()[-2000:]}"
            )
    return spent
