"""The ingest doors on a real socket, in front of a real database."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import uvicorn

from opsmantik.db.connect import Database
from opsmantik.keyring import Keyring
from opsmantik.settings import Settings
from opsmantik.web.collect import Collect

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
ORIGIN = "https://shop.example"


class Door:
    """A running collector and a client for it."""

    def __init__(self, collect: Collect, base_url: str, port: int) -> None:
        self.collect = collect
        self.base_url = base_url
        self.port = port
        self.client = httpx.AsyncClient(
            base_url=base_url, headers={"user-agent": CHROME}, timeout=20,
            verify=False,  # plain HTTP on loopback: no list of authorities to read
        )  # fmt: skip

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content-type": "text/plain", "origin": ORIGIN} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        return await self.client.post(path, content=content, headers={k: v for k, v in named.items() if v})


async def serve(
    database: Database, settings: Settings, keyring: Keyring | None = None
) -> tuple[Door, Callable[[], Awaitable[None]]]:
    """Start a collector on a free loopback port; the second value stops it."""
    collect = Collect(database, settings, keyring)
    await collect.start()
    server = uvicorn.Server(
        uvicorn.Config(
            collect,
            host="127.0.0.1",
            port=0,
            log_level="error",
            lifespan="off",
            access_log=False,
            proxy_headers=False,
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    door = Door(collect, f"http://127.0.0.1:{port}", port)

    async def stop() -> None:
        await door.client.aclose()
        server.should_exit = True
        await task
        await collect.stop()

    return door, stop


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def door(app_database: Database) -> AsyncIterator[Door]:
    door, stop = await serve(app_database, Settings(rate_limit_per_minute=0))
    yield door
    await stop()


@pytest.fixture
def make_site(make_site: Callable[..., Awaitable[Any]], door: Door) -> Callable[..., Awaitable[Any]]:
    """A site that the running door knows at once."""

    async def make(**columns: Any) -> Any:
        site = await make_site(**columns)
        await door.collect.registry.refresh()
        return site

    return make


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def item() -> Callable[..., dict[str, Any]]:
    """One event of the present format, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "id": str(uuid4()),
            "ts": now_ms(),
            "sid": str(uuid4()),
            "vid": "visitor-1",
            "cat": "interaction",
            "act": "view",
            "url": "https://shop.example/",
        } | changes

    return make


@pytest.fixture
def first() -> Callable[..., dict[str, Any]]:
    """One event of the first generation, key for key as its tracker sends it, with changes."""

    def make(site: str, **changes: Any) -> dict[str, Any]:
        meta = {
            "fp": "1x2y3z",
            "gclid": None,
            "lan": "tr-TR",
            "mem": 8,
            "con": 8,
            "sw": 390,
            "sh": 844,
            "dpr": 3,
        }
        meta |= changes.pop("meta", {})
        return {
            "s": site,
            "u": "https://shop.example/",
            "sid": str(uuid4()),
            "sm": "2026-11-01",
            "ec": "interaction",
            "ea": "view",
            "el": "Shop",
            "r": "",
            "meta": meta,
        } | changes

    return make
