"""One Chromium for all tests of screens; a fresh context for each person who looks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import async_playwright

from tests.browser import FLAGS
from tests.browser import chromium as executable
from tests.web.browsing import Browser, Running
from tests.web.screens.screen import Screen, open_screen

OpenScreen = Callable[..., Awaitable[Screen]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/web/screens/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def open_as(chromium: Chromium, web: Running) -> AsyncIterator[OpenScreen]:
    """``screen = await open_as(browser, size="phone", language="tr", theme="dark")``: the screen of whoever signed in
    with this client (tests.web.browsing.Browser), or of a stranger where it is None.

    When the test ends, whatever a browser complained about has failed it: a word in the console, a script that broke,
    something that the content policy stopped, a request to another host, an answer that says the server broke.
    """
    opened: list[Screen] = []

    async def make(person: Browser | None = None, **look: Any) -> Screen:
        opened.append(await open_screen(chromium, web.base_url, person, **look))
        return opened[-1]

    yield make
    for screen in opened:
        await screen.context.close()
    complaints = [word for screen in opened for word in screen.complaints]
    assert complaints == []
