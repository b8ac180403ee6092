"""Debian's Chromium, and the whole system as ``make up`` starts it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A headless Chromium says that it is one, and is then rightly taken for a bot.
DESKTOP = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.5 Mobile/15E148 Safari/604.1"
)


def chromium() -> str:
    """The browser's path, or a clear word on how to get it."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise RuntimeError("No Chromium here: apt-get install chromium")
    return path


class System(NamedTuple):
    """A running ``opsmantik up --demo``."""

    base_url: str
    email: str
    password: str
    landing: list[str]
    output: str


@contextmanager
def running_system(home: Path, *arguments: str, seconds: float = 150) -> Iterator[System]:
    """Start everything as ``make up`` does, on a free port with data in `home`; stop it as Ctrl-C does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("OPSMANTIK_") and k != "DATABASE_URL"
    }
    environment |= {"OPSMANTIK_HOME": str(home), "OPSMANTIK_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    log = home.with_name(home.name + ".log")
    with log.open("w") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "opsmantik.cli", "up", "--demo", *arguments],
            stdout=words,
            stderr=words,
            env=environment,
            start_new_session=True,
        )
    try:
        yield _await(process, log, port, seconds)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        assert code in (0, 130, -signal.SIGINT), f"it ended with {code}: {log.read_text()[-2000:]}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], log: Path, port: int, seconds: float) -> System:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = log.read_text()
        found = re.search(r"Sign in as (\S+) with the password (\S+)", text)
        if found and "Ctrl-C" in text:
            base_url = f"http://127.0.0.1:{port}"
            assert httpx.get(f"{base_url}/readyz").status_code == 200
            return System(base_url, found[1], found[2], re.findall(r"http://\S+/demo/\S+", text), text)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"it did not come up: {log.read_text()[-3000:]}")
