"""A TCP proxy that spoils what passes through it: replies that never arrive, or arrive late. In a thread, on loopback."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec


class Spoiler(msgspec.Struct):
    """How it spoils, to be changed at any time. ``loses``: share of replies; ``delays``: seconds, each way."""

    loses: float = 0.0
    delays: float = 0.0
    lost: int = 0


@contextmanager
def proxy(port: int, target: int, spoiler: Spoiler, seed: int = 1) -> Iterator[None]:
    """Listens on this port until the end of the block. A lost reply ends its connection, as a broken network does."""
    chance = random.Random(seed)
    loop = asyncio.new_event_loop()
    listening = threading.Event()

    async def forth(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if spoiler.delays:
                await asyncio.sleep(spoiler.delays)
            writer.write(data)
            await writer.drain()

    async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if spoiler.delays:
                await asyncio.sleep(spoiler.delays)
            if chance.random() < spoiler.loses:
                spoiler.lost += 1
                return
            writer.write(data)
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
            ways = [
                asyncio.create_task(forth(reader, far_writer)),
                asyncio.create_task(back(far_reader, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.close()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        listening.set()
        async with server:
            with suppress(asyncio.CancelledError):
                await server.serve_forever()

    task = loop.create_task(run())

    def turn() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    listening.wait(5)
    try:
        yield
    finally:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)
        thread.join(5)
