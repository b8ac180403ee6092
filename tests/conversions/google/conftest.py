"""Google on a loopback port, and our side of it."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opsmantik.conversions.google_data_manager import DataManager as Adapter
from opsmantik.conversions.http import Http
from opsmantik.outbound import Rules
from tests.conversions.google.data_manager import DataManager
from tests.conversions.google.made import Given


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[DataManager]:
    async with DataManager() as server:
        yield server


@pytest_asyncio.fixture
async def http() -> AsyncIterator[Http]:
    client = Http(Rules([ipaddress.ip_network("127.0.0.0/8")]), seconds=5.0)
    yield client
    await client.close()


@pytest.fixture
def adapter(fake: DataManager, http: Http) -> Adapter:
    return Adapter(http, fake.url)


@pytest.fixture
def grant(fake: DataManager) -> Given:
    return Given(fake.tokens)
