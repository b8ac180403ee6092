"""One Chromium and one server for the whole suite; one browser context and one `Case` for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser import FLAGS
from tests.browser import chromium as executable
from tests.tracker.double import Case, Double
from tests.tracker.visitor import Visitor


@pytest.fixture(scope="session")
def double() -> Iterator[Double]:
    double = Double()
    yield double
    double.close()


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def case(double: Double) -> Case:
    return double.new_case()


@pytest.fixture
async def visitor(chromium: Browser) -> AsyncIterator[Visitor]:
    context = await chromium.new_context()
    context.set_default_timeout(5000)
    visitor = Visitor(context)
    yield visitor
    await context.close()
    assert visitor.noise == []
