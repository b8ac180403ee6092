"""A small HTTP server on a free loopback port, for platforms that tests speak to.

It answers, is slow, breaks the connection before or after a request was carried out, or answers half: what a client has to
live with. One request a connection, as our client makes them.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Response(NamedTuple):
    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


class Fault(NamedTuple):
    """What goes wrong with one request.

    before: the connection breaks and nothing was done. after: it was done, and the connection breaks. half: it was done,
    and half of the answer arrives. status: nothing was done, and this is the answer. slow: done after so many seconds.
    """

    what: Literal["before", "after", "half", "status", "slow"]
    status: int = 503
    headers: Mapping[str, str] = {}
    body: Any = None
    seconds: float = 0.0


Handler = Callable[[Request], Awaitable[Response | None]]
"""None: it is not for this handler."""

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


class Server:
    """Serves until :meth:`stop`. ``faults`` are used up one a request to ``faulty`` paths, in their order; ``None`` among
    them lets one through."""

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = list(handlers)
        self.requests: list[tuple[Request, int]] = []
        """What came, and the status of the answer; 0 where there was none."""
        self.faults: deque[Fault | None] = deque()
        self.faulty: Callable[[Request], bool] = lambda request: True
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        assert self._server is not None, "the server is not started"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self, port: int = 0) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=16 * 1024 * 1024)
        return self

    async def stop(self) -> None:
        """Break off whatever is under way."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            self._server = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            request = await _read(reader)
            fault = self.faults.popleft() if self.faults and self.faulty(request) else None
            await self._answer(request, fault, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, request: Request, fault: Fault | None, writer: asyncio.StreamWriter) -> None:
        what = fault.what if fault else None
        if fault and what == "slow":
            await asyncio.sleep(fault.seconds)
        if what == "before":
            self.requests.append((request, 0))
            writer.transport.abort()
            return
        if fault and what == "status":
            response = Response(fault.status, fault.body, fault.headers)
        else:
            response = await self._handled(request)
        self.requests.append((request, 0 if what in ("after", "half") else response.status))
        if what == "after":
            writer.transport.abort()
            return
        text = b"" if response.body is None else json.dumps(response.body).encode()
        head = f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Other')}\r\n"
        headers = {
            "content-type": "application/json; charset=UTF-8", "content-length": str(len(text)),
            "connection": "close", **response.headers,
        }  # fmt: skip
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        writer.write(head.encode() + (text[: len(text) // 2] if what == "half" else text))
        await writer.drain()

    async def _handled(self, request: Request) -> Response:
        for handler in self.handlers:
            response = await handler(request)
            if response is not None:
                return response
        return Response(404, {"error": {"code": 404, "message": "Not found.", "status": "NOT_FOUND"}})


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    address = urlsplit(target)
    return Request(method, address.path, dict(parse_qsl(address.query)), headers, body)
