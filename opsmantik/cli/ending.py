"""How the web server ends: nobody who has sent something by then is left without an answer."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import uvicorn

# What was sent before its sender could know that we end lies unread in our sockets, and a connection that is closed over
# it is reset. For so long it is read and answered, and each answer ends its connection (web/app.py).
LAST_SECONDS: Final = 0.3


class Server(uvicorn.Server):
    """Takes no new connection, answers what comes by those that are there, and only then ends those that say nothing."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await asyncio.sleep(LAST_SECONDS)
        await super().shutdown(sockets)
