"""What it costs a request that somebody is signed in: the same answer with the cookie of a sign-in and without one."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from results import Figure, Wanted, figures
from stand import Stand, VoidError

ROUNDS = 5
REQUESTS = 3000  # of each kind a round, in turns on one connection
WARM = 300
MOST_MS = 0.3
# Public and short, and it reads nothing: what is different is who asks.
PATH = "/demo/landing.css"
STATUS = b"HTTP/1.1 200"


def auth_cost(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """What a sign-in costs each request, measured against the same request from a stranger."""
    token = stand.sign_in(stand.person)
    runs = [asyncio.run(_run(stand.port, token, round(REQUESTS * scale))) for _ in range(ROUNDS)]
    wanted = [
        Wanted(
            "a signed-in request, above a stranger's: median",
            "ms",
            lambda run: run["cost_ms"],
            None,
            MOST_MS,
            True,
        ),
        Wanted("a stranger's request: median", "ms", lambda run: run["stranger_ms"]),
        Wanted("a signed-in request: median", "ms", lambda run: run["signed_in_ms"]),
    ]
    return figures(
        runs, wanted, "one read by the token's hash, and the framework's own time for a cookie"
    ), runs


async def _run(port: int, cookies: dict[str, str], requests: int) -> dict[str, Any]:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    head = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/css\r\n"
    stranger, signed_in = f"{head}\r\n".encode(), f"{head}Cookie: {cookie}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken: dict[bytes, list[float]] = {stranger: [], signed_in: []}
    try:
        for _ in range(WARM):
            await _ask(reader, writer, signed_in)
        for _ in range(requests):
            for request, times in taken.items():  # in turns: whatever else the machine does, both pay for
                times.append(await _ask(reader, writer, request))
    finally:
        writer.close()
    without, within = (statistics.median(times) * 1000 for times in taken.values())
    return {"stranger_ms": without, "signed_in_ms": within, "cost_ms": within - without, "requests": requests}


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> float:
    start = time.perf_counter()
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(STATUS):
        raise VoidError(f"not the answer that was expected: {answer[:40]!r}")
    length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return time.perf_counter() - start
