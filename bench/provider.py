"""Google's Data Manager API and somebody's webhook receiver, on a loopback port, in a process of their own.

So what they cost is not counted as ours. The API is the strict one of the tests: every field of every event is checked, 300
requests a minute are taken and no more, and nothing is processed for longer than it takes to be asked.

``Provider`` starts it and asks it: a line on its standard input is a question, a line of JSON is the answer.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter, deque
from pathlib import Path
from typing import Any, Self

import msgspec

ROOT = Path(__file__).parents[1]
PER_MINUTE = 300
KEPT = 100  # of the latest requests, so that it does not grow


class Opened(msgspec.Struct):
    """Where it is, and what opens it."""

    url: str
    token: str
    """An access token."""
    service_account: str
    """The JSON key of one."""


class Seen(msgspec.Struct):
    """What came so far."""

    requests: dict[str, int]
    """By path and status, "POST /v1/events:ingest 200"."""
    conversions: int
    created_twice: int
    hooks: int
    cpu_seconds: float


class Provider:
    """The process, running between ``__enter__`` and ``__exit__``."""

    opened: Opened

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.opened = msgspec.json.decode(self._line(), type=Opened)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def seen(self) -> Seen:
        """What came so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"?\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._line(), type=Seen)

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


async def _serve() -> None:
    import time

    from tests.conversions.google.data_manager import DataManager
    from tests.conversions.google.server import Request, Response

    counts: Counter[str] = Counter()
    hooks = 0

    async def hook(request: Request) -> Response | None:
        nonlocal hooks
        if request.path != "/hook":
            return None
        hooks += 1
        return Response(200, {})

    class Counted(deque[Any]):
        def append(self, one: Any) -> None:
            request, status = one
            counts[f"{request.method} {request.path} {status}"] += 1
            super().append(one)

    fake = DataManager()
    fake.per_minute = PER_MINUTE
    fake.processing_seconds = 0.0
    fake.requests = Counted(maxlen=KEPT)  # type: ignore[assignment]
    fake.handlers.append(hook)
    await fake.start()
    account = fake.tokens.service_account(url=fake.url)
    _tell(Opened(fake.url, fake.tokens.access(), account))
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        held = fake.holds()
        twice = sum(each.creations > 1 for each in held.values())
        _tell(Seen(dict(counts), len(held), twice, hooks, time.process_time()))
    await fake.stop()


def _tell(words: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(words) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    asyncio.run(_serve())
