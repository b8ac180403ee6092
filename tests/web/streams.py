"""A browser's EventSource, a visit with a tap, and notices sent by hand: what the tests of streams have in common."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from opsmantik.web.live import CHANNEL
from tests.web.browsing import Browser

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)


class Listener:
    """A browser's EventSource, as far as these tests need one."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()

    async def read(self, lines: AsyncIterator[str]) -> None:
        fields: dict[str, str] = {}
        async for line in lines:
            if line:
                field, _, value = line.partition(":")
                fields[field] = value.strip()
            else:
                self._events.put_nowait(fields)
                fields = {}
        self._events.put_nowait(None)

    async def event(self, name: str, *, within: float = 3.0) -> dict[str, str]:
        """The next event of this name; others are passed over."""
        async with asyncio.timeout(within):
            while (fields := await self._events.get()) is not None:
                if fields.get("event") == name:
                    return fields
        raise EOFError

    async def nothing(self, name: str, *, within: float = 0.4) -> None:
        with pytest.raises(TimeoutError):
            await self.event(name, within=within)

    async def ended(self, *, within: float = 3.0) -> bool:
        with pytest.raises(EOFError):
            await self.event("never", within=within)
        return True


@asynccontextmanager
async def listening(browser: Browser, path: str, **headers: str) -> AsyncIterator[Listener]:
    async with browser.http.stream("GET", path, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        listener = Listener()
        reading = asyncio.create_task(listener.read(answer.aiter_lines()))
        try:
            yield listener
        finally:
            reading.cancel()
            await asyncio.wait([reading])


def stream_of(site_id: UUID) -> str:
    return f"/api/v1/sites/{site_id}/stream"


async def notify(app_dsn: str, payload: str) -> None:
    """A notice as any node would send it through PostgreSQL."""
    connection = await asyncpg.connect(app_dsn)
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
    await connection.close()


async def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)


async def tap(web: Any, site: Any, *, keyword: str = "") -> float:
    """A visit with a tap on the phone number; returns when its answer was there."""
    now, session = int(time.time() * 1000), str(uuid4())
    url = f"https://shop.example/?gclid=Cj0KCQiAtestclick{uuid4().hex}&utm_term={keyword}"
    common = {"sid": session, "url": url}
    events = [
        {"id": str(uuid4()), "ts": now - 500, "cat": "interaction", "act": "view", **common},
        {
            "id": str(uuid4()),
            "ts": now,
            "cat": "conversion",
            "act": "phone_call",
            "label": "tel:+905321234567",
            **common,
        },
    ]
    answer = await web.browser().http.post(
        "/v1/events",
        content=json.dumps({"site": site.public_id, "sent": now, "events": events}),
        headers={"content-type": "text/plain", "origin": "https://shop.example", "user-agent": CHROME},
    )
    assert answer.status_code == 200, answer.text
    return time.monotonic()
