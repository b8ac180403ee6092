"""A receiver of webhooks on a real socket, which checks signatures as receivers do and answers as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from standardwebhooks import Webhook

Answer = tuple[int, dict[str, str], bytes]
OK: Answer = (200, {}, b"thanks")


class Message(NamedTuple):
    """One request: its headers, its body as it came, and read."""

    headers: dict[str, str]
    body: bytes
    json: dict[str, Any]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified_with(self, secret: str) -> dict[str, Any]:
        """Raises what receivers' libraries raise."""
        found: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return found


class Receiver:
    """Answers with what is in ``answers``, then with 200. ``before`` is awaited with each message."""

    def __init__(self) -> None:
        self.url = ""
        self.messages: list[Message] = []
        self.answers: list[Answer | None] = []
        self.before: Callable[[Message], Awaitable[None]] | None = None
        self.at_once = self.most_at_once = 0

    @property
    def types(self) -> list[str]:
        return [message.json["type"] for message in self.messages]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            message = Message(headers, body, json.loads(body))
            self.messages.append(message)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                if self.before is not None:
                    await self.before(message)
            finally:
                self.at_once -= 1
            answer = self.answers.pop(0) if self.answers else OK
            if answer is not None:  # None: close without a word
                writer.write(as_http(answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def as_http(answer: Answer) -> bytes:
    status, headers, body = answer
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "connection: close", "", ""]).encode() + body


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=abc"
    try:
        yield receiver
    finally:
        server.close()
