"""Takes the pictures in docs/images: every page, at phone and desk, light and dark, full and empty.

``make screenshots``; needs Debian's Chromium. Starts a demo of its own with data in a temporary directory.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from opsmantik.web.pages.settings import PARTS
from tests.browser import DESKTOP, FLAGS, PHONE, System, chromium, running_system

IMAGES = Path(__file__).parent / "images"
SIZES = {"phone": (390, 844, PHONE), "desktop": (1440, 900, DESKTOP)}
SETTLE_MS = 1200


async def sign_in(page: Page, system: System) -> None:
    await page.goto(f"{system.base_url}/sign-in")
    await page.fill("input[name=email]", system.email)
    await page.fill("input[name=password]", system.password)
    await page.click("button[type=submit]")
    await page.wait_for_url("**/sites*")


async def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """What is on the screen, or the page from top to end."""
    await page.wait_for_timeout(SETTLE_MS)
    path = IMAGES / f"{name}.png"
    await page.screenshot(path=path, full_page=whole)
    # A palette does for flat colours, in a third of the bytes.
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"docs/images/{name}.png")


async def take(browser: Browser, system: System, size: str, theme: str, empty: str) -> None:
    width, height, agent = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        user_agent=agent,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        device_scale_factor=1,
    )
    page = await context.new_page()
    await page.goto(f"{system.base_url}/sign-in")
    await picture(page, f"sign-in-{size}-{theme}")
    await sign_in(page, system)
    await picture(page, f"sites-{size}-{theme}")
    await page.click("main a:has-text('Vinç')")
    await page.wait_for_selector("#waiting-leads [data-lead]")
    await picture(page, f"site-{size}-{theme}")
    own = page.url.partition("?")[0].partition("#")[0]
    await page.goto(f"{own}?range=30d")
    await page.wait_for_selector("#breakdowns table")
    await picture(page, f"overview-30-days-{size}-{theme}", whole=True)
    await page.goto(f"{own}/queue")
    await page.wait_for_selector("[data-lead-card]:not([hidden])")
    await picture(page, f"queue-{size}-{theme}")
    await page.goto(f"{own}/leads?range=all")
    await picture(page, f"leads-{size}-{theme}")
    await page.locator("a[data-drawer]").first.click()
    await page.wait_for_selector("#drawer[open]")
    await picture(page, f"lead-{size}-{theme}")
    for name in ("live", "sessions?range=7d", "activity?range=30d", "conversions", "health", "install"):
        await page.goto(f"{own}/{name}")
        await picture(page, f"{name.partition('?')[0]}-{size}-{theme}", whole=name in ("install", "health"))
    if (size, theme) in (("desktop", "light"), ("phone", "dark")):
        for part in PARTS:
            if part.path:
                continue  # a page of its own
            await page.goto(f"{own}/settings/{part.name}")
            if page.url.startswith(own):  # the rare ones ask for the password again
                await picture(page, f"settings-{part.name}-{size}-{theme}")
        await page.goto(f"{own}/settings/sharing")
        await page.fill("#name", "For the agency")
        await page.locator("form.panel button[type=submit]").click()
        link = await page.locator("#share-link").inner_text()
        await page.goto(f"{link.strip()}?range=30d")
        await picture(page, f"share-{size}-{theme}")
    await page.goto(empty)
    await picture(page, f"site-empty-{size}-{theme}")
    await page.goto(f"{system.base_url}/sites/new")
    await picture(page, f"new-site-{size}-{theme}")
    await page.goto(f"{system.base_url}/account")
    await picture(page, f"account-{size}-{theme}")
    if theme == "light":
        await page.goto(system.landing[0])
        await picture(page, f"landing-{size}")
    await context.close()


async def make_empty_site(browser: Browser, system: System) -> str:
    """A site that nothing has happened on yet; the address of its page."""
    page = await browser.new_page()
    await sign_in(page, system)
    await page.goto(f"{system.base_url}/sites/new")
    await page.fill("input[name=name]", "Bluebell Plumbing")
    await page.fill("input[name=domain]", "bluebell.example")
    await page.click("main button[type=submit]")
    await page.wait_for_url("**/sites/*-*")
    address = page.url
    await page.close()
    return address


async def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="om-") as home, running_system(Path(home) / "home") as system:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            await asyncio.sleep(60)  # let some of the day's visitors arrive
            empty = await make_empty_site(browser, system)
            for size in SIZES:
                for theme in ("light", "dark"):
                    await take(browser, system, size, theme, empty)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
