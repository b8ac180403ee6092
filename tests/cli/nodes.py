"""Several servers and workers as processes of their own, and what stands in front of them: a proxy that takes turns."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.web.streams import CHROME

ORIGIN = "https://shop.example"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """One process of ours: ``serve`` or ``work``."""

    def __init__(self, home: Path, environment: dict[str, str], *, code: Path | None = None) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {k: v for k, v in os.environ.items() if k != "DATABASE_URL" and not k.startswith("OPSMANTIK_")}
        self.environment = {
            **kept, "OPSMANTIK_HOME": str(home), "OPSMANTIK_PORT": str(self.port), "OPSMANTIK_LOG_LEVEL": "warning",
            **environment, **({"PYTHONPATH": str(code)} if code else {}),
        }  # fmt: skip
        self.cwd = code or Path(__file__).parents[2]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = home.with_name(f"{home.name}.log")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the same program, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "opsmantik.cli", *words], env=self.environment, cwd=self.cwd, capture_output=True,
            text=True, timeout=180,
        )  # fmt: skip

    def begin(self, *words: str) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "opsmantik.cli", *words], env=self.environment, cwd=self.cwd, stdout=file,
                stderr=file,
            )  # fmt: skip

    async def serve(self) -> None:
        """Start, and wait until it is ready."""
        self.begin("serve")
        async with asyncio.timeout(60), httpx.AsyncClient(verify=False) as client:
            while True:
                assert self.process is not None and self.process.poll() is None, self.log.read_text()[-3000:]
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, and wait until it has."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        async with asyncio.timeout(40):
            while self.process.poll() is None:
                await asyncio.sleep(0.05)
        code, self.process = int(self.process.returncode), None
        return code

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@asynccontextmanager
async def proxy(nodes: Sequence[Node]) -> AsyncIterator[str]:
    """A balancer of connections: each to the next node that takes it, whoever it was last time."""
    turn = 0
    working: set[asyncio.Task[Any]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        with suppress(ConnectionError, RuntimeError):
            writer.write_eof()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        task = asyncio.current_task()
        assert task is not None
        working.add(task)
        try:
            for _ in range(2 * len(nodes)):
                turn += 1
                with suppress(ConnectionError):
                    up, down = await asyncio.open_connection("127.0.0.1", nodes[turn % len(nodes)].port)
                    await asyncio.gather(copy(reader, down), copy(up, writer))
                    down.close()
                    return
        finally:
            working.discard(task)
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


class Load:
    """Visitors of a site who go on until told to stop: each event until it is acknowledged, as the tracker does."""

    def __init__(self, url: str, public_id: str, visitors: int = 6) -> None:
        self.url = url
        self.public_id = public_id
        self.acknowledged: set[str] = set()
        self.answers: dict[int, int] = {}
        self.cut = 0
        """Connections that ended without an answer; the event was sent again."""
        self._stop = False
        self._visitors = visitors

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[Load]:
        tasks = [asyncio.create_task(self._visitor()) for _ in range(self._visitors)]
        try:
            yield self
        finally:
            self._stop = True
            await asyncio.gather(*tasks)

    async def _visitor(self) -> None:
        session = str(uuid4())
        # A connection for each request: otherwise all would stay with the node that they came to first.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self.url, timeout=20, limits=limits, verify=False) as client:
            while not self._stop:
                now = int(time.time() * 1000)
                event = {
                    "id": str(uuid4()), "ts": now, "sid": session, "cat": "interaction", "act": "view",
                    "url": f"{ORIGIN}/{random.randrange(9)}",
                }  # fmt: skip
                body = json.dumps({"site": self.public_id, "sent": now, "events": [event]})
                await self._until_acknowledged(client, event["id"], body)
                await asyncio.sleep(0.01)

    async def _until_acknowledged(self, client: httpx.AsyncClient, name: str, body: str) -> None:
        headers = {"content-type": "text/plain", "origin": ORIGIN, "user-agent": CHROME}
        async with asyncio.timeout(60):
            while True:
                try:
                    answer = await client.post("/v1/events", content=body, headers=headers)
                except httpx.TransportError:
                    self.cut += 1
                    await asyncio.sleep(0.1)
                    continue
                self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
                if answer.status_code == 200:
                    assert answer.json()["results"][0]["status"] in ("accepted", "duplicate"), answer.text
                    self.acknowledged.add(name)
                    return
                await asyncio.sleep(0.1)
