"""Platforms on this machine, and clients that may call them."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opsmantik.conversions.http import Http
from opsmantik.outbound import Rules
from tests.conversions.google.google_ads_server import GoogleAdsServer
from tests.conversions.google.google_ads_world import World
from tests.conversions.google.server import Server
from tests.conversions.google.tokens import Tokens


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def local_http() -> AsyncIterator[Http]:
    """A client that may call this machine."""
    client = Http(Rules([ipaddress.ip_network("127.0.0.0/8")]), 5)
    yield client
    await client.close()


@pytest.fixture
async def world(local_http: Http) -> AsyncIterator[World]:
    """The Google Ads API, with one account."""
    tokens = Tokens()
    ads = GoogleAdsServer(tokens)
    async with Server(tokens.handle, ads.handle) as server:
        yield World(server, tokens, ads, local_http)
