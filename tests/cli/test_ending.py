"""A server that ends answers what was sent before anybody could know."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from opsmantik.cli import ending

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


async def test_a_request_on_an_open_connection_is_answered_although_the_server_ends() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(hello, http="httptools", lifespan="off", log_config=None, ws="none")
    server = ending.Server(config)
    serving = asyncio.create_task(server._serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    for _ in range(2):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")
        if not server.should_exit:
            server.should_exit = True
            await asyncio.sleep(0.2)  # by now it has begun to end, and takes no new connection
            assert not any(each.is_serving() for each in server.servers)
    await asyncio.wait_for(serving, 5)
    assert await reader.read() == b""
    writer.close()
