"""One browser profile, with ears for anything the script might print or throw."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page


class Visitor:
    """A browser profile with its tabs. Whatever a test is about, the script may neither print nor throw."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.noise: list[str] = []
        context.on("page", self._listen)

    def _listen(self, page: Page) -> None:
        # A failed request is reported by the browser itself, and no script can prevent it.
        page.on(
            "console",
            lambda said: (
                None if said.text.startswith("Failed to load resource") else self.noise.append(said.text)
            ),
        )
        page.on("pageerror", lambda error: self.noise.append(str(error)))

    async def open(self, url: str, *, before: str = "") -> Page:
        """A new tab at a URL, loaded; `before` is script that runs ahead of everything on its pages."""
        page = await self.context.new_page()
        if before:
            await page.add_init_script(before)
        await page.goto(url)
        return page

    async def storage(self, page: Page) -> dict[str, str]:
        """Everything on the device, by key: both kinds of storage, and cookies."""
        kept: dict[str, str] = await page.evaluate("({...localStorage, ...sessionStorage})")
        return kept | {
            str(cookie.get("name")): str(cookie.get("value")) for cookie in await self.context.cookies()
        }
