"""A browser that fills in forms, and the whole application on a socket for it to talk to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from opsmantik.settings import Settings
from opsmantik.web.app import Application, create_app

PASSWORD = "correct horse battery"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


class Browser:
    """A client that keeps cookies and fills in forms as a person would: with the page's own token."""

    def __init__(self, base_url: str, **headers: str) -> None:
        self.base_url = base_url
        self.http = httpx.AsyncClient(
            base_url=base_url, headers={"accept": "text/html", **headers}, timeout=20,
            verify=False,  # plain HTTP on loopback: to read the list of authorities takes longer than a request
        )  # fmt: skip

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def token(self, path: str) -> str:
        found = TOKEN.search((await self.get(path)).text)
        assert found, f"no form on {path}"
        return found[1]

    async def submit(self, page: str, action: str, **fields: str) -> httpx.Response:
        """Open ``page``, fill in its form, send it to ``action``."""
        return await self.http.post(action, data={"form_token": await self.token(page), **fields})

    async def sign_in(self, email: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
        return await self.submit("/sign-in", "/sign-in", email=email, password=password, **fields)


class Running:
    """A running application."""

    def __init__(self, app: Application, base_url: str) -> None:
        self.app = app
        self.base_url = base_url
        self.browsers: list[Browser] = []

    def browser(self, **headers: str) -> Browser:
        self.browsers.append(Browser(self.base_url, **headers))
        return self.browsers[-1]


@asynccontextmanager
async def running(app_dsn: str, home: Path, **changes: Any) -> AsyncIterator[Running]:
    """Serve on a free loopback port until the end of the block."""
    settings = Settings(home=home, secret_key="k" * 40, **{"rate_limit_per_minute": 0, **changes})
    app = create_app(settings, app_dsn=app_dsn)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=changes.get("port", 0), log_level="error", access_log=False, proxy_headers=False,
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "the server did not start"
        await asyncio.sleep(0.01)
    found = Running(app, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    try:
        yield found
    finally:
        for browser in found.browsers:
            await browser.http.aclose()
        app.begin_shutdown()
        server.should_exit = True
        await task
