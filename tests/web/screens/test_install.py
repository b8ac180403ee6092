"""A newcomer installs the tracker: a real page of another origin loads the snippet, and the verifier sees it."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import pytest_asyncio
from playwright.async_api import expect

from opsmantik.web.pages.install import METHODS
from tests.browser import PHONE
from tests.web.browsing import running
from tests.web.test_install import serving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(database: Any, tmp_path_factory: Any) -> AsyncIterator[Any]:
    """The application on a port that it knows: the snippets on its page lead to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with running(database.app, tmp_path_factory.mktemp("home"), port=port) as found:
        yield found


LINK = '<a id="call" href="tel:+905321234567">Call</a>'


@asynccontextmanager
async def a_site(chromium: Any, html: str) -> AsyncIterator[tuple[str, Any]]:
    """A client's site on another origin, and a visitor's browser."""
    async with serving(
        f"<!doctype html><html><head>{html}</head><body>{LINK}</body></html>", {"content-type": "text/html"}
    ) as origin:
        context = await chromium.new_context(user_agent=PHONE)
        yield origin, await context.new_page()
        await context.close()


def snippet(html: str) -> str:
    """What the page's copy button copies."""
    return unescape(html.split('id="snippet">')[1].split("</code>")[0])


async def test_from_nothing_over_a_refused_address_to_a_test_lead(
    open_as: Any, signed_in: Any, own_site: Any, chromium: Any, web: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    path = f"/sites/{site.id}/install"
    screen = await open_as(browser)
    page = await screen.go(path)
    await screen.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy the snippet").click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == snippet((await browser.get(path)).text)
    await expect(page.locator(".verdict-title")).to_have_text("Nothing has arrived yet")

    async with a_site(chromium, copied) as (origin, visitor):
        await visitor.goto(origin)
        await expect(page.locator(".verdict-title")).to_have_text("Sent from an address that is not allowed")
        assert await screen.violations() == []
        await page.get_by_role("button", name=f"Allow {origin}").click()
        await page.wait_for_url("**/settings/origins*")
        await screen.go(path)
        await web.app.collect.registry.refresh()
        await visitor.goto(f"{origin}/?again")
        # The page sees it by itself, and what it says moves nothing.
        before = await page.locator("#put-title").bounding_box()
        await expect(page.locator(".verdict-title")).to_have_text("It works")
        assert await page.locator("#put-title").bounding_box() == before
        await expect(page.locator("#verifier")).to_contain_text(origin)

        # The whole way: their own site, opened as a test, and a tap there.
        opened = ""
        # Within a second: an origin that events come from is the likeliest.
        while not opened.startswith(origin):
            await screen.go(path)
            opened = await page.get_by_role("link", name="Open my site as a test").get_attribute("href")
        assert opened.startswith(f"{origin}/?gclid=test-opsmantik-")
        fresh = await chromium.new_context(user_agent=PHONE)
        tester = await fresh.new_page()
        await tester.goto(opened)
        await expect(page.locator("#verifier .tests")).to_contain_text("Your visit has arrived")
        await tester.locator("#call").click()
        await expect(page.locator("#verifier .tests")).to_contain_text(
            "Your test lead arrived", timeout=15000
        )
        await fresh.close()
    await page.get_by_role("button", name="Remove test leads").click()
    await expect(page.locator("#try-result")).to_have_text("1 test removed.")
    assert await screen.violations() == []


async def test_by_tag_manager_with_consent_on_a_phone(
    open_as: Any, signed_in: Any, own_site: Any, chromium: Any, web: Any, owner: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, consent_mode="required")
    path = f"/sites/{site.id}/install?method=gtm"
    html = (await browser.get(path)).text
    # Tag Manager takes the text of the script and runs it in an element of its own, without any attribute.
    [code] = re.findall(r"<script>(.*?)</script>", snippet(html), re.DOTALL)
    screen = await open_as(browser, size="phone", language="tr", theme="dark")
    page = await screen.go(path)
    async with a_site(chromium, "") as (origin, visitor):
        await owner.execute("INSERT INTO site_origins (site_id, origin) VALUES ($1, $2)", site.id, origin)
        await web.app.collect.registry.refresh()
        await visitor.goto(origin)
        inject = (
            "const s = document.createElement('script'); s.text = code; document.body.append(s); s.remove()"
        )
        await visitor.evaluate(f"code => {{ {inject} }}", code)
        await visitor.wait_for_function("window.opsmantik && window.opsmantik._initialized")
        assert await visitor.evaluate("Object.keys(localStorage).length") == 0
        await visitor.evaluate("opsmantik('consent', { analytics: true, marketing: true })")
        await expect(page.locator(".verdict-title")).to_have_text("Çalışıyor")
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert await screen.violations() == []
    for target in await page.locator(
        "main button:visible, main .button:visible, main summary:visible, main .chip"
    ).all():
        box = await target.bounding_box()
        assert box is not None and box["height"] >= 44


async def test_no_way_of_installing_has_anything_that_axe_finds(
    open_as: Any, signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    desk = await open_as(browser)
    phone = await open_as(browser, size="phone", language="tr", theme="dark")
    for screen, methods in ((desk, METHODS), (phone, ("gtm", "proxy"))):
        for method in methods:
            page = await screen.go(f"/sites/{site.id}/install?method={method}")
            await page.locator("details.more summary").click()
            assert await screen.violations() == [], method
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), method


async def test_a_look_and_a_test_tap_answer_where_they_were_asked(
    open_as: Any, signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    screen = await open_as(browser, size="phone")
    page = await screen.go(f"/sites/{site.id}/install")
    await page.get_by_role("button", name="Look").click()
    await expect(page.locator("#check-result .verdict-title")).to_have_text("This name does not exist")
    await page.get_by_role("button", name="Send a test tap").click()
    await expect(page.locator("#try-result")).to_contain_text(
        re.compile(r"Your test lead arrived in \d\.\d+ s\.")
    )
    await expect(page.locator("#verifier .tests")).to_contain_text("+1 202-555-0123")
    assert await screen.violations() == []
