"""Somebody's screen: a browser context of its own that writes down whatever goes wrong in it."""

from __future__ import annotations

import re
from typing import Any, Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, Response

from tests.browser import DESKTOP, PHONE
from tests.web.browsing import Browser

SIZES = {"phone": (390, 844, PHONE), "desk": (1440, 900, DESKTOP)}
# An expected refusal is an answer, and Chromium writes a line about every answer above 399.
REFUSAL = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")


class Screen:
    """A page of a browser context; ``complaints`` is what went wrong in it so far."""

    def __init__(self, context: BrowserContext, page: Page, base_url: str) -> None:
        self.context = context
        self.page = page
        self.base_url = base_url
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def watch(self, page: Page) -> None:
        """Listen to a page: the first, or another tab of the same person."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)

    async def go(self, path: str) -> Page:
        """Open an address of ours, and wait until it has loaded."""
        await self.page.goto(f"{self.base_url}{path}", wait_until="load")
        return self.page

    async def violations(self) -> list[str]:
        """What axe finds on the page as it is, each in a line that names the element."""
        found = (await Axe().run(self.page)).response["violations"]
        return [
            f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
            for rule in found
            for node in rule["nodes"]
        ]

    def _said(self, message: ConsoleMessage) -> None:
        if not REFUSAL.search(message.text):
            self.complaints.append(f"console {message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((self.base_url, "data:", "blob:")):
            self.complaints.append(f"foreign request: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.status} of {response.url}")


async def open_screen(
    chromium: Chromium,
    base_url: str,
    person: Browser | None,
    *,
    size: Literal["phone", "desk"] = "desk",
    language: str = "en",
    theme: Literal["light", "dark"] = "light",
    **more: Any,
) -> Screen:
    """A new context, signed in with the cookies of ``person``."""
    width, height, agent = SIZES[size]
    context = await chromium.new_context(
        viewport={"width": width, "height": height}, user_agent=agent, color_scheme=theme, has_touch=size == "phone",
        locale="tr-TR" if language == "tr" else "en-GB", reduced_motion="reduce", **more,
    )  # fmt: skip
    context.set_default_timeout(5000)
    if person is not None:
        await context.add_cookies(
            [{"name": c.name, "value": str(c.value), "url": base_url} for c in person.http.cookies.jar]
        )
    page = await context.new_page()
    screen = Screen(context, page, base_url)
    screen.watch(page)
    return screen
