"""The ledger in a real browser: looked through, one tried again, all of a filter asked about first; a way set."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.web.ledger_world import LedgerWorld, new_ledger

pytestmark = pytest.mark.slow

LOOKS = pytest.mark.parametrize(
    ("size", "language", "theme"),
    [("desk", "en", "light"), ("phone", "tr", "dark")],
    ids=["desk-en-light", "phone-tr-dark"],
)
PICTURES = os.environ.get("PICTURES")


async def sound(screen: Any, name: str) -> None:
    """Nothing that axe finds, nothing wider than the screen."""
    assert await screen.violations() == [], name
    wide = await screen.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, (name, wide)
    if PICTURES:
        size = screen.page.viewport_size["width"]
        await screen.page.screenshot(path=Path(PICTURES) / f"{name}-{size}.png", full_page=True)


@pytest.fixture
async def filled(owner: Any, web: Any, app_database: Any) -> LedgerWorld:
    return await new_ledger(owner, web, app_database)


@LOOKS
async def test_the_ledger_is_looked_through_and_acted_on(
    filled: LedgerWorld, open_as: Any, size: str, language: str, theme: str
) -> None:
    screen = await open_as(filled.team.owner.browser, size=size, language=language, theme=theme)
    page = await screen.go(filled.pages)
    again = await filled.row("again")
    row = page.locator(f"#c-{again['id']}")
    await row.locator("summary").click()
    assert await row.locator(".moves li").count() == 4
    await sound(screen, "ledger")
    # A lead opens beside its row, and the row is still there after it.
    await row.locator("[data-drawer]").click()
    await page.locator("#drawer[open]").wait_for()
    await page.keyboard.press("Escape")
    await page.locator("#drawer[open]").wait_for(state="detached")
    if not await row.locator("details").evaluate("all => all.open"):
        await row.locator("summary").click()
    await row.locator(f'form[action$="{again["id"]}/retry"] button').click()
    await page.wait_for_url(re.compile(r"\?did=retry&n=1$"))
    await sound(screen, "one")
    for name in ("days", "next", "batches"):
        await screen.go(f"{filled.pages}/{name}")
        await sound(screen, name)
    await page.locator(".batch-name a").last.click()
    await page.wait_for_url(re.compile(r"/batches/[0-9a-f-]{36}$"))
    await sound(screen, "batch")


@LOOKS
async def test_all_of_a_filter_and_a_file(
    filled: LedgerWorld, open_as: Any, size: str, language: str, theme: str
) -> None:
    screen = await open_as(filled.team.owner.browser, size=size, language=language, theme=theme)
    page = await screen.go(f"{filled.pages}/days")
    await page.locator(".why-count").last.click()
    await page.wait_for_url(re.compile(r"state=failed&reason="))
    assert await page.locator(".entry").count() == 1
    await page.locator(".ledger-all a").first.click()
    await page.wait_for_url(re.compile(r"/act\?"))
    await sound(screen, "act")
    await page.locator("form.panel .main-button").click()
    await page.wait_for_url(re.compile(r"did=retry"))
    await filled.owner.execute(
        "UPDATE conversion_batches SET state = 'cancelled', finished_at = now() WHERE site_id = $1 AND finished_at IS NULL",
        filled.site_id,
    )
    await screen.go(f"{filled.team.settings}/conversions")
    await sound(screen, "route")
    await page.locator('.choice input[value="file"]').check()
    assert not await page.locator("#data_manager-account_id").is_visible()
    await page.fill("#file-conversion_name", "Sealed Lead")
    await sound(screen, "route-file")
    await page.locator(".route-form .main-button").click()
    await page.wait_for_url(re.compile(r"\?done=saved$"))
    await screen.go(f"{filled.pages}/next")
    await page.locator("form .main-button").click()
    await page.wait_for_url(re.compile(r"/batches/[0-9a-f-]{36}$"))
    await sound(screen, "carried")
    async with page.expect_download() as download:
        await page.locator('form[action$="/file"] button').click()
    assert (await download.value).suggested_filename.endswith(".csv")
